/**
 * Every access token that this emulator gave out, by whatever door (sign-in service, metadata endpoint, az). A token is recognised by
 * look-up, not by signature: the signature part is noise of the right length.
 */
import { createHash, randomBytes } from 'node:crypto';

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
  /** Claims request that the token was asked for with, JSON (OpenID Connect Core 1.0 section 5.5). */
  readonly claimsRequest?: string;
  /** Name of the person who is signed in; none for an application. */
  readonly account?: string;
  /** Claims besides and instead of those of an app: whose token it is. */
  readonly subject?: Readonly<Record<string, unknown>>;
}

/** Claims that a token must have been asked for with, by name: `nbf` not before that second, any other with that very value. */
export type ClaimsDemand = Readonly<Record<string, string>>;

export class TokenBook {
  readonly issued = new Map<string, TokenClaims>();
  readonly revoked = new Set<string>();
  /** Values of the claims that a token was asked for with, by name; a token that is not here was asked for without any. */
  readonly #asked = new Map<string, ReadonlyMap<string, string>>();
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
      idtyp: 'app',
      oid: objectId(order.account ?? clientId, tenant),
      rh: `1.${noise(60)}`,
      sub: objectId(`sub ${order.account ?? clientId}`, tenant),
      tid: tenant,
      uti: noise(22),
      ver: '1.0',
      xms_rd: noise(120),
      ...(order.account === undefined ? {} : { upn: order.account, idtyp: 'user' }),
      ...(order.cae ? { xms_cc: ['CP1'], xms_ssm: '1' } : {}),
      ...order.subject,
    };
    const kid = noise(27);
    const token = [encode({ typ: 'JWT', alg: 'RS256', x5t: kid, kid }), encode(claims), noise(342)].join('.');
    this.issued.set(token, claims);
    const asked = readClaimsRequest(order.claimsRequest);
    if (asked.size > 0) this.#asked.set(token, asked);
    return { token, claims };
  }

  /** Whether a token was asked for with these claims; without a demand: with any. */
  satisfies(token: string, demand: ClaimsDemand | undefined): boolean {
    const asked = this.#asked.get(token);
    if (asked === undefined) return false;
    return Object.entries(demand ?? {}).every(([name, wanted]) => {
      const value = asked.get(name);
      return value !== undefined && (name === 'nbf' ? Number(value) >= Number(wanted) : value === wanted);
    });
  }
}

/** The object id of an account or application in a tenant, always the same. */
export function objectId(name: string, tenant: string): string {
  const hex = createHash('sha256').update(`${tenant} ${name}`).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join('-');
}

/** What is asked of the access token, without the client's own capabilities. */
function readClaimsRequest(text: string | undefined): ReadonlyMap<string, string> {
  if (text === undefined || text === '') return new Map();
  const { access_token: wanted } = JSON.parse(text) as { access_token?: Record<string, { value?: string } | null> }; // as the library writes it
  return new Map(Object.entries(wanted ?? {}).flatMap(([name, each]) => (name === 'xms_cc' ? [] : [[name, each?.value ?? ''] as const])));
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString('base64url');
}

function noise(length: number): string {
  return randomBytes(length).toString('base64url').slice(0, length);
}
