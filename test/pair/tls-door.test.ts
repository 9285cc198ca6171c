/**
 * The HTTP door with TLS: the same guards as without, a certificate that is renewed while connections are open, and who knocks
 * in another language. The attacks: holding connections open before the handshake, and sending a lease in the plain.
 */
import { X509Certificate } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectSecure, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { Callers } from '../../src/gate/callers.js';
import { HttpDoor } from '../../src/http/http-door.js';
import { systemClock } from '../../src/model/clock.js';
import type { LogEvent, LogFields, LogLevel } from '../../src/model/ports.js';
import type { DoorTls } from '../../src/model/settings.js';
import { DoorCertificates } from '../../src/store/door-certificates.js';
import { makeCertificates } from '../azure/certificates.js';
import { FakeClock } from '../fakes/clock.js';
import { FakeLogger } from '../fakes/logger.js';
import { CLOSE, type Door, openDoor, requestBytes } from './door-rig.js';

const REPOSITORY = '/dev.azure.com/contoso/Payments/_git/web';
const GET = `GET ${REPOSITORY}/info/refs?service=git-upload-pack HTTP/1.1`;
const DAY_MS = 86_400_000;
/** Long enough for a loaded machine, short enough for a test that waits for it. */
const IMPATIENT_MS = 300;

/** A logger that tells when an event comes. */
class WaitingLogger extends FakeLogger {
  readonly #waiting = new Map<LogEvent, () => void>();

  override log(level: LogLevel, event: LogEvent, fields?: LogFields): void {
    super.log(level, event, fields);
    this.#waiting.get(event)?.();
  }

  next(event: LogEvent): Promise<void> {
    return new Promise((resolve) => this.#waiting.set(event, resolve));
  }
}

const auto: DoorTls = { kind: 'auto' };
let door: Door;
let ca: string;
const opened: { close(): Promise<void> | void }[] = [];

beforeAll(async () => {
  door = await openDoor(undefined, { listen: { http: [], ssh: [], names: [], tls: auto } });
  ca = await readFile(join(door.stateDirectory, 'door-ca.pem'), 'utf8');
});
afterEach(async () => {
  door.emulator.git.seen.length = 0;
  for (const each of opened.splice(0)) await each.close();
});
afterAll(() => door.close());

/** Another door of the same house; it is closed after the test. */
async function another(parts: Partial<ConstructorParameters<typeof HttpDoor>[0]>): Promise<{ other: HttpDoor; port: number }> {
  const other = new HttpDoor({ ...door.house.doorParts, ...parts });
  opened.push(other);
  await other.listen({ host: '127.0.0.1', port: 0, optional: false });
  return { other, port: other.bound[0]?.port ?? 0 };
}

function secure(options: ConnectionOptions = {}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connectSecure({ host: '127.0.0.1', port: door.port, ca, ...options }, () => resolve(socket));
    socket.once('error', reject);
  });
}

/** Sends bytes over TLS and gives all that comes back until the end. */
async function say(bytes: string, options: ConnectionOptions = {}): Promise<string> {
  const socket = await secure(options);
  socket.write(Buffer.from(bytes, 'latin1'));
  return everything(socket);
}

function everything(socket: NodeJS.ReadableStream & { on(event: string, listener: (chunk: Buffer) => void): unknown }): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
}

test('a fetch passes over TLS by the uid of who asks, and the address says https', async () => {
  expect(await say(requestBytes(door.port, GET, [CLOSE]))).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(door.emulator.git.seen.map(({ authorization }) => authorization)).toEqual(['bearer']);
  expect(door.house.door.bound).toEqual([{ scheme: 'https', host: '127.0.0.1', port: door.port }]);
});

test("who asks over TLS is told by the kernel's table, and another uid is refused", async () => {
  const strangers = new Callers({ uids: [4_000_000_000], keys: [], leases: { verify: () => ({ kind: 'fault', what: 'x', todo: 'x' }) } });
  const { port } = await another({ callers: strangers });
  expect(await say(requestBytes(port, GET, [CLOSE]), { port })).toMatch(
    new RegExp(`^HTTP/1\\.1 403 [^]*postern: This door does not serve the local user with uid ${process.getuid?.()}\n`),
  );
  expect(door.emulator.git.seen).toEqual([]);
});

test('TLS 1.2 and 1.3 are spoken, older ones are not, and of ALPN only http/1.1', async () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const socket = await secure({ minVersion: version, maxVersion: version, ALPNProtocols: ['h2', 'http/1.1'] });
    expect([socket.getProtocol(), socket.alpnProtocol]).toEqual([version, 'http/1.1']);
    socket.destroy();
  }
  // The client's own floor is lowered, so that it is the door that refuses.
  await expect(secure({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' })).rejects.toThrow(
    /alert protocol version/,
  );
  await expect(secure({ ALPNProtocols: ['h2'] })).rejects.toThrow(/no application protocol|ECONNRESET/i);
});

