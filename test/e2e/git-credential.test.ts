/**
 * Credentials from the helpers of git, with real git on both sides: the one that clones, and the one that the daemon asks. What the
 * helper is told is compared with what git itself tells it.
 */
import { appendFile, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { closedPort } from '../support/closed-port.js';
import { CredentialHelper, type HelperCall } from '../support/credential-helper.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const APP = 'git.example.com/team/app.git';
const LIB = 'git.example.com/team/lib.git';
const WEB = 'dev.azure.com/contoso/Payments/_git/web';
/** What the daemon says to helpers comes after its answer to the caller. */
const SOON = { timeout: 15_000 };
const PASSWORD = 'her own password: ü';

let scene: Scene;
let helper: CredentialHelper;
let second: CredentialHelper;
let daemons: RunningDaemon[];
/** Host and port as git writes them. */
let host: string;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  await scene.emulator.createRepository(APP);
  await scene.emulator.createRepository(LIB);
  host = new URL(scene.emulator.git.origin).host;
});
afterAll(() => scene.close());

beforeEach(async () => {
  daemons = [];
  // What the daemon of one test still has to say to its helpers is not for those of the next.
  const directory = await mkdtemp(join(scene.directory, 'helpers-'));
  helper = await CredentialHelper.make(directory, 'first');
  second = await CredentialHelper.make(directory, 'second');
  await configure();
  const { git } = scene.emulator;
  git.basic.clear();
  git.basic.set('dana', PASSWORD);
  git.seen.length = 0;
});
afterEach(async () => {
  for (const daemon of daemons) await daemon.kill();
});

/** git's own configuration of the daemon's user. */
async function configure(...more: readonly string[]): Promise<void> {
  await writeFile(
    join(scene.home, '.gitconfig'),
    ['[credential]', `\thelper = ${helper.program}`, `\thelper = ${second.program}`, ...more, ''].join('\n'),
  );
}

async function start(options: { keys?: string; env?: Record<string, string>; settings?: string; through?: readonly string[] } = {}) {
  const { git, caFile } = scene.emulator;
  const daemon = await scene.daemon(
    [
      'listen: { http: 127.0.0.1:0 }',
      'log: { level: debug, format: json }',
      options.settings ?? '',
      'identities:',
      `  it: { kind: git-credential${options.keys ?? ''} }`,
      `  sp: ${scene.servicePrincipal}`,
      'routes:',
      `  - { match: git.example.com/**, host: generic, identity: it, upstream: '${git.origin}/git.example.com', ca: ${caFile} }`,
      `  - { match: dev.azure.com/contoso/Payments/web, identity: it, upstream: '${git.origin}', ca: ${caFile} }`,
      `  - { match: dev.azure.com/**, identity: sp, upstream: '${git.origin}', ca: ${caFile} }`,
      '',
    ].join('\n'),
    { ...(options.env === undefined ? {} : { env: options.env }), ...(options.through === undefined ? {} : { through: options.through }) },
  );
  daemons.push(daemon);
  return daemon;
}

const lsRemote = (daemon: RunningDaemon, path = APP): Promise<Ran> => scene.git(['ls-remote', daemon.url(path)]);
const linesOf = (calls: readonly HelperCall[]): (readonly string[])[] => calls.map(({ lines }) => lines);
/** Without what git of a later version says besides. */
const plain = (calls: readonly HelperCall[]): string[][] =>
  calls.map(({ lines }) => lines.filter((line) => /^(?:protocol|host|path|username|password)=/.test(line)));

