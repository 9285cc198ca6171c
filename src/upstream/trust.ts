/**
 * Which certificates an upstream's chain may end in: the system's and Node's, and the route's own `ca` besides. There is
 * no way to switch the check off.
 */
import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { ProxyError, systemCodeOf } from '../model/errors.js';

/** Oldest TLS spoken upstream. */
export const OLDEST_TLS = 'TLSv1.2';

/**
 * A TLS context that trusts the usual roots and the PEM file `ca`. Undefined without `ca`: Node's default then holds,
 * NODE_EXTRA_CA_CERTS included.
 * @throws ProxyError `upstream-tls` when the file cannot be read or holds no certificate
 */
export function trustContext(ca: string | undefined): SecureContext | undefined {
  if (ca === undefined) return undefined;
  try {
    const own = readFileSync(ca, 'utf8');
    if (!own.includes('-----BEGIN CERTIFICATE-----')) throw new Error('it holds no PEM certificate');
    // A list given here replaces Node's own, so that is put back in, with what the environment adds to it.
    const extra = process.env['NODE_EXTRA_CA_CERTS'];
    const added = extra === undefined || extra === '' ? [] : [readFileSync(extra, 'utf8')];
    return createSecureContext({ ca: [...rootCertificates, ...added, own], minVersion: OLDEST_TLS });
  } catch (thrown) {
    const reason = systemCodeOf(thrown) ?? (thrown instanceof Error ? thrown.message : String(thrown));
    throw new ProxyError('upstream-tls', `The certificate file ${ca} cannot be used (${reason})`, {
      todo: 'check `ca` of the route: a PEM file with one or more certificates',
      cause: thrown,
    });
  }
}
