/** What an ssh-agent holds, as a person has to see it: which key is which, who may use it, and whether Azure would take it. */
import type { Route } from '../../model/settings.js';
import { AgentFault, type HeldKey, heldKeys } from '../../ssh/agent-socket.js';
import { chooseKey } from '../../ssh/agent-keys.js';
import { fingerprintOf } from '../../ssh/known-hosts.js';

/** A person waits for it. */
const LONGEST_ANSWER_MS = 5_000;
const RSA = 'ssh-rsa';
/** A route without `key` uses the only key of one of these types; the others cannot sign in through Postern. */
const USABLE: readonly string[] = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', RSA];

export interface ShownKey {
  /** `SHA256:` and base64 without padding. */
  readonly fingerprint: string;
  /** `ssh-rsa`, `ssh-ed25519`, ... */
  readonly type: string;
  /** Undefined where the type tells all there is to tell. */
  readonly bits: number | undefined;
  readonly comment: string;
  /** Whether Azure DevOps Services takes such keys: RSA only ("Use SSH key authentication"). */
  readonly isForAzure: boolean;
  /** The `match` of the routes that offer it. */
  readonly routes: readonly string[];
}

type AgentRoute = Pick<Route, 'match' | 'ssh'>;

/**
 * The keys in the agent at a socket, in its order. `routes` are those that ask this agent.
 * @throws ProxyError `agent-unavailable`
 */
export async function shownKeys(socket: string, routes: readonly AgentRoute[]): Promise<ShownKey[]> {
  const held = await heldKeys({ socket, timeoutMs: LONGEST_ANSWER_MS }).catch(async (thrown: unknown) => {
    // In the words that a route's user gets; it asks once more.
    if (thrown instanceof AgentFault) await chooseKey({ socket, key: undefined }, undefined);
    throw thrown;
  });
  const only = held.filter(({ type }) => USABLE.includes(type));
  return held.map((key) => {
    const fingerprint = fingerprintOf(key.blob);
    const isOnly = only.length === 1 && only[0] === key;
    return {
      fingerprint,
      type: key.type,
      bits: bitsOf(key),
      comment: key.comment,
      isForAzure: key.type === RSA,
      routes: routes.filter((route) => USABLE.includes(key.type) && isOffered(route, fingerprint, isOnly)).map(({ match }) => match),
    };
  });
}

/** Routes that name a key which is none of those. */
export function routesWithout(keys: readonly ShownKey[], routes: readonly AgentRoute[]): { match: string; key: string }[] {
  return routes.flatMap(({ match, ssh }) => {
    const key = ssh.kind === 'agent' ? ssh.key : undefined;
    return key === undefined || keys.some(({ fingerprint }) => fingerprint === key) ? [] : [{ match, key }];
  });
}

/** `RSA 4096`, `ED25519`. */
export function typeText(type: string, bits: number | undefined): string {
  const name = type
    .replace(/^ssh-/, '')
    .replace(/@openssh\.com$/, '')
    .toUpperCase();
  return bits === undefined ? name : `${name} ${bits}`;
}

/** Bits of an RSA key's modulus (RFC 4253 section 6.6: type, exponent, modulus). */
export function bitsOf({ type, blob }: Pick<HeldKey, 'type' | 'blob'>): number | undefined {
  if (type !== RSA) return undefined;
  let at = 0;
  let field: Buffer = Buffer.alloc(0);
  for (let index = 0; index < 3; index += 1) {
    if (at + 4 > blob.length) return undefined;
    const end = at + 4 + blob.readUInt32BE(at);
    field = blob.subarray(at + 4, end);
    at = end;
  }
  const first = field.findIndex((byte) => byte !== 0);
  return first === -1 ? undefined : (field.length - first) * 8 - Math.clz32(field[first] ?? 0) + 24;
}

function isOffered({ ssh }: AgentRoute, fingerprint: string, isOnly: boolean): boolean {
  if (ssh.kind !== 'agent') return false;
  return ssh.key === undefined ? isOnly : ssh.key === fingerprint;
}
