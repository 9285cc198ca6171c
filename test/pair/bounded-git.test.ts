/** Git within limits: it is asked nothing, it ends, and so does what it started. */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type GitLimits, runGit } from '../../src/cli/doctor/bounded-git.js';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-'));
  await mkdir(join(directory, 'bin'));
});
afterAll(() => rm(directory, { recursive: true }));

/** Runs a script as git's own subcommand `play`, with the real git in front of it. */
async function play(script: string, limits: GitLimits, environment: Readonly<Record<string, string>> = {}): ReturnType<typeof runGit> {
  const file = join(directory, 'bin', 'git-play');
  await writeFile(file, `#!/bin/sh\n${script}\n`);
  await chmod(file, 0o755);
  const path = `${join(directory, 'bin')}:${process.env['PATH'] ?? ''}`;
  return runGit({ environment: { ...environment, PATH: path }, home: directory, workingDirectory: directory }, ['play'], limits);
}

const isRunning = (pid: string): boolean => {
  try {
    process.kill(Number(pid), 0);
    return true;
  } catch {
    return false;
  }
};

test('gives what it printed, and how it ended', async () => {
  const end = await play('echo one; echo two; echo why >&2; exit 3', { timeMs: 20_000 });
  expect(end).toEqual({ by: 'itself', status: 3, stdout: 'one\ntwo\n', lines: 2, stderr: 'why\n', bytes: 0 });
});

test('ends it after its time, with what it started', async () => {
  const end = await play('sleep 600 & echo $!; wait', { timeMs: 500 });
  const pid = end.stdout.trim();
  try {
    expect(end.by).toBe('time');
    await expect.poll(() => isRunning(pid), { timeout: 10_000 }).toBe(false);
  } finally {
    if (isRunning(pid)) process.kill(Number(pid), 'SIGKILL');
  }
});

test('does not wait for what left its session and holds its output', async () => {
  const file = join(directory, 'away');
  try {
    const end = await Promise.race([
      play(`setsid sleep 600 & echo $! > '${file}'; exit 0`, { timeMs: 500 }),
      new Promise<void>((resolve) => setTimeout(resolve, 30_000)),
    ]);
    expect(end).toMatchObject({ by: 'time', status: 0 });
  } finally {
    process.kill(Number(await readFile(file, 'utf8')), 'SIGKILL');
  }
});

test('ends one that does not hear', async () => {
  expect((await play("trap '' TERM; while :; do sleep 1; done", { timeMs: 500 })).by).toBe('time');
});

test('ends it when nothing comes, and not while something does', async () => {
  expect((await play('echo begun; sleep 600', { timeMs: 60_000, quietMs: 800 })).by).toBe('quiet');
  const alive = await play('for i in 1 2 3 4 5 6 7 8; do echo $i >&2; sleep 0.25; done', { timeMs: 60_000, quietMs: 1_500 });
  expect(alive.by).toBe('itself');
});

test('ends it when enough was written', async () => {
  const writes = { directory: join(directory, 'written'), mostBytes: 100_000 };
  await mkdir(writes.directory);
  const end = await play('head -c 200000 /dev/zero > written/file; sleep 600', { timeMs: 60_000, writes });
  expect(end.by).toBe('enough');
  expect(end.bytes).toBe(200_000);
});

test('tells what came by the time it was ended, though git takes that away, and nothing that lay there before', async () => {
  const writes = { directory: join(directory, 'half'), mostBytes: 1_000_000 };
  await mkdir(writes.directory);
  await writeFile(join(writes.directory, 'before'), 'x'.repeat(5_000));
  const script = 'trap "rm half/pack; exit 1" TERM; head -c 3000 /dev/zero > half/pack; while :; do sleep 0.1; done';
  expect(await play(script, { timeMs: 3_000, writes })).toMatchObject({ by: 'time', bytes: 3_000 });
  expect(await play('sleep 600', { timeMs: 500, writes })).toMatchObject({ by: 'time', bytes: 0 });
});

test('lets nobody be asked, and no trace be written', async () => {
  const end = await play(
    'echo "$GIT_TERMINAL_PROMPT,$GIT_ASKPASS,$GIT_TRACE_CURL,$GIT_CURL_VERBOSE"; (: < /dev/tty) 2>/dev/null && echo terminal',
    {
      timeMs: 20_000,
    },
    { GIT_TRACE_CURL: '1', GIT_CURL_VERBOSE: '1', GIT_ASKPASS: '/bin/echo' },
  );
  expect(end.stdout).toBe('0,,,\n');
});
