/**
 * Turns the checked values of a file into identities, routes and what stands beside them, each with the origin of its values. What the checks let
 * through is taken for right here.
 */
import type { Permission } from '../model/operation.js';
import type { RefRules } from '../model/refs.js';
import type { AuditSettings, EntraSettings, IdentitySettings, Route, SecretReference } from '../model/settings.js';
import { HOST_KINDS } from '../model/address.js';
import { auditSettings } from './audit-settings.js';
import type { EffectiveValue, ShownValue } from './effective-value.js';
import { asMap, ownValue, writeKeyPath } from './fault.js';
import { DEFAULT_ALLOW } from './file-schema.js';
import { AZURE_DEVOPS_RESOURCE } from './identity-schema.js';
import { parseAuthority, parseProxy, parseUpstream } from './outside-url.js';
import { parseRoutePattern } from './route-pattern.js';
import { readSecretReference } from './secret-reference.js';
import { readRouteSsh, shownRouteSsh } from './ssh-settings.js';
import type { SettingsSource } from './settings-source.js';
import { BUILT_IN_IDENTITY } from './whole-faults.js';

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
  if (!names.includes(BUILT_IN_IDENTITY) && routes.some((route) => route.identity === BUILT_IN_IDENTITY)) names.push(BUILT_IN_IDENTITY);
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

function readIdentity(name: string, raw: RawMap, resolve: Resolve): IdentitySettings {
  const entra: EntraSettings = {
    tenant: textOf(raw, 'tenant'),
    clientId: textOf(raw, 'clientId'),
    authority: read(raw, 'authority', parseAuthority),
    resource: textOf(raw, 'resource') ?? AZURE_DEVOPS_RESOURCE,
    ca: read(raw, 'ca', resolve),
  };
  const secret = (): SecretReference => readSecretReference(ownValue(raw, 'secret'), resolve);
  const kind = textOf(raw, 'kind') as IdentitySettings['kind']; // the shape was checked
  switch (kind) {
    case 'azure-cli':
      return { name, kind, ...entra };
    case 'client-secret':
      return { name, kind, ...entra, secret: secret() };
    case 'client-certificate':
      return { name, kind, ...entra, certificate: read(raw, 'certificate', resolve) ?? '' };
    case 'workload-identity':
      return { name, kind, ...entra, tokenFile: read(raw, 'tokenFile', resolve) };
    case 'managed-identity':
      return { name, kind, ...entra, resourceId: textOf(raw, 'resourceId') };
    case 'pat':
      return { name, kind, secret: secret() };
    case 'basic':
      return { name, kind, user: textOf(raw, 'user') ?? '', secret: secret() };
    case 'none':
    case 'passthrough':
      return { name, kind };
  }
}

/** An identity's values under the keys of the file. */
function shownIdentity(identity: IdentitySettings): Record<string, ShownValue | undefined> {
  const shown: Record<string, ShownValue | undefined> = {};
  for (const [key, value] of Object.entries<string | SecretReference | undefined>({ ...identity })) {
    if (key === 'name' || value === undefined) continue;
    shown[key] = typeof value === 'string' ? value : showReference(value);
  }
  return shown;
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

/** A reference as it stands in a file. */
function showReference(reference: SecretReference): ShownValue {
  switch (reference.kind) {
    case 'file':
      return { file: reference.path };
    case 'env':
      return { env: reference.name };
    case 'command':
      return { command: reference.argv };
    case 'credential':
      return { credential: reference.name };
  }
}

/** A proxy without the user it may hold. */
function showProxy(proxy: URL | 'none'): string {
  if (proxy === 'none') return proxy;
  return proxy.username === '' && proxy.password === '' ? proxy.origin : `${proxy.protocol}//[hidden]@${proxy.host}`;
}

function textOf(raw: RawMap, key: string): string | undefined {
  const value = ownValue(raw, key);
  return typeof value === 'string' ? value : undefined;
}

function read<Value>(raw: RawMap, key: string, parse: (text: string) => Value): Value | undefined {
  const text = textOf(raw, key);
  return text === undefined ? undefined : parse(text);
}
