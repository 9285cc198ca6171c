/**
 * What the status page is told: a part of what `postern status` says, by name, so that nothing comes into a browser that nobody thought
 * of. No secret is in it, and there is none in what it is taken from.
 */
import { type Pace, SECONDS_KEPT } from '../gate/pace.js';
import type { PageFailure, PageIdentity, PageOperation, PageView } from '../model/page-view.js';
import { attentionOf } from './attention.js';
import type { DaemonStatus, RunningOperation } from './status.js';

/** Rows of a list that a page shows: more than anybody reads, and no more than a slow browser draws each second. */
const MOST_ROWS = 100;

export function pageViewOf(status: DaemonStatus, pace: Pace, now: number): PageView {
  const { listen, running, callers, throttled } = status;
  const leases = callers.flatMap(({ who, running, lastSeenAt }) =>
    who.kind === 'lease' && (running > 0 || who.expiresAt === undefined || who.expiresAt.getTime() > now)
      ? [{ id: who.id, label: who.label, endsAt: who.expiresAt?.getTime(), running, lastSeenAt: lastSeenAt.getTime() }]
      : [],
  );
  return {
    now,
    version: status.version,
    pid: status.pid,
    state: status.state,
    startedAt: new Date(status.startedAt).getTime(),
    configuration: status.configuration,
    attention: attentionOf(status, now),
    doors: [
      ...listen.http.map((address) => ({ name: 'HTTP', address })),
      ...listen.ssh.map((address) => ({ name: 'SSH', address })),
      ...listen.telemetry.map((address) => ({ name: 'telemetry', address })),
    ],
    certificateEndsAt: listen.certificate === undefined ? undefined : new Date(listen.certificate.expiresAt).getTime(),
    identities: status.identities.map(pageIdentity),
    running: { ...cut(running.map(pageOperation)), between: status.betweenRequests.length },
    failures: [...status.failures].reverse().flatMap(pageFailure),
    leases: cut(leases),
    throttled: cut(throttled),
    counts: status.operations,
    pace: { spanSeconds: SECONDS_KEPT, seconds: pace.seconds },
  };
}

function cut<Row>(rows: readonly Row[]): { readonly rows: readonly Row[]; readonly more: number } {
  return { rows: rows.slice(0, MOST_ROWS), more: Math.max(0, rows.length - MOST_ROWS) };
}

function pageIdentity({ name, kind, state, failure, todo, variants }: DaemonStatus['identities'][number]): PageIdentity {
  const tokens = variants
    .slice(0, MOST_ROWS)
    .flatMap(({ variant, account, obtainedAt, renewsAt, expiresAt }) =>
      obtainedAt === undefined || expiresAt === undefined
        ? []
        : [{ variant, account, obtainedAt: obtainedAt.getTime(), renewsAt: renewsAt?.getTime(), expiresAt: expiresAt.getTime() }],
    );
  return { name, kind, state, failure, todo, tokens };
}

function pageOperation({
  id,
  kind,
  step,
  repository,
  door,
  ageMs,
  bytesUp,
  bytesDown,
  lease,
  uid,
  caller,
}: RunningOperation): PageOperation {
  const who = lease ?? (uid === undefined ? caller : `uid ${uid}`);
  return { id, kind, step, repository, door, ageMs, bytesUp, bytesDown, who };
}

function pageFailure({
  id,
  startedAt,
  ms,
  kind,
  repository,
  failure,
  route,
  identity,
  activityId,
}: DaemonStatus['failures'][number]): PageFailure[] {
  if (failure === undefined) return [];
  return [{ id, at: startedAt.getTime() + ms, kind, repository, ...failure, route, identity, activityId }];
}
