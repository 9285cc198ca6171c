/** Requests of our own that are held whole, over real sockets: how much of an answer is read, and what becomes of one that is ended. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeCertificates } from '../azure/certificates.js';
import { openMute } from '../support/interceptor.js';
import type { SignInWay } from '../../src/model/sign-in.js';
import { signInHttp } from '../../src/upstream/sign-in-http.js';

const MIB = 1024 * 1024;

let server: Server;
let origin = '';
let answers: (response: ServerResponse) => void;

beforeAll(async () => {
  server = createServer((_, response) => answers(response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});

const ask = (way: Partial<SignInWay>) =>
  signInHttp({ environment: {}, connectMs: 10_000, timeoutMs: 10_000 })(
    { method: 'GET', url: new URL('/list', origin), headers: {} },
    { ca: undefined, proxy: undefined, of: 'route', ...way },
  );

/** Resolves when the server has lost the connection of an answer. */
const closed = (response: ServerResponse): Promise<void> => new Promise((resolve) => response.once('close', resolve));

test('reads as much of an answer as was asked for, and no more', async () => {
  answers = (response) => response.end(Buffer.alloc(5 * MIB, 'x'));
  expect((await ask({ longestBytes: 5 * MIB })).body).toHaveLength(5 * MIB);
  await expect(ask({ longestBytes: 5 * MIB - 1 })).rejects.toMatchObject({ code: 'upstream-error' });
  await expect(ask({})).rejects.toMatchObject({
    code: 'upstream-error',
    message: `${new URL(origin).host} answered with more than 4 MiB, which is not read`,
  });
});

test.each<[string, (response: ServerResponse) => void]>([
  ['before an answer', () => undefined],
  [
    'in the middle of one',
    (response) => {
      response.writeHead(200, { 'content-length': 100 });
      response.write('half');
    },
  ],
])('ends a request %s, with its connection', async (_, begin) => {
  const over = new AbortController();
  const reason = new Error('enough');
  let lost: Promise<void> | undefined;
  const begun = new Promise<void>((resolve) => {
    answers = (response) => {
      lost = closed(response);
      begin(response);
      resolve();
    };
  });
  const failed = ask({ over: over.signal }).catch((thrown: unknown) => thrown);
  await begun;
  over.abort(reason);
  expect(await failed).toBe(reason);
  await lost;
});

test('makes no connection when it is over already', async () => {
  let connections = 0;
  server.on('connection', () => (connections += 1));
  await expect(ask({ over: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough');
  answers = (response) => response.end('x');
  await ask({});
  expect(connections).toBe(1);
});

test.each(['http', 'https'] as const)('does not wait for ever for an answer of a server that speaks %s', async (scheme) => {
  const certificates = await makeCertificates();
  const directory = await mkdtemp(join(tmpdir(), 'postern-'));
  const ca = join(directory, 'ca.pem');
  await writeFile(ca, certificates.ca);
  const mute = await openMute(scheme === 'https' ? certificates : undefined);
  const asked = signInHttp({ environment: {}, connectMs: 10_000, timeoutMs: 300 })(
    { method: 'GET', url: new URL(`${scheme}://127.0.0.1:${mute.port}/list`), headers: {} },
    { ca, proxy: undefined, of: 'route' },
  );
  await expect(asked).rejects.toMatchObject({
    code: 'upstream-timeout',
    message: `127.0.0.1:${mute.port} took the connection and did not answer within 0.3 s`,
  });
  await mute.close();
  await rm(directory, { recursive: true });
});
