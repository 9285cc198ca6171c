/**
 * What the gate would decide today about an operation that is in the audit: the same functions that admit a request, asked with
 * what the record kept of it. No network, no door, no credential.
 */
import type { RepoAddress } from '../model/address.js';
import type { AuditLease, AuditOperation } from '../model/audit.js';
import type { Caller, Entry, Peer } from '../model/caller.js';
import type { ErrorCode } from '../model/errors.js';
import type { Lease } from '../model/lease.js';
import { API_STEPS, type GitOperation, LFS_STEPS, type LfsStep, permissionsOf } from '../model/operation.js';
import type { Refusal } from '../model/refusal.js';
import { admit } from './admit.js';
import { Callers } from './callers.js';
import { refuseByLease } from './lease-rules.js';
import { refuseByRefs } from './ref-policy.js';
import type { RouteTable } from './route-table.js';

/** The rules of today. */
export interface ReplayRules {
  readonly routes: RouteTable;
  /** The daemon's own uid and those of `access.uids`. */
  readonly uids: readonly number[];
  /** The fingerprints of `access.keys`. */
  readonly keys: readonly string[];
  readonly entry: { readonly local: Entry; readonly remote: Entry };
  /** Why a lease is not accepted any more (its key, its ids); undefined when it is. */
  readonly leaseFault: (lease: Lease) => string | undefined;
}

/** One question that was asked, and its answer. */
export interface ReplayStep {
  readonly question: string;
  readonly answer: string;
  readonly isNo: boolean;
}

/** `undecided`: the record does not keep what the decision depends on; `why` is for a person. */
export type ReplayResult =
  | { readonly kind: 'passed'; readonly route: string | undefined; readonly identity: string | undefined }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly what: string }
  | { readonly kind: 'undecided'; readonly why: string };

export interface Replay {
  readonly steps: readonly ReplayStep[];
  readonly result: ReplayResult;
}

/** What the gate decides. Every other code is of something that happened before it was asked, or after it said yes. */
const GATE_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'caller-refused',
  'lease-required',
  'lease-insufficient',
  'no-route',
  'not-allowed',
  'ref-refused',
]);

/** What was decided then, as far as it was the gate that decided. */
export function decidedThen(record: AuditOperation): ReplayResult {
  const { verdict, code, what = '' } = record;
  if (code !== undefined && GATE_CODES.has(code)) return { kind: 'refused', code, what };
  if (verdict === 'refused')
    return {
      kind: 'undecided',
      why: `it was refused for how it was asked or for the state of the daemon (${code ?? 'no code'}), which no rule decides: ${what}`,
    };
  if (record.address === undefined) return { kind: 'undecided', why: 'whoever asked was gone before it was read what for' };
  return { kind: 'passed', route: record.route, identity: record.identity };
}

/** Asks the gate again, with today's rules, as if it were `now` (ms since the epoch). */
export function replay(record: AuditOperation, rules: ReplayRules, now: number): Replay {
  const steps: ReplayStep[] = [];
  const step = (question: string, answer: string, isNo = false): void => {
    steps.push({ question, answer, isNo });
  };
  const refused = ({ code, what }: Refusal): Replay => ({ steps, result: { kind: 'refused', code, what } });

  const peer = peerOf(record);
  const lease = record.lease === undefined ? undefined : leaseOf(record.lease);
  const caller = callerOf(peer, lease, record.key, rules);
  if (caller.kind === 'refusal') {
    step('who asks', caller.what, true);
    return refused(caller);
  }
  step(
    'who asks',
    caller.kind === 'lease' ? `the holder of lease ${record.lease?.ids.at(-1) ?? ''}, from ${record.caller}` : whoText(caller),
  );

  const operation = operationOf(record);
  if (operation === undefined) {
    const why = 'the record does not say what was asked for, because that was not read then';
    step('what for', why);
    return { steps, result: { kind: 'undecided', why } };
  }
  step('what for', `${operation.kind} (${operation.step}) of ${operation.address.display}`);
  if (lease !== undefined) {
    const fault = refuseByLease(lease, operation, peer, now);
    step(
      'the lease',
      fault === undefined ? `permits it (${lease.caveats.length} caveats, all of them hold)` : fault.what,
      fault !== undefined,
    );
  }
  const decision = admit(operation, caller, rules.routes, now);
  const route = rules.routes.find(operation.address);
  if (decision.kind === 'pass' || decision.code !== 'lease-insufficient') {
    step('the route', route === undefined ? 'none matches' : `${route.match}, identity ${route.identity}`, route === undefined);
    if (route !== undefined) {
      const isNo = decision.kind === 'refusal';
      const missing = permissionsOf(operation).filter((permission) => !route.allow.includes(permission));
      step(
        'what the route allows',
        `${route.allow.join(', ')}: ${missing.length > 0 ? `not ${missing.join(', ')}` : operation.kind}`,
        isNo,
      );
    }
  }
  if (decision.kind === 'refusal') return refused(decision);
  if (operation.kind === 'push' && operation.step !== 'advertisement') {
    const commands = (record.refs ?? []).map(({ ref, old, new: newOid }) => ({ ref, oldOid: old, newOid }));
    const fault = refuseByRefs(commands, decision.refPolicies);
    const answer = decision.refPolicies.length === 0 ? 'nothing limits them' : `${commands.length} refs are within the rules`;
    step('the refs of the push', fault === undefined ? answer : fault.what, fault !== undefined);
    if (fault !== undefined) return refused(fault);
    const leftOut = record.refsLeftOut ?? 0;
    if (leftOut > 0 && decision.refPolicies.length > 0) {
      const why = `the push named ${leftOut} more refs, which the record does not keep`;
      step('the other refs', why);
      return { steps, result: { kind: 'undecided', why } };
    }
  }
  return { steps, result: { kind: 'passed', route: decision.route.match, identity: decision.route.identity } };
}

