/**
 * Where git-lfs goes on when it has asked over SSH: the HTTP door's address for the repository, as this client can reach it, and a
 * lease for one direction of LFS that ends soon. The lease is narrowed from the client's own where it came with one, else sealed anew;
 * it never permits more than the client may do by itself, and it moves no ref. Why it is in no list: docs/decisions/0029.
 */
import { X509Certificate } from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';
import { newLeaseId } from '../gate/lease-seal.js';
import { endOf } from '../gate/lease-words.js';
import { lfsGrant, narrowToLfs } from '../gate/lfs-lease.js';
import { isLoopbackAddress } from '../gate/peers.js';
import type { BoundAddress } from '../http/door-listeners.js';
import { hostInUrl } from '../http/listener-tls.js';
import type { Caller } from '../model/caller.js';
import { type ErrorCode, messageOf, ProxyError } from '../model/errors.js';
import { foldName } from '../model/fold.js';
import type { CertificateSource, Clock } from '../model/ports.js';
import type { Refusal } from '../model/refusal.js';
import type { Secret } from '../model/secret.js';
import type { Settings } from '../model/settings.js';
import type { LfsGuide, LfsQuestion } from '../ssh/lfs-guide.js';
import type { LeaseDesk } from './lease-desk.js';

/**
 * How long such a lease is used for new requests: git-lfs asks over SSH again by itself when that is over. Whoever loses the right to come in
 * over SSH keeps LFS for as long as the lease lasts, and no longer.
 */
export const TOLD_MS = 10 * 60_000;
/**
 * How long it lasts. What git-lfs is told at the last moment (addresses of a hundred objects, which end with the lease) must be good for a while
 * longer: an address with five seconds left counts as ended, and each such one is a failed try of its object.
 */
export const LFS_LEASE_MS = 2 * TOLD_MS;
export interface LfsGuideParts {
  /** The names of the door besides its addresses, and the identities. */
  readonly settings: { readonly listen: Pick<Settings['listen'], 'names'> } & Pick<Settings, 'identities'>;
  /** What of the HTTP door is open now. */
  readonly door: { readonly bound: readonly BoundAddress[] };
  /** What listeners with TLS show; undefined when there are none. */
  readonly certificates: CertificateSource | undefined;
  /** Makes leases; undefined without a state directory. */
  readonly leases: Pick<LeaseDesk, 'seal' | 'isRevoked'> | undefined;
  readonly clock: Clock;
}

/** Refusals: `operation-unknown` where LFS cannot be had that way, `state-unusable`, `secret-unreadable` when no lease can be made. */
export function lfsGuide(parts: LfsGuideParts): LfsGuide {
  const ids = new GrantIds(parts);
  return async (question) => {
    const { route } = question;
    const { address } = question.operation;
    const unserved = whyUnserved(question, parts.settings);
    if (unserved !== undefined) return { ...unserved, route: route.match };
    const base = await baseFor(question, parts);
    if (base === undefined) return { ...refusal(NO_DOOR.what, NO_DOOR.todo), route: route.match };
    const path = `${address.path}${address.path.endsWith('.git') ? '' : '.git'}/info/lfs`;
    const href = `${base}/${address.upstreamHost}${path}`;
    try {
      return { kind: 'access', href, ...(await lend(question, new URL(base).hostname, parts, ids)) };
    } catch (thrown) {
      if (!(thrown instanceof ProxyError)) throw thrown;
      const todo = thrown.todo ?? 'look into the log of Postern';
      return { ...refusal(thrown.message, todo, thrown.code), status: 503, route: route.match };
    }
  };
}

/** Why HTTPS is no way to the LFS of a repository. */
function whyUnserved({ route, operation }: LfsQuestion, { identities }: LfsGuideParts['settings']): Refusal | undefined {
  const { address } = operation;
  const kind = identities.find(({ name }) => name === route.identity)?.kind;
  const isAgent = route.ssh.kind === 'agent';
  if (kind === 'passthrough' || (kind === 'none' && isAgent)) {
    return refusal(
      'Git LFS goes over HTTPS, and the route of this SSH remote has no identity for that: ' +
        (kind === 'none' ? 'it asks without a credential' : 'it passes on what the client sends, which is nothing over SSH'),
      `give the route ${route.match} an identity that the host knows (\`identity\`), or set \`lfs.url\` of the repository to an address that serves its objects`,
    );
  }
  if (isAgent && route.upstream === undefined && /:[0-9]+$/.test(address.host)) {
    return refusal(
      `Git LFS goes over HTTPS, and the port in ${address.host} is that of SSH`,
      `write \`upstream\` on the route ${route.match}: the address of the same host for HTTPS`,
    );
  }
  if (address.canonical.some((part) => foldName(part).includes('*'))) {
    return refusal('The name of the repository has a `*`, and no lease can be for such a name', 'use an HTTPS remote for it');
  }
  return undefined;
}

const NO_DOOR = {
  what: 'Git LFS goes over HTTP, and no listener of the HTTP door can be reached from here by an address that it is known by',
  todo: 'let `listen.http` listen where `listen.ssh` does; with TLS its certificate must be for the address that ssh dials, or for one of `listen.names`',
};

