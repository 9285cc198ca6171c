/**
 * What is remembered of leases: which were given out, and which ids are revoked. Never a lease itself, nor its seal. One JSON
 * file, written whole under a lock; a second daemon on the same state directory sees what the first one wrote.
 *
 * A file that cannot be read right is a fault and not an empty list: a revoked lease must not come to life because a disk
 * failed. While the daemon runs, a revocation that it has heard of stays, whatever happens to the file.
 */
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import type { Clock } from '../model/ports.js';
import { makeDirectory, stampOf, writeFileAtomic } from './atomic-file.js';
import { withFileLock } from './file-lock.js';
import { asDate, asId, asMap, asText, byId, MOST_REVOKED, parseJson, parseRevoked, type RevokedId, stillNeeded } from './revoked-ids.js';

/** Leases that are alive at once; a fleet with a job every second and leases of an hour has 3,600. */
export const MOST_ISSUED = 10_000;
const LARGEST_FILE_BYTES = 64 * 1024 * 1024;
const VERSION = 1;

export interface IssuedLease {
  readonly id: string;
  readonly label: string | undefined;
  /** What it grants, in words. */
  readonly grant: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
}

interface Content {
  readonly issued: ReadonlyMap<string, IssuedLease>;
  readonly revoked: ReadonlyMap<string, RevokedId>;
}

const NOTHING: Content = { issued: new Map(), revoked: new Map() };

export class FileLeaseRegister {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #onFault: (fault: ProxyError) => void;
  #content: Content = NOTHING;
  /** Ids that were revoked here and may not have reached the file. */
  readonly #heard = new Map<string, RevokedId>();
  #seen = '';
  #writing: Promise<unknown> = Promise.resolve();

  constructor(path: string, options: { readonly clock: Clock; readonly onFault: (fault: ProxyError) => void }) {
    this.#path = path;
    this.#clock = options.clock;
    this.#onFault = options.onFault;
  }

