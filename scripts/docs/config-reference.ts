/**
 * docs/CONFIGURATION.md, made from the JSON Schema that the program checks a configuration with and that editors use: every key, what
 * may be written, its default and its meaning. A key without a meaning or without anything to show for it is an error.
 */
import { stringify } from 'yaml';
import { prose } from './markdown.js';
import { SCALAR_PATHS, flagOf, variableOf } from '../../src/config/scalar-settings.js';

/** The parts of JSON Schema (draft-07) that the schema uses. */
interface Schema {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly examples?: readonly unknown[];
  readonly enum?: readonly string[];
  readonly const?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema | boolean;
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
}

interface Row {
  /** As it is written below its section, with dots. */
  readonly key: string;
  readonly schema: Schema;
  readonly isRequired: boolean;
}

/** Said of every path; once is enough for the page. */
const PATH_RULES = ' `~/` is the home directory, and a relative path begins at the folder of this file.';

const INTRODUCTION = `# Configuration

Made by \`npm run docs\` from the schema that the program checks a configuration with; every key is here. A commented example to copy from is
[config/postern.example.yaml](../config/postern.example.yaml), what the kinds of identity are for stands in [IDENTITIES.md](IDENTITIES.md).

## Where it is

One YAML file: \`~/.config/postern/config.yaml\` (below \`$XDG_CONFIG_HOME\` where that is set), \`/etc/postern/config.yaml\` with \`--system\`, or what
\`--config FILE\` or \`POSTERN_CONFIG\` names. Without any file Postern serves every repository on Azure DevOps Services with whoever is signed in to
the Azure CLI.

For each value by itself a flag wins over an environment variable, that over the file, and the file over the default. These look at it and
start nothing:

\`\`\`sh run
postern config check            # all faults at once, each with line and column
postern config show --origin    # every value in force, and where it comes from
postern config schema           # the JSON Schema, for an editor
\`\`\`

## How values are written

- **Durations** are a whole number and one of \`ms\`, \`s\`, \`m\`, \`h\`, \`d\`: \`500ms\`, \`90s\`, \`15m\`, \`2h\`, \`1d\`.
- **Paths** may begin with \`~/\`, the home directory; a relative one begins at the folder of the file.
- **Addresses** to listen on have a port: \`127.0.0.1:8417\`, \`'[::1]:8417'\`.
- **A key that is unknown, or that would have no effect where it stands, is a fault**, and so is an empty list.

### Secrets

A secret never stands in the file, only where it is. Each form is a map with one key:

| key | where the secret is |
|---|---|
`;

/** The page. @throws Error naming a key that has no meaning, or nothing to show */
export function writeConfigReference(schema: Readonly<Record<string, unknown>>): string {
  const root = schema as Schema; // made by z.toJSONSchema
  const parts = [INTRODUCTION];
  const secret = firstSecret(root);
  for (const form of secret.anyOf ?? [])
    for (const [key, value] of Object.entries(form.properties ?? {})) parts.push(`| \`${key}\` | ${meaningOf(value)} |\n`);
  for (const [name, section] of Object.entries(root.properties ?? {})) {
    parts.push(`\n## ${name}\n\n${meaningOf(section)}\n`);
    if (name === 'identities') parts.push(...identitySections(section));
    else parts.push(sectionTable(name, section), exampleBlock(name, section));
  }
  parts.push(flagsTable());
  return parts.join('');
}

function sectionTable(name: string, section: Schema): string {
  const rows = rowsOf(section.items ?? section, '');
  const fallback = section.default === undefined ? defaultIn(section.description ?? '') : code(section.default);
  const lead =
    fallback === undefined
      ? ''
      : `
Default: ${prose(fallback)}.
`;
  return `${lead}\n${table(rows.map((row) => ({ ...row, place: name })))}`;
}

