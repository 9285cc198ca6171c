/**
 * What a caller asks for, in git's terms. Doors derive it from the path first and from what the caller claims
 * second (gitprotocol-http, "URL Format" and "Smart Clients").
 */
import type { RepoAddress } from './address.js';

/** git's two directions, by the names of the programs at the far end. */
export type GitService = 'git-upload-pack' | 'git-receive-pack';

/** Which step of the smart protocol: the ref advertisement, or the exchange that follows. */
export type GitStep = 'advertisement' | 'exchange';

/** What a route or a lease may be used for. */
export const PERMISSIONS = ['fetch', 'push', 'lfs', 'api'] as const;
export type Permission = (typeof PERMISSIONS)[number];

export type GitOperation =
  | { readonly kind: 'fetch'; readonly step: GitStep; readonly address: RepoAddress }
  | { readonly kind: 'push'; readonly step: GitStep; readonly address: RepoAddress };

/** The service whose wire format an operation speaks. */
export function serviceOf(operation: GitOperation): GitService {
  switch (operation.kind) {
    case 'fetch':
      return 'git-upload-pack';
    case 'push':
      return 'git-receive-pack';
  }
}
