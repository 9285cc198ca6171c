/**
 * Where a daemon of this user keeps its things.
 *
 * Source: XDG Base Directory Specification.
 */
import { join } from 'node:path';

export interface Places {
  /** Directory of the admin socket; 0700. */
  readonly runtimeDirectory: string;
  readonly adminSocket: string;
  /** Files that outlive the process; 0700. */
  readonly stateDirectory: string;
}

/** The places for an environment. `home` is used where the XDG variables are unset. */
export function placesFor(environment: Readonly<Record<string, string | undefined>>, home: string): Places {
  const own = environment['POSTERN_STATE_DIRECTORY'];
  const stateHome = absolute(environment['XDG_STATE_HOME']) ?? join(home, '.local', 'state');
  const stateDirectory = own !== undefined && own !== '' ? own : join(stateHome, 'postern');
  const runtime = absolute(environment['XDG_RUNTIME_DIR']);
  const runtimeDirectory = runtime === undefined ? stateDirectory : join(runtime, 'postern');
  return { runtimeDirectory, adminSocket: join(runtimeDirectory, 'admin.sock'), stateDirectory };
}

/** A relative path in an XDG variable is to be ignored, says its specification. */
function absolute(value: string | undefined): string | undefined {
  return value?.startsWith('/') === true ? value : undefined;
}
