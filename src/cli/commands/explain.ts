/** `postern explain [CODE]`: the section of docs/ERRORS.md about a code, from where the program is installed. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { nearestName } from '../../config/nearest-name.js';
import { ProxyError } from '../../model/errors.js';
import type { Context } from '../context.js';
import { type ErrorSection, plainLines, readErrorPage } from '../error-page.js';

/** Widest that prose is read well; terminals that are narrower have their own way. */
const WIDTH = 100;
/** Letters of a word that is looked for in the sections, so that `a` does not find them all. */
const SHORTEST_WORD = 4;
const PAGE = join('docs', 'ERRORS.md');

/** @throws ProxyError `usage` when nothing is known by that name, `internal` when the page is not installed */
export function explain({ printer }: Context, asked: string | undefined, { json }: { readonly json: boolean }): number {
  const { path, sections } = readInstalled();
  if (asked === undefined) {
    if (json) printer.json(sections.map(shownOf));
    else for (const line of listLines(sections, printer.bold)) printer.line(line);
    return 0;
  }
  const word = asked.trim();
  const section = sections.find(({ code }) => code === word.toLowerCase());
  if (section !== undefined) {
    if (json) printer.json(shownOf(section));
    else for (const line of [...sectionLines(section, printer.bold), `Page: ${path}`]) printer.line(line);
    return 0;
  }
  const speaking = sections.filter((each) => speaksOf(each, word));
  if (speaking.length === 0) throw unknown(word, sections);
  if (json) printer.json(speaking.map(shownOf));
  else for (const each of speaking) for (const line of sectionLines(each, printer.bold)) printer.line(line);
  return 0;
}

/** The page is beside `dist` where it is installed, and beside `src` in a checkout. */
function readInstalled(): { readonly path: string; readonly sections: readonly ErrorSection[] } {
  let directory = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(directory, PAGE))) {
    const above = dirname(directory);
    if (above === directory)
      throw new ProxyError('internal', `The page ${PAGE} is not where Postern is installed`, { todo: 'install Postern again' });
    directory = above;
  }
  const path = join(directory, PAGE);
  return { path, sections: readErrorPage(readFileSync(path, 'utf8')) };
}

/** As `--json` shows it. */
function shownOf({ code, part, cause, looksLike, remedy, statuses, exitCode }: ErrorSection): Record<string, unknown> {
  return { code, part, cause, looksLike, remedy, httpStatuses: statuses, exitCode: exitCode ?? null };
}

function sectionLines(section: ErrorSection, bold: (text: string) => string): string[] {
  const { code, statuses, exitCode } = section;
  const told = [
    ...(statuses.length > 0 ? [`HTTP ${statuses.join(', ')} at the door`] : []),
    ...(exitCode === undefined ? [] : [`exit code ${exitCode} on the command line`]),
  ];
  const inset = (lines: readonly string[]): string[] => lines.map((line) => (line === '' ? '' : `  ${line}`));
  return [
    bold(code),
    ...inset(plainLines(section.cause, WIDTH)),
    '',
    ...(section.looksLike === '' ? [] : [bold('Looks like'), ...inset(section.looksLike.split('\n')), '']),
    bold('What to do'),
    ...inset(plainLines(section.remedy, WIDTH)),
    '',
    `Told as ${told.join(', ')}`,
  ];
}

function listLines(sections: readonly ErrorSection[], bold: (text: string) => string): string[] {
  const width = Math.max(...sections.map(({ code }) => code.length));
  const lines: string[] = [];
  let part = '';
  for (const section of sections) {
    if (section.part !== part) {
      if (part !== '') lines.push('');
      part = section.part;
      lines.push(bold(part));
    }
    lines.push(`  ${section.code.padEnd(width)}  ${firstClause(section.cause)}`);
  }
  return [...lines, '', '`postern explain CODE` says more of one'];
}

/** What happened, as far as it fits beside a code. */
function firstClause(cause: string): string {
  const text = plainLines(cause, Infinity).join(' ');
  return text.replace(/ \([^)]*\)/g, '').split(/[.:;](?: |$)/, 1)[0] ?? '';
}

function speaksOf({ cause, remedy, looksLike }: ErrorSection, word: string): boolean {
  const text = `${cause}\n${remedy}\n${looksLike}`.toLowerCase();
  return word.length >= SHORTEST_WORD && text.includes(word.toLowerCase());
}

function unknown(word: string, sections: readonly ErrorSection[]): ProxyError {
  const codes = sections.map(({ code }) => code);
  const wanted = word.toLowerCase();
  const begun = codes.filter((code) =>
    code.split('-').some((piece) => piece === wanted || (piece.length >= SHORTEST_WORD && wanted.includes(piece))),
  );
  const near = [...new Set([nearestName(word, codes) ?? [], begun].flat())];
  return new ProxyError('usage', `No failure has the code ${word}`, {
    todo: near.length === 0 ? '`postern explain` lists all of them' : `try ${near.map((code) => `\`postern explain ${code}\``).join(', ')}`,
  });
}
