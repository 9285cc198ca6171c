/**
 * What a caller asks for, in git's terms. Doors derive it from the path first and from what the caller claims
 * second (gitprotocol-http, "URL Format" and "Smart Clients").
 */
import type { RepoAddress } from './address.js';

/** git's two directions, by the names of the programs at the far end. */
export type GitService = 'git-upload-pack' | 'git-receive-pack';

/** A step of the smart HTTP protocol: the ref advertisement, or the exchange that follows; each is a request of its own. */
export type HttpStep = 'advertisement' | 'exchange';

/** What a route or a lease may be used for. */
export const PERMISSIONS = ['fetch', 'push', 'lfs', 'api'] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** What one HTTP request of git's asks for. */
export interface HttpOperation {
  readonly kind: 'fetch' | 'push';
  readonly step: HttpStep;
  readonly address: RepoAddress;
}

/** What one command over SSH asks for: the whole of a fetch or a push, or `git archive --remote`, which only SSH has. */
export interface SessionOperation {
  readonly kind: 'fetch' | 'push' | 'archive';
  readonly step: 'session';
  readonly address: RepoAddress;
}

/**
 * The steps of the LFS protocol, and which direction of git's each needs beside `lfs`. Which way a batch goes stands in its body: until
 * that has been read it needs no direction. Locks are kept from those who may not push, and so is asking whose they are, as git-lfs
 * wants it.
 *
 * Source: git-lfs docs/api (batch.md, basic-transfers.md, locking.md).
 */
export const LFS_STEPS = {
  batch: undefined,
  'batch-download': 'fetch',
  'batch-upload': 'push',
  download: 'fetch',
  upload: 'push',
  verify: 'push',
  locks: 'fetch',
  lock: 'push',
  unlock: 'push',
  'verify-locks': 'push',
} as const satisfies Readonly<Record<string, 'fetch' | 'push' | undefined>>;
export type LfsStep = keyof typeof LFS_STEPS;

/** What one request of git-lfs asks for. */
export interface LfsOperation {
  readonly kind: 'lfs';
  readonly step: LfsStep;
  readonly address: RepoAddress;
  /** What follows the repository's path, as it came, without the query: `.git/info/lfs/objects/batch`. */
  readonly suffix: string;
  /** The object that the path names, SHA-256 in hex. */
  readonly oid?: string | undefined;
}

export const API_STEPS = ['discovery', 'read', 'write-beside-refs', 'write'] as const;
export type ApiStep = (typeof API_STEPS)[number];

/**
 * What one call of the REST API asks for. `address` is that of an organisation, a project or a repository, whichever the path names.
 * `discovery` asks where things are, which the clients of a single repository need to know too; `write-beside-refs` changes something and
 * no ref (a comment); `write` may change one.
 */
export interface ApiOperation {
  readonly kind: 'api';
  readonly step: ApiStep;
  readonly address: RepoAddress;
  /** With its `?`, as it came; empty when there is none. */
  readonly query: string;
}

/** What one request at the HTTP door asks for. */
export type DoorOperation = HttpOperation | LfsOperation | ApiOperation;

export type GitOperation = DoorOperation | SessionOperation;

/** What a route or a lease has to allow for an operation, all of it: an archive is a way to read. */
export function permissionsOf(operation: GitOperation): readonly Permission[] {
  switch (operation.kind) {
    case 'fetch':
    case 'push':
      return [operation.kind];
    case 'archive':
      return ['fetch'];
    case 'lfs': {
      const direction = LFS_STEPS[operation.step];
      return direction === undefined ? ['lfs'] : ['lfs', direction];
    }
    case 'api':
      return isReading(operation) ? ['api'] : ['api', 'push'];
  }
}

/** Whether a call of the REST API changes nothing. */
export function isReading({ step }: ApiOperation): boolean {
  return step === 'read' || step === 'discovery';
}

/** Whether an operation asks where things are, of a whole organisation or collection. */
export function isDiscovery({ kind, step }: GitOperation): boolean {
  return kind === 'api' && step === 'discovery';
}

/** Whether an operation is one of git's own over HTTP. */
export function isGit(operation: DoorOperation): operation is HttpOperation {
  return operation.kind === 'fetch' || operation.kind === 'push';
}

/** The service whose wire format an operation speaks. */
export function serviceOf({ kind }: HttpOperation): GitService {
  switch (kind) {
    case 'fetch':
      return 'git-upload-pack';
    case 'push':
      return 'git-receive-pack';
  }
}