test.each([
  ['what is no HTTP', 'GET\r\n\r\n', 400],
  ['two lengths', requestBytes(1, `POST ${REPOSITORY}/git-upload-pack HTTP/1.1`, ['Content-Length: 4', 'Content-Length: 5'], '0000'), 400],
  ['a head that is too large', requestBytes(1, GET, [`X-Large: ${'x'.repeat(40_000)}`]), 431],
  ['CONNECT', requestBytes(1, 'CONNECT dev.azure.com:443 HTTP/1.1'), 405],
  ['a name that is not ours', requestBytes(1, GET, ['Host: evil.example']), 403],
])('the guards of the plain door hold: %s', async (_, bytes, status) => {
  const answer = await say(bytes);
  expect(answer).toMatch(
    new RegExp(`^HTTP/1\\.1 ${status} [^]*\r\n\r\npostern: [^\n]+\n {2}what to do: [^\n]+\n {2}more: postern explain [a-z-]+\n$`),
  );
  expect(door.emulator.git.seen).toEqual([]);
});

test('a head that never ends is cut, over TLS too', async () => {
  const { port } = await another({ headMs: IMPATIENT_MS });
  expect(await say(`${GET}\r\nHost: 127.0`, { port })).toMatch(/^HTTP\/1\.1 408 [^]*\r\n\r\npostern: .*\n {2}what to do: /);
});

test.each([
  ['nothing', ''],
  ['half a handshake', '\x16\x03\x01\x02\x00\x01'],
])('who says %s is not waited for', async (_, bytes) => {
  const { port } = await another({ headMs: IMPATIENT_MS });
  const socket = connect(port, '127.0.0.1');
  socket.write(Buffer.from(bytes, 'latin1'));
  expect(await everything(socket)).not.toContain('HTTP');
});

test.each([
  ['a handshake that is none', `\x16\x03\x01\x00\x05hello`],
  ['SSH', 'ssh-'],
  ['zeros', '\0\0\0\0\0\0\0\0'],
])('%s ends the connection and nothing else', async (_, bytes) => {
  const socket = connect(door.port, '127.0.0.1');
  socket.write(Buffer.from(bytes, 'latin1'));
  socket.end();
  expect(await everything(socket)).not.toContain('HTTP');
  expect(await say(requestBytes(door.port, GET, [CLOSE]))).toMatch(/^HTTP\/1\.1 200 /);
});

test('plain HTTP is told in the plain to use https, and is not served', async () => {
  const answer = await door.raw(requestBytes(door.port, GET) + 'x'.repeat(300_000));
  expect(answer).toMatch(/^HTTP\/1\.1 400 Bad Request\r\ncontent-type: text\/plain; charset=utf-8\r\n/);
  expect(answer).toContain(
    `postern: This port speaks TLS, and the request came without\n  what to do: use https://127.0.0.1:${door.port} as the address; `,
  );
  expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
  expect(door.emulator.git.seen).toEqual([]);
});

test('a door that closes ends the connections that never spoke, and those in the middle of a handshake', async () => {
  for (const bytes of ['', '\x16\x03\x01\x02\x00\x01']) {
    const { other, port } = await another({});
    const socket = connect(port, '127.0.0.1');
    await new Promise((resolve) => socket.once('connect', resolve));
    socket.write(Buffer.from(bytes, 'latin1'));
    const ended = everything(socket);
    // The connection has come in when a later one has been answered.
    await say(requestBytes(port, GET, [CLOSE]), { port });
    await other.close();
    expect(await ended).toBe('');
  }
});

test('one that stops tells newcomers so, and leaves the connections that are open', async () => {
  const { other, port } = await another({});
  const idle = await secure({ port });
  let text = '';
  const answered = new Promise<void>((resolve) =>
    idle.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (text.endsWith('\r\n0\r\n\r\n')) resolve();
    }),
  );
  idle.write(requestBytes(port, GET));
  await answered;
  other.stopAccepting();
  other.drain();
  expect(await say(requestBytes(port, GET, [CLOSE]), { port })).toMatch(
    /^HTTP\/1\.1 503 [^]*\r\nretry-after: 5\r\n[^]*Postern is stopping/,
  );
  text = '';
  idle.write(requestBytes(port, GET, [CLOSE]));
  await everything(idle);
  expect(text).toMatch(/^HTTP\/1\.1 503 /);
});

test('a redirect leads back to https', async () => {
  await door.emulator.createRepository('contoso/Payments/other');
  door.emulator.git.faults.set('contoso/Payments/web', { kind: 'redirect-same-host', step: 'any', location: 'contoso/Payments/other' });
  const answer = await say(requestBytes(door.port, GET, [CLOSE]));
  door.emulator.git.faults.clear();
  expect(answer).toMatch(/^HTTP\/1\.1 302 /);
  expect(/^location: (.*)\r$/im.exec(answer)?.[1]).toBe(
    `https://127.0.0.1:${door.port}/dev.azure.com/contoso/Payments/_git/other/info/refs?service=git-upload-pack`,
  );
});