/**
 * The address of the door for who came by SSH, without a slash at its end. Who came to a listener on loopback is on this machine, so
 * loopback comes first. For others no name is known by which they came: what the configuration says comes first (`listen.names`), because
 * through a published port nothing else is right, and then the address that they reached. With TLS only what the certificate is for.
 */
async function baseFor(question: LfsQuestion, { door, settings, certificates }: LfsGuideParts): Promise<string | undefined> {
  for (const { scheme, host, port } of candidates(question, door.bound, settings.listen.names))
    if (scheme === 'http' || (await isCertified(host, certificates))) return `${scheme}://${hostInUrl(host)}:${port}`;
  return undefined;
}

function candidates({ isLocal, dialed }: LfsQuestion, bound: readonly BoundAddress[], names: readonly string[]): BoundAddress[] {
  const like = (one: BoundAddress): number => (isIPv6(one.host) === isIPv6(dialed) ? 0 : 1);
  const [loopback, others] = [bound.filter(({ host }) => isLoopbackAddress(host)), bound.filter(({ host }) => !isLoopbackAddress(host))];
  if (isLocal) {
    const own = others.map((each) => ({ ...each, host: loopbackOf(each.host) }));
    return [...loopback, ...own].sort((a, b) => like(a) - like(b));
  }
  return others.flatMap((each) => {
    const isReached = each.host === dialed || (loopbackOf(each.host) !== each.host && like(each) === 0);
    return [...names, ...(isReached ? [dialed] : [])].map((host) => ({ ...each, host }));
  });
}

/** Where a listener is reached from this machine: one on all addresses on loopback too. */
function loopbackOf(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
}

async function isCertified(host: string, certificates: CertificateSource | undefined): Promise<boolean> {
  if (certificates === undefined) return false;
  const certificate = new X509Certificate((await certificates.current()).certificate);
  return (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined;
}

/** `reached`: what the address of the HTTP door is reached by. */
async function lend(
  { operation, caller }: LfsQuestion,
  reached: string,
  { leases, clock }: LfsGuideParts,
  ids: GrantIds,
): Promise<{ lease: Secret; expiresAt: Date }> {
  const own = (caller.kind === 'lease' ? endOf(caller.lease)?.getTime() : undefined) ?? Number.POSITIVE_INFINITY;
  const within = (ms: number): Date => new Date(Math.floor(Math.min(clock.now() + ms, own) / 1000) * 1000);
  const expiresAt = within(TOLD_MS);
  if (caller.kind === 'lease' && caller.text !== undefined) {
    return { lease: narrowToLfs(caller.text, operation, within(LFS_LEASE_MS)), expiresAt };
  }
  try {
    if (leases === undefined) {
      throw new ProxyError('state-unusable', 'There is no state directory, so no lease can be given out for Git LFS', {
        todo: 'give Postern a state directory (POSTERN_STATE_DIRECTORY)',
      });
    }
    // Only of who comes over loopback the door is told the user.
    const { uid } = caller.peer;
    const grant = lfsGrant(operation, within(LFS_LEASE_MS));
    const isBound = uid.kind === 'known' && isLoopbackAddress(reached.replace(/^\[|\]$/g, ''));
    return {
      lease: await leases.seal({ ...grant, id: ids.of(caller), label: labelOf(caller), ...(isBound ? { uids: [uid.uid] } : {}) }),
      expiresAt,
    };
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    throw new ProxyError('request-malformed', `No lease can be for this repository: it ${messageOf(thrown)}`, {
      todo: 'use an HTTPS remote for it',
      cause: thrown,
    });
  }
}

/**
 * The ids of what is sealed anew: one for each caller, for as long as such a lease lasts. Callers by lease are counted by the id of the grant
 * (shares of the door, `postern status`), and git-lfs asks several times for one push.
 */
class GrantIds {
  readonly #parts: Pick<LfsGuideParts, 'leases' | 'clock'>;
  /** In the order in which they end. */
  readonly #given = new Map<string, { readonly id: string; readonly until: number }>();

  constructor(parts: Pick<LfsGuideParts, 'leases' | 'clock'>) {
    this.#parts = parts;
  }

  of(caller: Caller): string {
    const now = this.#parts.clock.now();
    for (const [ended, { until }] of this.#given) {
      if (until > now) break;
      this.#given.delete(ended);
    }
    const who = caller.kind === 'anyone' ? caller.peer.ip : labelOf(caller);
    const known = this.#given.get(who);
    if (known !== undefined && this.#parts.leases?.isRevoked(known.id) !== true) return known.id;
    const id = newLeaseId();
    this.#given.delete(who);
    this.#given.set(who, { id, until: now + LFS_LEASE_MS });
    return id;
  }
}

/** Who it is for, as the audit will name it. */
function labelOf(caller: Caller): string {
  switch (caller.kind) {
    case 'user':
      return `git-lfs over SSH, uid ${caller.uid}`;
    case 'key':
      return `git-lfs, ${caller.fingerprint}`;
    case 'anyone':
    case 'lease':
      return 'git-lfs over SSH';
  }
}

function refusal(what: string, todo: string, code: ErrorCode = 'operation-unknown'): Refusal {
  return { kind: 'refusal', code, status: 403, what, todo };
}
