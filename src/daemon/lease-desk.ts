/**
 * The desk where leases are given out, listed and ended: what the admin socket's lease actions do. Joins the keys, what is
 * remembered, and the grammar of what a lease is for.
 */
import { isId } from '../gate/caveat-text.js';
import type { LeaseVerifier } from '../gate/callers.js';
import { mintLease, newLeaseId } from '../gate/lease-seal.js';
import { endOf, grantSentence, patternText } from '../gate/lease-words.js';
import type { HostKind } from '../model/address.js';
import { ProxyError } from '../model/errors.js';
import type { Caveat, RepoPattern } from '../model/lease.js';
import type { Clock } from '../model/ports.js';
import { Secret } from '../model/secret.js';
import type { FileLeaseRegister } from '../store/lease-register.js';
import type { LeaseKey } from '../store/lease-keys.js';
import type { SharedRevocations } from '../store/shared-revocations.js';
import { readLeaseRepo } from './lease-repos.js';

/** Longest life of a lease: a year and a day, so that what is renewed every year never has a gap. */
export const LONGEST_LEASE_MS = 366 * 86_400_000;

/**
 * Longest life of a lease whose key other daemons may have while nothing tells them what is revoked here: what was revoked is
 * over everywhere within the hour.
 */
export const LONGEST_UNSHARED_MS = 3_600_000;

/** Where root keys come from: a file, or given once. */
export interface LeaseKeyring {
  readonly ids: readonly string[];
  /** @throws ProxyError `secret-unreadable` */
  load(): Promise<void> | void;
  keyOf(id: string): Secret | undefined;
  newest(): Promise<LeaseKey>;
  rotate(options: { readonly forgetOld: boolean }): Promise<string>;
}

/** What a lease is asked for; repositories as someone writes them (lease-repos.ts). */
export interface LeaseRequest extends Omit<Caveat, 'id' | 'repos' | 'expiresAt'> {
  readonly repos: readonly string[];
  /** ms from now. */
  readonly forMs: number;
}

export interface CreatedLease {
  /** The lease itself. */
  readonly lease: string;
  readonly id: string;
  readonly expiresAt: string;
  readonly repos: readonly RepoPattern[];
  /** What is probably not meant, one line each. */
  readonly notes: readonly string[];
}

export interface ListedLease {
  readonly id: string;
  readonly label: string | undefined;
  readonly grant: string;
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly revokedAt: string | undefined;
}

/** What the daemon says of a lease that it is shown. */
export type LeaseJudgement = { readonly isValid: true } | { readonly isValid: false; readonly what: string; readonly todo: string };

export interface LeaseDeskParts {
  readonly keys: LeaseKeyring;
  readonly register: FileLeaseRegister;
  /** The list of revoked leases that other daemons hear of too. */
  readonly shared: SharedRevocations | undefined;
  readonly verifier: LeaseVerifier;
  readonly clock: Clock;
  /** Whether the keys stand in a file of our own: then the list of revoked leases stands beside it. */
  readonly hasOwnKeys: boolean;
  /** The kind that a route declares for a host. */
  readonly kindOf: (host: string) => HostKind | undefined;
}

export class LeaseDesk {
  readonly #parts: LeaseDeskParts;

  constructor(parts: LeaseDeskParts) {
    this.#parts = parts;
  }

  /**
   * Reads what is there; makes nothing.
   * @throws ProxyError `secret-unreadable`, `state-unusable`
   */
  async load(): Promise<void> {
    const { keys, register, shared, hasOwnKeys } = this.#parts;
    await keys.load();
    register.load();
    shared?.load();
    // The list is made before the first key, so it has been taken away, and with it what was revoked.
    if (hasOwnKeys && keys.ids.length > 0 && !register.exists) {
      throw new ProxyError(
        'state-unusable',
        'There are keys of leases in the state directory, and the list leases.json of revoked ones is gone',
        {
          todo: 'restore it from a copy; or end every lease: move the file lease-keys in the state directory away',
        },
      );
    }
  }

  /**
   * Gives out a lease.
   * @throws ProxyError `usage` when it cannot be what is meant; `secret-unreadable`, `state-unusable`
   */
  async create(request: LeaseRequest): Promise<CreatedLease> {
    const { register, shared, clock, kindOf, hasOwnKeys } = this.#parts;
    const { forMs: askedMs, repos: written, ...rest } = request;
    if (!(askedMs >= 1000 && askedMs <= LONGEST_LEASE_MS)) {
      throw new ProxyError('usage', 'A lease lasts from a second to 366 days', { todo: 'give it for a time such as `--for 2h`' });
    }
    const isCut = !hasOwnKeys && shared === undefined && askedMs > LONGEST_UNSHARED_MS;
    const forMs = isCut ? LONGEST_UNSHARED_MS : askedMs;
    const repos = written.map((text) => readLeaseRepo(text, kindOf));
    const now = clock.now();
    const grant: Caveat = { ...rest, repos, id: newLeaseId(), expiresAt: new Date(Math.floor((now + forMs) / 1000) * 1000) };
    let lease: Secret;
    try {
      lease = await this.seal(grant);
    } catch (thrown) {
      if (!(thrown instanceof SyntaxError || thrown instanceof RangeError)) throw thrown;
      throw new ProxyError('usage', `There is no such lease: it ${thrown.message}`, {
        todo: 'give less to one lease, or make two',
        cause: thrown,
      });
    }
    const expiresAt = grant.expiresAt ?? new Date(now);
    await register.add({ id: grant.id, label: grant.label, grant: grantSentence(grant), createdAt: new Date(now), expiresAt });
    return {
      lease: lease.reveal(),
      id: grant.id,
      expiresAt: expiresAt.toISOString(),
      repos,
      notes: [...(isCut ? [CUT] : []), ...notesOn(grant)],
    };
  }

