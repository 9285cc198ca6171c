/** Who else can log in on this machine, as far as its list of users tells: people whom loopback does not keep out. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';

/** Ids below are the system's own (login.defs(5), UID_MIN). */
const FIRST_LOGIN_UID = 1000;
/** nobody: no one logs in as it, whatever its shell. */
const OVERFLOW_UID = 65_534;
/** Shells that end at once (passwd(5)). */
const NO_SHELLS: ReadonlySet<string> = new Set(['nologin', 'false', 'true', 'sync', 'halt', 'shutdown']);
/** A directory of thousands is not waited for: those it has told by then will do. */
const LOOK_UP_MS = 3_000;

/** Names of the login users besides this one, in the order of the list. `uid`: one's own, undefined where there are none. */
export function loginUsersIn(passwd: string, uid: number | undefined): string[] {
  const found = passwd.split('\n').flatMap((line) => {
    const [name = '', , id = '', , , , shell = ''] = line.trimEnd().split(':');
    const number = /^[0-9]+$/.test(id) ? Number(id) : -1;
    const program = shell.slice(shell.lastIndexOf('/') + 1);
    return number >= FIRST_LOGIN_UID && number !== OVERFLOW_UID && number !== uid && !NO_SHELLS.has(program) ? [name] : [];
  });
  return [...new Set(found)];
}

/** The same for this machine: directories that `getent` knows too, or /etc/passwd. Empty where there is neither. */
export async function otherLoginUsers(path: string | undefined): Promise<string[]> {
  const listed = await new Promise<string>((resolve) => {
    execFile('getent', ['passwd'], { env: { PATH: path }, timeout: LOOK_UP_MS, maxBuffer: 16 * 1024 * 1024 }, (_fault, stdout) =>
      resolve(stdout),
    );
  });
  const local = await readFile('/etc/passwd', 'utf8').catch(() => '');
  return loginUsersIn(`${listed}\n${local}`, process.getuid?.());
}
