/** `postern audit verify`: whether the audit is what was written. */
import type { ChainReport } from '../../store/audit-report.js';
import { verifyAudit } from '../../store/audit-verify.js';
import type { Context, SettingsFlags } from '../context.js';
import { auditPlacesFor, unreadable } from './audit.js';
import { plain } from './audit-text.js';

/**
 * Exit code 0 when every chain is what was written, 1 when something was done to one.
 * @throws ProxyError `audit-unwritable` when it cannot be read, and the faults of the configuration
 */
export async function auditVerify(context: Context, flags: SettingsFlags): Promise<number> {
  const places = await auditPlacesFor(context, flags);
  const reports = await verifyAudit(places).catch((thrown: unknown) => {
    throw unreadable(places, thrown);
  });
  const { printer } = context;
  const isGood = (reports ?? []).every((report) => report.isGood);
  if (flags['json'] === true) printer.json({ isGood, directory: places.directory, chains: reports ?? [] });
  else if (reports === undefined) printer.line(`Nothing has been recorded in ${places.directory}`);
  else {
    for (const report of reports) for (const line of reportLines(report)) printer.line(plain(line));
    printer.line(isGood ? 'The audit is what was written' : 'THE AUDIT IS NOT WHAT WAS WRITTEN');
  }
  return isGood ? 0 : 1;
}

function reportLines({ chain, isGood, count, first, last, head, anchor, faults, notes }: ChainReport): string[] {
  const span = first === undefined || last === undefined ? '' : `, ${first.seq} of ${first.time} to ${last.seq} of ${last.time}`;
  const lines = [`${chain}: ${isGood ? 'good' : 'NOT GOOD'}, ${count} records${span}`];
  if (head !== undefined) lines.push(`  head ${head.seq} ${head.mac}`);
  if (anchor !== undefined && anchor.seq > 0) lines.push(`  anchor ${anchor.seq} ${anchor.mac}`);
  for (const fault of faults) lines.push(`  fault: ${fault}`);
  for (const note of notes) lines.push(`  note: ${note}`);
  return lines;
}
