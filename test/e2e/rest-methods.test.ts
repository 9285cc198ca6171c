/**
 * Calls of the REST API on the wire: every method with every kind of body arrives as it was sent, and every kind of answer comes back as it
 * was given. The upstream is one of this test's own, which tells what came and answers as it is told.
 */
import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, type Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ask, oneConnection, type PlainAnswer, type PlainOptions } from '../support/plain-request.js';
import { type RunningDaemon, Scene } from '../support/scene.js';

interface Arrived {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly bytes: number;
  readonly sha256: string;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const CALL = 'dev.azure.com/contoso/Payments/_apis/wit/workitems/7';
const SIGN_IN = '<html><head><title>Azure DevOps Services | Sign In</title></head></html>';

let scene: Scene;
let daemon: RunningDaemon;
let upstream: Server;
const arrived: Arrived[] = [];
/** What is answered next. */
let answer: { status: number; headers?: OutgoingHttpHeaders; body?: string | Buffer } = { status: 200 };

beforeAll(async () => {
  upstream = createServer((request, response) => {
    const hash = createHash('sha256');
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      hash.update(chunk);
    });
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      arrived.push({ method, url, headers, bytes, sha256: hash.digest('hex') });
      const { status, headers: told = {}, body = '' } = answer;
      const isBodiless = status === 204 || status === 304 || method === 'HEAD';
      response.writeHead(status, { ...(status === 204 || status === 304 ? {} : { 'content-length': Buffer.byteLength(body) }), ...told });
      response.end(isBodiless ? undefined : body);
    });
  });
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve));
  scene = await Scene.open();
  const origin = `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`;
  daemon = await scene.daemon(
    [
      'listen: { http: 127.0.0.1:0 }',
      'log: { level: debug, format: json }',
      'identities:',
      '  nobody: { kind: none }',
      'routes:',
      `  - { match: dev.azure.com/**, identity: nobody, allow: [fetch, push, api], upstream: '${origin}' }`,
      '',
    ].join('\n'),
  );
});
afterAll(async () => {
  await scene.close();
  await new Promise((resolve) => upstream.close(resolve));
});
beforeEach(() => {
  arrived.length = 0;
  answer = { status: 200, headers: { 'content-type': JSON_TYPE }, body: '{}' };
});

const send = (options: PlainOptions, path = CALL): Promise<PlainAnswer> => ask(daemon.url(path), options);
const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex');

/** Sends bytes and gives all that comes back until the connection closes. */
function raw(bytes: string): Promise<string> {
  const { hostname, port } = new URL(daemon.base);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    socket.on('close', () => resolve(text)).on('error', reject);
  });
}

