/** Real git fetches over the bridge; what it has afterwards is compared to what it has without the bridge. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fastImport, line, openRig, type Rig } from './bridge-rig.js';

const VERSIONS = ['0', '1', '2'] as const;
let rig: Rig;
let origin: string;
let counter = 0;

/** A name that no other test has. */
function fresh(): string {
  counter += 1;
  return join(rig.folder, `copy-${String(counter)}`);
}

/** What a repository holds: its refs, its edge, and every object. `git fsck` must find nothing. */
async function holdings(repository: string): Promise<{ refs: string; shallow: string; objects: string }> {
  await rig.git('-C', repository, 'fsck', '--full', '--no-dangling');
  const objects = await rig.git('-C', repository, 'cat-file', '--batch-check', '--batch-all-objects', '--unordered');
  const shallow = await rig.run('-C', repository, 'rev-list', '--all', '--count');
  return {
    refs: await rig.git('-C', repository, 'for-each-ref'),
    shallow: shallow.out,
    objects: objects.split('\n').sort().join('\n'),
  };
}

beforeAll(async () => {
  rig = await openRig();
  origin = join(rig.folder, 'origin.git');
  await rig.git('init', '-q', '--bare', origin);
  for (const key of ['uploadpack.allowFilter', 'uploadpack.allowAnySHA1InWant']) await rig.git('-C', origin, 'config', key, 'true');
  await fastImport(
    rig,
    origin,
    line('main', 60) +
      line('topic/a', 10, { from: ':40', time: 45, mark: 100 }) +
      'tag v1\nfrom :30\ntagger U <u@example.com> 1600000000 +0000\ndata 2\nx\n',
  );
});

afterAll(() => rig.close());

describe.each(VERSIONS)('bridge(), fetch, protocol version %s', (version) => {
  const v = ['-c', `protocol.version=${version}`];

  /** Runs the same commands on two repositories, one over the bridge and one beside it, and compares what they hold. */
  async function both(steps: readonly (readonly string[])[], source = origin, isBare = true): Promise<void> {
    const there = fresh();
    const beside = fresh();
    for (const [copy, url] of [
      [there, rig.url(source)],
      [beside, `file://${source}`],
    ] as const) {
      await rig.git(...v, 'clone', '-q', ...(isBare ? ['--bare'] : []), ...(steps[0] ?? []), url, copy);
      for (const step of steps.slice(1)) await rig.git('-C', copy, ...v, ...step);
    }
    expect(await holdings(there)).toEqual(await holdings(beside));
  }

  it('clones', () => both([[]]));
  it('clones shallow, deepens, and unshallows', () => both([['--depth=3'], ['fetch', '-q', '--deepen=4'], ['fetch', '-q', '--unshallow']]));

  it.each(['consecutive', 'skipping', 'noop'])('fetches between histories that went apart, by the negotiation %s', async (algorithm) => {
    const source = fresh();
    await rig.git('init', '-q', '--bare', source);
    await fastImport(rig, source, line('main', 100));
    const there = fresh();
    const beside = fresh();
    for (const [copy, url] of [
      [there, rig.url(source)],
      [beside, `file://${source}`],
    ] as const) {
      await rig.git(...v, 'clone', '-q', '--bare', url, copy);
      await rig.git('-C', copy, 'config', 'fetch.negotiationAlgorithm', algorithm);
      await fastImport(
        rig,
        copy,
        line('mine', 230, { from: 'refs/heads/main~40', time: 200, name: 'mine' }) + line('lost', 60, { time: 500, mark: 1000 }),
      );
    }
    await fastImport(
      rig,
      source,
      line('main', 50, { from: 'refs/heads/main^0', time: 300, name: 'theirs' }) + line('other', 30, { time: 300, mark: 1000 }),
    );
    for (const copy of [there, beside]) await rig.git('-C', copy, ...v, 'fetch', '-q', 'origin', 'refs/heads/*:refs/remotes/origin/*');
    expect(await holdings(there)).toEqual(await holdings(beside));
    const exchanges = rig.legs.at(-1)!.sent.filter(({ step }) => step === 'exchange').length;
    if (algorithm === 'consecutive') expect(exchanges).toBeGreaterThan(4);
  });

  // Version 1 differs from 0 in one line of the advertisement.
  if (version === '1') return;

  it('clones without tags', () => both([['--no-tags', '--single-branch']]));
  it('clones shallow by date, and goes on by date', () =>
    both([
      ['--shallow-since=2020-11-01T00:00:00Z'],
      ['fetch', '-q', '--shallow-since=2020-10-10T00:00:00Z', 'origin', 'refs/heads/*:refs/heads/*'],
    ]));
  it('clones shallow without what a ref holds', () => both([['--shallow-exclude=v1']]));
  it('clones without blobs', () => both([['--filter=blob:none']]));
  it('clones without blobs and gets those of the work tree', async () => {
    const copy = fresh();
    await rig.git(...v, 'clone', '-q', '--filter=blob:none', rig.url(origin), copy);
    expect(await rig.git('-C', copy, 'status', '--porcelain')).toBe('');
    await rig.git('-C', copy, 'fsck');
  });
  it('fetches one ref, then the tags that belong to it', () =>
    both([
      ['--single-branch', '--no-tags', '--branch=topic/a'],
      ['fetch', '-q', 'origin', 'refs/heads/main:refs/heads/main'],
    ]));

  it('says in git words that a commit is not there', async () => {
    const copy = fresh();
    await rig.git(...v, 'clone', '-q', '--bare', rig.url(origin), copy);
    const { code, err } = await rig.run('-C', copy, ...v, 'fetch', 'origin', '1234567890123456789012345678901234567890');
    expect(code).toBe(128);
    expect(err).toContain('not our ref 1234567890123456789012345678901234567890');
    expect(rig.carried.at(-1)).toMatchObject({ kind: 'passed', exitCode: 128 });
  });

  it('lists refs, and ends when nothing is wanted', async () => {
    expect(await rig.git(...v, 'ls-remote', rig.url(origin))).toBe(await rig.git(...v, 'ls-remote', `file://${origin}`));
    expect(rig.carried.at(-1)).toEqual({ kind: 'passed', exitCode: 0 });
    const copy = fresh();
    await rig.git(...v, 'clone', '-q', '--bare', rig.url(origin), copy);
    await rig.git('-C', copy, ...v, 'fetch', 'origin');
    expect(rig.carried.at(-1)).toEqual({ kind: 'passed', exitCode: 0 });
  });

  it('clones what is empty', async () => {
    const empty = fresh();
    await rig.git('init', '-q', '--bare', empty);
    const copy = fresh();
    await rig.git(...v, 'clone', '-q', rig.url(empty), copy);
    expect(await rig.git('-C', copy, 'for-each-ref')).toBe('');
  });

  it('clones 2,000 refs', async () => {
    const wide = fresh();
    await rig.git('init', '-q', '--bare', wide);
    const resets = Array.from({ length: 2000 }, (_, index) => `reset refs/heads/b${String(index)}\nfrom :${String(1 + (index % 40))}\n\n`);
    await fastImport(rig, wide, line('main', 41) + resets.join(''));
    await both([[]], wide);
  });

  it('clones SHA-256, deepens and fetches', async () => {
    const source = fresh();
    await rig.git('init', '-q', '--bare', '--object-format=sha256', source);
    await fastImport(rig, source, line('main', 30));
    await both([['--depth=2'], ['fetch', '-q', '--deepen=5'], ['fetch', '-q', '--unshallow']], source);
  });
});
