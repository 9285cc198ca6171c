/**
 * The lease that came with a request: in the header X-Postern-Lease, or in Authorization as Basic (user or password, for clients
 * that cannot set headers) or Bearer. What holds a lease is taken out of the request's headers here, so that no lease goes
 * upstream even where the caller's own Authorization does.
 *
 * Source: RFC 7617 (Basic), RFC 6750 (Bearer).
 */
import type { IncomingMessage } from 'node:http';
import type { PresentedLease } from '../gate/callers.js';
import { isLeaseText, LEASE_PREFIX, parseLeaseText } from '../gate/lease-text.js';
import { Secret } from '../model/secret.js';

const HEADER = 'x-postern-lease';
const NONE = new Uint8Array();

/** What of a request may be proof; takes the lease out of its headers, whatever it is worth. */
export function takeLease(request: Pick<IncomingMessage, 'headers' | 'headersDistinct'>): {
  readonly lease: PresentedLease;
  readonly hasOtherCredential: boolean;
} {
  const found = new Set<string>();
  // Present and empty is a lease too, and one that is refused: whoever sent it meant to be judged by it.
  for (const value of request.headersDistinct[HEADER] ?? []) found.add(value.trim());
  const authorizations = request.headersDistinct['authorization'] ?? [];
  let isHolder = false;
  let isUnclear = false;
  for (const value of authorizations) {
    const { leases, mentions } = leasesIn(value);
    for (const text of leases) found.add(text);
    isHolder ||= mentions;
    isUnclear ||= mentions && leases.length === 0;
  }
  // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- because the name is a constant
  delete request.headers[HEADER];
  // All of them: with more than one it is not for us to say which one would go upstream.
  if (isHolder) delete request.headers.authorization;
  const hasOtherCredential = authorizations.length > 0 && !isHolder;
  const text = narrowest([...found]);
  if (isUnclear)
    return {
      lease: { kind: 'unclear', what: 'The Authorization of the request holds a lease in a form that is not one of ours' },
      hasOtherCredential,
    };
  if (found.size === 0) return { lease: { kind: 'none' }, hasOtherCredential };
  if (text === undefined) return { lease: { kind: 'unclear', what: 'The request carries more than one lease' }, hasOtherCredential };
  return { lease: { kind: 'one', text: new Secret(text) }, hasOtherCredential };
}

/**
 * The one of several leases that all the others were narrowed to; undefined when there is none such. It permits nothing that one of them
 * does not, so it is what they are together. git-lfs sends two: that of `http.extraHeader`, and the one that it was given for an address.
 */
function narrowest(texts: readonly string[]): string | undefined {
  const [only, second] = texts;
  if (second === undefined) return only;
  try {
    const chains = texts.map((text) => ({ text, ...parseLeaseText(text) })).sort((a, b) => b.caveats.length - a.caveats.length);
    const [longest] = chains;
    const isWithin = chains.every(
      ({ keyId, caveats }, index) =>
        index === 0 ||
        (longest !== undefined &&
          keyId === longest.keyId &&
          caveats.length < longest.caveats.length &&
          caveats.every((caveat, at) => Buffer.compare(caveat, longest.caveats[at] ?? NONE) === 0)),
    );
    return isWithin ? longest?.text : undefined;
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return undefined;
    throw thrown;
  }
}

/** The leases in an Authorization (bearer token, user, password), and whether it has anything of a lease in it at all. */
function leasesIn(authorization: string): { readonly leases: readonly string[]; readonly mentions: boolean } {
  const [, scheme = '', credentials = ''] = /^([^ \t]*)[ \t]*(.*)$/s.exec(authorization.trim()) ?? [];
  // Buffer reads both alphabets of base64, with and without padding, and passes over what is neither.
  const decoded = Buffer.from(credentials, 'base64').toString('latin1');
  const mentions = authorization.includes(LEASE_PREFIX) || decoded.includes(LEASE_PREFIX);
  return { leases: candidates(scheme.toLowerCase(), credentials, decoded).filter(isLeaseText), mentions };
}

function candidates(scheme: string, credentials: string, decoded: string): string[] {
  if (scheme === 'bearer') return [credentials];
  if (scheme !== 'basic') return [];
  // A user has no colon in it, a password may; some clients put one behind a token that has to stand for both.
  const colon = decoded.indexOf(':');
  if (colon < 0) return [decoded];
  return [decoded.slice(0, colon), decoded.slice(colon + 1).replace(/:+$/, '')];
}
