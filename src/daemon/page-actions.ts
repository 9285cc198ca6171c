/**
 * The actions of the admin socket by which `postern dashboard` has the status page opened. Whoever may open the socket may see the
 * status anyway; a code lets the same person see it in a browser.
 */
import type { CodeEnd, PageSessions } from '../gate/page-sessions.js';
import { CODE_MS } from '../gate/page-sessions.js';
import type { BoundAddress } from '../http/door-listeners.js';
import { PAGE_PATH } from '../http/page-requests.js';
import { ProxyError } from '../model/errors.js';
import { Secret } from '../model/secret.js';
import { askAction } from './admin.js';
import { asMap, type JsonAction, text, wrongShape } from './admin-json.js';

const GIVE = '/page/code';
const ENDED = '/page/code/ended';
/** What the daemon waits for, and a busy machine's answer. */
const ENDED_MS = CODE_MS + 30_000;

/** A code for the status page, and where it goes. */
export interface PageCode {
  readonly id: string;
  readonly code: Secret;
  /** Of the page: `http://127.0.0.1:8417/-/`. */
  readonly address: string;
}

/** What the actions act on. */
export interface PageHouse {
  readonly pageSessions: PageSessions;
  readonly door: { readonly bound: readonly BoundAddress[] };
}

export function pageActions({ pageSessions, door }: PageHouse): ReadonlyMap<string, JsonAction> {
  return new Map<string, JsonAction>([
    [
      GIVE,
      (body) => {
        const { uid } = asMap(body);
        // Only what its owner may do with it depends on this: the door asks the kernel.
        if (typeof uid !== 'number' || !Number.isSafeInteger(uid) || uid < 0) throw wrongShape();
        const address = pageAddress(door.bound);
        const { id, code } = pageSessions.give({ uid, host: address.host });
        return { id, code: code.reveal(), address: `${address.origin}${PAGE_PATH}` };
      },
    ],
    [ENDED, async (body): Promise<{ end: CodeEnd }> => ({ end: await pageSessions.ended(text(asMap(body)['id']) ?? '') })],
  ]);
}

/** The loopback address of a listener by which a browser of this machine reaches the page: without TLS where there is a choice. */
function pageAddress(bound: readonly BoundAddress[]): URL {
  const rows = bound.flatMap(({ scheme, host, port }) => {
    const own = LOOPBACK.get(host);
    return own === undefined ? [] : [{ scheme, url: new URL(`${scheme}://${own}:${port}`) }];
  });
  const found = rows.find(({ scheme }) => scheme === 'http') ?? rows[0];
  if (found !== undefined) return found.url;
  throw new ProxyError('usage', 'The HTTP door listens on no address of this machine alone, and the status page is shown at those only', {
    todo: 'add 127.0.0.1 with a port to `listen.http`, or use `postern status --watch`',
  });
}

/** What a listener on each of these is called from this machine. */
const LOOPBACK: ReadonlyMap<string, string> = new Map([
  ['127.0.0.1', '127.0.0.1'],
  ['0.0.0.0', '127.0.0.1'],
  ['localhost', '127.0.0.1'],
  ['::1', '[::1]'],
  ['::', '[::1]'],
]);

/* Each gives undefined when no daemon answers. */

/** @throws ProxyError `usage` where the page cannot be shown */
export async function askPageCode(socket: string, uid: number): Promise<PageCode | undefined> {
  const answer = (await askAction(socket, GIVE, { uid })) as { id: string; code: string; address: string } | undefined; // because the same program wrote it
  return answer === undefined ? undefined : { ...answer, code: new Secret(answer.code) };
}

/** Waits until a code has come to its end. `signal`: gives up waiting, which throws. */
export async function askCodeEnd(socket: string, id: string, signal: AbortSignal): Promise<CodeEnd | undefined> {
  const answer = (await askAction(socket, ENDED, { id }, ENDED_MS, signal)) as { end: CodeEnd } | undefined; // because the same program wrote it
  return answer?.end;
}
