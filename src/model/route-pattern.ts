/**
 * What a route's `match` means: the one reading of it, for the configuration that accepts it and the gate that decides by
 * it. Patterns and addresses are compared part by part, whole parts only, decoded and without regard to case where the host has
 * none: `fleet` does not open `fleet-infra`.
 *
 *   pattern = host "/" part *( "/" part )      part = a name | "*" (any one) ; the last may be "**" (any rest, also none)
 *   host    = ( a name | "*." name ) [ ":" port ]                              "*." is exactly one label
 *
 * A pattern on any host of Azure DevOps Services is read as its dev.azure.com form, as addresses are, so that a rule
 * cannot be passed by using the other spelling. What is wrong with a pattern is told in full by the configuration.
 */
import type { HostKind } from './address.js';
import { caselessName, foldName, withoutGitSuffix } from './fold.js';
import { isGuidLike } from './guid.js';
import { DEV_AZURE_HOST, familyHost, ignoresCase, legacyOrganisation, parseHost, SSH_AZURE_HOSTS } from './host-name.js';

const ANY_LABEL = '*.';
const ANY_ORGANISATION_HOST = '*.visualstudio.com';

/**
 * The pattern in the form in which addresses are compared (RepoAddress.canonical): the host first; `*` and a last `**`
 * are wildcards, and no literal holds a `*`.
 * @throws SyntaxError when it could be read in another way than it was meant
 */
export function canonicalPattern(match: string, hostKind: HostKind): readonly string[] {
  const host = patternHost(match);
  const raw = match.split('/').slice(1);
  const parts = canonicalNames(
    hostKind,
    host,
    raw.map((part, index) => decodePart(part, index === raw.length - 1)),
  );
  if (hostKind !== 'azure-services') return [host, ...parts];
  if (SSH_AZURE_HOSTS.includes(host)) return [DEV_AZURE_HOST, ...parts];
  const family = familyHost(host);
  if (family !== undefined) return [DEV_AZURE_HOST, ...(family.organisation === undefined ? [] : [family.organisation]), ...parts];
  const organisation = host === ANY_ORGANISATION_HOST ? '*' : legacyOrganisation(host);
  return organisation === undefined ? [host, ...parts] : [DEV_AZURE_HOST, organisation, ...parts];
}

/**
 * The decoded names after the host in the form in which they are compared (RepoAddress.canonical). Two repositories never have
 * the same one; two spellings of one repository may have two, if its host alone knows that they are one.
 */
export function canonicalNames(hostKind: HostKind, host: string, names: readonly string[]): readonly string[] {
  const cased = hostKind === 'generic' && !ignoresCase(host) ? names : names.map(caselessName);
  return hostKind === 'generic' ? withoutLastGitSuffix(cased) : cased;
}

/** A canonical address or pattern in the form in which two that some host may take for one are equal. Wildcards stay. */
export function lookOf(hostKind: HostKind, canonical: readonly string[]): readonly string[] {
  const folded = canonical.map(foldName);
  return hostKind === 'generic' ? withoutLastGitSuffix(folded) : folded;
}

/**
 * The host of a pattern in the form of hosts in addresses (parseHost), with `*.` before it if it has that.
 * @throws SyntaxError when it is no host
 */
export function patternHost(match: string): string {
  const [written = ''] = match.split('/');
  const wildcard = written.startsWith(ANY_LABEL) ? ANY_LABEL : '';
  const host = parseHost(written.slice(wildcard.length));
  if (host === undefined) throw new SyntaxError('begins with no host');
  return wildcard + host;
}

/** Whether the host of a pattern stands for `host` (as it stands in an address). */
export function matchesHost(pattern: string, host: string): boolean {
  if (pattern === host) return true;
  const dot = host.indexOf('.');
  return pattern.startsWith(ANY_LABEL) && dot > 0 && host.slice(dot) === pattern.slice(1);
}

/** Whether a canonical pattern stands for a canonical address. */
export function matchesPattern(pattern: readonly string[], address: readonly string[]): boolean {
  const [host = '', ...wanted] = pattern;
  const [addressHost = '', ...names] = address;
  if (!matchesHost(host, addressHost)) return false;
  const isOpen = wanted.at(-1) === '**';
  const named = isOpen ? wanted.slice(0, -1) : wanted;
  if (isOpen ? names.length < named.length : names.length !== named.length) return false;
  return named.every((part, index) => part === '*' || part === names[index]);
}

/**
 * Whether a canonical pattern stands for a canonical address that was spelled with GUIDs. A wildcard stands for no GUID: beside it may be a name
 * that is not that of the project which the repository is in.
 */
export function matchesByGuid(pattern: readonly string[], spelled: readonly string[]): boolean {
  return matchesPattern(pattern, spelled) && spelled.every((part, at) => !isGuidLike(part) || pattern[at] === part);
}

/**
 * Whether a canonical pattern stands for every address that begins with `beginning` (canonical: an organisation, a collection, a
 * project) and has `length` parts in all, the host among them.
 */
export function coversBelow(pattern: readonly string[], beginning: readonly string[], length: number): boolean {
  const isOpen = pattern.at(-1) === '**';
  const [host = '', ...wanted] = isOpen ? pattern.slice(0, -1) : pattern;
  const [beginningHost = '', ...names] = beginning;
  const isLongEnough = isOpen ? wanted.length < length : wanted.length + 1 === length;
  return isLongEnough && matchesHost(host, beginningHost) && wanted.every((part, index) => part === '*' || part === names[index]);
}

/** Whether there can be an address that both patterns stand for. */
export function overlaps(one: readonly string[], other: readonly string[]): boolean {
  const [hostOfOne = '', ...a] = one;
  const [hostOfOther = '', ...b] = other;
  if (!matchesHost(hostOfOne, hostOfOther) && !matchesHost(hostOfOther, hostOfOne)) return false;
  for (let at = 0; ; at++) {
    const [left, right] = [a[at], b[at]];
    // It may stand for no part at all, and for any.
    if (left === '**' || right === '**') return true;
    if (left === undefined || right === undefined) return left === right;
    if (left !== '*' && right !== '*' && left !== right) return false;
  }
}

function withoutLastGitSuffix(names: readonly string[]): readonly string[] {
  return [...names.slice(0, -1), ...names.slice(-1).map(withoutGitSuffix)];
}

function decodePart(raw: string, isLast: boolean): string {
  if (raw === '*' || (raw === '**' && isLast)) return raw;
  let part: string;
  try {
    part = decodeURIComponent(raw);
  } catch {
    throw new SyntaxError('is wrongly percent-encoded');
  }
  if (foldName(part).includes('*')) throw new SyntaxError('has a `*` that is not a whole part, or `**` before its end');
  return part;
}
