/**
 * Reads docs/ERRORS.md, which is written for people: a section for each code, with what happened, how it looks, what to do and how it
 * is told. `postern explain` shows a section on a terminal.
 */

export interface ErrorSection {
  readonly code: string;
  /** Heading of the part of the page that it stands in. */
  readonly part: string;
  /** What happened, as paragraphs of Markdown. */
  readonly cause: string;
  /** As somebody sees it; `...` is what differs. Empty when it looks different each time. */
  readonly looksLike: string;
  /** What to do, as Markdown. */
  readonly remedy: string;
  /** With which it is told at the HTTP door; none when it cannot happen there. */
  readonly statuses: readonly number[];
  /** Of the command line; undefined when it cannot happen there. */
  readonly exitCode: number | undefined;
}

const TOLD = /^\*Told as (?:HTTP (?<statuses>\d{3}(?:, \d{3})*))?(?:, )?(?:exit code (?<exit>\d+))?\.\*$/m;
const REMEDY = /^\*\*What to do:\*\* ([^]*?)\n(?=\n\*Told as )/m;
const SAMPLE = /^```text\n([^]*?)\n```$/m;

/**
 * The sections of the page, in its order.
 * @throws SyntaxError naming a section that lacks a part
 */
export function readErrorPage(page: string): ErrorSection[] {
  return page
    .split(/^## /m)
    .slice(1)
    .flatMap((part) => {
      const [title = ''] = part.split('\n', 1);
      return part
        .split(/^### /m)
        .slice(1)
        .map((section) => readSection(section, title));
    });
}

function readSection(section: string, part: string): ErrorSection {
  const [code = ''] = section.split('\n', 1);
  const told = TOLD.exec(section);
  const remedy = REMEDY.exec(section)?.[1];
  const [before = ''] = section.slice(code.length).split(/^(?:```text|\*\*What to do)/m, 1);
  if (told === null || remedy === undefined || before.trim() === '') throw new SyntaxError(`the section ${code} is not complete`);
  return {
    code,
    part,
    cause: before.trim(),
    looksLike: SAMPLE.exec(section)?.[1] ?? '',
    remedy: remedy.trim(),
    statuses: told.groups?.['statuses']?.split(', ').map(Number) ?? [],
    exitCode: told.groups?.['exit'] === undefined ? undefined : Number(told.groups['exit']),
  };
}

/** Markdown as lines for a terminal, none longer than `width` unless a word is: links become their text, emphasis goes. */
export function plainLines(markdown: string, width: number): string[] {
  const plain = markdown.replace(/\[([^\]]*)\]\(([^)]*)\)/g, (_, text: string, target: string) =>
    /^https?:/.test(target) && text !== target ? `${text} (${target})` : text,
  );
  return plain.split(/\n{2,}/).flatMap((paragraph, index) => [
    ...(index === 0 ? [] : ['']),
    ...wrapped(
      paragraph
        .replace(/\*\*(.+?)\*\*/g, '$1')
        .replace(/\s+/g, ' ')
        .trim(),
      width,
    ),
  ]);
}

function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
