/**
 * Who is let in, over raw sockets: what listens where, which names are ours, and who stands between.
 *
 * The attacks: a program that passes requests on, so that strangers arrive as the user it runs as; a page whose name is made to
 * lead to a listener that hears on every address (DNS rebinding); someone who comes over loopback to a listener that is for
 * others, to be judged by uid; someone whose request outlives their connection.
 */
import { connect, type Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { HttpDoor, type HttpDoorParts } from '../../src/http/http-door.js';
import { Peers } from '../../src/gate/peers.js';
import type { PeerUid } from '../../src/model/caller.js';
import { FakeLogger } from '../fakes/logger.js';
import { CLOSE, type Door, openDoor, requestBytes } from './door-rig.js';

const REFS = 'GET /dev.azure.com/contoso/Payments/_git/web/info/refs?service=git-upload-pack HTTP/1.1';
/** Longest wait for an answer that must come. */
const QUIET_MS = 3_000;

let rig: Door;
const doors: HttpDoor[] = [];
beforeAll(async () => {
  rig = await openDoor();
});
beforeEach(() => {
  rig.emulator.git.seen.length = 0;
});
afterEach(async () => {
  await Promise.all(doors.splice(0).map((door) => door.close()));
});
afterAll(() => rig.close());

/** A door like the rig's, but for `parts`; gives the port of each address. */
async function open(parts: Partial<HttpDoorParts>, ...hosts: readonly string[]): Promise<number[]> {
  const door = new HttpDoor({ ...rig.house.doorParts, ...parts });
  doors.push(door);
  for (const host of hosts) await door.listen({ host, port: 0, optional: false });
  return door.bound.map(({ port }) => port);
}

/** Sends a request on a connection of its own; gives all that comes. */
function send(to: { readonly host: string; readonly port: number }, headers: readonly string[], line = REFS): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(to);
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.setTimeout(QUIET_MS, () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
    socket.write(requestBytes(to.port, line, [...headers, CLOSE]));
  });
}

const statusOf = (answer: string): string => /^HTTP\/1\.1 ([0-9]{3})/.exec(answer)?.[1] ?? answer;

describe('a request that was passed on', () => {
  test.each([
    'Via: 1.1 proxy.example.com',
    'Forwarded: for=10.0.0.7',
    'forwarded:',
    'X-Forwarded-For: 10.0.0.7',
    'x-forwarded-proto: https',
    'X-Forwarded-Client-Cert: x',
    'X-FORWARDED-ANYTHING: x',
    'X-Forwarded: for=10.0.0.7',
    'X-Real-IP: 10.0.0.7',
  ])('is refused without a lease: %s', async (header) => {
    const answer = await send({ host: '127.0.0.1', port: rig.port }, [header]);
    expect(statusOf(answer)).toBe('403');
    const name = header.split(':')[0]?.toLowerCase() ?? '';
    expect(answer).toContain(`postern: The request carries the header ${name}, so it came through something else`);
    expect(answer).toContain('give whoever asks a lease');
    expect(rig.emulator.git.seen).toEqual([]);
  });

  test('also when so many headers stand before it that Node.js would read no further', async () => {
    const many = Array.from({ length: 2_500 }, () => 'a:b');
    expect(statusOf(await send({ host: '127.0.0.1', port: rig.port }, many))).toBe('200');
    rig.emulator.git.seen.length = 0;
    for (const header of ['via:x', 'Origin:x'])
      expect(statusOf(await send({ host: '127.0.0.1', port: rig.port }, [...many, header]))).toBe('403');
    expect(rig.emulator.git.seen).toEqual([]);
  });

  test.each(['X-Real: x', 'Viatic: x', 'X-Forward: x', 'X-Client: 10.0.0.7'])('is not what %s makes of it', async (header) => {
    expect(statusOf(await send({ host: '127.0.0.1', port: rig.port }, [header]))).toBe('200');
  });
});

describe('a listener on all addresses', () => {
  test.each([
    ['0.0.0.0', '127.0.0.1'],
    ['0.0.0.0', '127.0.0.5'],
    ['::', '::1'],
  ])('%s needs a lease, also of who comes over loopback (%s)', async (wildcard, host) => {
    const [port = 0] = await open({ access: { local: 'uid', remote: 'lease' } }, wildcard);
    const answer = await send({ host, port }, [`Host: ${host.includes(':') ? `[${host}]` : host}:${port}`]);
    expect(statusOf(answer)).toBe('401');
    expect(answer).toContain('www-authenticate: Basic realm="Postern lease"');
    expect(answer).toContain('postern: This door needs a lease, and none came with the request');
    expect(rig.emulator.git.seen).toEqual([]);
  });

  test('is called by the address that was dialed, loopback, and the names that are configured', async () => {
    const [port = 0] = await open({ access: { local: 'uid', remote: 'anyone' }, hostNames: ['host.containers.internal'] }, '0.0.0.0');
    const to = { host: '127.0.0.5', port };
    for (const name of ['127.0.0.5', '127.0.0.1', '[::1]', 'localhost', 'host.containers.internal', 'HOST.Containers.Internal'])
      expect(statusOf(await send(to, [`Host: ${name}:${port}`])), name).toBe('200');
    rig.emulator.git.seen.length = 0;
    for (const name of [
      'evil.example',
      'host.containers.internal.evil.example',
      'containers.internal',
      'host.containers.internal.',
      '127.0.0.6',
      '127.0.0.5.evil.example',
      '10.0.0.1',
      '0.0.0.0',
    ]) {
      const answer = await send(to, [`Host: ${name}:${port}`]);
      expect(statusOf(answer), name).toBe('403');
      expect(answer).toContain('The Host header of the request is not an address of this door');
      expect(answer).toContain(`host.containers.internal:${port}, 127.0.0.5:${port} as the address`);
    }
    for (const host of ['127.0.0.5', 'host.containers.internal', `127.0.0.5:${port + 1}`, `host.containers.internal:80`])
      expect(statusOf(await send(to, [`Host: ${host}`])), host).toBe('403');
    expect(rig.emulator.git.seen).toEqual([]);
  });
});

