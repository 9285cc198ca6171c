/**
 * The root keys that seal leases, as lines `KEYID BASE64KEY`: a hex id of 16 digits and 32 bytes in base64. The first one seals
 * new leases, all of them verify. A file of keys is looked at again whenever it has changed, so a key that was added or taken
 * out counts from the next request on, in every daemon that shares the file.
 */
import { randomBytes } from 'node:crypto';
import { type BigIntStats, readFileSync, statSync } from 'node:fs';
import { link, unlink, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import { Secret } from '../model/secret.js';
import { makeDirectory, stampOf, temporaryBeside, writeFileAtomic } from './atomic-file.js';
import { withFileLock } from './file-lock.js';

/** As many as a rotation every week leaves within the longest life of a lease, and some. */
export const MOST_KEYS = 64;
/** Far above what that many lines have. */
const LARGEST_FILE_BYTES = 64 * 1024;
const LINE = /^([0-9a-f]{16})[ \t]+([A-Za-z0-9+/]{43}=?)$/;
const ID_BYTES = 8;
const KEY_BYTES = 32;

export interface LeaseKey {
  readonly id: string;
  /** base64 of 32 bytes. */
  readonly key: Secret;
}

/**
 * Reads lines of keys. Empty lines and those that begin with `#` are passed over.
 * @throws SyntaxError that repeats nothing of the text
 */
export function parseLeaseKeys(text: string): LeaseKey[] {
  const keys: LeaseKey[] = [];
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [, id, key] = LINE.exec(line) ?? [];
    if (id === undefined || key === undefined) throw new SyntaxError(`line ${index + 1} is not KEYID BASE64KEY (16 hex digits, 32 bytes)`);
    if (keys.some((other) => other.id === id)) throw new SyntaxError(`line ${index + 1} has an id that stands above it already`);
    keys.push({ id, key: new Secret(key) });
  }
  if (keys.length === 0) throw new SyntaxError('it holds no key');
  if (keys.length > MOST_KEYS) throw new SyntaxError(`it holds more than ${MOST_KEYS} keys`);
  return keys;
}

/** The twin of `parseLeaseKeys`. */
function writeLeaseKeys(keys: readonly LeaseKey[]): string {
  return keys.map(({ id, key }) => `${id} ${key.reveal()}\n`).join('');
}

export class FileLeaseKeys {
  readonly #path: string;
  readonly #isOwn: boolean;
  readonly #onFault: (fault: ProxyError) => void;
  #keys: readonly LeaseKey[] = [];
  /** What the file looked like when it was read last. */
  #seen = '';

  /**
   * `isOwn`: the file is Postern's own; it is made when it is needed and may be read by its owner alone. One that others manage
   * must be there, and may be read by a group as well. `onFault` hears of a file that has become unusable since `load`.
   */
  constructor(path: string, options: { readonly isOwn: boolean; readonly onFault: (fault: ProxyError) => void }) {
    this.#path = path;
    this.#isOwn = options.isOwn;
    this.#onFault = options.onFault;
  }

  /** Ids, the sealing key's first. */
  get ids(): readonly string[] {
    this.#refresh();
    return this.#keys.map(({ id }) => id);
  }

