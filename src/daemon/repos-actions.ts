/** The action of the admin socket that lists repositories, and how the command line asks for it. */
import { LONGEST_MS } from '../upstream/repos-api.js';
import { askAction } from './admin.js';
import { asMap, type JsonAction, text, wrongShape } from './admin-json.js';
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
  const { account, project, identity } = asMap(body);
  if (typeof account !== 'string') throw wrongShape();
  return { account, project: text(project), identity: text(identity) };
}
