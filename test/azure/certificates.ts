/**
 * The emulator's certificate authority: one root made at start and leaves under it, complete enough (basic constraints, key usage,
 * key identifiers) that OpenSSL, curl and Node all accept them without a switch. Knows nothing of servers.
 */
import 'reflect-metadata';
import { KeyObject, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** DNS names on the certificate of every server; 127.0.0.1 and ::1 come on top. */
export const LEAF_NAMES: readonly string[] = [
  'localhost',
  'dev.azure.com',
  '*.dev.azure.com',
  '*.visualstudio.com',
  ...['vssps', 'pkgs', 'feeds', 'vsrm'].map((service) => `*.${service}.visualstudio.com`),
  'login.microsoftonline.com',
  'login.microsoftonline.us',
  'login.partner.microsoftonline.cn',
  'login.chinacloudapi.cn',
  'login.contoso.example',
  'tfs.example.com',
  'git.example.com',
  'other.example.com',
  'ntlm.example.com',
  '*.blob.core.windows.net',
  '*.vsblob.vsassets.io',
];

/** A certificate with its key, both PEM. */
export interface KeyPairPem {
  readonly key: string;
  readonly cert: string;
}

/** What can be wrong with the certificate that a server shows. */
export type TlsFault = 'expired' | 'not-yet-valid' | 'wrong-host' | 'untrusted';

export interface CertificateSet {
  /** The root, PEM: the only thing a client needs to trust. */
  readonly ca: string;
  readonly good: KeyPairPem;
  readonly faulty: Readonly<Record<TlsFault, KeyPairPem>>;
}

const DAY_MS = 86_400_000;
const EC = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const RSA = { name: 'RSASSA-PKCS1-v1_5', modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' };

type Keys = webcrypto.CryptoKeyPair;

interface Authority {
  readonly name: string;
  readonly keys: Keys;
  readonly certificate: x509.X509Certificate;
}

/** Makes a new root of that name, its good leaf and one leaf for every TLS fault. */
export async function makeCertificates(name = 'Emulator Root'): Promise<CertificateSet> {
  const [root, stranger, keys] = await Promise.all([makeAuthority(name), makeAuthority('Stranger Root'), makeKeys(EC)]);
  const year = { from: -DAY_MS, to: 365 * DAY_MS };
  const [good, expired, notYetValid, wrongHost, untrusted] = await Promise.all([
    makeLeaf(root, keys, LEAF_NAMES, ['127.0.0.1', '::1'], year),
    makeLeaf(root, keys, LEAF_NAMES, ['127.0.0.1', '::1'], { from: -30 * DAY_MS, to: -DAY_MS }),
    makeLeaf(root, keys, LEAF_NAMES, ['127.0.0.1', '::1'], { from: DAY_MS, to: 365 * DAY_MS }),
    makeLeaf(root, keys, ['elsewhere.example.net'], [], year),
    makeLeaf(stranger, keys, LEAF_NAMES, ['127.0.0.1', '::1'], year),
  ]);
  return {
    ca: root.certificate.toString('pem'),
    good,
    faulty: { expired, 'not-yet-valid': notYetValid, 'wrong-host': wrongHost, untrusted },
  };
}

/** Makes a self-signed RSA certificate such as one registered for an Entra application. */
export async function makeClientCertificate(commonName: string): Promise<KeyPairPem> {
  const keys = await makeKeys(RSA);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${commonName}`,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + 365 * DAY_MS),
    signingAlgorithm: RSA,
    keys,
  });
  return { key: privatePem(keys), cert: certificate.toString('pem') };
}

async function makeAuthority(commonName: string): Promise<Authority> {
  const keys = await makeKeys(EC);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${commonName}`,
    notBefore: new Date(Date.now() - 60 * DAY_MS),
    notAfter: new Date(Date.now() + 3650 * DAY_MS),
    signingAlgorithm: EC,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { name: `CN=${commonName}`, keys, certificate };
}

async function makeLeaf(
  authority: Authority,
  keys: Keys,
  names: readonly string[],
  addresses: readonly string[],
  validity: { readonly from: number; readonly to: number },
): Promise<KeyPairPem> {
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: `CN=${names[0] ?? 'localhost'}`,
    issuer: authority.name,
    notBefore: new Date(Date.now() + validity.from),
    notAfter: new Date(Date.now() + validity.to),
    signingAlgorithm: EC,
    publicKey: keys.publicKey,
    signingKey: authority.keys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        ...names.map((value) => ({ type: 'dns' as const, value })),
        ...addresses.map((value) => ({ type: 'ip' as const, value })),
      ]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authority.keys.publicKey),
    ],
  });
  return { key: privatePem(keys), cert: certificate.toString('pem') };
}

async function makeKeys(algorithm: typeof EC | typeof RSA): Promise<Keys> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

function privatePem(keys: Keys): string {
  return KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** Positive and never zero-led: OpenSSL refuses two certificates of one issuer with the same number. */
function serial(): string {
  return `4${randomBytes(15).toString('hex')}`.padEnd(32, '0').slice(0, 32);
}
