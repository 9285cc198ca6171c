/**
 * Turns the checked values of a file into identities, routes and what stands beside them, each with the origin of its values. What the checks let
 * through is taken for right here.
 */
import type { Permission } from '../model/operation.js';
import type { RefRules } from '../model/refs.js';
import type { AuditSettings, IdentitySettings, Route, SecretReference } from '../model/settings.js';
import { HOST_KINDS } from '../model/address.js';
import { auditSettings } from './audit-settings.js';
import type { EffectiveValue, ShownValue } from './effective-value.js';
import { asMap, ownValue, writeKeyPath } from './fault.js';
import { DEFAULT_ALLOW } from './file-schema.js';
import { readIdentity, shownIdentity } from './identity-settings.js';
import { parseProxy, parseUpstream, showProxy } from './outside-url.js';
import { parseRoutePattern } from './route-pattern.js';
import { readSecretReference, showReference } from './secret-reference.js';
import { readRouteSsh, shownRouteSsh } from './ssh-settings.js';
import type { SettingsSource } from './settings-source.js';
import { BUILT_IN_IDENTITY, lifecycleOwners } from './whole-faults.js';

/** What takes the place of a file's `routes`. Every spelling of Azure DevOps Services is brought to this host. */
export const DEFAULT_ROUTES = [{ match: 'dev.azure.com/**', identity: BUILT_IN_IDENTITY }] as const;

type RawMap = Readonly<Record<string, unknown>>;
type Resolve = (path: string) => string;

/**
 * The routes and identities of a file without faults.
 * @param resolve Makes a path of the file absolute.
 */
export function fileSettings(
  source: SettingsSource,
  resolve: Resolve,
): {
  routes: readonly Route[];
  identities: readonly IdentitySettings[];
  leaseKey: SecretReference | undefined;
  revocations: string | undefined;
  audit: AuditSettings;
  effective: readonly EffectiveValue[];
} {
  const root = asMap(source.raw);
  const rawIdentities = asMap(ownValue(root, 'identities')) ?? {};
  const rawRoutes = (ownValue(root, 'routes') ?? DEFAULT_ROUTES) as readonly RawMap[]; // the shape was checked
  const effective: EffectiveValue[] = [];
  const show = (
    path: readonly (string | number)[],
    raw: RawMap | undefined,
    values: Readonly<Record<string, ShownValue | undefined>>,
  ): void => {
    for (const [key, value] of Object.entries(values)) {
      if (value === undefined) continue;
      const origin = raw !== undefined && Object.hasOwn(raw, key) ? source.place([...path, key]).text : 'default';
      effective.push({ path: writeKeyPath([...path, key]), value, origin });
    }
  };

  const rawAudit = ownValue(root, 'audit');
  const { settings: audit, shown: shownAudit } = auditSettings(rawAudit, resolve);
  if (typeof shownAudit === 'string') show([], root, { audit: shownAudit });
  else show(['audit'], asMap(rawAudit), shownAudit);
  const routes = rawRoutes.map((raw) => readRoute(raw, resolve));
  const names = Object.keys(rawIdentities);
  const wanted = [...routes.map(({ identity }) => identity), ...lifecycleOwners(rawIdentities)];
  if (!names.includes(BUILT_IN_IDENTITY) && wanted.includes(BUILT_IN_IDENTITY)) names.push(BUILT_IN_IDENTITY);
  const identities = names.map((name) => {
    const raw = asMap(ownValue(rawIdentities, name));
    const identity = readIdentity(name, raw ?? { kind: 'azure-cli' }, resolve);
    show(['identities', name], raw, shownIdentity(identity));
    return identity;
  });
  const written = ownValue(root, 'routes') !== undefined;
  for (const [index, route] of routes.entries()) show(['routes', index], written ? rawRoutes[index] : undefined, shownRoute(route));
  const access = asMap(ownValue(root, 'access'));
  const rawKey = ownValue(access, 'leaseKey');
  const leaseKey = rawKey === undefined ? undefined : readSecretReference(rawKey, resolve);
  const revocations = read(access ?? {}, 'revocations', resolve);
  show(['access'], access, { leaseKey: leaseKey && showReference(leaseKey), revocations });
  return { routes, identities, leaseKey, revocations, audit, effective };
}

function readRoute(raw: RawMap, resolve: Resolve): Route {
  const match = textOf(raw, 'match') ?? '';
  const allow = ownValue(raw, 'allow') as readonly Permission[] | undefined; // the shape was checked
  return {
    match,
    identity: textOf(raw, 'identity') ?? '',
    allow: allow ?? DEFAULT_ALLOW,
    hostKind: parseRoutePattern(
      match,
      HOST_KINDS.find((kind) => kind === ownValue(raw, 'host')),
    ).hostKind,
    upstream: read(raw, 'upstream', parseUpstream),
    ca: read(raw, 'ca', resolve),
    proxy: read(raw, 'proxy', parseProxy),
    refs: readRefs(asMap(ownValue(raw, 'refs'))),
    ssh: readRouteSsh(raw, resolve),
  };
}

function readRefs(raw: RawMap | undefined): RefRules | undefined {
  if (raw === undefined) return undefined;
  const { allow, protect = [], changes } = raw as Partial<RefRules>; // the shape was checked
  return { allow, protect, changes };
}

/** A route's values under the keys of the file. */
function shownRoute(route: Route): Record<string, ShownValue | undefined> {
  const { match, identity, allow, refs, upstream, hostKind, ca, proxy, ssh } = route;
  return {
    match,
    identity,
    allow,
    refs: refs === undefined ? undefined : showRefs(refs),
    upstream: upstream?.href,
    host: hostKind,
    ca,
    proxy: proxy === undefined ? undefined : showProxy(proxy),
    ...shownRouteSsh(ssh),
  };
}

/** Rules for refs as they stand in a file. */
function showRefs({ allow, protect, changes }: RefRules): ShownValue {
  return {
    ...(allow === undefined ? {} : { allow }),
    ...(protect.length === 0 ? {} : { protect }),
    ...(changes === undefined ? {} : { changes }),
  };
}

function textOf(raw: RawMap, key: string): string | undefined {
  const value = ownValue(raw, key);
  return typeof value === 'string' ? value : undefined;
}

function read<Value>(raw: RawMap, key: string, parse: (text: string) => Value): Value | undefined {
  const text = textOf(raw, key);
  return text === undefined ? undefined : parse(text);
}
