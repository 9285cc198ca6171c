/**
 * What is wrong with a configuration beyond single values: names that lead nowhere, routes that repeat or hide each other,
 * keys that exclude each other. Reads the raw values, as far as they have the right shape, so that these faults are told
 * together with those of shape.
 */
import { HOST_KINDS } from '../model/address.js';
import { APPLICATION_KINDS, PERSON_KINDS } from '../model/pat.js';
import { asMap, ownValue, quote, writeKeyPath } from './fault.js';
import type { Fault, KeyPath } from './fault.js';
import { nearestName } from './nearest-name.js';
import { covers, isServicesHost, parseRoutePattern } from './route-pattern.js';
import type { RoutePattern } from './route-pattern.js';
import { idleSshKeys } from './ssh-settings.js';
import type { SettingsSource } from './settings-source.js';

/** The identity that is there without being written. */
export const BUILT_IN_IDENTITY = 'azure-cli';

export interface WholeFaults {
  readonly faults: readonly Fault[];
  /** What is probably not meant, and harms nothing. */
  readonly warnings: readonly Fault[];
}

/** Checks what concerns several values at once. */
export function wholeFaults(source: SettingsSource): WholeFaults {
  const faults: Fault[] = [];
  const warnings: Fault[] = [];
  const root = asMap(source.raw);
  const identities = asMap(ownValue(root, 'identities')) ?? {};
  const rawRoutes = ownValue(root, 'routes');
  const routes = (Array.isArray(rawRoutes) ? (rawRoutes as unknown[]) : []).map(asMap);
  const at = (into: Fault[], path: KeyPath, text: string, on: 'key' | 'value' = 'value'): void => {
    into.push({ place: source.place(path, on), path: writeKeyPath(path), text });
  };

  for (const [name, value] of Object.entries(identities)) {
    if (!/^[A-Za-z0-9][\w.-]{0,63}$/.test(name)) {
      const text = 'is not a name for an identity; begin with a letter or digit and use letters, digits, `.`, `_` and `-`, at most 64';
      at(faults, ['identities', name], text, 'key');
    }
    const identity = asMap(value);
    const [owner] = lifecycleOwners({ identity });
    if (owner !== undefined) ownerFault(owner, identities, (text) => at(faults, ['identities', name, 'lifecycle', 'identity'], text));
    if (ownValue(identity, 'kind') !== 'managed-identity') continue;
    const [first, ...more] = ['clientId', 'resourceId', 'objectId'].filter((key) => ownValue(identity, key) !== undefined);
    for (const key of more)
      at(faults, ['identities', name, key], `names the identity a second time, besides \`${first ?? ''}\`; keep one of the two`, 'key');
  }

  const seen: { pattern: RoutePattern; index: number }[] = [];
  for (const [index, route] of routes.entries()) {
    if (route === undefined) continue;
    const report = (text: string, ...rest: KeyPath): void => at(faults, ['routes', index, ...rest], text);
    identityFault(ownValue(route, 'identity'), identities, report);
    repeatedWords(ownValue(route, 'allow'), report, 'allow');
    for (const { key, text } of idleSshKeys(route)) at(faults, ['routes', index, key], text, 'key');
    const refs = asMap(ownValue(route, 'refs'));
    if (refs !== undefined) refFaults(refs, report);
    if (refs !== undefined && Array.isArray(ownValue(route, 'allow')) && !(ownValue(route, 'allow') as unknown[]).includes('push')) {
      at(warnings, ['routes', index, 'refs'], 'says what pushes may touch, but `allow` of the route has no push', 'key');
    }
    const pattern = patternOf(route, report);
    if (pattern === undefined) continue;
    const twin = seen.find((earlier) => earlier.pattern.canonical.join('/') === pattern.canonical.join('/'));
    const wider = seen.find((earlier) => covers(earlier.pattern, pattern));
    const name = (earlier: number): string =>
      `routes[${String(earlier)}] on line ${String(source.place(['routes', earlier, 'match']).line)}`;
    if (twin !== undefined) {
      report(`is the same pattern as ${name(twin.index)}; keep one of the two`, 'match');
    } else if (wider !== undefined) {
      at(
        warnings,
        ['routes', index, 'match'],
        `is never reached, because ${name(wider.index)} covers it; put the more specific route first`,
      );
    }
    const other = seen.find((earlier) => earlier.pattern.host === pattern.host && earlier.pattern.hostKind !== pattern.hostKind);
    if (other !== undefined) {
      report(
        `reads ${quote(pattern.host)} as \`${pattern.hostKind}\`, but ${name(other.index)} reads it as \`${other.pattern.hostKind}\`; write the same \`host\` in both`,
        'match',
      );
    }
    seen.push({ pattern, index });
  }

  const used = new Set([...routes.map((route) => ownValue(route, 'identity')), ...lifecycleOwners(identities)]);
  if (rawRoutes === undefined) used.add(BUILT_IN_IDENTITY);
  for (const name of Object.keys(identities)) {
    if (!used.has(name)) at(warnings, ['identities', name], 'is used by no route; name it in a route, or leave it out', 'key');
  }
  return { faults, warnings };
}

