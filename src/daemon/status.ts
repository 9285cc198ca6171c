/**
 * What `postern status` is told, as plain data: the shape of its `--json`. Dates are text once they have been through it.
 */
import { displayHost } from '../gate/listening.js';
import type { CallerState } from '../gate/callers-seen.js';
import type { TrafficState } from '../gate/traffic.js';
import type { IdentityState } from '../identity/vault-state.js';
import type { AuditState } from '../model/audit.js';
import { leaseName } from '../model/lease.js';
import type { OperationRecord } from '../model/record.js';
import type { LogLevel } from '../model/ports.js';
import type { AccessSettings, Route, Settings } from '../model/settings.js';
import type { CertificateState } from '../store/door-certificates.js';
import type { SshUpstreamState } from '../ssh/host-pool.js';
import type { PoolState } from '../upstream/connections.js';
import type { TenantDifference, TenantState } from '../upstream/tenants.js';
import type { House } from './assemble.js';
import { loginStates, type LoginState } from './login-state.js';
import type { LoopLagState } from './loop-lag.js';
import type { PatState } from './pat-care.js';
import type { ReloadState } from './reloads.js';

export interface DaemonStatus {
  readonly pid: number;
  readonly version: string;
  readonly startedAt: string;
  /** Path of the configuration file, or undefined when the defaults are used. */
  readonly configuration: string | undefined;
  readonly state: 'starting' | 'ready' | 'draining';
  /** The latest reading of the configuration while it ran; undefined before there was one. */
  readonly reload?: ReloadState | undefined;
  /** The least grave lines that are logged now. */
  readonly logLevel?: LogLevel;
  readonly listen: {
    readonly http: readonly string[];
    /** `ssh://127.0.0.1:8422`; none when the SSH door is off. */
    readonly ssh: readonly string[];
    /** Where measurements and probes are answered; none when they are off. */
    readonly telemetry: readonly string[];
    /** Of the listeners with TLS; undefined when there are none. */
    readonly certificate?: CertificateState | undefined;
  };
  /** Who may use the doors. */
  readonly access: Pick<AccessSettings, 'local' | 'remote' | 'uids'>;
  readonly identities: readonly IdentityState[];
  /** Personal access tokens of identities, as far as there is something to tell. */
  readonly pats: readonly PatState[];
  /** Of the identities that people sign in for. */
  readonly logins: readonly LoginState[];
  /** Organisations whose tenant was asked of their upstream. */
  readonly tenants: readonly TenantState[];
  /** Tokens that went to organisations of another tenant: right for guests. */
  readonly tenantDifferences: readonly TenantDifference[];
  readonly routes: readonly RouteState[];
  readonly operations: Readonly<Record<string, number>>;
  readonly running: readonly RunningOperation[];
  /** Operations that have begun and of which no request runs now, by the latest one: git is at work, and a stop waits for them. */
  readonly betweenRequests: readonly RunningOperation[];
  /** Places that are taken, and refusals because there was none. */
  readonly traffic: TrafficState;
  /** How late the event loop is, ms. */
  readonly eventLoop: LoopLagState;
  readonly failures: readonly OperationRecord[];
  /** Who asked since the start, latest first, as far as they are kept; leases in use are among them. */
  readonly callers: readonly CallerState[];
  /** How many callers gave way to later ones. */
  readonly callersForgotten: number;
  readonly upstreams: readonly PoolState[];
  readonly sshUpstreams: readonly SshUpstreamState[];
  readonly throttled: readonly { readonly key: string; readonly waitMs: number }[];
  readonly audit: AuditState;
  /** Resident memory, bytes. */
  readonly memory: number;
}

/** An operation that runs, as `status` and `kill` show it. */
export interface RunningOperation {
  /** What `postern kill` is given. */
  readonly id: number;
  readonly kind: string;
  readonly step: string;
  readonly repository: string;
  readonly route: string | undefined;
  readonly identity: string | undefined;
  readonly door: OperationRecord['door'];
  /** The peer, `ip:port`. */
  readonly caller: string;
  readonly uid: number | undefined;
  /** The lease as texts name it: its latest id, and the holder's label. */
  readonly lease: string | undefined;
  /** Status of the upstream's answer, once there is one. */
  readonly upstreamStatus: number | undefined;
  readonly startedAt: Date;
  /** ms since it began. */
  readonly ageMs: number;
  /** Bytes of body from the caller, and to the caller. */
  readonly bytesUp: number;
  readonly bytesDown: number;
}

