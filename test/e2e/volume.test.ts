/**
 * Volume and aborts, with real git and 200 MB: what goes through is byte for byte the same, memory does not follow the
 * size of a transfer, sockets do not follow the number of aborted ones, and a transfer that breaks is seen to break.
 *
 * Memory is read from the kernel (VmRSS, and VmHWM for the peak in between), so this file is for Linux.
 */
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DaemonStatus } from '../../src/daemon/status.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const MIB = 1024 * 1024;
const VOLUME_BYTES = 200_000_000;
/** How far resident memory may go beyond idle, whatever is transferred. */
const MOST_GROWTH = 64 * MIB;
/** Idle connections that the daemon keeps for one upstream and identity. */
const MOST_IDLE = 8;
/** A break is told in a second; the machine may be ten times slower. */
const TELL_MS = 10_000;
const ABORTS = 300;
/** Uploads at once that an upstream does not read: fewer than it may have connections. */
const HELD_BACK = 100;
/** What the sockets and buffers of one of them may take: 0.4 to 0.6 MiB were measured, and each sends 8. */
const HELD_BACK_BYTES = (3 * MIB) / 4;
const ABORTS_AT_ONCE = 12;
/** A bound for polls that end as soon as they are true. */
const SETTLE_MS = 20_000;
const LOOK_MS = 50;

const VOLUME = 'contoso/Payments/volume';
const COPY = 'contoso/Payments/copy';
const EMPTY = 'contoso/Payments/empty';
const SMALL = 'contoso/Payments/small';
/** Random bytes gain nothing from compression, and large files need not be held in memory. */
const QUICK_GIT = { 'core.compression': '0', 'pack.compression': '0', 'core.bigFileThreshold': '1m', 'transfer.unpackLimit': '1' };

/** The second POST of git: the first one lists the refs (fetch, v2) or asks whether a large body is welcome (push). */
const THE_PACK = { step: 'exchange', skip: 1 } as const;

let scene: Scene;
let daemon: RunningDaemon;
/** Resident memory after one small operation with a token. */
let idleBytes: number;
let volume: { readonly directory: string; readonly head: string; readonly file: string };
let small: { readonly head: string };
/** The repository that is pushed to. */
let copy: string;
/** And one into which no push succeeds. */
let empty: string;

beforeAll(async () => {
  scene = await Scene.open();
  for (const [key, value] of Object.entries(QUICK_GIT)) await told(['config', '--global', key, value]);
  const directory = await repository(VOLUME, { commits: 1, largeFileBytes: VOLUME_BYTES });
  volume = { directory, head: await objectId(directory, 'main'), file: await objectId(directory, 'main:large.bin') };
  copy = await repository(COPY, { commits: 0 });
  empty = await repository(EMPTY, { commits: 0 });
  small = { head: await objectId(await repository(SMALL, { commits: 3 }), 'main') };
  daemon = await scene.daemon();
  await cloneSmall();
  idleBytes = (await daemon.memory()).resident;
}, 120_000);

afterAll(() => scene.close());

