/**
 * `postern exec -- COMMAND`, with real git: the command goes through a door of its own, ends as it would without us, and leaves
 * nothing behind; nothing else on the machine is changed or disturbed.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { PROGRAM, type Ran, type RunOptions, Scene } from '../support/scene.js';

const WEB = 'https://dev.azure.com/contoso/Payments/_git/web';
/** A bound for polls that end as soon as they are true. */
const SETTLE_MS = 20_000;
const LOOK_MS = 20;

let scene: Scene;
let configuration: string;
/** Where the private directory of a run is made: empty before and after each test. */
let runtime: string;
/** An empty directory for each test. */
let work: string;
/** Programs that a test began and may have left, if it failed. */
const begun: ChildProcess[] = [];

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  // What belongs to a service must not matter: the port is one that nobody may use.
  configuration = await scene.writeConfiguration(
    scene.plainConfiguration.replace(/^listen:.*$/m, 'listen: { http: 127.0.0.1:1 }').replace(/^log:.*\n/m, ''),
  );
  runtime = join(scene.directory, 'runtime');
  await mkdir(runtime, { mode: 0o700 });
});

afterAll(() => scene.close());

beforeEach(async () => {
  work = await mkdtemp(join(scene.directory, 'work-'));
});

afterEach(async () => {
  for (const child of begun.splice(0)) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  scene.emulator.git.faults.clear();
  expect(await readdir(runtime)).toEqual([]);
});

