/** In which part a route does not fit an address, for those who ask why another one took it. */
import type { HostKind, RepoAddress } from '../model/address.js';
import { matchesHost } from '../model/route-pattern.js';

/** The first part in which a pattern and an address differ. */
export interface Mismatch {
  /** The pattern as written. */
  readonly match: string;
  /** `kind of host`, `host`, `organisation`, `collection`, `project`, `repository` or `path`. */
  readonly part: string;
  /** What the pattern has there; undefined when it has ended. */
  readonly wanted: string | undefined;
  /** What the address has there; undefined when it has ended. */
  readonly found: string | undefined;
}

/** A pattern in the two forms in which routes are kept. */
export interface KnownPattern {
  readonly match: string;
  readonly hostKind: HostKind;
  readonly pattern: readonly string[];
  /** As `pattern`, in the form in which what may be the same is equal. */
  readonly look: readonly string[];
}

/** `look`: the canonical address in that form. Undefined when nothing differs. */
export function mismatchOf(known: KnownPattern, address: RepoAddress, look: readonly string[]): Mismatch | undefined {
  const { match, hostKind, pattern } = known;
  if (hostKind !== address.kind) return { match, part: 'kind of host', wanted: hostKind, found: address.kind };
  for (let at = 0; at < Math.max(known.look.length, look.length); at++) {
    const wanted = known.look[at];
    if (wanted === '**' && at === known.look.length - 1) return undefined;
    const found = look[at];
    const isSame = at === 0 ? matchesHost(wanted ?? '', found ?? '') : wanted === found || (wanted === '*' && found !== undefined);
    if (!isSame) return { match, part: partName(address, at), wanted: pattern[at], found: address.canonical[at] };
  }
  return undefined;
}

/** What stands at a place of a canonical address. */
function partName({ kind, canonical }: RepoAddress, at: number): string {
  if (at === 0) return 'host';
  if (kind === 'generic') return 'path';
  const fromEnd = canonical.length - at;
  if (fromEnd <= 1) return 'repository';
  if (fromEnd === 2) return 'project';
  return kind === 'azure-services' ? 'organisation' : 'collection';
}
