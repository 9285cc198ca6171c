/**
 * The status page is the one thing on the door that a browser may have. The attacks: a code that was used or is another user's, a
 * session in another user's hands (cookies know no ports, so another user's server is sent it), requests that another page began, a
 * name that leads to the door, something that stands between. Each is made byte for byte as a browser would, so that the one thing
 * that is wrong with it is what it is refused for; the same without it is served.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, readFile, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { Agent, request as secureRequest } from 'node:https';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Canaries } from '../support/canary.js';
import { ask, type PlainAnswer, type PlainOptions } from '../support/plain-request.js';
import { run, type RunningDaemon, Scene } from '../support/scene.js';
import { type Opening, printDashboard } from './dashboard-stage.js';

const WEB = 'dev.azure.com/contoso/Payments/_git/web';
const CAN_UNSHARE = spawnSync('unshare', ['-U', 'true']).status === 0;
const IS_ROOT = process.getuid?.() === 0;
const OTHER = '12346';
/** A stop that waits for nothing takes a moment; one that waits for the page would take `drain.max`, 30 s. */
const STOP_MS = 10_000;

const FROM_FILE = {
  origin: 'null',
  'sec-fetch-site': 'cross-site',
  'sec-fetch-mode': 'navigate',
  'sec-fetch-dest': 'document',
  'content-type': 'application/x-www-form-urlencoded',
};
const PAGE = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
const JSON_OF_PAGE = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' };
const CLOSED =
  /^postern: There is no session of the status page, or it has ended\n {2}what to do: open the page with `postern dashboard`\n/;
const OPENS_NOTHING = /^postern: This code opens nothing/;

let scene: Scene;
let daemon: RunningDaemon;
/** A session that is open, as its cookie. */
let cookie: string;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  daemon = await scene.daemon();
  cookie = await session(daemon);
});
afterAll(() => scene.close());

/** Brings a code as the file does. */
function bring({ action, code }: Pick<Opening, 'action' | 'code'>, options: PlainOptions = {}): Promise<PlainAnswer> {
  const body = `code=${code}`;
  return ask(action, {
    method: 'POST',
    body,
    ...options,
    headers: { ...FROM_FILE, 'content-length': String(body.length), ...options.headers },
  });
}

/** The cookie of a new session. */
async function session(of: RunningDaemon): Promise<string> {
  const opening = await printDashboard(of);
  const answer = await bring(opening);
  expect(answer.status, answer.body.toString()).toBe(200);
  await opening.ended;
  return answer.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
}

/** Asks for the numbers as the page does. */
function numbers(headers: Readonly<Record<string, string>> = {}, path = '/-/status.json'): Promise<PlainAnswer> {
  return ask(`${daemon.base}${path}`, { headers: { ...JSON_OF_PAGE, cookie, ...headers } });
}

/** Asks for a path as it stands: what reads addresses would tidy it up. */
function statusOf(path: string): Promise<number | undefined> {
  const { hostname, port } = new URL(daemon.base);
  return new Promise((resolve, reject) => {
    request({ hostname, port, path, headers: { ...JSON_OF_PAGE, cookie } }, (response) => {
      response.resume().once('end', () => resolve(response.statusCode));
    })
      .once('error', reject)
      .end();
  });
}

/** As another user of this machine, whom no configuration names. */
async function asOther(url: string, options: { method?: string; headers: Record<string, string>; body?: string }): Promise<string> {
  const script = `const [url, options] = JSON.parse(process.argv[1]);
    require('http').request(url, options, (response) => { process.stdout.write(response.statusCode + ' '); response.pipe(process.stdout); }).end(options.body);`;
  const words = [
    '--reuid',
    OTHER,
    '--regid',
    OTHER,
    '--clear-groups',
    '--',
    process.execPath,
    '-e',
    script,
    JSON.stringify([url, options]),
  ];
  return (await run('setpriv', words, { env: { PATH: process.env['PATH'] }, cwd: '/' })).stdout;
}

