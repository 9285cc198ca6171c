/**
 * What a browser may ask of the status page, and how a browser that was not led elsewhere asks for it. A browser tells with each
 * request what began it (Fetch Metadata), and no script can change that: a page of another site, or of another port of this
 * machine, shows itself there whatever it does. A browser that tells nothing is too old to be served.
 *
 * No host name begins with `-`, so nothing below `/-/` can be the address of a repository.
 *
 * Source: Fetch Metadata Request Headers, section 2; Fetch Standard, "Origin header"; RFC 6265bis section 5.2 for SameSite.
 */
import type { IncomingMessage } from 'node:http';
import type { Refusal } from '../model/refusal.js';

export const PAGE_PATH = '/-/';
/** Where the code goes. */
export const CODE_PATH = `${PAGE_PATH}open`;

interface Expected {
  readonly method: 'GET' | 'POST';
  readonly mode: readonly string[];
  readonly dest: string;
  /** Who may have begun it; any, where the code alone counts. */
  readonly site: readonly string[];
  /** What the Origin header may be; none at all where it is undefined. */
  readonly origin?: 'null' | 'own';
}

/** What a page of ours loads: the same in every browser. */
const PART = { method: 'GET', site: ['same-origin'], origin: 'own' } as const;

/**
 * All that there is. The code comes from a file, whose origin is `null` and which is of no site. The page itself is moved to from
 * there on (`same-origin`), or opened anew by whoever sits there (`none`).
 */
export const PAGE_REQUESTS: ReadonlyMap<string, Expected> = new Map<string, Expected>([
  [CODE_PATH, { method: 'POST', mode: ['navigate'], dest: 'document', site: ['cross-site', 'none'], origin: 'null' }],
  [PAGE_PATH, { method: 'GET', mode: ['navigate'], dest: 'document', site: ['same-origin', 'none'] }],
  [`${PAGE_PATH}page.css`, { ...PART, mode: ['no-cors'], dest: 'style' }],
  [`${PAGE_PATH}page.js`, { ...PART, mode: ['cors', 'same-origin'], dest: 'script' }],
  [`${PAGE_PATH}icon.svg`, { ...PART, mode: ['no-cors'], dest: 'image' }],
  [`${PAGE_PATH}status.json`, { ...PART, mode: ['cors', 'same-origin'], dest: 'empty' }],
]);

/** Whether a request is for the status page, rightly or not. */
export function isPageRequest({ url = '' }: IncomingMessage): boolean {
  return url.startsWith(PAGE_PATH);
}

/** Why a browser's request for the page is none that the page itself, or who sits there, began. `origin`: the door's own. */
export function refusePageRequest(request: IncomingMessage, origin: string): Refusal | undefined {
  const { method = '', url = '', headers } = request;
  const expected = PAGE_REQUESTS.get(url);
  if (expected === undefined) return refusal('operation-unknown', 404, 'There is nothing of the status page at this address');
  if (method !== expected.method) return refusal('operation-unknown', 405, 'The method does not fit the address');
  const { 'sec-fetch-site': site, 'sec-fetch-mode': mode, 'sec-fetch-dest': dest } = headers;
  if (site === undefined || mode === undefined || dest === undefined)
    return refusal(
      'request-from-browser',
      403,
      'The request does not tell what began it (Sec-Fetch-Site, -Mode and -Dest), as browsers do',
      'use a browser of 2023 or later; programs use `postern status --json`',
    );
  const wrong = Object.entries({
    'Sec-Fetch-Site': [site, expected.site],
    'Sec-Fetch-Mode': [mode, expected.mode],
    'Sec-Fetch-Dest': [dest, [expected.dest]],
  } as const).find(([, [given, allowed]]) => typeof given !== 'string' || !(allowed as readonly string[]).includes(given));
  if (wrong !== undefined) return refusal('request-from-browser', 403, `Another page sent the request (${wrong[0]})`);
  if (!fitsOrigin(headers.origin, expected, origin)) return refusal('request-from-browser', 403, 'Another page sent the request (Origin)');
  return undefined;
}

function fitsOrigin(given: string | undefined, { origin: wanted }: Expected, own: string): boolean {
  if (wanted === 'null') return given === 'null';
  // Browsers leave it out where a page asks for a part of its own.
  return given === undefined || (wanted === 'own' && given === own);
}

function refusal(code: Refusal['code'], status: number, what: string, todo = 'open the page with `postern dashboard`'): Refusal {
  return { kind: 'refusal', code, status, what, todo };
}
