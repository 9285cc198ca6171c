/**
 * Promise: what docs/IDENTITIES.md shows is taken by the program as it stands, and no kind is without its section. An example that is
 * no whole file is completed with what any file has: names, and routes that use them.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { Scene } from '../support/scene.js';

type Map = Readonly<Record<string, unknown>>;

const ROOT = join(import.meta.dirname, '..', '..');
const page = await readFile(join(ROOT, 'docs/IDENTITIES.md'), 'utf8');
const schema = JSON.parse(await readFile(join(ROOT, 'config/postern.schema.json'), 'utf8')) as unknown;
const blocks = [...page.matchAll(/^( *)```yaml\n([^]*?)^\1```$/gm)].map(([whole, , text = ''], index) => ({
  name: `${index + 1}, below "${/[^]*^#+ (.*)$/m.exec(page.slice(0, page.indexOf(whole)))?.[1] ?? ''}"`,
  text,
}));

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.open();
});
afterAll(() => scene.close());

function isMap(value: unknown): value is Map {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An example as a whole file: text as it stands where it is one. */
function wholeFile(text: string): string {
  const shown: unknown = parse(text);
  if (!isMap(shown)) return text;
  const isFile = ['identities', 'routes', 'listen', 'log', 'access'].some((key) => key in shown);
  const identities = (isFile ? shown['identities'] : 'kind' in shown ? { it: shown } : shown) ?? {};
  const routes = isFile ? shown['routes'] : undefined;
  if (!isMap(identities)) return text;
  const named = Array.isArray(routes) ? routes.flatMap((route: unknown) => (isMap(route) ? [String(route['identity'])] : [])) : [];
  const missing = named.filter((name) => !(name in identities) && name !== 'azure-cli');
  const all: Map = { ...identities, ...Object.fromEntries(missing.map((name) => [name, { kind: 'azure-cli' }])) };
  if (isFile && routes !== undefined && missing.length === 0) return text;
  return stringify({
    ...(isFile ? shown : {}),
    identities: all,
    routes: routes ?? Object.keys(all).map((name) => ({ match: `git.example.com/${name}/**`, identity: name })),
  });
}

/** Every value that the schema gives for `kind`. */
function kindsOf(node: unknown): string[] {
  if (Array.isArray(node)) return node.flatMap(kindsOf);
  if (!isMap(node)) return [];
  const { kind } = isMap(node['properties']) ? node['properties'] : {};
  const own = isMap(kind) && typeof kind['const'] === 'string' ? [kind['const']] : [];
  return [...own, ...Object.values(node).flatMap(kindsOf)];
}

describe('docs/IDENTITIES.md', () => {
  test('has examples', () => {
    expect(blocks.length).toBeGreaterThan(0);
  });

  test.each(blocks)('example $name is a configuration', async ({ text }) => {
    const file = await scene.writeConfiguration(wholeFile(text));
    const ran = await scene.postern(['config', 'check', '--config', file]);
    // Files that an example names are somebody else's; that is looked for last, when everything else is right.
    const isOnlyWithoutFiles = ran.code === 2 && ran.stderr.startsWith('postern: What the configuration points at is not there\n');
    expect(ran.code === 0 || isOnlyWithoutFiles, ran.stderr).toBe(true);
    expect(ran.stderr).not.toContain('warning:');
  });

  test('has a section for each kind of the schema', () => {
    const kinds = [...new Set(kindsOf(schema))];
    expect(kinds.length).toBeGreaterThan(14);
    for (const kind of kinds) expect(page, kind).toMatch(new RegExp(`^## ${kind}$`, 'm'));
  });

  test('names in its table only kinds that there are', () => {
    const kinds = new Set(kindsOf(schema));
    const rows = page.match(/^\| .* \| .*`.*\|$/gm)?.filter((line) => /^\| (?:a|an|on|someone) /.test(line)) ?? [];
    expect(rows.length).toBeGreaterThan(5);
    for (const [, kind = ''] of rows.join('\n').matchAll(/`([a-z-]+)`/g)) expect(kinds, kind).toContain(kind);
  });
});
