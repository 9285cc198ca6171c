/**
 * One daemon for each state directory: a unix socket in it on which the daemon listens, as for the chains of the audit. The kernel
 * closes it with the process, so whatever a killed one leaves is told from what lives, and a process that has got its pid since is
 * not taken for it. Why a socket: docs/decisions/0017-load-and-life.md.
 *
 * Limits: containers that share the directory find each other as long as they run under one kernel; hosts that share it over a
 * network do not. On a file system without sockets, or one that cannot be written, there is no lock.
 */
import { connect } from 'node:net';
import { join } from 'node:path';
import { systemCodeOf } from '../model/errors.js';
import { makeDirectory } from './atomic-file.js';
import { type ChainLock, lockChain } from './audit-lock.js';
import { withFileLock } from './file-lock.js';

const NAME = 'running';
/** A daemon that lives and does not answer by then is stuck. */
const ANSWER_MS = 2_000;
/** A directory that cannot be written, or is not there, has no daemon that writes in it. */
const NOT_WRITABLE: readonly (string | undefined)[] = ['EROFS', 'EACCES', 'EPERM', 'ENOENT', 'ENOTDIR'];

export type StateLock =
  | { readonly kind: 'ours'; readonly release: () => Promise<void> }
  /** Another has it; `pid` where it says so. */
  | { readonly kind: 'held'; readonly pid: number | undefined };

/** Takes the state directory for this process. Rejects with the system's error when that cannot be told. */
export async function lockState(directory: string): Promise<StateLock> {
  let lock: ChainLock | undefined;
  try {
    await makeDirectory(directory);
    // Of two that find a dead one's socket at once, the second must not take away what the first has made of it.
    lock = await withFileLock(join(directory, `${NAME}.taking`), () => lockChain(directory, NAME, `${process.pid}\n`));
  } catch (thrown) {
    if (NOT_WRITABLE.includes(systemCodeOf(thrown))) return { kind: 'ours', release: () => Promise.resolve() };
    throw thrown;
  }
  return lock === undefined
    ? { kind: 'held', pid: await pidOf(join(directory, `${NAME}.lock`)) }
    : { kind: 'ours', release: () => lock.release() };
}

/** What the holder says, which is its pid as it sees itself. */
function pidOf(path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    let said = '';
    const socket = connect(path);
    const done = (): void => {
      socket.destroy();
      resolve(/^[0-9]+$/m.exec(said) === null ? undefined : Number(said));
    };
    socket.setTimeout(ANSWER_MS, done);
    socket.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')));
    socket.once('end', done).once('error', done);
  });
}