describe('a code', () => {
  test('stands in a file of its user alone, in no argv and no address, and the file goes when it is used', async () => {
    const opening = await printDashboard(daemon);
    expect((await stat(opening.file)).mode & 0o777).toBe(0o600);
    expect((await stat(join(opening.file, '..'))).mode & 0o777).toBe(0o700);
    expect(opening.code).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(opening.action).toBe(`${daemon.base}/-/open`);
    const answer = await bring(opening);
    expect(answer.status).toBe(200);
    expect(await opening.ended).toMatchObject({ code: 0, stderr: `The status page is open at ${daemon.base}/-/\n` });
    expect(existsSync(opening.file)).toBe(false);
  });

  test('opens a session that scripts cannot read and other sites do not send, and moves on without a redirect', async () => {
    const opening = await printDashboard(daemon);
    const answer = await bring(opening);
    const [given = ''] = answer.headers['set-cookie'] ?? [];
    expect(given).toMatch(
      new RegExp(`^postern-${new URL(daemon.base).port}=[A-Za-z0-9_-]{43}; Path=/-/; Max-Age=43200; HttpOnly; SameSite=Strict$`),
    );
    expect(answer.body.toString()).toContain('<meta http-equiv="refresh" content="0; url=/-/">');
    expect(answer.headers['content-security-policy']).toContain("default-src 'none'; script-src 'self'");
    expect(answer.body.toString()).not.toContain(opening.code);
    await opening.ended;
  });

  test('that was used opens nothing again', async () => {
    const opening = await printDashboard(daemon);
    expect((await bring(opening)).status).toBe(200);
    const again = await bring(opening);
    expect(again).toMatchObject({ status: 403 });
    expect(again.body.toString()).toMatch(OPENS_NOTHING);
    expect(again.headers).not.toHaveProperty('set-cookie');
    await opening.ended;
  });

  test.skipIf(!IS_ROOT)('in the hands of another user opens nothing, is used up, and its owner is told', async () => {
    const opening = await printDashboard(daemon);
    const body = `code=${opening.code}`;
    const theirs = await asOther(opening.action, {
      method: 'POST',
      headers: { ...FROM_FILE, 'content-length': String(body.length) },
      body,
    });
    expect(theirs).toMatch(/^403 postern: This code opens nothing/);
    expect((await bring(opening)).body.toString()).toMatch(OPENS_NOTHING);
    const ended = await opening.ended;
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('postern: The page was opened by a program of another user, or at another address, and was refused\n');
    expect(existsSync(opening.file)).toBe(false);
  });

  test('is not taken from a page of another site, a frame or a script', async () => {
    const opening = await printDashboard(daemon);
    for (const headers of [
      { origin: 'http://evil.example' },
      { origin: daemon.base },
      { 'sec-fetch-dest': 'iframe' },
      { 'sec-fetch-mode': 'no-cors' },
    ]) {
      const answer = await bring(opening, { headers });
      expect(answer.status, JSON.stringify(headers)).toBe(403);
      expect(answer.body.toString()).toMatch(/^postern: Another page sent the request \((?:Origin|Sec-Fetch-[A-Z][a-z]+)\)/);
    }
    // Nobody had it so far: it is good still.
    expect((await bring(opening)).status).toBe(200);
    await opening.ended;
  });

  test.each([
    ['empty', 'code='],
    ['made up', 'code=x'],
    ['absent', ''],
    ['twice', 'code=a&code=b'],
    ['odd', 'code=%00'],
    ['long', `code=${'x'.repeat(600)}`],
    ['of another form', '{"code":"x"}'],
  ])('that is none opens nothing: %s', async (_what, body) => {
    const answer = await ask(`${daemon.base}/-/open`, {
      method: 'POST',
      body,
      headers: { ...FROM_FILE, 'content-length': String(Buffer.byteLength(body)) },
    });
    expect(answer.status).toBe(403);
    expect(answer.body.toString()).toMatch(OPENS_NOTHING);
  });

  test('is given up with Ctrl-C, and its file goes', async () => {
    const opening = await printDashboard(daemon);
    opening.interrupt();
    expect((await opening.ended).code).toBe(130);
    expect(existsSync(opening.file)).toBe(false);
  });

  test('goes to a browser as the path of the file alone, and no secret goes along', async () => {
    const seen = join(scene.directory, 'seen');
    const browser = join(scene.directory, 'browser.sh');
    await writeFile(browser, `#!/bin/sh\n{ printf '%s\\n' "$@"; env; } > ${seen}.part\nmv ${seen}.part ${seen}\n`);
    await chmod(browser, 0o755);
    const ended = daemon.postern(['dashboard'], {
      env: { BROWSER: browser, POSTERN_LEASE: 'a-lease-of-somebody', AZURE_DEVOPS_EXT_PAT: 'a-token-of-somebody' },
    });
    await expect.poll(() => existsSync(seen), { timeout: 30_000 }).toBe(true);
    const [address = '', ...rest] = (await readFile(seen, 'utf8')).split('\n');
    expect(address).toMatch(/^file:\/\/\/.*\/postern\/dashboard-[0-9a-f]{16}\.html$/);
    expect(rest.join('\n')).toContain(`HOME=${scene.home}`);
    expect(rest.join('\n')).not.toMatch(/somebody|SP_SECRET/);
    const html = await readFile(fileURLToPath(address), 'utf8');
    await bring({ action: `${daemon.base}/-/open`, code: /name="code" value="([^"]+)"/.exec(html)?.[1] ?? '' });
    expect((await ended).code).toBe(0);
  });

  test('goes where --file says, and never over what is there', async () => {
    const file = join(scene.directory, 'mine.html');
    const opening = await printDashboard(daemon, ['--file', file]);
    expect(opening.file).toBe(file);
    const second = await daemon.postern(['dashboard', '--print', '--file', file]);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain(`postern: The file ${file} cannot be written (EEXIST)\n`);
    expect(await readFile(file, 'utf8')).toBe(opening.html);
    opening.interrupt();
    await opening.ended;
  });
});

