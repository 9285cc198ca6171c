/**
 * An outgoing proxy of a company: CONNECT only (RFC 9110, 9.3.6), with Basic credentials if wanted. Whatever host is asked for, the
 * tunnel leads to the emulator's own.
 */
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { isStorageName } from './blob-storage.js';
import { type Doorkeeper, Loopback } from './loopback.js';

export interface ProxyTarget {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** `host:port` as asked for. */
  readonly target: string;
  /** False when the credentials were missing or wrong. */
  readonly authorized: boolean;
  /** 0 when no answer was given. */
  readonly status: number;
}

export interface ProxyRoutes {
  readonly gitPort: () => number;
  readonly stsPort: () => number;
  readonly storagePort: () => number;
  /** Told the local port of every tunnel's far end that leads to the git hosts, before its first byte. */
  readonly noteProxied: (localPort: number) => void;
}

export type ProxyMode = 'tunnel' | 'forbid' | 'hang';

export class ConnectProxy {
  /** User and password that a client must send; undefined: open to all. */
  credentials: { readonly user: string; readonly password: string } | undefined;
  /** `forbid` answers 403, `hang` answers nothing. */
  mode: ProxyMode = 'tunnel';
  /** The same for one host that is asked for. */
  readonly modes = new Map<string, ProxyMode>();
  readonly targets: ProxyTarget[] = [];
  /** Tunnels open now. */
  open = 0;
  readonly #routes: ProxyRoutes;
  readonly #loopback: Loopback;
  readonly #farEnds = new Set<Socket>();

  constructor(routes: ProxyRoutes, doorkeeper?: Doorkeeper) {
    this.#routes = routes;
    const server = createServer((_, response) => {
      response.writeHead(405, { 'Content-Type': 'text/plain' }).end('Only CONNECT is served here\n');
    });
    server.on('connect', (request, near, head) => this.#connect(request, near, head));
    this.#loopback = new Loopback(server, doorkeeper);
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get port(): number {
    return this.#loopback.port;
  }

  listen(port: number): Promise<void> {
    return this.#loopback.listen(port);
  }

  async close(): Promise<void> {
    for (const socket of this.#farEnds) socket.destroy();
    await this.#loopback.close();
  }

  #connect(request: IncomingMessage, near: Duplex, head: Buffer): void {
    const target = request.url ?? '';
    const mode = this.modes.get(target.replace(/:[0-9]+$/, '')) ?? this.mode;
    const authorized = this.#admits(request.headers['proxy-authorization']);
    const note = (status: number): void => {
      this.targets.push({ at: Date.now(), target, authorized, status });
    };
    if (mode === 'hang') {
      note(0);
      return;
    }
    if (!authorized) {
      note(407);
      near.end(
        'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="proxy"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n',
      );
      return;
    }
    if (mode === 'forbid') {
      note(403);
      near.end('HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 19\r\nConnection: close\r\n\r\nBlocked by policy.\n');
      return;
    }
    note(200);
    this.#tunnel(target, near, head);
  }

  #tunnel(target: string, near: Duplex, head: Buffer): void {
    const port = this.#portFor(target);
    const far = connect({ host: '127.0.0.1', port });
    this.#farEnds.add(far);
    this.open += 1;
    far.once('connect', () => {
      if (port === this.#routes.gitPort()) this.#routes.noteProxied(far.localPort ?? 0);
      near.write('HTTP/1.1 200 Connection established\r\n\r\n');
      if (head.length > 0) far.write(head);
      near.pipe(far).pipe(near);
    });
    far.on('error', () => near.destroy());
    near.on('error', () => far.destroy());
    near.once('close', () => far.destroy());
    far.once('close', () => {
      this.open -= 1;
      this.#farEnds.delete(far);
      near.destroy();
    });
  }

  #portFor(target: string): number {
    const { gitPort, stsPort, storagePort } = this.#routes;
    const [, host = '', port] = /^(.*):([0-9]+)$/.exec(target) ?? [];
    if (/^login\./i.test(host) || Number(port) === stsPort()) return stsPort();
    return isStorageName(host) || Number(port) === storagePort() ? storagePort() : gitPort();
  }

  #admits(authorization: string | undefined): boolean {
    if (!this.credentials) return true;
    const { user, password } = this.credentials;
    return authorization === `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  }
}
