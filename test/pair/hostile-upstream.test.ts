/**
 * An upstream that answers as no server should, byte by byte over a raw socket. The attacks: an answer whose end is the
 * connection's end passed off as framed, a change of protocol that nobody asked for, an answer before the request is
 * there (its connection must neither be used again nor be kept for good), and a path that a library rewrites behind the
 * gate's back. And a caller that thinks up names, of which none may stay in memory.
 */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { assemble, type House } from '../../src/daemon/assemble.js';
import { systemClock } from '../../src/model/clock.js';
import type { Route } from '../../src/model/settings.js';
import { CLOSE, NO_HOME, requestBytes, SHUT } from './door-rig.js';

const ADVERTISEMENT = 'Content-Type: application/x-git-upload-pack-advertisement';
const FIRST_LINE = '001e# service=git-upload-pack\n';
const STALL_MS = 1_000;
/** A pool is looked at until its connections are what they should be, or this often. */
const LOOKS = 100;
const LOOK_MS = 20;

interface Bench {
  readonly house: House;
  readonly port: number;
  /** First lines of what came upstream. */
  readonly seen: string[];
  raw(bytes: string): Promise<string>;
  close(): Promise<void>;
}

let bench: Bench | undefined;
afterEach(() => bench?.close());

/** A door whose upstream sends `answer` to each head that it gets, and reads no further before it has. */
async function openBench(
  answer: string,
  options: { password?: string; routes?: readonly Partial<Route>[]; end?: boolean } = {},
): Promise<Bench> {
  const sockets = new Set<Socket>();
  const seen: string[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    let text = '';
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (!text.includes('\r\n\r\n')) return;
      seen.push(text.slice(0, text.indexOf('\r\n')));
      text = '';
      if (options.end === true) socket.end(answer, 'latin1');
      else socket.write(answer, 'latin1');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: upstreamPort } = server.address() as AddressInfo; // because a TCP server has such an address
  const route: Route = {
    match: 'git.example.com/**',
    identity: 'own',
    allow: ['fetch', 'push'],
    hostKind: 'generic',
    upstream: new URL(`http://127.0.0.1:${upstreamPort}`),
    ca: undefined,
    proxy: undefined,
    refs: undefined,
    ssh: { kind: 'bridge' },
  };
  const house = assemble(
    {
      file: undefined,
      ...SHUT,
      identities: [
        { name: 'own', kind: 'basic', user: 'u', secret: { kind: 'env', name: 'PASSWORD' } },
        { name: 'callers', kind: 'passthrough' },
      ],
      routes: [route, ...(options.routes ?? []).map((more) => ({ ...route, upstream: undefined, ...more }))],
      drain: { min: 0, max: 0 },
      timeouts: { connect: 2_000, stall: STALL_MS, token: 2_000 },
      log: { level: 'debug', format: 'json', operations: 'debug' },
    },
    { environment: { PASSWORD: options.password ?? 'a-password' }, clock: systemClock, logger: { log: () => undefined }, audit: NO_HOME },
  );
  await house.door.listen({ host: '127.0.0.1', port: 0, optional: false });
  const port = house.door.bound[0]?.port ?? 0;
  return {
    house,
    port,
    seen,
    raw: (bytes) =>
      new Promise((resolve) => {
        let text = '';
        const socket = connect(port, '127.0.0.1');
        socket.setTimeout(5 * STALL_MS, () => socket.destroy(new Error('no end')));
        socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
        socket.on('error', (fault) => (text += `<${fault.message}>`)).on('close', () => resolve(text));
        socket.write(bytes, 'latin1');
      }),
    async close() {
      bench = undefined;
      await house.door.close();
      house.connections.close();
      house.vault.close();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function refs(port: number, repository = '/git.example.com/team/web', headers: readonly string[] = [CLOSE]): string {
  return requestBytes(port, `GET ${repository}/info/refs?service=git-upload-pack HTTP/1.1`, headers);
}

function head(...headers: readonly string[]): string {
  return ['HTTP/1.1 200 OK', ADVERTISEMENT, ...headers, '', ''].join('\r\n');
}

describe('an answer that ends with its connection is refused, whatever its head says', () => {
  test.each(['chunked, identity', 'chunked, gzip', 'x-chunked', 'chunked;q=1, br'])('Transfer-Encoding: %s', async (coding) => {
    bench = await openBench(`${head(`Transfer-Encoding: ${coding}`)}${FIRST_LINE}`, { end: true });
    const answer = await bench.raw(refs(bench.port));
    expect(answer).toMatch(/^HTTP\/1\.1 502 /);
    expect(answer).not.toContain(FIRST_LINE);
    expect(bench.house.ledger.counts()).toMatchObject({ failed: 1, passed: 0 });
  });

  test('control: chunked last, in any spelling, is framed', async () => {
    bench = await openBench(`${head('Transfer-Encoding: Chunked')}1e\r\n${FIRST_LINE}\r\n0\r\n\r\n`);
    expect(await bench.raw(refs(bench.port))).toContain(FIRST_LINE);
  });
});

test('a change of protocol that nobody asked for fails the operation, and does not leave it waiting', async () => {
  bench = await openBench('HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n');
  const answer = await bench.raw(refs(bench.port));
  expect(answer).toMatch(/^HTTP\/1\.1 502 /);
  expect(answer).toContain('what to do: ');
  expect(bench.house.ledger.running()).toEqual([]);
});

describe('a connection on which the answer came before the request was sent is closed', () => {
  const large = 32 << 20;
  const cases = [
    ['refused', 'HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno'],
    ['accepted', 'HTTP/1.1 200 OK\r\nContent-Type: application/x-git-receive-pack-result\r\nContent-Length: 4\r\n\r\n0000'],
  ] as const;
  test.each(cases)('a push that is %s', async (_, answer) => {
    bench = await openBench(answer);
    const { port, house } = bench;
    const push = requestBytes(port, 'POST /git.example.com/team/web/git-receive-pack HTTP/1.1', [
      'Content-Type: application/x-git-receive-pack-request',
      `Content-Length: ${large}`,
    ]);
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    const answered = new Promise((resolve) => socket.once('data', resolve));
    const command = `${'0'.repeat(40)} ${'1'.repeat(40)} refs/heads/x`;
    const list = `${(command.length + 4).toString(16).padStart(4, '0')}${command}0000`;
    socket.write(push + list + 'x'.repeat(100_000 - list.length), 'latin1');
    // A refusal is told when the caller has sent everything.
    socket.write('y'.repeat(large - 100_000), 'latin1');
    await answered;
    for (let look = 0; look < LOOKS && house.connections.states()[0]?.busy !== 0; look++)
      await new Promise((resume) => setTimeout(resume, LOOK_MS));
    socket.destroy();
    expect(house.connections.states()).toMatchObject([{ busy: 0, idle: 0 }]);
  });
});

test('the path that goes upstream is the path that the gate saw', async () => {
  bench = await openBench('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n');
  await bench.raw(refs(bench.port, '/git.example.com/http:/web'));
  await bench.raw(refs(bench.port, '/git.example.com/team/https:/web'));
  expect(bench.seen).toEqual([
    'GET /http%3A/web/info/refs?service=git-upload-pack HTTP/1.1',
    'GET /team/https%3A/web/info/refs?service=git-upload-pack HTTP/1.1',
  ]);
});

test('a password that looks like a length leaves the length of an answer alone', async () => {
  const body = `${FIRST_LINE}${'x'.repeat(1234 - FIRST_LINE.length)}`;
  bench = await openBench(`${head('Content-Length: 1234')}${body}`, { password: '1234' });
  const answer = await bench.raw(refs(bench.port));
  expect(answer).toMatch(/^content-length: 1234\r$/im);
  expect(answer).toContain(body);
});

describe('names that a caller thinks up do not pile up', () => {
  const many = (port: number, domain: string): string[] =>
    Array.from({ length: 100 }, (_, index) => refs(port, `/h${index}.${domain}/team/web`, index === 99 ? [CLOSE] : []));
  // Nothing is looked up or dialled outside of this machine: the proxy's port is closed.
  const proxy = new URL('http://127.0.0.1:9');

  test('as pools', async () => {
    bench = await openBench('', { routes: [{ match: '*.many.example/**', proxy }] });
    for (const request of many(bench.port, 'many.example')) await bench.raw(request.replace('\r\n\r\n', `\r\n${CLOSE}\r\n\r\n`));
    expect(bench.house.connections.states().length).toBeLessThan(100);
  });

  test('as listeners on a connection of a passthrough caller', async () => {
    const warnings: string[] = [];
    const listen = (warning: Error): void => void warnings.push(warning.message);
    process.on('warning', listen);
    bench = await openBench('', { routes: [{ match: '*.own.example/**', identity: 'callers', proxy }] });
    const answers = await bench.raw(many(bench.port, 'own.example').join(''));
    process.off('warning', listen);
    expect(answers.match(/HTTP\/1\.1 502/g)).toHaveLength(100);
    expect(warnings).toEqual([]);
  });
});
