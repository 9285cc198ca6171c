/**
 * Runs the user's git within limits: nobody can answer a question of it, it ends after a time, and what it writes is watched. Everything else
 * is as the user has it, so that what it meets the user's own command would meet.
 */
import { spawn } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ProxyError } from '../../model/errors.js';
import type { Environment } from '../gitconfig/environment.js';

/** What is kept of either output: the beginning of lists, the end of complaints. */
const KEPT_BYTES = 64 * 1024;
/** How often a directory is looked at. */
const LOOK_MS = 200;
/** A git that was asked to end and does not is ended. */
const GRACE_MS = 2_000;

/** Would write to the output that is read here, some of them what must not be shown. */
const LOUD = /^(?:GIT_TRACE|GIT_TRACE[0-9_].*|GIT_CURL_VERBOSE)$/;
/** Tie git to one repository; see git(1). */
const TIES: readonly string[] = [
  'GIT_DIR',
  'GIT_WORK_TREE',
  'GIT_COMMON_DIR',
  'GIT_INDEX_FILE',
  'GIT_PREFIX',
  'GIT_NAMESPACE',
  'GIT_CONFIG',
];
/** There is nobody to ask: not by git, not by ssh, not by a credential helper with windows. */
const UNASKED = { GIT_TERMINAL_PROMPT: '0', GIT_ASKPASS: '', SSH_ASKPASS: '', SSH_ASKPASS_REQUIRE: 'never', GCM_INTERACTIVE: 'never' };

export interface GitPlace {
  readonly environment: Environment;
  readonly home: string;
  readonly workingDirectory: string;
}

export interface GitLimits {
  readonly timeMs: number;
  /** ms without a byte of output or in the directory. */
  readonly quietMs?: number;
  /** What git writes to, and how much is enough. */
  readonly writes?: { readonly directory: string; readonly mostBytes: number };
  /** Called when this process is ended meanwhile. */
  readonly cleanUp?: () => void;
}

export interface GitEnd {
  /** Why it ended: by itself, or because one of the limits was reached. */
  readonly by: 'itself' | 'time' | 'quiet' | 'enough';
  /** Exit code; -1 when a signal ended it. */
  readonly status: number;
  /** The first of what it printed, and how many lines it was in all. */
  readonly stdout: string;
  readonly lines: number;
  /** The last of its complaints. */
  readonly stderr: string;
  /** The most that had come into the directory: git takes away what is unfinished when it is ended. */
  readonly bytes: number;
}

/** `untied`: not in the repository that the working directory or a variable names. `more`: variables. @throws ProxyError `git-config` */
export function runGit(
  { environment, home, workingDirectory }: GitPlace,
  args: readonly string[],
  limits: GitLimits,
  { untied = false, more = {}, input = '' }: { untied?: boolean; more?: Readonly<Record<string, string>>; input?: string } = {},
): Promise<GitEnd> {
  const kept = Object.entries(environment).filter(([name]) => !LOUD.test(name) && !(untied && TIES.includes(name)));
  return new Promise((resolve, reject) => {
    const child = spawn('git', [...args], {
      cwd: workingDirectory,
      env: { ...Object.fromEntries(kept), HOME: home, LC_ALL: 'C', ...UNASKED, ...more },
      // A session of its own has no terminal to ask at, and is ended with all that git started.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const { writes, quietMs } = limits;
    let [stdout, stderr, lines, bytes] = ['', '', 0, 0];
    const before = writes === undefined ? 0 : bytesBelow(writes.directory);
    let seen = 0;
    let lastSign = performance.now();
    let by: GitEnd['by'] = 'itself';
    const kill = (signal: NodeJS.Signals): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal);
      } catch {
        child.kill(signal);
      }
    };
    let insist: NodeJS.Timeout | undefined;
    const end = (why: Exclude<GitEnd['by'], 'itself'>): void => {
      if (by !== 'itself') return;
      by = why;
      kill('SIGTERM');
      insist = setTimeout(() => {
        kill('SIGKILL');
        // What git started may have left its session, and holds the other ends: it is not waited for.
        child.stdout.destroy();
        child.stderr.destroy();
      }, GRACE_MS);
    };
    const look = (): void => {
      const now = writes === undefined ? 0 : bytesBelow(writes.directory) - before;
      if (now !== seen) lastSign = performance.now();
      seen = now;
      bytes = Math.max(bytes, now);
      if (writes !== undefined && bytes >= writes.mostBytes) end('enough');
      else if (quietMs !== undefined && performance.now() - lastSign > quietMs) end('quiet');
    };
    const limit = setTimeout(() => end('time'), limits.timeMs);
    const looking = setInterval(look, LOOK_MS);
    // A child in a session of its own does not hear what ends this process.
    const interrupted = (signal: NodeJS.Signals): void => {
      settle();
      kill('SIGKILL');
      limits.cleanUp?.();
      process.kill(process.pid, signal);
    };
    process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
    const settle = (): void => {
      clearTimeout(limit);
      clearTimeout(insist);
      clearInterval(looking);
      process.off('SIGINT', interrupted).off('SIGTERM', interrupted);
    };
    child.stdout.on('data', (chunk: Buffer) => {
      lastSign = performance.now();
      for (const byte of chunk) if (byte === 10) lines += 1;
      if (stdout.length < KEPT_BYTES) stdout += chunk.toString('latin1');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      lastSign = performance.now();
      stderr = (stderr + chunk.toString('utf8')).slice(-KEPT_BYTES);
    });
    child.on('error', (fault) => {
      settle();
      reject(
        new ProxyError('git-config', `git cannot be run: ${fault.message}`, {
          todo: 'install git and see that it is on the PATH',
          cause: fault,
        }),
      );
    });
    child.on('close', (code) => {
      settle();
      if (writes !== undefined) bytes = Math.max(bytes, bytesBelow(writes.directory) - before);
      resolve({ by, status: code ?? -1, stdout: stdout.slice(0, KEPT_BYTES), lines, stderr, bytes });
    });
    // Git may not read its input to its end.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
  });
}

/** Sizes of all files below a directory. */
function bytesBelow(directory: string): number {
  let sum = 0;
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true, recursive: true })) {
      if (entry.isFile()) sum += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
    }
  } catch {
    // Git renames and removes as it goes; the next look counts again.
  }
  return sum;
}
