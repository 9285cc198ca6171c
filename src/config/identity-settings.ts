/**
 * From an identity of the file to its settings. Each key is read in one way whatever the kind, so that a new kind is a row of
 * identity-schema.ts (which keys) and a type in the model.
 */
import { AZURE_DEVOPS_RESOURCE } from '../model/resource.js';
import type { IdentitySettings, PatLifecycle, SecretReference } from '../model/settings.js';
import type { ShownValue } from './effective-value.js';
import { ownValue } from './fault.js';
import { keysOf } from './identity-schema.js';
import { parseAuthority, parseProxy, showProxy } from './outside-url.js';
import { readSecretReference, showReference } from './secret-reference.js';

type RawMap = Readonly<Record<string, unknown>>;
type Resolve = (path: string) => string;

/** Keys that are not taken as they stand. */
const READERS: Readonly<Record<string, (value: unknown, resolve: Resolve) => unknown>> = {
  authority: (value) => parseAuthority(String(value)),
  proxy: (value) => parseProxy(String(value)),
  ca: (value, resolve) => resolve(String(value)),
  certificate: (value, resolve) => resolve(String(value)),
  tokenFile: (value, resolve) => resolve(String(value)),
  secret: readSecretReference,
};

/** What stands for a key that is left out. */
const DEFAULTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  '*': { resource: AZURE_DEVOPS_RESOURCE },
  'azure-pipelines': { secret: { kind: 'env', name: 'SYSTEM_ACCESSTOKEN' } satisfies SecretReference },
};

/** Keys of EntraSettings, which an Entra kind has also where the file takes none. */
const ENTRA_KEYS = ['tenant', 'clientId', 'authority', 'resource', 'ca', 'proxy'];

/**
 * The settings of an identity without faults.
 * @param resolve Makes a path of the file absolute.
 */
export function readIdentity(name: string, raw: RawMap, resolve: Resolve): IdentitySettings {
  const kind = String(ownValue(raw, 'kind'));
  const keys = keysOf(kind);
  const settings: Record<string, unknown> = { name, kind };
  for (const key of keys.includes('resource') ? new Set([...ENTRA_KEYS, ...keys]) : keys) {
    if (key === 'kind') continue;
    const value = ownValue(raw, key);
    settings[key] = value === undefined ? (DEFAULTS[kind]?.[key] ?? DEFAULTS['*']?.[key]) : (READERS[key]?.(value, resolve) ?? value);
  }
  return settings as unknown as IdentitySettings; // the shape was checked, and the schema has the keys of the type
}

/** An identity's values under the keys of the file. */
export function shownIdentity(identity: IdentitySettings): Record<string, ShownValue | undefined> {
  const shown: Record<string, ShownValue | undefined> = {};
  for (const [key, value] of Object.entries<string | URL | SecretReference | PatLifecycle | undefined>({ ...identity })) {
    if (key === 'name' || value === undefined) continue;
    shown[key] =
      typeof value === 'string'
        ? value
        : value instanceof URL
          ? showProxy(value)
          : isReference(value)
            ? showReference(value)
            : { ...value };
  }
  return shown;
}

function isReference(value: SecretReference | PatLifecycle): value is SecretReference {
  return 'kind' in value;
}