test('the certificate is renewed while the door is open, and open connections go on', async () => {
  const clock = new FakeClock(Date.now());
  const logger = new WaitingLogger();
  const certificates = new DoorCertificates({
    tls: auto,
    stateDirectory: door.stateDirectory,
    names: ['localhost', '127.0.0.1', '::1'],
    clock,
    logger,
  });
  opened.push(certificates);
  const { port } = await another({ tls: { isFor: () => true, certificates } });
  const before = await secure({ port });
  const first = before.getPeerX509Certificate();
  expect(certificates.state).toEqual({
    ca: join(door.stateDirectory, 'door-ca.pem'),
    expiresAt: new Date(first?.validTo ?? '').toISOString(),
  });

  clock.jump(59 * DAY_MS);
  await clock.advance(60_000);
  // Files are read in real time.
  await vi.waitFor(() => expect(clock.waiting).toBe(1));
  expect(logger.count('certificate-renewed')).toBe(0);
  const renewed = logger.next('certificate-renewed');
  clock.jump(2 * DAY_MS);
  await clock.advance(60_000);
  await renewed;

  // It begins in the future of the real clock, by which the client goes: its signature is checked here.
  const after = await secure({ port, rejectUnauthorized: false });
  const second = after.getPeerX509Certificate();
  expect(second?.fingerprint256).not.toBe(first?.fingerprint256);
  expect(second?.verify(new X509Certificate(ca).publicKey)).toBe(true);
  expect(after.getProtocol()).toBe('TLSv1.3');
  expect(logger.lines.find(({ event }) => event === 'certificate-renewed')).toMatchObject({
    level: 'info',
    fields: { made: 'leaf', validUntil: certificates.state?.expiresAt },
  });
  await expect(
    secure({ port, rejectUnauthorized: false, minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
  ).rejects.toThrow(/alert protocol version/);
  after.destroy();
  before.write(requestBytes(port, GET, [CLOSE]));
  expect(await everything(before)).toMatch(/^HTTP\/1\.1 200 /);
});

test("somebody else's files are read again when they change, and a broken one keeps the old certificate", async () => {
  const directory = door.stateDirectory;
  const files = { certificate: join(directory, 'their.pem'), key: join(directory, 'their-key.pem') };
  const [one, two] = await Promise.all([makeCertificates(), makeCertificates()]);
  const write = async ({ cert, key }: { cert: string; key: string }): Promise<void> => {
    await writeFile(files.certificate, cert);
    await writeFile(`${files.key}.new`, key);
    await rename(`${files.key}.new`, files.key);
  };
  await write(one.good);
  const clock = new FakeClock(Date.now());
  const logger = new WaitingLogger();
  const certificates = new DoorCertificates({ tls: { kind: 'files', ...files }, stateDirectory: undefined, names: [], clock, logger });
  opened.push(certificates);
  const { port } = await another({ tls: { isFor: () => true, certificates } });
  (await secure({ port, ca: one.ca })).destroy();
  expect(certificates.state?.ca).toBeUndefined();

  const failed = logger.next('certificate-failed');
  await writeFile(files.certificate, two.good.cert);
  await clock.advance(60_000);
  await failed;
  expect(logger.lines.find(({ event }) => event === 'certificate-failed')).toMatchObject({
    level: 'error',
    fields: { what: `The key ${files.key} does not belong to the first certificate of ${files.certificate}` },
  });
  (await secure({ port, ca: one.ca })).destroy();

  await vi.waitFor(() => expect(clock.waiting).toBe(1));
  const renewed = logger.next('certificate-renewed');
  await write(two.good);
  await clock.advance(60_000);
  await renewed;
  (await secure({ port, ca: two.ca })).destroy();
  await expect(secure({ port, ca: one.ca })).rejects.toThrow(/unable to verify|self.signed|signature/i);
  expect(logger.count('certificate-failed')).toBe(1);
});

test.each([
  ['is not there', {}, /their-none\.pem cannot be read \(ENOENT\)/],
  ['holds no certificate', { cert: 'x' }, /holds no PEM certificate/],
  ['holds no key', { key: 'x' }, /holds no PEM key/],
])('a door whose file %s does not open', async (_, wrong: { cert?: string; key?: string }, text) => {
  const { good } = await makeCertificates();
  const directory = door.stateDirectory;
  const files = { certificate: join(directory, 'their-none.pem'), key: join(directory, 'their-none-key.pem') };
  if (wrong.cert !== undefined || wrong.key !== undefined) {
    await writeFile(files.certificate, wrong.cert ?? good.cert);
    await writeFile(files.key, wrong.key ?? good.key);
  }
  const certificates = new DoorCertificates({
    tls: { kind: 'files', ...files },
    stateDirectory: undefined,
    names: [],
    clock: systemClock,
    logger: new FakeLogger(),
  });
  await expect(another({ tls: { isFor: () => true, certificates } })).rejects.toMatchObject({
    code: 'certificate-unusable',
    message: expect.stringMatching(text) as string,
  });
});