test('several listeners take the names that are configured, each with its own port, and each its own kind of proof', async () => {
  const [here = 0, there = 0] = await open({ access: { local: 'uid', remote: 'lease' }, hostNames: ['a.example'] }, '127.0.0.1', '0.0.0.0');
  // Our own user, but by a name that a web page may have as well: a lease is wanted.
  const local = await send({ host: '127.0.0.1', port: here }, [`Host: a.example:${here}`]);
  expect(statusOf(local)).toBe('403');
  expect(local).toContain(`postern: The request calls this door a.example:${here}, and a web page may have that name`);
  expect(rig.emulator.git.seen).toEqual([]);
  expect(statusOf(await send({ host: '127.0.0.1', port: there }, [`Host: a.example:${there}`]))).toBe('401');
  expect(statusOf(await send({ host: '127.0.0.1', port: here }, ['Host: b.example:1']))).toBe('403');
});

describe('access.local', () => {
  test('lease: our own user is asked for one, and told in words when something else came', async () => {
    const [port = 0] = await open({ access: { local: 'lease', remote: 'lease' } }, '127.0.0.1');
    const to = { host: '127.0.0.1', port };
    expect(statusOf(await send(to, []))).toBe('401');
    const answer = await send(to, [`Authorization: Basic ${Buffer.from('ada:pat').toString('base64')}`]);
    expect(statusOf(answer)).toBe('403');
    expect(answer).not.toContain('www-authenticate');
    expect(answer).toContain(
      'postern: This door needs a lease, and none came with the request\n  what to do: get one with `postern lease create`',
    );
    expect(rig.emulator.git.seen).toEqual([]);
  });

  test('anyone: whoever it is, also passed on; a page still is not', async () => {
    const peers = new Peers({ table: undefined, logger: new FakeLogger() });
    const [port = 0] = await open({ access: { local: 'anyone', remote: 'lease' }, peers }, '127.0.0.1');
    expect(statusOf(await send({ host: '127.0.0.1', port }, ['Via: 1.1 x']))).toBe('200');
    expect(statusOf(await send({ host: '127.0.0.1', port }, ['Origin: https://evil.example']))).toBe('403');
  });

  test('uid: where no uid can be told, nobody', async () => {
    const peers = new Peers({ table: undefined, logger: new FakeLogger() });
    const [port = 0] = await open({ peers }, '127.0.0.1');
    const answer = await send({ host: '127.0.0.1', port }, []);
    expect(statusOf(answer)).toBe('403');
    expect(answer).toContain('postern: It cannot be told which local user asks: this system does not tell');
    expect(rig.emulator.git.seen).toEqual([]);
  });
});

test("a request whose sender has reset the connection is nobody's, although our own user has its port by the time it is looked up", async () => {
  const asked: ((uid: PeerUid) => void)[] = [];
  const peers = new Peers({ table: { uidOf: () => new Promise((resolve) => asked.push(resolve)) }, logger: new FakeLogger() });
  const [port = 0] = await open({ peers }, '127.0.0.1');
  const body = 'x'.repeat(512 * 1024);
  const push = requestBytes(port, 'POST /dev.azure.com/contoso/Payments/_git/web/git-receive-pack HTTP/1.1', [
    'Content-Type: application/x-git-receive-pack-request',
    `Content-Length: ${body.length}`,
  ]);
  const attacker = connect(port, '127.0.0.1');
  await event(attacker, 'connect');
  const { localPort = 0 } = attacker;
  await new Promise((resolve) => attacker.write(push + body, resolve));
  await expect.poll(() => asked.length).toBe(1);
  attacker.resetAndDestroy();
  await expect.poll(() => attacker.closed).toBe(true);
  const own: PeerUid = { kind: 'known', uid: process.getuid?.() ?? 0 };
  asked[0]?.(own);
  const user = connect({ port, host: '127.0.0.1', localPort });
  await event(user, 'connect');
  await expect.poll(() => asked.length).toBe(2);
  asked[1]?.(own);
  user.write(requestBytes(port, REFS, [CLOSE]));
  user.resume();
  await event(user, 'close');
  expect(rig.emulator.git.seen.map(({ method }) => method)).toEqual(['GET']);
  expect(peers.size).toBe(0);
});

function event(socket: Socket, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once(name, () => resolve());
    if (name !== 'close') socket.once('error', reject);
  });
}

test('a request that has come before the door was told to refuse new ones is served, though it is looked up afterwards; the next one is not', async () => {
  const asked: ((uid: PeerUid) => void)[] = [];
  const peers = new Peers({ table: { uidOf: () => new Promise((resolve) => asked.push(resolve)) }, logger: new FakeLogger() });
  const [port = 0] = await open({ peers }, '127.0.0.1');
  const own: PeerUid = { kind: 'known', uid: process.getuid?.() ?? -1 };
  const seen = rig.house.ledger.running().length;
  const early = send({ host: '127.0.0.1', port }, []);
  while (rig.house.ledger.running().length === seen) await new Promise((resolve) => setImmediate(resolve));
  doors[0]?.drain();
  const late = send({ host: '127.0.0.1', port }, []);
  while (rig.house.ledger.running().length === seen + 1) await new Promise((resolve) => setImmediate(resolve));
  for (const tell of asked.splice(0)) tell(own);
  expect(statusOf(await early)).toBe('200');
  expect(await late).toContain('postern: Postern is stopping');
});
