/** Revoked ids as entries of a JSON file, for the lists that hold them. What is not as it was written is a fault, never passed over. */

/** Revoked ids that are kept; each is some 100 bytes. */
export const MOST_REVOKED = 100_000;
/** Revocations are kept for this much longer than a lease can live, because clocks are set back, and differ between machines. */
const GRACE_MS = 30 * 86_400_000;

export interface RevokedId {
  readonly id: string;
  readonly revokedAt: Date;
  /** No lease that the id is a link of is alive after this. */
  readonly until: Date;
}

/** @throws SyntaxError for entries that were not written from `RevokedId` */
export function parseRevoked(raw: readonly unknown[]): ReadonlyMap<string, RevokedId> {
  return byId(
    raw.map((each) => {
      const { id, revokedAt, until } = asMap(each);
      return { id: asId(id), revokedAt: asDate(revokedAt), until: asDate(until) };
    }),
  );
}

/** Those that a lease which is alive may still hold; `now` in ms. */
export function stillNeeded(revoked: ReadonlyMap<string, RevokedId>, now: number): ReadonlyMap<string, RevokedId> {
  return new Map([...revoked].filter(([, { until }]) => until.getTime() + GRACE_MS > now));
}

/** @throws SyntaxError */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new SyntaxError('it is no JSON, or was cut');
  }
}

export function byId<Entry extends { readonly id: string }>(entries: readonly Entry[]): ReadonlyMap<string, Entry> {
  return new Map(entries.map((entry) => [entry.id, entry]));
}

/** @throws SyntaxError */
export function asMap(raw: unknown): Readonly<Record<string, unknown>> {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) throw new SyntaxError('an entry is no map');
  return raw as Readonly<Record<string, unknown>>; // a map that JSON.parse made
}

/** @throws SyntaxError */
export function asText(raw: unknown): string {
  if (typeof raw !== 'string') throw new SyntaxError('an entry has no text where one belongs');
  return raw;
}

/** @throws SyntaxError */
export function asId(raw: unknown): string {
  const id = asText(raw);
  if (!/^[0-9a-f]{16}$/.test(id)) throw new SyntaxError('an entry has an id that is none');
  return id;
}

/** @throws SyntaxError */
export function asDate(raw: unknown): Date {
  const date = new Date(asText(raw));
  if (Number.isNaN(date.getTime())) throw new SyntaxError('an entry has a time that is none');
  return date;
}
