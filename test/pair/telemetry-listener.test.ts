/**
 * The telemetry listener on its own, with a view that is made up: what it answers to whom. The attacks: a web page that reads what
 * runs on this machine, by a request of its own or under a name that it has pointed here; connections that are opened and left.
 */
import { connect, createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../src/model/clock.js';
import type { HouseView, Life } from '../../src/telemetry/house-view.js';
import { openTelemetry, type Telemetry } from '../../src/telemetry/telemetry-listener.js';
import { FakeLogger } from '../fakes/logger.js';
import { closedPort } from '../support/closed-port.js';
import { readExposition, valueOf } from '../support/exposition.js';
import { ask } from '../support/plain-request.js';

let life: Life;
let open: Telemetry[];
let logger: FakeLogger;

const VIEW: HouseView = {
  version: '1.2.3',
  startedAt: 0,
  now: () => systemClock.now(),
  life: () => life,
  running: () => [],
  identities: () => [],
  patEnds: () => [],
  pools: () => [],
  throttled: () => 0,
  audit: () => ({ kind: 'off' }),
  limits: () => ({ connections: 1, operations: 1 }),
  doorConnections: () => Promise.resolve([]),
  certificateEndsAt: () => undefined,
  logged: () => [],
};

beforeEach(() => {
  life = { state: 'starting', unready: undefined, fault: undefined };
  open = [];
  logger = new FakeLogger();
});
afterEach(() => Promise.all(open.map((each) => each.close())));

async function listening(host = '127.0.0.1', view: HouseView = VIEW, port = 0): Promise<string> {
  const telemetry = await openTelemetry({
    addresses: [{ host, port, optional: false }],
    view,
    logger,
    names: () => ['host.containers.internal'],
  });
  open.push(telemetry);
  return (telemetry.addresses[0] ?? '').replace('0.0.0.0', '127.0.0.1');
}

async function told(url: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<string> {
  const { status, body } = await ask(url, { headers, method });
  return `${status} ${body.toString()}`;
}

test('probes follow the life of the daemon, each with its own meaning', async () => {
  const base = await listening();
  const all = async (): Promise<string[]> => Promise.all(['/startup', '/readiness', '/liveness'].map((path) => told(base + path)));
  expect(await all()).toEqual([
    '503 not started: the listeners are being opened\n',
    '503 not ready: the listeners are being opened\n',
    '200 alive\n',
  ]);
  life = { ...life, state: 'ready' };
  expect(await all()).toEqual(['200 started\n', '200 ready\n', '200 alive\n']);
  life = { ...life, state: 'draining' };
  expect(await all()).toEqual(['200 started\n', '503 not ready: stopping, running operations may finish\n', '200 alive\n']);
});

test('/metrics is text in the form that Prometheus names, and says what /readiness says', async () => {
  const base = await listening();
  const { status, headers, body } = await ask(`${base}/metrics?x=1`, {
    headers: { accept: 'application/openmetrics-text, text/plain;q=0.5' },
  });
  expect([status, headers['content-type'], headers['cache-control']]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
    'no-store',
  ]);
  expect(valueOf(readExposition(body.toString()), 'postern_ready')).toBe(0);
  life = { ...life, state: 'ready' };
  expect(valueOf(readExposition((await ask(`${base}/metrics`)).body.toString()), 'postern_ready')).toBe(1);
});

test('a fault while reading is an answer, and a line of the log', async () => {
  const base = await listening('127.0.0.1', { ...VIEW, throttled: () => expect.fail('secret words') });
  expect(await told(`${base}/metrics`)).toBe('500 the measurements cannot be read; see the log of the daemon\n');
  expect(logger.lines.at(-1)).toMatchObject({ level: 'error', event: 'unexpected' });
  expect(await told(`${base}/liveness`)).toBe('200 alive\n');
});

test('other paths and methods are told what there is; a HEAD has no body', async () => {
  const base = await listening();
  for (const path of ['/', '/metrics/', '/constructor', '/dev.azure.com/contoso/Payments/_git/web/info/refs'])
    expect(await told(base + path)).toBe('404 there is /metrics, /startup, /readiness, /liveness\n');
  const posted = await ask(`${base}/metrics`, { method: 'POST', body: 'x' });
  expect([posted.status, posted.headers.allow, posted.headers.connection]).toEqual([405, 'GET, HEAD', 'close']);
  const head = await ask(`${base}/liveness`, { method: 'HEAD' });
  expect([head.status, head.headers['content-length'], head.body.length]).toEqual([200, '6', 0]);
});

describe('web pages', () => {
  test.each([
    ['origin', 'https://evil.example'],
    ['sec-fetch-site', 'cross-site'],
    ['sec-fetch-dest', 'document'],
  ])('are refused by their header %s, on every path', async (name, value) => {
    const base = await listening();
    for (const path of ['/metrics', '/readiness', '/liveness'])
      expect(await told(base + path, { [name]: value })).toContain(`403 the request carries the header ${name}, so a web page sent it`);
  });

  test('are refused on loopback under a name that is not known to lead there', async () => {
    const base = await listening();
    for (const host of ['evil.example', 'evil.example:80', '127.0.0.1.evil.example', 'localhost.evil.example'])
      expect(await told(`${base}/metrics`, { host })).toContain('403 the Host header is not an address of this machine');
    for (const host of ['127.0.0.1', 'localhost:9417', 'LOCALHOST', '[::1]:1', 'host.containers.internal:9417'])
      expect(await told(`${base}/liveness`, { host })).toBe('200 alive\n');
  });

  test('a service in a cluster is called by any name', async () => {
    const base = await listening('0.0.0.0');
    expect(await told(`${base}/liveness`, { host: 'postern.build.svc.cluster.local:9417' })).toBe('200 alive\n');
    expect(await told(`${base}/liveness`, { host: 'postern.build', origin: 'https://evil.example' })).toContain('403 ');
  });
});

test('a port that is in use is told with its key, and nothing stays open', async () => {
  const holder = createServer();
  const port = await new Promise<number>((resolve) => {
    holder.listen(0, '127.0.0.1', () => resolve((holder.address() as { port: number }).port)); // because it is a TCP server
  });
  const addresses = [
    { host: '127.0.0.1', port: 0, optional: false },
    { host: '127.0.0.1', port, optional: false },
  ];
  await expect(openTelemetry({ addresses, view: VIEW, logger, names: () => [] })).rejects.toMatchObject({
    code: 'listen-failed',
    message: `The telemetry listener cannot listen on 127.0.0.1:${port} (EADDRINUSE)`,
    todo: 'stop what uses the port, or set `telemetry.listen` to another one',
  });
  const first = new URL(String(logger.lines[0]?.fields['address']));
  const fault = await new Promise((resolve) =>
    connect(Number(first.port), first.hostname)
      .once('error', resolve)
      .once('connect', () => resolve('open')),
  );
  expect(fault).toMatchObject({ code: 'ECONNREFUSED' });
  await new Promise((resolve) => holder.close(resolve));
});

test('connections beyond the bound are closed, and those before it are served', async () => {
  const base = await listening();
  const { port, hostname } = new URL(base);
  const sockets = await Promise.all(
    Array.from(
      { length: 64 },
      () =>
        new Promise<ReturnType<typeof connect>>((resolve) => {
          const socket = connect(Number(port), hostname, () => resolve(socket));
          socket.on('error', () => undefined);
        }),
    ),
  );
  await expect
    .poll(() =>
      ask(`${base}/liveness`).then(
        ({ status }) => status,
        (fault: unknown) => (fault as { code?: string }).code,
      ),
    )
    .toBe('ECONNRESET');
  sockets.pop()?.destroy();
  await expect.poll(() => told(`${base}/liveness`).catch(() => 'closed')).toBe('200 alive\n');
  for (const socket of sockets) socket.destroy();
});

describe('another configuration', () => {
  const local = (port: number, host = '127.0.0.1'): { host: string; port: number; optional: boolean } => ({ host, port, optional: false });
  const opened = async (...addresses: ReturnType<typeof local>[]): Promise<Telemetry> => {
    const telemetry = await openTelemetry({ addresses, view: VIEW, logger, names: () => [] });
    open.push(telemetry);
    return telemetry;
  };
  const alive = (url: string | undefined): Promise<string> => told(`${url ?? ''}/liveness`).catch(() => 'closed');

  test('keeps the listeners that stay, opens the new ones and closes the others', async () => {
    const telemetry = await opened(local(0), local(0, '127.0.0.2'));
    const [stays, goes] = telemetry.addresses;
    await telemetry.move([local(0), local(0, '127.0.0.3')]);
    expect(telemetry.addresses).toEqual([stays, expect.stringContaining('http://127.0.0.3:')]);
    for (const url of telemetry.addresses) expect(await alive(url)).toBe('200 alive\n');
    expect(await alive(goes)).toBe('closed');
    await telemetry.move([]);
    expect([telemetry.addresses, await alive(stays)]).toEqual([[], 'closed']);
  });

  test('that cannot be had leaves listeners where they were', async () => {
    const busy = Number(new URL(await listening()).port);
    const port = await closedPort();
    const telemetry = await opened(local(port));
    await expect(telemetry.move([local(busy)])).rejects.toMatchObject({ code: 'listen-failed' });
    expect(telemetry.addresses).toEqual([`http://127.0.0.1:${port}`]);
    expect(await alive(telemetry.addresses[0])).toBe('200 alive\n');
  });

  test('goes from one address to all of them on the same port', async () => {
    const port = await closedPort();
    const telemetry = await opened(local(port));
    await telemetry.move([local(port, '0.0.0.0')]);
    expect(telemetry.addresses).toEqual([`http://0.0.0.0:${port}`]);
    expect(await alive(`http://127.0.0.1:${port}`)).toBe('200 alive\n');
  });
});
