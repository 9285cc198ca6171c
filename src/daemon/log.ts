/**
 * The log, on winston (the only file that imports it). A line is an event and its fields; redaction is the first step
 * of the format, before anything is written. Lines go to stderr: stdout belongs to what commands print.
 */
import winston from 'winston';
import type { LogFields, Logger, LogLevel } from '../model/ports.js';
import { priorityPrefix } from './journal.js';
import { redact } from './redaction.js';

export type LogFormat = 'human' | 'json';

export interface DaemonLog extends Logger {
  /** Ends when everything written so far has gone out. */
  close(): Promise<void>;
}

/** Where winston keeps the finished line (its package triple-beam). */
const MESSAGE = Symbol.for('message');

const LEVELS: Record<LogLevel, number> = { error: 0, warn: 1, info: 2, debug: 3 };

/** Opens the log. `isJournal`: stderr goes to systemd's journal. */
export function openLog(options: { level: LogLevel; format: LogFormat; isJournal?: boolean }): DaemonLog {
  const redacting = winston.format((line) => {
    for (const [key, value] of Object.entries(line)) if (typeof value === 'string') line[key] = redact(value);
    return line;
  });
  const shape =
    options.format === 'json'
      ? winston.format.printf(({ level, message, time, ...fields }) =>
          JSON.stringify({ time, level, event: message, ...fields }).replace(UNPRINTABLE, escaped),
        )
      : winston.format.printf(({ level, message, time, ...fields }) => humanLine(String(time), level, String(message), fields));
  const prefixed = winston.format((line) => {
    const text = line[MESSAGE];
    if (typeof text === 'string') line[MESSAGE] = priorityPrefix(line.level as LogLevel) + text; // because no other levels are made
    return line;
  });
  const logger = winston.createLogger({
    levels: LEVELS,
    level: options.level,
    format: winston.format.combine(redacting(), shape, ...(options.isJournal === true ? [prefixed()] : [])),
    // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- because winston's types name another class
    transports: [new winston.transports.Stream({ stream: process.stderr, eol: '\n' })],
  });
  return {
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
