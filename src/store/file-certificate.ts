/**
 * A certificate that somebody else keeps fresh: PEM files named by the configuration. They are read as they are, checked to be a
 * pair that TLS can use, and never written.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import type { DoorCertificate } from '../model/ports.js';
import { Secret } from '../model/secret.js';

export interface FileCertificate extends DoorCertificate {
  readonly expiresAt: Date;
}

/**
 * Reads both files. The certificate's file holds the chain, the door's own certificate first.
 * @throws ProxyError `certificate-unusable` for a file that cannot be read, is no PEM, has another key, or has
 *   expired: no client would accept it
 */
export async function fileCertificate(
  files: { readonly certificate: string; readonly key: string },
  now: number,
): Promise<FileCertificate> {
  const certificate = await read(files.certificate, 'listen.http.tls.certificate');
  const key = await read(files.key, 'listen.http.tls.key');
  const first = parsed(
    files.certificate,
    'listen.http.tls.certificate',
    'holds no PEM certificate',
    () => new X509Certificate(certificate),
  );
  const privateKey = parsed(files.key, 'listen.http.tls.key', 'holds no PEM key without passphrase', () => createPrivateKey(key));
  if (!first.checkPrivateKey(privateKey)) {
    throw unusable(
      `The key ${files.key} does not belong to the first certificate of ${files.certificate}`,
      'name the two files that belong together',
    );
  }
  parsed(files.certificate, 'listen.http.tls.certificate', 'cannot be used for TLS', () => createSecureContext({ cert: certificate, key }));
  if (Date.parse(first.validTo) <= now)
    throw unusable(`The certificate ${files.certificate} has expired (${new Date(first.validTo).toISOString()})`, 'have it renewed');
  return { certificate, key: new Secret(key), expiresAt: new Date(first.validTo) };
}

async function read(file: string, setting: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (thrown) {
    throw unusable(
      `${file} cannot be read (${systemCodeOf(thrown) ?? messageOf(thrown)})`,
      `correct \`${setting}\`, or the rights of the file`,
    );
  }
}

function parsed<Value>(file: string, setting: string, what: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (thrown) {
    // Of the fault only its code is said: OpenSSL's words mean nothing to most, and the file is a key.
    throw unusable(`${file} ${what} (${systemCodeOf(thrown) ?? 'not PEM'})`, `correct the file, or \`${setting}\``);
  }
}

function unusable(what: string, todo: string): ProxyError {
  return new ProxyError('certificate-unusable', what, { todo });
}
