/**
 * Which call of the Git LFS API a request is: server-discovery.md, batch.md, basic-transfers.md and locking.md of git-lfs' docs/api.
 * Knows the part of a path after the repository, nothing of hosts or files.
 *
 *   rest = "/info/lfs/objects/batch" / "/info/lfs/objects/" oid [ "/verify" ]
 *        / "/info/lfs/locks" / "/info/lfs/locks/verify" / "/info/lfs/locks/" id "/unlock"
 */

export type LfsCall =
  | { readonly step: 'batch' }
  | { readonly step: 'upload' | 'download' | 'verify'; readonly oid: string }
  | { readonly step: 'create-lock' | 'list-locks' | 'verify-locks' }
  | { readonly step: 'unlock'; readonly id: string };

export type LfsStep = LfsCall['step'];

const OBJECT = /^\/info\/lfs\/objects\/([0-9a-f]{64})(\/verify)?$/;
const UNLOCK = /^\/info\/lfs\/locks\/([^/]+)\/unlock$/;

/** Undefined for what is no call of this API. */
export function readLfsCall(method: string, rest: string): LfsCall | undefined {
  const is = (wanted: string, path: string): boolean => method === wanted && rest === `/info/lfs${path}`;
  if (is('POST', '/objects/batch')) return { step: 'batch' };
  if (is('POST', '/locks')) return { step: 'create-lock' };
  if (is('GET', '/locks')) return { step: 'list-locks' };
  if (is('POST', '/locks/verify')) return { step: 'verify-locks' };
  const [, id] = UNLOCK.exec(rest) ?? [];
  if (id !== undefined) return method === 'POST' ? { step: 'unlock', id } : undefined;
  const [, oid, verify] = OBJECT.exec(rest) ?? [];
  if (oid === undefined) return undefined;
  if (verify !== undefined) return method === 'POST' ? { step: 'verify', oid } : undefined;
  if (method === 'PUT') return { step: 'upload', oid };
  return method === 'GET' ? { step: 'download', oid } : undefined;
}
