/**
 * Web pages are not callers. A page can make a browser send requests to loopback (drive-by), or point a name of its
 * own at 127.0.0.1 (DNS rebinding); the daemon's credential must not answer either. The first is told by the headers
 * that every browser adds and scripts cannot remove, the second by the Host header.
 *
 * Source: Fetch Standard "Origin header", Fetch Metadata Request Headers; RFC 9110 section 7.2.
 */
import type { Refusal } from '../model/refusal.js';

/** `sec-fetch-mode` is left out: Node's own fetch sends that one, and it is no browser. */
const BROWSER_HEADERS = ['origin', 'sec-fetch-site', 'sec-fetch-dest'];

/** The values of the Host header that are ours, lower case, with port. */
export interface OwnNames {
  readonly names: ReadonlySet<string>;
  /**
   * The address that this one connection was made to, on a listener that hears on all of them. An address is not looked up, so
   * no page can point it elsewhere; a name can be pointed anywhere by its owner, so a name counts only when it is configured.
   */
  readonly dialed: string | undefined;
}

/** A header by which a browser shows itself, if there is one. */
export function browserHeaderIn(header: (name: string) => string | undefined): string | undefined {
  return BROWSER_HEADERS.find((name) => header(name) !== undefined);
}

/** Refuses what was sent to a name that is not ours. */
export function refuseName(header: (name: string) => string | undefined, { names, dialed }: OwnNames): Refusal | undefined {
  const host = header('host')?.toLowerCase();
  if (host !== undefined && (names.has(host) || host === dialed)) return undefined;
  return {
    kind: 'refusal',
    code: 'request-not-ours',
    status: 403,
    what: 'The Host header of the request is not an address of this door',
    todo: `use one of ${[...new Set([...names, ...(dialed === undefined ? [] : [dialed])])].join(', ')} as the address, or add a name to \`listen.http.names\``,
  };
}

/** Refuses what a browser sent, or what was sent to a name that is not ours. */
export function refuseBrowser(header: (name: string) => string | undefined, own: OwnNames): Refusal | undefined {
  const name = refuseName(header, own);
  if (name !== undefined) return name;
  const telling = browserHeaderIn(header);
  if (telling === undefined) return undefined;
  return {
    kind: 'refusal',
    code: 'request-from-browser',
    status: 403,
    what: `The request carries the header ${telling}, so a web page sent it`,
    todo: 'use git or another program; this door does not serve browsers',
  };
}
