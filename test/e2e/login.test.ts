/**
 * People sign in: real git through the daemon, the built program in the place of the person's terminal, a script in the place of the
 * browser, and Entra's double. Texts are those that the person reads.
 */
import type { ChildProcess } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { get } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { eventually, LoginStage, type Signable } from './login-stage.js';

let stage: LoginStage;
let tenant: string;
beforeAll(async () => {
  stage = await LoginStage.open();
  const { sts } = stage.scene.emulator;
  tenant = sts.samples.tenant;
  sts.users.add({ upn: 'erin@example.com', name: 'Erin Example' });
});
afterAll(() => stage.close());
afterEach(async () => {
  await stage.reset();
  // Nobody is signed in for the next one.
  for (const identity of ['me', 'you']) await stage.postern(['logout', identity]);
});

const directory = (identity = 'me'): string => join(stage.scene.home, '.local/state/postern/logins', `${identity}.login`);
const revokeAll = (): void => {
  const { sts } = stage.scene.emulator;
  for (const token of sts.tokens()) sts.revoke(token);
};

describe('in a browser on this machine', () => {
  test('git is told what to run, the person signs in, and git works, also after a restart', async () => {
    const { sts } = stage.scene.emulator;
    const first = await stage.daemon();
    const before = await first.lsRemote();
    expect(before.code).toBe(128);
    expect(before.stderr).toContain('remote: postern: Nobody is signed in for identity me');
    expect(before.stderr).toContain('what to do: run `postern login me` as the user of the daemon');
    expect(sts.tokenRequests).toEqual([]);
    expect((await first.daemon.postern(['status'])).stdout).toContain('nobody is signed in: `postern login me`');

    const ran = await first.run(['login']);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain(`Signed in as dana@example.com (tenant ${tenant}) for identity me\n`);
    expect(ran.stdout).toContain(`sealed with the key file ${join(stage.scene.home, '.local/state/postern/logins/key')}: whoever can read`);
    expect(ran.stderr).toContain('Sign in for identity me in the browser that opens:');
    expect(await stage.browser.shown()).toContain('Signed in as dana@example.com. You can close this page.');
    const asked = sts.users.asked[0];
    expect(asked?.get('code_challenge_method')).toBe('S256');
    expect(asked?.get('prompt')).toBe('select_account');
    expect(asked?.get('scope')).toContain('499b84ac-1321-427f-aa17-267ca6975798/.default');

    expect(await first.lsRemote()).toMatchObject({ code: 0, stderr: '' });
    const token = sts.issued.get(sts.tokens().at(-1) ?? '');
    expect(token).toMatchObject({ upn: 'dana@example.com', tid: tenant, appid: '872cd9fa-d31f-45e0-9eab-6e460a02d1f1' });
    const status = await first.daemon.postern(['status']);
    expect(status.stdout).toMatch(
      new RegExp(`me {2}browser {2}ready[^]*signed in as dana@example.com \\(tenant ${tenant}\\) since 20[0-9-]+T`),
    );
    expect(status.stdout).toContain('sealed with the key file');
    expect((await first.daemon.status()).logins).toMatchObject([
      { identity: 'me', login: { label: { account: 'dana@example.com', tenant }, keptBy: { kind: 'key-file' } } },
    ]);
    expect(await first.daemon.stop()).toBe(0);

    sts.tokenRequests.length = 0;
    const second = await stage.daemon();
    expect(await second.lsRemote()).toMatchObject({ code: 0, stderr: '' });
    expect(sts.tokenRequests.map(({ grant }) => grant)).toEqual(['refresh_token']);
    expect(await readdir(directory())).toHaveLength(1);
  });

  test('a token that the upstream refuses is renewed without a word, with what the last renewal left', async () => {
    const { sts } = stage.scene.emulator;
    sts.users.isRefreshOnce = true;
    const signable = await stage.daemon();
    expect((await signable.run(['login'])).code).toBe(0);
    for (let times = 0; times < 3; times += 1) {
      expect(await signable.lsRemote()).toMatchObject({ code: 0, stderr: '' });
      revokeAll();
    }
    expect(sts.tokenRequests.map(({ grant }) => grant)).toEqual(['authorization_code', 'refresh_token', 'refresh_token', 'refresh_token']);
  });

  test('two daemons with one sign-in, of which each refresh token is good once, both go on', async () => {
    const { sts } = stage.scene.emulator;
    sts.users.isRefreshOnce = true;
    const state = { XDG_STATE_HOME: join(stage.scene.home, '.local/state') };
    // The second is `exec`, which has a directory of its own and the sign-ins of its user.
    const signable = await stage.daemon(stage.configuration(), state);
    expect((await signable.run(['login'])).code).toBe(0);
    const clone = `git ls-remote https://dev.azure.com/contoso/Payments/_git/web`;
    for (let times = 0; times < 2; times += 1) {
      const ran = await stage.postern(['exec', '--', 'sh', '-c', clone], stage.configuration());
      expect(ran.stdout, ran.stderr).toContain('refs/heads/main');
      revokeAll();
      expect(await signable.lsRemote()).toMatchObject({ code: 0, stderr: '' });
    }
  });

  test('what ends a sign-in is told to git with the command, and after that command git works at once', async () => {
    const { sts } = stage.scene.emulator;
    const signable = await stage.daemon();
    expect((await signable.run(['login'])).code).toBe(0);
    for (const [aadsts, text] of [
      [700082, 'The sign-in of dana@example.com for identity me has ended (AADSTS700082)'],
      [70043, 'The sign-in of dana@example.com for identity me has ended (AADSTS70043)'],
      [50076, 'The sign-in service wants dana@example.com to sign in anew for identity me (AADSTS50076)'],
    ] as const) {
      revokeAll();
      sts.users.refreshFailure = { aadsts };
      const failed = await signable.lsRemote();
      expect(failed.code, failed.stderr).toBe(128);
      expect(failed.stderr).toContain(`remote: postern: ${text}`);
      expect(failed.stderr).toContain('what to do: run `postern login me` as the user of the daemon');
      const { identities, failures } = await signable.daemon.status();
      expect(identities.find(({ name }) => name === 'me')).toMatchObject({ state: 'failing', failure: text });
      expect(failures[0]?.failure?.code).toBe('identity-rejected');
      sts.users.refreshFailure = undefined;
      expect((await signable.run(['login'])).code).toBe(0);
      expect(await signable.lsRemote()).toMatchObject({ code: 0, stderr: '' });
    }
  });

  test('another account is refused, in the browser too, and nothing is kept', async () => {
    const { sts } = stage.scene.emulator;
    sts.users.inBrowser = 'erin@example.com';
    const identity = stage.identity(', user: DANA@example.com');
    const ran = await stage.postern(['login'], stage.configuration({ me: identity }));
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain(
      'postern: The browser signed in as erin@example.com, and identity me is for DANA@example.com; nothing was kept',
    );
    expect(ran.stderr).toContain('what to do: sign in as DANA@example.com');
    expect(await stage.browser.shown()).toContain('The browser signed in as erin@example.com');
    expect(sts.users.asked[0]?.get('login_hint')).toBe('DANA@example.com');
    sts.users.inBrowser = 'dana@example.com';
    expect((await stage.postern(['login'], stage.configuration({ me: identity }))).code).toBe(0);
  });

  test.each<[string, { error: string; aadsts: number; text: string }, string, string]>([
    [
      'declines',
      { error: 'access_denied', aadsts: 65004, text: 'User declined to consent to access the app.' },
      'Consent for the app was declined (AADSTS65004)',
      'run `postern login me` and accept',
    ],
    [
      'is not assigned',
      { error: 'access_denied', aadsts: 50105, text: 'not assigned' },
      'The account is not assigned to the app (AADSTS50105)',
      'administrator',
    ],
  ])('who %s there is told so, here and there', async (_, refuseWith, what, todo) => {
    stage.scene.emulator.sts.users.refuseWith = refuseWith;
    const ran = await stage.postern(['login']);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain(what);
    expect(ran.stderr).toMatch(new RegExp(`what to do: .*${todo}`));
    expect(ran.stderr).not.toContain('Trace ID');
    expect(await stage.browser.shown()).toContain(what);
  });

  test('what a page of another site sends to the listener does not end the sign-in, and gets nothing', async () => {
    const signable = await stage.daemon();
    const asked: { status: number; page: string }[] = [];
    const ran = await signable.loginElsewhere(['me'], async (address) => {
      const page = new URL(address);
      const redirect = new URL(page.searchParams.get('redirect_uri') ?? '');
      const state = page.searchParams.get('state') ?? '';
      const ask = (path: string, host = redirect.host): Promise<void> =>
        new Promise((resolve, reject) => {
          get({ host: '127.0.0.1', port: redirect.port, path, headers: { host }, agent: false }, (answer) => {
            let text = '';
            answer.on('data', (chunk: Buffer) => (text += chunk.toString()));
            answer.on('end', () => {
              asked.push({ status: answer.statusCode ?? 0, page: text });
              resolve();
            });
          }).on('error', reject);
        });
      await ask('/?code=stolen&state=guessed');
      await ask('/?error=access_denied');
      await ask(`/?code=stolen&state=${state}`, 'evil.example');
      await ask(`/other?code=stolen&state=${state}`);
      const { address: end } = await signable.visit(address);
      return [end];
    });
    expect(ran).toMatchObject({ code: 0 });
    expect(asked.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
    expect(asked.map(({ page }) => page).join('')).not.toContain('dana');
  });
});

describe('in a browser elsewhere', () => {
  test('the address that it ends at is pasted back, and what is none of this sign-in is told', async () => {
    const signable = await stage.daemon();
    const ran = await signable.loginElsewhere(['me'], async (address) => {
      const { address: end } = await signable.visit(address);
      expect(end).toMatch(/^http:\/\/localhost:[0-9]+\/\?code=/);
      return ['', 'http://localhost:1/?code=other&state=other', 'https://dev.azure.com/', end];
    });
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stderr).toContain('Sign in for identity me in a browser:');
    expect(ran.stderr).toContain('paste that address here');
    expect(ran.stderr.split('This is not the address that the browser was sent to').length).toBe(3);
    expect(ran.stdout).toContain('Signed in as dana@example.com');
    expect(await signable.lsRemote()).toMatchObject({ code: 0, stderr: '' });
  });

  test('a code that was used before is told as what it is', async () => {
    const signable = await stage.daemon();
    let end = '';
    await signable.loginElsewhere(['me'], async (address) => {
      end = (await signable.visit(address)).address;
      return [end];
    });
    const ran = await signable.loginElsewhere(['me'], (address) => {
      const state = new URL(address).searchParams.get('state') ?? '';
      const again = new URL(end);
      again.searchParams.set('state', state);
      return Promise.resolve([again.href]);
    });
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain('AADSTS54005');
    expect(ran.stderr).not.toContain(new URL(end).searchParams.get('code') ?? 'none');
  });

  test('Ctrl-C gives up, and nothing is kept', async () => {
    let child: ChildProcess | undefined;
    let said = '';
    const running = stage.postern(['login', '--no-browser'], stage.configuration(), {
      isInputOpen: true,
      onChild: (started) => {
        child = started;
        started.stderr?.on('data', (chunk: string) => (said += chunk));
      },
    });
    await eventually(() => said.includes('paste that address here'));
    child?.kill('SIGINT');
    const ran = await running;
    expect(ran).toMatchObject({ code: 130, stdout: '' });
    expect(ran.stderr).toContain('The sign-in was given up; nothing was kept');
  });
});