  /**
   * Makes a lease that is in no list: for what lasts minutes, and is asked for often. Its id can be revoked like any other.
   * @throws SyntaxError, RangeError when the grant breaks a bound; ProxyError `secret-unreadable`, `state-unusable`
   */
  async seal(grant: Caveat): Promise<Secret> {
    const { keys, register, shared } = this.#parts;
    // The list is made before the first key, so that a key without it is noticed.
    await register.make();
    await shared?.make();
    const unknown = shared?.look();
    if (unknown !== undefined) throw unknown;
    const { id, key } = await keys.newest();
    return mintLease(id, key, grant);
  }

  /** Whether an id was revoked, here or at a daemon that shares its list. */
  isRevoked(id: string): boolean {
    const { register, shared } = this.#parts;
    return register.isRevoked(id) || shared?.isRevoked(id) === true;
  }

  /** Leases that have not ended, given out by this daemon or by one that shares its state directory. */
  list(): ListedLease[] {
    return this.#parts.register.issued().map((lease) => ({
      ...lease,
      createdAt: lease.createdAt.toISOString(),
      expiresAt: lease.expiresAt.toISOString(),
      revokedAt: (lease.revokedAt ?? this.#parts.shared?.revokedAt(lease.id))?.toISOString(),
    }));
  }

  /**
   * Ends what the ids are links of, at once here, and at the daemons that share the list. Gives the ids that were not given out
   * here: those of narrowed leases, of other daemons, and mistyped ones; and whether other daemons hear of it.
   * @throws ProxyError `usage`; `state-unusable` when it would not last, or the other daemons do not hear of it
   */
  async revoke(ids: readonly string[]): Promise<{ readonly unknown: readonly string[]; readonly isShared: boolean }> {
    const wrong = ids.filter((id) => !isId(id)).length;
    if (wrong > 0 || ids.length === 0) {
      throw new ProxyError('usage', wrong > 1 ? `${wrong} of these are no ids of leases` : 'This is no id of a lease', {
        todo: 'give ids of 16 hex digits, as `postern lease list` and `postern lease explain` show them',
      });
    }
    const { register, shared, clock } = this.#parts;
    const revokedAt = new Date(clock.now());
    const latest = new Date(clock.now() + LONGEST_LEASE_MS);
    const ends = new Map(register.issued().map(({ id, expiresAt }) => [id, expiresAt]));
    const [here, everywhere] = await Promise.allSettled([
      register.revoke(ids, latest),
      shared?.revoke(ids.map((id) => ({ id, revokedAt, until: ends.get(id) ?? latest }))),
    ]);
    if (here.status === 'rejected') throw here.reason;
    if (everywhere.status === 'rejected') throw onlyHere(everywhere.reason);
    return { unknown: ids.filter((id) => !here.value.includes(id)), isShared: shared !== undefined };
  }

  /** Whether the door would take a lease now, whatever it is used for. */
  judge(text: Secret): LeaseJudgement {
    const { verifier, clock } = this.#parts;
    const verified = verifier.verify(text);
    if (verified.kind === 'fault') return { isValid: false, what: verified.what, todo: verified.todo };
    const end = endOf(verified.lease);
    if (end !== undefined && clock.now() < end.getTime()) return { isValid: true };
    return { isValid: false, what: 'The lease has ended', todo: 'ask whoever gave it for a new one (`postern lease create`)' };
  }

  /**
   * Makes a new key for new leases; with `forgetOld` the older keys go, and every lease with them. Gives the key's id.
   * @throws ProxyError `usage` when the keys are not our own; `secret-unreadable`, `state-unusable`
   */
  async rotate(options: { readonly forgetOld: boolean }): Promise<string> {
    const { keys, register, hasOwnKeys } = this.#parts;
    if (hasOwnKeys) await register.make();
    const id = await keys.rotate(options);
    if (options.forgetOld) await register.forgetIssued();
    return id;
  }
}

/** A revocation that this daemon keeps and the others have not heard of. */
function onlyHere(thrown: unknown): unknown {
  if (!(thrown instanceof ProxyError)) return thrown;
  return new ProxyError(thrown.code, `Revoked at this daemon alone, the others still take the lease. ${thrown.message}`, {
    todo: `${thrown.todo ?? 'mend that'}; then revoke again, or revoke at a daemon that can write the list`,
    cause: thrown,
  });
}

const CUT =
  'it lasts 1 h and no longer: its key is shared (`access.leaseKey`), and other daemons with that key would not hear that it was revoked; ' +
  'set `access.revocations` to a file that all of them see';

function notesOn({ allow, refs, changes, repos }: Caveat): string[] {
  const notes: string[] = [];
  if (allow?.includes('push') === true && refs?.some((glob) => glob.startsWith('refs/tags/')) === true && changes?.includes('tag') !== true)
    notes.push('nothing under refs/tags can be pushed with it: that needs `tag` in --changes');
  for (const repo of repos ?? [])
    if (repo.parts[1] === '**' || repo.parts[0]?.startsWith('*.') === true)
      notes.push(`it is for everything that the routes allow on ${patternText(repo)}`);
  return notes;
}
