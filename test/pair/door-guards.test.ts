/**
 * The door's guards, over raw sockets. The attacks: a request whose end two programs see in different places (smuggling),
 * an address that two programs read differently (path and host confusion), and a web page that makes a browser send
 * requests to loopback (drive-by, DNS rebinding). For each: nothing reaches the upstream, the answer is a 4xx in plain
 * text that says what to do, never a 401, and nothing behind it on the connection is served.
 */
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HttpDoor } from '../../src/http/http-door.js';
import { CLOSE, type Door, openDoor, requestBytes } from './door-rig.js';

const REPOSITORY = '/dev.azure.com/contoso/Payments/_git/web';
const REFS = `${REPOSITORY}/info/refs?service=git-upload-pack`;
const GET = `GET ${REFS} HTTP/1.1`;
const POST = `POST ${REPOSITORY}/git-upload-pack HTTP/1.1`;
const TYPE = 'Content-Type: application/x-git-upload-pack-request';

let door: Door;

beforeAll(async () => {
  door = await openDoor((emulator) => [
    { match: 'git.example.com/**', identity: 'own', hostKind: 'generic', upstream: new URL(`${emulator.git.origin}/git.example.com`) },
  ]);
});
beforeEach(() => {
  door.emulator.git.seen.length = 0;
});
afterAll(() => door.close());

const good = (): string => requestBytes(door.port, GET, [CLOSE]);

/** Sends the bytes and, in the same packet, a request that would be served; expects one refusal and silence upstream. */
async function refused(bytes: string, statuses: readonly number[] = [400]): Promise<string> {
  const answer = await door.raw(bytes + good());
  const answers = answer.match(/HTTP\/1\.1 [0-9]{3}/g) ?? [];
  expect(answers, answer).toHaveLength(1);
  const status = Number(/^HTTP\/1\.1 ([0-9]{3})/.exec(answer)?.[1]);
  expect(statuses).toContain(status);
  expect(answer.toLowerCase()).toContain('\r\ncontent-type: text/plain; charset=utf-8\r\n');
  expect(answer.toLowerCase()).toContain('\r\nconnection: close\r\n');
  if (!bytes.startsWith('HEAD '))
    expect(answer).toMatch(/\r\n\r\npostern: [^\n]+\n(?: {2}.*\n)* {2}what to do: [^\n]+\n {2}more: postern explain [a-z-]+\n$/);
  expect(door.emulator.git.seen).toEqual([]);
  return answer;
}

