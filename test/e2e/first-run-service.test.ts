/**
 * `postern setup` whose answer is a service, on a Debian that has booted, as ordinary users of it: the units are installed, the daemon is
 * waited for, somebody signs in, git is pointed at the door, and a clone works. Then again, with everything that people do in between.
 *
 * The tests are one play, each begins where the one before ended. They need root, which alone can boot a systemd.
 */
import { appendFile, readFile, rm, writeFile } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Ran } from '../support/scene.js';
import { SystemdStage } from '../support/systemd-stage.js';
import { KEYS, type Terminal } from '../support/terminal.js';

const IS_ROOT = process.getuid?.() === 0;
const STAGE_MS = 300_000;
const WEB = 'https://dev.azure.com/contoso/Payments/_git/web';
const CONFIGURATION = '/home/dev/.config/postern/config.yaml';
const SERVICE = '/home/dev/.config/systemd/user/postern.service';

type User = 'dev' | 'other';

describe.skipIf(!IS_ROOT)(`setup as a service${IS_ROOT ? '' : ': skipped, only root boots a systemd'}`, () => {
  let stage: SystemdStage;
  let terminal: Terminal | undefined;
  /** What the emulator prints of the application that has a secret. */
  let application = { tenant: '', client: '', secret: '' };
  let env: Record<string, string>;

  beforeAll(async () => {
    stage = await SystemdStage.boot('bookworm');
    const said = await stage.startEmulator('--directory', stage.azure);
    const [, client = '', secret = ''] = /^Client, secret +(\S+) +(\S+)$/m.exec(said) ?? [];
    application = { tenant: /^Tenant +(\S+)/m.exec(said)?.[1] ?? '', client, secret };
    const proxy = /^Proxy \(CONNECT\) +(\S+)$/m.exec(said)?.[1] ?? '';
    // As behind a company's proxy that has a CA of its own: the shells have it, and so have the services of the users.
    env = { HTTPS_PROXY: proxy, NO_PROXY: 'localhost,127.0.0.1,::1', NODE_EXTRA_CA_CERTS: '/azure/ca.pem' };
    const words = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    for (const person of ['dev', 'other'] as const) await stage.systemctl(person, 'set-environment', ...words);
  }, STAGE_MS);
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- because booting may have failed
  afterAll(() => stage?.close());
  afterEach(async () => {
    await terminal?.close();
    terminal = undefined;
  });

  const postern = (person: User, ...words: readonly string[]): Promise<Ran> => stage.run(person, 'postern', words, { env });

  function onTerminal(...words: readonly string[]): Terminal {
    terminal = stage.terminal('dev', 'postern', words, { env, rows: 30, columns: 200 });
    return terminal;
  }

  async function cloned(person: User): Promise<string> {
    const directory = `/home/${person}/web`;
    await stage.must(person, 'rm', ['-rf', directory]);
    const ran = await stage.run(person, 'git', ['clone', '--quiet', WEB, directory], { env: { ...env, GIT_TERMINAL_PROMPT: '0' } });
    return `${ran.code} ${ran.stderr}`;
  }

  /** What is in the home of a user, with the time of its last change. */
  const files = (person: User): Promise<string> =>
    stage.must(person, 'find', [`/home/${person}`, '-type', 'f', '-not', '-path', '*/.local/state/*', '-printf', '%p %T@\n']);

  it('asks whether it is to be one, and does all of it', async () => {
    const shown = onTerminal('setup');
    await shown.answer(/organisations at/, `contoso${KEYS.enter}`);
    await shown.answer(/❯ A code, in a browser anywhere/, KEYS.enter);
    await shown.answer(/SSH remotes too/, KEYS.enter);
    await shown.answer('? Run as a service of yours, from each login on? (Y/n)', KEYS.enter);
    const plan = await shown.shows(/Do all of this/);
    expect(plan).toContain(
      'how to undo that\nWould write ~/.config/systemd/user/postern.socket\nWould write ~/.config/systemd/user/postern.service\n' +
        'Would run systemctl --user daemon-reload\nWould run systemctl --user enable --now postern.socket postern.service\n? Do',
    );
    shown.press(KEYS.enter);
    expect(await shown.ended, shown.screen.everything).toBe(0);
    const whole = shown.screen.everything;
    // In this order: git is pointed at a door that is open, and behind which somebody has signed in.
    expect(whole).toMatch(
      /Wrote \S+config\.yaml\nWrote \S+postern\.socket\nWrote \S+postern\.service\npostern\.socket is open \([^]*\nLingering is on[^]*\nOpen https:\S+ in a browser[^]*\nSigned in as dana@example\.com[^]*\nAdded an include/,
    );
    expect(whole).toMatch(/^The road from git to Azure DevOps: [0-9]+ checks ok, nothing failed$/m);
    expect(whole).toContain('Next: clone, fetch and push as always');
    expect(await cloned('dev')).toBe('0 ');
    expect(await stage.property('dev', 'postern.service', 'UnitFileState')).toBe('enabled');
    expect(await stage.property('dev', 'postern.service', 'ActiveState')).toBe('active');
  });

  it.each([['setup'], ['setup --yes --service'], ['setup --yes']])('`%s` again asks nothing and changes nothing', async (words) => {
    const before = await files('dev');
    const pid = await stage.property('dev', 'postern.service', 'MainPID');
    const shown = onTerminal(...words.split(' '));
    expect(await shown.ended, shown.screen.everything).toBe(0);
    expect(shown.screen.everything).toMatch(/^Everything is set up already\nThe units are up to date\n/);
    expect(shown.screen.everything).toContain('checks ok, nothing failed\n');
    expect(await files('dev')).toBe(before);
    expect(await stage.property('dev', 'postern.service', 'MainPID')).toBe(pid);
  });

  it('starts it again where it was stopped and its doors closed', async () => {
    await stage.systemctl('dev', 'disable', '--now', 'postern.socket', 'postern.service');
    expect((await postern('dev')).stdout).toContain('Next: start it with `systemctl --user start postern`');
    const ran = await postern('dev', 'setup', '--yes');
    expect(ran, ran.stdout).toMatchObject({ code: 0, stderr: '' });
    expect(await stage.property('dev', 'postern.socket', 'ActiveState')).toBe('active');
    expect(await cloned('dev')).toBe('0 ');
  });

  it('leaves units alone that were changed by hand, and starts them', async () => {
    await appendFile(stage.path(SERVICE), '# mine\n');
    await stage.systemctl('dev', 'daemon-reload');
    await stage.systemctl('dev', 'stop', 'postern.socket', 'postern.service');
    const ran = await postern('dev', 'setup', '--yes', '--service');
    expect(ran, ran.stderr).toMatchObject({ code: 0 });
    expect(await readFile(stage.path(SERVICE), 'utf8')).toMatch(/# mine\n$/);
    expect(await cloned('dev')).toBe('0 ');
    await stage.must('dev', 'postern', ['service', 'install', '--force']);
  });

  it('beside a daemon that somebody started in its place: that one is told of the configuration, and --service is refused', async () => {
    await stage.systemctl('dev', 'stop', 'postern.socket', 'postern.service');
    await stage.must('dev', 'sh', ['-c', 'postern start >/dev/null 2>&1 & postern wait'], { env });
    const before = await files('dev');
    const refused = await postern('dev', 'setup', '--yes', '--service');
    expect(refused.stderr).toMatch(
      /^postern: A postern that is no service is running \(pid [0-9]+\)\n {2}what to do: end it with `postern stop`/,
    );
    expect([refused.code, refused.stdout, await files('dev')]).toEqual([1, '', before]);
    const ran = await postern('dev', 'setup', '--yes');
    expect(ran.stdout).toMatch(/^Everything is set up already\nNothing to change/);
    expect(await stage.property('dev', 'postern.service', 'ActiveState')).toBe('inactive');
    await stage.must('dev', 'postern', ['stop']);
  });

  it('where the service manager cannot be reached it says so before it writes anything', async () => {
    await rm(stage.path(CONFIGURATION));
    const before = await files('dev');
    const ran = await stage.run('dev', 'postern', ['setup', '--yes', '--org', 'contoso'], {
      env: { ...env, XDG_RUNTIME_DIR: '', DBUS_SESSION_BUS_ADDRESS: '' },
    });
    expect(ran.stderr).toContain('postern: No service manager of this user can be reached\n');
    expect(ran.stderr).toContain('what to do: XDG_RUNTIME_DIR is not set, as after su or sudo: log in as the user');
    expect([ran.code, ran.stdout, await files('dev')]).toEqual([1, '', before]);
    const again = onTerminal('setup', '--yes', '--identity', 'device-code', '--ssh');
    expect(await again.ended, again.screen.everything).toBe(0);
    expect(await cloned('dev')).toBe('0 ');
  });

  it('tells of a service that would end with the session', async () => {
    await rm(stage.path('/var/lib/systemd/linger/dev'));
    const ran = await postern('dev', 'setup', '--yes');
    await stage.must('root', 'loginctl', ['enable-linger', 'dev']);
    expect(ran.code).toBe(0);
    expect(ran.stderr).toBe(
      'Lingering is off: the service ends when you log out; `loginctl enable-linger` keeps it, and opens the doors at boot\n',
    );
    expect(ran.stdout).toMatch(/^warning {2}lingering +off: .*\n +what to do: loginctl enable-linger\nThe road .*, nothing failed$/m);
  });

  it('by flags alone, for another user of the machine, who gets doors of their own', async () => {
    await stage.must('other', 'sh', ['-c', 'umask 077; cat > ~/secret'], { input: application.secret });
    const { tenant, client } = application;
    const pairs = [`tenant=${tenant}`, `clientId=${client}`, 'secret=file:/home/other/secret'].flatMap((pair) => ['--with', pair]);
    const ran = await postern('other', 'setup', '--yes', '--service', '--org', 'contoso', '--ssh', '--identity', 'client-secret', ...pairs);
    expect(ran, ran.stdout).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toContain(
      'Wrote `listen: { http: localhost:8418, ssh: 127.0.0.1:8423 }` to /home/other/.config/postern/config.yaml\n',
    );
    expect(ran.stdout).toContain('postern.socket is open (127.0.0.1:8418, [::1]:8418, 127.0.0.1:8423)');
    expect(ran.stdout).toContain('checks ok, nothing failed\n');
    expect(await cloned('other')).toBe('0 ');
    expect(await cloned('dev')).toBe('0 ');
    // Each has asked for it at their own.
    const status = JSON.parse((await postern('other', 'status', '--json')).stdout) as { callers: { uid?: number }[] };
    expect(JSON.stringify(status.callers)).not.toContain('1000');
  });

  it('what it advises against the other users of the machine is in force when it was written, and the running service has it', async () => {
    const advice = (await postern('dev', 'setup', '--yes')).stdout;
    const block = advice.split('\n').flatMap((line) => /^ {2}\| (.*)$/.exec(line)?.[1] ?? []);
    expect(block).toEqual(['listen:', '  http: { address: localhost:8417, tls: auto }']);
    await appendFile(stage.path(CONFIGURATION), `\n${block.join('\n')}\n`);
    const ran = await postern('dev', 'setup', '--yes');
    expect(ran, ran.stdout).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toContain('Started the service again, because its doors change\n');
    expect(ran.stdout).toContain(' spellings now lead to https://127.0.0.1:8417/ ');
    expect(ran.stdout).not.toContain('Others can log in');
    expect(ran.stdout).toContain('checks ok, nothing failed\n');
    expect(await cloned('dev')).toBe('0 ');
    // Another port, which the units have to have too.
    const file = stage.path(CONFIGURATION);
    await writeFile(file, (await readFile(file, 'utf8')).replace('localhost:8417', 'localhost:8500'));
    const moved = await postern('dev', 'setup', '--yes');
    expect(moved, moved.stdout).toMatchObject({ code: 0 });
    // The remedy, which setup has followed by itself, is one that works.
    const remedy = /started anew: (.*)$/m.exec(moved.stderr)?.[1] ?? '';
    await stage.must('dev', 'sh', ['-c', remedy]);
    expect(moved.stdout).toContain('Wrote /home/dev/.config/systemd/user/postern.socket\n');
    expect(await stage.property('dev', 'postern.socket', 'Listen')).toContain('127.0.0.1:8500');
    expect(await cloned('dev')).toBe('0 ');
  });
});