function identitySections(section: Schema): string[] {
  const kinds = typeof section.additionalProperties === 'object' ? (section.additionalProperties.oneOf ?? []) : [];
  const parts = [
    '\nA name begins with a letter or digit and goes on with letters, digits, `.`, `_` and `-`. Each kind takes its own keys and no others.\n',
  ];
  for (const kind of kinds) {
    const name = kind.properties?.['kind']?.const ?? '';
    const rows = rowsOf(kind, '').filter(({ key }) => key !== 'kind');
    const about = kind.properties?.['kind']?.description ?? '';
    const value = Object.fromEntries(
      Object.entries(kind.properties ?? {})
        .filter(([key]) => key === 'kind' || key === 'tenant' || kind.required?.includes(key) === true)
        .map(([key, each]) => [key, sampleOf(each, `${name}.${key}`)]),
    );
    const more = `More: [IDENTITIES.md](IDENTITIES.md#${name}).`;
    const keys =
      rows.length === 0 ? '\nIt takes no other keys.\n' : `\n${table(rows.map((row) => ({ ...row, place: `identities.${name}` })))}`;
    parts.push(
      `\n### kind: ${name}\n\n${about} ${more}\n${keys}\n\`\`\`yaml\nidentities:\n${indent(stringify({ [nameFor(name)]: value }))}\`\`\`\n`,
    );
  }
  return parts;
}

/** What an identity of the kind is called in an example. */
function nameFor(kind: string): string {
  return /^(?:azure-cli|azure-developer-cli|azure-powershell|browser|device-code)$/.test(kind) ? 'me' : 'it';
}

/** The keys of a map, those of maps in it behind a dot. */
function rowsOf(map: Schema, prefix: string): Row[] {
  const shape = map.properties === undefined ? map.anyOf?.find(({ properties }) => properties !== undefined) : map;
  return Object.entries(shape?.properties ?? {}).flatMap(([name, schema]) => {
    const key = `${prefix}${name}`;
    const row: Row = { key, schema, isRequired: shape?.required?.includes(name) === true };
    return isSecret(schema) ? [row] : [row, ...rowsOf(schema, `${key}.`)];
  });
}

function table(rows: readonly (Row & { readonly place: string })[]): string {
  const lines = rows.map(({ key, schema, isRequired, place }) => {
    const where = `${place}.${key}`;
    const about = meaningOf(schema, where);
    const example = schema.enum === undefined && schema.const === undefined ? schema.examples?.[0] : undefined;
    const shown = example === undefined ? '' : ` For example ${code(example)}.`;
    const fallback =
      schema.default === undefined || JSON.stringify(schema.default) === '[]'
        ? (defaultIn(schema.description ?? '') ?? '')
        : code(schema.default);
    return `| \`${key}\` | ${typeOf(schema)} | ${isRequired ? '**required**' : prose(fallback)} | ${prose(about)}${prose(shown)} |`;
  });
  return ['| key | what is written | default | meaning |', '|---|---|---|---|', ...lines, ''].join('\n');
}

/** Where all keys together would contradict each other. */
const EXAMPLES: Readonly<Record<string, string>> = {
  listen: `listen:
  http: { address: [localhost:8417, '10.88.0.1:8417'], names: [host.containers.internal], tls: auto }
  ssh: 127.0.0.1:8422
`,
  routes: `routes:
  - match: dev.azure.com/contoso/Payments/*
    identity: agents
    allow: [fetch, push]
    refs: { allow: [refs/heads/agent/*], protect: [refs/heads/main], changes: [create, update] }
  - { match: dev.azure.com/contoso/**, identity: me, allow: [fetch, push, lfs, api] }
  - { match: dev.azure.com/fabrikam/**, identity: me, ssh: agent, key: 'SHA256:jHyuPbTqMkDEmkpaWaGT3CDtaRmMDR0QRBPUzaN7pGA' }
  - match: tfs.example.com/tfs/**
    identity: onprem
    upstream: https://tfs.example.com:8443
    ca: /etc/ssl/corp.pem
    proxy: none
`,
  telemetry: `telemetry:
  listen: on
`,
};

