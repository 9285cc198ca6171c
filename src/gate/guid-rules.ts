/**
 * Whether it matters what the GUIDs in an address stand for. Where one rule is for everything that they could be, it does not, and nothing
 * has to be asked; where it does, the names decide as if they had been written.
 */
import type { GuidPlace, RepoAddress } from '../model/address.js';
import type { Caller } from '../model/caller.js';
import type { Lease, RepoPattern } from '../model/lease.js';
import { coversBelow, matchesByGuid, overlaps } from '../model/route-pattern.js';
import type { Route } from '../model/settings.js';
import type { RouteTable } from './route-table.js';

/** The routes whose identities may be asked for the names behind an address, in their order; undefined when the names make no difference. */
export function routesToName({ kind, canonical, guids }: RepoAddress, caller: Caller, table: RouteTable): readonly Route[] | undefined {
  if (guids === undefined) return undefined;
  const beginning = canonical.slice(0, guids.certain);
  const { routes, isOne } = table.candidates(kind, beginning, guids.lengths);
  const byLease = caller.kind === 'lease' ? leaseSays(caller.lease, { kind, canonical }, beginning, guids) : 'always';
  if (routes.length === 0 || byLease === 'never' || (isOne && byLease === 'always')) return undefined;
  return routes;
}

function leaseSays(
  { caveats }: Lease,
  { kind, canonical }: Pick<RepoAddress, 'kind' | 'canonical'>,
  beginning: readonly string[],
  { lengths }: GuidPlace,
): 'always' | 'never' | 'depends' {
  let says: 'always' | 'depends' = 'always';
  for (const { repos } of caveats) {
    if (repos === undefined) continue;
    const able = repos.filter(({ hostKind, parts }) => hostKind === kind && overlaps(parts, [...beginning, '**']));
    if (able.length === 0) return 'never';
    const isFor = ({ parts }: RepoPattern): boolean =>
      lengths.every((length) => coversBelow(parts, beginning, length)) || matchesByGuid(parts, canonical);
    if (!able.some(isFor)) says = 'depends';
  }
  return says;
}