describe('a session', () => {
  test('shows the page and its parts, with a policy that lets nothing else in', async () => {
    for (const [path, headers, type] of [
      ['/-/', PAGE, 'text/html; charset=utf-8'],
      ['/-/page.css', { ...PAGE, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'style' }, 'text/css; charset=utf-8'],
      ['/-/page.js', { ...PAGE, 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'script' }, 'text/javascript; charset=utf-8'],
      ['/-/icon.svg', { ...PAGE, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }, 'image/svg+xml'],
      ['/-/status.json', JSON_OF_PAGE, 'application/json; charset=utf-8'],
    ] as const) {
      const answer = await ask(`${daemon.base}${path}`, { headers: { ...headers, cookie } });
      expect(answer.status, `${path} ${answer.body.toString()}`).toBe(200);
      expect(answer.headers).toMatchObject({
        'content-type': type,
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin',
        'cross-origin-opener-policy': 'same-origin',
        'content-security-policy':
          "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
      });
      expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
      const missing = await ask(`${daemon.base}${path}`, { headers });
      expect(missing.status, path).toBe(403);
      expect(missing.body.toString()).toMatch(CLOSED);
    }
  });

  test.skipIf(!IS_ROOT)('in the hands of another user shows nothing', async () => {
    expect(await asOther(`${daemon.base}/-/status.json`, { headers: { ...JSON_OF_PAGE, cookie } })).toMatch(
      /^403 postern: There is no session of the status page/,
    );
    expect((await numbers()).status).toBe(200);
  });

  test.each([
    ['none', ''],
    ['of another name', 'other=1'],
    ['that was made up', `NAME=${'A'.repeat(43)}`],
    ['that is empty', 'NAME='],
  ])('%s shows nothing', async (_what, text) => {
    const answer = await numbers({ cookie: text.replace('NAME', cookie.split('=')[0] ?? '') });
    expect(answer.status).toBe(403);
    expect(answer.body.toString()).toMatch(CLOSED);
  });

  test('that comes twice shows nothing: it cannot be told which is meant', async () => {
    expect((await numbers({ cookie: `${cookie}; ${cookie}` })).body.toString()).toMatch(CLOSED);
    expect((await numbers({ cookie: `a=b; ${cookie}; c=d` })).status).toBe(200);
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ['another port of this machine', { 'sec-fetch-site': 'same-site' }, /^postern: Another page sent the request \(Sec-Fetch-Site\)/],
    ['another site', { 'sec-fetch-site': 'cross-site' }, /^postern: Another page sent the request \(Sec-Fetch-Site\)/],
    ['nobody, who asks for numbers by an address', { 'sec-fetch-site': 'none' }, /\(Sec-Fetch-Site\)/],
    ['a script tag', { 'sec-fetch-dest': 'script', 'sec-fetch-mode': 'no-cors' }, /\(Sec-Fetch-Mode\)/],
    ['a frame', { 'sec-fetch-dest': 'iframe', 'sec-fetch-mode': 'navigate' }, /\(Sec-Fetch-Mode\)/],
    ['an image', { 'sec-fetch-dest': 'image' }, /\(Sec-Fetch-Dest\)/],
    ['an origin that is not ours', { origin: 'http://127.0.0.1:1' }, /\(Origin\)/],
    ['no origin at all', { origin: 'null' }, /\(Origin\)/],
    ['a name that leads here', { host: 'rebound.example' }, /^postern: The Host header of the request is not an address of this door/],
    ['something in between', { 'x-forwarded-for': '10.0.0.7' }, /^postern: The request carries the header x-forwarded-for/],
  ])('shows nothing to %s', async (_what, headers, said) => {
    const answer = await numbers(headers);
    expect(answer.status).toBe(403);
    expect(answer.body.toString()).toMatch(said);
    expect(answer.headers).not.toHaveProperty('access-control-allow-origin');
    expect((await numbers()).status).toBe(200);
  });

  test('shows nothing under a name, which its owner can lead anywhere, and at no other address than its own', async () => {
    const { port } = new URL(daemon.base);
    const answer = await numbers({ host: `localhost:${port}` });
    expect(answer.body.toString()).toMatch(/^postern: The status page is shown at 127\.0\.0\.1 and \[::1\] alone/);
    const both = await scene.daemon(scene.plainConfiguration.replace('127.0.0.1:0', 'localhost:0'));
    const bases = both.log.filter(({ event, door }) => event === 'listening' && door === 'http').map(({ address }) => String(address));
    if (bases.length === 2) {
      const of = await session(both);
      const other = bases[1] ?? '';
      expect((await ask(`${other}/-/status.json`, { headers: { ...JSON_OF_PAGE, cookie: of } })).status).toBe(403);
    }
    await both.kill();
  });

  test('shows nothing to what does not tell where it comes from', async () => {
    const answer = await ask(`${daemon.base}/-/status.json`, { headers: { cookie } });
    expect(answer.status).toBe(403);
    expect(answer.body.toString()).toMatch(/^postern: The request does not tell what began it[^]*`postern status --json`/);
  });

  test('shows nothing but the page, and changes nothing', async () => {
    for (const path of [
      '/-/x',
      '/-/page.html',
      '/-/status.json?x',
      '/-//',
      '/-/../-/status.json',
      '/-/%2e%2e/package.json',
      '/-/..%2fpostern.js',
    ])
      expect(await statusOf(path), path).toBe(404);
    for (const method of ['POST', 'PUT', 'DELETE', 'HEAD', 'OPTIONS']) {
      const answer = await ask(`${daemon.base}/-/status.json`, { method, headers: { ...JSON_OF_PAGE, cookie } });
      expect(answer.status, method).toBe(405);
    }
  });

  test('is nothing at the rest of the door, which serves no browser as before', async () => {
    scene.emulator.git.seen.length = 0;
    for (const path of [`${WEB}/info/refs?service=git-upload-pack`, '-', '-x/y/_git/z/info/refs?service=git-upload-pack']) {
      const answer = await ask(daemon.url(path), { headers: { ...JSON_OF_PAGE, cookie } });
      expect(answer.body.toString(), path).toContain('so a web page sent it');
    }
    expect(scene.emulator.git.seen).toEqual([]);
  });

  test('is no operation: nothing is counted, noted or waited for', async () => {
    const other = await scene.daemon();
    const before = await other.status();
    const opening = await printDashboard(other);
    const answer = await bring(opening);
    const of = answer.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
    for (let i = 0; i < 5; i++)
      expect((await ask(`${other.base}/-/status.json`, { headers: { ...JSON_OF_PAGE, cookie: of } })).status).toBe(200);
    await ask(`${other.base}/-/status.json`, { headers: JSON_OF_PAGE });
    await opening.ended;
    const after = await other.status();
    expect(after.operations).toEqual(before.operations);
    expect([after.running, after.betweenRequests, after.failures, after.callers]).toEqual([[], [], [], []]);
    expect(after.audit).toEqual(before.audit);
    expect(other.log.map(({ event }) => event).filter((event) => event.startsWith('page-'))).toEqual(['page-opened', 'page-refused']);
    const startedAt = performance.now();
    expect(await other.stop()).toBe(0);
    expect(performance.now() - startedAt).toBeLessThan(STOP_MS);
  });

  test('ends with the daemon', async () => {
    const first = await scene.daemon(scene.plainConfiguration);
    const of = await session(first);
    const { port } = new URL(first.base);
    await first.stop();
    const second = await scene.daemon(scene.plainConfiguration.replace('127.0.0.1:0', `127.0.0.1:${port}`));
    const answer = await ask(`${second.base}/-/status.json`, { headers: { ...JSON_OF_PAGE, cookie: of } });
    expect(answer.status).toBe(403);
    expect(answer.body.toString()).toMatch(CLOSED);
    await second.kill();
  });
});

