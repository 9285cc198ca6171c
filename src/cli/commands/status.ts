/** `postern status`: what the daemon is doing, who it can be, and what went wrong lately. */
import { askStatus } from '../../daemon/admin.js';
import type { DaemonStatus } from '../../daemon/status.js';
import type { Context } from '../context.js';
import { notRunning } from './stop.js';

/** @throws ProxyError `not-running` */
export async function status({ places, printer }: Context, { json }: { json: boolean }): Promise<number> {
  const found = await askStatus(places.adminSocket);
  if (found === undefined) throw notRunning(places.adminSocket);
  if (json) printer.json(found);
  else for (const line of statusLines(found, Date.now(), printer.bold)) printer.line(line);
  return 0;
}

/** The status as lines for a person. `now` in ms since the epoch. */
export function statusLines(status: DaemonStatus, now: number, bold: (text: string) => string = (text) => text): string[] {
  const lines = [
    `${bold('postern')} ${status.version} is ${status.state} (pid ${status.pid}, since ${status.startedAt}, ${mebibytes(status.memory)} MiB)`,
    `  configuration  ${status.configuration ?? 'none: built-in defaults'}`,
    `  http door      ${status.listen.http.join(', ')}`,
    ...certificateLines(status.listen.certificate),
    `  who may use it ${accessText(status.access)}`,
    bold('identities'),
    ...status.identities.flatMap((identity) => identityLines(identity, now)),
    bold('routes'),
    ...status.routes.map(
      ({ match, identity, allow, upstream }) =>
        `  ${match}  ${identity}  [${allow.join(', ')}]${upstream === undefined ? '' : `  at ${upstream}`}`,
    ),
    bold('operations'),
    `  ${Object.entries(status.operations)
      .map(([verdict, count]) => `${verdict} ${count}`)
      .join(', ')}`,
  ];
  for (const record of status.running)
    lines.push(`  running: ${record.kind} ${record.repository}, ${record.bytesDown} bytes down, ${record.bytesUp} up`);
  for (const { key, waitMs } of status.throttled)
    lines.push(`  held back by the upstream for ${Math.ceil(waitMs / 1000)} s: ${key.trim()}`);
  for (const { upstream, identity, busy, idle } of status.upstreams)
    lines.push(`  connections to ${upstream} as ${identity}: ${busy} busy, ${idle} idle`);
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

function identityLines(identity: DaemonStatus['identities'][number], now: number): string[] {
  // Dates are text once they have been through JSON.
  const ends = identity.expiresAt === undefined ? undefined : new Date(identity.expiresAt).getTime();
  const life = ends === undefined ? '' : `, token good for ${Math.max(0, Math.round((ends - now) / 1000))} s`;
  const lines = [`  ${identity.name}  ${identity.kind}  ${identity.state}${life}`];
  if (identity.failure !== undefined) lines.push(`    ${identity.failure}`, `    what to do: ${identity.todo ?? 'see the log'}`);
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

function accessText({ local, remote, uids }: DaemonStatus['access']): string {
  const others = uids.length === 0 ? '' : ` and uid ${uids.join(', ')}`;
  const here = {
    uid: `the user of the daemon${others}, and holders of leases`,
    lease: 'holders of leases',
    anyone: 'ANYONE on this machine',
  };
  return remote === 'anyone' ? `${here[local]}; from elsewhere ANYONE` : here[local];
}
