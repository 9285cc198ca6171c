/** What a start costs: the token library, most of what the program can load, stays on disk until a token is needed. */
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Scene } from '../support/scene.js';

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
});
afterAll(() => scene.close());

/** Whether a run that left its coverage in `directory` (NODE_V8_COVERAGE: every script that was loaded) loaded the token library. */
async function hasLoadedTokenLibrary(directory: string): Promise<boolean> {
  const loaded = new Set<string>();
  for (const name of await readdir(directory)) {
    const { result } = JSON.parse(await readFile(join(directory, name), 'utf8')) as { result: readonly { url: string }[] };
    for (const { url } of result) if (url.startsWith('file:')) loaded.add(fileURLToPath(url));
  }
  expect([...loaded].some((file) => file.endsWith('postern.js'))).toBe(true);
  const texts = await Promise.all([...loaded].map((file) => readFile(file, 'utf8')));
  // A name of its telemetry that stands in every build of it, and nowhere in ours.
  return texts.some((text) => text.includes('azsdk-js-identity'));
}

test.each([
  ['before the first token it is not loaded', false],
  ['for the first token it is', true],
])('%s', async (_, isUsed) => {
  const coverage = join(scene.directory, `coverage-${String(isUsed)}`);
  await mkdir(coverage);
  const daemon = await scene.daemon(undefined, { env: { NODE_V8_COVERAGE: coverage } });
  await daemon.status();
  if (isUsed) expect((await scene.git(['ls-remote', daemon.url('dev.azure.com/contoso/Payments/_git/web')])).code).toBe(0);
  expect(await daemon.stop()).toBe(0);
  expect(await hasLoadedTokenLibrary(coverage)).toBe(isUsed);
});
