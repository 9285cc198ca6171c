/**
 * What a user gets for a mistake: a message that says what is wrong and what to do, the documented exit code, and
 * nothing left half-started. And how a daemon ends.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { get } from 'node:http';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PROGRAM, type Ran, type RunningDaemon, run, type RunOptions, Scene } from '../support/scene.js';

const WEB = 'dev.azure.com/contoso/Payments/_git/web';
const ORDINARY = 12345;
const isRoot = process.getuid?.() === 0;
const lowPortsNeedRights = await readFile('/proc/sys/net/ipv4/ip_unprivileged_port_start', 'utf8').then(
  (text) => Number(text) > 80,
  () => true,
);

let scene: Scene;
/** A directory of the ordinary user, with a copy of the program in it: the checkout may lie where that user cannot read. */
let own: string;
let daemons: RunningDaemon[] = [];
let port: number;
let runtime: string;
let attempts = 0;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  own = await mkdtemp(join(tmpdir(), 'postern-own-'));
  await cp(dirname(PROGRAM), join(own, 'dist'), { recursive: true });
  await cp(join(dirname(PROGRAM), '..', 'package.json'), join(own, 'package.json'));
  await chmod(own, 0o755);
  await mkdir(join(own, 'home'));
  if (isRoot) for (const path of [own, join(own, 'home')]) await chown(path, ORDINARY, ORDINARY);
});
afterAll(async () => {
  await scene.close();
  await rm(own, { recursive: true, force: true });
});

beforeEach(async () => {
  attempts += 1;
  runtime = join(own, `run-${attempts}`);
  await mkdir(runtime, { mode: 0o700 });
  if (isRoot) await chown(runtime, ORDINARY, ORDINARY);
  port = await freePort();
});
afterEach(async () => {
  for (const daemon of daemons) await daemon.kill();
  daemons = [];
  scene.emulator.git.faults.clear();
  scene.emulator.sts.delayMs = 0;
});

/** A port that is free now; another process may take it, which a test would then tell as a busy port. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: found } = server.address() as AddressInfo; // it listens on TCP
  await new Promise((resolve) => server.close(resolve));
  return found;
}

function isOpen(at: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(at, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** The command line as the ordinary user. */
function ordinary(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const program = [process.execPath, join(own, 'dist', 'postern.js'), ...args];
  const dropped = isRoot ? ['setpriv', `--reuid=${ORDINARY}`, `--regid=${ORDINARY}`, '--clear-groups', ...program] : program;
  const env = { ...scene.environment, HOME: join(own, 'home'), XDG_RUNTIME_DIR: runtime, POSTERN_LISTEN_SSH: 'off', ...options.env };
  return run(dropped[0] ?? '', dropped.slice(1), { timeoutMs: 20_000, cwd: own, ...options, env });
}

async function write(text: string): Promise<string> {
  const file = join(own, `config-${attempts}.yaml`);
  await writeFile(file, text);
  await chmod(file, 0o644);
  return file;
}

/** A whole configuration with these lines changed or added. */
const withIdentity = (identity: string, more = ''): string =>
  [
    `listen: { http: 127.0.0.1:${port} }`,
    more,
    'identities:',
    `  it: ${identity}`,
    'routes:',
    '  - { match: dev.azure.com/**, identity: it }',
    '',
  ].join('\n');

/** Tries to start, and checks that nothing stayed. Messages come on stderr. */
async function failsToStart(configuration: string, options: RunOptions = {}): Promise<Ran> {
  const ran = await ordinary(['start', '--config', await write(configuration)], options);
  expect(ran.code, ran.stderr).not.toBe(124);
  expect(await isOpen(port)).toBe(false);
  expect(existsSync(join(runtime, 'postern', 'admin.sock'))).toBe(false);
  expect(ran.stderr).not.toMatch(/\n\s+at .*:\d+:\d+/);
  return ran;
}

