/**
 * A directory for one run, that nobody else can enter: what a daemon keeps while it lives as long as a command does.
 */
import { rmSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fitsSocket } from '../../daemon/admin.js';
import type { Places } from '../../daemon/places.js';
import { messageOf, ProxyError, systemCodeOf } from '../../model/errors.js';

const PREFIX = 'postern-exec-';
/** What mkdtemp(3) puts behind it. */
const RANDOM = 'XXXXXX';
const SOCKET = 'admin.sock';

export interface PrivateDirectory {
  readonly path: string;
  readonly places: Places;
  /** Removes it and all that is in it; again does nothing. */
  remove(): Promise<void>;
}

/**
 * Makes the directory under XDG_RUNTIME_DIR, or under the temp directory where that is unset or cannot be used: a job often has the
 * variable of a user whose directory is not there. It is gone when the process ends in any way but SIGKILL.
 * @throws ProxyError `listen-failed` when it cannot be made anywhere
 */
export async function makePrivateDirectory(environment: Readonly<Record<string, string | undefined>>): Promise<PrivateDirectory> {
  const runtime = environment['XDG_RUNTIME_DIR'];
  const bases = [...(runtime?.startsWith('/') === true ? [runtime] : []), resolve(tmpdir()), '/tmp'];
  // A socket's path has a limit that the deep directories of some build hosts exceed.
  const fitting = bases.filter((base) => fitsSocket(join(base, PREFIX + RANDOM, SOCKET)));
  const failures: string[] = [];
  for (const base of new Set(fitting)) {
    try {
      const path = await mkdtemp(join(base, PREFIX));
      const removeAtExit = (): void => rmSync(path, { recursive: true, force: true });
      process.once('exit', removeAtExit);
      return {
        path,
        places: { runtimeDirectory: path, adminSocket: join(path, SOCKET), stateDirectory: path },
        async remove() {
          await rm(path, { recursive: true, force: true });
          process.off('exit', removeAtExit);
        },
      };
    } catch (thrown) {
      failures.push(`${base}: ${systemCodeOf(thrown) ?? messageOf(thrown)}`);
    }
  }
  throw new ProxyError('listen-failed', 'There is no place for the private directory of this run', {
    details: failures,
    todo: 'set XDG_RUNTIME_DIR or TMPDIR to a directory in which files can be made',
  });
}