describe('a request', () => {
  const small = Buffer.from('[{"op":"add"}]');

  test.each(['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'QUERY'])('of %s arrives with its body', async (method) => {
    const headers = { 'content-type': 'application/json-patch+json', 'content-length': String(small.length) };
    expect((await send({ method, headers, body: small })).status).toBe(200);
    expect(arrived).toMatchObject([{ method, bytes: small.length, sha256: sha256(small) }]);
    expect(arrived[0]?.headers['content-type']).toBe('application/json-patch+json');
  });

  test.each(['POST', 'PUT', 'PATCH', 'DELETE'])('of %s in chunks arrives whole, and is one request', async (method) => {
    const { host } = new URL(daemon.base);
    const chunks = '7\r\n[{"op":\r\n7\r\n"add"}]\r\n0\r\n\r\n';
    const text = await raw(
      `${method} /${CALL} HTTP/1.1\r\nHost: ${host}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n${chunks}`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 200 /);
    expect(arrived).toMatchObject([{ method, bytes: 14, sha256: sha256(small) }]);
  });

  test.each(['GET', 'HEAD', 'OPTIONS', 'DELETE', 'POST'])('of %s without a body arrives without one', async (method) => {
    expect((await send({ method })).status).toBe(200);
    expect(arrived).toMatchObject([{ method, bytes: 0 }]);
  });

  test.each(['DELETE', 'OPTIONS'])('of %s with more than is kept is refused, and nothing of it goes up', async (method) => {
    const large = Buffer.alloc((1 << 20) + 1, 0x20);
    const refused = await send({ method, headers: { 'content-length': String(large.length) }, body: large });
    expect(refused.status).toBe(413);
    expect(refused.body.toString()).toContain('The body of a DELETE or OPTIONS request is longer than 1048576 bytes');
    expect(arrived).toEqual([]);
  });

  test('that is large is passed through as it comes, with its range', async () => {
    const large = randomBytes(24 << 20);
    const before = await daemon.memory();
    await daemon.forgetPeak();
    const headers = { 'content-type': 'application/octet-stream', 'content-range': `bytes 0-${large.length - 1}/${large.length}` };
    expect((await send({ method: 'PUT', headers, body: large }, 'dev.azure.com/contoso/_apis/wit/attachments/x?fileName=a')).status).toBe(
      200,
    );
    expect(arrived).toMatchObject([{ bytes: large.length, sha256: sha256(large) }]);
    expect(arrived[0]?.headers['content-range']).toBe(headers['content-range']);
    expect((await daemon.memory()).peak - before.resident).toBeLessThan(64 << 20);
  });

  test('keeps its query, and of its headers what the API knows', async () => {
    const headers = {
      accept: 'application/json;api-version=7.1;excludeUrls=true',
      'if-match': '"7"',
      'if-none-match': '"8"',
      range: 'bytes=5-',
      'x-tfs-session': 'abc',
      authorization: 'Basic OmR1bW15',
      cookie: 'UserAuthentication=x',
      'x-tfs-impersonate': 'somebody',
      'x-vss-forceMsaPassThrough': 'true',
    };
    await send({ headers }, `${CALL}?api-version=7.1-preview.1&$expand=all&fields=System.Id,System.Title&x=%C3%A4+b`);
    const { url, headers: seen }: Pick<Arrived, 'url' | 'headers'> = arrived[0] ?? { url: '', headers: {} };
    expect(url).toBe(
      '/contoso/Payments/_apis/wit/workitems/7?api-version=7.1-preview.1&$expand=all&fields=System.Id,System.Title&x=%C3%A4+b',
    );
    expect(seen).toMatchObject({
      accept: headers.accept,
      'if-match': '"7"',
      'if-none-match': '"8"',
      range: 'bytes=5-',
      'x-tfs-session': 'abc',
    });
    for (const name of ['authorization', 'cookie', 'x-tfs-impersonate', 'x-vss-forcemsapassthrough'])
      expect(seen[name], name).toBeUndefined();
    expect(seen['x-tfs-fedauthredirect']).toBe('Suppress');
  });
});

