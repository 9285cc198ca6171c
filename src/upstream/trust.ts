/**
 * Which certificates an upstream's chain may end in: the system's and Node's, and the route's own `ca` besides. There is
 * no way to switch the check off.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';

/** Oldest TLS spoken upstream. */
export const OLDEST_TLS = 'TLSv1.2';

/** Authorities of routes and identities are few; a file that is renewed again and again leaves no more than this behind. */
const MOST_KEPT = 16;
/** Contexts by what they trust. To make one, every public root is parsed, which takes some 20 ms; those of one text are alike. */
const kept = new Map<string, SecureContext>();

/**
 * A TLS context that trusts the usual roots and the PEM file `ca`. Undefined without `ca`: Node's default then holds,
 * NODE_EXTRA_CA_CERTS included.
 * @param of whose `ca` it is, for texts
 * @throws ProxyError `upstream-tls` when the file cannot be read or holds no certificate
 */
export function trustContext(ca: string | undefined, of: 'route' | 'identity' = 'route'): SecureContext | undefined {
  if (ca === undefined) return undefined;
  // A list given here replaces Node's own, so that is put back in, with what the environment adds to it.
  const extra = process.env['NODE_EXTRA_CA_CERTS'];
  const added = extra === undefined || extra === '' ? [] : [certificates(extra, 'NODE_EXTRA_CA_CERTS')];
  const own = certificates(ca, `\`ca\` of the ${of}`);
  // The files were read just now: one that was changed has another key.
  const key = createHash('sha256')
    .update(JSON.stringify([...added, own]))
    .digest('hex');
  const known = kept.get(key);
  if (known !== undefined) return known;
  try {
    const context = createSecureContext({ ca: [...rootCertificates, ...added, own], minVersion: OLDEST_TLS });
    const [oldest] = kept.keys();
    if (kept.size >= MOST_KEPT && oldest !== undefined) kept.delete(oldest);
    kept.set(key, context);
    return context;
  } catch (thrown) {
    throw unusable(ca, `\`ca\` of the ${of}`, thrown);
  }
}

function certificates(file: string, setting: string): string {
  try {
    const text = readFileSync(file, 'utf8');
    if (!text.includes('-----BEGIN CERTIFICATE-----')) throw new Error('it holds no PEM certificate');
    return text;
  } catch (thrown) {
    throw unusable(file, setting, thrown);
  }
}

function unusable(file: string, setting: string, thrown: unknown): ProxyError {
  return new ProxyError('upstream-tls', `The certificate file ${file} cannot be used (${systemCodeOf(thrown) ?? messageOf(thrown)})`, {
    todo: `check ${setting}: a PEM file with one or more certificates, readable by the daemon`,
    cause: thrown,
  });
}
