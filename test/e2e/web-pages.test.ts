/**
 * Invariant 6 against a real browser. The attacks: a page that makes its visitor's browser ask the door in every way a page has
 * (drive-by), a page of another server of this machine (the same site for the browser), and a page whose own name is made to lead
 * to the door (DNS rebinding), which the browser takes for the same origin. For each: nothing reaches the upstream, the page reads
 * nothing of a repository, and the door says no for the right reason. The same page against a server that says yes shows that the
 * attempts are sent at all.
 */
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Chromium } from '../support/chromium.js';
import { type RunningDaemon, Scene } from '../support/scene.js';
import { type Heard, Tap } from '../support/tap.js';

const WEB = 'dev.azure.com/contoso/Payments/_git/web';
/** A page waits up to five seconds for each of its attempts, all at once; a busy machine needs several times that. */
const PAGE_MS = 180_000;
/** For what is on its way when the page has told. */
const LATE_MS = 60_000;
/** What no page may read: the beginning of an advertisement. */
const OF_A_REPOSITORY = /refs\/heads|# service=/;

/** A name of the door in its configuration, as containers use it. */
const CONFIGURED = 'host.containers.internal';

interface Told {
  readonly place: string;
  readonly names: readonly string[];
  /** What the page could read, by attempt. */
  readonly readings: Readonly<Record<string, string>>;
}

let scene: Scene;
let daemon: RunningDaemon;
let doorPort: number;
let pages: Server;
let willing: Server;
/** Between the browser and the door under its own names. */
let direct: Tap;
/** Under a name of the attacker's. */
let rebound: Tap;
let chromium: Chromium | undefined;
let html: string;
/** The request lines that the willing server got. */
const reached: string[] = [];
const waiting = new Map<string, (told: Told) => void>();

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  daemon = await scene.daemon(
    scene.plainConfiguration.replace('http: 127.0.0.1:0', `http: { address: 127.0.0.1:0, names: [${CONFIGURED}] }`),
  );
  doorPort = Number(new URL(daemon.base).port);
  html = await readFile(join(import.meta.dirname, 'web-page.html'), 'utf8');
  pages = await listen(servePage);
  willing = await listen(serveWillingly);
  direct = await Tap.open(doorPort);
  rebound = await Tap.open(portOf(pages));
  chromium = await Chromium.start({
    'evil.example:80': `127.0.0.1:${portOf(pages)}`,
    [`localhost:${portOf(pages)}`]: `127.0.0.1:${portOf(pages)}`,
    [`127.0.0.1:${doorPort}`]: `127.0.0.1:${direct.port}`,
    [`localhost:${doorPort}`]: `127.0.0.1:${direct.port}`,
    [`127.0.0.1:${portOf(willing)}`]: `127.0.0.1:${portOf(willing)}`,
    [`localhost:${portOf(willing)}`]: `127.0.0.1:${portOf(willing)}`,
    [`rebound.example:${doorPort}`]: `127.0.0.1:${rebound.port}`,
    [`${CONFIGURED}:${doorPort}`]: `127.0.0.1:${rebound.port}`,
    [`${CONFIGURED}:${portOf(willing)}`]: `127.0.0.1:${portOf(willing)}`,
  });
}, PAGE_MS);

afterAll(async () => {
  // It may be what is missing.
  await chromium?.close();
  await Promise.all([direct.close(), rebound.close(), shut(pages), shut(willing)]);
  await scene.close();
}, PAGE_MS);

beforeEach(() => {
  scene.emulator.git.seen.length = 0;
  reached.length = 0;
  rebound.to = portOf(pages);
  for (const tap of [direct, rebound]) tap.forget();
});