  /**
   * Reads the file. One of our own that is not there is no fault.
   * @throws ProxyError `secret-unreadable`
   */
  load(): void {
    this.#seen = stampOf(this.#path);
    this.#keys = [];
    if (this.#seen !== '' || !this.#isOwn) this.#keys = this.#read();
  }

  /** The key of that id. A file that has become unusable holds none. */
  keyOf(id: string): Secret | undefined {
    this.#refresh();
    return this.#keys.find((each) => each.id === id)?.key;
  }

  /**
   * The key that seals new leases; the file is made if it is our own and not there. Two daemons that do so at once end with
   * the same file.
   * @throws ProxyError `secret-unreadable`
   */
  async newest(): Promise<LeaseKey> {
    this.load();
    if (this.#keys.length === 0) {
      await this.#make();
      this.load();
    }
    const [newest] = this.#keys;
    if (newest === undefined) throw this.#unusable('it went away while it was read');
    return newest;
  }

  /**
   * Puts a new key before the others, or in their place, and gives its id.
   * @throws ProxyError `secret-unreadable`; `usage` when the keys are not our own, or too many
   */
  async rotate(options: { readonly forgetOld: boolean }): Promise<string> {
    if (!this.#isOwn) throw notOurs();
    await this.newest();
    return withFileLock(`${this.#path}.lock`, async () => {
      this.load();
      const added = newKey();
      const keys = [added, ...(options.forgetOld ? [] : this.#keys)];
      if (keys.length > MOST_KEYS) {
        throw new ProxyError('usage', `There are ${MOST_KEYS} keys already`, {
          todo: 'give up the older ones with `postern lease rotate --forget-old`, which ends every lease that they seal',
        });
      }
      await writeFileAtomic(this.#path, writeLeaseKeys(keys), { mode: 0o600, force: true });
      this.load();
      return added.id;
    }).catch((thrown: unknown) => {
      if (thrown instanceof ProxyError) throw thrown;
      throw this.#unusable(systemCodeOf(thrown) ?? messageOf(thrown), thrown, ['make room, or mend the rights of its directory']);
    });
  }

  #refresh(): void {
    if (stampOf(this.#path) === this.#seen) return;
    try {
      this.load();
    } catch (thrown) {
      // Told once: `#seen` is what it looks like now.
      if (thrown instanceof ProxyError) this.#onFault(thrown);
      else throw thrown;
    }
  }

  #read(): readonly LeaseKey[] {
    try {
      const found = statSync(this.#path, { bigint: true });
      const open = openTo(found, this.#isOwn ? 0o077n : 0o007n);
      if (open !== undefined) {
        throw this.#unusable(`${open}: its mode is ${(found.mode & 0o777n).toString(8)}`, undefined, [
          `close it with \`chmod ${this.#isOwn ? '600' : 'o-rwx'} ${this.#path}\``,
          'and, if others may have read it, change the keys with `postern lease rotate --forget-old`',
        ]);
      }
      if (found.size > BigInt(LARGEST_FILE_BYTES)) throw this.#unusable(`it has more than ${LARGEST_FILE_BYTES} bytes`);
      return parseLeaseKeys(readFileSync(this.#path, 'utf8'));
    } catch (thrown) {
      if (thrown instanceof ProxyError) throw thrown;
      throw this.#unusable(thrown instanceof SyntaxError ? thrown.message : (systemCodeOf(thrown) ?? messageOf(thrown)), thrown);
    }
  }

  /** Makes the file whole in one step, so that whoever finds it finds a key in it. */
  async #make(): Promise<void> {
    if (!this.#isOwn) throw this.#unusable('it holds no key');
    try {
      await makeDirectory(dirname(this.#path));
      const written = temporaryBeside(this.#path);
      const content = writeLeaseKeys([newKey()]);
      await writeFile(written, content, { flag: 'wx', mode: 0o600, flush: true });
      try {
        await link(written, this.#path).catch(async (fault: unknown) => {
          if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'].includes(systemCodeOf(fault) ?? '')) throw fault;
          // A file system without hard links.
          await writeFile(this.#path, content, { flag: 'wx', mode: 0o600, flush: true });
        });
      } finally {
        await unlink(written);
      }
    } catch (thrown) {
      // Another daemon was first: its file is as good.
      if (systemCodeOf(thrown) !== 'EEXIST') throw this.#unusable(systemCodeOf(thrown) ?? messageOf(thrown), thrown);
    }
  }

  #unusable(why: string, cause?: unknown, todo: readonly string[] = []): ProxyError {
    return new ProxyError('secret-unreadable', `The file ${this.#path} with the keys of leases cannot be used (${why})`, {
      todo: todo.length > 0 ? todo.join(', ') : 'restore it from a copy, or remove it, which ends every lease that its keys seal',
      cause,
    });
  }
}

/** The refusal to change keys that come from elsewhere. */
export function notOurs(): ProxyError {
  return new ProxyError('usage', 'The keys of leases come from `access.leaseKey`, so they are changed there', {
    todo: 'put a new line `KEYID BASE64KEY` before the others; taking an old line out ends the leases that it seals',
  });
}

function newKey(): LeaseKey {
  return { id: randomBytes(ID_BYTES).toString('hex'), key: new Secret(randomBytes(KEY_BYTES).toString('base64')) };
}

/** Who besides the owner can reach the file, in words; undefined when nobody can. */
function openTo(found: BigIntStats, mask: bigint): string | undefined {
  const own = process.getuid?.();
  if (own !== undefined && found.uid !== BigInt(own) && found.uid !== 0n) return 'it belongs to another user';
  return (found.mode & mask) === 0n ? undefined : 'others can read or write it';
}
