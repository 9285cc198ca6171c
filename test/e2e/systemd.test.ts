/**
 * Postern as a service, in a booted systemd with real service managers of users: Debian 12's in `npm test`, a current one with
 * `npm run test:systemd-current`. What a unit promises is tried by doing it, from inside of the service where it forbids something.
 *
 * The tests are one play, each begins where the one before ended. They need root, which alone can boot a systemd.
 */
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Repositories } from '../azure/repositories.js';
import type { Ran } from '../support/scene.js';
import { type Person, SystemdStage } from '../support/systemd-stage.js';

const SUITE = process.env['POSTERN_TEST_SYSTEMD'] === 'sid' ? 'sid' : 'bookworm';
const IS_ROOT = process.getuid?.() === 0;
/** Half a minute for the root where it is not there yet, and a slow mirror. */
const STAGE_MS = 300_000;
const SECRET_FILE = '/home/dev/.config/postern/azure-client-secret';
const CONFIGURATION = '/home/dev/.config/postern/config.yaml';
/** The patience of the watchdog while it is tried, s. */
const PATIENCE_S = 8;
/** Twice that, one right behind the other, and a quarter of the patience between two pings, is well within it on a busy machine too. */
const BUSY_MS = 1_500;
const CLONES = 20;
/** Of a repository that no socket's buffers hold. */
const LARGE_BYTES = 12 * 1024 * 1024;

let stage: SystemdStage;
/** From what the emulator prints. */
let upstream = { git: '', sts: '', tenant: '', client: '', secret: '' };

/** Looks again and again, for at most `seconds`. */
async function eventually(what: string, isSo: () => Promise<boolean>, seconds = 30): Promise<void> {
  const until = Date.now() + seconds * 1000;
  while (!(await isSo())) {
    if (Date.now() > until) throw new Error(`not within ${seconds} s: ${what}`);
    await sleep(50);
  }
}

function git(person: Person, args: readonly string[], env: Record<string, string> = {}): Promise<Ran> {
  return stage.run(person, 'git', args, { env: { GIT_TERMINAL_PROMPT: '0', ...env } });
}

const WEB = 'dev.azure.com/contoso/Payments/_git/web';

function configuration(secret: string, more: readonly string[] = []): string {
  return [
    'log: { level: debug, format: json }',
    'identities:',
    `  sp: { kind: client-secret, tenant: ${upstream.tenant}, clientId: ${upstream.client}, secret: ${secret}, authority: '${upstream.sts}', ca: /azure/ca.pem }`,
    'routes:',
    `  - { match: dev.azure.com/**, identity: sp, allow: [fetch, push], upstream: '${upstream.git}', ca: /azure/ca.pem }`,
    ...more,
    '',
  ].join('\n');
}

async function put(path: string, text: string, owner: string, mode = 0o644): Promise<void> {
  const outside = stage.path(path);
  await mkdir(join(outside, '..'), { recursive: true });
  await writeFile(outside, text, { mode });
  await stage.must('root', 'chmod', [mode.toString(8), path]);
  if (owner === 'dev') await stage.must('root', 'chown', ['-R', 'dev:dev', '/home/dev']);
  else await stage.must('root', 'chown', [owner, path]);
}

/** A drop-in for a unit of the user, and systemd has read it. */
async function dropIn(name: string, text: string): Promise<void> {
  await put(`/home/dev/.config/systemd/user/postern.service.d/${name}.conf`, `[Service]\n${text}\n`, 'dev');
  await stage.systemctl('dev', 'daemon-reload');
}

/** Its log lines, from the journal. */
async function events(): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const entries = await stage.journal('dev', 'postern.service');
  return entries
    .filter(({ MESSAGE }) => MESSAGE?.startsWith('{') === true)
    .map(({ MESSAGE = '' }) => JSON.parse(MESSAGE) as Record<string, unknown>);
}

