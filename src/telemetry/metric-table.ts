/**
 * Every measurement of ours: its name, what it counts, and its labels. Names and units keep to Prometheus' conventions: base units,
 * `_total` for what only grows, times as seconds since the epoch. A label's values are a closed set or names of the configuration;
 * never a repository, a ref, a caller or a lease, of which there is no end and which are nobody's business here.
 *
 * Source: prometheus.io/docs/practices/naming; docs/TELEMETRY.md explains each to its reader, and a test holds the two together.
 */

export interface Family {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram, seconds. */
  readonly buckets?: readonly number[];
}

/** A whole operation: from a list of refs over loopback to a clone of gigabytes. */
const WHOLE_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800];
/** One phase: our own work is below a few ms, an upstream may count objects for minutes. */
const PHASE_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 300];
/** Finding a connection in the kernel's table. */
const LOOK_UP_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1];

const WHAT = ['door', 'operation', 'step'] as const;

export const FAMILIES = {
  started: counter('operations_started', 'Operations that were begun', ['door']),
  finished: counter('operations', 'Operations that have ended, by what came of them', [...WHAT, 'verdict', 'identity']),
  running: gauge('operations_running', 'Operations that run now', WHAT),
  errors: counter('operation_errors', 'Operations that were refused, failed, broke or were ended, by error code', [
    'door',
    'operation',
    'verdict',
    'code',
  ]),
  callers: counter('caller_operations', 'Operations that have ended, by what their caller showed as proof', ['door', 'caller']),
  bytes: counter('operation_bytes', 'Bytes of bodies from callers (up) and to callers (down), running operations included', [
    'door',
    'operation',
    'direction',
  ]),
  duration: histogram('operation_duration_seconds', 'Time of whole operations', WHAT, WHOLE_SECONDS),
  phase: histogram(
    'operation_phase_seconds',
    "Where the time of operations went: own is Postern's, the others it waited for; they add up to the whole",
    [...WHAT, 'phase'],
    PHASE_SECONDS,
  ),
  lookUp: histogram('caller_lookup_seconds', 'Time in which it was found out who asks; part of the phase own', ['door'], LOOK_UP_SECONDS),
  retries: counter('upstream_retries', 'Requests that were sent upstream once more, unnoticed by their callers', ['door', 'operation']),
  failing: gauge('identity_failing', 'Whether the latest try to get a credential for the identity failed', ['identity', 'kind']),
  obtainedAt: gauge('token_obtained_timestamp_seconds', 'When the token that is held was obtained', ['identity']),
  expiresAt: gauge('token_expiry_timestamp_seconds', 'When the token that is held ends', ['identity']),
  patExpiresAt: gauge('pat_expiry_timestamp_seconds', 'When the personal access token of the identity ends, where its organisation tells', [
    'identity',
  ]),
  tokenRequests: counter('token_requests', 'Requests for credentials, each try by itself', ['identity']),
  tokenFetches: counter('token_fetches', 'Credentials fetched, all tries together, by what came of it', ['identity', 'result']),
  pools: gauge('upstream_connections', 'Open connections to upstreams', ['protocol', 'identity', 'state']),
  throttled: gauge('upstream_throttled', 'How many of (upstream, organisation, identity) are held back at the wish of the upstream', []),
  doorConnections: gauge('door_connections', 'Open connections of callers', ['door']),
  certificate: gauge('door_certificate_expiry_timestamp_seconds', 'When the certificate of the TLS listeners ends', []),
  auditFailing: gauge('audit_failing', 'Whether the audit cannot be written at the moment', []),
  auditWaiting: gauge('audit_waiting_records', 'Records of the audit that wait to be written', []),
  auditLost: counter('audit_lost_records', 'Records of the audit that could not be written and are nowhere', []),
  ready: gauge('ready', 'Whether new operations are taken on: what /readiness says', []),
  limit: gauge('limit', 'How many connections each door takes, and how many operations may run at once', ['limit']),
  events: counter('log_events', 'Events of the log, also those below the level that is written', ['level', 'event']),
  reloads: counter('configuration_reloads', 'Reloads of the configuration, by what came of them', ['result']),
  reloadOk: gauge('configuration_last_reload_successful', 'Whether the latest reload succeeded; 1 when there was none', []),
  loadedAt: gauge('configuration_loaded_timestamp_seconds', 'When the configuration in use was loaded', []),
  build: gauge('build_info', 'Always 1; the version is a label', ['version']),
} as const satisfies Readonly<Record<string, Family>>;

export type FamilyKey = keyof typeof FAMILIES;

function counter(name: string, help: string, labels: readonly string[]): Family {
  return { name: `postern_${name}_total`, type: 'counter', help, labels };
}

function gauge(name: string, help: string, labels: readonly string[]): Family {
  return { name: `postern_${name}`, type: 'gauge', help, labels };
}

function histogram(name: string, help: string, labels: readonly string[], buckets: readonly number[]): Family {
  return { name: `postern_${name}`, type: 'histogram', help, labels, buckets };
}
