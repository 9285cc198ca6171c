/**
 * What a start costs: a daemon that nobody has asked for a token has not loaded the token library. V8 itself tells what
 * it has loaded (NODE_V8_COVERAGE, written when the process ends), and the maps beside the chunks tell which packages
 * are in them.
 */
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROGRAM, type RunningDaemon, Scene } from '../support/scene.js';

let scene: Scene;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
});
afterAll(() => scene.close());

/** Packages of the token library: its own scope and what signs in for it. */
const TOKEN_LIBRARY = /^@(azure|typespec)\//;

test('a daemon that needs no token yet has not loaded the token library', async () => {
  const packages = await packagesLoadedBy(async () => undefined);
  // Proof that the list is one: these are needed to listen.
  expect(packages).toEqual(expect.arrayContaining(['yargs', 'zod', 'yaml', 'winston', 'http-proxy']));
  expect(packages.filter((name) => TOKEN_LIBRARY.test(name))).toEqual([]);
});

test('the first token loads it', async () => {
  const packages = await packagesLoadedBy(async (daemon) => {
    const ran = await scene.git(['ls-remote', daemon.url('dev.azure.com/contoso/Payments/_git/web')]);
    expect(ran).toMatchObject({ code: 0 });
  });
  expect(packages).toEqual(expect.arrayContaining(['@azure/identity', '@azure/msal-node']));
});

/** Starts a daemon, has `work` done, ends it, and gives the names of the packages in every file that it loaded. */
async function packagesLoadedBy(work: (daemon: RunningDaemon) => Promise<void>): Promise<string[]> {
  const coverage = await mkdtemp(join(scene.directory, 'coverage-'));
  const daemon = await scene.daemon(undefined, { env: { NODE_V8_COVERAGE: coverage } });
  await work(daemon);
  expect(await daemon.stop()).toBe(0);
  const packages = new Set<string>();
  for (const file of await loadedFiles(coverage)) {
    const map = JSON.parse(await readFile(`${file}.map`, 'utf8')) as { readonly sources: readonly string[] };
    for (const source of map.sources) {
      const name = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(source)?.[1];
      if (name !== undefined) packages.add(name);
    }
  }
  return [...packages].sort();
}

/** Files of the program that a process loaded. */
async function loadedFiles(coverage: string): Promise<string[]> {
  const files = new Set<string>();
  for (const report of await readdir(coverage)) {
    const { result } = JSON.parse(await readFile(join(coverage, report), 'utf8')) as {
      readonly result: readonly { readonly url: string }[];
    };
    for (const { url } of result) {
      if (!url.startsWith('file:')) continue;
      const file = fileURLToPath(url);
      if (file.startsWith(dirname(PROGRAM))) files.add(file);
    }
  }
  return [...files];
}
