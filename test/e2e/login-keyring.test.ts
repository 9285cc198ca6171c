/** The key of sign-ins in a real keyring of a desktop (GNOME's, over a real session bus). */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { DesktopSession } from '../support/desktop-session.js';
import { LoginStage } from './login-stage.js';

let stage: LoginStage;
let desktop: DesktopSession;
beforeAll(async () => {
  stage = await LoginStage.open();
  desktop = await DesktopSession.open(stage.scene.home);
});
afterAll(async () => {
  await stage.close();
  await desktop.close();
});

afterEach(() => stage.reset());

test('a desktop with a keyring keeps the key there; outside its session the sign-in asks for a new one, and inside it goes on', async () => {
  const env = desktop.environment;
  const first = await stage.daemon(stage.configuration(), env);
  const ran = await first.run(['login'], { env });
  expect(ran).toMatchObject({ code: 0 });
  expect(ran.stdout).toContain("sealed with the desktop's keyring\n");
  expect(await first.lsRemote()).toMatchObject({ code: 0, stderr: '' });
  expect((await first.daemon.postern(['status'])).stdout).toContain("sealed with the desktop's keyring");
  const logins = join(stage.scene.home, '.local/state/postern/logins');
  expect(await readdir(logins)).toEqual(['me.login']);
  const [version = ''] = await readdir(join(logins, 'me.login'));
  expect(await readFile(join(logins, 'me.login', version), 'utf8')).toContain('"keeper":{"kind":"keyring"}');
  expect(await first.daemon.stop()).toBe(0);

  const outside = await stage.daemon();
  const refused = await outside.lsRemote();
  expect(refused.code).toBe(128);
  expect(refused.stderr).toContain("it is sealed with a key of the desktop's keyring, which does not answer here");
  expect(await outside.daemon.stop()).toBe(0);

  const again = await stage.daemon(stage.configuration(), env);
  expect(await again.lsRemote()).toMatchObject({ code: 0, stderr: '' });
});

test('where a service is installed, a sign-in that comes before it is sealed with what the service can read', async () => {
  const env = desktop.environment;
  const units = join(stage.scene.home, '.config/systemd/user');
  await mkdir(units, { recursive: true });
  await writeFile(join(units, 'postern.service'), '[Service]\n');
  const ran = await stage.postern(['login'], stage.configuration(), { env });
  expect(ran).toMatchObject({ code: 0 });
  expect(ran.stdout).toContain('sealed with the key file');
  // The unit hides the session bus from the service.
  const service = await stage.daemon();
  expect(await service.lsRemote()).toMatchObject({ code: 0, stderr: '' });
});