describe('git-credential', () => {
  test('asks once for many, tells the helpers once that it was good, and signs in with what they held', async () => {
    await helper.hold({ host, username: 'dana', password: PASSWORD });
    const daemon = await start();
    const ran = await Promise.all(Array.from({ length: 10 }, () => lsRemote(daemon)));
    expect(new Set(ran.map(({ code }) => code))).toEqual(new Set([0]));
    expect((await lsRemote(daemon)).code).toBe(0);
    expect(plain(await helper.calls('get'))).toEqual([['protocol=https', `host=${host}`]]);
    const good = ['protocol=https', `host=${host}`, 'username=dana', `password=${PASSWORD}`];
    await expect.poll(async () => plain(await helper.calls('store')), SOON).toEqual([good]);
    // The other helper was not asked, and is told all the same: so git does it.
    expect(await second.calls('get')).toEqual([]);
    await expect.poll(async () => plain(await second.calls('store')), SOON).toEqual([good]);
    expect(await helper.calls('erase')).toEqual([]);
    expect(daemon.output).not.toContain(PASSWORD);
    expect(daemon.output).not.toContain(Buffer.from(`dana:${PASSWORD}`).toString('base64'));
  });

  test('says to the helpers, word for word, what git says when it signs in itself', async () => {
    await configure('\tuseHttpPath = true', `[http]`, `\tsslCAInfo = ${scene.emulator.caFile}`);
    await helper.hold({ host, username: 'dana', password: 'old' });
    await second.hold({ host, username: 'dana', password: PASSWORD });
    const all = async (): Promise<unknown> => ({
      first: (await helper.calls()).map(({ action, lines }) => [action, lines]),
      second: (await second.calls()).map(({ action, lines }) => [action, lines]),
    });
    // A command of its own is refused once, and told that terminals are no way out.
    const url = `${scene.emulator.git.origin}/${APP}`;
    await scene.git(['ls-remote', url]);
    await scene.git(['ls-remote', url]);
    const own = await all();
    await helper.reset();
    await second.reset();
    await helper.hold({ host, username: 'dana', password: 'old' });
    await second.hold({ host, username: 'dana', password: PASSWORD });
    const daemon = await start();
    expect(await lsRemote(daemon)).toMatchObject({ code: 0, stderr: '' });
    await expect.poll(all, SOON).toEqual(own);
  });

  test('tells them of a refusal once, and goes on with what another one holds, without a word to the caller', async () => {
    await helper.hold({ host, username: 'dana', password: 'old' });
    await second.hold({ host, username: 'dana', password: PASSWORD });
    const daemon = await start();
    const ran = await Promise.all([lsRemote(daemon), lsRemote(daemon, LIB), lsRemote(daemon), lsRemote(daemon, LIB)]);
    expect(ran.map(({ code, stderr }) => ({ code, stderr }))).toEqual(Array.from({ length: 4 }, () => ({ code: 0, stderr: '' })));
    const bad = ['protocol=https', `host=${host}`, 'username=dana', 'password=old'];
    const good = ['protocol=https', `host=${host}`, 'username=dana', `password=${PASSWORD}`];
    await expect.poll(async () => plain(await helper.calls('store')), SOON).toEqual([good]);
    expect(plain(await helper.calls('erase'))).toEqual([bad]);
    expect(plain(await second.calls('erase'))).toEqual([bad]);
  });

  test('a password that ended is dropped by all who hold it; the text says so; a new one is taken up without a restart', async () => {
    await helper.hold({ host, username: 'dana', password: PASSWORD });
    const daemon = await start();
    expect((await lsRemote(daemon)).code).toBe(0);
    scene.emulator.git.basic.set('dana', 'another');
    const failed = await lsRemote(daemon);
    expect(failed.code).toBe(128);
    expect(failed.stderr).toContain(
      `remote: postern: The upstream did not accept what the credential helpers of git held for https://${host}; they were told so, and now hold nothing`,
    );
    expect(failed.stderr).toMatch(
      /what to do: sign in with the helper, or store a new password with `git credential approve`, as the user of the daemon/,
    );
    expect(failed.stderr).toContain('identity it');
    expect(await helper.held()).toEqual([]);
    expect(await helper.calls('erase')).toHaveLength(1);
    const status = await daemon.postern(['status']);
    expect(status.stdout).toMatch(/ {2}it {2}git-credential {2}failing\n {4}The upstream did not accept what the credential helpers/);
    await helper.hold({ host, username: 'dana', password: 'another' });
    await expect.poll(async () => (await lsRemote(daemon)).code, { timeout: 15_000, interval: 500 }).toBe(0);
    expect(await helper.calls('erase')).toHaveLength(1);
  });

  test('what decides in the configuration of git decides here: path, and settings for an address', async () => {
    scene.emulator.git.basic.set('lib', 'lib-password');
    await configure('\tuseHttpPath = true');
    await helper.hold(
      { host, path: APP, username: 'dana', password: PASSWORD },
      { host, path: LIB, username: 'lib', password: 'lib-password' },
    );
    const byPath = await start();
    expect((await lsRemote(byPath)).code).toBe(0);
    expect((await lsRemote(byPath, LIB)).code).toBe(0);
    await expect
      .poll(async () => plain(await helper.calls('store')), SOON)
      .toEqual([
        ['protocol=https', `host=${host}`, `path=${APP}`, 'username=dana', `password=${PASSWORD}`],
        ['protocol=https', `host=${host}`, `path=${LIB}`, 'username=lib', 'password=lib-password'],
      ]);

    await configure(`[credential "${scene.emulator.git.origin}/${LIB}"]`, '\tusername = lib');
    await helper.reset();
    await helper.hold({ host, username: 'dana', password: PASSWORD }, { host, username: 'lib', password: 'lib-password' });
    const byAddress = await start();
    expect((await lsRemote(byAddress, LIB)).code).toBe(0);
    expect((await lsRemote(byAddress)).code).toBe(0);
    expect(plain(await helper.calls('get'))).toEqual([
      ['protocol=https', `host=${host}`, 'username=lib'],
      ['protocol=https', `host=${host}`],
    ]);
  });

  test('`user` chooses among several', async () => {
    scene.emulator.git.basic.set('robot', 'steel');
    await helper.hold({ host, username: 'dana', password: PASSWORD }, { host, username: 'robot', password: 'steel' });
    const daemon = await start({ keys: ', user: robot' });
    expect((await lsRemote(daemon)).code).toBe(0);
    expect(linesOf(await helper.calls('get'))).toEqual([expect.arrayContaining(['username=robot'])]);
  });

  test('serves Azure DevOps too, with a personal access token that a helper holds', async () => {
    const pat = 'h'.repeat(52);
    scene.emulator.git.pats.add(pat);
    await helper.hold({ host, username: 'dana', password: pat });
    expect(await lsRemote(await start(), WEB)).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('git-credential that has nothing', () => {
  const failing = async (daemon: RunningDaemon): Promise<string[]> => {
    const failed = await lsRemote(daemon);
    expect(failed.code).toBe(128);
    expect(failed.stderr).not.toMatch(/Username|terminal prompts|hunter2/);
    return failed.stderr.split('\n').flatMap((line) => /^remote: (.*?) *$/.exec(line)?.[1] ?? []);
  };

  test('says what to do, and is well when there is something', async () => {
    const daemon = await start();
    const lines = await failing(daemon);
    expect(lines[0]).toBe(`postern: The credential helpers of git hold nothing for https://${host}`);
    expect(lines).toContain(
      '  what to do: sign in with the helper, or store a password with `git credential approve`, as the user of the daemon; `git config --show-origin --get-all credential.helper` as the user of the daemon shows which are asked',
    );
    await helper.hold({ host, username: 'dana', password: PASSWORD });
    await expect.poll(async () => (await lsRemote(daemon)).code, { timeout: 15_000, interval: 500 }).toBe(0);
  });

  test.each([
    ['quit', 'A credential helper of git refused to answer for'],
    ['fail', '(fatal: Cannot prompt because user interactivity has been disabled.)'],
    ['other-host', 'have nothing usable for https://HOST: a helper answered for another host'],
    // Newer versions of git see it themselves.
    ['carriage-return', '(fatal: credential value for password contains carriage return)'],
  ] as const)('because a helper says: %s', async (mode, text) => {
    await helper.hold({ host, username: 'dana', password: PASSWORD });
    await helper.behave(mode);
    const daemon = await start();
    expect((await failing(daemon))[0]).toContain(text.replace('HOST', host));
    expect(scene.emulator.git.seen).toEqual([]);
  });

  test('because a helper answers for another user than was asked for', async () => {
    await helper.hold({ host, username: 'robot', password: 'steel' });
    await helper.behave('other-user');
    expect((await failing(await start({ keys: ', user: robot' })))[0]).toContain('a helper answered for another user than robot');
    expect(scene.emulator.git.seen).toEqual([]);
  });

  test('because a helper hangs: it is ended at the limit, with all that it is made of', async () => {
    await helper.behave('hang');
    const daemon = await start({ settings: 'timeouts: { token: 2s }' });
    const lines = await failing(daemon);
    expect(lines[0]).toBe(`postern: The credential helpers of git gave no answer for https://${host} within 2 s`);
    expect(lines.join('\n')).toContain('most likely one waits for a person');
    const pid = await helper.hangingPid();
    await expect.poll(() => isRunning(pid), SOON).toBe(false);
  });

  test('because the helper is not installed', async () => {
    await appendFile(join(scene.home, '.gitconfig'), '[credential]\n\thelper =\n\thelper = not-there\n');
    expect((await failing(await start()))[0]).toBe(
      `postern: The credential helpers of git hold nothing for https://${host} (git: 'credential-not-there' is not a git command. See 'git --help'.)`,
    );
  });

  test('because git is not installed', async () => {
    const lines = await failing(await start({ env: { PATH: '/nowhere' } }));
    expect(lines[0]).toBe('postern: git was not found on the PATH of the daemon');
  });

  test('because the address leads back to this daemon, where leases are kept and nothing else', async () => {
    const port = await closedPort();
    await helper.hold({ host: `127.0.0.1:${port}`, username: 'lease', password: 'x' });
    const started = scene.daemon(
      [
        `listen: { http: 127.0.0.1:${port} }`,
        'identities: { it: { kind: git-credential } }',
        `routes: [{ match: '127.0.0.1:${port}/**', host: generic, identity: it }]`,
        '',
      ].join('\n'),
    );
    await expect(started).rejects.toThrow(`The route 127.0.0.1:${port}/** leads back to this daemon: its upstream is the door itself`);
    expect(await helper.calls()).toEqual([]);
  });
});

describe('git-credential asks nobody', () => {
  test('on a terminal or by a program, and shows its helpers no secret and no lease, in no repository', async () => {
    const asked = join(scene.directory, 'asked');
    const askpass = await scene.writeFile('askpass', `#!/bin/sh\ntouch ${asked}\necho x\n`);
    await scene.git(['config', '--file', askpass, '--list']);
    await appendFile(join(scene.home, '.gitconfig'), `[core]\n\taskPass = sh ${askpass}\n`);
    // The daemon has a terminal, as one that is started by hand.
    const onTerminal = await scene.writeFile('on-terminal', 'exec 3>&2\nexec script -qefc "$* 2>&3" /dev/null >/dev/null\n');
    const daemon = await start({
      through: ['sh', onTerminal],
      env: {
        GIT_TERMINAL_PROMPT: '1',
        GIT_ASKPASS: `sh ${askpass}`,
        SSH_ASKPASS: `sh ${askpass}`,
        POSTERN_LEASE: 'a-lease',
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'http.http://127.0.0.1:8417/.extraHeader',
        GIT_CONFIG_VALUE_0: 'X-Postern-Lease: a-lease',
        GIT_DIR: '/nowhere',
      },
    });
    try {
      const failed = await lsRemote(daemon);
      expect(failed.stderr).toContain('The credential helpers of git hold nothing for');
      await expect(readFile(asked)).rejects.toThrow('ENOENT');
      const [call] = await helper.calls('get');
      expect(call?.hasTerminal).toBe(false);
      expect(call?.cwd).toBe('/');
      expect(call?.environment).toMatchObject({ GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '', GCM_INTERACTIVE: 'never', HOME: scene.home });
      const text = JSON.stringify(call?.environment);
      expect(text).not.toContain('a-lease');
      expect(text).not.toContain(scene.emulator.sts.samples.secretClient.secret);
      expect(Object.keys(call?.environment ?? {}).filter((name) => /^POSTERN_|^SSH_ASKPASS$|^GIT_(?:DIR|CONFIG_)/.test(name))).toEqual([
        'GIT_CONFIG_NOSYSTEM',
      ]);
    } finally {
      // A hang-up means something else to it.
      await daemon.postern(['stop']);
      await daemon.ended();
    }
  });

  test('control: a program that the daemon’s own user starts there has a terminal', async () => {
    const onTerminal = await scene.writeFile('on-terminal-too', 'exec script -qefc "$*" /dev/null\n');
    const tty = await scene.writeFile('tty.sh', 'test -c /dev/tty && : </dev/tty && echo it has one\n');
    const { run } = await import('../support/scene.js');
    const ran = await run('sh', [onTerminal, 'sh', tty], { env: scene.environment });
    expect(ran.stdout).toContain('it has one');
  });
});

/** Whether a process runs; one that has ended and that nobody has asked about since does not. */
async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat !== undefined && !/^[0-9]+ \(.*\) Z/.test(stat);
}
