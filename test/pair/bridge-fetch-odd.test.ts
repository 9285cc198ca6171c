/** Clients that can less than git can today, servers that do other than git's own, and servers that fail in the middle. */
import { join } from 'node:path';
import { PassThrough, type Readable, Transform } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ProxyError } from '../../src/model/errors.js';
import { fastImport, line, type LegOptions, openRig, type Rig } from './bridge-rig.js';

let rig: Rig;
let origin: string;
/** A clone of origin as it was, with 60 commits of its own. */
let apart: string;
let counter = 0;

function fresh(): string {
  counter += 1;
  return join(rig.folder, `copy-${String(counter)}`);
}

beforeAll(async () => {
  rig = await openRig();
  origin = join(rig.folder, 'origin.git');
  apart = join(rig.folder, 'apart.git');
  await rig.git('init', '-q', '--bare', origin);
  await fastImport(rig, origin, line('main', 40));
  await rig.git('clone', '-q', '--bare', `file://${origin}`, apart);
  await fastImport(rig, apart, line('mine', 60, { from: 'refs/heads/main~20', time: 200 }));
  await fastImport(rig, origin, line('main', 20, { from: 'refs/heads/main^0', time: 300, name: 'theirs' }));
});
afterAll(() => rig.close());
afterEach(() => {
  rig.options = {};
});

/** Fetches into a copy of `apart`, and says how many requests went up; what came is what a fetch beside the bridge brings. */
async function fetchApart(options: LegOptions, ...more: readonly string[]): Promise<number> {
  rig.options = options;
  const copies = [fresh(), fresh()];
  for (const [index, url] of [rig.url(origin), `file://${origin}`].entries()) {
    await rig.git('clone', '-q', '--bare', `file://${apart}`, copies[index]!);
    await rig.git('-C', copies[index]!, '-c', 'protocol.version=0', 'fetch', '-q', ...more, url, 'refs/heads/main:refs/heads/theirs');
  }
  const [there, beside] = await Promise.all(
    copies.map(async (copy) => {
      await rig.git('-C', copy, 'fsck', '--full', '--no-dangling');
      return rig.git('-C', copy, 'for-each-ref');
    }),
  );
  expect(there).toBe(beside);
  return rig.legs.at(-1)!.sent.filter(({ step }) => step === 'exchange').length;
}

describe('bridge(), fetch by an older client', () => {
  const MULTI = ['multi_ack_detailed', 'multi_ack'];
  it.each<[string, string[]]>([
    ['multi_ack', ['multi_ack_detailed']],
    ['a single ACK', MULTI],
    ['no side-band', ['side-band-64k', 'side-band']],
    ['the small side-band', ['side-band-64k']],
    ['a single ACK and no side-band', [...MULTI, 'side-band-64k', 'side-band']],
    ['no thin packs and no offsets', ['thin-pack', 'ofs-delta']],
  ])('with %s', async (_, hidden) => {
    expect(await fetchApart({ hidden })).toBeGreaterThan(1);
    expect(rig.carried.at(-1)).toEqual({ kind: 'passed', exitCode: 0 });
    expect(rig.legs.at(-1)!.sent.at(-1)!.bytes.toString()).toContain('multi_ack_detailed');
  });

  it.each<[string, string[]]>([
    ['multi_ack', ['multi_ack_detailed']],
    ['a single ACK', MULTI],
  ])('from a server that itself offers no more than %s', async (_, names) => {
    const through = (answer: Readable, { step }: { step: string }): Readable =>
      step === 'advertisement' ? answer.pipe(replacing(names.map((name) => [` ${name} `, ` ${'x'.repeat(name.length)} `]))) : answer;
    await fetchApart({ through });
  });

  it('deepens for a client with a single ACK', async () => {
    rig.options = { hidden: MULTI };
    const copy = fresh();
    await rig.git('-c', 'protocol.version=0', 'clone', '-q', '--bare', '--depth=2', rig.url(origin), copy);
    await rig.git('-C', copy, '-c', 'protocol.version=0', 'fetch', '-q', '--deepen=3', 'origin', 'main');
    expect((await rig.git('-C', copy, 'rev-list', '--count', 'FETCH_HEAD')).trim()).toBe('5');
  });
});

describe('bridge(), fetch from a server that does things its own way', () => {
  it('is given a pack at once by one that is ready and does not wait for `done`', async () => {
    const exchanges = await fetchApart({
      // As long as what it replaces, so that the packet stays what it is.
      change: (body) => Buffer.from(body.toString('latin1').replace(' thin-pack ', ' no-done   '), 'latin1'),
    });
    const last = rig.legs.at(-1)!.sent.at(-1)!.bytes.toString();
    expect(exchanges).toBeGreaterThan(0);
    expect(last.endsWith('0000')).toBe(true);
  });

  it.each(['0', '1', '2'])('asked for version 2, answers in version %s', async (version) => {
    rig.options = { protocol: `version=${version}`, hasService: true };
    const copy = fresh();
    await rig.git('-c', 'protocol.version=2', 'clone', '-q', '--bare', rig.url(origin), copy);
    await rig.git('-C', copy, 'fsck');
    const { sent } = rig.legs.at(-1)!;
    expect(sent[0]!.gitProtocol).toBe('version=2');
    expect(sent[1]!.gitProtocol).toBe({ '0': undefined, '1': 'version=1', '2': 'version=2' }[version]);
  });

  it('ends the answer to a deepening with a NAK', async () => {
    const through = (answer: Readable, _: unknown, index: number): Readable => (index === 1 ? answer.pipe(ending('0008NAK\n')) : answer);
    rig.options = { through };
    const copy = fresh();
    await rig.git('-c', 'protocol.version=0', 'clone', '-q', '--bare', '--depth=2', rig.url(origin), copy);
    expect((await rig.git('-C', copy, 'rev-list', '--count', 'main')).trim()).toBe('2');
  });
});

