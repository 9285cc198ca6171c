/**
 * Who has asked since the start, for `status`: a local user, a lease, or the address of whoever is neither. A lease counts by
 * its grant, because its holder can make any number of narrowed ones of it without asking.
 */
import type { Lease } from '../model/lease.js';
import type { Clock } from '../model/ports.js';
import type { OperationRecord } from '../model/record.js';

/**
 * Callers kept. Jobs of a build host come with a lease each, and strangers with an address each: without a bound the list
 * would grow for as long as the daemon runs. More than this is also more than anyone reads; the log and the audit have them all.
 */
export const CALLERS_KEPT = 64;

/** One caller, as plain data. */
export interface CallerState {
  readonly who:
    | { readonly kind: 'user'; readonly uid: number }
    /** By the fingerprint of the key that it signed with. */
    | { readonly kind: 'key'; readonly fingerprint: string }
    /** `id` is the grant's; `narrowedTo` is the latest narrowing that was used, if one was. */
    | {
        readonly kind: 'lease';
        readonly id: string;
        readonly label: string | undefined;
        readonly narrowedTo: string | undefined;
        /** When the latest one that was used ends. */
        readonly expiresAt: Date | undefined;
      }
    | { readonly kind: 'address'; readonly ip: string };
  /** Finished operations, whatever came of them, and how many of those were refused. */
  readonly operations: number;
  readonly refused: number;
  readonly running: number;
  /** When the latest operation began or ended. */
  readonly lastSeenAt: Date;
}

interface Entry {
  who: CallerState['who'];
  operations: number;
  refused: number;
  lastSeenAt: number;
}

export class CallersSeen {
  readonly #clock: Clock;
  /** In the order in which they were last seen, the latest at the end. */
  readonly #entries = new Map<string, Entry>();
  #forgotten = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts one finished operation. */
  note(record: OperationRecord): void {
    const { key, who } = callerOf(record);
    const entry = this.#entries.get(key) ?? { who, operations: 0, refused: 0, lastSeenAt: 0 };
    entry.who = who;
    entry.operations += 1;
    if (record.verdict === 'refused') entry.refused += 1;
    entry.lastSeenAt = this.#clock.now();
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    if (this.#entries.size <= CALLERS_KEPT) return;
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
    this.#forgotten += 1;
  }

  /** All that are known, latest first; `forgotten` counts those that gave way to later ones. */
  states(running: readonly OperationRecord[]): { readonly seen: readonly CallerState[]; readonly forgotten: number } {
    const states = new Map<string, CallerState>();
    for (const [key, entry] of this.#entries) states.set(key, { ...entry, running: 0, lastSeenAt: new Date(entry.lastSeenAt) });
    for (const record of running) {
      const { key, who } = callerOf(record);
      const known = states.get(key) ?? { operations: 0, refused: 0, running: 0, lastSeenAt: record.startedAt };
      const lastSeenAt = record.startedAt > known.lastSeenAt ? record.startedAt : known.lastSeenAt;
      states.set(key, { ...known, who, running: known.running + 1, lastSeenAt });
    }
    const seen = [...states.values()].reverse().sort((one, other) => other.lastSeenAt.getTime() - one.lastSeenAt.getTime());
    return { seen, forgotten: this.#forgotten };
  }
}

/** Who asked, by what the gate noted of them; `key` is the same for the same caller, and no other's. */
export function callerOf(record: OperationRecord): { readonly key: string; readonly who: CallerState['who'] } {
  const { lease, uid, key } = record;
  if (lease !== undefined) {
    const who = leaseState(lease);
    return { key: `lease ${who.id}`, who };
  }
  if (key !== undefined) return { key: `key ${key}`, who: { kind: 'key', fingerprint: key } };
  if (uid !== undefined) return { key: `uid ${uid}`, who: { kind: 'user', uid } };
  const ip = record.caller.replace(/:[0-9]+$/, '');
  return { key: `address ${ip}`, who: { kind: 'address', ip } };
}

function leaseState({ caveats }: Lease): Extract<CallerState['who'], { kind: 'lease' }> {
  const [grant] = caveats;
  const latest = caveats.at(-1);
  const ends = caveats.flatMap(({ expiresAt }) => (expiresAt === undefined ? [] : [expiresAt.getTime()]));
  return {
    kind: 'lease',
    id: grant?.id ?? 'none',
    label: grant?.label,
    narrowedTo: caveats.length > 1 ? latest?.id : undefined,
    expiresAt: ends.length === 0 ? undefined : new Date(Math.min(...ends)),
  };
}
