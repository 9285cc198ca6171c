/**
 * The list of revoked leases that several daemons share, `access.revocations`: a JSON file on storage that all of them see, looked
 * at again whenever it has changed, whether it was written in place, renamed over, or another one was put behind a symlink.
 *
 * A list that cannot be read is not an empty one: then it is not known what the other daemons have revoked, and no lease is
 * taken until it is. Nor is one that is not there; the first lease that is given out makes it. What was read once stays
 * revoked, whatever happens to the file.
 *
 * Limits: a network file system shows a change as soon as its client asks for it. Each look opens the file, upon which NFS and
 * SMB ask; a client that is told to cache (`nocto`, `actimeo` on SMB) hears later. A mount that hangs stops the daemon.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import type { Clock } from '../model/ports.js';
import { realTarget, writeFileAtomic } from './atomic-file.js';
import { withFileLock } from './file-lock.js';
import { asMap, MOST_REVOKED, parseJson, parseRevoked, type RevokedId, stillNeeded } from './revoked-ids.js';

const VERSION = 1;
/** Far above what `MOST_REVOKED` entries have. */
const LARGEST_FILE_BYTES = 64 * 1024 * 1024;
/** NFS says ESTALE when the file was replaced between two calls; a second look finds the new one. */
const LOOKS = 3;
const ABSENT = '';

type Known = ReadonlyMap<string, RevokedId>;

export class SharedRevocations {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #onFault: (fault: ProxyError) => void;
  /** All that was ever read or told, and may still matter. */
  #known: Known = new Map();
  #fault: ProxyError | undefined;
  /** What the file looked like when it was read last. */
  #seen: string | undefined;
  /** The state of the file whose fault was told last. */
  #told: string | undefined;
  #writing: Promise<unknown> = Promise.resolve();

  /** `onFault` hears of a file that is unusable when it is needed, once for each state of it. */
  constructor(path: string, options: { readonly clock: Clock; readonly onFault: (fault: ProxyError) => void }) {
    this.#path = path;
    this.#clock = options.clock;
    this.#onFault = options.onFault;
  }

