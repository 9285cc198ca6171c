/**
 * Sign-ins of a person, as little as MSAL needs: the device-code flow (RFC 8628) and refresh tokens.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import type { StsFailure } from './sts-answers.js';

export class UserGrants {
  /** Whether the person has entered the code: until then polling is told to wait. */
  deviceApproved = true;
  readonly #devices = new Set<string>();
  readonly #refreshTokens = new Set<string>();

  /** The answer of the device-code endpoint. */
  startDevice(form: URLSearchParams, origin: string): object {
    const code = randomBytes(30).toString('base64url');
    this.#devices.add(code);
    const userCode = randomBytes(5).toString('hex').slice(0, 9).toUpperCase();
    const message = `To sign in, use a web browser to open the page ${origin}/devicelogin and enter the code ${userCode} to authenticate.`;
    return {
      user_code: userCode,
      device_code: code,
      verification_uri: `${origin}/devicelogin`,
      expires_in: 900,
      interval: 1,
      message,
      client_id: form.get('client_id') ?? undefined,
    };
  }

  /** Undefined means that the person is signed in. */
  check(grant: string, form: URLSearchParams): StsFailure | undefined {
    if (grant === 'refresh_token') {
      return this.#refreshTokens.has(form.get('refresh_token') ?? '') ? undefined : { aadsts: 700082 };
    }
    if (grant === 'device_code' || grant === 'urn:ietf:params:oauth:grant-type:device_code') {
      const code = form.get('device_code') ?? '';
      if (!this.#devices.has(code)) return { aadsts: 70019 };
      if (!this.deviceApproved) return { aadsts: 70016 };
      this.#devices.delete(code);
      return undefined;
    }
    return { aadsts: 70003, detail: grant };
  }

  /** What comes with the access token of a person. */
  companions(clientId: string, tenant: string, scope: string, origin: string): object {
    const refreshToken = `1.${randomBytes(400).toString('base64url')}`;
    this.#refreshTokens.add(refreshToken);
    const now = Math.floor(Date.now() / 1000);
    const person = randomUUID();
    const claims = {
      aud: clientId,
      iss: `${origin}/${tenant}/v2.0`,
      iat: now,
      nbf: now,
      exp: now + 3600,
      name: 'Dana Example',
      preferred_username: 'dana@example.com',
      oid: person,
      sub: person,
      tid: tenant,
      ver: '2.0',
    };
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    return {
      scope,
      refresh_token: refreshToken,
      id_token: `${encode({ typ: 'JWT', alg: 'none' })}.${encode(claims)}.`,
      client_info: encode({ uid: person, utid: tenant }),
    };
  }
}
