/**
 * The sign-ins of people, a directory for each identity in `logins/` of the state directory. Each version of a sign-in is a file of its
 * own, named by its number, and the highest number is the one that counts; older ones are removed. So the name is the
 * comparison: of two processes that renew the same version at once, link(2) lets one have the next number, and the other drops
 * what it has. No lock is held that a killed process could leave, and whoever is killed at any point leaves the old version
 * or the new one whole. A sign-in that was taken away leaves a file without one (docs/decisions/0022-keeping-sign-ins.md).
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { link, lstat, open, readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import type { Secret } from '../model/secret.js';
import type { KeptLogin, LoginKeeper, LoginLabel, LoginStore, StoredLogin } from '../model/sign-in.js';
import { makeDirectory, syncDirectory } from './atomic-file.js';
import { desktopKeyring } from './desktop-keyring.js';
import { FORGOTTEN, type LoginHeader, openLogin, readLoginHeader, sealLogin } from './login-file.js';
import { LoginKeys } from './login-key.js';
import { makeNewFile } from './new-file.js';
import { isOthers } from './private-file.js';

/** Far above what one account takes, which is some kilobytes. */
const LARGEST_FILE_BYTES = 1024 * 1024;
/** Another process may replace a version between the look at the directory and the reading, but not that often. */
const MOST_LOOKS = 100;
/** A temporary that old is of a killed process; a living one keeps its own for milliseconds. */
const DEAD_MS = 60 * 60 * 1000;
const VERSION = /^[1-9][0-9]{0,14}$/;
/** What could not be opened when it was replaced; kept, because its key may come back. */
const ASIDE = /^[1-9][0-9]{0,14}\.unreadable$/;
const TEMPORARY = /^\..*\.postern-tmp$/;
/** Names that can be those of directories as they are. */
const PLAIN_NAME = /^[A-Za-z0-9_-]{1,64}$/;

/** One more version. */
interface Change {
  /** What it takes the place of; undefined is whatever is there. */
  readonly after: number | undefined;
  readonly contentOf: (version: number) => string;
  /** Whether a later version goes back to this one. */
  readonly isFrom: (header: LoginHeader) => boolean;
}

/** Points between two changes on disk, for tests that kill there. */
export type LoginStage = 'written' | 'linked' | 'tidied';

/** Where a user's sign-ins are, and what may hold their key. */
export interface LoginPlaces {
  /** The state directory. */
  readonly stateDirectory: string;
  /** For the credentials of systemd and the session of the desktop. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** ms for the keyring of the desktop to answer; undefined: it is not asked. */
  readonly keyringMs: number | undefined;
}

/** The store of this user's sign-ins; nothing is read or made yet. */
export function loginStore({ stateDirectory, environment, keyringMs }: LoginPlaces): LoginStore {
  const directory = join(stateDirectory, 'logins');
  const keyring =
    keyringMs === undefined ? { key: () => Promise.resolve(undefined) } : desktopKeyring({ environment, timeoutMs: keyringMs });
  const keys = new LoginKeys({ file: join(directory, 'key'), credentialsDirectory: environment['CREDENTIALS_DIRECTORY'], keyring });
  return new FileLoginStore(directory, keys);
}

export class FileLoginStore implements LoginStore {
  readonly #directory: string;
  readonly #keys: LoginKeys;
  readonly #onStage: (stage: LoginStage) => void;

  constructor(directory: string, keys: LoginKeys, options: { readonly onStage?: (stage: LoginStage) => void } = {}) {
    this.#directory = directory;
    this.#keys = keys;
    this.#onStage = options.onStage ?? (() => undefined);
  }

  async read(identity: string): Promise<StoredLogin | undefined> {
    const found = await this.#latest(identity);
    return found === undefined ? undefined : this.#open(identity, found);
  }