describe.skipIf(!IS_ROOT)(`as a service of systemd (${SUITE})${IS_ROOT ? '' : ': skipped, only root boots a systemd'}`, () => {
  let fault: unknown;

  beforeAll(async () => {
    try {
      stage = await SystemdStage.boot(SUITE);
      await new Repositories(join(stage.azure, 'repositories')).create('contoso/Payments/large', { largeFileBytes: LARGE_BYTES });
      const said = await stage.startEmulator('--directory', stage.azure);
      const find = (pattern: RegExp): string => pattern.exec(said)?.[1] ?? '';
      upstream = {
        git: find(/^Git hosts +(\S+)/m),
        sts: find(/^Sign-in service +(\S+)/m),
        tenant: find(/^Tenant +(\S+)/m),
        client: find(/^Client, secret +(\S+)/m),
        secret: find(/^Client, secret +\S+ +(\S+)/m),
      };
      await put(SECRET_FILE, upstream.secret, 'dev', 0o600);
      await put(CONFIGURATION, configuration('{ credential: azure-client-secret }'), 'dev', 0o600);
      await put('/home/dev/.ssh/id_ed25519', 'PRIVATE', 'dev', 0o600);
    } catch (thrown) {
      fault = thrown;
    }
  }, STAGE_MS);

  afterAll(async () => {
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- because booting may have failed
    await stage?.close();
  });

  it('the stage is up', async () => {
    if (fault !== undefined) throw fault instanceof Error ? fault : new Error(JSON.stringify(fault));
    process.stderr.write(`${await stage.must('root', 'systemctl', ['--version']).then((text) => text.split('\n')[0] ?? '')}\n`);
  });

  it('systemd-analyze verify finds nothing in any unit as it is shipped', async () => {
    for (const [scope, names] of [
      ['--user', ['postern.service', 'postern.socket']],
      ['--system', ['postern-system.service', 'postern-system.socket']],
    ] as const) {
      const person = scope === '--user' ? 'dev' : 'root';
      const ran = await stage.run(person, 'systemd-analyze', [
        scope,
        '--man=no',
        'verify',
        ...names.map((name) => `/opt/postern/systemd/${name}`),
      ]);
      expect(ran.stdout + ran.stderr).toBe('');
      expect(ran.code).toBe(0);
    }
    const sysusers = await stage.run('root', 'systemd-sysusers', ['--dry-run', '/opt/postern/systemd/postern.sysusers']);
    expect(sysusers.code, sysusers.stderr).toBe(0);
  });

  it('postern service install writes the units and opens the doors, and says what it did', async () => {
    const dry = await stage.must('dev', 'postern', ['service', 'install', '--dry-run']);
    expect(dry).toContain('Would write /home/dev/.config/systemd/user/postern.service:');
    expect(dry).toContain('  ExecStart=/usr/bin/node /opt/postern/dist/postern.js start');
    expect(dry).toContain('Would run systemctl --user enable --now postern.socket');
    expect((await stage.run('dev', 'ls', ['/home/dev/.config/systemd'])).code).not.toBe(0);

    const ran = await stage.must('dev', 'postern', ['service', 'install']);
    expect(ran.split('\n')).toEqual([
      'Wrote /home/dev/.config/systemd/user/postern.socket',
      'Wrote /home/dev/.config/systemd/user/postern.service',
      'postern.socket is open (127.0.0.1:8417, [::1]:8417, 127.0.0.1:8422); the first request starts postern.service',
      'Lingering is on: the service stays when you log out',
      '',
    ]);
    expect(await stage.property('dev', 'postern.service', 'ActiveState')).toBe('inactive');
    // Once more is harmless.
    expect(await stage.must('dev', 'postern', ['service', 'install'])).toContain('The units are up to date');
    // This play starts it more often than a service should be.
    await dropIn('credentials', `LoadCredential=azure-client-secret:${SECRET_FILE}\n[Unit]\nStartLimitBurst=100`);
  });

  it('postern setup takes the sockets of these units for the doors, though nothing runs yet', async () => {
    const before = await stage.must('dev', 'cat', [CONFIGURATION]);
    const ran = await stage.run('dev', 'postern', ['setup', '--org', 'contoso']);
    expect(ran.code, ran.stderr).toBe(0);
    expect(ran.stdout).not.toMatch(/in use|something that is not this Postern/);
    expect(await stage.must('dev', 'cat', [CONFIGURATION])).toBe(before);
    expect(await stage.must('dev', 'git', ['config', '--get-all', 'url.http://127.0.0.1:8417/dev.azure.com/.insteadOf'])).toContain(
      'https://dev.azure.com/',
    );
    expect(await stage.must('dev', 'postern', ['setup', '--undo'])).not.toBe('');
  });

  it('the first git request starts it by its socket, with a secret from LoadCredential', async () => {
    const ran = await git('dev', ['ls-remote', `http://127.0.0.1:8417/${WEB}`]);
    expect(ran.stderr).toBe('');
    expect(ran.stdout).toMatch(/^[0-9a-f]{40}\tHEAD$/m);
    expect(await stage.property('dev', 'postern.service', 'ActiveState')).toBe('active');
    const pid = await stage.property('dev', 'postern.service', 'MainPID');
    const environment = (await readFile(`${stage.path('/proc')}/${pid}/environ`, 'latin1')).split('\0');
    expect(environment.filter((line) => line.includes(upstream.secret))).toEqual([]);
  });

  it('both versions of IP and both doors came by the sockets of the unit', async () => {
    expect((await git('dev', ['ls-remote', `http://[::1]:8417/${WEB}`])).stdout).toContain('refs/heads/main');
    const ssh = { GIT_SSH_COMMAND: 'ssh -o StrictHostKeyChecking=accept-new -o BatchMode=yes' };
    const over = await git('dev', ['ls-remote', 'ssh://git@127.0.0.1:8422/ssh.dev.azure.com/v3/contoso/Payments/web'], ssh);
    expect(over.stdout, over.stderr).toContain('refs/heads/main');
    const lines = await events();
    expect(lines.filter(({ event }) => event === 'socket-unused')).toEqual([]);
    expect(lines.filter(({ event }) => event === 'listening').map(({ address }) => address)).toEqual([
      'http://127.0.0.1:8417',
      'http://[::1]:8417',
      'ssh://127.0.0.1:8422',
    ]);
  });

  it('systemctl status shows the doors and what runs; the journal has JSON lines with their priority', async () => {
    // What ran a moment ago is told for two seconds.
    await eventually('nothing runs', async () =>
      (await stage.property('dev', 'postern.service', 'StatusText')).endsWith('no operations running'),
    );
    const shown = await stage.systemctl('dev', 'status', 'postern.service');
    expect(shown).toContain('Status: "http://127.0.0.1:8417, http://[::1]:8417, ssh://127.0.0.1:8422; no operations running"');
    await git('dev', ['ls-remote', 'http://127.0.0.1:8417/nowhere.example.com/a']);
    const all = await stage.journal('dev', 'postern.service');
    const ready = all.find(({ MESSAGE }) => MESSAGE?.includes('"event":"ready"'));
    expect(ready?.['PRIORITY']).toBe('6');
    expect(JSON.parse(ready?.['MESSAGE'] ?? '')).toMatchObject({ level: 'info', event: 'ready', configuration: CONFIGURATION });
    const grave = await stage.journal('dev', 'postern.service', '--priority=warning');
    expect(grave.length).toBeGreaterThan(0);
    for (const { MESSAGE } of grave) expect(MESSAGE).toMatch(/"level":"(?:warn|error)"/);
  });

  it('the sandbox holds: what the service may not write or read it cannot', async () => {
    // A secret of kind `command` runs within the service, as a thief in it would.
    const places = [
      '/home/dev/written',
      '/home/dev/.bashrc',
      '/home/dev/.config/postern/config.yaml',
      '/tmp/written',
      '/var/tmp/written',
      '/etc/written',
    ];
    const script = [
      '#!/bin/sh',
      'exec 3>"$HOME/.azure/report"',
      ...places.map((place) => `if (: >>${place}) 2>/dev/null; then echo "wrote ${place}" >&3; fi`),
      'if cat "$HOME/.ssh/id_ed25519" >/dev/null 2>&1; then echo "read a key" >&3; fi',
      'if systemd-run --user true 2>/dev/null; then echo "left the sandbox" >&3; fi',
      'if unshare --user true 2>/dev/null; then echo "made a namespace" >&3; fi',
      'for name in NOTIFY_SOCKET WATCHDOG_USEC LISTEN_FDS LISTEN_PID; do eval "test -z \\"\\$$name\\"" || echo "has $name" >&3; done',
      'if [ -e /proc/self/fd/4 ]; then echo "has a socket" >&3; fi',
      ': >"$TMPDIR/written" && echo "wrote TMPDIR" >&3',
      ': >"$HOME/.local/state/postern/written" && echo "wrote the state" >&3',
      'cat "$HOME/.config/postern/azure-client-secret"',
      'echo "read the secret" >&3',
      '',
    ].join('\n');
    await put('/home/dev/probe', script, 'dev', 0o755);
    await put(CONFIGURATION, configuration('{ command: [/home/dev/probe] }'), 'dev', 0o600);
    await stage.systemctl('dev', 'restart', 'postern.service');
    const ran = await git('dev', ['ls-remote', `http://127.0.0.1:8417/${WEB}`]);
    expect(ran.stdout, ran.stderr).toContain('refs/heads/main');
    const report = await stage.must('dev', 'cat', ['/home/dev/.azure/report']);
    expect(report.split('\n')).toEqual(['wrote TMPDIR', 'wrote the state', 'read the secret', '']);
    // The same script outside of the service can do all of it, so the list above means something.
    await stage.must('dev', 'sh', [
      '-c',
      'mkdir -p "$XDG_RUNTIME_DIR/postern/tmp" && TMPDIR=$XDG_RUNTIME_DIR/postern/tmp /home/dev/probe >/dev/null',
    ]);
    const free = await stage.must('dev', 'cat', ['/home/dev/.azure/report']);
    for (const line of ['wrote /home/dev/written', 'wrote /tmp/written', 'read a key', 'left the sandbox']) expect(free).toContain(line);
  });

  it('another user is told apart and refused, also from within a user namespace', async () => {
    const ran = await git('other', ['ls-remote', `http://127.0.0.1:8417/${WEB}`]);
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toMatch(/lease/);
  });

  it('systemctl reload takes a new configuration, and fails with the reason when it cannot be used', async () => {
    const good = configuration('{ credential: azure-client-secret }');
    await put(CONFIGURATION, good, 'dev', 0o600);
    await stage.systemctl('dev', 'reload', 'postern.service');
    await eventually('the status line tells of the reload', async () =>
      (await stage.property('dev', 'postern.service', 'StatusText')).includes('; reloaded '),
    );
    await put(CONFIGURATION, good.replace('identity: sp', 'identity: nobody'), 'dev', 0o600);
    const failed = await stage.run('dev', 'systemctl', ['--user', 'reload', 'postern.service']);
    expect(failed.code).not.toBe(0);
    await eventually('the status line tells why', async () =>
      (await stage.property('dev', 'postern.service', 'StatusText')).includes('; reload failed '),
    );
    expect((await git('dev', ['ls-remote', `http://127.0.0.1:8417/${WEB}`])).code).toBe(0);
    expect(await stage.property('dev', 'postern.service', 'ActiveState')).toBe('active');
    await put(CONFIGURATION, good, 'dev', 0o600);
    await stage.systemctl('dev', 'reload', 'postern.service');
  });

  it('git-credential finds what the helper `store` keeps with the drop-in for sign-in tools, and says that there is nothing without it', async () => {
    const good = configuration('{ credential: azure-client-secret }');
    const tools = `http://127.0.0.1:8417/git.example.com/team/tools.git`;
    const route = `  - { match: git.example.com/**, identity: helpers, host: generic, upstream: '${upstream.git}/git.example.com', ca: /azure/ca.pem }`;
    const withHelpers = good.replace('routes:', `  helpers: { kind: git-credential }\nroutes:\n${route}`);
    await put('/home/dev/.git-credentials', `https://dana:example-password@${new URL(upstream.git).host}\n`, 'dev', 0o600);
    await stage.must('dev', 'git', ['config', '--global', 'credential.helper', 'store']);
    await put(CONFIGURATION, withHelpers, 'dev', 0o600);
    await stage.systemctl('dev', 'restart', 'postern.service');
    const hidden = await git('dev', ['ls-remote', tools]);
    expect(hidden.code).not.toBe(0);
    expect(hidden.stderr).toContain('postern: The credential helpers of git hold nothing for');

    const shipped = await stage.must('root', 'cat', ['/opt/postern/systemd/drop-ins/sign-in-tools.conf']);
    const switchedOn = shipped.replace(/^#(?=(?:InaccessiblePaths|ReadWritePaths)=)/gm, '').replace('[Service]\n', '');
    await dropIn('sign-in-tools', switchedOn);
    await stage.systemctl('dev', 'restart', 'postern.service');
    const found = await git('dev', ['ls-remote', tools]);
    expect(found.stderr).toBe('');
    expect(found.stdout).toMatch(/\tHEAD$/m);

    await stage.must('dev', 'rm', ['/home/dev/.config/systemd/user/postern.service.d/sign-in-tools.conf', '/home/dev/.git-credentials']);
    await stage.must('dev', 'git', ['config', '--global', '--unset', 'credential.helper']);
    await stage.systemctl('dev', 'daemon-reload');
    await put(CONFIGURATION, good, 'dev', 0o600);
    await stage.systemctl('dev', 'restart', 'postern.service');
  });

  describe('the watchdog', () => {
    /** Holds up the event loop for a while or for good, and the threads that read files. */
    const PRELOAD = `
      import { open } from 'node:fs';
      import { execFileSync } from 'node:child_process';
      if (process.argv[2] === 'start') {
        process.on('SIGUSR2', () => { for (;;); });
        process.on('SIGWINCH', () => { const end = Date.now() + ${BUSY_MS}; while (Date.now() < end); });
        process.on('SIGPWR', () => {
          const fifo = process.env.TMPDIR + '/fifo';
          execFileSync('mkfifo', [fifo]);
          for (let i = 0; i < 8; i += 1) open(fifo, 'r', () => undefined);
        });
      }`;

    const restarts = async (): Promise<number> => Number(await stage.property('dev', 'postern.service', 'NRestarts'));
    const kill = (signal: string): Promise<string> =>
      stage.systemctl('dev', 'kill', '--kill-who=main', `--signal=${signal}`, 'postern.service');
    /** How often systemd says that it was the watchdog. */
    const barks = async (): Promise<number> => {
      const text = await stage.must('root', 'journalctl', ['--no-pager', '--output=cat', '_UID=1000']);
      return text.split('\n').filter((line) => line.startsWith('postern.service: Watchdog timeout')).length;
    };

    it('leaves a daemon alone that is merely busy', async () => {
      await put('/home/dev/preload.mjs', PRELOAD, 'dev');
      await dropIn('watchdog', `WatchdogSec=${PATIENCE_S}\nEnvironment=NODE_OPTIONS=--import=/home/dev/preload.mjs`);
      await stage.systemctl('dev', 'restart', 'postern.service');
      const before = await restarts();
      const pid = await stage.property('dev', 'postern.service', 'MainPID');
      for (let i = 0; i < 2; i += 1) {
        await kill('SIGWINCH');
        // It answers again when it has done what it was busy with.
        expect((await git('dev', ['ls-remote', `http://127.0.0.1:8417/${WEB}`])).code).toBe(0);
      }
      expect(await restarts()).toBe(before);
      expect(await stage.property('dev', 'postern.service', 'MainPID')).toBe(pid);
    });

    it.each([
      ['whose event loop is blocked', 'SIGUSR2'],
      ['whose loop turns, but which answers nobody', 'SIGPWR'],
    ])('kills a daemon %s; it is started anew, and the request that came meanwhile is served', async (_what, signal) => {
      const before = await restarts();
      const barked = await barks();
      const pid = await stage.property('dev', 'postern.service', 'MainPID');
      await kill(signal);
      await eventually('it was started anew', async () => (await restarts()) === before + 1);
      expect((await git('dev', ['ls-remote', `http://127.0.0.1:8417/${WEB}`])).code).toBe(0);
      expect(await stage.property('dev', 'postern.service', 'MainPID')).not.toBe(pid);
      expect(await barks()).toBe(barked + 1);
    });
  });

  it(`a restart under ${CLONES} running clones fails no new request, and the clones end well`, async () => {
    await stage.must('dev', 'rm', ['/home/dev/.config/systemd/user/postern.service.d/watchdog.conf']);
    await stage.systemctl('dev', 'daemon-reload');
    await stage.systemctl('dev', 'restart', 'postern.service');
    const clones = Array.from({ length: CLONES }, (_, at) =>
      git('dev', [
        'clone',
        '--quiet',
        '--bare',
        'http://127.0.0.1:8417/dev.azure.com/contoso/Payments/_git/large',
        `/home/dev/clone-${at}`,
      ]),
    );
    // Held in the middle: what a stopped client does not read fills the buffers on its way.
    await eventually(`${CLONES} operations run`, async () => {
      const running = JSON.parse(await stage.must('dev', 'postern', ['status', '--json'])) as { running: { step: string }[] };
      return running.running.filter(({ step }) => step === 'exchange').length >= CLONES / 2;
    });
    await stage.must('root', 'sh', ['-c', 'pkill -STOP -u dev git-remote-http || true']);
    const first = await stage.property('dev', 'postern.service', 'MainPID');
    const restarted = stage.systemctl('dev', 'restart', 'postern.service');
    await eventually('it drains', async () => (await stage.property('dev', 'postern.service', 'StatusText')).startsWith('Stopping'));
    // They come while the old one drains, wait at the socket, and are the new one's first.
    const fresh = Array.from({ length: 5 }, () => git('dev', ['ls-remote', `http://127.0.0.1:8417/${WEB}`]));
    await stage.must('root', 'sh', ['-c', 'pkill -CONT -u dev git-remote-http || true']);
    await restarted;
    expect((await Promise.all(fresh)).map(({ code, stderr }) => ({ code, stderr }))).toEqual(fresh.map(() => ({ code: 0, stderr: '' })));
    expect((await Promise.all(clones)).filter(({ code }) => code !== 0).map(({ stderr }) => stderr)).toEqual([]);
    expect(await stage.property('dev', 'postern.service', 'MainPID')).not.toBe(first);
    const stopped = (await events()).filter(({ event }) => event === 'stopped').at(-1);
    expect(stopped).toMatchObject({ code: 0 });
  });

  it('a file that was changed is neither overwritten nor taken away without --force', async () => {
    const file = '/home/dev/.config/systemd/user/postern.service';
    await stage.must('dev', 'sh', ['-c', `echo '# mine' >> ${file}`]);
    const ran = await stage.run('dev', 'postern', ['service', 'install']);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(`A file that would be written was changed, or is not of \`postern service install\`\n  ${file}`);
    expect(await stage.must('dev', 'tail', ['-1', file])).toBe('# mine\n');
    await stage.must('dev', 'postern', ['service', 'install', '--force']);
    expect(await stage.must('dev', 'tail', ['-1', `${file}.saved`])).toBe('# mine\n');
    expect(await stage.must('dev', 'tail', ['-1', file])).not.toBe('# mine\n');
    await stage.must('dev', 'rm', [`${file}.saved`]);
  });

  it('postern service status tells how it does, for a person and as JSON; uninstall takes away what was installed', async () => {
    const text = await stage.must('dev', 'postern', ['service', 'status']);
    expect(text).toContain('postern.service  active (running), success');
    const found = JSON.parse(await stage.must('dev', 'postern', ['service', 'status', '--json'])) as Record<string, unknown>;
    expect(found).toMatchObject({
      installed: true,
      lingering: true,
      socket: { state: 'active', enabled: true },
      service: { state: 'active' },
    });
    const ran = await stage.must('dev', 'postern', ['service', 'uninstall']);
    expect(ran).toContain('Removed /home/dev/.config/systemd/user/postern.service');
    const left = await stage.must('dev', 'find', ['/home/dev/.config/systemd/user', '-not', '-type', 'd']);
    expect(left).toBe('/home/dev/.config/systemd/user/postern.service.d/credentials.conf\n');
    expect((await stage.run('dev', 'postern', ['service', 'status', '--json'])).code).toBe(1);
    expect((await git('dev', ['ls-remote', `http://127.0.0.1:8417/${WEB}`])).stderr).toContain('Failed to connect');
  });

  it('says what is missing where there is no service manager of the user', async () => {
    const ran = await stage.run('dev', 'env', ['-u', 'XDG_RUNTIME_DIR', '-u', 'DBUS_SESSION_BUS_ADDRESS', 'postern', 'service', 'install']);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('No service manager of this user can be reached');
    expect(ran.stderr).toContain('XDG_RUNTIME_DIR is not set, as after su or sudo');
  });

  describe('for a build host', () => {
    it('is installed by root alone, with its user and group', async () => {
      const text = configuration('{ file: /etc/postern/secret }', [
        'listen: { http: [127.0.0.1:9417], ssh: off }',
        'access: { uids: [1000] }',
      ]);
      await put('/etc/postern/config.yaml', text, 'root:root');
      const no = await stage.run('dev', 'postern', ['service', 'install', '--system']);
      expect(no.code).toBe(2);
      expect(no.stderr).toContain('A service of the system is installed by root');
      const ran = await stage
        .must('root', 'postern', ['service', 'install', '--system', '--start'])
        .catch((thrown: unknown) => String(thrown));
      // There is no secret yet, because its owner was not there before.
      expect(ran).toContain('postern-system.socket');
      await put('/etc/postern/secret', upstream.secret, 'root:postern', 0o640);
      await stage.systemctl('root', 'restart', 'postern-system.service');
      expect(await stage.property('root', 'postern-system.service', 'ActiveState')).toBe('active');
      const pid = await stage.property('root', 'postern-system.service', 'MainPID');
      expect(await stage.must('root', 'stat', ['-c', '%U', `/proc/${pid}`])).toBe('postern\n');
    });

    it('tells local users apart by their uids', async () => {
      const one = await git('dev', ['ls-remote', `http://127.0.0.1:9417/${WEB}`]);
      expect(one.stdout, one.stderr).toContain('refs/heads/main');
      const other = await git('other', ['ls-remote', `http://127.0.0.1:9417/${WEB}`]);
      expect(other.code).not.toBe(0);
    });

    it('opens its admin socket to the group, and says so to others', async () => {
      const socket = await stat(stage.path('/run/postern/admin.sock'));
      expect(socket.mode & 0o777).toBe(0o660);
      expect(await stage.must('root', 'stat', ['-c', '%U:%G', '/run/postern/admin.sock'])).toBe('postern:postern-admin\n');
      const no = await stage.run('dev', 'postern', ['status', '--system']);
      expect(no.code).toBe(1);
      expect(no.stderr).toContain('usermod -aG postern-admin');
      await stage.must('root', 'usermod', ['-aG', 'postern-admin', 'dev']);
      expect(await stage.must('dev', 'postern', ['status', '--system'])).toContain('http://127.0.0.1:9417');
      expect((await stage.run('other', 'postern', ['status', '--system'])).stderr).toContain('usermod -aG postern-admin');
    });

    it('the sandbox holds', async () => {
      const script = [
        '#!/bin/sh',
        'exec 3>/var/lib/postern/report',
        'for place in /etc/written /var/tmp/../lib/written /run/written /opt/postern/written /usr/written; do if (: >>$place) 2>/dev/null; then echo "wrote $place" >&3; fi; done',
        'if ls /home/dev >/dev/null 2>&1; then echo "read a home" >&3; fi',
        'if [ -e /tmp/of-another ]; then echo "saw /tmp" >&3; fi',
        'if unshare --user true 2>/dev/null; then echo "made a namespace" >&3; fi',
        'if kill -0 1 2>/dev/null; then echo "may signal" >&3; fi',
        'cat /etc/postern/secret',
        'echo "read the secret" >&3',
        '',
      ].join('\n');
      await put('/usr/local/bin/probe', script, 'root:root', 0o755);
      await put('/tmp/of-another', '', 'root:root');
      const text = await readFile(stage.path('/etc/postern/config.yaml'), 'utf8');
      await put(
        '/etc/postern/config.yaml',
        text.replace('{ file: /etc/postern/secret }', '{ command: [/usr/local/bin/probe] }'),
        'root:root',
      );
      await stage.systemctl('root', 'restart', 'postern-system.service');
      const ran = await git('dev', ['ls-remote', `http://127.0.0.1:9417/${WEB}`]);
      expect(ran.stdout, ran.stderr).toContain('refs/heads/main');
      expect((await stage.must('root', 'cat', ['/var/lib/postern/report'])).split('\n')).toEqual(['read the secret', '']);
    });

    it('is taken away again', async () => {
      await stage.must('root', 'postern', ['service', 'uninstall', '--system']);
      const left = await stage.must('root', 'find', ['/etc/systemd/system', '/etc/sysusers.d', '-name', '*postern*']);
      expect(left).toBe('');
    });
  });
});
