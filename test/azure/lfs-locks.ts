/** Locks of files, by repository: git-lfs' docs/api/locking.md. Knows no requests. */
import { randomUUID } from 'node:crypto';

export interface LfsLock {
  readonly id: string;
  readonly path: string;
  /** ISO 8601. */
  readonly locked_at: string;
  readonly owner: { readonly name: string };
}

export interface LockFilter {
  readonly path?: string | undefined;
  readonly id?: string | undefined;
  /** As the page before gave it. */
  readonly cursor?: string | undefined;
  readonly limit?: number | undefined;
}

export interface LockPage {
  readonly locks: readonly LfsLock[];
  /** Absent on the last page. */
  readonly next_cursor?: string;
}

export class LfsLocks {
  /** Most locks of one page. */
  pageSize = 100;
  readonly #locks = new Map<string, LfsLock[]>();

  /** All locks of a repository (canonical name), oldest first. */
  of(repository: string): readonly LfsLock[] {
    return this.#locks.get(repository) ?? [];
  }

  /** Locks a path. `isNew` is false where it was locked already, whoever by. */
  add(repository: string, path: string, owner: string): { readonly lock: LfsLock; readonly isNew: boolean } {
    const held = this.of(repository).find((each) => each.path === path);
    if (held !== undefined) return { lock: held, isNew: false };
    const lock = { id: randomUUID(), path, locked_at: new Date().toISOString(), owner: { name: owner } };
    this.#locks.set(repository, [...this.of(repository), lock]);
    return { lock, isNew: true };
  }

  find(repository: string, id: string): LfsLock | undefined {
    return this.of(repository).find((each) => each.id === id);
  }

  remove(repository: string, lock: LfsLock): void {
    this.#locks.set(
      repository,
      this.of(repository).filter((each) => each !== lock),
    );
  }

  page(repository: string, { path, id, cursor, limit = Infinity }: LockFilter): LockPage {
    const fitting = this.of(repository).filter((each) => (path ?? each.path) === each.path && (id ?? each.id) === each.id);
    const start = cursor === undefined ? 0 : Number(cursor);
    const end = start + Math.min(limit, this.pageSize);
    return { locks: fitting.slice(start, end), ...(end < fitting.length ? { next_cursor: String(end) } : {}) };
  }
}
