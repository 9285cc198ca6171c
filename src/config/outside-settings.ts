/** What is wrong with the settings that come from outside the file: flags and `POSTERN_*` variables. */
import { asMap, faultOf, outside, ownValue } from './fault.js';
import type { Fault } from './fault.js';
import { hint } from './nearest-name.js';
import { NOT_YET } from './not-yet.js';
import type { SettingsSource } from './settings-source.js';
import { flagOf, SCALAR_PATHS, SCALARS, variableOf } from './scalar-settings.js';

/** Variables of ours that are no settings: which file, a caller's lease, and where state lives. */
const OTHER_VARIABLES: readonly string[] = ['POSTERN_CONFIG', 'POSTERN_LEASE', 'POSTERN_STATE_DIRECTORY'];

/** What Kubernetes puts into every container for a Service that is called postern. */
const SERVICE_LINK = /^POSTERN_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$/;

/** Faults of flags first, then of variables, each in the order of their names. */
export function outsideFaults(
  source: SettingsSource,
  given: { readonly flags: Readonly<Record<string, string>>; readonly environment: Readonly<Record<string, string | undefined>> },
): Fault[] {
  const faults: Fault[] = [];
  for (const [key, value] of Object.entries(given.flags).sort(byName)) {
    const place = outside(`flag ${flagOf(key)}`);
    const path = SCALAR_PATHS.find((each) => each === key);
    const fault =
      path === undefined ? `is not a setting that a flag can give${hint(key, SCALAR_PATHS, 'write it in the file')}` : wrong(path, value);
    if (fault !== undefined) faults.push({ place, path: key, text: fault });
  }

  const variables = new Map(SCALAR_PATHS.map((path) => [variableOf(path), path]));
  const secrets = secretVariables(source.raw);
  for (const [name, value] of Object.entries(given.environment).sort(byName)) {
    if (!name.startsWith('POSTERN_') || value === undefined || OTHER_VARIABLES.includes(name) || secrets.has(name)) continue;
    const place = outside(`environment ${name}`);
    const path = variables.get(name);
    // A file that cannot be read as YAML may name the variable as the place of a secret.
    if (path === undefined && !source.readable) continue;
    const fault =
      path === undefined ? unknownVariable(name, [...variables.keys(), ...OTHER_VARIABLES]) : value === '' ? undefined : wrong(path, value);
    if (fault !== undefined) faults.push({ place, path: path ?? '', text: fault });
  }
  return faults;
}

function wrong(path: (typeof SCALAR_PATHS)[number], value: string): string | undefined {
  return value === '' ? `is empty; write ${SCALARS[path].is}` : faultOf(SCALARS[path].parse, value);
}

function unknownVariable(name: string, known: readonly string[]): string {
  const rest = name.slice('POSTERN_'.length).toLowerCase();
  if (NOT_YET.top.some((key) => rest === key || rest.startsWith(`${key}_`))) {
    return 'is not available in this version; unset it';
  }
  if (SERVICE_LINK.test(name))
    return 'is set by Kubernetes for a Service called postern; set `enableServiceLinks: false` in the pod, or rename the Service';
  return `is not a variable of Postern${hint(name, known, 'unset it, or write the setting in the file')}`;
}

/** Variables that the file names as the place of a secret may be called as people like. */
function secretVariables(raw: unknown): ReadonlySet<unknown> {
  const identities = Object.values(asMap(ownValue(asMap(raw), 'identities')) ?? {});
  const references = [
    ...identities.map((identity) => ownValue(asMap(identity), 'secret')),
    ownValue(asMap(ownValue(asMap(raw), 'access')), 'leaseKey'),
  ];
  return new Set(references.map((reference) => ownValue(asMap(reference), 'env')));
}

function byName([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}