test('control: a request like the ones below, but right, is served', async () => {
  const answer = await door.raw(requestBytes(door.port, GET) + good());
  expect(answer.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(2);
  expect(door.emulator.git.seen.map(({ authorization }) => authorization)).toEqual(['bearer', 'bearer']);
});

describe('the end of a request is a matter of one opinion', () => {
  const smuggled = `GET ${REPOSITORY}/info/refs?service=git-receive-pack HTTP/1.1\r\nHost: x\r\n\r\n`;
  const chunked = `4\r\n0000\r\n0\r\n\r\n`;
  const cases: readonly (readonly [string, string, readonly string[], string])[] = [
    ['Content-Length and Transfer-Encoding', POST, [TYPE, 'Content-Length: 4', 'Transfer-Encoding: chunked'], chunked],
    ['Transfer-Encoding and Content-Length', POST, [TYPE, 'Transfer-Encoding: chunked', 'Content-Length: 4'], chunked],
    ['two Content-Length', POST, [TYPE, 'Content-Length: 4', 'Content-Length: 5'], '00000'],
    ['two equal Content-Length', POST, [TYPE, 'Content-Length: 4', 'Content-Length: 4'], '0000'],
    ['a list of Content-Length', POST, [TYPE, 'Content-Length: 4, 4'], '0000'],
    ['a signed Content-Length', POST, [TYPE, 'Content-Length: +4'], '0000'],
    ['Transfer-Encoding: gzip, chunked', POST, [TYPE, 'Transfer-Encoding: gzip, chunked'], chunked],
    ['Transfer-Encoding: chunked, identity', POST, [TYPE, 'Transfer-Encoding: chunked, identity'], chunked],
    ['Transfer-Encoding: identity', POST, [TYPE, 'Transfer-Encoding: identity'], '0000'],
    ['Transfer-Encoding twice', POST, [TYPE, 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'], chunked],
    ['Transfer-Encoding: xchunked', POST, [TYPE, 'Transfer-Encoding: xchunked'], chunked],
    ['Transfer-Encoding with a tab before the colon', POST, [TYPE, 'Transfer-Encoding\t: chunked'], chunked],
    ['a folded Transfer-Encoding', POST, [TYPE, 'Transfer-Encoding: gzip,\r\n chunked'], chunked],
    ['a folded header', POST, [TYPE, 'X-Any: a\r\n b', 'Content-Length: 4'], '0000'],
    ['a chunk size that is none', POST, [TYPE, 'Transfer-Encoding: chunked'], 'zz\r\n0000\r\n0\r\n\r\n'],
    ['a GET with a body', GET, [`Content-Length: ${smuggled.length}`], smuggled],
    ['a GET with a chunked body', GET, ['Transfer-Encoding: chunked'], `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`],
    ['a bare line feed before a header', GET, ['X-Any: a\nTransfer-Encoding: chunked'], chunked],
  ];
  test.each(cases)('%s', async (_, line, headers, body) => {
    await refused(requestBytes(door.port, line, headers, body));
  });
});

describe('an address is read in one way', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['absolute form', `http://dev.azure.com/contoso/Payments/_git/web/info/refs?service=git-upload-pack`],
    ['an asterisk', '*'],
    ['no slash first', 'dev.azure.com/contoso/Payments/_git/web/info/refs?service=git-upload-pack'],
    ['..', '/dev.azure.com/other/../contoso/Payments/_git/web/info/refs?service=git-upload-pack'],
    ['%2e%2e', '/dev.azure.com/other/%2e%2e/contoso/Payments/_git/web/info/refs?service=git-upload-pack'],
    ['.%2E', '/dev.azure.com/other/.%2E/contoso/Payments/_git/web/info/refs?service=git-upload-pack'],
    ['.', '/dev.azure.com/./contoso/Payments/_git/web/info/refs?service=git-upload-pack'],
    ['//', '/dev.azure.com//contoso/Payments/_git/web/info/refs?service=git-upload-pack'],
    ['%2f', '/dev.azure.com/contoso%2fPayments/_git/web/info/refs?service=git-upload-pack'],
    ['%5c', '/dev.azure.com/contoso/Payments%5cx/_git/web/info/refs?service=git-upload-pack'],
    ['a backslash', '/dev.azure.com/contoso\\Payments/_git/web/info/refs?service=git-upload-pack'],
    ['NUL', '/dev.azure.com/contoso/Payments/_git/web%00/info/refs?service=git-upload-pack'],
    ['a line feed', '/dev.azure.com/contoso/Payments/_git/web%0a/info/refs?service=git-upload-pack'],
    ['encoded twice', '/dev.azure.com/contoso/%252e%252e/_git/web/info/refs?service=git-upload-pack'],
    ['a broken escape', '/dev.azure.com/contoso/%zz/_git/web/info/refs?service=git-upload-pack'],
    ['full-width dots', '/dev.azure.com/contoso/\xef\xbc\x8e\xef\xbc\x8e/_git/web/info/refs?service=git-upload-pack'],
    ['a full-width slash', '/dev.azure.com/contoso\xef\xbc\x8fPayments/_git/web/info/refs?service=git-upload-pack'],
    ['a full-width slash, encoded', '/dev.azure.com/contoso%ef%bc%8fPayments/_git/web/info/refs?service=git-upload-pack'],
    ['a full-width percent', '/dev.azure.com/contoso/%ef%bc%852e/_git/web/info/refs?service=git-upload-pack'],
    ['invalid UTF-8', '/dev.azure.com/contoso/\xff\xfe/_git/web/info/refs?service=git-upload-pack'],
    ['overlong UTF-8', '/dev.azure.com/contoso/%c0%ae%c0%ae/_git/web/info/refs?service=git-upload-pack'],
    ['a fragment', `${REFS}#x`],
    ['a name that ends in a dot', '/dev.azure.com/contoso/Payments/_git/web./info/refs?service=git-upload-pack'],
    ['service twice', `${REFS}&service=git-receive-pack`],
    ['another query', `${REFS}&x=y`],
    ['a query on the exchange', `${REPOSITORY}/git-upload-pack?service=git-receive-pack`],
  ];
  test.each(cases)('%s', async (_, target) => {
    const method = target.includes('/git-upload-pack?') ? 'POST' : 'GET';
    await refused(requestBytes(door.port, `${method} ${target} HTTP/1.1`, method === 'POST' ? ['Content-Length: 0'] : []));
  });

  // No grammar of names stands behind these: the whole path is the repository.
  test.each([
    'team/../other/web',
    'team/%2e%2e/web',
    'team/.%2e/web',
    'team/./web',
    'team//web',
    'team/web/',
    'team%2fweb',
    'team/a%5cb',
    'team/%00',
    'team/%252e%252e/web',
    'team/%ef%bc%8e%ef%bc%8e/web',
  ])('of a generic host: %s', async (path) => {
    await refused(requestBytes(door.port, `GET /git.example.com/${path}/info/refs?service=git-upload-pack HTTP/1.1`));
  });

  test('names beyond ASCII go up as the escapes that came; bare they are no HTTP', async () => {
    const target = '/dev.azure.com/contoso/caf%c3%A9/_git/%63af%C3%a9/info/refs?service=git-upload-pack';
    expect(await door.raw(requestBytes(door.port, `GET ${target} HTTP/1.1`, [CLOSE]))).toMatch(/^HTTP\/1\.1 404 [^]*TF401019/);
    expect(door.emulator.git.seen.map(({ url }) => url)).toEqual([target.replace('/dev.azure.com', '')]);
    door.emulator.git.seen.length = 0;
    await refused(requestBytes(door.port, `GET ${target.replace('%c3%A9', '\xc3\xa9')} HTTP/1.1`));
  });

  test.each([
    ['dumb', `${REPOSITORY}/info/refs`, 403],
    ['another service', `${REPOSITORY}/info/refs?service=git-upload-archive`, 403],
    ['dumb objects', `${REPOSITORY}/objects/info/packs`, 404],
    ['no repository', '/', 400],
  ])('%s is not served', async (_, target, status) => {
    await refused(requestBytes(door.port, `GET ${target} HTTP/1.1`), [status]);
  });
});

describe('methods', () => {
  test.each(['HEAD', 'DELETE', 'OPTIONS', 'PUT', 'PATCH', 'PROPFIND', 'TRACE'])('%s is not served', async (method) => {
    await refused(requestBytes(door.port, `${method} ${REFS} HTTP/1.1`), [405]);
  });

  test.each(['DELETE', 'OPTIONS', 'PUT'])('%s with a chunked body does not become two requests', async (method) => {
    const body = `${good().length.toString(16)}\r\n${good()}\r\n0\r\n\r\n`;
    await refused(requestBytes(door.port, `${method} ${REPOSITORY}/git-upload-pack HTTP/1.1`, ['Transfer-Encoding: chunked'], body), [405]);
  });

  test('CONNECT is told that this is no forward proxy', async () => {
    expect(await refused(requestBytes(door.port, 'CONNECT dev.azure.com:443 HTTP/1.1'), [405])).toContain('no forward proxy');
  });

  test('an upgrade is not one', async () => {
    const answer = await door.raw(requestBytes(door.port, GET, ['Connection: Upgrade, close', 'Upgrade: h2c']));
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(door.emulator.git.seen.map(({ headers }) => headers.upgrade)).toEqual([undefined]);
  });

  test('HTTP/1.0 is not spoken', async () => {
    // Alone: Node itself refuses what comes behind it.
    const answer = await door.raw(requestBytes(door.port, GET.replace('HTTP/1.1', 'HTTP/1.0')));
    expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*\r\n\r\npostern: HTTP\/1\.0 is not spoken here/);
    expect(door.emulator.git.seen).toEqual([]);
  });

  test('an expectation that nobody knows is no reason to be silent', async () => {
    const answer = await door.raw(requestBytes(door.port, GET, [CLOSE, 'Expect: miracles']));
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(door.emulator.git.seen[0]?.headers.expect).toBeUndefined();
  });

  test('Expect: 100-continue is met here, and the upstream gets a token and no expectation', async () => {
    const body = '0014command=ls-refs\n0000';
    const head = requestBytes(door.port, POST, [
      CLOSE,
      TYPE,
      'Git-Protocol: version=2',
      `Content-Length: ${body.length}`,
      'Expect: 100-continue',
    ]);
    const answer = await door.raw(head + body);
    expect(answer).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*refs\/heads\/main/);
    expect(door.emulator.git.seen).toMatchObject([{ authorization: 'bearer', status: 200 }]);
    expect(door.emulator.git.seen[0]?.headers.expect).toBeUndefined();
  });
});

