/** `postern audit why ID`: what decided then, and what would be decided now, step by step and without the network. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { decidedThen, isSameResult, replay, type ReplayResult, type ReplayRules } from '../../gate/decision-replay.js';
import { RouteTable } from '../../gate/route-table.js';
import type { AuditOperation } from '../../model/audit.js';
import { systemClock } from '../../model/clock.js';
import { ProxyError } from '../../model/errors.js';
import type { Settings } from '../../model/settings.js';
import { type AuditPlaces, auditPlaces, chainNames } from '../../store/audit-files.js';
import { findRecord } from '../../store/audit-reader.js';
import { FileLeaseKeys } from '../../store/lease-keys.js';
import { SharedRevocations } from '../../store/shared-revocations.js';
import { FileLeaseRegister } from '../../store/lease-register.js';
import { type Context, loadFor, type SettingsFlags } from '../context.js';
import { unreadable } from './audit.js';
import { plain, recordLine } from './audit-text.js';

/** @throws ProxyError `usage` when there is no such record, `audit-unwritable`, `state-unusable`, and the faults of the configuration */
export async function auditWhy(context: Context, id: string, flags: SettingsFlags): Promise<number> {
  const { settings } = await loadFor(context, flags);
  const places = auditPlaces(context.places.stateDirectory, settings.audit.directory);
  const { chain, record } = await find(places, id).catch((thrown: unknown) => {
    throw unreadable(places, thrown);
  });
  const rules = rulesOf(settings, await ownerOf(places), context.places.stateDirectory);
  const then = decidedThen(record);
  const asked = Date.parse(record.time) - record.ms;
  const today = replay(record, rules, Date.now());
  // The same rules at the time of the record: apart when only time has gone by, such as the end of a lease.
  const atTheTime = replay(record, rules, asked);
  // What was refused before the gate was asked is not known to it, whatever it would say of the rest.
  const isComparable = then.kind !== 'undecided' && today.result.kind !== 'undecided';
  const isSame = isComparable ? isSameResult(then, today.result) : undefined;
  const { printer } = context;
  if (flags['json'] === true) {
    printer.json({
      chain,
      record,
      then,
      now: today.result,
      steps: today.steps,
      atTheTime: atTheTime.result,
      isSame,
      configuration: settings.file,
    });
    return 0;
  }
  const line = (text: string): void => printer.line(plain(text));
  line(recordLine(chain, record));
  line(`then: ${resultText(then)}`);
  line(`now, by ${settings.file ?? 'the built-in defaults'}:`);
  for (const [index, { question, answer, isNo }] of today.steps.entries())
    line(`  ${index + 1}. ${question}: ${answer}${isNo ? '  <- this says no' : ''}`);
  line(`now: ${resultText(today.result)}`);
  if (!isSameResult(today.result, atTheTime.result)) line(`with these rules at the time of the record: ${resultText(atTheTime.result)}`);
  if (isSame === undefined) line('The two cannot be compared');
  else line(isSame ? 'The same would be decided' : 'THE DECISIONS DIFFER');
  return 0;
}

/** `seq`, when only one chain has it, or `chain:seq`. */
async function find(places: AuditPlaces, id: string): Promise<{ chain: string; record: AuditOperation }> {
  const match = /^(?:([a-z0-9-]+):)?([0-9]{1,15})$/.exec(id);
  if (match === null)
    throw new ProxyError('usage', `${plain(id)} is no number of a record`, {
      todo: 'give one as `postern audit` shows it, such as daemon:17',
    });
  const seq = Number(match[2]);
  const found: { chain: string; record: AuditOperation }[] = [];
  for (const chain of await chainNames(places)) {
    if (match[1] !== undefined && match[1] !== chain) continue;
    const record = await findRecord(places, chain, seq);
    if (record === undefined) continue;
    if (record.kind === 'operation') found.push({ chain, record });
    else if (match[1] !== undefined)
      throw new ProxyError('usage', `The record ${id} is a note about the audit itself`, { todo: 'give the number of an operation' });
  }
  const [first, ...others] = found;
  if (first === undefined)
    throw new ProxyError('usage', `There is no operation ${id} in ${places.directory}`, { todo: '`postern audit` shows the numbers' });
  if (others.length > 0)
    throw new ProxyError('usage', `Several chains have a record ${id}`, {
      todo: `say which: ${found.map(({ chain }) => `${chain}:${seq}`).join(', ')}`,
    });
  return first;
}

/** The user of the daemon, who need not be the one who looks: root may. */
async function ownerOf({ key }: AuditPlaces): Promise<number> {
  return stat(key).then(
    ({ uid }) => uid,
    () => process.getuid?.() ?? -1,
  );
}

function rulesOf(settings: Settings, owner: number, stateDirectory: string): ReplayRules {
  const fault = (thrown: ProxyError): never => {
    throw thrown;
  };
  const register = new FileLeaseRegister(join(stateDirectory, 'leases.json'), { clock: systemClock, onFault: fault });
  register.load();
  const { revocations } = settings.access;
  const shared = revocations === undefined ? undefined : new SharedRevocations(revocations, { clock: systemClock, onFault: fault });
  shared?.load();
  // Keys that are configured are elsewhere, and may be for the daemon alone to read.
  const keys =
    settings.access.leaseKey === undefined
      ? new FileLeaseKeys(join(stateDirectory, 'lease-keys'), { isOwn: true, onFault: fault })
      : undefined;
  keys?.load();
  return {
    routes: new RouteTable(settings.routes),
    uids: [owner, ...settings.access.uids],
    keys: settings.access.keys.map(({ fingerprint }) => fingerprint),
    entry: settings.access,
    leaseFault: ({ keyId, caveats }) => {
      const revoked = caveats.find(({ id }) => register.isRevoked(id) || shared?.isRevoked(id) === true);
      if (revoked !== undefined) return `The lease is revoked (id ${revoked.id})`;
      if (keys?.ids.includes(keyId) === false) return `The key ${keyId} that sealed the lease is not among the keys any more`;
      return undefined;
    },
  };
}

function resultText(result: ReplayResult): string {
  switch (result.kind) {
    case 'passed':
      return `the gate lets it pass (route ${result.route ?? 'unknown'}, identity ${result.identity ?? 'unknown'})`;
    case 'refused':
      return `the gate refuses it (${result.code}): ${result.what}`;
    case 'undecided':
      return `not for the gate to say: ${result.why}`;
  }
}