type Report = (text: string, ...rest: KeyPath) => void;

/** Names of identities that others of the file are asked about with: `lifecycle.identity`. */
export function lifecycleOwners(identities: Readonly<Record<string, unknown>>): string[] {
  return Object.values(identities).flatMap((identity) => {
    const owner = ownValue(asMap(ownValue(asMap(identity), 'lifecycle')), 'identity');
    return typeof owner === 'string' ? [owner] : [];
  });
}

/** Who is asked about a personal access token has to be its owner, a person. */
function ownerFault(name: string, identities: Readonly<Record<string, unknown>>, report: (text: string) => void): void {
  identityFault(name, identities, report);
  const kind = Object.hasOwn(identities, name) ? ownValue(asMap(identities[name]), 'kind') : undefined;
  if (typeof kind !== 'string' || PERSON_KINDS.some((each) => each === kind)) return;
  const why = APPLICATION_KINDS.some((each) => each === kind)
    ? 'is an application, and has no personal access tokens'
    : 'holds no Entra token';
  report(`${quote(name)} is of kind \`${kind}\`: it ${why}; name the identity by which the owner signs in (${PERSON_KINDS.join(', ')})`);
}

function identityFault(name: unknown, identities: Readonly<Record<string, unknown>>, report: Report): void {
  if (typeof name !== 'string' || name === '' || name === BUILT_IN_IDENTITY || Object.hasOwn(identities, name)) return;
  const known = [...new Set([...Object.keys(identities), BUILT_IN_IDENTITY])];
  const nearest = nearestName(name, known);
  const right =
    nearest === undefined ? `write one of ${known.map(quote).join(', ')}, or add it to \`identities\`` : `did you mean ${quote(nearest)}?`;
  report(`${quote(name)} is not an identity; ${right}`, 'identity');
}

function repeatedWords(words: unknown, report: Report, ...path: KeyPath): void {
  if (!Array.isArray(words)) return;
  for (const [index, each] of words.entries()) {
    if (typeof each === 'string' && words.indexOf(each) < index) report(`${quote(each)} comes twice; write it once`, ...path, index);
  }
}

function refFaults(refs: Readonly<Record<string, unknown>>, report: Report): void {
  for (const key of ['allow', 'protect', 'changes']) repeatedWords(ownValue(refs, key), report, 'refs', key);
  if (Object.keys(refs).length === 0) report('says nothing; write `allow`, `protect` or `changes`, or leave it out', 'refs');
  const changes = ownValue(refs, 'changes');
  if (Array.isArray(changes) && changes.length === 1 && changes[0] === 'tag') {
    report('allows nothing: `tag` is needed besides create, update or delete; add what may be done', 'refs', 'changes');
  }
}

function patternOf(route: Readonly<Record<string, unknown>>, report: Report): RoutePattern | undefined {
  const match = ownValue(route, 'match');
  if (typeof match !== 'string' || match === '') return undefined;
  const hostKind = HOST_KINDS.find((kind) => kind === ownValue(route, 'host'));
  try {
    const pattern = parseRoutePattern(match, hostKind);
    if (hostKind === 'azure-services' && !isServicesHost(pattern.host)) {
      report(
        `\`azure-services\` is dev.azure.com and *.visualstudio.com only; write \`azure-server\` for ${quote(pattern.host)}, or leave \`host\` out`,
        'host',
      );
    }
    if (hostKind !== undefined && hostKind !== 'azure-services' && isServicesHost(pattern.host)) {
      // Read as a bare path, its other spellings would be other repositories, and pass by the rules of this route.
      report(`${quote(pattern.host)} is Azure DevOps Services and cannot be read as ${quote(hostKind)}; leave \`host\` out`, 'host');
    }
    return pattern;
  } catch (thrown) {
    if (!(thrown instanceof SyntaxError)) throw thrown;
    report(thrown.message, 'match');
    return undefined;
  }
}