describe.each(['0', '2'])('bridge(), fetch from a server that fails, version %s', (version) => {
  /** The lengths of the answers to the fetch below: of the advertisement, then of exchanges. */
  const answers = async (): Promise<number[]> => {
    const sizes: number[] = [];
    await fetchFailing({
      through(answer, _, index) {
        sizes[index] = 0;
        return answer.on('data', (chunk: Buffer) => (sizes[index]! += chunk.length)).pipe(new PassThrough());
      },
    });
    return sizes;
  };

  async function fetchFailing(options: LegOptions): Promise<{ code: number; err: string }> {
    rig.options = options;
    const copy = fresh();
    await rig.git('clone', '-q', '--bare', `file://${apart}`, copy);
    return rig.run('-C', copy, '-c', `protocol.version=${version}`, 'fetch', rig.url(origin), 'refs/heads/main:refs/heads/theirs');
  }

  it('in the middle of any answer: the client never takes it for a whole one', async () => {
    const sizes = await answers();
    const count = sizes.length;
    expect(count).toBeGreaterThan(2);
    for (let broken = 0; broken < count; broken++) {
      // Just before the end, where least is missing; a pack is not always as long as before.
      const size = sizes[broken]! - (broken === count - 1 ? 40 : 1);
      for (const how of ['breaks', 'ends', 'is empty'] as const) {
        const through = (answer: Readable, _: unknown, index: number): Readable =>
          index === broken ? answer.pipe(cutting(how === 'is empty' ? 0 : size, how === 'breaks')) : answer;
        const { code, err } = await fetchFailing({ through });
        const where = `request ${String(broken)} ${how}: ${err}`;
        expect(code, where).toBe(128);
        const carried = rig.carried.at(-1);
        expect(carried, where).toMatchObject({ kind: 'failed', refusal: { code: 'upstream-broken' } });
        expect(err, where).toContain(how === 'breaks' ? 'the line went dead' : 'The upstream ended its answer before it was complete');
        if (how === 'is empty' && broken > 0) expect(carried, where).toMatchObject({ where: 'between', verdict: 'failed' });
        // A stream that breaks may drop what it still had.
        if (broken === count - 1 && how === 'ends') expect(carried, where).toMatchObject({ where: 'inside', verdict: 'broken' });
        if (carried?.kind === 'failed') expect(carried.verdict).toBe(carried.where === 'inside' ? 'broken' : 'failed');
      }
    }
  });

  it('with a page instead of any answer', async () => {
    const count = (await answers()).length;
    for (let broken = 0; broken < count; broken++) {
      const through = (answer: Readable, _: unknown, index: number): Readable => (index === broken ? page(answer) : answer);
      const { code, err } = await fetchFailing({ through });
      expect(code).toBe(128);
      expect(err).toContain('The upstream gave an answer that is none of git');
      expect(rig.carried.at(-1)).toMatchObject({ kind: 'failed', where: 'between', refusal: { code: 'upstream-not-git' } });
    }
  });

  it('in its own words', async () => {
    const count = (await answers()).length;
    for (let broken = 0; broken < count; broken++) {
      const through = (answer: Readable, _: unknown, index: number): Readable =>
        index === broken ? page(answer, '0015ERR out of order\n') : answer;
      const { code, err } = await fetchFailing({ through });
      expect(code).toBe(128);
      expect(err).toContain('remote error: out of order');
      expect(rig.carried.at(-1)).toEqual({ kind: 'passed', exitCode: 128 });
    }
  });
});

function replacing(pairs: readonly (readonly [string, string])[]): Transform {
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      let text = chunk.toString('latin1');
      for (const [from, to] of pairs) text = text.replaceAll(from, to);
      done(null, Buffer.from(text, 'latin1'));
    },
  });
}

function ending(text: string): Transform {
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => done(null, chunk),
    flush: (done) => done(null, Buffer.from(text)),
  });
}

/** The first `size` bytes, and then an end or a break. */
function cutting(size: number, isBreak: boolean): Transform {
  let left = size;
  const cut = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const part = chunk.subarray(0, left);
      left -= part.length;
      done(null, part);
    },
    flush(done) {
      done(isBreak ? new ProxyError('upstream-broken', 'the line went dead') : null);
    },
  });
  return cut;
}

/** Something else altogether. */
function page(answer: Readable, text = '<!DOCTYPE html>\n<title>Sign in</title>'): Readable {
  answer.resume();
  const other = new PassThrough();
  answer.once('end', () => other.end(text));
  return other;
}
