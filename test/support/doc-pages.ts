/**
 * Reads the pages of this repository as Markdown as far as their tests need it: fenced blocks with their marks, headings with their
 * anchors, links, and code within lines. The marks are described in docs/decisions/0033-documentation-that-runs.md.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');

/** What a block is for, as its info string says behind the language. */
export type Mark =
  /** Executed, and has to end with this exit code. */
  | { readonly kind: 'run'; readonly exit: number }
  /** Only shown; why it cannot run. */
  | { readonly kind: 'shown'; readonly reason: string }
  /** Written to this path before what follows is run. */
  | { readonly kind: 'file'; readonly path: string }
  /** What the `run` block before it prints. */
  | { readonly kind: 'output' }
  | { readonly kind: 'none' };

export interface Block {
  /** Where its text begins, from 1. */
  readonly line: number;
  /** In small letters; empty when none is named. */
  readonly language: string;
  readonly mark: Mark;
  readonly text: string;
  /** Stands in a comment: part of the stage, and no reader sees it. */
  readonly isHidden: boolean;
  /** The heading above it. */
  readonly heading: string;
}

export interface Link {
  readonly line: number;
  readonly target: string;
}

export interface Page {
  /** From the root of the repository, with slashes. */
  readonly file: string;
  readonly text: string;
  readonly blocks: readonly Block[];
  readonly links: readonly Link[];
  /** Code within lines, outside blocks. */
  readonly codes: readonly { readonly line: number; readonly text: string }[];
  /** Of its headings, as GitHub makes them. */
  readonly anchors: ReadonlySet<string>;
}

/** Languages whose blocks a reader would type or paste into a shell. */
export const SHELLS: ReadonlySet<string> = new Set([
  'sh',
  'bash',
  'zsh',
  'fish',
  'shell',
  'console',
  'powershell',
  'pwsh',
  'ps1',
  'bat',
  'cmd',
]);

const NOT_OURS = new Set(['node_modules', 'dist', 'build', 'coverage', '.git']);

/** Every file below the root whose name ends so, in the order of their names. */
export function filesEnding(...ends: readonly string[]): string[] {
  const found: string[] = [];
  const visit = (directory: string): void => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (NOT_OURS.has(entry.name)) continue;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) visit(path);
      else if (ends.some((end) => entry.name.endsWith(end))) found.push(relative(ROOT, path).split(sep).join('/'));
    }
  };
  visit(ROOT);
  return found.sort();
}

/** Every page of the repository. */
export function allPages(): Page[] {
  return filesEnding('.md').map((file) => readPage(file, readFileSync(join(ROOT, file), 'utf8')));
}

export function readPage(file: string, text: string): Page {
  const blocks: Block[] = [];
  const links: Link[] = [];
  const codes: { line: number; text: string }[] = [];
  const anchors = new Set<string>();
  let heading = '';
  const lines = text.split('\n');
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at] ?? '';
    const hidden = /^<!-- (run(?: .*)?|file .*)$/.exec(line);
    const fence = /^( *)(`{3,}|~{3,})([^`]*)$/.exec(line);
    if (hidden !== null || fence !== null) {
      const [, indent = '', ticks = '', info = ''] = fence ?? [];
      const isEnd = (each: string): boolean => (fence === null ? each === '-->' : each.trim() === ticks);
      const from = at + 1;
      const length = lines.slice(from).findIndex(isEnd);
      if (length < 0) throw new SyntaxError(`${file}:${from}: the block is not closed`);
      const body = lines.slice(from, from + length).map((each) => (each.startsWith(indent) ? each.slice(indent.length) : each.trimStart()));
      const [language = '', ...rest] = fence === null ? ['sh', hidden?.[1] ?? ''] : info.trim().split(/\s+/);
      blocks.push({
        line: from + 1,
        language: language.toLowerCase(),
        mark: readMark(rest.join(' '), `${file}:${from}`),
        text: body.map((each) => `${each}\n`).join(''),
        isHidden: fence === null,
        heading,
      });
      at = from + length;
      continue;
    }
    const title = /^#{1,6} +(.*?) *#*$/.exec(line)?.[1];
    if (title !== undefined) {
      heading = title;
      anchors.add(anchorFor(title, anchors));
    }
    for (const [, , code = ''] of line.matchAll(/(`+)(.+?)\1(?!`)/g)) codes.push({ line: at + 1, text: code.trim() });
    const prose = line.replace(/(`+).+?\1(?!`)/g, (code) => '`'.padEnd(code.length, '`'));
    for (const [, target = ''] of prose.matchAll(/\]\(([^()\s]*(?:\([^()]*\)[^()\s]*)*)(?: "[^"]*")?\)/g))
      links.push({ line: at + 1, target });
    for (const [, target = ''] of prose.matchAll(/<(https?:[^>\s]*)>/g)) links.push({ line: at + 1, target });
  }
  return { file, text, blocks, links, codes, anchors };
}

/**
 * What stands behind the language.
 * @throws SyntaxError when it begins like a mark and is none
 */
function readMark(info: string, where: string): Mark {
  if (info === '') return { kind: 'none' };
  if (info === 'output') return { kind: 'output' };
  const run = /^run(?: exit (\d+))?$/.exec(info);
  if (run !== null) return { kind: 'run', exit: Number(run[1] ?? 0) };
  const shown = /^shown: (\S.*)$/.exec(info);
  if (shown !== null) return { kind: 'shown', reason: shown[1] ?? '' };
  const file = /^file (\S+)$/.exec(info);
  if (file !== null) return { kind: 'file', path: file[1] ?? '' };
  throw new SyntaxError(`${where}: \`${info}\` is no mark; write \`run\`, \`run exit 1\`, \`shown: REASON\`, \`file PATH\` or \`output\``);
}

/** The anchor that GitHub gives to a heading, after those that the page has already. */
function anchorFor(title: string, taken: ReadonlySet<string>): string {
  const plain = title.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1');
  const base = plain
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\p{M} _-]/gu, '')
    .replaceAll(' ', '-');
  let anchor = base;
  for (let count = 1; taken.has(anchor); count++) anchor = `${base}-${count}`;
  return anchor;
}