describe('what is wrong with the configuration is said with its place, and exit 2', () => {
  const cases: readonly (readonly [name: string, text: () => string, expected: readonly (string | RegExp)[]])[] = [
    ['a misspelt key', () => withIdentity('{ kind: pat, secrte: { file: /x } }'), [/:4:\d+: .*secrte/, 'did you mean `secret`?']],
    ['no YAML', () => 'routes: [ {match: a\nidentities: }', [/yaml:\d+:\d+: /]],
    [
      'a route that comes twice',
      () => `${withIdentity('{ kind: none }')}  - { match: DEV.azure.com/**, identity: it }\n`,
      ['is the same pattern as routes[0] on line 6', 'keep one'],
    ],
    ['an unknown identity', () => withIdentity('{ kind: none }').replace('identity: it', 'identity: ti'), ['`ti` is not an identity']],
    ['an unknown kind', () => withIdentity('{ kind: azure-cly }'), ['azure-cli']],
    [
      'a clear-text upstream',
      () => `${withIdentity('{ kind: none }')}  - { match: tfs.example.com/**, identity: it, upstream: 'http://tfs.example.com' }\n`,
      [/:7:\d+: routes\[1\]\.upstream: /, 'https'],
    ],
    ['an impossible port', () => withIdentity('{ kind: none }').replace(`127.0.0.1:${port}`, '127.0.0.1:99999'), [/:1:\d+: listen\.http/]],
    ['an address that is a name', () => withIdentity('{ kind: none }').replace('127.0.0.1', 'build-host'), [/:1:\d+: listen\.http/]],
  ];

  test.each(cases)('%s', async (_, text, expected) => {
    const ran = await failsToStart(text());
    expect(ran.code).toBe(2);
    for (const part of expected) {
      if (typeof part === 'string') expect(ran.stderr).toContain(part);
      else expect(ran.stderr).toMatch(part);
    }
    expect(ran.stderr).toContain('what to do:');
    const file = join(own, `config-${attempts}.yaml`);
    // The other commands that read it say the same and end the same.
    for (const args of [
      ['config', 'show'],
      ['config', 'check'],
      ['route', 'explain', 'https://dev.azure.com/a/b/_git/c'],
    ]) {
      const other = await ordinary([...args, '--config', file]);
      expect({ code: other.code, stderr: other.stderr }).toEqual({ code: 2, stderr: ran.stderr });
      expect(other.stdout).toBe('');
    }
  });

  test('a route that leads to the door itself', async () => {
    const loop = `  - { match: tfs.example.com/**, identity: it, upstream: 'http://127.0.0.1:${port}/dev.azure.com' }\n`;
    const ran = await failsToStart(`${withIdentity('{ kind: none }')}${loop}`);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('The route tfs.example.com/** leads back to this daemon: its upstream is the door itself');
    expect(ran.stderr).toContain('what to do: write the address of the real server');
  });

  test('a literal secret, which is never shown', async () => {
    const secret = 'hunter2-hunter2-hunter2';
    for (const kind of [
      `{ kind: pat, secret: ${secret} }`,
      `{ kind: pat, secret: { value: ${secret} } }`,
      `{ kind: pat, secret: { ${secret}: x } }`,
    ]) {
      const ran = await failsToStart(withIdentity(kind));
      expect(ran.code).toBe(2);
      expect(ran.stderr).toMatch(/:4:\d+: identities\.it\.secret: /);
      expect(ran.stdout + ran.stderr).not.toContain(secret);
    }
  });

  test('a file that is not there, or not to be read', async () => {
    const absent = await ordinary(['start', '--config', join(own, 'absent.yaml')]);
    expect(absent.code).toBe(2);
    expect(absent.stderr).toContain(`The configuration ${join(own, 'absent.yaml')} cannot be read`);
    const closed = await write('routes: []\n');
    await chmod(closed, 0);
    if (isRoot) await chown(closed, 0, 0);
    const ran = await ordinary(['config', 'check', '--config', closed]);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('EACCES');
    expect(ran.stderr).toContain('Give the user that runs Postern the right to read it');
  });
});

