/**
 * What a verified lease permits. Every caveat is judged by itself and all have to hold, so a later one can only take away; what
 * the grant (the first one) does not name is not granted.
 */
import { BlockList, isIP } from 'node:net';
import type { Peer } from '../model/caller.js';
import { type Caveat, type Lease, leaseName } from '../model/lease.js';
import { type GitOperation, isDiscovery, permissionsOf } from '../model/operation.js';
import type { RefPolicy } from '../model/refs.js';
import type { Refusal } from '../model/refusal.js';
import { matchesByGuid, matchesPattern, overlaps } from '../model/route-pattern.js';

/** Why the lease does not permit `operation` for `peer` at `now` (ms since the epoch); undefined when it does. */
export function refuseByLease(lease: Lease, operation: GitOperation, peer: Peer, now: number): Refusal | undefined {
  for (const [index, caveat] of lease.caveats.entries()) {
    const fault = faultOf(caveat, index === 0, operation, peer, now);
    if (fault === undefined) continue;
    return {
      kind: 'refusal',
      code: 'lease-insufficient',
      status: 403,
      what: `The ${leaseName(lease)} ${fault.what}`,
      todo: fault.todo,
    };
  }
  return undefined;
}

/** What pushes have to keep to, a policy for each caveat that says something of refs. */
export function refPoliciesOf(lease: Lease): RefPolicy[] {
  return lease.caveats.flatMap((caveat, index): RefPolicy[] => {
    const isGrant = index === 0;
    if (!isGrant && caveat.refs === undefined && caveat.protect === undefined && caveat.changes === undefined) return [];
    return [
      {
        source: `the ${leaseName(lease)}`,
        allow: caveat.refs ?? (isGrant ? [] : undefined),
        protect: caveat.protect ?? [],
        changes: caveat.changes ?? (isGrant ? [] : undefined),
      },
    ];
  });
}

const ASK = 'ask whoever gave the lease for one that covers this (`postern lease explain` shows what it covers)';

function faultOf(
  caveat: Caveat,
  isGrant: boolean,
  operation: GitOperation,
  peer: Peer,
  now: number,
): { readonly what: string; readonly todo: string } | undefined {
  const { expiresAt, repos, allow, from, uids } = caveat;
  if (expiresAt === undefined ? isGrant : now >= expiresAt.getTime()) {
    return {
      what: expiresAt === undefined ? 'names no time at which it ends, so it grants nothing' : `ended at ${expiresAt.toISOString()}`,
      todo: 'ask whoever gave the lease for a new one (`postern lease create`)',
    };
  }
  const { address } = operation;
  if (repos === undefined ? isGrant : !repos.some(({ hostKind, parts }) => hostKind === address.kind && isFor(parts, operation))) {
    return { what: `is not for the repository ${address.display}`, todo: ASK };
  }
  const granted = allow ?? (isGrant ? [] : undefined);
  const missing = granted === undefined ? [] : permissionsOf(operation).filter((permission) => !granted.includes(permission));
  if (missing.length > 0) {
    return {
      what: `allows ${granted === undefined || granted.length === 0 ? 'nothing' : granted.join(', ')}, not ${missing.join(', ')}`,
      todo: ASK,
    };
  }
  if (from !== undefined && !isWithin(peer.ip, from)) return { what: `may not be used from ${peer.ip}`, todo: ASK };
  if (uids !== undefined && (peer.uid.kind !== 'known' || !uids.includes(peer.uid.uid))) {
    return { what: `is for ${uids.length === 1 ? 'another local user' : 'other local users'}`, todo: ASK };
  }
  return undefined;
}

/** Where things are may be asked by everyone who may use something there. */
function isFor(parts: readonly string[], operation: GitOperation): boolean {
  const { canonical, byGuid } = operation.address;
  if (isDiscovery(operation)) return overlaps(parts, [...canonical, '**']);
  return matchesPattern(parts, canonical) || (byGuid !== undefined && matchesByGuid(parts, byGuid));
}

/**
 * Whether an address lies in one of the blocks. Blocks of the other family are left out: a BlockList takes IPv4 addresses for
 * members of IPv6 blocks such as ::/0. It is made for each request that comes with such a lease, which takes microseconds.
 */
function isWithin(ip: string, blocks: readonly string[]): boolean {
  // A link-local peer has the name of its interface behind it.
  const bare = ip.replace(/%.*$/, '');
  const version = isIP(bare);
  if (version === 0) return false;
  const family = version === 6 ? 'ipv6' : 'ipv4';
  const list = new BlockList();
  for (const block of blocks) {
    const [address = '', prefix] = block.split('/');
    if (isIP(address) !== version) continue;
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return list.check(bare, family);
}
