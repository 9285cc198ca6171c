/** `postern status`: what the daemon is doing, who it can be, and what went wrong lately. */
import { askStatus } from '../../daemon/admin.js';
import type { DaemonStatus, RunningOperation } from '../../daemon/status.js';
import { isLoopback } from '../../upstream/outgoing-proxy.js';
import { bytesText, columns, countText, spanText } from '../amounts.js';
import type { Context } from '../context.js';
import { visibleAll } from '../visible.js';
import { patLines } from './pat-lines.js';
import { identityLines, tenantLines } from './status-identities.js';
import { notRunning } from './stop.js';

/** An event loop that late is worth a line. */
const LATE_MS = 500;
/** Callers that a person is shown; `--json` has all that are kept. */
const CALLERS_SHOWN = 10;

/** @throws ProxyError `not-running` */
export async function status({ places, printer }: Context, { json }: { json: boolean }): Promise<number> {
  const found = await askStatus(places.adminSocket);
  if (found === undefined) throw notRunning(places.adminSocket);
  if (json) printer.json(found);
  else for (const line of statusLines(visibleAll(found), Date.now(), printer.bold)) printer.line(line);
  return 0;
}

/** The status as lines for a person; its texts are printed as they are. `now` in ms since the epoch. */
export function statusLines(status: DaemonStatus, now: number, bold: (text: string) => string = (text) => text): string[] {
  const lines = [
    `${bold('postern')} ${status.version} is ${status.state} (pid ${status.pid}, since ${status.startedAt}, ${mebibytes(status.memory)} MiB)`,
    `  configuration  ${status.configuration ?? 'none: built-in defaults'}`,
    ...reloadLines(status.reload),
    `  http door      ${status.listen.http.join(', ')}`,
    ...certificateLines(status.listen.certificate),
    `  ssh door       ${status.listen.ssh.length === 0 ? 'off' : status.listen.ssh.join(', ')}`,
    ...(status.listen.telemetry.length === 0 ? [] : [`  telemetry      ${status.listen.telemetry.join(', ')}`]),
    ...accessLines(status),
    ...auditLines(status.audit),
    bold('identities'),
    ...status.identities.flatMap((identity) => [
      ...identityLines(identity, status, now),
      ...status.pats.filter((pat) => pat.identity === identity.name).flatMap((pat) => patLines(pat, now)),
    ]),
    ...tenantLines(status.tenants, bold),
    bold('routes'),
    ...status.routes.map(
      ({ match, identity, allow, upstream, ssh }) =>
        `  ${match}  ${identity}  [${allow.join(', ')}]${upstream === undefined ? '' : `  at ${upstream}`}${ssh === undefined ? '' : `  ssh ${ssh}`}`,
    ),
    ...callerLines(status, now, bold),
    ...leaseLines(status, now, bold),
    bold('operations since the start'),
    `  ${Object.entries(status.operations)
      .map(([verdict, count]) => `${verdict} ${count}`)
      .join(', ')}`,
  ];
  const { max, worst } = status.eventLoop;
  if (worst >= LATE_MS) lines.push(`  the event loop was late by ${worst} ms at worst, by ${max} ms lately`);
  lines.push(...refusedForLoadLines(status.traffic), ...runningLines(status.running, bold));
  if (status.betweenRequests.length > 0)
    lines.push(`  ${countText(status.betweenRequests.length, 'more operation')} between two requests of git`);
  if (status.throttled.length + status.upstreams.length + status.sshUpstreams.length > 0) lines.push(bold('upstreams'));
  for (const { key, waitMs } of status.throttled)
    lines.push(`  held back by the upstream for ${Math.ceil(waitMs / 1000)} s: ${key.trim()}`);
  for (const { upstream, identity, busy, idle } of status.upstreams)
    lines.push(`  connections to ${upstream} as ${identity}: ${busy} busy, ${idle} idle`);
  for (const { host, user, key, busy, idle } of status.sshUpstreams)
    lines.push(`  connections to ${user}@${host} with the key ${key}: ${busy} busy, ${idle} idle`);
  if (status.failures.length > 0) lines.push(bold('latest failures'));
  for (const record of status.failures) {
    const { failure } = record;
    if (failure === undefined) continue;
    lines.push(`  ${String(record.startedAt)} ${record.kind} ${record.repository}: ${failure.what} (${failure.code})`);
    const where = [
      record.route === undefined ? '' : `route ${record.route}`,
      record.identity === undefined ? '' : `identity ${record.identity}`,
    ];
    if (record.activityId !== undefined) where.push(`ActivityId ${record.activityId}`);
    lines.push(`    ${where.filter((part) => part !== '').join(', ')}`.trimEnd(), `    what to do: ${failure.todo}`);
  }
  return lines.filter((line) => line.trim() !== '');
}

