/**
 * Pushes byte by byte: clients that hold their side open, packs that mislead, pushes that are cut, clients that go on behind the end.
 * The upstream is git's own.
 */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FLUSH_PACKET, writePacket } from '../../src/git/pkt-line.js';
import { bridge } from '../../src/ssh/bridge.js';
import type { Carried } from '../../src/ssh/git-session.js';
import { trapPack } from '../support/trap-pack.js';
import { ChildLeg, fastImport, line, type LegOptions, openRig, type Rig, sessionOf } from './bridge-rig.js';

const NONE = '0'.repeat(40);
const CAPABILITIES = 'report-status side-band-64k';
let rig: Rig;
let counter = 0;

beforeAll(async () => {
  rig = await openRig();
});
afterAll(() => rig.close());

/** A bare repository with two branches. */
async function repository(format: 'sha1' | 'sha256' = 'sha1'): Promise<string> {
  counter += 1;
  const path = join(rig.folder, `there-${String(counter)}.git`);
  await rig.git('init', '-q', '--bare', `--object-format=${format}`, path);
  await rig.git('-C', path, 'config', 'receive.advertisePushOptions', 'true');
  await fastImport(rig, path, `${line('main', 3)}reset refs/heads/old\nfrom :1\n\nreset refs/heads/older\nfrom :1\n\n`);
  return path;
}

async function oid(path: string, name: string): Promise<string> {
  return (await rig.git('-C', path, 'rev-parse', '--verify', '-q', name)).trim();
}

async function refs(path: string): Promise<string[]> {
  return (await rig.git('-C', path, 'for-each-ref', '--format=%(refname:short)')).trim().split('\n');
}

/** A push's first part; each command is `old new ref`. */
function list(capabilities: string, ...commands: readonly string[]): Buffer {
  return Buffer.concat([...commands.map((text, index) => writePacket(index === 0 ? `${text}\0${capabilities}` : text)), FLUSH_PACKET]);
}

interface Dumb {
  readonly input: PassThrough;
  /** What the client has got. */
  readonly got: () => string;
  readonly leg: ChildLeg;
  readonly over: AbortController;
  readonly carried: Promise<Carried>;
}

/** A client that does no more than it is told. */
function dumb(path: string, options: LegOptions = {}): Dumb {
  const input = new PassThrough();
  const output = new PassThrough();
  const got: Buffer[] = [];
  output.on('data', (chunk: Buffer) => got.push(chunk));
  const over = new AbortController();
  const leg = new ChildLeg(path, rig.env, options);
  const carried = bridge(() => leg)(sessionOf('push', { input, output, over: over.signal }));
  return { input, leg, over, carried, got: () => Buffer.concat(got).toString('latin1') };
}

/** A push of a commit whose tree holds the blob `content`, as git would make it: the pack, and the commit's id. */
function packOf(path: string, content: Buffer): { pack: Buffer; commit: string } {
  const git = (args: readonly string[], input: Buffer | string = ''): Buffer =>
    spawnSync('git', ['-C', path, ...args], { env: rig.env, input, maxBuffer: 1 << 28 }).stdout;
  const from = join(rig.folder, `from-${String((counter += 1))}.git`);
  spawnSync('git', ['clone', '-q', '--bare', `file://${path}`, from], { env: rig.env });
  const here = (args: readonly string[], input: Buffer | string = ''): string =>
    git(['-C', from, ...args], input)
      .toString()
      .trim();
  const blob = here(['hash-object', '-w', '--stdin'], content);
  const tree = here(['mktree'], `100644 blob ${blob}\tf\n`);
  const commit = here(['commit-tree', '-p', 'main', '-m', 'x', tree]);
  return { commit, pack: git(['-C', from, 'pack-objects', '--stdout', '--revs', '-q'], `${commit}\n^main\n`) };
}

/** Writes in pieces; each is taken before the next is written. */
async function feed(input: PassThrough, bytes: Buffer, pieceBytes: number): Promise<void> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    if (!input.write(bytes.subarray(at, at + pieceBytes))) await new Promise((resolve) => input.once('drain', resolve));
  }
}

/** Resolves when the bridge has taken what the client wrote. */
async function taken({ input }: Dumb): Promise<void> {
  while (input.readableLength > 0 || input.writableLength > 0) await new Promise((resolve) => setImmediate(resolve));
}

