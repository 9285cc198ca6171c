/**
 * Whether an application has proved who it is: by its secret, by a JWT signed with its registered certificate (RFC 7523; PS256 as MSAL
 * makes it, or RS256), or by the token of another issuer that a federated credential names.
 */
import { constants, verify, X509Certificate } from 'node:crypto';
import type { StsFailure } from './sts-answers.js';

export interface ClientRegistration {
  readonly secret?: string;
  /** The registered secret is right, but its time is over. */
  readonly secretExpired?: boolean;
  /** The certificate, PEM; anything else in the text is ignored. */
  readonly certificatePem?: string;
  readonly federated?: FederatedCredential;
}

export interface FederatedCredential {
  readonly issuer: string;
  readonly subject: string;
  readonly audience: string;
}

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** Checks a client-credentials request; undefined means proved. `authority` is the tenant's base address. */
export function proveClient(form: URLSearchParams, client: ClientRegistration | undefined, authority: string): StsFailure | undefined {
  const clientId = form.get('client_id') ?? '';
  if (!client) return { aadsts: 700016, detail: clientId };
  const secret = form.get('client_secret');
  const assertion = form.get('client_assertion');
  if (secret !== null) {
    if (secret !== client.secret) return { aadsts: 7000215, detail: clientId };
    return client.secretExpired ? { aadsts: 7000222, detail: clientId } : undefined;
  }
  if (assertion === null || form.get('client_assertion_type') !== JWT_BEARER) return { aadsts: 7000216 };
  const token = readJwt(assertion);
  if (!token) return { aadsts: 50027 };
  if (client.federated && token.claims['iss'] !== clientId) return proveFederated(token, client.federated);
  if (client.certificatePem === undefined) return { aadsts: 700027 };
  return proveCertificate(token, client.certificatePem, clientId, authority);
}

interface Jwt {
  readonly header: Readonly<Record<string, unknown>>;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly signed: Buffer;
  readonly signature: Buffer;
}

function proveFederated(token: Jwt, expected: FederatedCredential): StsFailure | undefined {
  const { iss, sub, aud } = token.claims;
  if (iss !== expected.issuer) return { aadsts: 700211, detail: String(iss) };
  if (aud !== expected.audience) return { aadsts: 700212, detail: String(aud) };
  if (sub !== expected.subject) return { aadsts: 700213, detail: String(sub) };
  return checkTime(token);
}

function proveCertificate(token: Jwt, pem: string, clientId: string, authority: string): StsFailure | undefined {
  const certificate = new X509Certificate(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(pem)?.[0] ?? pem);
  const key = certificate.publicKey;
  const pss = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
  const alg = token.header['alg'];
  const genuine =
    alg === 'PS256' ? verify('sha256', token.signed, pss, token.signature) : verify('sha256', token.signed, key, token.signature);
  if (!genuine || (alg !== 'PS256' && alg !== 'RS256')) {
    return { aadsts: 700027, detail: `[Reason - The key was not found., Thumbprint of key used by client: '${thumbprint(token)}']` };
  }
  if (token.claims['iss'] !== clientId || token.claims['sub'] !== clientId)
    return { aadsts: 700027, detail: 'Issuer and subject must be the client.' };
  if (!String(token.claims['aud']).startsWith(authority)) return { aadsts: 700027, detail: 'The audience is not this endpoint.' };
  return checkTime(token);
}

function checkTime(token: Jwt): StsFailure | undefined {
  const now = Math.floor(Date.now() / 1000);
  const { exp, nbf } = token.claims;
  const over = typeof exp !== 'number' || exp <= now;
  if (!over && !(typeof nbf === 'number' && nbf > now + 300)) return undefined;
  return { aadsts: 700024, detail: `Current time: ${new Date(now * 1000).toISOString()}, expiry time of assertion: ${String(exp)}.` };
}

function thumbprint(token: Jwt): string {
  const { x5t } = token.header;
  return typeof x5t === 'string' ? Buffer.from(x5t, 'base64url').toString('hex').toUpperCase() : '';
}

function readJwt(text: string): Jwt | undefined {
  const [header = '', claims = '', signature = ''] = text.trim().split('.');
  try {
    return {
      header: parseRecord(header),
      claims: parseRecord(claims),
      signed: Buffer.from(`${header}.${claims}`),
      signature: Buffer.from(signature, 'base64url'),
    };
  } catch {
    // Not a JWT: the caller says so in Entra's words.
    return undefined;
  }
}

/** @throws SyntaxError when the part is not an object in JSON */
function parseRecord(part: string): Readonly<Record<string, unknown>> {
  const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
  if (typeof value !== 'object' || value === null) throw new SyntaxError('Not an object');
  return { ...value };
}
