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

export interface Where {
  readonly addresses: readonly ListenAddress[];
  /** Names that may stand in the Host header on loopback, besides `localhost` and addresses; without port. */
  readonly names: readonly string[];
}

/** A step to other addresses that can still be taken back. */
export interface Move {
  /** Closes what is not wanted any more. */
  commit(): void;
  /** Closes what was opened for it. */
  undo(): Promise<void>;
}

export interface Telemetry {
  /** Where it listens, `http://127.0.0.1:9417`, in the order of the configuration; nowhere when it is off. */
  readonly addresses: readonly string[];
  /**
   * Opens what is wanted and is not open; what stays keeps its socket and its connections. When one cannot be opened, everything
   * is as it was.
   * @throws ProxyError `listen-failed`
   */
  move(where: Where): Promise<Move>;
  close(): Promise<void>;
}

export interface TelemetryParts {
  readonly view: HouseView;
  readonly logger: Logger;
  /** Takes who is to be told of operations, once there is something to count for. */
  readonly observe: (observer: LedgerObserver) => void;
}

interface Opened {
  readonly address: ListenAddress;
  readonly server: Server;
  readonly url: string;
}

/** Telemetry that listens nowhere yet. */
export function createTelemetry({ view, logger, observe }: TelemetryParts): Telemetry {
  let opened: readonly Opened[] = [];
  let names: readonly string[] = [];
  let metrics: Metrics | undefined;
  const open = async (address: ListenAddress, counted: Metrics): Promise<Opened | undefined> => {
    const server = serve({ view, logger, names: () => names }, counted, address);
    const port = await listenAt(server, address, { name: 'telemetry', key: 'telemetry.listen' });
    if (port === undefined) {
      logger.log('info', 'listener-skipped', { address: `${address.host}:${address.port}`, why: 'this system has no such address' });
      return undefined;
    }
    // Without this a fault while accepting (no more file descriptors) would end the process.
    server.on('error', (fault) => logger.log('error', 'unexpected', { what: `accepting connections: ${messageOf(fault)}` }));
    const url = `http://${displayHost(address.host)}:${port}`;
    logger.log('info', 'listening', { door: 'telemetry', address: url });
    return { address, server, url };
  };
  return {
    get addresses() {
      return opened.map(({ url }) => url);
    },
    async move(where) {
      const isSame = (one: ListenAddress, other: ListenAddress): boolean => one.host === other.host && one.port === other.port;
      const stays = opened.filter(({ address }) => where.addresses.some((each) => isSame(each, address)));
      const leaves = opened.filter((each) => !stays.includes(each));
      const fresh: Opened[] = [];
      // All addresses of a port and one of them cannot be open at once: only for that the old one goes first.
      const inTheWay = leaves.filter(({ address }) => where.addresses.some(({ port }) => port !== 0 && port === address.port));
      const undo = async (): Promise<void> => {
        await closeAll(fresh);
        if (metrics === undefined) return;
        for (const { address } of inTheWay) {
          const again = await open(address, metrics);
          opened = opened.flatMap((each) => (each.address !== address ? each : (again ?? [])));
        }
      };
      if (where.addresses.length > 0 && metrics === undefined) {
        metrics = await Metrics.open(view);
        observe(metrics.observer);
      }
      await closeAll(inTheWay);
      try {
        for (const address of where.addresses) {
          if (metrics === undefined || stays.some((each) => isSame(each.address, address))) continue;
          const one = await open(address, metrics);
          if (one !== undefined) fresh.push(one);
        }
      } catch (thrown) {
        await undo();
        throw thrown;
      }
      return {
        commit: () => {
          names = where.names;
          const all = [...stays, ...fresh];
          opened = where.addresses.flatMap((address) => all.find((each) => isSame(each.address, address)) ?? []);
          void closeAll(leaves);
        },
        undo,
      };
    },
    close: () => closeAll(opened),
  };
}

async function closeAll(opened: readonly Opened[]): Promise<void> {
  await Promise.all(
    opened.map(
      ({ server }) =>
        new Promise<void>((resolve) => {
          server.close(() => resolve());
          server.closeAllConnections();
        }),
    ),
  );
}

interface Serving {
  readonly view: HouseView;
  readonly logger: Logger;
  readonly names: () => readonly string[];
}

function serve({ view, logger, names }: Serving, metrics: Metrics, { host }: ListenAddress): Server {
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