test('outlasts a reload, and shows the new configuration', async () => {
  const reply = await daemon.postern(['reload']);
  expect(reply.code, reply.stderr).toBe(0);
  expect((await numbers()).status).toBe(200);
});

test('over TLS the cookie goes over TLS alone', async () => {
  const secure = await scene.daemon(scene.plainConfiguration.replace('127.0.0.1:0', '{ address: 127.0.0.1:0, tls: auto }'));
  const opening = await printDashboard(secure);
  expect(opening.action).toMatch(/^https:\/\/127\.0\.0\.1:[0-9]+\/-\/open$/);
  const { ca = '' } = (await secure.status()).listen.certificate ?? {};
  const agent = new Agent({ ca: await readFile(ca) });
  const body = `code=${opening.code}`;
  const given = await new Promise<string>((resolve, reject) => {
    secureRequest(
      opening.action,
      { method: 'POST', agent, headers: { ...FROM_FILE, 'content-length': String(body.length) } },
      (response) => {
        response.resume().once('end', () => resolve(response.headers['set-cookie']?.[0] ?? ''));
      },
    )
      .once('error', reject)
      .end(body);
  });
  expect(given).toMatch(/; HttpOnly; SameSite=Strict; Secure$/);
  expect((await opening.ended).code).toBe(0);
  agent.destroy();
  await secure.kill();
});