describe('heads', () => {
  test('over 32 KiB is too large', async () => {
    await refused(requestBytes(door.port, GET, [`X-Large: ${'x'.repeat(40_000)}`]), [431]);
  });

  test('an address over its limit', async () => {
    await refused(requestBytes(door.port, `GET /dev.azure.com/${'x'.repeat(17_000)}/_git/web/info/refs?service=git-upload-pack HTTP/1.1`));
  });

  test('one that never ends is cut', async () => {
    const impatient = new HttpDoor({ ...door.house.doorParts, headMs: 200 });
    await impatient.listen({ host: '127.0.0.1', port: 0, optional: false });
    const socket = connect(impatient.bound[0]?.port ?? 0, '127.0.0.1');
    socket.write(`${GET}\r\nHost: 127.0`);
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
      socket.on('close', () => resolve(text));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 408 [^]*\r\n\r\npostern: .*\n {2}what to do: /);
    await impatient.close();
  });
});

describe('web pages are not callers', () => {
  const at = (): string => `127.0.0.1:${door.port}`;
  test('a request without Host', async () => {
    await refused(requestBytes(door.port, GET, ['host:none']), [403]);
  });

  test.each(['evil.example', 'localhost.evil.example', 'dev.azure.com', '127.0.0.1', '127.0.0.1:1', '[::1]', '0.0.0.0', '2130706433'])(
    'Host: %s (DNS rebinding)',
    async (host) => {
      const port = /:|\]/.test(host) || host === '127.0.0.1' ? '' : `:${door.port}`;
      await refused(requestBytes(door.port, GET, [`Host: ${host}${port}`]), [403]);
    },
  );

  test('Host twice', async () => {
    await refused(requestBytes(door.port, GET, [`Host: ${at()}`, 'Host: evil.example']), [400, 403]);
    await refused(requestBytes(door.port, GET, [`Host: ${at()}`, `Host: ${at()}`]), [400, 403]);
  });

  test.each([
    'Origin: https://evil.example',
    'Origin: null',
    'Sec-Fetch-Site: cross-site',
    'Sec-Fetch-Site: none',
    'Sec-Fetch-Dest: empty',
  ])('%s', async (header) => {
    expect(await refused(requestBytes(door.port, GET, [header]), [403])).toContain('a web page sent it');
  });

  test('Sec-Fetch-Mode alone is no browser, and localhost is our name', async () => {
    expect(await door.raw(requestBytes(door.port, GET, [CLOSE, 'Sec-Fetch-Mode: cors']))).toMatch(/^HTTP\/1\.1 200 /);
    expect(await door.raw(requestBytes(door.port, GET, [CLOSE, `Host: LOCALHOST:${door.port}`]))).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('no token to any host but the upstream of a route', () => {
  const path = (host: string): string => `GET /${host}/contoso/Payments/_git/web/info/refs?service=git-upload-pack HTTP/1.1`;
  test.each([
    ['evil-dev.azure.com', 403],
    ['dev.azure.com.evil.example', 403],
    ['xdev.azure.com', 403],
    ['azure.com', 403],
    ['dev.azure.com:444', 400],
    ['dev.azure.com:0', 400],
    ['dev.azure.com:99999', 400],
    ['dev.azure.com:', 400],
    ['dev.azure.com.', 400],
    ['user@dev.azure.com', 400],
    ['dev.azure.com@evil.example', 400],
    ['user:password@dev.azure.com', 400],
    ['dev%2eazure.com', 400],
    ['dev.azure.com%00.evil.example', 400],
    ['dev\xe3\x80\x82azure.com', 400],
    ['\xef\xbd\x84ev.azure.com', 400],
    ['[::1]', 403],
    ['[::ffff:127.0.0.1]', 403],
    ['127.0.0.1', 403],
    ['localhost', 403],
    ['*', 400],
    ['..', 400],
  ])('%s', async (host, status) => {
    const dialled = door.emulator.git.connections.attempts;
    const answer = await door.raw(requestBytes(door.port, path(host), [CLOSE]));
    expect(answer).toMatch(/^HTTP\/1\.1 [0-9]{3} [^]*\r\n\r\npostern: [^]*\n {2}what to do: /);
    expect(Number(answer.slice(9, 12))).toBe(status);
    expect(door.emulator.git.connections.attempts).toBe(dialled);
    expect(door.emulator.git.seen).toEqual([]);
  });

  test.each(['DEV.azure.com', 'dev.azure.com:443', 'Dev.Azure.Com:443'])('%s is the same host', async (host) => {
    expect(await door.raw(requestBytes(door.port, path(host), [CLOSE]))).toMatch(/^HTTP\/1\.1 200 /);
    expect(door.emulator.git.seen).toMatchObject([{ authorization: 'bearer', status: 200 }]);
  });
});
