/** What doctor itself asks of an upstream has an end, whatever the upstream does with it. */
import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Probes } from '../../src/upstream/probes.js';
import { rawExchange } from '../../src/upstream/recording/raw-exchange.js';

/** Ten times that is far below what a test may take. */
const SILENT_MS = 300;

let server: Server;
let origin: URL;
let answer = '';
const open = new Set<Socket>();

beforeAll(async () => {
  server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket)).on('error', () => socket.destroy());
    socket.once('data', () => socket.write(answer));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  origin = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
afterAll(() => {
  for (const socket of open) socket.destroy();
  server.close();
});

const record = (): ReturnType<typeof rawExchange> =>
  rawExchange(
    { method: 'GET', url: new URL('/repository', origin), headers: {}, body: undefined },
    { ca: undefined, proxy: undefined },
    { environment: {}, connectMs: 10_000, silentMs: SILENT_MS },
  );

test('a record of an upstream that says nothing ends, and says so', async () => {
  answer = '';
  expect(await record()).toMatchObject({ answer: undefined, fault: { code: 'upstream-timeout' } });
  await expect.poll(() => open.size).toBe(0);
});

test('a record of an upstream that falls silent in its answer has what came', async () => {
  answer = 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf';
  const { answer: told } = await record();
  expect(told).toMatchObject({ status: 200, isCut: true });
  expect(told?.body.toString()).toBe('half');
  await expect.poll(() => open.size).toBe(0);
});

test('an upstream that changes to another protocol has not answered', async () => {
  answer = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n';
  expect(await record()).toMatchObject({ answer: undefined, fault: { code: 'upstream-broken' } });
  const probes = new Probes({ environment: {}, connectMs: 10_000, answerMs: SILENT_MS });
  await expect(probes.answer({ origin, ca: undefined, proxy: undefined }, '/repository')).rejects.toMatchObject({
    code: 'upstream-broken',
  });
});