  async write(
    identity: string,
    login: { readonly text: Secret; readonly label: LoginLabel },
    after: number | undefined,
  ): Promise<KeptLogin | undefined> {
    return this.#changing(identity, async (directory) => {
      const key = await this.#keys.sealing(after === undefined ? undefined : this.look(identity)?.keptBy.kind);
      const isWritten = await this.#put(identity, directory, {
        after,
        contentOf: (version) => sealLogin(login, key, { identity, version }),
        isFrom: (header) => header.kind === 'login' && isSame(header.label, login.label),
      });
      return isWritten ? { label: login.label, keptBy: key.keeper } : undefined;
    });
  }

  async forget(identity: string): Promise<Partial<KeptLogin> | undefined> {
    if (!(await this.#isAnythingLeft(identity))) return undefined;
    return this.#changing(identity, async (directory) => {
      const known = this.look(identity);
      await this.#put(identity, directory, { after: undefined, contentOf: () => FORGOTTEN, isFrom: () => false });
      for (const name of await readdir(directory)) if (ASIDE.test(name)) await unlink(join(directory, name)).catch(() => undefined);
      return known ?? {};
    });
  }

  look(identity: string): KeptLogin | undefined {
    const directory = this.#directoryOf(identity);
    try {
      const newest = highest(readdirSync(directory));
      if (newest === undefined) return undefined;
      const header = readLoginHeader(readFileSync(join(directory, String(newest)), 'utf8'));
      return header.kind === 'forgotten' ? undefined : { label: header.label, keptBy: header.keptBy };
    } catch {
      return undefined; // gone meanwhile, or damaged: who reads it is told
    }
  }

  /** The latest version and its text; undefined when there is none or it was taken away. @throws ProxyError `login-unreadable` */
  async #latest(identity: string): Promise<{ version: number; text: string } | undefined> {
    const directory = this.#directoryOf(identity);
    for (let look = 0; look < MOST_LOOKS; look += 1) {
      const newest = highest(await readdir(directory).catch(absentAsNone));
      if (newest === undefined) return undefined;
      const text = await readBounded(join(directory, String(newest))).catch((thrown: unknown) => {
        if (systemCodeOf(thrown) === 'ENOENT') return undefined;
        throw this.#unreadable(identity, systemCodeOf(thrown) ?? messageOf(thrown), thrown);
      });
      if (text !== undefined) return text === FORGOTTEN ? undefined : { version: newest, text };
    }
    throw this.#unreadable(identity, 'other processes change it without end');
  }

  /** @throws ProxyError `login-unreadable` */
  async #open(identity: string, { version, text }: { version: number; text: string }): Promise<StoredLogin> {
    let header: LoginHeader;
    try {
      header = readLoginHeader(text);
    } catch (thrown) {
      throw this.#unreadable(identity, messageOf(thrown), thrown);
    }
    if (header.kind === 'forgotten') throw this.#unreadable(identity, 'its end is not that of a sign-in');
    const key = await this.#keys.opening(header.keyId);
    if (key === undefined) throw this.#unreadable(identity, missingKey(header.keptBy));
    try {
      return { label: header.label, keptBy: header.keptBy, text: openLogin(text, key.key, { identity, version }), version };
    } catch (thrown) {
      throw this.#unreadable(identity, messageOf(thrown), thrown);
    }
  }

  /** Whether something lies there besides the mark that a sign-in was taken away, such as what a killed process left. */
  async #isAnythingLeft(identity: string): Promise<boolean> {
    const directory = this.#directoryOf(identity);
    const names = (await readdir(directory).catch(absentAsNone)).filter((name) => VERSION.test(name) || ASIDE.test(name));
    const [only] = names;
    if (only === undefined || names.length > 1) return only !== undefined;
    return (await readBounded(join(directory, only)).catch(() => '')) !== FORGOTTEN;
  }

  /** Writes the version after the latest one; false when `after` is not the latest. Rejects with the system's error. */
  async #put(identity: string, directory: string, { after, contentOf, isFrom }: Change): Promise<boolean> {
    for (let look = 0; look < MOST_LOOKS; look += 1) {
      const newest = highest(await readdir(directory));
      if (after !== undefined && newest !== after) return false;
      const version = (newest ?? 0) + 1;
      if (after === undefined && newest !== undefined) await this.#keepAside(identity, directory, newest);
      const onWritten = (): void => this.#onStage('written');
      if (await makeNewFile(join(directory, String(version)), contentOf(version), { onWritten })) {
        this.#onStage('linked');
        await syncDirectory(directory);
        const last = highest(await readdir(directory)) ?? version;
        if (last === version) {
          await tidy(directory, version);
          this.#onStage('tidied');
          return true;
        }
        // Either another process has already gone on from this version, or its number was free only because later ones had come
        // and the versions before them were gone.
        await unlink(join(directory, String(version))).catch(() => undefined);
        const header = await readBounded(join(directory, String(last))).then(readLoginHeader, () => undefined);
        if (after === undefined && header !== undefined && isFrom(header)) return true;
      }
      if (after !== undefined) return false;
    }
    throw Object.assign(new Error('other processes change it without end'), { code: 'EBUSY' });
  }

  /** What cannot be opened is not thrown away with what takes its place: its key may come back. */
  async #keepAside(identity: string, directory: string, version: number): Promise<void> {
    try {
      await this.read(identity);
    } catch {
      const path = join(directory, String(version));
      // A copy under another name: the version itself has to stay until the next one is there.
      await link(path, `${path}.unreadable`).catch(() => undefined);
    }
  }

  async #changing<T>(identity: string, work: (directory: string) => Promise<T>): Promise<T> {
    const directory = this.#directoryOf(identity);
    try {
      for (const each of [this.#directory, directory]) {
        await makeDirectory(each);
        const found = await lstat(each);
        if (!found.isDirectory() || isOthers(found.uid)) throw new Error(`${each} is not a directory of this user`);
        if ((found.mode & 0o077) !== 0)
          throw new Error(`others can enter ${each}: its mode is ${(found.mode & 0o777).toString(8)}, not 700`);
      }
      return await work(directory);
    } catch (thrown) {
      if (thrown instanceof ProxyError) throw thrown;
      throw new ProxyError(
        'state-unusable',
        `The sign-in for identity ${identity} cannot be kept in ${directory} (${systemCodeOf(thrown) ?? messageOf(thrown)})`,
        {
          todo: `make room, or mend the rights of ${this.#directory} (it is for its owner alone: \`chmod -R go= ${this.#directory}\`)`,
          cause: thrown,
        },
      );
    }
  }

  #directoryOf(identity: string): string {
    // The equals sign keeps names that are written otherwise apart from all that are written as they are.
    const name = PLAIN_NAME.test(identity) ? identity : `=${createHash('sha256').update(identity).digest('hex').slice(0, 32)}`;
    return join(this.#directory, `${name}.login`);
  }

  #unreadable(identity: string, why: string, cause?: unknown): ProxyError {
    return new ProxyError('login-unreadable', `The sign-in that is kept for identity ${identity} cannot be read: ${why}`, {
      todo: `sign in again with \`postern login ${identity}\`; the file stays in ${this.#directoryOf(identity)}`,
      cause,
    });
  }
}

