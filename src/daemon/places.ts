/**
 * Where a daemon keeps its things: of this user, or of the system.
 *
 * Source: XDG Base Directory Specification; systemd.exec(5) for STATE_DIRECTORY; Filesystem Hierarchy Standard 3.0.
 */
import { join } from 'node:path';

export interface Places {
  /** Directory of the admin socket; 0700 for a user's daemon, 0755 for the system's. */
  readonly runtimeDirectory: string;
  readonly adminSocket: string;
  /** The group that may use the admin socket beside its owner; undefined for a user's daemon. */
  readonly adminGroup?: string | undefined;
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

/** Who may use the admin socket of the system's daemon. */
export const ADMIN_GROUP = 'postern-admin';

/** Where its admin socket is. */
export const SYSTEM_DIRECTORY = '/run/postern';

/** The places of the system service. Its state is where systemd says, which is the default too. */
export function systemPlaces(environment: Readonly<Record<string, string | undefined>>): Places {
  const runtimeDirectory = SYSTEM_DIRECTORY;
  return {
    runtimeDirectory,
    adminSocket: join(runtimeDirectory, 'admin.sock'),
    adminGroup: ADMIN_GROUP,
    // Of several, with colons between, the first is the one of the unit.
    stateDirectory: absolute(environment['STATE_DIRECTORY']?.split(':')[0]) ?? '/var/lib/postern',
  };
}

/** A relative path in an XDG variable is to be ignored, says its specification. */
function absolute(value: string | undefined): string | undefined {
  return value?.startsWith('/') === true ? value : undefined;
}
