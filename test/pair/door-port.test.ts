/** Which port setup takes when the usual one is in use, with real listeners on ports of their own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { freePort, holderOf } from '../../src/cli/commands/door-port.js';
import { openAdmin } from '../../src/daemon/admin.js';
import type { DaemonStatus } from '../../src/daemon/status.js';

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

function listen(port = 0, host = '127.0.0.1'): Promise<number> {
  const server: Server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      open.push({ close: () => new Promise((done) => server.close(done)) });
      resolve((server.address() as AddressInfo).port); // because it listens on TCP
    });
  });
}

const at = (port: number) => [
  { host: '127.0.0.1', port, optional: false },
  { host: '::1', port, optional: true },
];

async function placesWith(http: readonly string[]) {
  const directory = await mkdtemp(join(tmpdir(), 'postern-port-'));
  open.push({ close: () => rm(directory, { recursive: true, force: true }) });
  const places = { runtimeDirectory: directory, adminSocket: join(directory, 'admin.sock'), stateDirectory: directory };
  if (http.length > 0) {
    const status = { pid: 1, listen: { http } } as unknown as DaemonStatus; // because nothing else is asked
    open.unshift(await openAdmin(places.adminSocket, { status: () => status, stop: () => undefined, kill: () => undefined }));
  }
  return { places };
}

test('holderOf() tells a free port, one of this daemon, and one of something else', async () => {
  const port = await listen();
  expect(await holderOf(await placesWith([]), at(port))).toBe('something-else');
  expect(await holderOf(await placesWith(['https://127.0.0.1:1']), at(port))).toBe('something-else');
  expect(await holderOf(await placesWith([`https://127.0.0.1:${port}`]), at(port))).toBe('this-daemon');
  for (const each of open.splice(0)) await each.close();
  expect(await holderOf(await placesWith([]), at(port))).toBe('nobody');
});

test('holderOf() sees a listener on all addresses', async () => {
  const port = await listen(0, '0.0.0.0');
  expect(await holderOf(await placesWith([]), at(port))).toBe('something-else');
});

test('freePort() takes the next above that nobody holds, the same one each time', async () => {
  const port = await listen();
  const next = await freePort(at(port));
  expect(next).toBeGreaterThan(port);
  expect(await freePort(at(port))).toBe(next);
  await listen(next);
  expect(await freePort(at(port))).toBeGreaterThan(next);
});