/** Whether two labels are of one sign-in: renewals keep its time. */
function isSame(a: LoginLabel, b: LoginLabel): boolean {
  return a.account === b.account && a.signedInAt.getTime() === b.signedInAt.getTime();
}

/** What an administrator calls the keeper of a key. */
function missingKey(keeper: LoginKeeper): string {
  switch (keeper.kind) {
    case 'systemd-credential':
      return `it is sealed with the systemd credential ${keeper.name}, which this process was not given, or which holds another key now`;
    case 'keyring':
      return "it is sealed with a key of the desktop's keyring, which does not answer here, is locked, or holds another key now";
    case 'key-file':
      return `it is sealed with another key than that of the key file ${keeper.path}`;
  }
}

/** Removes what came before a version, and what killed writers left. A copy that could not be opened stays, the latest one. */
async function tidy(directory: string, version: number): Promise<void> {
  const names = await readdir(directory);
  const aside = names.filter((name) => ASIDE.test(name)).sort((a, b) => parseInt(a, 10) - parseInt(b, 10));
  for (const name of names) {
    const path = join(directory, name);
    const isOld = VERSION.test(name) && Number(name) < version;
    const isDead = TEMPORARY.test(name) && Date.now() - (await stat(path).catch(() => ({ mtimeMs: Infinity }))).mtimeMs > DEAD_MS;
    if (isOld || isDead || aside.slice(0, -1).includes(name)) await unlink(path).catch(() => undefined); // another process tidies too
  }
}

async function readBounded(path: string): Promise<string> {
  const handle = await open(path, 'r');
  try {
    if ((await handle.stat()).size > LARGEST_FILE_BYTES) throw new Error(`it has more than ${LARGEST_FILE_BYTES} bytes`);
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

function highest(names: readonly string[]): number | undefined {
  const versions = names.filter((name) => VERSION.test(name)).map(Number);
  return versions.length === 0 ? undefined : Math.max(...versions);
}

function absentAsNone(thrown: unknown): string[] {
  if (systemCodeOf(thrown) === 'ENOENT') return [];
  throw thrown;
}