describe('with a device code', () => {
  const withCode = (): Promise<Signable> => stage.daemon(stage.configuration({ me: stage.identity('', 'device-code') }));

  test('waits as long as it is told to, signs in, and is renewed', async () => {
    const { users } = stage.scene.emulator.sts;
    const signable = await withCode();
    users.device = 'pending';
    const polls = (): number => stage.scene.emulator.sts.tokenRequests.length;
    const running = signable.run(['login']);
    await eventually(() => polls() === 2);
    users.device = 'approved';
    const ran = await running;
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stderr).toMatch(
      /^Open https:\/\/127\.0\.0\.1:[0-9]+\/devicelogin in a browser on any machine, and enter the code [0-9A-F]{9} to sign in for identity me$/m,
    );
    expect(ran.stderr).toContain('The code is good for 15 minutes; Ctrl-C gives up');
    expect(ran.stdout).toContain('Signed in as dana@example.com');
    expect(users.hasty).toBe(0);
    expect(await signable.lsRemote()).toMatchObject({ code: 0, stderr: '' });
    revokeAll();
    expect(await signable.lsRemote()).toMatchObject({ code: 0, stderr: '' });
  });

  test.each<[string, () => void, string, string]>([
    [
      'declined',
      () => (stage.scene.emulator.sts.users.device = 'declined'),
      'The sign-in was declined (AADSTS70020)',
      '`postern login me` once more',
    ],
    [
      'expired',
      () => (stage.scene.emulator.sts.users.device = 'expired'),
      'The code has expired before somebody signed in with it',
      '`postern login me` once more',
    ],
    [
      'blocked by the tenant',
      () => (stage.scene.emulator.sts.failWith = { aadsts: 53003 }),
      'The tenant blocks this sign-in with a device code (conditional access) (AADSTS53003)',
      'sign in with a browser instead (`postern login me --browser`)',
    ],
    [
      'blocked for unmanaged devices',
      () => (stage.scene.emulator.sts.failWith = { aadsts: 530033 }),
      'The tenant blocks this sign-in with a device code (conditional access) (AADSTS530033)',
      'sign in with a browser instead (`postern login me --browser`)',
    ],
  ])('%s: it says so and what to do, and keeps nothing', async (_, play, what, todo) => {
    play();
    const ran = await stage.postern(['login', '--device-code']);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain(`postern: ${what}\n  what to do: `);
    expect(ran.stderr).toContain(todo);
    expect((await stage.postern(['logout'])).stdout).toContain('Nobody was signed in for identity me');
  });

  test('its own end is told when nobody comes', async () => {
    const { users } = stage.scene.emulator.sts;
    Object.assign(users, { device: 'pending', deviceLifeSeconds: 2 });
    const ran = await stage.postern(['login', '--device-code']);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('The code has expired before somebody signed in with it');
  });

  test('Ctrl-C gives up at once', async () => {
    const { users } = stage.scene.emulator.sts;
    Object.assign(users, { device: 'pending', deviceInterval: 60 });
    let child: ChildProcess | undefined;
    let said = '';
    const running = stage.postern(['login', '--device-code'], stage.configuration(), {
      onChild: (started) => {
        child = started;
        started.stderr?.on('data', (chunk: string) => (said += chunk));
      },
    });
    await eventually(() => said.includes('Ctrl-C gives up'));
    child?.kill('SIGINT');
    expect(await running).toMatchObject({ code: 130, stdout: '' });
    expect((await running).ms).toBeLessThan(20_000);
  });
});