  /**
   * Reads the file; that it is not there yet is for `look` to say.
   * @throws ProxyError `state-unusable`
   */
  load(): void {
    this.#refresh();
    if (this.#fault !== undefined && this.#seen !== ABSENT) throw this.#fault;
  }

  /** Looks at the file, and says why it is not known what is revoked; undefined when it is. Cheap enough for each request. */
  look(): ProxyError | undefined {
    this.#refresh();
    if (this.#fault !== undefined && this.#told !== this.#seen) this.#onFault(this.#fault);
    this.#told = this.#fault === undefined ? undefined : this.#seen;
    return this.#fault;
  }

  /** Whether the id was revoked, as of the last `look`. */
  isRevoked(id: string): boolean {
    return this.#known.has(id);
  }

  /** When it was; undefined when it was not, as far as is known. */
  revokedAt(id: string): Date | undefined {
    this.#refresh();
    return this.#known.get(id)?.revokedAt;
  }

  /** Makes the file if it is not there. @throws ProxyError `state-unusable` */
  async make(): Promise<void> {
    this.#refresh();
    if (this.#seen === ABSENT) await this.#add([]);
  }

  /**
   * Revokes ids here at once, and at the other daemons when it resolves.
   * @throws ProxyError `state-unusable` when the others do not hear of it; `usage` when there are too many
   */
  async revoke(ids: readonly RevokedId[]): Promise<void> {
    this.#known = new Map([...ids.map((each) => [each.id, each] as const), ...this.#known]);
    await this.#add(ids);
  }

  /** Reads, changes and writes the file as one step. What is only remembered here goes back into it. */
  async #add(ids: readonly RevokedId[]): Promise<void> {
    const mine = this.#writing
      .catch(() => undefined)
      .then(async () => {
        // A directory is not made: a volume that was not mounted must not look like one.
        const target = await realTarget(this.#path);
        await withFileLock(`${target}.lock`, async () => {
          const found = this.#open();
          if (found.fault !== undefined && found.stamp !== ABSENT) throw found.fault;
          const all = new Map([...ids.map((each) => [each.id, each] as const), ...this.#known, ...(found.revoked ?? [])]);
          const revoked = stillNeeded(all, this.#clock.now());
          if (revoked.size > MOST_REVOKED) {
            throw new ProxyError('usage', `More than ${MOST_REVOKED} ids are revoked in ${this.#path}`, {
              todo: 'end all leases at once: take the old lines out of the keys that `access.leaseKey` names',
            });
          }
          await writeFileAtomic(target, writeContent(revoked), { mode: await modeIn(dirname(target)) });
          this.#refresh();
        });
      });
    this.#writing = mine;
    try {
      await mine;
    } catch (thrown) {
      if (thrown instanceof ProxyError) throw thrown;
      throw new ProxyError(
        'state-unusable',
        `The list of revoked leases ${this.#path} cannot be written here (${systemCodeOf(thrown) ?? messageOf(thrown)})`,
        {
          todo: 'mount it writable and mend the rights of its directory, or write it where it is kept',
          cause: thrown,
        },
      );
    }
  }

  #refresh(): void {
    const found = this.#open();
    if (found.stamp === this.#seen) return;
    this.#seen = found.stamp;
    this.#fault = found.fault;
    if (found.revoked !== undefined) this.#known = stillNeeded(new Map([...this.#known, ...found.revoked]), this.#clock.now());
  }

  /** The file as it is now, read only if it is not the one that was read last. */
  #open(): { readonly stamp: string; readonly revoked?: Known; readonly fault?: ProxyError | undefined } {
    for (let looks = 1; ; looks += 1) {
      let descriptor: number | undefined;
      try {
        // O_NONBLOCK: whoever puts a pipe there must not stop the daemon.
        descriptor = openSync(this.#path, constants.O_RDONLY | constants.O_NONBLOCK);
        const found = fstatSync(descriptor, { bigint: true });
        const stamp = [found.dev, found.ino, found.size, found.mtimeNs, found.ctimeNs].join(' ');
        if (stamp === this.#seen) return { stamp, fault: this.#fault };
        try {
          if (!found.isFile()) throw new SyntaxError('it is no file');
          if ((found.mode & 0o002n) !== 0n)
            throw new SyntaxError(`everyone can write it: its mode is ${(found.mode & 0o777n).toString(8)}`);
          if (found.size > BigInt(LARGEST_FILE_BYTES)) throw new SyntaxError(`it has more than ${LARGEST_FILE_BYTES} bytes`);
          return { stamp, revoked: parseContent(readFileSync(descriptor, 'utf8')) };
        } catch (thrown) {
          if (!(thrown instanceof SyntaxError)) throw thrown;
          return { stamp, fault: this.#unusable(thrown.message, 'mend it, or restore it from a copy', thrown) };
        }
      } catch (thrown) {
        const code = systemCodeOf(thrown) ?? messageOf(thrown);
        if (code === 'ESTALE' && looks < LOOKS) continue;
        if (code === 'ENOENT')
          return {
            stamp: ABSENT,
            fault: this.#unusable('it is not there', 'look whether its volume is mounted; the first `postern lease create` makes it'),
          };
        return { stamp: code, fault: this.#unusable(code, 'give the user that runs Postern the right to read it', thrown) };
      } finally {
        if (descriptor !== undefined) closeSync(descriptor);
      }
    }
  }

  #unusable(why: string, todo: string, cause?: unknown): ProxyError {
    return new ProxyError(
      'state-unusable',
      `The list of revoked leases ${this.#path} that \`access.revocations\` names cannot be used (${why}), so no lease is taken`,
      { todo, cause },
    );
  }
}

/** The list is for those whom its directory is for, but never for everyone. */
async function modeIn(directory: string): Promise<number> {
  return ((await stat(directory)).mode & 0o060) | 0o600;
}

function writeContent(revoked: Known): string {
  return `${JSON.stringify({ version: VERSION, revoked: [...revoked.values()] }, null, 1)}\n`;
}

/** @throws SyntaxError for anything that `writeContent` does not write */
function parseContent(text: string): Known {
  const { version, revoked } = asMap(parseJson(text));
  if (version !== VERSION || !Array.isArray(revoked)) throw new SyntaxError('it is not a list of revoked leases of this version');
  return parseRevoked(revoked);
}