describe('the command', () => {
  test('clones and pushes through a door of its own, and nothing else shows', async () => {
    expect(await exec(['git', 'clone', '-q', WEB, 'web'])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    const script =
      'cd web && git commit -q --allow-empty -m "from exec" && git push -q origin HEAD:refs/heads/from-exec && git ls-remote origin from-exec';
    const ran = await exec(['sh', '-c', script]);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toMatch(/^[0-9a-f]{40}\trefs\/heads\/from-exec\n$/);
    expect(await readFile(join(work, 'web', '.git', 'config'), 'utf8')).toContain(`url = ${WEB}\n`);
    await expect(stat(join(scene.home, '.gitconfig'))).rejects.toThrow('ENOENT');
  });

  test.each([
    ['as an argument', ['git', 'clone', '-q', WEB.replace('://', '://contoso@'), 'web']],
    ['in a script', ['sh', '-c', `git clone -q '${WEB.replace('dev.azure.com/contoso', 'contoso.visualstudio.com')}' web`]],
  ])('finds the organisation in an address that stands there %s', async (_where, argv) => {
    expect(await exec(argv)).toMatchObject({ code: 0, stderr: '' });
  });

  test('needs no ssh for remotes in SSH form', async () => {
    const ran = await exec(['git', 'clone', '-q', 'git@ssh.dev.azure.com:v3/contoso/Payments/web', 'web'], {
      env: { GIT_SSH_COMMAND: 'false' },
    });
    expect(ran).toMatchObject({ code: 0, stderr: '' });
  });

  test('knows the organisations that it is told', async () => {
    const script = 'O=contoso; git clone -q https://$O@dev.azure.com/$O/Payments/_git/web';
    expect(await exec(['sh', '-c', script], { own: ['--org', 'contoso'] })).toMatchObject({ code: 0, stderr: '' });
  });

  test('has the terminal to itself: input and output are ours, words that look like options too', async () => {
    const ran = await exec(['sh', '-c', 'cat; echo "$@" >&2', 'sh', '--help', '--', '--config', '010', ''], { input: 'in' });
    expect(ran).toMatchObject({ code: 0, stdout: 'in', stderr: '--help -- --config 010 \n' });
  });

  test.each([
    ['its own code', 'exit 7', 7],
    ['success', 'exit 0', 0],
    ['128 and the signal', 'kill -9 $$', 137],
    ['128 and another signal', 'kill -TERM $$', 143],
  ])('gives %s', async (_what, script, code) => {
    expect((await exec(['sh', '-c', script])).code).toBe(code);
  });

  test('that is not there gives 127, one that cannot be run 126, with our words', async () => {
    expect(await exec(['no-such-command-anywhere'])).toMatchObject({
      code: 127,
      stderr: 'postern: The command no-such-command-anywhere was not found\n  what to do: check how it is spelt, and the PATH\n',
    });
    // Root may look into it all the same, and then the system says what is true by itself.
    const shut = join(work, 'shut');
    await mkdir(shut, { mode: 0o000 });
    expect((await exec(['no-such-command-anywhere'], { env: { PATH: `${shut}:${process.env['PATH'] ?? ''}` } })).code).toBe(127);
    const script = join(work, 'script');
    await writeFile(script, '#!/no/such/interpreter\n');
    expect((await exec([script])).stderr).toContain(`The command ${script} cannot be run (it is not executable)`);
    await chmod(script, 0o755);
    const ran = await exec([script]);
    expect(ran).toMatchObject({ code: 127 });
    expect(ran.stderr).toContain('was not found, or the interpreter that its first line names');
    expect((await exec([work])).code).toBe(126);
  });

  test('has to be given', async () => {
    for (const args of [['exec'], ['exec', '--']]) {
      expect(await scene.postern(args)).toMatchObject({
        code: 2,
        stdout: '',
        stderr: 'postern: No command was given\n  what to do: write it after `--`: `postern exec -- git clone URL`\n',
      });
    }
    const ran = await scene.postern(['exec', 'git', 'clone', WEB]);
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain('postern exec [options] -- COMMAND [ARGUMENTS]');
  });
});

describe('the environment of the command', () => {
  test('holds no secret of the configuration, nor does that of any git we run', async () => {
    const bin = await fakeGit('env >> "$ENVIRONMENTS"');
    const seen = join(work, 'environments');
    const ran = await exec(['sh', '-c', 'env; git --version'], { env: { PATH: bin, ENVIRONMENTS: seen } });
    expect(ran.code).toBe(0);
    const { secret } = scene.emulator.sts.samples.secretClient;
    const all = ran.stdout + (await readFile(seen, 'utf8'));
    expect(all.match(/^GIT_CONFIG_COUNT=/gm)?.length).toBeGreaterThan(1);
    expect(all).not.toContain('SP_SECRET');
    expect(all).not.toContain(secret);
  });

  test('holds no key of leases either, and the door does not use one that others share', async () => {
    const shared = await scene.writeConfiguration(`${await readFile(configuration, 'utf8')}access: { leaseKey: { env: LEASE_KEY } }\n`);
    const key = `00112233445566aa ${'A'.repeat(43)}=`;
    const ran = await exec(['env'], { own: ['--config', shared], env: { LEASE_KEY: key } });
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toContain('GIT_CONFIG_COUNT=');
    expect(ran.stdout).not.toContain('LEASE_KEY');
    expect(ran.stdout).not.toContain(key);
  });

  test('holds a lease where the configuration takes nothing else, and no other program gets in', async () => {
    const leased = await scene.writeConfiguration(`${await readFile(configuration, 'utf8')}access: { local: lease }\n`);
    const script = `git clone -q ${WEB} web && git -C web push -q origin HEAD:refs/heads/leased; git ls-remote --get-url ${WEB}; GIT_CONFIG_VALUE_1= git ls-remote ${WEB}; git -C web remote -v`;
    const ran = await exec(['sh', '-c', script], { own: ['--config', leased] });
    const [url, ...rest] = ran.stdout.split('\n');
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:[0-9]+\//);
    expect(rest).toEqual([`origin\t${WEB} (fetch)`, `origin\t${WEB} (push)`, ''].map((line) => line.replace(WEB, url ?? '')));
    expect(ran.stderr).toMatch(/"code":"lease-(?:required|invalid)"/);
    expect(ran.stderr).not.toContain('ptl1_');
  });

  test('keeps the pairs of git that it had', async () => {
    const ran = await exec(['git', 'config', '--get', 'user.nickname'], {
      env: { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'user.nickname', GIT_CONFIG_VALUE_0: 'Ada' },
    });
    expect(ran).toMatchObject({ code: 0, stdout: 'Ada\n' });
  });

  test('is that of someone without a home, or whose runtime directory is not there', async () => {
    for (const env of [
      { HOME: undefined },
      { HOME: '' },
      { XDG_RUNTIME_DIR: join(work, 'gone'), TMPDIR: runtime },
      { XDG_RUNTIME_DIR: undefined, TMPDIR: runtime },
    ]) {
      await rm(join(work, 'web'), { recursive: true, force: true });
      // The audit has to have a place all the same.
      const state = { POSTERN_STATE_DIRECTORY: join(work, 'state') };
      expect(await exec(['git', 'clone', '-q', WEB, 'web'], { env: { ...env, ...state } }), JSON.stringify(env)).toMatchObject({
        code: 0,
        stderr: '',
      });
    }
  });

  test('works where the directories are too deep for a socket', async () => {
    const deep = join(work, 'd'.repeat(90));
    await mkdir(deep);
    const ran = await exec(['sh', '-c', 'git ls-remote -q ' + WEB], { env: { XDG_RUNTIME_DIR: deep, TMPDIR: deep } });
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(await readdir(deep)).toEqual([]);
  });
});

describe('beside others', () => {
  test.each([
    ['without a system configuration', false],
    ['with one, which still holds', true],
  ])('a service that git was set up for is not used, %s', async (_how, hasSystem) => {
    const service = await scene.daemon();
    const home = join(work, 'home');
    await mkdir(home);
    const systemFile = join(work, 'system');
    await writeFile(systemFile, '[user]\n\tnickname = Ada\n');
    const env = { HOME: home, ...(hasSystem ? { GIT_CONFIG_NOSYSTEM: undefined, GIT_CONFIG_SYSTEM: systemFile } : {}) };
    const set = await service.postern(['setup', '--listen-http', new URL(service.base).host], { env: { HOME: home } });
    expect(set).toMatchObject({ code: 0 });
    const before = await readFile(join(home, '.gitconfig'), 'utf8');

    const ran = await exec(['sh', '-c', `git ls-remote --get-url ${WEB}; git clone -q ${WEB} web; git config user.nickname`], { env });
    expect(ran.stderr).toBe('');
    expect(ran.stdout).not.toContain(service.base);
    expect(ran.stdout).toMatch(/^http:\/\/127\.0\.0\.1:[0-9]+\/dev\.azure\.com\/contoso\/Payments\/_git\/web\n/);
    if (hasSystem) expect(ran.stdout).toMatch(/\nAda\n$/);
    expect((await service.status()).operations['passed']).toBe(0);
    expect(await readFile(join(home, '.gitconfig'), 'utf8')).toBe(before);
    // And git without us still goes where it was told to.
    const url = await scene.git(['ls-remote', '--get-url', WEB], { env: { HOME: home } });
    expect(url.stdout).toContain(service.base);
  });

  test('several run at once, each with a door of its own', async () => {
    const runs = await Promise.all(
      [1, 2, 3].map((number) => exec(['sh', '-c', `git ls-remote --get-url ${WEB} && git clone -q ${WEB} web-${number}`])),
    );
    for (const ran of runs) expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(new Set(runs.map(({ stdout }) => stdout)).size).toBe(3);
  });
});

describe('the audit', () => {
  test('is where the configuration has it, and lasts; runs at once have a chain each', async () => {
    const env = { POSTERN_STATE_DIRECTORY: join(work, 'state') };
    const script = `git ls-remote -q ${WEB} && touch "$0" && until test -e one -a -e two; do sleep 0.05; done`;
    const both = await Promise.all(['one', 'two'].map((name) => exec(['sh', '-c', script, name], { env })));
    for (const ran of both) expect(ran).toMatchObject({ code: 0, stderr: '' });
    const listed = await scene.postern(['audit', '--json'], { env: { ...environment(), ...env } });
    const records = listed.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { chain: string; repository?: string });
    expect(new Set(records.map(({ chain }) => chain))).toEqual(new Set(['exec', 'exec-2']));
    expect(records.filter(({ repository }) => repository === 'dev.azure.com/contoso/Payments/web').length).toBeGreaterThanOrEqual(4);
    expect(await scene.postern(['audit', 'verify'], { env: { ...environment(), ...env } })).toMatchObject({ code: 0 });
  });
});

