/**
 * What is kept of sign-ins: where, by whom it can be read, what a wrong key, a logout, two processes and a changed configuration do to
 * it, and that none of it is anywhere in clear.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CheckRow } from '../../src/model/check.js';
import { Canaries, filesBelow } from '../support/canary.js';
import { PROGRAM } from '../support/scene.js';
import { eventually, LoginStage } from './login-stage.js';

let stage: LoginStage;
beforeAll(async () => {
  stage = await LoginStage.open();
  stage.scene.emulator.sts.users.add({ upn: 'erin@example.com', name: 'Erin Example' });
});
afterAll(() => stage.close());
afterEach(async () => {
  await stage.reset();
  await rm(logins(), { recursive: true, force: true });
});

const logins = (...path: string[]): string => join(stage.scene.home, '.local/state/postern/logins', ...path);
const two = (): string => stage.configuration({ me: stage.identity(), you: stage.identity(', user: erin@example.com') });
const revokeAll = (): void => {
  const { sts } = stage.scene.emulator;
  for (const token of sts.tokens()) sts.revoke(token);
};

describe('which identity', () => {
  test('several of them are to be named, and others are told where they sign in', async () => {
    const { tenant, secretClient } = stage.scene.emulator.sts.samples;
    const text = stage.configuration({
      me: stage.identity(),
      you: stage.identity('', 'device-code'),
      cli: `{ kind: azure-cli, tenant: ${tenant} }`,
      sp: `{ kind: client-secret, tenant: ${tenant}, clientId: ${secretClient.clientId}, secret: { env: SP_SECRET } }`,
    });
    for (const command of ['login', 'logout']) {
      const ran = await stage.postern([command], text);
      expect(ran).toMatchObject({ code: 2, stdout: '' });
      expect(ran.stderr).toBe('postern: There are several identities that people sign in for\n  what to do: name one of them: me, you\n');
    }
    const said = async (name: string): Promise<string> => (await stage.postern(['login', name], text)).stderr;
    expect(await said('cli')).toBe(
      `postern: Identity cli is of kind azure-cli, which signs in elsewhere\n  what to do: run \`az login --tenant ${tenant}\` as the user of the daemon\n`,
    );
    expect(await said('sp')).toContain('what to do: nothing: it is no person, and signs in by itself');
    expect(await said('nobody')).toBe('postern: The configuration has no identity nobody\n  what to do: name one of me, you\n');
    const none = await stage.postern(['login'], stage.configuration({ cli: '{ kind: azure-cli }' }));
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('such as `me: { kind: browser }`');
  });
});

describe('without a daemon', () => {
  test('the sign-in waits for one, and is named with --json', async () => {
    const ran = await stage.postern(['login', '--json']);
    expect(JSON.parse(ran.stdout)).toMatchObject({
      identity: 'me',
      account: 'dana@example.com',
      keptBy: { kind: 'key-file', path: logins('key') },
    });
    const signable = await stage.daemon();
    expect(await signable.lsRemote()).toMatchObject({ code: 0, stderr: '' });
  });

  test.each(['000', '077'])('under umask %s everything is for its owner alone', async (mask) => {
    const file = await stage.scene.writeConfiguration(stage.configuration());
    await promisify(execFile)('sh', ['-c', `umask ${mask}; exec "$0" "$@"`, process.execPath, PROGRAM, 'login', '--config', file], {
      env: { ...stage.scene.environment, BROWSER: stage.browser.program },
    });
    const modes: Record<string, string> = {};
    for (const path of [logins(), logins('key'), logins('me.login'), logins('me.login', '1')])
      modes[path.slice(logins().length)] = ((await stat(path)).mode & 0o777).toString(8);
    expect(modes).toEqual({ '': '700', '/key': '600', '/me.login': '700', '/me.login/1': '600' });
  });
});

test('doctor names what a sign-in is sealed with, and how it can be read', async () => {
  const signable = await stage.daemon();
  const kept = async (): Promise<CheckRow | undefined> => {
    const { rows } = JSON.parse((await signable.run(['doctor', '--json'])).stdout) as { rows: readonly CheckRow[] };
    return rows.find(({ id }) => id === 'sign-in-keeping');
  };
  expect(await kept()).toMatchObject({ verdict: 'ok', text: 'none' });
  expect(await signable.run(['login'])).toMatchObject({ code: 0 });
  expect(await kept()).toMatchObject({
    verdict: 'ok',
    text: `me: sealed with the key file ${logins('key')}: whoever can read that file and the sign-in beside it can use the sign-in`,
  });
  expect(await signable.run(['logout'])).toMatchObject({ code: 0 });
  expect(await kept()).toMatchObject({ text: 'none' });
});

describe('logout', () => {
  test('says whom it forgot, and the daemon has nothing any more', async () => {
    const { tenant } = stage.scene.emulator.sts.samples;
    const signable = await stage.daemon();
    await signable.run(['login']);
    expect((await signable.lsRemote()).code).toBe(0);
    const ran = await signable.run(['logout']);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toBe(
      `Forgotten: the sign-in of dana@example.com (tenant ${tenant}) for identity me, and the token that the daemon held\n`,
    );
    expect((await signable.lsRemote()).stderr).toContain('Nobody is signed in for identity me');
    expect((await signable.run(['logout', 'me'])).stdout).toBe('Nobody was signed in for identity me\n');
    expect(JSON.parse((await signable.run(['logout', '--json'])).stdout)).toEqual({ identity: 'me', wasSignedIn: false, tokens: 0 });
    expect(await readdir(logins('me.login'))).toHaveLength(1);
  });

  test('is not undone by a renewal that is under way', async () => {
    const { sts } = stage.scene.emulator;
    const signable = await stage.daemon();
    await signable.run(['login']);
    sts.delayMs = 3_000;
    const fetching = signable.lsRemote();
    await eventually(() => sts.inFlight === 1);
    expect((await signable.run(['logout'])).stdout).toContain('Forgotten: the sign-in of dana@example.com');
    expect(sts.inFlight).toBe(1);
    await fetching;
    sts.delayMs = 0;
    expect((await signable.lsRemote()).stderr).toContain('Nobody is signed in for identity me');
    expect(await readFile(logins('me.login', '2'), 'utf8')).toBe('{"format":1,"forgotten":true}\n');
    expect(await readdir(logins('me.login'))).toEqual(['2']);
  });

  test('forgets also what the configuration no longer has', async () => {
    await stage.postern(['login', 'you'], two());
    const ran = await stage.postern(['logout', 'you']);
    expect(ran.stdout).toContain('Forgotten: the sign-in of erin@example.com');
  });
});

describe('what cannot be read', () => {
  test('a wrong key asks for a new sign-in, and loses nothing else', async () => {
    const first = await stage.daemon(two());
    await first.run(['login', 'me']);
    await first.run(['login', 'you']);
    await first.daemon.stop();
    const key = await readFile(logins('key'), 'utf8');
    const sealed = await readFile(logins('you.login', '1'), 'utf8');
    await writeFile(logins('key'), `${'x'.repeat(44)}\n`);
    const signable = await stage.daemon(two());
    const failed = await signable.lsRemote();
    expect(failed.code).toBe(128);
    expect(failed.stderr).toContain(
      'remote: postern: The sign-in that is kept for identity me cannot be read: it is sealed with another key than that of the key file',
    );
    expect(failed.stderr).toContain('what to do: sign in again with `postern login me`');
    expect((await signable.daemon.status()).failures[0]?.failure?.code).toBe('login-unreadable');
    expect((await signable.run(['login', 'me'])).code).toBe(0);
    expect(await signable.lsRemote()).toMatchObject({ code: 0, stderr: '' });
    expect(await readdir(logins('me.login'))).toContain('1.unreadable');
    // The other one is as it was, for the day on which its key comes back.
    expect(await readFile(logins('you.login', '1'), 'utf8')).toBe(sealed);
    await writeFile(logins('key'), key);
    const again = stage.configuration({ you: stage.identity(', user: erin@example.com') });
    expect(
      await (
        await stage.daemon(again, { XDG_STATE_HOME: join(stage.scene.home, '.local/state') }).catch(async () => {
          await signable.daemon.stop();
          return stage.daemon(again);
        })
      ).lsRemote(),
    ).toMatchObject({ code: 0, stderr: '' });
  });

  test('a damaged file is named, and a key file that is open to others is not used', async () => {
    const signable = await stage.daemon();
    await signable.run(['login']);
    await writeFile(logins('me.login', '1'), 'nonsense\n');
    expect((await signable.lsRemote()).stderr).toContain('cannot be read: it does not begin as a sign-in does');
    expect((await signable.run(['logout'])).stdout).toBe('Forgotten: what was kept for identity me, which did not tell whose it was\n');
    await chmod(logins('key'), 0o644);
    const ran = await signable.run(['login']);
    expect(ran).toMatchObject({ code: 1 });
    expect(ran.stderr).toContain(
      `The key file ${logins('key')} for sign-ins cannot be used (others can read or write it: its mode is 644)`,
    );
  });
});

describe('a systemd credential', () => {
  test('seals what a terminal brings to the daemon that has it, and another daemon without it cannot read that', async () => {
    const credentials = join(stage.scene.directory, 'credentials');
    await mkdir(credentials, { recursive: true, mode: 0o700 });
    await writeFile(join(credentials, 'postern-login-key'), 'k'.repeat(64), { mode: 0o400 });
    const signable = await stage.daemon(stage.configuration(), { CREDENTIALS_DIRECTORY: credentials });
    const ran = await signable.run(['login'], { env: { CREDENTIALS_DIRECTORY: undefined } });
    expect(ran.stdout).toContain('  sealed with the systemd credential postern-login-key\n');
    expect(await signable.lsRemote()).toMatchObject({ code: 0, stderr: '' });
    expect((await signable.daemon.postern(['status'])).stdout).toContain('sealed with the systemd credential postern-login-key');
    await signable.daemon.stop();
    const without = await stage.daemon();
    expect((await without.lsRemote()).stderr).toContain(
      'it is sealed with the systemd credential postern-login-key, which this process was not given',
    );
  });
});

describe('another configuration', () => {
  test.each<[string, () => string, () => string]>([
    ['of another account', () => stage.identity(', user: erin@example.com'), () => 'is that of dana@example.com, not of erin@example.com'],
    ['of another client', () => stage.identity(', clientId: 04b07795-8ddb-461a-bbee-02f9e1bf7b46'), () => 'was made with another clientId'],
    [
      'of another sign-in service',
      () => stage.identity().replace(/authority: '[^']+'/, "authority: 'https://login.example.com'"),
      () => `is one at ${stage.scene.emulator.sts.origin}, not at https://login.example.com`,
    ],
  ])('%s is not served with the sign-in, which goes nowhere else', async (_, identity, text) => {
    const { sts } = stage.scene.emulator;
    await stage.postern(['login']);
    sts.tokenRequests.length = 0;
    const signable = await stage.daemon(stage.configuration({ me: identity() }));
    expect((await signable.lsRemote()).stderr).toContain(`The sign-in that is kept for identity me ${text()}`);
    expect(sts.tokenRequests).toEqual([]);
  });

  test('without a tenant serves each organisation with the one sign-in', async () => {
    const { sts } = stage.scene.emulator;
    const line = stage.identity().replace(/tenant: [^,]+, /, '');
    const signable = await stage.daemon(stage.configuration({ me: line }));
    expect((await signable.run(['login'])).code).toBe(0);
    expect(sts.tokenRequests.at(-1)?.tenant).toBe('organizations');
    expect(await signable.lsRemote()).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('through an outgoing proxy', () => {
  test('people sign in to the public cloud and are renewed, and nothing else is asked', async () => {
    const { proxy, sts } = stage.scene.emulator;
    proxy.targets.length = 0;
    const env = { HTTPS_PROXY: proxy.origin, NO_PROXY: '' };
    const line = `{ kind: device-code, tenant: ${sts.samples.tenant}, ca: ${stage.scene.emulator.caFile} }`;
    const signable = await stage.daemon(stage.configuration({ me: line }), env);
    const ran = await signable.run(['login'], { env });
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stderr).toContain('Open https://login.microsoftonline.com/devicelogin');
    expect(await signable.lsRemote()).toMatchObject({ code: 0, stderr: '' });
    expect(new Set(proxy.targets.map(({ target }) => target))).toEqual(new Set(['login.microsoftonline.com:443']));
    expect(sts.tokenRequests.map(({ grant }) => grant)).toEqual(['device_code', 'refresh_token']);
  });
});

test('no refresh token, code or access token is anywhere in clear', async () => {
  const { sts } = stage.scene.emulator;
  const signable = await stage.daemon();
  const printed: string[] = [];
  const places = new Map<string, string>();
  const look = async (): Promise<void> => {
    for (const root of [stage.scene.home, join(stage.scene.directory, 'run')])
      for (const [path, text] of await filesBelow(root)) places.set(path, text);
    for (const entry of await readdir(stage.scene.directory)) {
      if (/^run-[0-9]+$/.test(entry))
        for (const [path, text] of await filesBelow(join(stage.scene.directory, entry))) places.set(path, text);
    }
    for (const name of ['environ', 'cmdline'])
      places.set(`daemon ${name}`, await readFile(`/proc/${signable.daemon.pid}/${name}`, 'latin1'));
  };
  for (let times = 0; times < 2; times += 1) {
    const ran = await signable.run(['login'], {
      onChild: (child) => void readFile(`/proc/${child.pid ?? 0}/cmdline`, 'latin1').then((text) => printed.push(text)),
    });
    printed.push(ran.stdout, ran.stderr);
    expect((await signable.lsRemote()).code).toBe(0);
    await look();
    revokeAll();
    const fetched = await signable.lsRemote();
    printed.push(fetched.stdout, fetched.stderr);
    await look();
  }
  sts.users.refreshFailure = { aadsts: 70043 };
  revokeAll();
  printed.push((await signable.lsRemote()).stderr, (await signable.daemon.postern(['status', '--json'])).stdout);
  await look();
  await signable.daemon.stop();
  printed.push(signable.daemon.output);
  const canaries = new Canaries();
  for (const secret of sts.users.secrets) canaries.add('sign-in', secret);
  for (const token of sts.tokens()) canaries.add('token', token);
  expect(canaries.size).toBeGreaterThan(50);
  expect(places.size).toBeGreaterThan(4);
  expect(canaries.inAll(places)).toEqual([]);
  expect(canaries.in(printed.join('\n'))).toEqual([]);
});
