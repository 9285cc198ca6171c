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

/** What one HTTP request asks for. */
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

export type GitOperation = HttpOperation | SessionOperation;

/** What a route or a lease has to allow for an operation: an archive is a way to read. */
export function permissionOf({ kind }: GitOperation): Permission {
  return kind === 'archive' ? 'fetch' : kind;
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
