/**
 * Refs as a push names them, and the rules that decide which of them it may touch.
 *
 *   glob = ref name in which `*` stands for any run of characters without `/`, and `**` for any run
 *
 * As in git-for-each-ref(1), and unlike a refspec, `*` ends at a slash: `refs/heads/agent/*` is one level. What a ref name is:
 * git-check-ref-format(1).
 */
export interface RefCommand {
  /** Hex, 40 or 64 digits; all zero when the ref is new. */
  readonly oldOid: string;
  /** All zero when the ref is to go. */
  readonly newOid: string;
  readonly ref: string;
}

/**
 * What a push does to a ref. `update` includes a rewrite, which a command list does not tell from a fast-forward. `tag` is
 * needed besides for whatever happens under refs/tags/.
 */
export const REF_CHANGES = ['create', 'update', 'delete', 'tag'] as const;
export type RefChange = (typeof REF_CHANGES)[number];

export interface RefRules {
  /** Globs of the refs that may be touched, compared exactly; undefined is every ref, empty none. */
  readonly allow: readonly string[] | undefined;
  /** Globs of the refs that may not be touched, compared without case; they win over `allow`. */
  readonly protect: readonly string[];
  /** Undefined is every change, empty none. */
  readonly changes: readonly RefChange[] | undefined;
}

/** Rules and who made them, for the text of a refusal: `the route dev.azure.com/**`, `lease 3f2a (nightly)`. */
export interface RefPolicy extends RefRules {
  readonly source: string;
}

/** Characters of the longest glob: what a push costs to judge is the length of its names times that of the globs. */
export const LONGEST_REF_GLOB = 256;

/** Most globs in one list, for the same reason. */
export const MOST_REF_GLOBS = 64;

/** What is forbidden in a ref name, in the order of git-check-ref-format(1), and how it is told. */
const NAME_FAULTS: readonly (readonly [RegExp, string])[] = [
  [/(?:^|\/)\./, 'has a part that begins with a dot'],
  [/\.lock(?:\/|$)/, 'has a part that ends in `.lock`'],
  [/\.\./, 'holds `..`'],
  [/[\u0000-\u0020\u007f]/, 'holds a blank or a control character'],
  [/[~^:?*[\\]/, 'holds one of the characters `~^:?*[\\`'],
  [/^\/|\/$|\/\//, 'has an empty part'],
  [/\.$/, 'ends in a dot'],
  [/@\{/, 'holds `@{`'],
];

/** What most names are: nothing of the above can be in them. */
const PLAIN_NAME = /^refs(?:\/[A-Za-z0-9_+-]+)+$/;

/** Why `name` is none that a ref can have, as the end of a sentence; undefined when it is one. All refs begin with `refs/`. */
export function refNameFault(name: string): string | undefined {
  if (!name.startsWith('refs/')) return 'does not begin with `refs/`';
  if (PLAIN_NAME.test(name)) return undefined;
  return NAME_FAULTS.find(([pattern]) => pattern.test(name))?.[1];
}

/**
 * Reads a glob of refs and gives it back.
 * @throws SyntaxError saying what is wrong and what would be right
 */
export function parseRefGlob(text: string): string {
  if (text.length > LONGEST_REF_GLOB) throw new SyntaxError(`is longer than ${LONGEST_REF_GLOB} characters; write a shorter glob`);
  if (!text.startsWith('refs/')) throw new SyntaxError(`does not begin with \`refs/\`; write \`${meantGlob(text)}\``);
  if (text.includes('***')) throw new SyntaxError('has more than two stars in a row; write `*` for one level, `**` for any');
  const fault = refNameFault(text.replace(/\*+/g, 'x'));
  if (fault !== undefined)
    throw new SyntaxError(`${fault}, so it matches no ref; write a name such as \`refs/heads/main\`, with \`*\` or \`**\``);
  if (!text.includes('/', 'refs/'.length) && !text.includes('**')) {
    throw new SyntaxError('is one level below `refs/`, where nothing is pushed; write `refs/heads/...`, or `refs/**` for every ref');
  }
  return text;
}

/** What someone meant who left out the beginning; an example when that is not clear. */
function meantGlob(text: string): string {
  const name = text.replace(/^\/+/, '');
  if (!/^[\w./*-]{1,100}$/.test(name)) return 'refs/heads/main';
  if (/^\*+$/.test(name)) return 'refs/**';
  return /^(?:heads|tags|notes|remotes|pull)\//.test(name) ? `refs/${name}` : `refs/heads/${name}`;
}