describe('what is said', () => {
  test('is warnings and up, unless more is asked for', async () => {
    const quiet = await exec(['git', 'ls-remote', '-q', `${WEB}-not-there`]);
    expect(quiet.stderr).toContain('"event":"request-failed"');
    expect(quiet.stderr).not.toContain('"level":"info"');
    const told = await exec(['true'], { own: ['--log-level', 'info', '--log-format', 'human'] });
    expect(told.stderr).toMatch(/ info {2}ready pid=/);
    const asked = await exec(['true'], { env: { POSTERN_LOG_LEVEL: 'info' } });
    expect(asked.stderr).toContain('"event":"ready"');
  });

  test('comes before the command when it cannot begin, and nothing is left', async () => {
    const counted = await exec(['touch', 'ran'], { env: { GIT_CONFIG_COUNT: 'many' } });
    expect(counted).toMatchObject({ code: 1 });
    expect(counted.stderr).toContain('postern: git cannot read the configuration: error: bogus count in GIT_CONFIG_COUNT');
    const broken = await scene.writeConfiguration('routes: 1\n');
    const faulty = await scene.postern(['exec', '--config', broken, '--', 'touch', 'ran'], { cwd: work });
    expect(faulty).toMatchObject({ code: 2 });
    await expect(stat(join(work, 'ran'))).rejects.toThrow('ENOENT');
  });
});

