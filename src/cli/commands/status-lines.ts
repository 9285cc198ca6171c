/** A status as a person reads it: what is wrong, what runs, who the daemon can be, and what went wrong lately. A glance, unless all is asked for. */
import { attentionOf, LATE_MS } from '../../daemon/attention.js';
import type { DaemonStatus, RunningOperation } from '../../daemon/status.js';
import { bytesText, columns, countText, spanText } from '../amounts.js';
import { patLines } from './pat-lines.js';
import { doorLines } from './status-doors.js';
import { identityLines, tenantLines } from './status-identities.js';

/** Rows of one list that are a glance; `--all` shows the others. */
const ROWS_SHOWN = 10;
/** A failure takes several lines. */
const FAILURES_SHOWN = 5;

/** How the lines are written. */
export interface Glance {
  readonly bold?: (text: string) => string;
  readonly all?: boolean;
}

/** The status as lines for a person, what is wrong first; its texts are printed as they are. `now` in ms since the epoch. */
export function statusLines(status: DaemonStatus, now: number, { bold = (text) => text, all = false }: Glance = {}): string[] {
  const list = { bold, most: all ? Number.POSITIVE_INFINITY : ROWS_SHOWN };
  const lines = [
    `${bold('postern')} ${status.version} is ${status.state} (pid ${status.pid}, since ${status.startedAt}, ${mebibytes(status.memory)} MiB)`,
    ...attentionLines(status, now, bold),
    ...runningLines(status, list),
    bold('identities'),
    ...status.identities.flatMap((identity) => [
      ...identityLines(identity, status, now, list.most),
      ...status.pats.filter((pat) => pat.identity === identity.name).flatMap((pat) => patLines(pat, now)),
    ]),
    ...leaseLines(status, now, list),
    ...failureLines(status, { bold, most: all ? list.most : FAILURES_SHOWN }),
    bold('doors'),
    ...doorLines(status),
    bold('routes'),
    ...cut(
      status.routes.map(
        ({ match, identity, allow, upstream, ssh }) =>
          `  ${match}  ${identity}  [${allow.join(', ')}]${upstream === undefined ? '' : `  at ${upstream}`}${ssh === undefined ? '' : `  ssh ${ssh}`}`,
      ),
      list.most,
    ),
    ...tenantLines(status.tenants, bold, list.most),
    ...callerLines(status, now, list),
    bold('operations since the start'),
    `  ${Object.entries(status.operations)
      .map(([verdict, count]) => `${verdict} ${count}`)
      .join(', ')}`,
  ];
  const { max, worst } = status.eventLoop;
  if (worst >= LATE_MS) lines.push(`  the event loop was late by ${worst} ms at worst, by ${max} ms lately`);
  lines.push(...refusedForLoadLines(status.traffic), ...upstreamLines(status, list));
  return lines.filter((line) => line.trim() !== '');
}

/** How a list is written. */
interface List {
  readonly bold: (text: string) => string;
  /** Rows that are shown. */
  readonly most: number;
}

/** The first rows, and how many more there are. */
function cut(rows: readonly string[], most: number): string[] {
  return rows.length <= most ? [...rows] : [...rows.slice(0, most), moreText(rows.length - most)];
}

function moreText(count: number): string {
  return `  and ${count} more, which --all shows`;
}

function attentionLines(status: DaemonStatus, now: number, bold: (text: string) => string): string[] {
  const found = attentionOf(status, now);
  if (found.length === 0) return [];
  return [
    bold('needs attention'),
    ...found.flatMap(({ what, todo }) => [`  ${what}`, ...(todo === undefined ? [] : [`    what to do: ${todo}`])]),
  ];
}

function upstreamLines({ throttled, upstreams, sshUpstreams }: DaemonStatus, { bold, most }: List): string[] {
  const rows = [
    ...throttled.map(({ key, waitMs }) => `  held back by the upstream for ${Math.ceil(waitMs / 1000)} s: ${key.trim()}`),
    ...upstreams.map(({ upstream, identity, busy, idle }) => `  connections to ${upstream} as ${identity}: ${busy} busy, ${idle} idle`),
    ...sshUpstreams.map(
      ({ host, user, key, busy, idle }) => `  connections to ${user}@${host} with the key ${key}: ${busy} busy, ${idle} idle`,
    ),
  ];
  return rows.length === 0 ? [] : [bold('upstreams'), ...cut(rows, most)];
}

