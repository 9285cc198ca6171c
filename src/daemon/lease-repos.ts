/**
 * The repositories of a lease as someone writes them: `organisation/project/repository`, `host/path`, a pattern with `*` and
 * `**`, or any address that git clone takes.
 */
import { parseRoutePattern } from '../config/route-pattern.js';
import { parseRepoAddress } from '../hosts/repo-address.js';
import { isWholeAddress, readSpelling } from '../hosts/repo-spelling.js';
import type { HostKind } from '../model/address.js';
import { ProxyError } from '../model/errors.js';
import { DEV_AZURE_HOST, inferHostKind } from '../model/host-name.js';
import type { RepoPattern } from '../model/lease.js';

/**
 * Reads one of them. `kindOf` tells the kind of a host where something says more than its name does (a route, a lease).
 * @throws ProxyError `usage`
 */
export function readLeaseRepo(text: string, kindOf: (host: string) => HostKind | undefined): RepoPattern {
  if (isWholeAddress(text)) return fromAddress(text, text, kindOf);
  const [first = ''] = text.split('/');
  // No organisation of Azure's has a dot, and no host of a network that has more than one machine lacks one; others are in a route.
  const isHost = /[.:[*]/.test(first) || kindOf(first.toLowerCase()) !== undefined;
  const whole = isHost ? text : `${DEV_AZURE_HOST}/${text}`;
  if (!text.includes('*') && /\/_git(?:\/|$)/i.test(whole)) return fromAddress(whole, text, kindOf);
  try {
    const host = (whole.split('/')[0] ?? '').toLowerCase();
    const { hostKind, canonical } = parseRoutePattern(whole, kindOf(host));
    return { hostKind, parts: canonical };
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    throw wrong(text, thrown.message);
  }
}

function fromAddress(address: string, written: string, kindOf: (host: string) => HostKind | undefined): RepoPattern {
  const spelled = readSpelling(address);
  if (spelled === undefined) throw wrong(written, 'is no address of a repository');
  const kind = kindOf(spelled.host) ?? inferHostKind(spelled.host);
  const parsed = parseRepoAddress(kind, spelled.host, spelled.path);
  if (parsed.kind === 'fault') throw wrong(written, `is no address of a repository: ${parsed.what}`);
  // In a pattern it would stand for any name.
  if (parsed.address.canonical.some((part) => part.includes('*')))
    throw wrong(written, 'has a `*`, which only stands in patterns: host/organisation/project/repository');
  return { hostKind: kind, parts: parsed.address.canonical };
}

function wrong(text: string, what: string): ProxyError {
  return new ProxyError('usage', `The repository ${text.replace(/\/\/[^/]*@/, '//')} ${what}`, {
    todo: 'write organisation/project/repository, host/path, a pattern with `*` and a last `**`, or the address that git clone is given',
  });
}