async function listen(serve: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> {
  const server = createServer((request, response) => {
    // A connection that stays would lead to where its name no longer does.
    response.setHeader('Connection', 'close');
    serve(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port; // because it listens on TCP
}

function shut(server: Server): Promise<unknown> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(resolve));
}

/** The attacker's server: the page, and what helps it. */
function servePage(request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? '/', 'http://evil.example');
  const to = url.searchParams.get('to') ?? '';
  response.setHeader('Access-Control-Allow-Origin', '*');
  switch (url.pathname) {
    case '/page':
      response.setHeader('Content-Type', 'text/html').end(html);
      return;
    case '/worker':
      response
        .setHeader('Content-Type', 'text/javascript')
        .end(
          `oninstall = (event) => event.waitUntil(fetch(${JSON.stringify(to)}, { mode: 'no-cors', credentials: 'include' }).catch(() => 0))`,
        );
      return;
    case '/redirect':
      response.writeHead(request.method === 'POST' ? 307 : 302, { Location: to }).end();
      return;
    case '/reporting':
      response
        .setHeader('Content-Type', 'text/html')
        .setHeader('Content-Security-Policy', `script-src 'none'; report-uri ${to}`)
        .end('<script>breach()</script>');
      return;
    case '/rebind':
      rebound.to = to === 'door' ? doorPort : portOf(willing);
      response.end();
      return;
    case '/report':
      void text(request).then((body) => {
        const told = JSON.parse(body) as Told;
        response.end();
        waiting.get(told.place)?.(told);
      });
      return;
    default:
      response.writeHead(404).end();
  }
}

/** The control: whatever is asked, by whomever, gets an answer that every page may read. */
function serveWillingly(request: IncomingMessage, response: ServerResponse): void {
  reached.push(`${request.method ?? ''} ${request.url ?? ''}`);
  request.resume();
  response
    .setHeader('Access-Control-Allow-Origin', request.headers.origin ?? '*')
    .setHeader('Access-Control-Allow-Credentials', 'true')
    .setHeader('Access-Control-Allow-Headers', request.headers['access-control-request-headers'] ?? '')
    .setHeader('Access-Control-Allow-Methods', 'GET, POST, DELETE')
    .setHeader('Content-Type', 'text/plain')
    .end('# service=git-upload-pack refs/heads/main\n');
}

/** Has a page do all it can; resolves with what it tells. */
async function visit(page: string, place: string, parameters: Readonly<Record<string, string>>): Promise<Told> {
  const told = new Promise<Told>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the page ${place} told nothing`)), PAGE_MS);
    waiting.set(place, (all) => {
      clearTimeout(timer);
      resolve(all);
    });
  });
  const query = new URLSearchParams({ place, report: 'http://evil.example', ...parameters });
  await chromium?.open(`${page}/page?${query.toString()}`);
  return told;
}

/** Which of the page's attempts a request belongs to. */
function attemptOf(line: string): string | undefined {
  return /_git\/([a-z0-9-]+)/.exec(line)?.[1];
}

function attemptsIn(lines: readonly string[]): ReadonlySet<string> {
  return new Set(lines.map(attemptOf).filter((name) => name !== undefined));
}

/** The codes of the requests that the door's log calls refused, since a number of lines. */
function refusedSince(lines: number): unknown[] {
  return daemon.log
    .slice(lines)
    .filter(({ event }) => event === 'request-refused')
    .map(({ code }) => code);
}

interface Place {
  readonly name: string;
  /** Origin of the page. */
  readonly page: () => string;
  /** What the page is told of where to send. */
  readonly target: (to: 'door' | 'willing') => Readonly<Record<string, string>>;
  /** Requests that went to the door itself. */
  readonly heard: () => readonly Heard[];
  readonly codes: readonly string[];
  readonly said: RegExp;
  /** Attempts that no request comes of here, or not in every version of Chromium. */
  readonly unsent: readonly string[];
}

const BROWSER = { codes: ['request-from-browser'], said: /a web page sent it/ };
const NOT_OURS = { codes: ['request-not-ours'], said: /The Host header of the request is not an address of this door/ };
const CALLED = { codes: ['request-from-browser', 'caller-forwarded'], said: /a web page sent it|a web page may have that name/ };
const UNSENT = ['icon', 'manifest', 'speculation', 'prefetch', 'preload-fetch', 'preload-font', 'track', 'embed', 'object'];
const OF_ONE_ORIGIN = ['fetch-get-same-origin', 'fetch-post-same-origin', 'fetch-keepalive-same-origin'];

function drivenBy(page: () => string, host: string): Omit<Place, 'name'> {
  return {
    page,
    target: (to) => ({ base: `http://${host}:${to === 'door' ? doorPort : portOf(willing)}` }),
    heard: () => direct.heard(doorPort),
    ...BROWSER,
    unsent: [...UNSENT, ...OF_ONE_ORIGIN],
  };
}

const PLACES: readonly Place[] = [
  { name: 'a page of another site, against 127.0.0.1', ...drivenBy(() => 'http://evil.example', '127.0.0.1') },
  { name: 'a page of another site, against localhost', ...drivenBy(() => 'http://evil.example', 'localhost') },
  { name: 'a page of another port of localhost', ...drivenBy(() => `http://localhost:${portOf(pages)}`, 'localhost') },
  {
    name: 'a page whose own name now leads to the door',
    page: () => `http://rebound.example:${doorPort}`,
    target: (to) => ({ rebind: to }),
    heard: () => rebound.heard(doorPort),
    ...NOT_OURS,
    unsent: UNSENT,
  },
  // A browser sends no Sec-Fetch header to an address that is neither https nor loopback, and no Origin with the GET of a page
  // that does not want to read, or of one of the same origin.
  {
    name: 'a page of another site, against a name of the configuration',
    page: () => 'http://evil.example',
    target: (to) => {
      if (to === 'door') rebound.to = doorPort;
      return { base: `http://${CONFIGURED}:${to === 'door' ? doorPort : portOf(willing)}` };
    },
    heard: () => rebound.heard(doorPort),
    ...CALLED,
    unsent: [...UNSENT, ...OF_ONE_ORIGIN],
  },
  {
    name: 'a page that had a name of the configuration before the door',
    page: () => `http://${CONFIGURED}:${doorPort}`,
    target: (to) => ({ rebind: to }),
    heard: () => rebound.heard(doorPort),
    // Of one origin it may send any header, a lease that it made up among them.
    codes: [...CALLED.codes, 'lease-invalid'],
    said: new RegExp(`${CALLED.said.source}|The lease `),
    unsent: UNSENT,
  },
];