/** Latest first. */
function failureLines({ failures }: DaemonStatus, { bold, most }: List): string[] {
  const latest = [...failures].reverse();
  const shown = latest.slice(0, most).flatMap(({ failure, startedAt, kind, repository, route, identity, activityId }) => {
    if (failure === undefined) return [];
    const where = [
      ...(route === undefined ? [] : [`route ${route}`]),
      ...(identity === undefined ? [] : [`identity ${identity}`]),
      ...(activityId === undefined ? [] : [`ActivityId ${activityId}`]),
    ].join(', ');
    return [
      `  ${String(startedAt)} ${kind} ${repository}: ${failure.what} (${failure.code})`,
      ...(where === '' ? [] : [`    ${where}`]),
      `    what to do: ${failure.todo}`,
    ];
  });
  if (shown.length === 0) return [];
  return [bold('latest failures'), ...shown, ...(latest.length > most ? [moreText(latest.length - most)] : [])];
}

/** What was refused because it was too much. */
function refusedForLoadLines({ refused }: DaemonStatus['traffic']): string[] {
  const told = Object.entries(refused).flatMap(([of, count]) => (count === 0 ? [] : [`${of} ${count}`]));
  return told.length === 0 ? [] : [`  refused because there was no room: ${told.join(', ')}`];
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}

/** Who asked, latest first. */
function callerLines({ callers, callersForgotten }: DaemonStatus, now: number, { bold, most }: List): string[] {
  if (callers.length === 0) return [];
  const rows = callers.slice(0, most).map(({ who, operations, refused, running, lastSeenAt }) => {
    const counts = [countText(operations, 'operation')];
    if (refused > 0) counts.push(`${refused} refused`);
    if (running > 0) counts.push(`${running} running`);
    return [`  ${callerText(who)}`, counts.join(', '), `last seen ${ago(lastSeenAt, now)}`];
  });
  const lines = [bold('callers since the start'), ...columns(rows)];
  const hidden = callers.length - rows.length;
  if (hidden > 0) lines.push(moreText(hidden));
  if (callersForgotten > 0) lines.push(`  and ${callersForgotten} seen before those, which only the log and the audit still know`);
  return lines;
}

/** Leases that were used and have not ended. */
function leaseLines({ callers }: DaemonStatus, now: number, { bold, most }: List): string[] {
  const rows = callers.flatMap(({ who, running, lastSeenAt }) => {
    if (who.kind !== 'lease') return [];
    const ends = who.expiresAt === undefined ? undefined : new Date(who.expiresAt).getTime();
    if (ends !== undefined && ends <= now && running === 0) return [];
    return [
      [
        `  ${who.id}`,
        who.label ?? '',
        ends === undefined ? '' : ends <= now ? 'ended' : `ends in ${spanText(ends - now)}`,
        running > 0 ? `${running} running` : `last used ${ago(lastSeenAt, now)}`,
        who.narrowedTo === undefined ? '' : `narrowed to ${who.narrowedTo}`,
      ],
    ];
  });
  return rows.length === 0 ? [] : [bold('leases in use'), ...cut(columns(rows), most)];
}

function runningLines({ running, betweenRequests }: DaemonStatus, { bold, most }: List): string[] {
  const lines =
    running.length === 0
      ? []
      : [
          bold('running operations (`postern kill ID` ends one)'),
          ...cut(columns([RUNNING_HEADINGS, ...running.map(runningCells)]), most + 1),
        ];
  if (betweenRequests.length === 0) return lines;
  const between = countText(betweenRequests.length, lines.length === 0 ? 'operation' : 'more operation');
  return [...(lines.length === 0 ? [bold('running operations')] : lines), `  ${between} between two requests of git`];
}

/** Headings for `runningCells`. */
export const RUNNING_HEADINGS: readonly string[] = ['  ID', 'WHAT', 'REPOSITORY', 'CALLER', 'DOWN', 'UP', 'AGE'];

/** A running operation as the cells of a line. */
export function runningCells(operation: RunningOperation): string[] {
  const { id, kind, step, repository, caller, uid, lease, bytesDown, bytesUp, ageMs } = operation;
  const who = lease ?? (uid === undefined ? caller : callerText({ kind: 'user', uid }));
  return [
    `  ${id}`,
    step === 'advertisement' ? `${kind} (asking for refs)` : kind,
    repository,
    who,
    bytesText(bytesDown),
    bytesText(bytesUp),
    spanText(ageMs),
  ];
}

function callerText(who: DaemonStatus['callers'][number]['who']): string {
  switch (who.kind) {
    case 'user':
      return `uid ${who.uid}`;
    case 'key':
      return `key ${who.fingerprint}`;
    case 'lease':
      return `lease ${who.id}${who.label === undefined ? '' : ` (${who.label})`}`;
    case 'address':
      return who.ip;
  }
}

/** `at` is a text once it has been through JSON. */
function ago(at: Date | string, now: number): string {
  const ms = now - new Date(at).getTime();
  return ms < 1000 ? 'just now' : `${spanText(ms)} ago`;
}
