/** Programs that are asked for credentials, as processes: what they get, how they end, and that none of them stays. */
import { execFile, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { childEnvironment, runProgram } from '../../src/identity/run-program.js';
import { readSecret } from '../../src/identity/secret-reader.js';

const environment = { PATH: process.env['PATH'] };
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-run-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const sh = (script: string, options: { timeoutMs?: number; input?: string } = {}) =>
  runProgram({ program: 'sh', args: ['-c', script], environment, timeoutMs: 20_000, ...options });

/** Whether a process runs; one that has ended and that nobody has asked about since does not. */
async function isRunning(file: string): Promise<boolean> {
  const pid = (await readFile(join(directory, file), 'utf8')).trim();
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat !== undefined && !/^[0-9]+ \(.*\) Z/.test(stat);
}

describe('runProgram()', () => {
  test('gives both outputs and the code, hands in the input, and runs it at the root', async () => {
    expect(await sh('cat; echo no >&2; pwd; exit 7', { input: 'a=b\n' })).toEqual({
      kind: 'ended',
      code: 7,
      stdout: 'a=b\n/\n',
      stderr: 'no\n',
    });
    expect(await sh('exit 0', { input: 'x'.repeat(1024 * 1024) })).toMatchObject({ kind: 'ended', code: 0 });
    expect(await sh('kill -9 $$')).toMatchObject({ kind: 'ended', code: undefined });
  });

  test('says that a program is not there also where a directory of PATH cannot be entered', async () => {
    // Root can enter every directory: there it is somebody else who tries.
    const built = join(directory, 'run.mjs');
    const closed = join(directory, 'closed');
    await mkdir(closed);
    await chmod(closed, 0o000);
    await chmod(directory, 0o755);
    await build({
      stdin: {
        resolveDir: join(import.meta.dirname, '../../src/identity'),
        contents: `import { runProgram } from './run-program.js';
          const run = (program) => runProgram({ program, args: [], environment: { PATH: process.argv[2] }, timeoutMs: 20000 });
          process.stdout.write(JSON.stringify([await run('no-such-tool'), await run('is-no-program')]));`,
      },
      outfile: built,
      bundle: true,
      platform: 'node',
      format: 'esm',
      logLevel: 'error',
    });
    await writeFile(join(directory, 'is-no-program'), '', { mode: 0o644 });
    const who = process.getuid?.() === 0 ? { uid: 1, gid: 1 } : {};
    const { stdout } = await promisify(execFile)(process.execPath, [built, `${closed}:${directory}`], { ...who, cwd: '/' });
    expect(JSON.parse(stdout)).toEqual([
      { kind: 'missing', code: 'ENOENT' },
      { kind: 'missing', code: 'EACCES' },
    ]);
  });

  test('says that a program is not there, or cannot be run', async () => {
    const run = (program: string) => runProgram({ program, args: [], environment: { PATH: directory }, timeoutMs: 20_000 });
    expect(await run('not-there')).toEqual({ kind: 'missing', code: 'ENOENT' });
    await writeFile(join(directory, 'a-text'), 'x', { mode: 0o644 });
    expect(await run('a-text')).toEqual({ kind: 'missing', code: 'EACCES' });
    expect(await runProgram({ program: 'sh', args: ['a\0b'], environment, timeoutMs: 20_000 })).toMatchObject({ kind: 'missing' });
  });

  test('ends at the limit what has not ended, and everything that it has started', async () => {
    const script = `sleep 60 & echo $! > ${directory}/child; echo $$ > ${directory}/parent; trap '' TERM; wait; sleep 60`;
    expect(await sh(script, { timeoutMs: 1000 })).toEqual({ kind: 'timeout' });
    await expect.poll(() => isRunning('parent')).toBe(false);
    await expect.poll(() => isRunning('child')).toBe(false);
  });

  test('ends what prints without an end', async () => {
    expect(await sh(`echo $$ > ${directory}/loud; yes`)).toEqual({ kind: 'endless' });
    await expect.poll(() => isRunning('loud')).toBe(false);
  });

  test('does not wait for what a program leaves running, and lets it live', async () => {
    const before = performance.now();
    expect(await sh(`sleep 60 & echo $! > ${directory}/left; echo done`)).toEqual({ kind: 'ended', code: 0, stdout: 'done\n', stderr: '' });
    expect(performance.now() - before).toBeLessThan(10_000);
    expect(await isRunning('left')).toBe(true);
    process.kill(Number(await readFile(join(directory, 'left'), 'utf8')), 'SIGKILL');
  });

  test('has them end with the daemon', async () => {
    const program = `
      import { runProgram } from ${JSON.stringify(join(process.cwd(), 'src/identity/run-program.ts'))};
      void runProgram({ program: 'sh', args: ['-c', 'echo $$ > ${directory}/held; sleep 60'], environment: process.env, timeoutMs: 60000 });
      setInterval(() => undefined, 1000);
      process.on('SIGTERM', () => process.exit(0));
    `;
    const { build } = await import('esbuild');
    const file = join(directory, 'program.mjs');
    await build({
      stdin: { contents: program, resolveDir: process.cwd(), loader: 'ts' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      outfile: file,
    });
    const child = spawn(process.execPath, [file], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('close', resolve));
    await expect.poll(() => readFile(join(directory, 'held'), 'utf8').catch(() => ''), { timeout: 10_000 }).not.toBe('');
    expect(await isRunning('held')).toBe(true);
    child.kill('SIGTERM');
    await ended;
    await expect.poll(() => isRunning('held')).toBe(false);
  });
});

describe('childEnvironment()', () => {
  test('leaves out our own variables, leases that git is configured with, and what makes git print', () => {
    const given = {
      PATH: '/bin',
      HOME: '/home/dana',
      GIT_CONFIG_GLOBAL: '/etc/gitconfig',
      GIT_CONFIG_NOSYSTEM: '1',
      AZURE_CONFIG_DIR: '/home/dana/.azure',
      DBUS_SESSION_BUS_ADDRESS: 'unix:path=/run/bus',
    };
    const withheld = {
      POSTERN_LEASE: 'x',
      POSTERN_CONFIG: 'x',
      GIT_CONFIG_COUNT: '1',
      GIT_CONFIG_KEY_0: 'x',
      GIT_CONFIG_VALUE_0: 'x',
      GIT_CONFIG_PARAMETERS: 'x',
      GIT_TRACE: '1',
      GIT_TRACE_CURL: '1',
      GIT_CURL_VERBOSE: '1',
      GCM_TRACE_SECRETS: '1',
    };
    expect(childEnvironment({ ...given, ...withheld })).toEqual(given);
  });

  test('is what the program of a secret gets', async () => {
    process.env['POSTERN_LEASE'] = 'a-lease';
    try {
      const secret = await readSecret(
        { kind: 'command', argv: ['sh', '-c', 'echo "lease:$POSTERN_LEASE"'] },
        { environment: new Map(), credentialsDirectory: undefined },
      );
      expect(secret.reveal()).toBe('lease:');
    } finally {
      delete process.env['POSTERN_LEASE'];
    }
  });
});
