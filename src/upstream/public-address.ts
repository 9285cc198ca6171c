/**
 * Which IP addresses are the internet's, and a look-up that finds no others: an address that an upstream names must not lead into the
 * network that the daemon stands in, to the machine itself, or to the service that tells a cloud machine its secrets. What a name leads to
 * is known only when it has been looked up, so that is where it is judged, and every address that will be tried.
 *
 * Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890), RFC 4291 (IPv6), RFC 6052 (NAT64), RFC 3056 (6to4);
 * learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16.
 */
import { BlockList, isIPv4, isIPv6, type LookupFunction } from 'node:net';
import { ProxyError } from '../model/errors.js';

/** IPv4 addresses that are not the internet's, or whose owner is this machine's cloud. */
const SPECIAL_V4: readonly (readonly [network: string, bits: number])[] = [
  ['0.0.0.0', 8], // "this network"; 0.0.0.0 leads to the machine itself
  ['10.0.0.0', 8], // private
  ['100.64.0.0', 10], // behind a carrier's NAT; Alibaba's metadata, Tailscale
  ['127.0.0.0', 8], // loopback
  ['168.63.129.16', 32], // Azure's own service for its virtual machines: looks public, and leads nowhere else
  ['169.254.0.0', 16], // link-local: 169.254.169.254 is where clouds tell a machine its secrets
  ['172.16.0.0', 12], // private
  ['192.0.0.0', 24], // protocol assignments; Oracle's metadata
  ['192.0.2.0', 24], // documentation
  ['192.88.99.0', 24], // 6to4 relays
  ['192.168.0.0', 16], // private
  ['198.18.0.0', 15], // benchmarks
  ['198.51.100.0', 24], // documentation
  ['203.0.113.0', 24], // documentation
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved; 255.255.255.255 is broadcast
];

/** All that has been given out of IPv6. Loopback, link-local, unique-local, multicast and IPv4-compatible addresses are outside of it. */
const GLOBAL_V6 = ['2000::', 3] as const;

/** What is not the internet's within that. */
const SPECIAL_V6: readonly (readonly [network: string, bits: number])[] = [
  ['2001::', 23], // protocol assignments: Teredo, benchmarks, ORCHID
  ['2001:db8::', 32], // documentation
  ['2002::', 16], // 6to4: has an IPv4 address in it
  ['3fff::', 20], // documentation
];

/** IPv6 addresses that stand for the IPv4 address at their end: mapped ones, and those of NAT64. */
const V4_INSIDE: readonly string[] = ['0:0:0:0:0:ffff', '64:ff9b:0:0:0:0'];

const special4 = listOf(SPECIAL_V4, 'ipv4');
const global6 = listOf([GLOBAL_V6], 'ipv6');
const special6 = listOf(SPECIAL_V6, 'ipv6');

/** Whether an IP address (without brackets; no zone) is one of the internet's. False for whatever is no address. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !special4.check(address, 'ipv4');
  if (!isIPv6(address) || address.includes('%')) return false;
  const groups = groupsOf(address);
  if (
    V4_INSIDE.includes(
      groups
        .slice(0, 6)
        .map((group) => group.toString(16))
        .join(':'),
    )
  ) {
    const [high = 0, low = 0] = groups.slice(6);
    return isPublicAddress([high >> 8, high & 0xff, low >> 8, low & 0xff].join('.'));
  }
  return global6.check(address, 'ipv6') && !special6.check(address, 'ipv6');
}

/**
 * `lookup`, but what is not public is not among what it finds; where nothing is left, it fails with `fault`. For net.connect, which then
 * tries what it was given and nothing else.
 */
export function publicLookup(lookup: LookupFunction, fault: () => ProxyError): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (failed, found) => {
      if (failed !== null) {
        callback(failed, '');
        return;
      }
      const addresses = (typeof found === 'string' ? [] : found).filter(({ address }) => isPublicAddress(address));
      const [first] = addresses;
      if (first === undefined) callback(fault(), '');
      else if (options.all === true) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

function listOf(networks: readonly (readonly [string, number])[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList();
  for (const [network, bits] of networks) list.addSubnet(network, bits, family);
  return list;
}

/** The eight groups of an IPv6 address, whichever way it is written. */
function groupsOf(address: string): readonly number[] {
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const read = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const before = read(head);
  if (tail === undefined) return before;
  const after = read(tail);
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}
