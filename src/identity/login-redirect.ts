/**
 * Where the browser brings the code of a sign-in: a listener on loopback for the time of one sign-in (RFC 8252 section 7.3), or the
 * address that the browser was sent to, pasted by somebody whose browser is on another machine. Either counts only with the
 * `state` of this sign-in, so that no page can bring a code of its own (RFC 6749 section 10.12).
 */
import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Longest address that is read: codes have one or two kilobytes. */
const LONGEST_ADDRESS = 16 * 1024;
/** A browser that opened a connection and says nothing is not waited for. */
const HEADERS_MS = 10_000;

/** What came back from the sign-in page. */
export type Redirected =
  { readonly kind: 'code'; readonly code: string } | { readonly kind: 'refused'; readonly error: string; readonly description: string };

/** What the person reads in the browser in the end. */
export interface ClosingPage {
  readonly isGood: boolean;
  readonly text: string;
}

export class RedirectListener {
  /** `http://localhost:PORT`, the form in which it is registered for public clients; any port counts as registered (RFC 8252 section 7.3). */
  readonly address: string;
  /** Resolves with the first answer that belongs to this sign-in. */
  readonly arrived: Promise<Redirected>;
  readonly #state: string;
  readonly #servers: readonly Server[];
  #arrive: (answer: Redirected) => void = () => undefined;
  /** The browser that waits for the end. */
  #waiting: ServerResponse | undefined;

  /** Opens a free port. Rejects with the system's error. */
  static async open(state: string): Promise<RedirectListener> {
    const first = createServer();
    const port = await listen(first, '127.0.0.1', 0);
    // Browsers try ::1 first for localhost, and somebody else could be heard there.
    const second = createServer();
    const isBoth = await listen(second, '::1', port).then(
      () => true,
      () => false,
    );
    return new RedirectListener(state, port, isBoth ? [first, second] : [first]);
  }

  private constructor(state: string, port: number, servers: readonly Server[]) {
    this.#state = state;
    this.address = `http://localhost:${port}`;
    this.#servers = servers;
    this.arrived = new Promise((resolve) => {
      this.#arrive = resolve;
    });
    for (const server of servers) {
      server.headersTimeout = HEADERS_MS;
      server.on('request', (request: IncomingMessage, response: ServerResponse) => this.#answer(request, response));
    }
  }

  /**
   * Takes an address that somebody pasted: the whole of it, or what stands after its question mark.
   * @throws SyntaxError for what is none of this sign-in
   */
  take(pasted: string): void {
    const text = pasted.trim();
    const query = text.includes('?') ? text.slice(text.indexOf('?') + 1) : text;
    const answer = text.length > LONGEST_ADDRESS ? undefined : this.#read(new URLSearchParams(query.replace(/#.*$/, '')));
    if (answer === undefined)
      throw new SyntaxError('This is not the address that the browser was sent to after this sign-in (http://localhost:...?code=...)');
    this.#arrive(answer);
  }

  /** Shows the browser that waits how it ended, and closes. */
  async close(page: ClosingPage): Promise<void> {
    const response = this.#waiting;
    if (response !== undefined) {
      await new Promise<void>((resolve) => {
        response.once('close', resolve);
        send(response, page.isGood ? 200 : 400, page.text);
      });
    }
    for (const server of this.#servers) {
      server.close();
      server.closeAllConnections();
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { url = '', method, headers } = request;
    const own = new URL(this.address);
    const isOurs = headers.host === own.host || headers.host === `127.0.0.1:${own.port}`;
    const at = new URL(url.length > LONGEST_ADDRESS ? '/' : url, this.address);
    const answer = isOurs && method === 'GET' && at.pathname === '/' ? this.#read(at.searchParams) : undefined;
    if (answer === undefined) {
      send(response, 404, 'There is nothing here but the end of a sign-in, and this was not it.');
      return;
    }
    // A reload of the page asks a second time: the one that came last waits on.
    if (this.#waiting !== undefined) send(this.#waiting, 200, 'The sign-in goes on in another tab.');
    this.#waiting = response;
    response.once('close', () => {
      if (this.#waiting === response) this.#waiting = undefined;
    });
    this.#arrive(answer);
  }

  #read(fields: URLSearchParams): Redirected | undefined {
    const given = Buffer.from(fields.get('state') ?? '');
    const wanted = Buffer.from(this.#state);
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) return undefined;
    const code = fields.get('code');
    const error = fields.get('error');
    if (error !== null) return { kind: 'refused', error, description: fields.get('error_description') ?? '' };
    return code === null || code === '' ? undefined : { kind: 'code', code };
  }
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port); // it listens on TCP
    });
  });
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': 'text/html; charset=utf-8',
    // The address of this page holds the code.
    'referrer-policy': 'no-referrer',
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
    connection: 'close',
  });
  const safe = text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
  response.end(
    `<!DOCTYPE html>\n<html lang="en"><head><title>Postern</title><style>body{font:1.1em sans-serif;margin:15vh auto;max-width:34em}</style></head><body><p>${safe}</p></body></html>\n`,
  );
}
