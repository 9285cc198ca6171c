/** The action of the admin socket that lists repositories, and how the command line asks for it. */
import { ProxyError } from '../model/errors.js';
import { LONGEST_MS } from '../upstream/repos-api.js';
import { askAction } from './admin.js';
import type { JsonAction } from './admin-json.js';
import type { RepositoryList, ReposDesk } from './repos-desk.js';
import type { ReposWish } from './repos-roads.js';

const LIST = '/repos/list';

/** Besides the list a sign-in, which has a time limit of its own in the daemon. */
const ANSWER_MS = LONGEST_MS + 60_000;

/** `isShared`: others than the owner of the daemon may use the socket. */
export function reposActions(desk: ReposDesk, { isShared }: { readonly isShared: boolean }): ReadonlyMap<string, JsonAction> {
  return new Map<string, JsonAction>([[LIST, (body): Promise<RepositoryList> => desk.list(readWish(body), { isShared })]]);
}

/** Undefined when no daemon answers. @throws what the desk throws */
export async function askRepos(socket: string, wish: ReposWish): Promise<RepositoryList | undefined> {
  return (await askAction(socket, LIST, wish, ANSWER_MS)) as RepositoryList | undefined; // because the same program wrote it
}

function readWish(body: unknown): ReposWish {
  if (typeof body !== 'object' || body === null) throw wrongShape();
  const { account, project, identity } = body as Readonly<Record<string, unknown>>; // an object
  if (typeof account !== 'string' || !isTextOrNone(project) || !isTextOrNone(identity)) throw wrongShape();
  return { account, project, identity };
}

function isTextOrNone(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string';
}

function wrongShape(): ProxyError {
  return new ProxyError('usage', 'The daemon does not understand what was asked', {
    todo: 'use the `postern` of the version that runs (`postern status`)',
  });
}