describe('200 MB', () => {
  test('a clone and a push of 200 MB arrive whole, and memory does not grow with them', { timeout: 120_000 }, async () => {
    const clone = join(scene.directory, 'clone');
    await daemon.forgetPeak();
    expect(await scene.git(['clone', '-q', at(VOLUME), clone])).toMatchObject({ code: 0, stderr: '' });
    await expectModestMemory('clone');
    expect(await objectId(clone, 'main')).toBe(volume.head);
    // The checked-out bytes themselves, hashed anew.
    expect(await told(['hash-object', '--no-filters', 'large.bin'], clone)).toBe(volume.file);

    await daemon.forgetPeak();
    const pushed = await scene.git(['push', at(COPY), 'main'], { cwd: clone });
    expect(pushed.stderr).toContain('main -> main');
    expect(pushed.code).toBe(0);
    await expectModestMemory('push');
    expect(await objectId(copy, 'main')).toBe(volume.head);
    // index-pack on the other side has hashed every object; the name of the blob says that its bytes are there.
    expect(await objectId(copy, 'main:large.bin')).toBe(volume.file);
    expect(await told(['cat-file', '-s', 'main:large.bin'], copy)).toBe(String(VOLUME_BYTES));
  });

  test('a caller that stops reading stops the upstream: nothing is kept for it', { timeout: 120_000 }, async () => {
    await daemon.forgetPeak();
    const caller = await Caller.dial(daemon);
    void caller.send(fetchRequest(VOLUME, volume.head));
    await caller.receivedAtLeast(64 * 1024);
    caller.pause();
    const record = await steady((status) => status.running[0]?.bytesDown);
    expect(record).toBeGreaterThan(0);
    // What is under way sits in buffers of the kernel and of both sockets.
    expect(record).toBeLessThan(32 * MIB);
    await expectModestMemory('a stopped reader');
    caller.destroy();
    await expectNothingLeft();
  });

  test('an upstream that stops reading stops the caller: nothing is kept for it', { timeout: 120_000 }, async () => {
    await daemon.forgetPeak();
    scene.emulator.git.faults.set(COPY, { kind: 'stall-before-answer', step: 'exchange' });
    const caller = await Caller.dial(daemon);
    void caller.send(pushRequest(COPY, VOLUME_BYTES));
    const record = await steady((status) => status.running[0]?.bytesUp);
    expect(record).toBeGreaterThan(MIB);
    expect(record).toBeLessThan(32 * MIB);
    await expectModestMemory('a stopped upstream');
    scene.emulator.git.faults.clear();
    scene.emulator.git.cutConnections();
    caller.destroy();
    await expectNothingLeft();
  });
});

describe('aborted transfers', () => {
  test('300 aborted transfers leave no upstream socket, no child and no memory behind', { timeout: 120_000 }, async () => {
    await daemon.forgetPeak();
    const ways = Object.values(ABORT_WAYS);
    let next = 0;
    const worker = async (): Promise<void> => {
      for (let number = next++; number < ABORTS; number = next++) await ways[number % ways.length]?.(number);
    };
    await Promise.all(Array.from({ length: ABORTS_AT_ONCE }, worker));
    await expectNothingLeft();
    // As many at once each have their buffers.
    await expectModestMemory('aborts', ABORTS_AT_ONCE * HELD_BACK_BYTES);
    const status = await daemon.status();
    expect(status.operations['client-gone']).toBeGreaterThan(ABORTS / 2);
    // A caller that goes away is no failure of the upstream.
    expect(status.failures.filter(({ verdict }) => verdict !== 'refused')).toEqual([]);
    await cloneSmall();
  });
});

describe('an upstream that answers early', () => {
  test('the rest of a push that was answered early is dropped, and its connection goes on', async () => {
    const caller = await Caller.dial(daemon);
    await caller.send(pushRequest(COPY, 32 * MIB, { pack: Buffer.from('PACK, but no such thing') }));
    await caller.send([Buffer.from('0\r\n\r\n'), advertisementRequest(SMALL)]);
    await until('the next request is answered', () => caller.tail.includes('# service=git-upload-pack'));
    caller.destroy();
    await expectNothingLeft();
  });
});