describe('claims that an upstream asks for', () => {
  test('are told with the command, and the next sign-in satisfies them', async () => {
    const { sts } = stage.scene.emulator;
    const signable = await stage.daemon();
    expect((await signable.run(['login'])).code).toBe(0);
    expect((await signable.lsRemote()).code).toBe(0);
    sts.requireClaims = true;
    sts.users.claimsNeedSignIn = true;
    const failed = await signable.lsRemote();
    expect(failed.code).toBe(128);
    expect(failed.stderr).toContain('The sign-in service wants dana@example.com to sign in anew for identity me (AADSTS50076)');
    expect(failed.stderr).toContain('run `postern login me` as the user of the daemon');
    expect((await signable.daemon.status()).identities.find(({ name }) => name === 'me')?.variants[0]?.claims).toContain('nbf');
    expect((await signable.run(['login'])).code).toBe(0);
    expect(sts.users.asked.at(-1)?.get('claims')).toContain('nbf');
    expect(await signable.lsRemote()).toMatchObject({ code: 0, stderr: '' });
  });

  test('that need nobody are satisfied by a renewal', async () => {
    const { sts } = stage.scene.emulator;
    const signable = await stage.daemon();
    expect((await signable.run(['login'])).code).toBe(0);
    sts.requireClaims = true;
    expect(await signable.lsRemote()).toMatchObject({ code: 0, stderr: '' });
    expect(sts.tokenRequests.map(({ grant }) => grant)).toEqual(['authorization_code', 'refresh_token', 'refresh_token']);
    const refreshed = sts.tokens().slice(-2);
    expect(refreshed.map((token) => sts.issued.get(token)?.xms_cc)).toEqual([undefined, ['CP1']]);
  });
});
