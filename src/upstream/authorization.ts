/**
 * Where a credential becomes a header: the last line before the wire, and the only place that reveals one.
 *
 * Source: RFC 6750 section 2.1 (Bearer), RFC 7617 (Basic).
 */
import type { Credential } from '../model/credential.js';

/** The value of the Authorization header, or undefined when the identity adds none. */
export function authorizationOf(credential: Credential): string | undefined {
  switch (credential.kind) {
    case 'bearer':
      return `Bearer ${credential.token.reveal()}`;
    case 'basic':
      return `Basic ${Buffer.from(`${credential.user}:${credential.password.reveal()}`, 'utf8').toString('base64')}`;
    case 'none':
    case 'passthrough':
      return undefined;
  }
}
