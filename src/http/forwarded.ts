/** Whether a request was passed on by something that stands between its sender and this door. */
import type { IncomingMessage } from 'node:http';

/**
 * The name of a header of those who pass requests on for others, if a request has one: then the peer is not who asks.
 *
 * Source: RFC 9110 section 7.6.3 (Via), RFC 7239 (Forwarded), and the custom before it.
 */
export function forwardedBy(request: IncomingMessage): string | undefined {
  return Object.keys(request.headersDistinct).find(
    (name) => name === 'via' || name === 'forwarded' || name === 'x-real-ip' || name.startsWith('x-forwarded'),
  );
}
