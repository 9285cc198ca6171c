/**
 * The lease that came with a request: in the header X-Postern-Lease, or in Authorization as Basic (user or password, for clients
 * that cannot set headers) or Bearer. What holds a lease is taken out of the request's headers here, so that no lease goes
 * upstream even where the caller's own Authorization does.
 *
 * Source: RFC 7617 (Basic), RFC 6750 (Bearer).
 */
import type { IncomingMessage } from 'node:http';
import type { PresentedLease } from '../gate/callers.js';
import { isLeaseText } from '../gate/lease-text.js';
import { Secret } from '../model/secret.js';

const HEADER = 'x-postern-lease';

/** Takes the lease out of a request. */
export function takeLease(request: IncomingMessage): { readonly lease: PresentedLease; readonly hasOtherCredential: boolean } {
  const found = new Set<string>();
  for (const value of request.headersDistinct[HEADER] ?? []) found.add(value.trim());
  const authorizations = request.headersDistinct['authorization'] ?? [];
  let holdsLease = false;
  for (const value of authorizations) {
    for (const text of candidatesIn(value).filter(isLeaseText)) {
      holdsLease = true;
      found.add(text);
    }
  }
  // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- because the name is a constant
  delete request.headers[HEADER];
  if (holdsLease) delete request.headers.authorization;
  const hasOtherCredential = authorizations.length > 0 && !holdsLease;
  const [text, second] = found;
  if (text === undefined) return { lease: { kind: 'none' }, hasOtherCredential };
  if (second !== undefined) return { lease: { kind: 'unclear', what: 'The request carries more than one lease' }, hasOtherCredential };
  return { lease: { kind: 'one', text: new Secret(text) }, hasOtherCredential };
}

/** Every text of an Authorization that may be a lease: a bearer token, the user, the password. */
function candidatesIn(authorization: string): string[] {
  const match = /^(basic|bearer)[ \t]+(\S+)[ \t]*$/i.exec(authorization.trim());
  const credentials = match?.[2] ?? '';
  if (match?.[1]?.toLowerCase() === 'bearer') return [credentials];
  // Buffer reads both alphabets of base64, with and without padding.
  const decoded = Buffer.from(credentials, 'base64').toString('utf8');
  const colon = decoded.indexOf(':');
  return colon < 0 ? [decoded] : [decoded.slice(0, colon), decoded.slice(colon + 1)];
}