/** Whether two results say the same: the same way and identity when it is a yes, the same rule when it is a no. */
export function isSameResult(then: ReplayResult, now: ReplayResult): boolean {
  if (then.kind === 'passed' && now.kind === 'passed') return then.route === now.route && then.identity === now.identity;
  if (then.kind === 'refused' && now.kind === 'refused') return then.code === now.code;
  return then.kind === now.kind;
}

function callerOf(peer: Peer, lease: Lease | undefined, key: string | undefined, rules: ReplayRules): Caller | Refusal {
  const callers = new Callers({
    uids: rules.uids,
    keys: rules.keys,
    leases: { verify: () => ({ kind: 'fault', what: 'no lease was sent', todo: '' }) },
  });
  if (lease !== undefined) {
    const fault = rules.leaseFault(lease);
    if (fault === undefined) return { kind: 'lease', peer, lease };
    return { kind: 'refusal', code: 'lease-invalid', status: 403, what: fault, todo: 'ask for a new lease' };
  }
  const entry = isLoopback(peer.ip) ? rules.entry.local : rules.entry.remote;
  return callers.identify({
    peer,
    lease: { kind: 'none' },
    key,
    entry,
    forwardedBy: undefined,
    calledBy: undefined,
    hasOtherCredential: false,
  });
}

function whoText(caller: Exclude<Caller, { kind: 'lease' }>): string {
  const at = `at ${caller.peer.address}`;
  switch (caller.kind) {
    case 'user':
      return `the local user with uid ${caller.uid}, ${at}`;
    case 'key':
      return `the holder of the key ${caller.fingerprint}, ${at}`;
    case 'anyone':
      return `anyone who can reach the door, ${at}`;
  }
}

function peerOf({ caller, uid }: AuditOperation): Peer {
  const ip = caller.replace(/:[0-9]+$/, '').replace(/^\[(.*)\]$/, '$1');
  const isHere = isLoopback(ip);
  const known = uid !== undefined ? ({ kind: 'known', uid } as const) : undefined;
  return {
    address: caller,
    ip,
    uid: known ?? (isHere ? { kind: 'unknown', why: 'the record does not say' } : { kind: 'remote' }),
  };
}

function isLoopback(ip: string): boolean {
  return ip === '::1' || /^127\./.test(ip);
}

function leaseOf({ keyId, caveats }: AuditLease): Lease {
  return {
    keyId,
    caveats: caveats.map(({ expiresAt, ...rest }) => ({ ...rest, expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt) })),
  };
}

function operationOf({ operation, step, address, repository = '' }: AuditOperation): GitOperation | undefined {
  if (address === undefined) return undefined;
  const asked: RepoAddress = {
    kind: address.kind,
    host: address.host,
    canonical: address.parts,
    display: repository,
    organisation: undefined,
    // No decision looks at where it would go.
    upstreamHost: address.host,
    path: '',
    mainPath: '',
  };
  if (operation === 'api') {
    const known = API_STEPS.find((each) => each === step);
    return { kind: 'api', step: known ?? 'write', address: asked, query: '' };
  }
  if (operation === 'lfs') {
    const known = Object.keys(LFS_STEPS).find((each): each is LfsStep => each === step);
    return known === undefined ? undefined : { kind: 'lfs', step: known, address: asked, suffix: '' };
  }
  const kind = (['fetch', 'push', 'archive'] as const).find((known) => known === operation);
  if (kind === undefined) return undefined;
  if (step === 'session' || kind === 'archive') return { kind, step: 'session', address: asked };
  return { kind, step: step === 'exchange' ? 'exchange' : 'advertisement', address: asked };
}
