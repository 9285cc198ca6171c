/**
 * Promise: a configuration that a page shows is taken by the program as it stands. An example that is no whole file is completed with
 * what any file has: names, and routes that use them.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { allPages, filesEnding, ROOT } from '../support/doc-pages.js';
import { PROGRAM, type Ran, run } from '../support/scene.js';

type Map = Readonly<Record<string, unknown>>;

const schema = JSON.parse(readFileSync(join(ROOT, 'config/postern.schema.json'), 'utf8')) as Map & { properties: Map };
const TOP_KEYS = new Set(Object.keys(schema.properties));
const identities = readFileSync(join(ROOT, 'docs/IDENTITIES.md'), 'utf8');

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

function isMap(value: unknown): value is Map {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A list of routes, a map of identities, one identity, or a file with some of its keys; undefined for what is none of these. */
function wholeFile(text: string): string | undefined {
  const shown: unknown = parse(text);
  if (Array.isArray(shown)) return shown.every((each) => isMap(each) && 'match' in each) ? completed({ routes: shown }) : undefined;
  if (!isMap(shown)) return undefined;
  const keys = Object.keys(shown);
  if (keys.some((key) => TOP_KEYS.has(key)) && !('services' in shown)) {
    const whole = completed(shown);
    return whole === stringify(shown) ? text : whole;
  }
  if ('kind' in shown && !('apiVersion' in shown)) return completed({ identities: { it: shown } });
  return Object.values(shown).length > 0 && Object.values(shown).every((each) => isMap(each) && 'kind' in each)
    ? completed({ identities: shown })
    : undefined;
}

/** With an identity for each name that a route has, and a route for each identity. */
function completed(file: Map): string {
  const named = isMap(file['identities']) ? file['identities'] : {};
  const routes = Array.isArray(file['routes']) ? (file['routes'] as unknown[]) : undefined;
  const wanted = (routes ?? []).flatMap((route) => (isMap(route) ? [String(route['identity'])] : []));
  const missing = wanted.filter((name) => !(name in named) && name !== 'azure-cli');
  const all: Map = { ...named, ...Object.fromEntries(missing.map((name) => [name, { kind: 'azure-cli' }])) };
  const isComplete = missing.length === 0 && (routes !== undefined || Object.keys(named).length === 0);
  if (isComplete) return stringify(file);
  return stringify({
    ...file,
    identities: all,
    routes: routes ?? Object.keys(all).map((name) => ({ match: `git.example.com/${name}/**`, identity: name })),
  });
}

let count = 0;
async function check(text: string): Promise<Ran> {
  count += 1;
  const file = join(directory, `config-${count}.yaml`);
  await writeFile(file, text);
  return run(process.execPath, [PROGRAM, 'config', 'check', '--config', file], { env: { PATH: process.env['PATH'], HOME: directory } });
}

async function expectTaken(text: string): Promise<void> {
  const ran = await check(text);
  // Files that an example names are somebody else's; that is looked for last, when everything else is right.
  const isOnlyWithoutFiles = ran.code === 2 && ran.stderr.startsWith('postern: What the configuration points at is not there\n');
  expect(ran.code === 0 || isOnlyWithoutFiles, `${ran.stdout}${ran.stderr}`).toBe(true);
  expect(ran.stderr).not.toContain('warning:');
}

const blocks = allPages().flatMap(({ file, blocks: all }) =>
  all
    .filter(
      ({ language, mark }) => (/^ya?ml$/.test(language) && mark.kind !== 'shown') || (mark.kind === 'file' && /\.ya?ml$/.test(mark.path)),
    )
    .map((block) => ({ name: `${file}:${block.line}, below "${block.heading}"`, file, whole: wholeFile(block.text), block })),
);
const ours = blocks.filter(({ whole }) => whole !== undefined);

describe('a configuration in a page', () => {
  test('is found in many places', () => {
    expect(ours.length).toBeGreaterThan(25);
  });

  test.each(ours)('$name', async ({ whole }) => {
    await expectTaken(whole ?? '');
  });

  test('is what every YAML block of docs/IDENTITIES.md shows, but for steps of a pipeline', () => {
    const others = blocks.filter(
      ({ file, whole, block }) => file === 'docs/IDENTITIES.md' && whole === undefined && !/^steps:/.test(block.text),
    );
    expect(others.map(({ name }) => name)).toEqual([]);
  });

  test('that is wrong would be found', async () => {
    const ran = await check(wholeFile('- { match: dev.azure.com/**, identiy: me }\n') ?? '');
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('identiy');
  });
});

/** Kustomize puts some of these together; those that stand alone are checked here. */
const FILES = filesEnding('.yaml').filter(
  (file) => file === 'config/postern.example.yaml' || /^config\/.*\/(?:config|postern)\.yaml$/.test(file),
);

describe('a configuration in config/', () => {
  test.each(FILES)('%s', async (file) => {
    await expectTaken(readFileSync(join(ROOT, file), 'utf8'));
  });
});

/** Every value that the schema gives for `kind`. */
function kindsOf(node: unknown): string[] {
  if (Array.isArray(node)) return node.flatMap(kindsOf);
  if (!isMap(node)) return [];
  const { kind } = isMap(node['properties']) ? node['properties'] : {};
  const own = isMap(kind) && typeof kind['const'] === 'string' ? [kind['const']] : [];
  return [...own, ...Object.values(node).flatMap(kindsOf)];
}

describe('docs/IDENTITIES.md', () => {
  test('has a section for each kind of the schema', () => {
    const kinds = [...new Set(kindsOf(schema))];
    expect(kinds.length).toBeGreaterThan(14);
    for (const kind of kinds) expect(identities, kind).toMatch(new RegExp(`^## ${kind}$`, 'm'));
  });

  test('names in its table only kinds that there are', () => {
    const kinds = new Set(kindsOf(schema));
    const rows = identities.match(/^\| .* \| .*`.*\|$/gm)?.filter((line) => /^\| (?:a|an|on|someone) /.test(line)) ?? [];
    expect(rows.length).toBeGreaterThan(5);
    for (const [, kind = ''] of rows.join('\n').matchAll(/`([a-z-]+)`/g)) expect(kinds, kind).toContain(kind);
  });
});
