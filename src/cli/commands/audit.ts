/** `postern audit`: what was done and refused, from the files, with or without a daemon. */
import { parseAge } from '../../config/duration.js';
import type { AuditRecord } from '../../model/audit.js';
import { messageOf, ProxyError, systemCodeOf } from '../../model/errors.js';
import { type AuditPlaces, auditPlaces } from '../../store/audit-files.js';
import { type ChainRecord, followAudit, readAudit, type ReadSoFar } from '../../store/audit-reader.js';
import { type Context, loadFor, type SettingsFlags } from '../context.js';
import { whenOutputEnds } from '../screen.js';
import { recordLine } from './audit-text.js';

/** Records that are shown when nobody says how many. */
const DEFAULT_LIMIT = 50;
const VERDICTS = ['passed', 'refused', 'failed', 'broken', 'client-gone', 'killed'];

interface Filter {
  readonly repo: RegExp | undefined;
  readonly lease: string | undefined;
  readonly verdict: string | undefined;
  readonly since: number | undefined;
  readonly until: number | undefined;
}

/** @throws ProxyError `usage`, `audit-unwritable` when the files cannot be read, and the faults of the configuration */
export async function audit(context: Context, flags: SettingsFlags): Promise<number> {
  const places = await auditPlacesFor(context, flags);
  const filter = filterOf(flags, Date.now());
  const limit = limitOf(flags['limit']);
  const { printer } = context;
  const print = ({ chain, record }: ChainRecord): void =>
    printer.line(flags['json'] === true ? JSON.stringify({ chain, ...record }) : recordLine(chain, record));
  try {
    const sofar: ReadSoFar = new Map();
    // The latest ones, in the order of time: the end is what a reader has before the eyes.
    const kept: ChainRecord[] = [];
    for await (const each of readAudit(places, sofar)) {
      if (!fits(each.record, filter)) continue;
      kept.push(each);
      if (kept.length >= 2 * limit) kept.splice(0, kept.length - limit);
    }
    for (const each of kept.slice(-limit)) print(each);
    if (flags['follow'] !== true) return 0;
    whenOutputEnds(() => process.exit(0));
    for await (const each of followAudit(places, sofar)) if (fits(each.record, filter)) print(each);
    return 0;
  } catch (thrown) {
    throw unreadable(places, thrown);
  }
}

/** Where the audit is by the configuration, also when that says that no more is to be written. */
export async function auditPlacesFor(context: Context, flags: SettingsFlags): Promise<AuditPlaces> {
  const { settings } = await loadFor(context, flags);
  if (!settings.audit.isOn) context.printer.note('The audit is switched off (`audit: off`); this is what was written before');
  return auditPlaces(context.places.stateDirectory, settings.audit.directory);
}

/** What to throw when the files of the audit cannot be read. */
export function unreadable(places: AuditPlaces, thrown: unknown): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  const code = systemCodeOf(thrown);
  return new ProxyError('audit-unwritable', `The audit cannot be read (${messageOf(thrown)})`, {
    todo:
      code === 'EACCES' || code === 'EPERM'
        ? 'run the command as the user of the daemon'
        : `see that ${places.directory} and ${places.key} are what the daemon wrote`,
    cause: thrown,
  });
}

function fits(record: AuditRecord, { repo, lease, verdict, since, until }: Filter): boolean {
  const at = Date.parse(record.time);
  if ((since !== undefined && at < since) || (until !== undefined && at > until)) return false;
  if (record.kind !== 'operation') return repo === undefined && lease === undefined && verdict === undefined;
  if (verdict !== undefined && record.verdict !== verdict) return false;
  if (lease !== undefined && record.lease?.label !== lease && record.lease?.ids.includes(lease.toLowerCase()) !== true) return false;
  return repo === undefined || repo.test(record.repository ?? '') || repo.test(record.address?.parts.join('/') ?? '');
}

function filterOf(flags: SettingsFlags, now: number): Filter {
  const verdict = textOf(flags['verdict']);
  if (verdict !== undefined && !VERDICTS.includes(verdict))
    throw new ProxyError('usage', `${verdict} is not a verdict`, { todo: `use one of ${VERDICTS.join(', ')}` });
  const repo = textOf(flags['repo']);
  return {
    repo: repo === undefined ? undefined : repoPattern(repo),
    lease: textOf(flags['lease']),
    verdict,
    since: timeOf('since', textOf(flags['since']), now),
    until: timeOf('until', textOf(flags['until']), now),
  };
}

/**
 * A pattern as routes have them: `*` is one part, a last `**` any rest, compared without case. Without a `/` it is a word that
 * has to be one of the parts, so that a repository is found by its name alone.
 */
function repoPattern(pattern: string): RegExp {
  const parts = pattern
    .split('/')
    .filter((part) => part !== '')
    .map((part) =>
      part
        .replace(/[.+?^${}()|[\]\\]/g, '\\$&')
        .replaceAll('**', '\u0000')
        .replaceAll('*', '[^/]*')
        .replaceAll('\u0000', '.*'),
    );
  const whole = parts.join('/').replace(/\/\.\*$/, '(?:/.*)?');
  return new RegExp(parts.length === 1 ? `(?:^|/)${whole}(?:/|$)` : `^${whole}$`, 'i');
}

/** ms since the epoch of a time, or of a time ago. */
function timeOf(flag: string, text: string | undefined, now: number): number | undefined {
  if (text === undefined) return undefined;
  if (/^[0-9]+(?:ms|s|m|h|d)$/.test(text)) {
    try {
      return now - parseAge(text);
    } catch (thrown) {
      throw new ProxyError('usage', `--${flag}: ${messageOf(thrown)}`, {
        todo: 'give a time such as 2026-01-31, or how long ago, such as 2h',
      });
    }
  }
  const at = /^[0-9]{4}-[0-9]{2}-[0-9]{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    throw new ProxyError('usage', `--${flag}: ${text} is no time`, {
      todo: 'give one such as 2026-01-31 or 2026-01-31T08:00:00Z, or how long ago, such as 2h',
    });
  return at;
}

function limitOf(value: unknown): number {
  if (value === undefined) return DEFAULT_LIMIT;
  const limit = Number(value);
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw new ProxyError('usage', `--limit: ${textOf(value) ?? 'that'} is no number of records`, { todo: 'give one from 1 on' });
  return limit;
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