describe('signals', () => {
  test.each(['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const)(
    '%s without a terminal is passed on, and the command decides',
    async (signal) => {
      const { child, ended } = begin(await counter());
      await until('the command runs', async () => (await report()).includes('begun'));
      child.kill(signal);
      await until('it has come', async () => (await report()).includes(signal));
      if (signal !== 'SIGTERM') child.kill('SIGTERM');
      expect(await ended).toBe(5);
      expect((await report()).filter((line) => line === signal)).toHaveLength(1);
    },
  );

  test('a command that a signal ends gives 128 and its number', async () => {
    const { child, ended } = begin(['sh', '-c', 'echo begun > report; exec sleep 60']);
    await until('the command runs', async () => (await report()).includes('begun'));
    child.kill('SIGTERM');
    expect(await ended).toBe(143);
  });

  test('Ctrl-C on a terminal reaches the command once', async () => {
    // script(1) gives it a terminal and passes what it reads on as what is typed. The shell between the two: it stops with its child.
    const words = [process.execPath, PROGRAM, 'exec', '--config', configuration, '--', ...(await counter({ ends: 2 }))];
    const terminal = spawn(
      'script',
      ['-qec', `trap : INT; ${words.map((word) => `'${word}'`).join(' ')}; code=$?; exit $code`, join(work, 'typescript')],
      {
        cwd: work,
        env: environment(),
        stdio: ['pipe', 'ignore', 'inherit'],
      },
    );
    begun.push(terminal);
    const ended = new Promise((resolve) => terminal.once('close', resolve));
    await until('the command runs', async () => (await report()).includes('begun'));
    const [parent] = await report();
    const tell = (signal: NodeJS.Signals): boolean => process.kill(Number(parent), signal);
    // Two of one kind that wait at once become one. So ours hears of it only when the command has dealt with its own.
    tell('SIGSTOP');
    terminal.stdin.write('\u0003');
    await until('it has come', async () => (await report()).includes('SIGINT'));
    tell('SIGCONT');
    tell('SIGTERM');
    await until('that has come too', async () => (await report()).includes('SIGTERM'));
    // What ours would do with the first it has done when it hears of this one.
    tell('SIGTERM');
    expect(await ended).toBe(5);
    expect((await report()).slice(2).sort()).toEqual(['SIGINT', 'SIGTERM', 'SIGTERM']);
    terminal.stdin.destroy();
  });

  test('one that comes before the command begins keeps it from beginning', async () => {
    const bin = await fakeGit('case "$*" in --version) kill -TERM $PPID;; esac');
    const ran = await exec(['touch', 'ran'], { env: { PATH: bin } });
    expect(ran).toMatchObject({ code: 143, stderr: '' });
    await expect(stat(join(work, 'ran'))).rejects.toThrow('ENOENT');
  });
});

describe('what the command leaves running', () => {
  test('has no door any more', async () => {
    const script = `(until test -e go; do sleep 0.05; done; git ls-remote ${WEB} > report 2>&1; echo "code $?" >> report) & git ls-remote -q ${WEB}`;
    const ran = await exec(['sh', '-c', script], { detached: true });
    expect(ran).toMatchObject({ code: 0 });
    await writeFile(join(work, 'go'), '');
    await until('it has tried', async () => (await report()).some((line) => line.startsWith('code')));
    expect((await report()).join('\n')).toMatch(/Failed to connect|Couldn't connect/);
    expect(await report()).toContain('code 128');
  });

  test('may finish what it has begun, and we say what we wait for', async () => {
    scene.emulator.git.faults.set('contoso/Payments/web', { kind: 'soft-throttle', step: 'exchange', skip: 1, delayMs: 2_500, times: 1 });
    const asked = scene.emulator.git.seen.length;
    const script = `(git clone -q ${WEB} web > report 2>&1; echo "code $?" >> report) & until test -e go; do sleep 0.05; done`;
    const running = exec(['sh', '-c', script], { detached: true });
    await until('the upstream is asked', () =>
      Promise.resolve(scene.emulator.git.seen.slice(asked).filter(({ method }) => method === 'POST').length === 2),
    );
    await writeFile(join(work, 'go'), '');
    const ran = await running;
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stderr).toBe('postern: waiting for 1 operation that the command left running; Ctrl-C cuts short\n');
    await until('it has ended', async () => (await report()).some((line) => line.startsWith('code')));
  });
});

interface ExecOptions extends Omit<RunOptions, 'cwd'> {
  /** Options of `exec` itself. */
  readonly own?: readonly string[];
  /** The command leaves something running that holds its output. */
  readonly detached?: boolean;
}

function environment(more: RunOptions['env'] = {}): Record<string, string | undefined> {
  return { ...scene.environment, XDG_RUNTIME_DIR: runtime, SP_SECRET: scene.emulator.sts.samples.secretClient.secret, ...more };
}

/** Runs a command by `postern exec` in this test's directory. */
async function exec(argv: readonly string[], { own = [], env, detached = false, ...options }: ExecOptions = {}): Promise<Ran> {
  const config = own.includes('--config') ? [] : ['--config', configuration];
  const args = ['exec', ...config, ...own, '--', ...argv];
  if (!detached) return scene.postern(args, { ...options, cwd: work, env: environment(env) });
  // Its end is what counts, not that of its output.
  const startedAt = performance.now();
  const child = spawn(process.execPath, [PROGRAM, ...args], { cwd: work, env: environment(env), stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  const code = await new Promise<number>((resolve) => child.once('exit', (status) => resolve(status ?? 255)));
  child.stderr.destroy();
  return { code, stdout: '', stderr, ms: performance.now() - startedAt };
}

function begin(argv: readonly string[]): { child: ChildProcess; ended: Promise<number | null> } {
  const args = [PROGRAM, 'exec', '--config', configuration, '--', ...argv];
  const child = spawn(process.execPath, args, { cwd: work, env: environment(), stdio: ['ignore', 'ignore', 'inherit'] });
  begun.push(child);
  return { child, ended: new Promise((resolve) => child.once('exit', resolve)) };
}

/** A command that writes down its parent, and each signal that it gets; that many SIGTERM end it with 5. */
async function counter({ ends = 1 } = {}): Promise<string[]> {
  const file = join(work, 'counter.cjs');
  await writeFile(
    file,
    [
      "const { appendFileSync } = require('node:fs');",
      "const say = (text) => appendFileSync('report', text + '\\n');",
      'let terms = 0;',
      "for (const signal of ['SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGTERM'])",
      `  process.on(signal, () => { say(signal); if (signal === 'SIGTERM' && ++terms >= ${ends}) setImmediate(() => process.exit(5)); });`,
      'say(process.ppid);',
      "say('begun');",
      '// One that was left behind by a test that failed ends by itself.',
      'const parent = process.ppid;',
      'setInterval(() => process.ppid === parent || process.exit(9), 1000);',
    ].join('\n'),
  );
  return [process.execPath, file];
}

/** What a command wrote into `report`, line by line. */
async function report(): Promise<string[]> {
  return (await readFile(join(work, 'report'), 'utf8').catch(() => '')).split('\n').slice(0, -1);
}

/** A PATH on which a shell script stands before git, and then hands over to it. */
async function fakeGit(script: string): Promise<string> {
  const bin = join(work, 'bin');
  await mkdir(bin);
  const path = process.env['PATH'] ?? '';
  await writeFile(join(bin, 'git'), `#!/bin/sh\n${script}\nPATH='${path}'\nexec git "$@"\n`);
  await chmod(join(bin, 'git'), 0o755);
  return `${bin}:${path}`;
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + SETTLE_MS;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error(`not within ${SETTLE_MS} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
