/**
 * The log, on winston (the only file that imports it). A line is an event and its fields; redaction is the first step
 * of the format, before anything is written. Lines go to stderr: stdout belongs to what commands print.
 */
import winston from 'winston';
import { LOG_LEVELS as LEVEL_NAMES, type LogFields, type Logger, type LogLevel } from '../model/ports.js';
import { priorityPrefix } from './journal.js';
import { redact } from './redaction.js';

export type LogFormat = 'human' | 'json';

export interface LogShape {
  readonly level: LogLevel;
  /** `auto`: human on a terminal, JSON otherwise. */
  readonly format: 'auto' | LogFormat;
}

export interface DaemonLog extends Logger {
  readonly level: LogLevel;
  /** Another level, another format, from the next line on. */
  adjust(shape: Partial<LogShape>): void;
  /** Ends when everything written so far has gone out. */
  close(): Promise<void>;
}

/** Where winston keeps the finished line (its package triple-beam). */
const MESSAGE = Symbol.for('message');

const LEVELS: Record<LogLevel, number> = { error: 0, warn: 1, info: 2, debug: 3 };

/** Opens the log. `isJournal`: stderr goes to systemd's journal, so each line begins with its priority. */
export function openLog(options: LogShape, { isJournal = false }: { isJournal?: boolean } = {}): DaemonLog {
  const redacting = winston.format((line) => {
    for (const [key, value] of Object.entries(line)) if (typeof value === 'string') line[key] = redact(value);
    return line;
  });
  let format = formatOf(options.format);
  const shape = winston.format.printf(({ level, message, time, ...fields }) =>
    format === 'json'
      ? JSON.stringify({ time, level, event: message, ...fields }).replace(UNPRINTABLE, escaped)
      : humanLine(String(time), level, String(message), fields),
  );
  const prefixed = winston.format((line) => {
    const text = line[MESSAGE];
    if (typeof text === 'string') line[MESSAGE] = priorityPrefix(line.level as LogLevel) + text; // because no other levels are made
    return line;
  });
  const logger = winston.createLogger({
    levels: LEVELS,
    level: options.level,
    format: winston.format.combine(redacting(), shape, ...(isJournal ? [prefixed()] : [])),
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- because winston's types name another class
    transports: [new winston.transports.Stream({ stream: process.stderr, eol: '\n' })],
  });
  return {
    get level() {
      return LEVEL_NAMES.find((each) => each === logger.level) ?? options.level;
    },
    adjust(next) {
      if (next.level !== undefined) logger.level = next.level;
      if (next.format !== undefined) format = formatOf(next.format);
    },
    log(level, event, fields: LogFields = {}) {
      logger.log({ level, message: event, time: new Date().toISOString(), ...fields });
    },
    async close() {
      await new Promise<void>((resolve) => {
        logger.once('finish', resolve);
        logger.end();
      });
      await new Promise<void>((resolve) => process.stderr.write('', () => resolve()));
    },
  };
}

function formatOf(format: LogShape['format']): LogFormat {
  if (format !== 'auto') return format;
  return process.stderr.isTTY ? 'human' : 'json';
}

/** What JSON leaves as it is, and a terminal does not: controls above ASCII, breaks of lines, directions. */
const UNPRINTABLE = /[\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;
const NOT_PLAIN = /[\s"=\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

function humanLine(time: string, level: string, event: string, fields: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(fields).flatMap(([key, value]) => {
    if (value === undefined || value === '') return [];
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    return [`${key}=${NOT_PLAIN.test(text) ? JSON.stringify(text).replace(UNPRINTABLE, escaped) : text}`];
  });
  return `${time} ${level.padEnd(5)} ${event}${parts.length === 0 ? '' : ` ${parts.join(' ')}`}`;
}
