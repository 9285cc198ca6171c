/** Which port setup takes when the usual one is in use, with real listeners on ports of their own. */
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { freePort, holderOf, PORTS_TRIED } from '../../src/cli/commands/door-port.js';
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

async function placesWith(http: readonly string[], ssh: readonly string[] = []) {
  const directory = await mkdtemp(join(tmpdir(), 'postern-port-'));
  open.push({ close: () => rm(directory, { recursive: true, force: true }) });
  const places = { runtimeDirectory: directory, adminSocket: join(directory, 'admin.sock'), stateDirectory: directory };
  if (http.length + ssh.length > 0) {
    const status = { pid: 1, listen: { http, ssh } } as unknown as DaemonStatus; // because nothing else is asked
    open.unshift(await openAdmin(places.adminSocket, { status: () => status, stop: () => undefined, kill: () => undefined }));
  }
  return { places, environment: { PATH: '' } };
}

test('holderOf() tells a free port, one of this daemon, and one of something else', async () => {
  const port = await listen();
  expect(await holderOf(await placesWith([]), at(port))).toBe('something-else');
  expect(await holderOf(await placesWith(['https://127.0.0.1:1']), at(port))).toBe('something-else');
  expect(await holderOf(await placesWith([`https://127.0.0.1:${port}`]), at(port))).toBe('this-daemon');
  for (const each of open.splice(0)) await each.close();
  expect(await holderOf(await placesWith([]), at(port))).toBe('nobody');
});

test('holderOf() knows the SSH listeners of this daemon', async () => {
  const port = await listen();
  expect(await holderOf(await placesWith([], ['ssh://127.0.0.1:1']), at(port))).toBe('something-else');
  expect(await holderOf(await placesWith(['http://127.0.0.1:1'], [`ssh://127.0.0.1:${port}`]), at(port))).toBe('this-daemon');
});

test('holderOf() sees a listener on all addresses', async () => {
  const port = await listen(0, '0.0.0.0');
  expect(await holderOf(await placesWith([]), at(port))).toBe('something-else');
});

test('freePort() takes the next above that nobody holds, the same one each time', async () => {
  const port = await listen();
  const next = await freePort('listen.http', at(port), []);
  expect(next).toBeGreaterThan(port);
  expect(await freePort('listen.http', at(port), [])).toBe(next);
  await listen(next);
  expect(await freePort('listen.http', at(port), [])).toBeGreaterThan(next);
});

test("freePort() leaves the other door's ports, and those that doors have by default, though nobody holds them", async () => {
  const port = await listen();
  const next = await freePort('listen.ssh', at(port), []);
  expect(await freePort('listen.ssh', at(port), [next])).toBeGreaterThan(next);
  for (const kept of [8417, 8422]) expect(await freePort('listen.ssh', at(kept - 1), [])).not.toBe(kept);
});

test('freePort() says which key to write when there is none', async () => {
  const every = Array.from({ length: PORTS_TRIED }, (_, index) => 20_001 + index);
  await expect(freePort('listen.ssh', at(20_000), every)).rejects.toMatchObject({
    code: 'usage',
    message: `Port 20000 is in use, and so are the ${PORTS_TRIED} above it`,
    todo: 'write a free one as `listen.ssh` into the configuration',
  });
});
