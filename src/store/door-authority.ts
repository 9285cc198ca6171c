/**
 * Makes the certificates of the HTTP door: an authority of this daemon's own, and a leaf under it. Only makes them; which are
 * needed, and where they are kept, is in door-certificates.ts, which loads this file when one has to be made and not before.
 *
 * The authority may sign for the door's own names and for nothing else (RFC 5280 section 4.2.1.10): who steals its key and finds
 * it in somebody's list of trusted authorities can be no other host with it. Git's libcurl accepts that with OpenSSL and with
 * GnuTLS.
 */
import 'reflect-metadata';
import { createHash, createPrivateKey, createPublicKey, KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { writeNameConstraints } from './name-constraints.js';

/** The names and addresses of a door: DNS names in lower case, IP literals in their shortest form. */
export type DoorNames = readonly string[];

/** Of a certificate that is to be made, ms since the epoch. */
export interface Validity {
  readonly from: number;
  readonly to: number;
}

const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const NAME_CONSTRAINTS = '2.5.29.30';

/** A new private key, PEM. */
export async function makeKey(): Promise<string> {
  const keys = await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify']);
  return pemOf(keys.privateKey);
}

/** The authority's own certificate for a key, PEM. */
export async function makeAuthority(key: string, names: DoorNames, validity: Validity): Promise<string> {
  const keys = await keysOf(key);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=Postern door ${fingerprint(key)}`,
    notBefore: new Date(validity.from),
    notAfter: new Date(validity.to),
    signingAlgorithm: EC,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      new Extension(NAME_CONSTRAINTS, true, writeNameConstraints(names)),
    ],
  });
  return certificate.toString('pem');
}

/** A certificate for a server under all of these names, with a new key of its own; both PEM. */
export async function makeLeaf(
  authority: { readonly key: string; readonly certificate: string },
  names: DoorNames,
  validity: Validity,
): Promise<{ key: string; certificate: string }> {
  const [issuer, keys] = [await keysOf(authority.key), await webcrypto.subtle.generateKey(EC, true, ['sign', 'verify'])];
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: 'CN=localhost',
    issuer: new X509Certificate(authority.certificate).subject,
    notBefore: new Date(validity.from),
    notAfter: new Date(validity.to),
    signingAlgorithm: EC,
    publicKey: keys.publicKey,
    signingKey: issuer.privateKey,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new SubjectAlternativeNameExtension(names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return { key: pemOf(keys.privateKey), certificate: certificate.toString('pem') };
}

async function keysOf(key: string): Promise<webcrypto.CryptoKeyPair> {
  const privateKey = createPrivateKey(key);
  const [pkcs8, spki] = [
    privateKey.export({ type: 'pkcs8', format: 'der' }),
    createPublicKey(privateKey).export({ type: 'spki', format: 'der' }),
  ];
  return {
    privateKey: await webcrypto.subtle.importKey('pkcs8', pkcs8, EC, true, ['sign']),
    publicKey: await webcrypto.subtle.importKey('spki', spki, EC, true, ['verify']),
  };
}

function pemOf(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Tells two authorities apart that stand in one file: an issuer is looked up by its name first. */
function fingerprint(key: string): string {
  const spki = createPublicKey(createPrivateKey(key)).export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(spki).digest('hex').slice(0, 12);
}

/** Positive and never zero-led (RFC 5280 section 4.1.2.2). */
function serial(): string {
  return `4${randomBytes(16).toString('hex').slice(1)}`;
}