/** A whole section with every key that has something to show. */
function exampleBlock(name: string, section: Schema): string {
  const text = EXAMPLES[name] ?? stringify({ [name]: sampleOf(section, name) }, { lineWidth: 0 });
  return `\n\`\`\`yaml\n${text}\`\`\`\n`;
}

/** Something that may be written for it. */
function sampleOf(schema: Schema, where: string): unknown {
  const [example] = schema.examples ?? [];
  if (example !== undefined) return example;
  if (schema.const !== undefined) return schema.const;
  if (schema.default !== undefined) return schema.default;
  if (schema.enum !== undefined) return schema.enum[0];
  if (schema.items !== undefined) return [sampleOf(schema.items, where)];
  const shape = schema.properties === undefined ? schema.anyOf?.find(({ properties }) => properties !== undefined) : schema;
  if (shape?.properties === undefined) throw new Error(`${where} has no default and no example to show`);
  return Object.fromEntries(Object.entries(shape.properties).map(([key, each]) => [key, sampleOf(each, `${where}.${key}`)]));
}

function typeOf(schema: Schema): string {
  if (isSecret(schema)) return '[secret](#secrets)';
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.enum !== undefined) return schema.enum.map((word) => `\`${word}\``).join(', ');
  const forms = schema.anyOf;
  if (forms !== undefined) return [...new Set(forms.map(typeOf))].join(', or ');
  if (schema.type === 'array') return `list of ${plural(typeOf(schema.items ?? {}))}`;
  if (schema.type === 'object') return 'map';
  if (schema.type === 'integer') return `number${schema.minimum === undefined ? '' : `, ${schema.minimum} to ${schema.maximum ?? ''}`}`;
  if (schema.type === 'boolean') return '`true`, `false`';
  if (schema.description?.includes(PATH_RULES.trim()) === true) return 'path';
  return /^\d+(?:ms|s|m|h|d)$/.test(String(schema.default)) ? 'duration' : 'text';
}

function plural(type: string): string {
  return type === 'text' ? 'texts' : type.startsWith('number') ? type.replace('number', 'numbers') : type;
}

/** @throws Error when it says nothing */
function meaningOf(schema: Schema, where = ''): string {
  const text = (schema.description ?? '').replace(PATH_RULES, '').replace(/ ?Default: (?:[^.]|\.(?! |$))*\.?/, '');
  if (text === '' && (schema.description ?? '') === '') throw new Error(`${where} has no description in the schema`);
  return text.trim();
}

/** What a description says of the default. */
function defaultIn(description: string): string | undefined {
  const said = /Default: ((?:[^.]|\.(?! |$))*)\.?/.exec(description)?.[1];
  return said;
}

function isSecret(schema: Schema): boolean {
  return schema.anyOf?.some(({ properties }) => properties?.['credential'] !== undefined) === true;
}

function firstSecret(schema: Schema): Schema {
  const visit = (each: Schema): Schema | undefined => {
    if (isSecret(each)) return each;
    const below = [
      ...Object.values(each.properties ?? {}),
      ...(each.oneOf ?? []),
      ...(each.anyOf ?? []),
      ...(typeof each.additionalProperties === 'object' ? [each.additionalProperties] : []),
    ];
    for (const child of below) {
      const found = visit(child);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const found = visit(schema);
  if (found === undefined) throw new Error('the schema has no secret');
  return found;
}

function flagsTable(): string {
  const rows = SCALAR_PATHS.map((path) => `| \`${path}\` | \`${flagOf(path)}\` | \`${variableOf(path)}\` |`);
  return [
    '\n## Flags and variables',
    '',
    'These values can be given for one run as a flag, or in the environment of the daemon. Several addresses stand with commas between.',
    '',
    '| key | flag | variable |',
    '|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

function code(value: unknown): string {
  const text = typeof value === 'string' ? value : stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim();
  return `\`${text}\``;
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}
