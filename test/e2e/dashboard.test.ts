/** The status page in a real browser: from `postern dashboard` to numbers that move while git clones. */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Chromium, type Tab } from '../support/chromium.js';
import { type RunningDaemon, Scene } from '../support/scene.js';
import { openPage, printDashboard } from './dashboard-stage.js';

const WEB = 'dev.azure.com/contoso/Payments/_git/web';

let scene: Scene;
let daemon: RunningDaemon;
let chromium: Chromium;
let tab: Tab;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  daemon = await scene.daemon();
  const host = new URL(daemon.base).host;
  chromium = await Chromium.start({ [host]: host });
  tab = await chromium.tab();
  await tab.look();
});

afterAll(async () => {
  await chromium.close();
  await scene.close();
});

test('main road', async () => {
  await openPage(tab, daemon);
  console.log(await tab.evaluate('document.body.innerText'));
  console.log(tab.complaints, tab.requests);
  console.log((await scene.git(['clone', daemon.url(WEB), join(scene.directory, 'clone')])).stderr);
  await new Promise((r) => setTimeout(r, 2500));
  console.log(await tab.evaluate('document.body.innerText'));
  await mkdir('/tmp/shots', { recursive: true });
  await writeFile('/tmp/shots/a.png', await tab.screenshot());
  console.log(daemon.output);
});
