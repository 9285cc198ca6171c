/**
 * Whether a push may touch the refs that its command list names. One refused ref refuses the whole push, because git's own
 * report would otherwise say that part of it went through.
 *
 * What a command list says is all that is judged here. That a `create` is one is the upstream's to see (it compares the old id
 * under its lock), and so is a ref that it keeps as another name of a protected one.
 */
import { type RefChange, type RefCommand, refNameFault, type RefPolicy } from '../model/refs.js';
import type { Refusal } from '../model/refusal.js';
import { type RefGlob, refGlob, type Work } from './ref-glob.js';

const ZERO = /^0+$/;
/** Characters of a ref's name in a text. */
const LONGEST_SHOWN = 200;
/** Globs that a text names. */
const MOST_SHOWN = 4;

/** What a command does to its ref. */
export function changeOf({ oldOid, newOid }: RefCommand): Exclude<RefChange, 'tag'> {
  if (ZERO.test(newOid)) return 'delete';
  return ZERO.test(oldOid) ? 'create' : 'update';
}

/**
 * The form in which names are compared with `protect`: a server on a file system without case, or one that composes letters,
 * would take the other spelling for the protected ref. Upper case comes last because one capital can have two small letters.
 */
export function foldRef(name: string): string {
  if (/^[\u0020-\u007e]*$/.test(name)) return name.toUpperCase();
  return name.normalize('NFC').toLowerCase().toUpperCase().normalize('NFC');
}

const TAGS = foldRef('refs/tags/');

/**
 * The refusal of a push, `ref-refused`, with a reason for each of its refs in their order, or undefined when all may be touched.
 * No policies permit everything, also names that are none. `work` counts what it cost.
 */
export function refuseByRefs(
  commands: readonly RefCommand[],
  policies: readonly RefPolicy[],
  work: Work = { steps: 0 },
): Refusal | undefined {
  if (policies.length === 0) return undefined;
  const rules = policies.map(readyRule);
  const reasons = commands.map((command) => reasonAgainst(command, rules, work));
  const first = reasons.findIndex((reason) => reason !== undefined);
  if (first < 0) return undefined;
  const firstRef = shown(commands[first]?.ref ?? '');
  const others = `not pushed, because ${firstRef} was refused`;
  return {
    kind: 'refusal',
    code: 'ref-refused',
    status: 403,
    what: `The push was refused because of ${firstRef}: ${reasons[first] ?? ''}`,
    todo: 'push only what is allowed, or ask whoever set the rule',
    refs: commands.map(({ ref }, index) => ({ ref, reason: reasons[index] ?? others })),
  };
}

/** A policy, ready for many names. */
interface Rule {
  readonly policy: RefPolicy;
  readonly allow: readonly RefGlob[] | undefined;
  readonly protect: readonly (readonly [glob: string, folded: RefGlob])[];
}

function readyRule(policy: RefPolicy): Rule {
  return {
    policy,
    allow: policy.allow?.map(refGlob),
    protect: policy.protect.map((glob) => [glob, refGlob(foldRef(glob))]),
  };
}

function reasonAgainst(command: RefCommand, rules: readonly Rule[], work: Work): string | undefined {
  const { ref } = command;
  const fault = refNameFault(ref);
  if (fault !== undefined) return `the name ${fault}`;
  const change = changeOf(command);
  const folded = foldRef(ref);
  for (const { policy, allow, protect } of rules) {
    const { source, changes } = policy;
    const protecting = protect.find(([, glob]) => glob.matches(folded, work));
    if (protecting !== undefined) return `${source} protects ${protecting[0]}`;
    if (allow !== undefined && !allow.some((glob) => glob.matches(ref, work))) {
      return `${source} allows ${allow.length === 0 ? 'no refs' : `only ${listed(allow.map(({ text }) => text))}`}`;
    }
    if (changes === undefined) continue;
    if (!changes.includes(change)) return `${source} does not allow to ${change} refs`;
    if (folded.startsWith(TAGS) && !changes.includes('tag')) return `${source} does not allow to ${change} tags`;
  }
  return undefined;
}

function listed(globs: readonly string[]): string {
  const rest = globs.length - MOST_SHOWN;
  return globs.slice(0, MOST_SHOWN).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/** A ref's name for a person: nothing that a terminal would act on, and not pages of it. */
function shown(ref: string): string {
  const text = ref.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '?');
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}...` : text;
}
