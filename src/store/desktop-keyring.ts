/**
 * The desktop's keyring (Secret Service: GNOME Keyring, KWallet; the keychain on macOS), for one key. Asked through the optional package
 * `@napi-rs/keyring` in a process of its own, which is killed when it takes too long: its very constructor blocks the thread for
 * ever where D-Bus takes a connection and does not answer, and a fault of its native code is not one of ours then.
 *
 * On Linux its default would be the kernel's keyring where no other answers, which is empty after the next start of the machine:
 * hence the store that is named.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Secret } from '../model/secret.js';

const PACKAGE = '@napi-rs/keyring';
/** Names of the entry in the keyring, as its own programs show them. */
const SERVICE = 'postern';
const ACCOUNT = 'login-key';
/** More than any key of ours. */
const LONGEST_ANSWER_BYTES = 4096;
/** What a program needs to find the keyring of its user. */
const PASSED_ON = ['PATH', 'HOME', 'LANG', 'USER', 'XDG_RUNTIME_DIR', 'DBUS_SESSION_BUS_ADDRESS', 'DISPLAY', 'WAYLAND_DISPLAY'];

/** Gives what the keyring holds; when it holds nothing and stdin has something, that is put there first. */
const PROGRAM = `
let made = '';
for await (const chunk of process.stdin) made += chunk;
const library = await import(process.argv[1]);
const { Entry } = library.Entry === undefined ? library.default : library;
const entry = new Entry(process.argv[2], process.argv[3], { linux: { store: 'secret-service' } });
if (made !== '' && !entry.getPassword()) entry.setPassword(made);
process.stdout.write(entry.getPassword() ?? '');
`;

export interface DesktopKeyring {
  /**
   * The key that the keyring holds. When it holds none: `candidate`, which it holds from then on, or undefined without one.
   * Undefined also where no keyring answers in time. Never rejects.
   */
  key(candidate?: Secret): Promise<Secret | undefined>;
}

/** @param library the package, for tests; undefined when it is not installed */
export function desktopKeyring(options: {
  environment: Readonly<Record<string, string | undefined>>;
  /** ms; somebody at a desk may be asked for the password of the keyring meanwhile. */
  timeoutMs: number;
  library?: string | undefined;
}): DesktopKeyring {
  const { environment, timeoutMs, library = installed() } = options;
  return {
    key: (candidate) => {
      if (library === undefined || !hasBus(environment)) return Promise.resolve(undefined);
      return ask([pathToFileURL(library).href, SERVICE, ACCOUNT], { environment, timeoutMs, input: candidate?.reveal() ?? '' });
    },
  };
}

function ask(
  args: readonly string[],
  { environment, timeoutMs, input }: { environment: Readonly<Record<string, string | undefined>>; timeoutMs: number; input: string },
): Promise<Secret | undefined> {
  const env = Object.fromEntries(PASSED_ON.flatMap((name) => (environment[name] === undefined ? [] : [[name, environment[name]]])));
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['--input-type=module', '-e', PROGRAM, ...args],
      { env, cwd: '/', timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: LONGEST_ANSWER_BYTES, encoding: 'utf8' },
      // Why it does not answer is told nowhere: most machines have none, and the next keeper takes its place.
      (fault, stdout) => resolve(fault === null && stdout !== '' ? new Secret(stdout) : undefined),
    );
    child.stdin?.on('error', () => undefined); // it may have ended before it has read
    child.stdin?.end(input);
  });
}

function installed(): string | undefined {
  try {
    return createRequire(import.meta.url).resolve(PACKAGE);
  } catch {
    return undefined; // optional: not in the image, not for every system
  }
}

/** Whether there is a session that could have a keyring; without one no process is started for nothing. */
function hasBus(environment: Readonly<Record<string, string | undefined>>): boolean {
  if (process.platform !== 'linux') return true;
  const address = environment['DBUS_SESSION_BUS_ADDRESS'];
  const runtime = environment['XDG_RUNTIME_DIR'];
  return (address !== undefined && address !== '') || (runtime !== undefined && runtime !== '' && existsSync(join(runtime, 'bus')));
}