export interface RouteState {
  readonly match: string;
  readonly identity: string;
  readonly allow: readonly string[];
  readonly upstream: string | undefined;
  /** For SSH remotes that an agent signs for: which key, and where to; undefined when they are bridged. */
  readonly ssh?: string | undefined;
}

/** A route as `status` shows it. */
export function routeState({ match, identity, allow, upstream, ssh }: Route): RouteState {
  if (ssh.kind === 'bridge') return { match, identity, allow, upstream: upstream?.href };
  const where = ssh.upstream === undefined ? '' : ` at ${ssh.upstream.host}:${ssh.upstream.port}`;
  return { match, identity, allow, upstream: upstream?.href, ssh: `agent ${ssh.key ?? 'with its only key'}${where}` };
}

/** The addresses that are open, as URLs. */
export function addressesOf({ door, sshDoor }: House): { readonly http: readonly string[]; readonly ssh: readonly string[] } {
  return {
    http: door.bound.map(({ scheme, host, port }) => `${scheme}://${displayHost(host)}:${port}`),
    ssh: sshDoor.bound.map(({ host, port }) => `ssh://${displayHost(host)}:${port}`),
  };
}

/** All of it. `now` in ms since the epoch. */
export function statusOf(
  house: House,
  life: {
    readonly settings: Settings;
    readonly state: DaemonStatus['state'];
    readonly startedAt: Date;
    readonly version: string;
    readonly now: number;
    readonly reload: ReloadState | undefined;
    readonly logLevel: LogLevel;
    readonly telemetry: readonly string[];
    readonly eventLoop: LoopLagState;
  },
): DaemonStatus {
  const { settings, state, startedAt, version, now, reload, logLevel, telemetry, eventLoop } = life;
  const callers = house.ledger.callers();
  return {
    pid: process.pid,
    version,
    startedAt: startedAt.toISOString(),
    configuration: settings.file,
    state,
    reload,
    logLevel,
    listen: { ...addressesOf(house), telemetry, certificate: house.certificates?.state },
    access: settings.access,
    identities: house.vault.states(),
    pats: house.pats.states(),
    logins: loginStates(settings.identities, house.logins),
    tenants: house.tenants.states(),
    tenantDifferences: house.tenants.differences(),
    routes: house.routes.routes.map(routeState),
    operations: house.ledger.counts(),
    running: house.ledger.running().map((record) => runningOperation(record, now)),
    betweenRequests: house.ledger.conversations.between.map(({ record }) => runningOperation(record, now)),
    traffic: house.traffic.state,
    eventLoop,
    failures: house.ledger.failures().map(failedOperation),
    callers: callers.seen,
    callersForgotten: callers.forgotten,
    upstreams: house.connections.states(),
    sshUpstreams: house.sshUpstreams.states(),
    throttled: house.throttle.states(),
    audit: house.audit.state(),
    memory: process.memoryUsage.rss(),
  };
}

/** A record as `status` shows it while it runs. `now` in ms since the epoch. */
export function runningOperation(record: OperationRecord, now: number): RunningOperation {
  const { id, kind, step, repository, route, identity, door, caller, uid, lease, upstreamStatus, startedAt, bytesUp, bytesDown } = record;
  return {
    id,
    kind,
    step,
    repository,
    route,
    identity,
    door,
    caller,
    uid,
    lease: lease === undefined ? undefined : leaseName(lease),
    upstreamStatus,
    startedAt,
    // The wall clock may have been set back meanwhile.
    ageMs: Math.max(0, now - startedAt.getTime()),
    bytesUp,
    bytesDown,
  };
}

/** Refs of a failed push that `status` shows: a push may name 100,000. */
const REFS_SHOWN = 20;

/** A finished record as `status` shows it. */
export function failedOperation(record: OperationRecord): OperationRecord {
  return { ...record, refs: record.refs.slice(0, REFS_SHOWN) };
}
