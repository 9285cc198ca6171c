/**
 * Runs a program that is asked for a credential: the sign-in tools and git. It has no terminal, no secret of ours in its
 * environment, and a time limit after which it is ended with everything that it started.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { delimiter, resolve as resolvePath } from 'node:path';
import { systemCodeOf } from '../model/errors.js';

/** Longest output that is read, in bytes, of each stream: tokens have some kilobytes. */
const LONGEST_OUTPUT_BYTES = 256 * 1024;
/** ms that what a program left running may hold its output open after it ended: keepers of passwords go on in the background. */
const LINGER_MS = 500;

export interface ProgramRun {
  /** Looked up on PATH of `environment`. */
  readonly program: string;
  readonly args: readonly string[];
  /** All that it gets; see `childEnvironment`. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs: number;
  /** What it reads; nothing when undefined. */
  readonly input?: string;
}

export type ProgramEnd =
  /** `code` is undefined when a signal ended it. */
  | { readonly kind: 'ended'; readonly code: number | undefined; readonly stdout: string; readonly stderr: string }
  /** It is not on the PATH, or cannot be run (`code`: ENOENT, EACCES, ...). */
  | { readonly kind: 'missing'; readonly code: string }
  | { readonly kind: 'timeout' }
  /** More output than is read. */
  | { readonly kind: 'endless' };

/** Variables of the daemon that are nobody else's business, or that make git and its helpers print what they handle. */
const WITHHELD = /^(?:POSTERN_|GIT_TRACE|GIT_CURL_VERBOSE$|GCM_TRACE|GIT_CONFIG_(?:COUNT$|KEY_|VALUE_|PARAMETERS$))/;

/** Those that run now: none may outlast the daemon. */
const running = new Set<ChildProcess>();

/** The daemon's environment for a program that it asks: without its own variables, and without configuration of git that may carry a lease. */
export function childEnvironment(environment: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !WITHHELD.test(name)));
}

/** Runs it to its end. Never rejects. */
export function runProgram({ program, args, environment, timeoutMs, input }: ProgramRun): Promise<ProgramEnd> {
  return new Promise((resolve) => {
    let child: ChildProcess;
    try {
      // A session of its own: there is no terminal that it could ask a person on, and it is ended together with its children.
      child = spawn(program, args, {
        cwd: '/',
        env: environment,
        detached: true,
        stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      });
    } catch (thrown) {
      resolve({ kind: 'missing', code: systemCodeOf(thrown) ?? 'unknown' });
      return;
    }
    const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
    let linger: NodeJS.Timeout | undefined;
    const limit = setTimeout(() => finish({ kind: 'timeout' }), timeoutMs);
    let isOver = false;
    const finish = (end: ProgramEnd): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(limit);
      clearTimeout(linger);
      running.delete(child);
      if (running.size === 0) process.off('exit', endAll);
      if (end.kind !== 'ended') endGroup(child);
      child.stdout?.destroy();
      child.stderr?.destroy();
      resolve(end);
    };
    const ended = (code: number | null): void =>
      finish({ kind: 'ended', code: code ?? undefined, stdout: textOf(chunks.stdout), stderr: textOf(chunks.stderr) });
    if (running.size === 0) process.once('exit', endAll);
    running.add(child);
    for (const name of ['stdout', 'stderr'] as const) {
      let length = 0;
      child[name]?.on('data', (chunk: Buffer) => {
        chunks[name].push(chunk);
        length += chunk.length;
        if (length > LONGEST_OUTPUT_BYTES) finish({ kind: 'endless' });
      });
    }
    child.on('error', (fault) => {
      // What never ran is said to have closed nonetheless.
      child.off('close', ended);
      void codeOf(fault, program, environment['PATH']).then((code) => finish({ kind: 'missing', code }));
    });
    child.on('exit', (code) => (linger = setTimeout(() => ended(code), LINGER_MS)));
    child.on('close', ended);
    // A program that does not want to read has its reasons, which are told by how it ends.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** Why a program cannot be run. The system says EACCES also where it is nowhere and a directory of PATH cannot be entered (execvp(3)). */
async function codeOf(fault: Error, program: string, path = ''): Promise<string> {
  const code = systemCodeOf(fault) ?? 'unknown';
  if (code !== 'EACCES' || program.includes('/')) return code;
  const places = path.split(delimiter).map((directory) => resolvePath('/', directory, program));
  const found = await Promise.all(
    places.map((place) =>
      access(place).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true) ? code : 'ENOENT';
}

function textOf(chunks: readonly Buffer[]): string {
  return Buffer.concat(chunks).toString('utf8');
}

function endAll(): void {
  for (const child of running) endGroup(child);
}

function endGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself meanwhile.
  }
}
