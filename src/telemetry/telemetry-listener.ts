/**
 * The listener for measurements and probes. Whoever can connect may read: nothing here tells a secret, a repository, a caller or a
 * lease, and nothing can be changed. Browsers are refused all the same, so that no web page learns what runs here.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP } from 'node:net';
import { browserHeaderIn } from '../gate/browser.js';
import type { LedgerObserver } from '../gate/ledger.js';
import { displayHost, listenAt } from '../gate/listening.js';
import { isLoopbackAddress } from '../gate/peers.js';
import { messageOf } from '../model/errors.js';
import type { Logger } from '../model/ports.js';
import type { ListenAddress } from '../model/settings.js';
import type { HouseView } from './house-view.js';
import { Metrics } from './metrics.js';
import { PROBES } from './probes.js';

/** One Prometheus, or two, and a probe now and then; each holds one. */
const MOST_CONNECTIONS = 64;
/** A request here is a few lines. */
const LARGEST_HEAD_BYTES = 16 * 1024;
/** A request must be complete by then, and an answer taken. */
const EXCHANGE_MS = 10_000;
/** Longer than the usual minute between two scrapes, so that each need not connect anew. */
const IDLE_MS = 75_000;

export interface TelemetryOptions {
  readonly addresses: readonly ListenAddress[];
  readonly view: HouseView;
  readonly logger: Logger;
  /** Names that may stand in the Host header on loopback, besides `localhost` and addresses; without port. */
  readonly names: () => readonly string[];
}

export interface Telemetry {
  /** Where it listens, `http://127.0.0.1:9417`, in the order of the configuration. */
  readonly addresses: readonly string[];
  /** To be told of operations. */
  readonly observer: LedgerObserver;
  /**
   * Listens at these addresses and no others; what was counted stays. When one cannot be opened, everything is as it was.
   * @throws ProxyError `listen-failed`
   */
  move(addresses: readonly ListenAddress[]): Promise<void>;
  close(): Promise<void>;
}

interface Opened {
  readonly server: Server;
  readonly address: ListenAddress;
  readonly url: string;
}

/**
 * Opens the listeners; when one cannot be opened, none stays open.
 * @throws ProxyError `listen-failed`
 */
export async function openTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  const metrics = await Metrics.open(options.view);
  let opened: readonly Opened[] = [];
  const open = async (address: ListenAddress): Promise<void> => {
    const one = await openOne(options, metrics, address);
    if (one !== undefined) opened = [...opened, one];
  };
  const leave = async (some: readonly Opened[]): Promise<void> => {
    opened = opened.filter((each) => !some.includes(each));
    await Promise.all(some.map(({ server }) => ended(server)));
  };
  const move = async (addresses: readonly ListenAddress[]): Promise<void> => {
    const isSame = (a: ListenAddress, b: ListenAddress): boolean => a.host === b.host && a.port === b.port;
    const before = opened;
    const unwanted = opened.filter(({ address }) => !addresses.some((each) => isSame(each, address)));
    const missing = addresses.filter((address) => !opened.some((each) => isSame(each.address, address)));
    // One on all addresses of a port is in the way of one on a single one. Nothing else goes before the new ones are open.
    const inTheWay = unwanted.filter(({ address: { port } }) => port !== 0 && missing.some((each) => each.port === port));
    await leave(inTheWay);
    try {
      for (const address of missing) await open(address);
    } catch (thrown) {
      await leave(opened.filter((each) => !before.includes(each)));
      for (const { address } of inTheWay) await open(address);
      throw thrown;
    }
    await leave(unwanted);
  };
  await move(options.addresses);
  return {
    get addresses() {
      return opened.map(({ url }) => url);
    },
    observer: metrics.observer,
    move,
    close: () => leave(opened),
  };
}

async function openOne(options: TelemetryOptions, metrics: Metrics, address: ListenAddress): Promise<Opened | undefined> {
  const { logger } = options;
  const server = serve(options, metrics, address);
  const port = await listenAt(server, address, { name: 'telemetry', key: 'telemetry.listen' });
  if (port === undefined) {
    logger.log('info', 'listener-skipped', { address: `${address.host}:${address.port}`, why: 'this system has no such address' });
    return undefined;
  }
  // Without this a fault while accepting (no more file descriptors) would end the process.
  server.on('error', (fault) => logger.log('error', 'unexpected', { what: `accepting connections: ${messageOf(fault)}` }));
  const url = `http://${displayHost(address.host)}:${port}`;
  logger.log('info', 'listening', { door: 'telemetry', address: url });
  return { server, address, url };
}

function ended(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function serve({ view, logger, names }: TelemetryOptions, metrics: Metrics, { host }: ListenAddress): Server {
  const isOnLoopback = isLoopbackAddress(host);
  const server = createServer({ maxHeaderSize: LARGEST_HEAD_BYTES, noDelay: true, requireHostHeader: false }, (request, response) => {
    // Nothing that comes with a request is read.
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      say(request, response, 405, 'only GET and HEAD are served here', { allow: 'GET, HEAD', connection: 'close' });
      return;
    }
    const header = browserHeaderIn((name) => request.headersDistinct[name]?.join(', '));
    if (header !== undefined) {
      say(request, response, 403, `the request carries the header ${header}, so a web page sent it; this address does not serve browsers`);
      return;
    }
    if (isOnLoopback && !isPlainHost(request.headers.host, names())) {
      say(
        request,
        response,
        403,
        'the Host header is not an address of this machine; use 127.0.0.1, or add the name to `listen.http.names`',
      );
      return;
    }
    const path = (request.url ?? '').replace(/\?.*$/s, '');
    const probe = Object.hasOwn(PROBES, path) ? PROBES[path] : undefined;
    if (probe !== undefined) {
      const { isYes, text } = probe(view.life());
      say(request, response, isYes ? 200 : 503, text);
    } else if (path === '/metrics') {
      metrics.text().then(
        (text) => say(request, response, 200, text, { 'content-type': metrics.contentType }),
        (thrown: unknown) => {
          logger.log('error', 'unexpected', { what: `reading the metrics: ${messageOf(thrown)}` });
          say(request, response, 500, 'the measurements cannot be read; see the log of the daemon');
        },
      );
    } else say(request, response, 404, `there is /metrics, ${Object.keys(PROBES).join(', ')}`);
  });
  server.maxConnections = MOST_CONNECTIONS;
  server.headersTimeout = EXCHANGE_MS;
  server.requestTimeout = EXCHANGE_MS;
  server.keepAliveTimeout = IDLE_MS;
  server.setTimeout(IDLE_MS + EXCHANGE_MS);
  return server;
}

/**
 * On loopback a name counts only when it is known to lead there: a web page that has pointed a name of its own at 127.0.0.1 shows
 * itself by nothing else. Elsewhere a service is called by whatever name its cluster has for it.
 */
function isPlainHost(host: string | undefined, names: readonly string[]): boolean {
  const name = (host ?? '').toLowerCase().replace(/:[0-9]*$/, '');
  const bare = name.startsWith('[') ? name.slice(1, -1) : name;
  return bare === 'localhost' || isIP(bare) !== 0 || names.includes(bare);
}

function say(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = text.endsWith('\n') ? text : `${text}\n`;
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'content-length': Buffer.byteLength(body),
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
