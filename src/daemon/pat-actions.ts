/** The actions of the admin socket about personal access tokens, by their paths, and how the command line asks for them. */
import { ProxyError } from '../model/errors.js';
import { askAction } from './admin.js';
import { asMap, type JsonAction, text, wrongShape } from './admin-json.js';
import type { PatDesk, PatWhere, PatWish } from './pat-desk.js';

const CREATE = '/pats/create';
const LIST = '/pats/list';
const REVOKE = '/pats/revoke';

/** A sign-in and several requests to Azure DevOps, each with a time limit of its own in the daemon. */
const ANSWER_MS = 180_000;
/** authorizationId, a GUID. */
const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A token as it is listed; `expiresAt` an ISO text. */
export interface ListedPat {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresAt: string;
  readonly isGlobal?: boolean | undefined;
}

/** A token that was made, and itself. */
export interface HandedPat extends ListedPat {
  readonly token: string;
  readonly organization: string;
  /** Identity of its owner. */
  readonly identity: string;
}

/**
 * `isShared`: others than the owner of the daemon may use the socket. They can let a route be used, and end what was given out; a
 * token of its own would open more, past all routes.
 */
export function patActions(desk: PatDesk, { isShared }: { readonly isShared: boolean }): ReadonlyMap<string, JsonAction> {
  return new Map<string, JsonAction>([
    [
      CREATE,
      async (body): Promise<HandedPat> => {
        if (isShared) {
          throw new ProxyError(
            'usage',
            'The daemon of the system makes no personal access tokens: all who may use its admin socket would have them',
            {
              todo: 'run a daemon of your own (`postern start`) with an identity by which you sign in',
            },
          );
        }
        const made = await desk.create(readWish(asMap(body)));
        const { token, organisation: organization, identity, id, name, scopes, expiresAt } = made;
        return { token: token.reveal(), organization, identity, id, name, scopes, expiresAt: expiresAt.toISOString() };
      },
    ],
    [
      LIST,
      async (body): Promise<ListedPat[]> =>
        (await desk.list(readWhere(asMap(body)))).map((pat) => ({ ...pat, expiresAt: pat.expiresAt.toISOString() })),
    ],
    [
      REVOKE,
      async (body) => {
        const map = asMap(body);
        const { id } = map;
        if (typeof id !== 'string' || !ID.test(id)) throw wrongShape();
        return { organization: (await desk.revoke(id, readWhere(map))).organisation };
      },
    ],
  ]);
}

/** Whether a text can name a token. */
export function isPatId(text: string): boolean {
  return ID.test(text);
}

/* Each gives undefined when no daemon answers, and throws what the desk throws. */

export async function askCreatePat(socket: string, wish: PatWish): Promise<HandedPat | undefined> {
  return (await askAction(socket, CREATE, wish, ANSWER_MS)) as HandedPat | undefined; // because the same program wrote it, here and below
}

export async function askListPats(socket: string, where: PatWhere): Promise<readonly ListedPat[] | undefined> {
  return (await askAction(socket, LIST, where, ANSWER_MS)) as readonly ListedPat[] | undefined;
}

export async function askRevokePat(socket: string, id: string, where: PatWhere): Promise<{ readonly organization: string } | undefined> {
  return (await askAction(socket, REVOKE, { id, ...where }, ANSWER_MS)) as { readonly organization: string } | undefined;
}

function readWish(map: Readonly<Record<string, unknown>>): PatWish {
  const { name, scopes, forMs } = map;
  if (!Array.isArray(scopes) || !scopes.every((each) => typeof each === 'string') || typeof forMs !== 'number') throw wrongShape();
  return { ...readWhere(map), name: text(name), scopes, forMs };
}

function readWhere({ organisation, identity }: Readonly<Record<string, unknown>>): PatWhere {
  return { organisation: text(organisation), identity: text(identity) };
}