function reloadLines(reload: DaemonStatus['reload']): string[] {
  if (reload === undefined) return [];
  if (reload.kind === 'done') return [`    read again at ${reload.at} (${reload.cause})`];
  const { at, cause, what, details, todo } = reload;
  return [
    `    NOT IN FORCE what was read at ${at} (${cause}), the one before it still is: ${what}`,
    ...details.map((line) => `      ${line}`),
    ...(todo === undefined ? [] : [`    what to do: ${todo}`]),
  ];
}

/** What was refused because it was too much. */
function refusedForLoadLines({ refused }: DaemonStatus['traffic']): string[] {
  const told = Object.entries(refused).flatMap(([of, count]) => (count === 0 ? [] : [`${of} ${count}`]));
  return told.length === 0 ? [] : [`  refused because there was no room: ${told.join(', ')}`];
}

function auditLines(audit: DaemonStatus['audit']): string[] {
  if (audit.kind === 'off') return ['  audit          off'];
  const { chain, count, last, anchor, directory, onFailure, waiting, lost, failure, findings } = audit;
  const lines = [`  audit          ${chain ?? 'no chain is open'} in ${directory}`];
  if (chain !== undefined) lines.push(`    head ${count} ${last}`, `    anchor ${anchor.count} ${anchor.last}`);
  if (failure !== undefined) {
    const so = onFailure === 'refuse' ? 'operations are refused' : 'operations go on';
    lines.push(`    CANNOT BE WRITTEN since ${failure.since}: ${failure.what}; ${so}`);
  }
  if (waiting > 0 || lost > 0) lines.push(`    ${waiting} records wait, ${lost} are lost`);
  for (const finding of findings) lines.push(`    NOT AS IT WAS LEFT: ${finding} (\`postern audit verify\` tells more)`);
  return lines;
}

function certificateLines(certificate: DaemonStatus['listen']['certificate']): string[] {
  if (certificate === undefined) return [];
  const trust = certificate.ca === undefined ? '' : `; clients trust ${certificate.ca}`;
  return [`  certificate    good until ${certificate.expiresAt}${trust}`];
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}

/** Who may use the listeners on loopback, and who the others, as far as there are any. */
function accessLines({ listen, access: { local, remote, uids } }: DaemonStatus): string[] {
  const isHere = (address: string): boolean => isLoopback(new URL(address).hostname);
  const others = uids.length === 0 ? '' : ` and uid ${uids.join(', ')}`;
  const here = {
    uid: `the user of the daemon${others}, and holders of leases`,
    lease: 'holders of leases only, also of the own user',
    anyone: 'ANYONE: EVERY USER AND PROGRAM OF THIS MACHINE',
  };
  const there = { lease: 'holders of leases only', anyone: 'ANYONE WHO CAN REACH IT' };
  const all = [...listen.http, ...listen.ssh];
  const lines = all.some(isHere) ? [`  who may use it ${here[local]}`] : [];
  const far = all.filter((address) => !isHere(address));
  return far.length === 0 ? lines : [...lines, `  who may use ${far.join(', ')}: ${there[remote]}`];
}

/** Who asked, latest first. */
function callerLines({ callers, callersForgotten }: DaemonStatus, now: number, bold: (text: string) => string): string[] {
  if (callers.length === 0) return [];
  const rows = callers.slice(0, CALLERS_SHOWN).map(({ who, operations, refused, running, lastSeenAt }) => {
    const counts = [countText(operations, 'operation')];
    if (refused > 0) counts.push(`${refused} refused`);
    if (running > 0) counts.push(`${running} running`);
    return [`  ${callerText(who)}`, counts.join(', '), `last seen ${ago(lastSeenAt, now)}`];
  });
  const lines = [bold('callers since the start'), ...columns(rows)];
  const hidden = callers.length - rows.length;
  if (hidden > 0) lines.push(`  and ${hidden} more, which --json lists`);
  if (callersForgotten > 0) lines.push(`  and ${callersForgotten} seen before those, which only the log and the audit still know`);
  return lines;
}

/** Leases that were used and have not ended. */
function leaseLines({ callers }: DaemonStatus, now: number, bold: (text: string) => string): string[] {
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
  return rows.length === 0 ? [] : [bold('leases in use'), ...columns(rows)];
}

function runningLines(running: DaemonStatus['running'], bold: (text: string) => string): string[] {
  if (running.length === 0) return [];
  const rows = running.map(runningCells);
  return [bold('running operations (`postern kill ID` ends one)'), ...columns([RUNNING_HEADINGS, ...rows])];
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
