/**
 * The keys that seal the sign-ins of people. Three may hold one, and the first that does so seals what is written: a systemd
 * credential (which the TPM or the machine can seal in turn, systemd-creds(1)), the desktop's keyring, a file beside the sign-ins,
 * which is made when there is nothing else. Which one it is stands in each sign-in and in `postern status`.
 *
 * What they hold is not the key itself: that is derived from it (HKDF, RFC 5869), so that it may have any form and length from 32
 * bytes on.
 */
import { createSecretKey, hkdfSync, randomBytes } from 'node:crypto';
import { constants, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import { Secret } from '../model/secret.js';
import type { LoginKeeper } from '../model/sign-in.js';
import { makeDirectory, syncDirectory } from './atomic-file.js';
import type { DesktopKeyring } from './desktop-keyring.js';
import { withFileLock } from './file-lock.js';
import type { LoginKey } from './login-file.js';
import { makeNewFile } from './new-file.js';
import { isOthers } from './private-file.js';

/** The systemd credential that holds a key (LoadCredential=, LoadCredentialEncrypted=). */
export const LOGIN_KEY_CREDENTIAL = 'postern-login-key';
const KEY_BYTES = 32;
/** Below this it could be guessed. */
const SHORTEST_MATERIAL = 32;
/** Far above any key. */
const LARGEST_KEY_BYTES = 64 * 1024;
const KEY_USE = 'postern sign-in';
const ID_USE = 'postern sign-in key id';
const ID_BYTES = 8;

export class LoginKeys {
  readonly #file: string;
  readonly #credentialsDirectory: string | undefined;
  readonly #keyring: DesktopKeyring;
  /** Asked once and kept: each question is a process, and the answer does not change while somebody is logged in. */
  #fromKeyring: LoginKey | undefined;

  constructor(options: { file: string; credentialsDirectory: string | undefined; keyring: DesktopKeyring }) {
    this.#file = options.file;
    this.#credentialsDirectory = options.credentialsDirectory;
    this.#keyring = options.keyring;
  }

  /**
   * The key for what is written now; a keyring or a file that holds none gets one. `former`: who keeps the key of what is renewed. A
   * renewal goes to no keyring by itself: a daemon that starts before its user has logged in could not read it any more.
   * @throws ProxyError `login-unreadable` when the one that is to be taken cannot be
   */
  async sealing(former?: LoginKeeper['kind']): Promise<LoginKey> {
    const ring = former === 'key-file' ? undefined : () => this.#ring({ isMaking: true });
    const key = (await this.#credential()) ?? (await ring?.()) ?? (await this.#ownFile({ isMaking: true }));
    if (key === undefined) throw new ProxyError('internal', 'There is no key for sign-ins');
    return key;
  }

  /**
   * The key of that id, wherever it is; undefined when nobody holds it.
   * @throws ProxyError `login-unreadable`
   */
  async opening(id: string): Promise<LoginKey | undefined> {
    // The keyring last, because it takes time and may ask somebody.
    for (const look of [() => this.#credential(), () => this.#ownFile({ isMaking: false }), () => this.#ring({ isMaking: false })]) {
      const key = await look();
      if (key?.id === id) return key;
    }
    return undefined;
  }

  async #credential(): Promise<LoginKey | undefined> {
    if (this.#credentialsDirectory === undefined) return undefined;
    const path = join(this.#credentialsDirectory, LOGIN_KEY_CREDENTIAL);
    const material = await readKey(path, { isOpenAllowed: true }).catch((thrown: unknown) => {
      throw unusable(
        `The systemd credential ${LOGIN_KEY_CREDENTIAL}`,
        thrown,
        'put at least 32 random bytes there, such as `head -c 32 /dev/urandom | base64`',
      );
    });
    return material && keyFrom(material, { kind: 'systemd-credential', name: LOGIN_KEY_CREDENTIAL });
  }

  async #ring({ isMaking }: { isMaking: boolean }): Promise<LoginKey | undefined> {
    if (this.#fromKeyring !== undefined) return this.#fromKeyring;
    const ask = async (candidate?: Secret): Promise<LoginKey | undefined> => {
      const held = await this.#keyring.key(candidate);
      return held && keyFrom(Buffer.from(held.reveal(), 'utf8'), { kind: 'keyring' });
    };
    // Held against another process that makes one at the same time: the keyring would keep the later of the two.
    const make = async (): Promise<LoginKey | undefined> => {
      await makeDirectory(dirname(this.#file));
      return withFileLock(join(dirname(this.#file), 'keyring.lock'), () => ask(new Secret(randomBytes(KEY_BYTES).toString('base64'))));
    };
    this.#fromKeyring = (await ask()) ?? (isMaking ? await make() : undefined);
    return this.#fromKeyring;
  }

  async #ownFile({ isMaking }: { isMaking: boolean }): Promise<LoginKey | undefined> {
    try {
      const material = (await readKey(this.#file, { isOpenAllowed: false })) ?? (isMaking ? await this.#make() : undefined);
      return material && keyFrom(material, { kind: 'key-file', path: this.#file });
    } catch (thrown) {
      throw unusable(
        `The key file ${this.#file}`,
        thrown,
        `close it with \`chmod 600 ${this.#file}\` if it is open; remove it if others may have read it or it is damaged, and sign in again`,
      );
    }
  }

  /** Makes the file whole in one step: of two processes that do so at once both read the same. */
  async #make(): Promise<Buffer> {
    await makeDirectory(dirname(this.#file));
    await makeNewFile(this.#file, `${randomBytes(KEY_BYTES).toString('base64')}\n`);
    await syncDirectory(dirname(this.#file));
    const made = await readKey(this.#file, { isOpenAllowed: false });
    if (made === undefined) throw new Error('it went away while it was made');
    return made;
  }
}

/**
 * What a file holds; undefined when there is none. Rejects when it is too short, or open to others: `isOpenAllowed` for what systemd
 * manages, whose directory nobody else can enter.
 */
async function readKey(path: string, { isOpenAllowed }: { isOpenAllowed: boolean }): Promise<Buffer | undefined> {
  let handle;
  try {
    // Without NONBLOCK a pipe that somebody put there would never open.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | (isOpenAllowed ? 0 : constants.O_NOFOLLOW));
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
  try {
    const found = await handle.stat();
    if (!found.isFile()) throw new Error('it is no regular file');
    if (found.size > LARGEST_KEY_BYTES) throw new Error(`it has more than ${LARGEST_KEY_BYTES} bytes`);
    if (!isOpenAllowed && isOthers(found.uid)) throw new Error('it belongs to another user');
    if (!isOpenAllowed && (found.mode & 0o077) !== 0)
      throw new Error(`others can read or write it: its mode is ${(found.mode & 0o777).toString(8)}`);
    const material = await handle.readFile();
    if (material.length < SHORTEST_MATERIAL) throw new Error(`it has fewer than ${SHORTEST_MATERIAL} bytes`);
    return material;
  } finally {
    await handle.close();
  }
}

function keyFrom(material: Buffer, keeper: LoginKeeper): LoginKey {
  const derive = (use: string, bytes: number): Buffer => Buffer.from(hkdfSync('sha256', material, '', use, bytes));
  return { id: derive(ID_USE, ID_BYTES).toString('hex'), key: createSecretKey(derive(KEY_USE, KEY_BYTES)), keeper };
}

function unusable(what: string, thrown: unknown, todo: string): ProxyError {
  return new ProxyError('login-unreadable', `${what} for sign-ins cannot be used (${systemCodeOf(thrown) ?? messageOf(thrown)})`, {
    todo,
    cause: thrown,
  });
}