describe.each(PLACES)('$name', ({ name, page, target, heard, codes, said, unsent }) => {
  /** Attempts that a request came of when nobody said no. */
  const sent = new Set<string>();

  test(
    'control: a server that says yes gets every attempt, and the page reads its answers',
    async () => {
      const told = await visit(page(), `${name}, willing`, target('willing'));
      await expect
        .poll(() => told.names.filter((each) => !unsent.includes(each) && !attemptsIn(reached).has(each)), { timeout: LATE_MS })
        .toEqual([]);
      for (const each of attemptsIn(reached)) sent.add(each);
      for (const each of ['fetch-get-cors', 'fetch-post-cors', 'fetch-lease', 'xhr-get', 'xhr-post-typed'])
        expect(told.readings[each]).toMatch(OF_A_REPOSITORY);
      expect(sent.size).toBeGreaterThan(55);
    },
    2 * PAGE_MS,
  );

  test(
    'nothing reaches the upstream, nothing can be read, and the door says why',
    async () => {
      const lines = daemon.log.length;
      const told = await visit(page(), `${name}, door`, target('door'));
      expect(scene.emulator.git.seen.map(({ method, url }) => `${method} ${url}`)).toEqual([]);
      await expect
        .poll(() => Array.from(sent).filter((each) => !unsent.includes(each) && !attemptsIn(heard().map(({ head }) => head)).has(each)), {
          timeout: LATE_MS,
        })
        .toEqual([]);
      await expect.poll(() => heard().filter(({ answer }) => answer === ''), { timeout: LATE_MS }).toEqual([]);
      for (const { head, answer } of heard()) {
        expect(answer, head).toMatch(/^HTTP\/1\.1 403 Forbidden\r\n/);
        if (!head.startsWith('HEAD ')) expect(answer, head).toMatch(said);
        expect(answer.toLowerCase(), head).not.toContain('access-control-allow');
      }
      await expect.poll(() => refusedSince(lines).length, { timeout: LATE_MS }).toBeGreaterThanOrEqual(heard().length);
      expect(new Set(refusedSince(lines))).toEqual(new Set(codes));
      expect(scene.emulator.git.seen).toEqual([]);
      for (const [each, reading] of Object.entries(told.readings)) expect(reading, each).not.toMatch(OF_A_REPOSITORY);
    },
    2 * PAGE_MS,
  );
});

test(
  'a person who opens the address in a browser sees why there is nothing',
  async () => {
    for (const host of ['127.0.0.1', 'localhost']) {
      const lines = daemon.log.length;
      await chromium?.open(`http://${host}:${doorPort}/${WEB}/info/refs?service=git-upload-pack`);
      await expect.poll(() => refusedSince(lines), { timeout: LATE_MS }).toContain('request-from-browser');
      await chromium?.open(`http://${host}:${doorPort}/`);
      await expect.poll(() => refusedSince(lines).length, { timeout: LATE_MS }).toBeGreaterThan(1);
    }
    const seen = direct.heard(doorPort).filter(({ head }) => head.includes('Sec-Fetch-Site: none'));
    expect(seen.length).toBeGreaterThanOrEqual(4);
    for (const { answer } of seen) expect(answer).toMatch(BROWSER.said);
    expect(scene.emulator.git.seen).toEqual([]);
  },
  2 * PAGE_MS,
);

test('control: git is served by the same door, through the same wire', async () => {
  const ran = await scene.git(['ls-remote', daemon.url(WEB), 'refs/heads/main']);
  expect(ran.stdout).toMatch(/^[0-9a-f]{40}\trefs\/heads\/main\n$/);
  rebound.to = doorPort;
  const wired = await scene.git([
    '-c',
    `http.extraHeader=Host: 127.0.0.1:${doorPort}`,
    'ls-remote',
    `http://127.0.0.1:${rebound.port}/${WEB}`,
  ]);
  expect(wired.stdout).toContain('\trefs/heads/main\n');
});
