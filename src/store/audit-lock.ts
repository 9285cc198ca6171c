/**
 * Who writes a chain: a unix socket beside its files on which that process listens. The kernel closes it with the process,
 * however that ends, so a lock that nobody holds any more is told from one that is held, also between containers.
 *
 * Two processes that find the same abandoned lock in the same moment may both take it over; the writer notices that its file
 * has grown without it. On a file system that has no sockets there is no lock.
 */
import { constants, lstat, open, unlink, type FileHandle } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { systemCodeOf } from '../model/errors.js';

/** sun_path of a unix socket holds 108 bytes with its final NUL (unix(7)). */
const LONGEST_SOCKET_PATH = 107;
/** Chains of one name: daemons of one user at once. */
const MOST_CHAINS = 100;
const NO_SOCKETS: readonly (string | undefined)[] = ['ENOTSUP', 'EOPNOTSUPP'];

export interface ChainLock {
  /** The chain that it is for. */
  readonly name: string;
  /** Whether it is still where others look for it. */
  isThere(): Promise<boolean>;
  release(): Promise<void>;
}

/**
 * Takes the lock of a chain; undefined when a living process holds it. Rejects with the system's error.
 * @param word what is told to whoever connects to the lock
 */
export async function lockChain(directory: string, chain: string, word = ''): Promise<ChainLock | undefined> {
  const name = `${chain}.lock`;
  const real = join(directory, name);
  const short = Buffer.byteLength(real) > LONGEST_SOCKET_PATH ? await shortWay(directory) : undefined;
  const path = short === undefined ? real : `${short.way}/${name}`;
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end(word);
  });
  // It must not keep a process alive that has nothing else to do.
  server.unref();
  try {
    await listenOn(server, path).catch(async (thrown: unknown) => {
      if (systemCodeOf(thrown) !== 'EADDRINUSE') throw thrown;
      if (await isHeld(path)) throw new Held();
      await unlink(real).catch(() => undefined); // another may have been quicker
      await listenOn(server, path);
    });
  } catch (thrown) {
    await short?.handle.close();
    if (thrown instanceof Held || systemCodeOf(thrown) === 'EADDRINUSE') return undefined;
    if (!NO_SOCKETS.includes(systemCodeOf(thrown))) throw thrown;
    return { name: chain, isThere: () => Promise.resolve(true), release: () => Promise.resolve() };
  }
  return {
    name: chain,
    isThere: () =>
      lstat(real).then(
        (found) => found.isSocket(),
        () => false,
      ),
    release: async () => {
      await new Promise<void>((resolve) => server.close(() => resolve()));
      await short?.handle.close();
    },
  };
}

/** Takes the lock of the first chain of a name that nobody writes: `daemon`, `daemon-2` and so on. Rejects with the system's error. */
export async function lockFreeChain(directory: string, base: string): Promise<ChainLock> {
  for (let number = 1; number < MOST_CHAINS; number++) {
    const lock = await lockChain(directory, number === 1 ? base : `${base}-${number}`);
    if (lock !== undefined) return lock;
  }
  throw new Error(`${MOST_CHAINS} processes write chains named ${base}`);
}

/** Whether a living process writes a chain. */
export async function isChainHeld(directory: string, chain: string): Promise<boolean> {
  const lock = await lockChain(directory, chain);
  await lock?.release();
  return lock === undefined;
}

class Held extends Error {}

/** A way to a directory by a descriptor of this process, for paths that are too long for a socket. */
async function shortWay(directory: string): Promise<{ readonly way: string; readonly handle: FileHandle }> {
  const handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  return { way: `/proc/self/fd/${handle.fd}`, handle };
}

function listenOn(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function isHeld(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (thrown) => resolve(systemCodeOf(thrown) === 'EACCES' || systemCodeOf(thrown) === 'EAGAIN'));
  });
}
