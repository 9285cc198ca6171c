/**
 * The LFS protocol as far as paths and methods go: what of it a request is, from the end of its path.
 *
 *   POST $LFS/objects/batch
 *   GET, PUT $LFS/objects/{oid}              POST $LFS/objects/{oid}      (basic transfers; Azure DevOps gives these addresses)
 *   GET, POST $LFS/locks                     POST $LFS/locks/verify       POST $LFS/locks/{id}/unlock
 *
 * $LFS is `$GIT_URL/info/lfs`, or `$GIT_URL.git/info/lfs` as git-lfs derives it.
 *
 * Source: git-lfs docs/api/server-discovery.md, batch.md, basic-transfers.md, locking.md.
 */
import type { LfsStep } from '../model/operation.js';

export interface LfsRequest {
  readonly step: LfsStep;
  /** Path of the repository, as it came, without `.git` where git-lfs puts it and without what is LFS's. */
  readonly repositoryPath: string;
  /** What follows it: `.git/info/lfs/objects/batch`. */
  readonly suffix: string;
  /** The object that the path names, lower-case hex. */
  readonly oid: string | undefined;
}

/** Why a request is none of LFS's. */
export interface NotLfs {
  readonly why: 'not-lfs' | 'bad-method';
}

/** The media type of requests and answers, errors too. */
export const LFS_MEDIA_TYPE = 'application/vnd.git-lfs+json';

const LFS_PATH =
  /^(\/.+?)((?:\.git)?\/info\/lfs(?:\/objects\/(?:(batch)|([0-9a-fA-F]{64}))|\/(locks)(?:\/(verify)|\/([^/]+)\/(unlock))?))$/;

/** Whether a path is meant for LFS, also where it is none of its addresses. */
export function isLfsPath(path: string): boolean {
  return /\/info\/lfs(?:\/|$)/.test(path);
}

/** Classifies a request. `path` is as it came, percent-encoded, without the query. */
export function classifyLfsRequest(method: string, path: string): LfsRequest | NotLfs {
  const match = LFS_PATH.exec(path);
  if (match === null) return { why: 'not-lfs' };
  const [, repositoryPath = '', suffix = '', batch, oid, , verify, , unlock] = match;
  const step = stepOf(method, { isBatch: batch !== undefined, isObject: oid !== undefined, verify, unlock });
  if (step === undefined) return { why: 'bad-method' };
  return { step, repositoryPath, suffix, oid: oid?.toLowerCase() };
}

function stepOf(
  method: string,
  { isBatch, isObject, verify, unlock }: { isBatch: boolean; isObject: boolean; verify: string | undefined; unlock: string | undefined },
): LfsStep | undefined {
  const isPost = method === 'POST';
  if (isObject) return method === 'GET' ? 'download' : method === 'PUT' ? 'upload' : isPost ? 'verify' : undefined;
  if (isBatch) return isPost ? 'batch' : undefined;
  if (verify !== undefined) return isPost ? 'verify-locks' : undefined;
  if (unlock !== undefined) return isPost ? 'unlock' : undefined;
  return isPost ? 'lock' : method === 'GET' ? 'locks' : undefined;
}
