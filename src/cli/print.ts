/**
 * The printer: the one place that writes to stdout and stderr for a person. Colours as `isColoured` has it, for each stream by itself;
 * progress on stderr, and only on terminals.
 */
import { styleText } from 'node:util';
import { isJournal, priorityPrefix } from '../daemon/journal.js';
import { ProxyError, systemCodeOf } from '../model/errors.js';
import { moreOf } from '../model/refusal.js';
import { isColoured, isDumb } from './colour.js';
import { type Progress, ProgressLine } from './progress.js';
import { visible } from './visible.js';

/** How a text is set off; the same text where there are no colours. None of them says anything that the text does not. */
export interface Palette {
  readonly bold: (text: string) => string;
  /** As it should be. */
  readonly good: (text: string) => string;
  /** It works, and wants a look. */
  readonly wary: (text: string) => string;
  /** It does not work. */
  readonly bad: (text: string) => string;
  /** Beside the point. */
  readonly faint: (text: string) => string;
}

/** What a command prints to. */
export interface Printer extends Palette {
  /** A line of the command's result, to stdout. */
  readonly line: (text: string) => void;
  /** A value as JSON, to stdout. */
  readonly json: (value: unknown) => void;
  /** A line about the work, to stderr. */
  readonly note: (text: string) => void;
  /** A failure, to stderr: what, details, what to do, where to read on. */
  readonly failure: (error: ProxyError) => void;
  /** Says what is being waited for, where somebody may be looking. */
  readonly progress: (text: string) => Progress;
}

/** The width of a terminal that does not tell it. */
const USUAL_COLUMNS = 80;

/** The palette for a stream. */
export function paletteFor(environment: Readonly<Record<string, string | undefined>>, isTerminal: boolean): Palette {
  const has = isColoured(environment, isTerminal);
  const styled =
    (style: Parameters<typeof styleText>[0]) =>
    (text: string): string =>
      has ? styleText(style, text, { validateStream: false }) : text;
  return { bold: styled('bold'), good: styled('green'), wary: styled('yellow'), bad: styled('red'), faint: styled('dim') };
}

/** The printer of this process. */
export function createPrinter(): Printer {
  const { env, stdout, stderr } = process;
  const shown = stderr.isTTY && !isDumb(env) ? (text: string): void => void stderr.write(text) : undefined;
  const line = new ProgressLine(shown, () => stderr.columns || USUAL_COLUMNS);
  const write = (stream: NodeJS.WriteStream, text: string): void => {
    line.clear();
    stream.write(`${text}\n`);
  };
  const before = isJournal(env) ? priorityPrefix('error') : '';
  const onErrors = paletteFor(env, stderr.isTTY);
  return {
    ...paletteFor(env, stdout.isTTY),
    line: (text) => write(stdout, text),
    json: (value) => write(stdout, visible(JSON.stringify(value, null, 2), { keepLines: true })),
    note: (text) => write(stderr, text),
    failure(error) {
      write(stderr, `${before}${onErrors.bad('postern:')} ${error.message}`);
      for (const detail of error.details) write(stderr, `${before}  ${detail}`);
      if (error.todo !== undefined) write(stderr, `${before}  ${onErrors.bold('what to do:')} ${error.todo}`);
      // Of a line that was not understood there is no more to say than its help does.
      if (error.code !== 'usage') write(stderr, `${before}  ${moreOf(error.code)}`);
    },
    progress: (text) => line.begin(visible(text)),
  };
}

/**
 * Has a command go on to its end when nobody reads what it prints any more (`postern status | head -1`): one that changes something must
 * not stop in the middle for that. What has no end of its own ends by `whenOutputEnds`.
 */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (thrown) => {
      if (systemCodeOf(thrown) !== 'EPIPE') throw thrown;
    });
}