describe('an answer', () => {
  test.each([
    [204, {}, ''],
    [304, { etag: '"7"' }, ''],
    [200, { 'content-type': JSON_TYPE, etag: '"7"', 'x-ms-continuationtoken': '100' }, '{"count":1}'],
    [201, { 'content-type': JSON_TYPE }, '{"id":7}'],
    [202, { 'content-type': JSON_TYPE }, '{"status":"queued"}'],
    [206, { 'content-type': 'application/zip', 'content-range': 'bytes 5-8/100', 'accept-ranges': 'bytes' }, 'PK\u0003\u0004'],
    [412, { 'content-type': JSON_TYPE }, '{"message":"VS403374: The tag is another one."}'],
    [409, { 'content-type': 'application/json' }, '{"message":"TF401179: An active pull request exists."}'],
    [404, { 'content-type': JSON_TYPE }, '{"message":"VS800075: The project does not exist."}'],
    [400, { 'content-type': 'application/problem+json' }, '{"message":"VS402337"}'],
    [500, { 'content-type': JSON_TYPE }, '{"message":"TF400898: An internal error."}'],
  ] as [number, OutgoingHttpHeaders, string][])(
    'of %s comes back as it was given, on a connection that goes on',
    async (status, headers, body) => {
      const agent = oneConnection();
      for (let time = 0; time < 2; time++) {
        answer = { status, headers: { ...headers, 'set-cookie': 'a=b', 'www-authenticate': 'Bearer' }, body };
        const given = await send({ agent });
        expect([given.status, given.body.toString()]).toEqual([status, body]);
        expect(given.headers).toMatchObject(headers);
        expect([given.headers['set-cookie'], given.headers['www-authenticate']]).toEqual([undefined, undefined]);
      }
      agent.destroy();
    },
  );

  test('to HEAD has its length and no body', async () => {
    answer = { status: 200, headers: { 'content-type': JSON_TYPE, 'content-length': 4711, etag: '"7"' } };
    const given = await send({ method: 'HEAD' });
    expect([given.status, given.headers['content-length'], given.headers.etag, given.body.length]).toEqual([200, '4711', '"7"', 0]);
  });

  test.each([
    ['a sign-in page', 200, { 'content-type': 'text/html' }, SIGN_IN, 502, 'upstream-unauthenticated'],
    ['a sign-in page with 203', 203, { 'content-type': 'text/html; charset=utf-8' }, SIGN_IN, 502, 'upstream-unauthenticated'],
    [
      'a redirect to the sign-in',
      302,
      { location: 'https://spsprodeus1.vssps.visualstudio.com/_signin?realm=dev.azure.com' },
      '',
      502,
      'upstream-unauthenticated',
    ],
    ['a page of something else', 403, { 'content-type': 'text/html' }, '<html><title>Blocked</title></html>', 403, 'upstream-forbidden'],
    ['plain text', 500, { 'content-type': 'text/plain' }, 'TF400898', 500, 'upstream-error'],
    ['a 401 in JSON', 401, { 'content-type': JSON_TYPE }, '{"message":"no"}', 502, 'upstream-unauthenticated'],
    ['a redirect elsewhere', 302, { location: 'https://evil.example/x' }, '', 502, 'redirect-elsewhere'],
  ] as [string, number, OutgoingHttpHeaders, string, number, string][])(
    'that is %s becomes an error in JSON',
    async (_, status, headers, body, told, code) => {
      answer = { status, headers, body };
      const given = await send({});
      expect([given.status, given.headers['content-type']]).toEqual([told, JSON_TYPE]);
      expect(JSON.parse(given.body.toString())).toMatchObject({
        typeKey: code,
        message: expect.stringMatching(/^postern: [^]*what to do: /) as string,
      });
      expect(given.headers['www-authenticate']).toBeUndefined();
    },
  );
});

describe('a listener that needs a lease', () => {
  test('asks for it as a password, which pip and NuGet then send', async () => {
    const { port } = upstream.address() as AddressInfo;
    const shut = await scene.daemon(
      [
        'listen: { http: 127.0.0.1:0 }',
        'access: { local: lease }',
        'log: { level: debug, format: json }',
        'identities: { nobody: { kind: none } }',
        `routes: [{ match: dev.azure.com/**, identity: nobody, allow: [fetch, api], upstream: 'http://127.0.0.1:${port}' }]`,
        '',
      ].join('\n'),
    );
    const none = await ask(shut.url(CALL));
    expect([none.status, none.headers['www-authenticate'], none.headers['content-type']]).toEqual([
      401,
      'Basic realm="Postern lease", charset="UTF-8"',
      JSON_TYPE,
    ]);
    expect(arrived).toEqual([]);
    const ran = await shut.postern(['lease', 'create', '--repo', 'dev.azure.com/contoso/**', '--allow', 'api', '--for', '1h']);
    const authorization = `Basic ${Buffer.from(`lease:${ran.stdout.trim()}`).toString('base64')}`;
    expect((await ask(shut.url(CALL), { headers: { authorization } })).status).toBe(200);
    expect(arrived[0]?.headers.authorization).toBeUndefined();
    // Another password would only be asked for again.
    const wrong = await ask(shut.url(CALL), { headers: { authorization: 'Basic OmR1bW15' } });
    expect([wrong.status, wrong.headers['www-authenticate']]).toEqual([403, undefined]);
    await shut.stop();
  });
});