  /** Whether the file is there. */
  get exists(): boolean {
    return stampOf(this.#path) !== '';
  }

  /**
   * Reads the file; one that is not there is empty.
   * @throws ProxyError `state-unusable`
   */
  load(): void {
    this.#seen = stampOf(this.#path);
    this.#content = this.#seen === '' ? NOTHING : this.#read();
  }

  isRevoked(id: string): boolean {
    this.#refresh();
    return this.#heard.has(id) || this.#content.revoked.has(id);
  }

  /** Leases that have not ended, in the order in which they were given out, with the time at which they were revoked. */
  issued(): readonly (IssuedLease & { readonly revokedAt: Date | undefined })[] {
    this.#refresh();
    const now = this.#clock.now();
    return [...this.#content.issued.values()]
      .filter(({ expiresAt }) => expiresAt.getTime() > now)
      .map((lease) => ({ ...lease, revokedAt: (this.#heard.get(lease.id) ?? this.#content.revoked.get(lease.id))?.revokedAt }));
  }

  /** Makes the file if it is not there. @throws ProxyError `state-unusable` */
  async make(): Promise<void> {
    if (!this.exists) await this.#change((content) => content);
  }

  /** Remembers a lease. @throws ProxyError `state-unusable`; `usage` when too many are alive */
  async add(lease: IssuedLease): Promise<void> {
    await this.#change(({ issued, revoked }) => {
      if (issued.size >= MOST_ISSUED) {
        throw new ProxyError('usage', `There are ${MOST_ISSUED} leases that have not ended`, {
          todo: 'give out leases for a shorter time, or end all of them with `postern lease rotate --forget-old`',
        });
      }
      return { issued: new Map([...issued, [lease.id, lease]]), revoked };
    });
  }

  /**
   * Revokes ids, known or not, from now on; `until` is for those that were not given out here. Gives the ids that were given
   * out here. When it rejects, they are revoked all the same until the daemon ends.
   * @throws ProxyError `state-unusable`; `usage` when there are too many
   */
  async revoke(ids: readonly string[], until: Date): Promise<readonly string[]> {
    const revokedAt = new Date(this.#clock.now());
    for (const id of ids) {
      const known = this.#content.revoked.get(id) ?? this.#heard.get(id);
      this.#heard.set(id, known ?? { id, revokedAt, until: this.#content.issued.get(id)?.expiresAt ?? until });
    }
    await this.#change((content) => content);
    return ids.filter((id) => this.#content.issued.has(id));
  }

  /** Forgets which leases were given out: for when no key is left that seals one. @throws ProxyError `state-unusable` */
  async forgetIssued(): Promise<void> {
    await this.#change(({ revoked }) => ({ issued: new Map(), revoked }));
  }

  /** Reads, changes and writes the file as one step. */
  async #change(edit: (content: Content) => Content): Promise<void> {
    const mine = this.#writing
      .catch(() => undefined)
      .then(async () => {
        await makeDirectory(dirname(this.#path));
        await withFileLock(`${this.#path}.lock`, async () => {
          const current = stampOf(this.#path) === '' ? NOTHING : this.#read();
          const heard = [...this.#heard];
          const revoked = new Map([...this.#content.revoked, ...current.revoked, ...heard]);
          const content = edit(this.#pruned({ issued: current.issued, revoked }));
          if (content.revoked.size > MOST_REVOKED) {
            throw new ProxyError('usage', `More than ${MOST_REVOKED} ids are revoked`, {
              todo: 'end all leases at once with `postern lease rotate --forget-old`',
            });
          }
          await writeFileAtomic(this.#path, writeContent(content), { mode: 0o600, force: true });
          this.#seen = stampOf(this.#path);
          this.#content = content;
          // Not what was heard of while the file was written: that waits for its turn.
          for (const [id] of heard) this.#heard.delete(id);
        });
      });
    this.#writing = mine;
    try {
      await mine;
    } catch (thrown) {
      if (thrown instanceof ProxyError) throw thrown;
      throw new ProxyError(
        'state-unusable',
        `The list of leases ${this.#path} cannot be written (${systemCodeOf(thrown) ?? messageOf(thrown)})`,
        {
          todo: 'make room, or mend the rights of its directory, and run the command again',
          cause: thrown,
        },
      );
    }
  }

  #pruned({ issued, revoked }: Content): Content {
    const now = this.#clock.now();
    return {
      issued: new Map([...issued].filter(([, { expiresAt }]) => expiresAt.getTime() > now)),
      revoked: stillNeeded(revoked, now),
    };
  }

  #refresh(): void {
    const seen = stampOf(this.#path);
    if (seen === this.#seen) return;
    this.#seen = seen;
    try {
      const content = seen === '' ? NOTHING : this.#read();
      // What was revoked stays so: another daemon adds to the list, and only time takes from it.
      this.#content = { issued: content.issued, revoked: new Map([...this.#content.revoked, ...content.revoked]) };
      if (seen === '') throw this.#unusable('it is gone');
    } catch (thrown) {
      if (thrown instanceof ProxyError) this.#onFault(thrown);
      else throw thrown;
    }
  }

  #read(): Content {
    try {
      if (statSync(this.#path).size > LARGEST_FILE_BYTES) throw new SyntaxError(`it has more than ${LARGEST_FILE_BYTES} bytes`);
      return parseContent(readFileSync(this.#path, 'utf8'));
    } catch (thrown) {
      throw this.#unusable(thrown instanceof SyntaxError ? thrown.message : (systemCodeOf(thrown) ?? messageOf(thrown)), thrown);
    }
  }

  #unusable(why: string, cause?: unknown): ProxyError {
    return new ProxyError(
      'state-unusable',
      `The list of leases ${this.#path} cannot be used (${why}), so it is not known which are revoked`,
      {
        todo: `restore it from a copy; or end every lease: move it and the file lease-keys beside it away`,
        cause,
      },
    );
  }
}

function writeContent({ issued, revoked }: Content): string {
  const content = { version: VERSION, issued: [...issued.values()], revoked: [...revoked.values()] };
  return `${JSON.stringify(content, null, 1)}\n`;
}

/** @throws SyntaxError for anything that `writeContent` does not write */
function parseContent(text: string): Content {
  const { version, issued, revoked } = asMap(parseJson(text));
  if (version !== VERSION || !Array.isArray(issued) || !Array.isArray(revoked))
    throw new SyntaxError('it is not a list of leases of this version');
  return {
    issued: byId(
      issued.map((each) => {
        const { id, label, grant, createdAt, expiresAt } = asMap(each);
        return {
          id: asId(id),
          label: label === undefined ? undefined : asText(label),
          grant: asText(grant),
          createdAt: asDate(createdAt),
          expiresAt: asDate(expiresAt),
        };
      }),
    ),
    revoked: parseRevoked(revoked),
  };
}
