/**
 * The printer: the one place that writes to stdout and stderr for a person. Colour only on terminals, and not with
 * NO_COLOR (no-color.org).
 */
import { styleText } from 'node:util';
import { isJournal, priorityPrefix } from '../daemon/journal.js';
import { ProxyError } from '../model/errors.js';
import { moreOf } from '../model/refusal.js';
import { visible } from './visible.js';

/** What a command prints to. */
export interface Printer {
  /** A line of the command's result, to stdout. */
  readonly line: (text: string) => void;
  /** A value as JSON, to stdout. */
  readonly json: (value: unknown) => void;
  /** A line about the work, to stderr. */
  readonly note: (text: string) => void;
  /** A failure, to stderr: what, details, what to do, where to read on. */
  readonly failure: (error: ProxyError) => void;
  readonly bold: (text: string) => string;
}

/** The printer of this process. */
export function createPrinter(): Printer {
  const isColoured = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '';
  const write = (stream: NodeJS.WriteStream, text: string): void => {
    stream.write(`${text}\n`);
  };
  const before = isJournal(process.env) ? priorityPrefix('error') : '';
  return {
    line: (text) => write(process.stdout, text),
    json: (value) => write(process.stdout, visible(JSON.stringify(value, null, 2), { keepLines: true })),
    note: (text) => write(process.stderr, text),
    failure(error) {
      write(process.stderr, `${before}postern: ${error.message}`);
      for (const detail of error.details) write(process.stderr, `${before}  ${detail}`);
      if (error.todo !== undefined) write(process.stderr, `${before}  what to do: ${error.todo}`);
      // Of a line that was not understood there is no more to say than its help does.
      if (error.code !== 'usage') write(process.stderr, `${before}  ${moreOf(error.code)}`);
    },
    bold: (text) => (isColoured ? styleText('bold', text) : text),
  };
}