describe('an upstream that breaks', () => {
  test('an upstream that dies mid-pack is an error to git and in the status, and leaves no clone', async () => {
    scene.emulator.git.faults.set(VOLUME, { kind: 'die-midbody', ...THE_PACK, afterBytes: 4 * MIB });
    const startedAt = performance.now();
    const { ran, isThere } = await cloneInto('half');
    scene.emulator.git.faults.clear();
    expect(performance.now() - startedAt).toBeLessThan(TELL_MS);
    expectBroken(ran);
    expect(isThere).toBe(false);
    await expectBrokenRecord('fetch', 4 * MIB);
  });

  test('connections to the upstream that are cut mid-pack end git at once', async () => {
    scene.emulator.git.faults.set(VOLUME, { kind: 'stall', ...THE_PACK, afterBytes: 3 * MIB });
    const cloning = cloneInto('cut');
    await until(
      '3 MiB have gone down',
      async () => ((await daemon.status()).running.find(({ step }) => step === 'exchange')?.bytesDown ?? 0) >= 3 * MIB,
    );
    scene.emulator.git.faults.clear();
    const cutAt = performance.now();
    scene.emulator.git.cutConnections();
    const { ran, isThere } = await cloning;
    expect(performance.now() - cutAt).toBeLessThan(TELL_MS);
    expectBroken(ran);
    expect(isThere).toBe(false);
    await expectBrokenRecord('fetch', 3 * MIB);
  });

  test('an answer that breaks never gets its last chunk', async () => {
    scene.emulator.git.faults.set(VOLUME, { kind: 'die-midbody', step: 'exchange', afterBytes: 2 * MIB });
    const caller = await Caller.dial(daemon);
    await caller.send(fetchRequest(VOLUME, volume.head));
    await caller.ended();
    scene.emulator.git.faults.clear();
    expect(caller.tail).not.toBe('');
    expect(caller.tail.endsWith('\r\n0\r\n\r\n')).toBe(false);
    await expectBrokenRecord('fetch', 2 * MIB);
  });

  test('an upstream that dies in the middle of a fetch leaves the refs of a clone where they were', async () => {
    const clone = join(scene.directory, 'kept');
    await told(['init', '-q', clone]);
    await told(['remote', 'add', 'origin', at(VOLUME)], clone);
    scene.emulator.git.faults.set(VOLUME, { kind: 'die-midbody', ...THE_PACK, afterBytes: 4 * MIB });
    const ran = await scene.git(['fetch', '-q', '--prune', 'origin'], { cwd: clone });
    scene.emulator.git.faults.clear();
    expectBroken(ran);
    expect(await told(['for-each-ref'], clone)).toBe('');
  });

  test('an upstream that is cut in the middle of a push rejects the push with the reason', { timeout: 120_000 }, async () => {
    const clone = join(scene.directory, 'pusher');
    await told(['clone', '-q', '--shared', volume.directory, clone]);
    scene.emulator.git.faults.set(EMPTY, { kind: 'stall-before-answer', ...THE_PACK });
    const pushing = scene.git(['push', at(EMPTY), 'main:refs/heads/other'], { cwd: clone });
    await until(
      'the push is under way',
      async () => ((await daemon.status()).running.find(({ step }) => step === 'exchange')?.bytesUp ?? 0) > MIB,
    );
    const cutAt = performance.now();
    scene.emulator.git.cutConnections();
    scene.emulator.git.faults.clear();
    const ran = await pushing;
    expect(performance.now() - cutAt).toBeLessThan(TELL_MS);
    expect(ran.code).not.toBe(0);
    expect(ran.stderr).toMatch(/\[remote rejected\] main -> other \(.*closed the connection/);
    expect((await scene.git(['rev-parse', '--verify', '-q', 'refs/heads/other'], { cwd: empty })).code).not.toBe(0);
    expect((await daemon.status()).failures.at(-1)).toMatchObject({
      kind: 'push',
      verdict: 'failed',
      failure: { code: 'upstream-broken' },
    });
    await expectNothingLeft();
    await cloneSmall();
  });
});

describe('many at once', () => {
  test('uploads that an upstream holds back share one bound on memory', { timeout: 120_000 }, async () => {
    await daemon.forgetPeak();
    scene.emulator.git.faults.set(COPY, { kind: 'stall-before-answer', step: 'exchange' });
    const callers = await Promise.all(Array.from({ length: HELD_BACK }, () => Caller.dial(daemon)));
    for (const caller of callers) void caller.send(pushRequest(COPY, 8 * MIB));
    await until('all of them run', async () => (await daemon.status()).running.length === HELD_BACK);
    await steady((status) => status.running.reduce((sum, { bytesUp }) => sum + bytesUp, 0));
    await expectModestMemory('uploads that are held back', HELD_BACK * HELD_BACK_BYTES);
    for (const caller of callers) caller.destroy();
    scene.emulator.git.faults.clear();
    scene.emulator.git.cutConnections();
    await expectNothingLeft();
  });
});

/** The points at which a caller goes away. Each gives when it has gone. */
const ABORT_WAYS = {
  // The request is on its way, or waits for a connection.
  beforeHeaders: async () => {
    const caller = await Caller.dial(daemon);
    await caller.send(fetchRequest(VOLUME, volume.head));
    caller.destroy();
  },
  afterHeaders: async () => {
    const caller = await Caller.dial(daemon);
    void caller.send(fetchRequest(VOLUME, volume.head));
    await caller.receivedAtLeast(1);
    caller.destroy();
  },
  midBody: async (number: number) => {
    const caller = await Caller.dial(daemon);
    void caller.send(fetchRequest(VOLUME, volume.head));
    await caller.receivedAtLeast(64 * 1024 * (1 + (number % 32)));
    caller.destroy();
  },
  // Closed in the ordinary way: the other end learns of it only by the bytes that it still sends.
  midBodyPolitely: async (number: number) => {
    const caller = await Caller.dial(daemon);
    void caller.send(fetchRequest(VOLUME, volume.head));
    await caller.receivedAtLeast(64 * 1024 * (1 + (number % 8)));
    caller.pause();
    caller.end();
    caller.destroy();
  },
  inTheRequest: async () => {
    const caller = await Caller.dial(daemon);
    await caller.send([fetchRequest(VOLUME, volume.head)[0]?.subarray(0, -40) ?? Buffer.alloc(0)]);
    caller.destroy();
  },
  // Less than is kept for a second try.
  inTheUpload: async (number: number) => {
    const caller = await Caller.dial(daemon);
    await caller.send(pushRequest(COPY, 64 * 1024 * (1 + (number % 12))));
    caller.destroy();
  },
  midUpload: async (number: number) => {
    const caller = await Caller.dial(daemon);
    const agent = `git/abort-${number}`;
    await caller.send(pushRequest(COPY, 2 * MIB + 64 * 1024 * (number % 16), { agent }));
    // A socket that is not read tells nobody that its other end has gone: without this, hundreds would be held at once.
    await until('the upload has reached the upstream', () =>
      scene.emulator.git.seen.some(({ headers }) => headers['user-agent'] === agent),
    );
    caller.destroy();
  },
  // The upstream has refused what it read so far, and the answer is out; the rest of the request is not.
  afterAnEarlyAnswer: async () => {
    const caller = await Caller.dial(daemon);
    void caller.send(pushRequest(COPY, 4 * MIB, { pack: Buffer.from('PACK, but no such thing') }));
    await caller.receivedAtLeast(1);
    caller.destroy();
  },
  inTheAdvertisement: async (number: number) => {
    const caller = await Caller.dial(daemon);
    void caller.send([advertisementRequest(SMALL)]);
    if (number % 2 === 0) await caller.receivedAtLeast(1);
    caller.destroy();
  },
} satisfies Record<string, (number: number) => Promise<void>>;

/** How much of what came is kept to look at. */
const TAIL_BYTES = 4096;

/** A client of the door that speaks HTTP by hand, so that it can leave at any point. */
class Caller {
  readonly #socket: Socket;
  readonly #watchers = new Set<() => void>();
  #received = 0;
  #tail: Buffer = Buffer.alloc(0);

  static dial(to: RunningDaemon): Promise<Caller> {
    const { hostname, port } = new URL(to.base);
    return new Promise((resolve, reject) => {
      const socket = connect({ host: hostname, port: Number(port) });
      socket.once('error', reject);
      socket.once('connect', () => resolve(new Caller(socket)));
    });
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      this.#received += chunk.length;
      this.#tail = Buffer.concat([this.#tail, chunk]).subarray(-TAIL_BYTES);
      for (const look of this.#watchers) look();
    });
    socket.on('close', () => {
      for (const look of this.#watchers) look();
    });
  }

  /** Writes piece by piece, as fast as they are taken; resolves when the last has left this process or the connection ends. */
  async send(pieces: Iterable<Buffer>): Promise<void> {
    for (const piece of pieces) {
      if (this.#socket.destroyed) return;
      await new Promise<void>((resolve) => {
        const done = (): void => {
          this.#watchers.delete(look);
          resolve();
        };
        const look = (): void => {
          if (this.#socket.destroyed) done();
        };
        this.#watchers.add(look);
        this.#socket.write(piece, done);
      });
    }
  }

  /** Resolves when that much has come, or the connection has ended. */
  receivedAtLeast(bytes: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (this.#received < bytes && !this.#socket.destroyed) return;
        this.#watchers.delete(look);
        resolve();
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** Resolves when the connection has ended. */
  ended(): Promise<void> {
    return this.receivedAtLeast(Number.POSITIVE_INFINITY);
  }

  /** The last that came. */
  get tail(): string {
    return this.#tail.toString('latin1');
  }

  pause(): void {
    this.#socket.pause();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#socket.destroy();
  }
}

function advertisementRequest(name: string): Buffer {
  const { host } = new URL(daemon.base);
  return Buffer.from(`GET /dev.azure.com${pathOf(name)}/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
}

/** A POST for the whole pack of `head`, protocol v2. */
function fetchRequest(name: string, head: string): Buffer[] {
  const body = `${packet('command=fetch')}0001${packet('ofs-delta')}${packet(`want ${head}`)}${packet('done')}0000`;
  const lines = [
    `POST /dev.azure.com${pathOf(name)}/git-upload-pack HTTP/1.1`,
    `Host: ${new URL(daemon.base).host}`,
    'Git-Protocol: version=2',
    'Content-Type: application/x-git-upload-pack-request',
    'Accept: application/x-git-upload-pack-result',
    `Content-Length: ${body.length}`,
  ];
  return [Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)];
}

/** The beginning of a chunked push: the command list, the head of a pack, and `bytes` of what would be in it; never its end. */
function* pushRequest(name: string, bytes: number, { agent = 'git/test', pack = PACK_BEGIN } = {}): Generator<Buffer> {
  const lines = [
    `POST /dev.azure.com${pathOf(name)}/git-receive-pack HTTP/1.1`,
    `Host: ${new URL(daemon.base).host}`,
    `User-Agent: ${agent}`,
    'Content-Type: application/x-git-receive-pack-request',
    'Accept: application/x-git-receive-pack-result',
    'Transfer-Encoding: chunked',
  ];
  yield Buffer.from(`${lines.join('\r\n')}\r\n\r\n`);
  const commands = `${packet(`${'0'.repeat(40)} ${'1'.repeat(40)} refs/heads/never\0 report-status side-band-64k`)}0000`;
  yield chunk(Buffer.concat([Buffer.from(commands), pack]));
  // Each piece a stored block of deflate (RFC 1951 section 3.2.4).
  const block = Buffer.concat([Buffer.from([0, 0xff, 0x7f, 0, 0x80]), Buffer.alloc(0x7fff, 0x78)]);
  const piece = chunk(Buffer.concat([block, block]));
  for (let left = bytes; left > 0; left -= 64 * 1024) yield piece;
}

/** The head of a pack whose first blob of half a gigabyte, stored without compression, never comes to its end. */
const PACK_BEGIN = Buffer.from('PACK\0\0\0\x02\0\0\0\x01\xbf\xff\xff\xff\x0f\x78\x01', 'latin1');

function chunk(bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

function packet(text: string): string {
  return `${(text.length + 5).toString(16).padStart(4, '0')}${text}\n`;
}

function pathOf(name: string): string {
  const [organisation = '', project = '', leaf = ''] = name.split('/');
  return `/${organisation}/${project}/_git/${leaf}`;
}

function at(name: string): string {
  return daemon.url(`dev.azure.com${pathOf(name)}`);
}

async function repository(name: string, options: { commits: number; largeFileBytes?: number }): Promise<string> {
  const directory = await scene.emulator.createRepository(name, options);
  for (const [key, value] of Object.entries(QUICK_GIT)) await told(['config', key, value], directory);
  return directory;
}

async function cloneInto(name: string): Promise<{ ran: Ran; isThere: boolean }> {
  const directory = join(scene.directory, name);
  const ran = await scene.git(['clone', '-q', at(VOLUME), directory]);
  return {
    ran,
    isThere: await stat(directory).then(
      () => true,
      () => false,
    ),
  };
}

async function cloneSmall(): Promise<void> {
  const directory = await mkdtemp(join(scene.directory, 'small-'));
  expect(await scene.git(['clone', '-q', at(SMALL), directory])).toMatchObject({ code: 0, stderr: '' });
  expect(await objectId(directory, 'HEAD')).toBe(small.head);
  await rm(directory, { recursive: true });
}

function objectId(directory: string, name: string): Promise<string> {
  return told(['rev-parse', '--verify', name], directory);
}

/** What git says, without its line end; git must succeed. */
async function told(args: readonly string[], cwd: string = scene.directory): Promise<string> {
  const ran = await scene.git(args, { cwd });
  expect(ran, `git ${args.join(' ')}`).toMatchObject({ code: 0 });
  return ran.stdout.trimEnd();
}

function expectBroken(ran: Ran): void {
  expect(ran.code).not.toBe(0);
  expect(ran.stderr).toMatch(/fatal: (early EOF|fetch-pack: invalid index-pack output|unpack-objects|the remote end hung up)|RPC failed/);
}

async function expectBrokenRecord(kind: string, bytes: number): Promise<void> {
  const record = (await daemon.status()).failures.at(-1);
  expect(record).toMatchObject({ kind, step: 'exchange', verdict: 'broken', failure: { code: 'upstream-broken' } });
  expect(record?.bytesDown).toBeGreaterThanOrEqual(bytes);
}

async function expectModestMemory(during: string, extraBytes = 0): Promise<void> {
  const { resident, peak } = await daemon.memory();
  expect(Math.max(resident, peak) - idleBytes, `growth of resident memory in ${during}`).toBeLessThanOrEqual(MOST_GROWTH + extraBytes);
}

/** Nothing runs any more at the daemon and at the upstream, and only the pool's idle connections are open. */
async function expectNothingLeft(): Promise<void> {
  const { git } = scene.emulator;
  await until('the upstream is at rest', () => git.children === 0 && git.connections.open <= MOST_IDLE);
  await until('the daemon is at rest', async () => {
    const { running, upstreams } = await daemon.status();
    return running.length === 0 && upstreams.every(({ busy }) => busy === 0);
  });
  const idle = (await daemon.status()).upstreams.reduce((sum, pool) => sum + pool.idle, 0);
  await until('both ends count the same connections', () => git.connections.open === idle);
}

/** A figure of the status that has stopped growing. */
async function steady(read: (status: DaemonStatus) => number | undefined): Promise<number> {
  let last = -1;
  await until('a figure stands still', async () => {
    const now = read(await daemon.status()) ?? 0;
    const isSame = now > 0 && now === last;
    last = now;
    return isSame;
  });
  return last;
}

async function until(what: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  const startedAt = performance.now();
  while (!(await isTrue())) {
    if (performance.now() - startedAt > SETTLE_MS) throw new Error(`not within ${SETTLE_MS / 1000} s: ${what}`);
    await new Promise((resume) => setTimeout(resume, LOOK_MS));
  }
}