describe('bridge(), push of a client that holds its side open', () => {
  it.each<['sha1' | 'sha256', number]>([
    ['sha1', 100],
    ['sha256', 100],
    ['sha1', 3 * 1024 * 1024],
  ])('takes a pack of %s with %i bytes of content when the client is silent behind it', async (format, size) => {
    const path = await repository(format);
    const { pack, commit } = packOf(path, randomBytes(size));
    const client = dumb(path);
    const old = await oid(path, 'main');
    const capabilities = `${CAPABILITIES} object-format=${format}`;
    await feed(client.input, Buffer.concat([list(capabilities, `${old} ${commit} refs/heads/main`), pack]), 50_000);
    expect(await client.carried).toEqual({ kind: 'passed', exitCode: 0 });
    expect(client.got()).toContain('ok refs/heads/main');
    expect(await oid(path, 'main')).toBe(commit);
    expect(client.leg.sent.at(-1)!.body).toBe(size > 1e6 ? 'stream' : 'whole');
  });

  it('takes deletions, with options or without, at once', async () => {
    const path = await repository();
    const old = await oid(path, 'old');
    const client = dumb(path);
    client.input.write(list(CAPABILITIES, `${old} ${NONE} refs/heads/old`));
    expect(await client.carried).toEqual({ kind: 'passed', exitCode: 0 });
    const other = dumb(path);
    other.input.write(list(`${CAPABILITIES} push-options`, `${old} ${NONE} refs/heads/older`));
    other.input.write(Buffer.concat([writePacket('a=b'), FLUSH_PACKET]));
    expect(await other.carried).toEqual({ kind: 'passed', exitCode: 0 });
    expect(await refs(path)).toEqual(['main']);
  });

  it('ends when the client wants nothing', async () => {
    const path = await repository();
    for (const bytes of [FLUSH_PACKET, Buffer.concat([FLUSH_PACKET, writePacket('a=b'), FLUSH_PACKET])]) {
      const client = dumb(path);
      client.input.write(bytes);
      expect(await client.carried).toEqual({ kind: 'passed', exitCode: 0 });
      expect(client.leg.sent).toHaveLength(1);
    }
    const gone = dumb(path);
    gone.input.end();
    expect(await gone.carried).toEqual({ kind: 'passed', exitCode: 0 });
  });

  it('takes a push from a client that wants no report', async () => {
    const path = await repository();
    const client = dumb(path);
    client.input.write(list('delete-refs', `${await oid(path, 'old')} ${NONE} refs/heads/old`));
    expect(await client.carried).toEqual({ kind: 'passed', exitCode: 0 });
    expect(await refs(path)).toEqual(['main', 'older']);
  });
});

