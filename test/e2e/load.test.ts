/** Many at once: a thousand connections that only stay, and fifty clones beside them, none of which may notice. */
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RunningDaemon, Scene } from '../support/scene.js';

const IDLE = 1_000;
const CLONES = 50;
/** Clones at once on a machine of two cores; the others wait for their turn. */
const AT_ONCE = 10;

let scene: Scene;
let daemon: RunningDaemon;
const sockets: Socket[] = [];

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web', { commits: 3 });
  daemon = await scene.daemon(scene.plainConfiguration.replace('level: debug', 'level: info'));
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  await scene.close();
});

test('1,000 idle connections and 50 clones: no failure, and the connections are good for a request afterwards', async () => {
  const port = Number(new URL(daemon.base).port);
  for (let each = 0; each < IDLE; each += 50) await Promise.all(Array.from({ length: 50 }, () => open(port)));
  expect((await daemon.status()).traffic.connections.http).toBe(IDLE);
  const failed: string[] = [];
  for (let done = 0; done < CLONES; done += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, each) => clone(done + each, failed)));
    // Each time: a connection that nobody uses for a minute is closed, and that is right.
    expect(await Promise.all(sockets.map((socket) => ask(socket, port)))).toEqual(sockets.map(() => 'HTTP/1.1 403 Forbidden'));
  }
  expect(failed).toEqual([]);
  const { traffic, operations } = await daemon.status();
  expect(traffic.refused).toEqual({ connections: 0, operations: 0, files: 0 });
  expect(operations['failed']).toBe(0);
}, 240_000); // Fifty clones take ten seconds here, on a machine that does nothing else.

async function clone(number: number, failed: string[]): Promise<void> {
  const url = daemon.url('dev.azure.com/contoso/Payments/_git/web');
  const ran = await scene.git(['clone', '-q', url, join(scene.directory, `clone-${number}`)]);
  if (ran.code !== 0 || ran.stderr !== '') failed.push(ran.stderr);
}

/** Opens a connection that has asked once and stays. */
async function open(port: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  sockets.push(socket);
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve);
    socket.once('error', reject);
  });
  expect(await ask(socket, port)).toBe('HTTP/1.1 403 Forbidden');
}

/** Asks for what no route has, which leaves the connection open; gives the first line of the answer. */
function ask(socket: Socket, port: number): Promise<string> {
  return new Promise((resolve) => {
    socket.once('close', () => resolve('closed'));
    socket.once('data', (chunk: Buffer) => {
      socket.removeAllListeners('close');
      resolve(chunk.toString('latin1').split('\r\n')[0] ?? '');
    });
    socket.write(`GET /git.example.com/no/route/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  });
}
