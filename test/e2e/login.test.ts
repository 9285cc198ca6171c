/**
 * People sign in: real git through the daemon, the built program in the place of the person's terminal, a script in the place of the
 * browser, and Entra's double. Texts are those that the person reads.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { LoginStage } from './login-stage.js';

let stage: LoginStage;
let tenant: string;
beforeAll(async () => {
  stage = await LoginStage.open();
  tenant = stage.scene.emulator.sts.samples.tenant;
});
afterAll(() => stage.close());
afterEach(() => stage.reset());

describe('in a browser on this machine', () => {
  test('git is told what to run, the person signs in, and git works, also after a restart', async () => {
    const { sts } = stage.scene.emulator;
    const first = await stage.daemon();
    const before = await first.lsRemote();
    expect(before.code).toBe(128);
    expect(before.stderr).toContain('remote: postern: Nobody is signed in for identity me');
    expect(before.stderr).toContain('what to do: run `postern login me` as the user of the daemon');
    expect(sts.tokenRequests).toEqual([]);

    const ran = await first.run(['login']);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain(`Signed in as dana@example.com (tenant ${tenant}) for identity me\n`);
    expect(ran.stdout).toContain(`sealed with the key file ${join(stage.scene.home, '.local/state/postern/logins/key')}: whoever can read`);
    expect(ran.stderr).toContain('Sign in for identity me in the browser that opens:');
    expect(await stage.browser.shown()).toContain('Signed in as dana@example.com. You can close this page.');
    expect(sts.users.asked[0]?.get('code_challenge_method')).toBe('S256');

    expect(await first.lsRemote()).toMatchObject({ code: 0, stderr: '' });
    const token = sts.issued.get(sts.tokens().at(-1) ?? '');
    expect(token).toMatchObject({ upn: 'dana@example.com', tid: tenant, appid: '872cd9fa-d31f-45e0-9eab-6e460a02d1f1' });
    const status = await first.daemon.postern(['status']);
    expect(status.stdout).toMatch(
      new RegExp(`me {2}browser {2}ready[^]*signed in as dana@example.com \\(tenant ${tenant}\\) since 20[0-9-]+T`),
    );
    expect(await first.daemon.stop()).toBe(0);

    sts.tokenRequests.length = 0;
    const second = await stage.daemon();
    expect(await second.lsRemote()).toMatchObject({ code: 0, stderr: '' });
    expect(sts.tokenRequests.map(({ grant }) => grant)).toEqual(['refresh_token']);
    expect(await readdir(join(stage.scene.home, '.local/state/postern/logins/me.login'))).toHaveLength(1);
  });
});
