/** How an ended operation leaves its caller: told if it listens in time, cut off if it does not or has part of an answer. */
import { createServer, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cutWhenKilled, Killed, LAST_WORDS_MS, unlessKilled } from '../../src/http/killing.js';
import { FakeClock } from '../fakes/clock.js';

let server: Server;
let clock: FakeClock;
let killing: AbortController;
let begun: Promise<ServerResponse>;

beforeEach(async () => {
  clock = new FakeClock();
  killing = new AbortController();
  server = createServer();
  begun = new Promise((resolve) =>
    server.once('request', (_request, response: ServerResponse) => {
      cutWhenKilled({ response, killed: killing.signal }, clock);
      resolve(response);
    }),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterEach(
  () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
);

/** Asks, and gives all that comes until the connection ends. */
function ask(): Promise<string> {
  const { port } = server.address() as AddressInfo; // because a TCP server that listens has such an address
  return new Promise((resolve) => {
    let text = '';
    const socket = connect(port, '127.0.0.1', () => socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab'));
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}

test('a caller that has part of its answer is cut off at once, and the answer does not look whole', async () => {
  const asked = ask();
  const response = await begun;
  response.writeHead(200);
  await new Promise<void>((resolve) => response.write('half', () => resolve()));
  killing.abort();
  const text = await asked;
  expect(text).toContain('half');
  expect(text).not.toContain('0\r\n\r\n');
});

test('a caller that never finishes its request is cut off after a while', async () => {
  const asked = ask();
  const response = await begun;
  killing.abort();
  await clock.advance(LAST_WORDS_MS - 1);
  expect(response.destroyed).toBe(false);
  await clock.advance(1);
  expect(await asked).toBe('');
});

test('a caller that was told in time is left alone, and no timer stays', async () => {
  const asked = ask();
  const response = await begun;
  killing.abort();
  expect(clock.waiting).toBe(1);
  response.end('told');
  await new Promise((resolve) => response.once('close', resolve));
  expect(clock.waiting).toBe(0);
  server.closeAllConnections();
  expect(await asked).toContain('told');
});

test('unlessKilled() gives what the work comes to, or stops waiting for it', async () => {
  const refusal = { kind: 'refusal', code: 'operation-killed', status: 503, what: 'Ended', todo: 'ask' } as const;
  expect(await unlessKilled(killing.signal, Promise.resolve(1))).toBe(1);
  await expect(unlessKilled(killing.signal, Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  const waiting = unlessKilled(killing.signal, new Promise(() => undefined));
  const failing = unlessKilled(killing.signal, new Promise((_resolve, reject) => setImmediate(() => reject(new Error('late')))));
  killing.abort(refusal);
  await expect(waiting).rejects.toMatchObject({ name: 'Killed', refusal });
  await expect(failing).rejects.toBeInstanceOf(Killed);
  await expect(unlessKilled(killing.signal, Promise.resolve(1))).rejects.toMatchObject({ refusal });
});