describe('what the configuration points at', () => {
  test('a secret file that may not be read', async () => {
    const file = join(own, 'closed-secret');
    await writeFile(file, 'never-to-be-seen', { mode: 0o600 });
    if (!isRoot) await chmod(file, 0);
    const ran = await failsToStart(withIdentity(`{ kind: pat, secret: { file: ${file} } }`));
    expect(ran.code).toBe(2);
    expect(ran.stderr).toMatch(/:4:\d+: identities\.it\.secret: the file cannot be read \(EACCES\)/);
    expect(ran.stderr).toContain('give the user that runs Postern the right to read it');
  });

  test('a secret file, a variable, a program, a credential and a ca that are not there, all at once', async () => {
    const ran = await failsToStart(
      [
        `listen: { http: 127.0.0.1:${port} }`,
        'identities:',
        '  a: { kind: pat, secret: { file: /nowhere/pat } }',
        '  b: { kind: pat, secret: { env: NOT_SET_ANYWHERE } }',
        '  c: { kind: pat, secret: { command: [no-such-program-here] } }',
        '  d: { kind: pat, secret: { credential: tfs } }',
        '  e: { kind: client-certificate, tenant: t.example.com, clientId: 11111111-2222-4333-8444-555555555555, certificate: /nowhere/c.pem }',
        'routes:',
        ...['a', 'b', 'c', 'd', 'e'].map((name) => `  - { match: dev.azure.com/${name}/**, identity: ${name} }`),
        '  - { match: tfs.example.com/**, identity: a, ca: /nowhere/ca.pem }',
        '',
      ].join('\n'),
    );
    expect(ran.code).toBe(2);
    for (const [line, part] of [
      [3, 'identities.a.secret: the file does not exist'],
      [4, 'identities.b.secret: the variable is not set'],
      [5, 'identities.c.secret: the program is not on the PATH'],
      [6, 'identities.d.secret: CREDENTIALS_DIRECTORY is not set'],
      [7, 'identities.e.certificate: `/nowhere/c.pem` does not exist'],
      [14, 'routes[5].ca: `/nowhere/ca.pem` does not exist'],
    ] as const) {
      expect(ran.stderr).toMatch(new RegExp(`:${line}:\\d+: ${part.replace(/[[\].`]/g, '\\$&')}`));
    }
  });

  const emulated = (identity: string): string =>
    [
      'listen: { http: 127.0.0.1:0 }',
      'log: { level: debug, format: json }',
      'identities:',
      `  it: ${identity}`,
      'routes:',
      `  - { match: dev.azure.com/**, identity: it, upstream: '${scene.emulator.git.origin}', ca: ${scene.emulator.caFile} }`,
      '',
    ].join('\n');

  test.each([
    ['an empty secret', '', 'is empty', 'put the secret there'],
    ['a secret of several lines', 'one\ntwo\n', 'has more than one line', 'on one line'],
    ['a secret that is far too long', 'x'.repeat(70_000), 'is longer than', 'check that it is the right one'],
  ])('%s is said to git when it is needed', async (_, text, what, todo) => {
    const file = join(own, `secret-${attempts}`);
    await writeFile(file, text);
    const daemon = await scene.daemon(emulated(`{ kind: pat, secret: { file: ${file} } }`));
    daemons.push(daemon);
    const failed = await scene.git(['ls-remote', daemon.url(WEB)]);
    expect(failed.stderr).toContain(`remote: postern: A secret could not be read: file ${file} ${what}`);
    expect(failed.stderr).toContain(todo);
  });

  test('a command for a secret that fails is said, and what it printed is not', async () => {
    const daemon = await scene.daemon(
      emulated(`{ kind: pat, secret: { command: [sh, -c, 'echo half-of-a-secret; echo more >&2; exit 3'] } }`),
    );
    daemons.push(daemon);
    const failed = await scene.git(['ls-remote', daemon.url(WEB)]);
    expect(failed.stderr).toContain('A secret could not be read: command sh failed (3)');
    expect(failed.stderr).toContain('run it by hand');
    expect(failed.stderr + daemon.output).not.toMatch(/half-of-a-secret/);
  });
});

describe('what cannot be opened is exit 1', () => {
  test('a busy port names the process that holds it', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    try {
      const env = { ...scene.environment, XDG_RUNTIME_DIR: join(scene.directory, 'run'), POSTERN_LISTEN_SSH: 'off' };
      const ran = await run(process.execPath, [PROGRAM, 'start', '--config', await write(withIdentity('{ kind: none }'))], { env });
      expect(ran.code).toBe(1);
      expect(ran.stderr).toMatch(new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port} \\(in use by .* \\(pid ${process.pid}\\)\\)`));
      expect(ran.stderr).toContain('set `listen.http` to another one');
      expect(existsSync(join(scene.directory, 'run', 'postern', 'admin.sock'))).toBe(false);
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  });

  test.runIf(isRoot)('a busy port of another user is said to be busy, without a name', async () => {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    const ran = await ordinary(['start', '--config', await write(withIdentity('{ kind: none }'))]);
    await new Promise((resolve) => server.close(resolve));
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`cannot listen on 127.0.0.1:${port} (EADDRINUSE)`);
    expect(ran.stderr).toContain('what to do: stop what uses the port');
  });

  test('a second daemon names the first, and leaves it running', async () => {
    const first = await scene.daemon();
    daemons.push(first);
    const file = await scene.writeConfiguration(withIdentity('{ kind: none }'));
    const second = await first.postern(['start', '--config', file]);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`A postern is already running (pid ${first.pid}, ${first.base})`);
    expect(second.stderr).toContain('`postern stop`');
    expect(await isOpen(port)).toBe(false);
    expect((await first.status()).pid).toBe(first.pid);
    expect((await scene.git(['ls-remote', first.url(WEB)])).code).toBe(0);
  });

  test.runIf(lowPortsNeedRights)('a port below 1024 as an ordinary user', async () => {
    const ran = await failsToStart(withIdentity('{ kind: none }').replace(`127.0.0.1:${port}`, '127.0.0.1:79'));
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('cannot listen on 127.0.0.1:79 (EACCES)');
    expect(ran.stderr).toMatch(/what to do: .*1024/);
  });

  test('a runtime directory that may not be written', async () => {
    const closed = join(own, `closed-${attempts}`);
    await mkdir(closed, { mode: 0o555 });
    const ran = await failsToStart(withIdentity('{ kind: none }'), { env: { XDG_RUNTIME_DIR: closed } });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`The directory ${join(closed, 'postern')} for the admin socket cannot be used (EACCES)`);
    expect(ran.stderr).toContain('XDG_RUNTIME_DIR');
  });

  test.runIf(isRoot)('a runtime directory of another user', async () => {
    await mkdir(join(runtime, 'postern'), { mode: 0o777 });
    await chmod(join(runtime, 'postern'), 0o777);
    const ran = await failsToStart(withIdentity('{ kind: none }'));
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('it is not a directory of this user');
  });

  test('a runtime directory that is a link', async () => {
    const elsewhere = join(own, `elsewhere-${attempts}`);
    await mkdir(elsewhere);
    if (isRoot) await chown(elsewhere, ORDINARY, ORDINARY);
    await symlink(elsewhere, join(runtime, 'postern'));
    const ran = await failsToStart(withIdentity('{ kind: none }'));
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('it is not a directory of this user');
  });

  test('a path that is too long for a socket', async () => {
    const long = join(runtime, 'd'.repeat(100));
    const env = { XDG_RUNTIME_DIR: long };
    const ran = await failsToStart(withIdentity('{ kind: none }'), { env });
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('its path is too long');
    expect(ran.stderr).toContain('shorter path');
    expect((await ordinary(['status'], { env })).code).toBe(1);
    expect((await ordinary(['status'], { env })).stderr).toContain('No postern is running');
  });
});

describe('the command line', () => {
  test.each([
    ['an unknown command', ['frobnicate'], 'frobnicate'],
    ['an unknown option', ['start', '--frobnicate'], 'frobnicate'],
    ['a word alone that is an option', ['--json'], 'Say what to do'],
    ['an option without its value', ['start', '--config'], 'config'],
    ['half a command', ['config'], 'check, show or schema'],
    ['route explain without an address', ['route', 'explain'], 'url'],
    ['route explain of what is no address', ['route', 'explain', 'nonsense'], 'nonsense is not an address of a repository'],
    ['doctor of what is no address', ['doctor', 'nonsense'], 'nonsense is not an address of a repository'],
    ['route explain of half an address', ['route', 'explain', 'https://dev.azure.com/contoso'], 'is not a repository'],
    ['a flag with a bad value', ['config', 'check', '--log-level', 'loud'], 'loud'],
  ])('%s is exit 2, with what to do', async (_, args, what) => {
    const ran = await ordinary(args);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain(what);
    expect(ran.stderr).toContain('what to do:');
    expect(ran.stdout).toBe('');
  });

  test.each(['status', 'stop'])('%s with nothing running is exit 1, with what to do', async (command) => {
    const ran = await ordinary([command]);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`No postern is running (nothing answers on ${join(runtime, 'postern', 'admin.sock')})`);
    expect(ran.stderr).toContain('`postern start`');
  });

  test.runIf(isRoot)('status of another user’s daemon says whose it is', async () => {
    const daemon = await scene.daemon();
    daemons.push(daemon);
    const status = JSON.parse((await daemon.postern(['status', '--json'])).stdout) as { pid: number };
    expect(status.pid).toBe(daemon.pid);
    const env = Object.fromEntries(
      (await readFile(`/proc/${daemon.pid}/environ`, 'utf8')).split('\0').map((entry) => entry.split('=', 2) as [string, string]),
    );
    await chmod(scene.directory, 0o755);
    const ran = await ordinary(['status'], { env: { XDG_RUNTIME_DIR: env['XDG_RUNTIME_DIR'] } });
    await chmod(scene.directory, 0o700);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain('belongs to another user');
  });
});

describe('the end of a daemon', () => {
  const draining = (max: string): string => scene.plainConfiguration.replace('log:', `drain: { max: ${max} }\nlog:`);
  const started = async (configuration?: string): Promise<RunningDaemon> => {
    const daemon = await scene.daemon(configuration);
    daemons.push(daemon);
    return daemon;
  };
  const transferring = (daemon: RunningDaemon): Promise<void> =>
    until(async () => (await daemon.status()).running.some(({ upstreamStatus }) => upstreamStatus === 200));
  /** A client that asks and then only listens. */
  const listen = (daemon: RunningDaemon): ReturnType<typeof get> => {
    const request = get(daemon.url(`${WEB}/info/refs?service=git-upload-pack`), (answer) => {
      answer.on('error', () => undefined);
      answer.resume();
    });
    return request.on('error', () => undefined);
  };

  test('by SIGTERM lets a running transfer finish: exit 0', async () => {
    const daemon = await started(draining('20s'));
    scene.emulator.git.faults.set('contoso/Payments/web', { kind: 'soft-throttle', step: 'exchange', delayMs: 1500, times: 1 });
    const listed = scene.git(['ls-remote', daemon.url(WEB)]);
    await until(async () => (await daemon.status()).running.some(({ step }) => step === 'exchange'));
    const code = daemon.stop('SIGTERM');
    expect(await listed).toMatchObject({ code: 0, stderr: '' });
    expect(await code).toBe(0);
    expect(daemon.log.some(({ event }) => event === 'transfer-cut')).toBe(false);
    expect(existsSync(join(scene.directory, 'run', 'postern', 'admin.sock'))).toBe(false);
  });

  test('by SIGTERM cuts what is still running after drain.max, and names it: exit 143', async () => {
    const daemon = await started(draining('500ms'));
    scene.emulator.git.faults.set('contoso/Payments/web', { kind: 'stall' });
    listen(daemon);
    await transferring(daemon);
    expect(await daemon.stop('SIGTERM')).toBe(143);
    const cut = daemon.log.find(({ event }) => event === 'transfer-cut');
    expect(cut).toMatchObject({ level: 'warn', operation: 'fetch', repository: 'dev.azure.com/contoso/Payments/web' });
  });

  test('by a second SIGTERM cuts at once', async () => {
    const daemon = await started(draining('1h'));
    scene.emulator.git.faults.set('contoso/Payments/web', { kind: 'stall' });
    listen(daemon);
    await transferring(daemon);
    const code = daemon.stop('SIGTERM');
    await daemon.logged(({ event }) => event === 'stopping');
    void daemon.stop('SIGTERM');
    expect(await code).toBe(143);
  });

  test('by SIGINT is exit 130', async () => {
    const daemon = await started();
    expect(await daemon.stop('SIGINT')).toBe(130);
  });

  test('by postern stop is exit 0 for both', async () => {
    const daemon = await started();
    const stopped = await daemon.postern(['stop']);
    expect(stopped).toMatchObject({ code: 0, stdout: `Stopped (pid ${daemon.pid})\n` });
    expect(await daemon.ended()).toBe(0);
    expect((await daemon.postern(['status'])).code).toBe(1);
  });

  test('does not wait for a sign-in that nobody needs any more', async () => {
    const daemon = await started(draining('500ms'));
    scene.emulator.sts.delayMs = 25_000;
    const request = listen(daemon);
    await until(() => scene.emulator.sts.inFlight > 0);
    request.destroy();
    const startedAt = performance.now();
    await daemon.stop('SIGTERM');
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  test('by SIGKILL leaves a socket that the next start takes over', async () => {
    const file = await scene.writeConfiguration(scene.plainConfiguration);
    const env = {
      ...scene.environment,
      XDG_RUNTIME_DIR: runtime,
      POSTERN_LISTEN_SSH: 'off',
      SP_SECRET: scene.emulator.sts.samples.secretClient.secret,
    };
    const launch = async (): Promise<{ readonly kill: (signal: NodeJS.Signals) => Promise<number | null> }> => {
      const child = spawn(process.execPath, [PROGRAM, 'start', '--config', file], { env, stdio: ['ignore', 'ignore', 'pipe'] });
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      let text = '';
      child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
      await until(() => text.includes('"event":"ready"'));
      return {
        kill: (signal) => {
          child.kill(signal);
          return ended;
        },
      };
    };
    if (isRoot) await chown(runtime, 0, 0);
    await (await launch()).kill('SIGKILL');
    const socket = join(runtime, 'postern', 'admin.sock');
    expect(existsSync(socket)).toBe(true);
    const status = await run(process.execPath, [PROGRAM, 'status'], { env });
    expect(status).toMatchObject({ code: 1 });
    expect(status.stderr).toContain('No postern is running');
    const next = await launch();
    expect((await run(process.execPath, [PROGRAM, 'status'], { env })).code).toBe(0);
    expect(await next.kill('SIGTERM')).toBe(0);
    expect(existsSync(socket)).toBe(false);
  });
});

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + 15_000;
  while (!(await holds())) {
    if (performance.now() > end) throw new Error('it did not come about');
    await sleep(30);
  }
}

describe('a reader that has gone', () => {
  const piped = (line: string): Promise<Ran> =>
    run('bash', ['-o', 'pipefail', '-c', line, 'bash', process.execPath, PROGRAM], {
      env: { ...scene.environment, HOME: join(own, 'home') },
    });

  test('ends no command in the middle, and is no failure', async () => {
    const shown = await piped('"$@" config schema | head -c 1');
    expect(shown).toMatchObject({ code: 0, stdout: '{', stderr: '' });
    const home = await mkdtemp(join(own, 'piped-'));
    // It has not begun to print when nobody reads any more.
    const set = await piped(`HOME=${home} "$@" setup --org contoso > >(exec true)`);
    expect(set).toMatchObject({ code: 0, stderr: '' });
    const rule = await run('git', ['ls-remote', '--get-url', `https://${WEB}`], { env: { ...scene.environment, HOME: home } });
    expect(rule.stdout).toBe(`http://127.0.0.1:8417/${WEB}\n`);
  });
});
