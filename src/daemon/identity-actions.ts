/**
 * The actions of the admin socket on sign-ins of people, by their paths, and how the command line asks for them. A daemon that runs
 * keeps what the command line brings it: it may have a key that a terminal has not (a systemd credential), or another user.
 */
import type { Vault } from '../identity/vault.js';
import { Secret } from '../model/secret.js';
import type { KeptLogin, LoginKeeper, LoginLabel, LoginStore } from '../model/sign-in.js';
import { askAction } from './admin.js';
import { asMap, type JsonAction, wrongShape } from './admin-json.js';

const KEEP = '/identities/login';
const FORGET = '/identities/logout';

/** A keyring that has to be asked first takes some seconds. */
const ANSWER_MS = 30_000;

/** What the actions act on. */
export interface LoginHouse {
  readonly vault: Vault;
  readonly logins: LoginStore | undefined;
}

/** What a logout took away. */
export interface Forgotten {
  /** Undefined when there was nothing; empty when what was there did not tell whose it is. */
  readonly login?: Partial<KeptLogin> | undefined;
  /** Tokens that the daemon held. */
  readonly tokens: number;
}

export function identityActions({ vault, logins }: LoginHouse): ReadonlyMap<string, JsonAction> {
  if (logins === undefined) return new Map();
  const letGo = (identity: string): number => (vault.states().some(({ name }) => name === identity) ? vault.forget(identity) : 0);
  return new Map<string, JsonAction>([
    [
      KEEP,
      async (body): Promise<{ keptBy: LoginKeeper | undefined }> => {
        const { identity, text, label } = readKeep(body);
        const kept = await logins.write(identity, { text, label }, undefined);
        letGo(identity);
        return { keptBy: kept?.keptBy };
      },
    ],
    [
      FORGET,
      async (body): Promise<Forgotten> => {
        const identity = text(asMap(body)['identity']);
        // First the store: what is asked for in between finds nobody.
        const login = await logins.forget(identity);
        return { login, tokens: letGo(identity) };
      },
    ],
  ]);
}

/* Each gives undefined when no daemon answers. */

/** @throws ProxyError `state-unusable`, `login-unreadable` */
export async function askKeep(
  socket: string,
  identity: string,
  { text, label }: { readonly text: Secret; readonly label: LoginLabel },
): Promise<{ readonly keptBy: LoginKeeper | undefined } | undefined> {
  const body = { identity, text: text.reveal(), label };
  return (await askAction(socket, KEEP, body, ANSWER_MS)) as { keptBy: LoginKeeper | undefined } | undefined; // because the same program wrote it
}

/** @throws ProxyError `state-unusable` */
export async function askForget(socket: string, identity: string): Promise<Forgotten | undefined> {
  return (await askAction(socket, FORGET, { identity }, ANSWER_MS)) as Forgotten | undefined; // because the same program wrote it
}

function readKeep(body: unknown): { identity: string; text: Secret; label: LoginLabel } {
  const map = asMap(body);
  const { account, tenant, signedInAt } = asMap(map['label']);
  const since = new Date(text(signedInAt));
  if (isNaN(since.getTime())) throw wrongShape();
  return {
    identity: text(map['identity']),
    text: new Secret(text(map['text'])),
    label: { account: text(account), tenant: text(tenant), signedInAt: since },
  };
}

function text(raw: unknown): string {
  if (typeof raw !== 'string' || raw === '') throw wrongShape();
  return raw;
}
