/** A sign-in service behind the port, which answers as it is told; for people's sign-ins. */
import { DEFAULT_CLIENT, type PersonIdentity } from '../../../src/identity/login-record.js';
import type { SendSignIn, SignInAnswer, SignInRequest } from '../../../src/model/sign-in.js';

export const TENANT = '7e57ab1e-0001-4e57-9e57-c0ffee000001';
export const IDENTITY: PersonIdentity = {
  kind: 'device-code',
  name: 'me',
  tenant: TENANT,
  clientId: undefined,
  authority: 'https://login.example.com',
  resource: 'resource',
  ca: undefined,
  proxy: undefined,
  user: undefined,
};
export const PLACE = { identity: IDENTITY, authority: 'https://login.example.com', tenant: TENANT, now: () => Date.now() };
const BASE = `https://login.example.com/${TENANT}`;
const discovery = (base: string): object => ({
  issuer: `${base}/v2.0`,
  token_endpoint: `${base}/oauth2/v2.0/token`,
  authorization_endpoint: `${base}/oauth2/v2.0/authorize`,
  jwks_uri: `${base}/keys`,
  device_authorization_endpoint: `${base}/oauth2/v2.0/devicecode`,
});
const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
const idToken = (more: object = {}): string =>
  `${encode({ alg: 'none' })}.${encode({ aud: DEFAULT_CLIENT, iss: `${BASE}/v2.0`, oid: 'oid', sub: 'sub', tid: TENANT, preferred_username: 'dana@example.com', ...more })}.`;
export const TOKENS = {
  token_type: 'Bearer',
  expires_in: 3600,
  access_token: 'an-access-token',
  refresh_token: 'a-refresh-token',
  scope: 'resource/.default',
  id_token: idToken(),
  client_info: encode({ uid: 'oid', utid: TENANT }),
};

export type Answer = { readonly status?: number; readonly body: object | string } | Error;

/** A service that answers each token request with the next of these. */
export function service(
  answers: Answer[],
  device: object = { device_code: 'dc', user_code: 'UC', verification_uri: 'https://x/', expires_in: 900, interval: 2 },
) {
  const asked: SignInRequest[] = [];
  const send: SendSignIn = (request) => {
    asked.push(request);
    const { pathname } = request.url;
    const reply = (status: number, body: object | string): Promise<SignInAnswer> =>
      Promise.resolve({ status, headers: {}, body: typeof body === 'string' ? body : JSON.stringify(body) });
    if (pathname.endsWith('openid-configuration'))
      return reply(200, discovery(`https://login.example.com/${pathname.split('/')[1] ?? ''}`));
    if (pathname.endsWith('/devicecode')) return reply(200, device);
    const next = answers.shift() ?? { status: 400, body: { error: 'authorization_pending' } };
    return next instanceof Error ? Promise.reject(next) : reply(next.status ?? 200, next.body);
  };
  return { send, asked };
}

export const PENDING = { status: 400, body: { error: 'authorization_pending' } };
export const label = { account: 'dana@example.com', tenant: TENANT, signedInAt: new Date(0) };
