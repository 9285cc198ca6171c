/**
 * Lines that go straight into systemd's journal: each begins with its priority, which the journal takes off again, so that
 * `journalctl -p warning` finds what it should and the message is the line itself.
 *
 * Source: sd-daemon(3); systemd.exec(5), JOURNAL_STREAM and SyslogLevelPrefix=.
 */
import { fstatSync } from 'node:fs';
import type { LogLevel } from '../model/ports.js';

const STDERR = 2;

/** syslog(3): LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG. */
const PRIORITIES: Record<LogLevel, number> = { error: 3, warn: 4, info: 6, debug: 7 };

/** Whether stderr is the stream of the journal, and not what someone has led it to since: `DEVICE:INODE` of it is given. */
export function isJournal(environment: Readonly<Record<string, string | undefined>>): boolean {
  const given = environment['JOURNAL_STREAM'];
  if (given === undefined || given === '') return false;
  try {
    const { dev, ino } = fstatSync(STDERR, { bigint: true });
    return given === `${dev}:${ino}`;
  } catch {
    // No stderr at all.
    return false;
  }
}

/** What stands before a line of that level. */
export function priorityPrefix(level: LogLevel): string {
  return `<${PRIORITIES[level]}>`;
}
