/** What `postern status` says of where the daemon listens, for whom, by which configuration, and where it writes down what it did. */
import type { DaemonStatus } from '../../daemon/status.js';
import { isLoopback } from '../../upstream/outgoing-proxy.js';

/** Lines for a person; the texts of `status` are printed as they are. */
export function doorLines(status: DaemonStatus): string[] {
  const { listen } = status;
  return [
    `  configuration  ${status.configuration ?? 'none: built-in defaults'}`,
    ...reloadLines(status.reload),
    `  http door      ${listen.http.join(', ')}`,
    ...certificateLines(listen.certificate),
    `  ssh door       ${listen.ssh.length === 0 ? 'off' : listen.ssh.join(', ')}`,
    ...(listen.telemetry.length === 0 ? [] : [`  telemetry      ${listen.telemetry.join(', ')}`]),
    ...accessLines(status),
    ...auditLines(status.audit),
  ];
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
