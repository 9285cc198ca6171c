/**
 * Every access token that this emulator gave out, by whatever door (sign-in service, metadata endpoint, az). A token is recognised by
 * look-up, not by signature: the signature part is noise of the right length.
 */
import { randomBytes, randomUUID } from 'node:crypto';

/** Application id of Azure DevOps, the audience of a token for Azure Repos. */
export const AZURE_DEVOPS = '499b84ac-1321-427f-aa17-267ca6975798';

/** Tenant of everything that was not told otherwise. */
export const DEFAULT_TENANT = '7e57ab1e-0001-4e57-9e57-c0ffee000001';

export interface TokenClaims {
  readonly aud: string;
  readonly iss: string;
  readonly tid: string;
  readonly oid: string;
  readonly appid: string;
  /** Seconds since the epoch, as are nbf and exp. */
  readonly iat: number;
  readonly nbf: number;
  readonly exp: number;
  readonly xms_cc?: readonly string[];
  readonly [other: string]: unknown;
}

export interface TokenOrder {
  readonly clientId?: string;
  readonly tenant?: string;
  readonly audience?: string;
  /** Negative makes a token that has already expired. */
  readonly lifeSeconds?: number;
  /** The token becomes valid only in an hour. */
  readonly notYet?: boolean;
  /** The client declared that it understands claims challenges. */
  readonly cae?: boolean;
  /** For a person, not an application. */
  readonly isPerson?: boolean;
  /** The request carried the answer to a claims challenge. */
  readonly answersChallenge?: boolean;
}

export class TokenBook {
  readonly issued = new Map<string, TokenClaims>();
  readonly revoked = new Set<string>();
  /** Tokens obtained with the answer to a claims challenge. */
  readonly challengeAnswered = new Set<string>();
  /** While true the git hosts let in only tokens obtained with the answer to a claims challenge. */
  requireClaims = false;

  /** Makes a token unlike any other, about 1.5 KB long, and remembers it. */
  issue(order: TokenOrder = {}): { token: string; claims: TokenClaims } {
    const tenant = order.tenant ?? DEFAULT_TENANT;
    const now = Math.floor(Date.now() / 1000);
    const start = order.notYet ? now + 3600 : now;
    const clientId = order.clientId ?? '04b07795-8ddb-461a-bbee-02f9e1bf7b46';
    const claims: TokenClaims = {
      aud: order.audience ?? AZURE_DEVOPS,
      iss: `https://sts.windows.net/${tenant}/`,
      iat: now - 5,
      nbf: start - 5,
      exp: start + (order.lifeSeconds ?? 3600),
      aio: noise(56),
      appid: clientId,
      appidacr: '1',
      idp: `https://sts.windows.net/${tenant}/`,
      idtyp: order.isPerson === true ? 'user' : 'app',
      oid: randomUUID(),
      rh: `1.${noise(60)}`,
      sub: randomUUID(),
      tid: tenant,
      uti: noise(22),
      ver: '1.0',
      xms_rd: noise(120),
      ...(order.cae ? { xms_cc: ['CP1'], xms_ssm: '1' } : {}),
    };
    const kid = noise(27);
    const token = [encode({ typ: 'JWT', alg: 'RS256', x5t: kid, kid }), encode(claims), noise(342)].join('.');
    this.issued.set(token, claims);
    if (order.answersChallenge) this.challengeAnswered.add(token);
    return { token, claims };
  }
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function noise(length: number): string {
  return randomBytes(length).toString('base64url').slice(0, length);
}
