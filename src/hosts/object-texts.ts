/**
 * What is said of a failure that is about one object of LFS: which object, because git-lfs names none and may have had hundreds under
 * way; and who refused it, which may be a storage that sees no credential at all.
 */
import type { Failure } from './failure.js';

export interface FailedObject {
  /** SHA-256, lower-case hex. */
  readonly oid: string;
  /** The host, where it was asked elsewhere than at the upstream, by an address that is its own right. */
  readonly storage: string | undefined;
}

/** As much of an id as tells one object from another in a repository; `git lfs ls-files` shows as many digits. */
const SHOWN_DIGITS = 10;

/** An object as texts name it. */
export function nameObject(oid: string): string {
  return `LFS object ${oid.slice(0, SHOWN_DIGITS)}`;
}

/** A failure with the object in its words. */
export function explainObject(failure: Failure, { oid, storage }: FailedObject): Failure {
  const object = nameObject(oid);
  const status = failure.upstreamStatus ?? failure.status;
  const isUnknown = failure.code === 'upstream-not-found';
  if (storage !== undefined && (isUnknown || status === 401 || status === 403)) {
    return {
      ...failure,
      code: isUnknown ? failure.code : 'upstream-forbidden',
      status: isUnknown ? failure.status : 403,
      what: `The storage ${storage} does not hand out or take ${object} (${status})`,
      todo: 'run the command again, which asks the upstream for a new address',
    };
  }
  if (isUnknown) {
    return {
      ...failure,
      what: `The upstream has no ${object}, or this identity may not see it (${status})`,
      todo: 'run `git lfs push --all` in a clone that has it',
    };
  }
  if (status === 413) {
    return {
      ...failure,
      what: `The upstream refused ${object} as too large (413)`,
      todo: 'raise the limit of the server; Azure Repos takes large objects in chunks alone, which git-lfs sends when it speaks to Postern',
    };
  }
  return { ...failure, what: `${failure.what}; ${object}` };
}

/** A failure of a storage to which a redirect of the REST API or of a package feed led: it sees no credential, so none is to blame. */
export function explainStored(failure: Failure, storage: string): Failure {
  const status = failure.upstreamStatus ?? failure.status;
  if (status !== 401 && status !== 403 && status !== 404) return { ...failure, what: `${failure.what}; asked at the storage ${storage}` };
  return {
    ...failure,
    code: status === 404 ? failure.code : 'upstream-forbidden',
    status: status === 404 ? failure.status : 403,
    what: `The storage ${storage} does not hand out what the upstream led to (${status})`,
    todo: 'run the command again, which asks the upstream for a new address',
  };
}