describe('bridge(), push of a pack that looks complete in the middle', () => {
  /** A ref to the blob that the pack holds: refs outside refs/heads may name one. */
  async function trapPush(path: string): Promise<{ head: Buffer; pack: Buffer; trap: number }> {
    const { bytes, trap, content } = trapPack('sha1');
    const blob = spawnSync('git', ['-C', path, 'hash-object', '--stdin'], { env: rig.env, input: content }).stdout.toString().trim();
    return { head: list(CAPABILITIES, `${NONE} ${blob} refs/trap/blob`), pack: bytes, trap };
  }

  it.each(['ends its side', 'holds its side open'])('is not cut short when the client goes on at once and %s', async (how) => {
    const path = await repository();
    const { head, pack, trap } = await trapPush(path);
    const client = dumb(path);
    client.input.write(Buffer.concat([head, pack.subarray(0, trap)]));
    // Seen by the bridge as a chunk of its own, and as a possible end.
    await taken(client);
    client.input.write(pack.subarray(trap));
    if (how === 'ends its side') client.input.end();
    expect(await client.carried).toEqual({ kind: 'passed', exitCode: 0 });
    expect(client.got()).toContain('ok refs/trap/blob');
    expect(client.leg.sent.at(-1)!.bytes).toEqual(Buffer.concat([head, pack]));
  });

  it('fails when the client goes on after it was taken for the end, and nothing of it is kept', async () => {
    const path = await repository();
    const { head, pack, trap } = await trapPush(path);
    // The server's answer is held back, so that the client is still there when it goes on.
    const client = dumb(path, { through: (answer, { step }) => (step === 'exchange' ? new PassThrough() : answer) });
    client.input.write(Buffer.concat([head, pack.subarray(0, trap)]));
    while (client.leg.sent.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    client.input.write(pack.subarray(trap));
    const carried = await client.carried;
    expect(carried).toMatchObject({ kind: 'failed', where: 'between', refusal: { code: 'request-malformed' } });
    expect(carried.kind === 'failed' && carried.refusal.what).toContain('went on behind its end');
    expect(carried.kind === 'failed' && carried.commands?.commands).toHaveLength(1);
    while (client.leg.children.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await refs(path)).toEqual(['main', 'old', 'older']);
  });
});

describe('bridge(), push with bytes behind its end', () => {
  it('sends nothing up when they come with deletions', async () => {
    const path = await repository();
    const client = dumb(path);
    client.input.write(Buffer.concat([list(CAPABILITIES, `${await oid(path, 'old')} ${NONE} refs/heads/old`), Buffer.from('PACK')]));
    expect(await client.carried).toMatchObject({
      kind: 'failed',
      verdict: 'refused',
      where: 'between',
      refusal: { code: 'request-malformed' },
    });
    expect(client.leg.sent).toHaveLength(1);
    expect(await refs(path)).toContain('old');
  });

  it('fails when they come while the server works', async () => {
    const path = await repository();
    const client = dumb(path, { through: (answer, { step }) => (step === 'exchange' ? new PassThrough() : answer) });
    client.input.write(list(CAPABILITIES, `${await oid(path, 'old')} ${NONE} refs/heads/old`));
    while (client.leg.sent.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    client.input.write('PACK');
    const carried = await client.carried;
    expect(carried).toMatchObject({ kind: 'failed', where: 'between', refusal: { code: 'request-malformed' } });
    expect(carried.kind === 'failed' && carried.refusal.what).toContain('may have acted on it');
  });
});

describe('bridge(), push that is cut', () => {
  it('at any place by the end of the client: the server never has a part of it', async () => {
    const path = await repository();
    const { pack, commit } = packOf(path, randomBytes(60));
    const before = await oid(path, 'main');
    const head = list(
      `${CAPABILITIES} push-options`,
      `${before} ${commit} refs/heads/main`,
      `${await oid(path, 'old')} ${NONE} refs/heads/old`,
    );
    const whole = Buffer.concat([head, writePacket('a=b'), FLUSH_PACKET, pack]);
    const cuts = [
      1,
      4,
      30,
      head.length - 1,
      head.length,
      head.length + 3,
      head.length + 7,
      head.length + 11,
      head.length + 12,
      whole.length - 60,
      whole.length - 20,
      whole.length - 1,
    ];
    for (const cut of cuts) {
      const client = dumb(path);
      client.input.end(whole.subarray(0, cut));
      const carried = await client.carried;
      expect(client.got(), String(cut)).not.toContain('ok refs/heads/main');
      expect(carried.kind, String(cut)).toMatch(/passed|failed/);
      if (cut < head.length) expect(carried).toMatchObject({ kind: 'failed', refusal: { code: 'push-unreadable' } });
      expect(await oid(path, 'main')).toBe(before);
    }
    const client = dumb(path);
    client.input.end(whole);
    expect(await client.carried).toEqual({ kind: 'passed', exitCode: 0 });
    expect(await oid(path, 'main')).toBe(commit);
  });

  it('at any place by a client that goes away: it is over, and no request is left', async () => {
    const path = await repository();
    const { pack, commit } = packOf(path, randomBytes(2 * 1024 * 1024));
    const before = await oid(path, 'main');
    const whole = Buffer.concat([list(CAPABILITIES, `${before} ${commit} refs/heads/main`), pack]);
    for (const cut of [0, 3, 100, 1000, 500_000, 1_200_000, whole.length - 1]) {
      const client = dumb(path);
      await feed(client.input, whole.subarray(0, cut), 30_000);
      await taken(client);
      client.over.abort();
      expect(await client.carried, String(cut)).toEqual({ kind: 'over' });
      while (client.leg.children.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      expect(await oid(path, 'main')).toBe(before);
    }
  });
});

describe('bridge(), push to a server that fails', () => {
  const through =
    (which: number, size: number): NonNullable<LegOptions['through']> =>
    (answer, _, index) => {
      if (index !== which) return answer;
      let left = size;
      const cut = new PassThrough();
      answer.on('data', (chunk: Buffer) => {
        if (left > 0) cut.write(chunk.subarray(0, left));
        left -= chunk.length;
      });
      answer.once('end', () => cut.end());
      return cut;
    };

  it.each([
    [0, 0, 'between'],
    [0, 300, 'inside'],
    [1, 0, 'between'],
    [1, 9, 'inside'],
  ] as const)(
    'in request %i after %i bytes, in good order as HTTP has it: the push is never taken for done',
    async (which, size, where) => {
      const path = await repository();
      const client = dumb(path, { through: through(which, size) });
      client.input.write(list(CAPABILITIES, `${await oid(path, 'old')} ${NONE} refs/heads/old`));
      const carried = await client.carried;
      expect(carried).toMatchObject({
        kind: 'failed',
        where,
        verdict: where === 'inside' ? 'broken' : 'failed',
        refusal: { code: 'upstream-broken' },
      });
      if (which === 1) expect(carried.kind === 'failed' && carried.commands?.commands).toHaveLength(1);
    },
  );
});
