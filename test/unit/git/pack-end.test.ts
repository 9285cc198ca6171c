/** Packs are made by git itself, except the one that is made to mislead. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PackEnd } from '../../../src/git/pack-end.js';
import { cutAt, places, single } from '../../support/chunks.js';
import { trapPack } from '../../support/trap-pack.js';

const FORMATS = ['sha1', 'sha256'] as const;
let folder: string;

function git(args: readonly string[], input: string | Buffer = ''): Buffer {
  const env = { PATH: process.env['PATH'] ?? '', HOME: folder, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' };
  return execFileSync('git', args, { cwd: folder, env, input, stdio: ['pipe', 'pipe', 'pipe'] });
}

/** A repository with three commits, and the packs that git makes of it. */
function packs(format: 'sha1' | 'sha256'): { whole: Buffer; thin: Buffer; empty: Buffer } {
  const at = join(folder, format);
  git(['init', '-q', '--bare', `--object-format=${format}`, at]);
  const commits = [1, 2, 3].map((count) => {
    const text = 'a line of text that is long enough to be worth a delta\n'.repeat(40) + String(count);
    return `commit refs/heads/main\ncommitter U <u@example.com> ${String(count)} +0000\ndata 1\nx\nM 644 inline f\ndata ${String(text.length)}\n${text}\n`;
  });
  git(['-C', at, 'fast-import', '--quiet'], commits.join(''));
  return {
    whole: git(['-C', at, 'pack-objects', '--stdout', '-q', '--revs'], 'main\n'),
    thin: git(['-C', at, 'pack-objects', '--stdout', '-q', '--revs', '--thin', '--no-reuse-delta'], 'main\n^main~1\n'),
    empty: git(['-C', at, 'pack-objects', '--stdout', '-q', '--revs'], '^main\n'),
  };
}

/** After how many bytes, given one by one, the pack could be over. */
function ends(format: 'sha1' | 'sha256', bytes: Buffer): number[] {
  const end = new PackEnd(format);
  return single(bytes).flatMap((byte, index) => {
    end.push(byte);
    return end.isPossible ? [index + 1] : [];
  });
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pack-end-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(FORMATS)('PackEnd, %s', (format) => {
  it('is possible at the end of a pack of git, and nowhere before', () => {
    for (const [kind, bytes] of Object.entries(packs(format))) expect(ends(format, bytes), kind).toEqual([bytes.length]);
  });

  it('does not depend on where the pack is cut', () => {
    const { bytes } = trapPack(format);
    fc.assert(
      fc.property(places, fc.nat({ max: bytes.length }), (cuts, length) => {
        const end = new PackEnd(format);
        for (const chunk of cutAt(bytes.subarray(0, length), cuts)) end.push(chunk);
        const { trap } = trapPack(format);
        expect(end.isPossible).toBe(length === trap || length === bytes.length);
      }),
    );
  });

  it('is possible twice in a pack that holds its own beginning hashed, which git takes', () => {
    const { bytes, trap, content } = trapPack(format);
    expect(ends(format, bytes)).toEqual([trap, bytes.length]);
    const at = join(folder, `trap-${format}`);
    git(['init', '-q', '--bare', `--object-format=${format}`, at]);
    git(['-C', at, 'unpack-objects', '-q'], bytes);
    const oid = git(['-C', at, 'hash-object', '--stdin'], content).toString().trim();
    expect(git(['-C', at, 'cat-file', 'blob', oid])).toEqual(content);
    // Cut at the trap it is no pack to anybody.
    expect(() => git(['-C', at, 'index-pack', '--stdin'], bytes.subarray(0, trap))).toThrow();
  });

  it('is never possible for what is no pack, not even nothing', () => {
    const end = new PackEnd(format);
    expect(end.isPossible).toBe(false);
    const { bytes } = trapPack(format);
    expect(ends(format, Buffer.concat([Buffer.from('x'), bytes]))).toEqual([]);
    expect(ends(format === 'sha1' ? 'sha256' : 'sha1', bytes)).toEqual([]);
  });
});
