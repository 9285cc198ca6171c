/**
 * What may stand in the Host header of a request to this door: the addresses of its listeners, `localhost`, and the names of the
 * configuration, each with the port of a listener.
 *
 * A listener on all addresses (`0.0.0.0`, `::`) is known by the one that a connection was made to, whichever network brought it.
 * An address is not looked up, so nobody can point it elsewhere; a name can be, so no name counts that was not written down.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { OwnNames } from '../gate/browser.js';
import { hostInUrl } from './listener-tls.js';

/** Ports that a Host header leaves out. */
const USUAL_PORT = { http: 80, https: 443 } as const;
/** Also before a port of this door that is published on another machine's loopback, as containers do it. */
const LOOPBACK: readonly string[] = ['127.0.0.1', '::1'];

export class DoorNames {
  readonly #names = new Set<string>();
  readonly #configured: readonly string[];

  /** `configured`: names besides those of the listeners, lower case, without port. */
  constructor(configured: readonly string[]) {
    this.#configured = configured;
  }

  /** Takes those of a listener that is open now. */
  add({ scheme, host, port }: { readonly scheme: 'http' | 'https'; readonly host: string; readonly port: number }): void {
    for (const name of [...(isWildcard(host) ? LOOPBACK : [host]), 'localhost', ...this.#configured]) {
      this.#names.add(`${hostInUrl(name)}:${port}`);
      if (port === USUAL_PORT[scheme]) this.#names.add(hostInUrl(name));
    }
  }

  /** All that may stand in a request on this connection. `host`: what its listener listens on. */
  on(socket: Socket, host: string): OwnNames {
    const { localAddress, localPort } = socket;
    if (!isWildcard(host) || localAddress === undefined) return { names: this.#names, dialed: undefined };
    // A zone is of this machine, and is in no Host header (RFC 9844).
    return { names: this.#names, dialed: `${hostInUrl(localAddress.replace(/%.*$/, ''))}:${localPort}` };
  }
}

/**
 * What a request calls the door, when a web page may be called the same (gate/callers.ts). Browsers take loopback's own names and
 * https for trustworthy, and tell there where a request comes from.
 *
 * Source: Secure Contexts, "Is origin potentially trustworthy?"; Fetch Metadata Request Headers, section 2.
 */
export function sharedName({ headers, socket }: IncomingMessage): string | undefined {
  const host = headers.host?.toLowerCase() ?? '';
  if (socket instanceof TLSSocket || /^(?:localhost|127\.[0-9]+\.[0-9]+\.[0-9]+|\[::1\])(?::[0-9]+)?$/.test(host)) return undefined;
  return host;
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