test('where the door listens on no loopback address, `postern dashboard` says so', async () => {
  const [address] = Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4');
  if (address === undefined) return;
  const far = await scene.daemon(scene.plainConfiguration.replace('127.0.0.1:0', `'${address.address}:0'`));
  const ran = await far.postern(['dashboard', '--print']);
  expect(ran, `code ${ran.code}`).toMatchObject({ code: 2, stdout: '' });
  expect(ran.stderr).toContain('postern: The HTTP door listens on no address of this machine alone');
  await far.kill();
});

test.skipIf(!CAN_UNSHARE)('where the kernel does not tell who asks, nothing is opened, and the text says what to use', async () => {
  const apart = await scene.daemon(`${scene.plainConfiguration}access: { local: lease }\n`, { through: ['unshare', '-U'] });
  const opening = await printDashboard(apart);
  const answer = await bring(opening);
  expect(answer.status).toBe(403);
  expect(answer.body.toString()).toMatch(/^postern: It cannot be told which local user asks: [^]*what to do: use `postern status --watch`/);
  opening.interrupt();
  await opening.ended;
  await apart.kill();
});

test('what is sent behind a request with a body is not answered: it may be meant as that body', async () => {
  const before = (await daemon.status()).operations;
  const { hostname, port, host } = new URL(daemon.base);
  const head = Object.entries({ host, ...FROM_FILE, 'content-length': '6' }).map(([name, value]) => `${name}: ${value}\r\n`);
  const behind = `GET /${WEB}/info/refs?service=git-upload-pack HTTP/1.1\r\nhost: ${host}\r\n\r\n`;
  const answer = await new Promise<string>((resolve, reject) => {
    let text = '';
    const socket = connect(Number(port), hostname, () => socket.write(`POST /-/open HTTP/1.1\r\n${head.join('')}\r\ncode=x${behind}`));
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.once('error', reject).once('close', () => resolve(text));
  });
  expect(answer).toMatch(/^HTTP\/1\.1 403 /);
  expect(answer.split('HTTP/1.1 ')).toHaveLength(2);
  expect((await daemon.status()).operations).toEqual(before);
  expect((await daemon.status()).running).toEqual([]);
});

test('no secret is in what the page is told', async () => {
  expect((await scene.git(['ls-remote', daemon.url(WEB)])).code).toBe(0);
  const lease = (
    await daemon.postern(['lease', 'create', '--repo', 'contoso/Payments/web', '--allow', 'fetch', '--for', '1h', '--label', 'night'])
  ).stdout.trim();
  expect((await ask(daemon.url(`${WEB}/info/refs?service=git-upload-pack`), { headers: { 'X-Postern-Lease': lease } })).status).toBe(200);
  await ask(daemon.url('github.com/contoso/none/info/refs?service=git-upload-pack'), { headers: { 'X-Postern-Lease': lease } });
  const canaries = new Canaries();
  canaries.add('client secret', scene.emulator.sts.samples.secretClient.secret);
  canaries.add('lease', lease);
  canaries.add('session', cookie.split('=')[1] ?? '');
  for (const { headers } of scene.emulator.git.seen) canaries.add('token', (headers['authorization'] ?? '').replace(/^Bearer /, ''));
  expect(canaries.size).toBeGreaterThan(6);
  const { body } = await numbers();
  expect(canaries.in(body.toString())).toEqual([]);
  // What it is told of all this, it is told.
  const view = JSON.parse(body.toString()) as {
    leases: { rows: unknown[] };
    failures: { code: string }[];
    identities: { tokens: unknown[] }[];
  };
  expect(view.leases.rows).toMatchObject([{ label: 'night' }]);
  expect(view.failures[0]?.code).toMatch(/^(?:no-route|lease-insufficient)$/);
  expect(view.identities[0]?.tokens).toHaveLength(1);
  expect(canaries.in(daemon.output)).toEqual([]);
});
