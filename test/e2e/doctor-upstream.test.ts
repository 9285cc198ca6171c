import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningDaemon, Scene } from '../support/scene.js';

let scene: Scene;
let daemon: RunningDaemon;
beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web', { commits: 3 });
  await scene.emulator.createRepository('contoso/Payments/empty');
  daemon = await scene.daemon();
});
afterAll(() => scene.close());
test('x', async () => {
  for (const a of ['web', 'empty', 'gone']) {
  const ran = await daemon.postern(['doctor', daemon.url(`dev.azure.com/contoso/Payments/_git/${a}`)]);
  console.log(ran.stdout, ran.stderr, ran.code, ran.ms);
  }
  scene.emulator.git.faults.set('contoso/Payments/web', {kind:'die-midbody', step:'exchange', skip: 1});
  const ran = await daemon.postern(['doctor', daemon.url(`dev.azure.com/contoso/Payments/_git/web`)]);
  console.log(ran.stdout, ran.stderr, ran.code, ran.ms);
  expect(1).toBe(1);
});
