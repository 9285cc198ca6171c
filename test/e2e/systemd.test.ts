import { afterAll, beforeAll, expect, it } from 'vitest';
import { SystemdStage } from '../support/systemd-stage.js';

let stage: SystemdStage;
beforeAll(async () => {
  stage = await SystemdStage.boot('bookworm');
}, 300_000);
afterAll(async () => {
  await stage?.close();
});
it('boots', async () => {
  console.log(await stage.must('dev', 'systemctl', ['--user', 'status', '--no-pager']));
  console.log((await stage.startEmulator('--directory', stage.azure)).slice(0, 1500));
});
