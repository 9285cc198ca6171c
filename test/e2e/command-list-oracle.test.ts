/**
 * git itself as the judge of our reading of command lists: whatever list we read, git's receive-pack must read the same, or
 * refuse it as a whole. Real pushes are changed a little, in ways that someone who wants to hide a ref would think of, and given
 * to both.
 */
import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parsePacket } from '../../src/git/pkt-line.js';
import { CommandListReader } from '../../src/git/receive-pack.js';

const CAPTURES = join(import.meta.dirname, '..', 'unit', 'git', 'captures');
const FLUSH = '0000';
const LOOKS = 250;

let directory: string;
const environment = { PATH: process.env['PATH'] ?? '', GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/nonexistent', LC_ALL: 'C' };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-oracle-'));
  for (const format of ['sha1', 'sha256']) {
    await promisify(execFile)('git', ['init', '-q', '--bare', `--object-format=${format}`, join(directory, format)], { env: environment });
    await writeFile(join(directory, format, 'hooks', 'pre-receive'), '#!/bin/sh\nexit 1\n', { mode: 0o755 });
    await promisify(execFile)('git', ['-C', join(directory, format), 'config', 'receive.certNonceSeed', 'seed'], { env: environment });
    await promisify(execFile)('git', ['-C', join(directory, format), 'config', 'receive.advertisePushOptions', 'true'], {
      env: environment,
    });
  }
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** The refs that git's report names, in their order; undefined when git ended without one. */
function readByGit(format: string, body: Buffer): Promise<string[] | undefined> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', ['receive-pack', '--stateless-rpc', join(directory, format)], { env: environment });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.stderr.resume();
    child.stdin.on('error', () => undefined);
    child.once('error', reject);
    child.once('close', () => resolve(reportedRefs(Buffer.concat(chunks))));
    child.stdin.end(body);
  });
}

function reportedRefs(answer: Buffer): string[] | undefined {
  const lines = packets(answer);
  const banded = lines.every((line) => line === undefined || (line[0] ?? 0) < 4);
  const report = banded ? packets(Buffer.concat(lines.flatMap((line) => (line?.[0] === 1 ? [line.subarray(1)] : [])))) : lines;
  const texts = report.flatMap((line) => (line === undefined ? [] : [line.toString('utf8')]));
  if (!texts.some((text) => text.startsWith('unpack '))) return undefined;
  return texts.flatMap((text) => /^(?:ok|ng) (\S+)/.exec(text)?.slice(1) ?? []);
}

/** Payloads, undefined for a flush; as far as they go. */
function packets(bytes: Buffer): (Buffer | undefined)[] {
  const found: (Buffer | undefined)[] = [];
  for (let at = 0; ;) {
    const read = parsePacket(bytes, at);
    if (read === undefined) return found;
    found.push(read.packet.kind === 'data' ? read.packet.payload : undefined);
    at = read.next;
  }
}

function readByUs(body: Buffer): string[] | undefined {
  const reader = new CommandListReader();
  reader.push(body);
  reader.end();
  return reader.list?.commands.map(({ ref }) => ref);
}

/** A capture as payloads of its list and what follows. */
function taken(name: string): { readonly list: readonly string[]; readonly rest: string } {
  const bytes = readFileSync(join(CAPTURES, `${name}.bin`));
  const list: string[] = [];
  let at = 0;
  for (;;) {
    const read = parsePacket(bytes, at);
    if (read === undefined) throw new Error(`${name} has no flush`);
    at = read.next;
    if (read.packet.kind !== 'data') return { list, rest: bytes.toString('latin1', at) };
    list.push(read.packet.payload.toString('latin1'));
  }
}

function written(list: readonly string[], rest: string): Buffer {
  const framed = list.map((payload) =>
    payload.startsWith('\u0001RAW') ? payload.slice(4) : (payload.length + 4).toString(16).padStart(4, '0') + payload,
  );
  return Buffer.from(`${framed.join('')}${FLUSH}${rest}`, 'latin1');
}

const ZERO = '0'.repeat(40);
const ID = 'c29b3412b24ec135f9768f86f67e8fec1e3fa62e';
const SNIPPETS = [
  '\n',
  '\0',
  ' ',
  '\t',
  '\r\n',
  `\n${ZERO} ${ID} refs/heads/main`,
  `\0 report-status`,
  '-----BEGIN PGP SIGNATURE-----\n',
  '-----BEGIN SSH SIGNATURE-----',
  'push-cert-end\n',
  'shallow ',
  '\xff',
  'A',
  '0',
];
const EXTRA = [
  `${ZERO} ${ID} refs/heads/main`,
  `${ID} ${ZERO} refs/heads/main\n`,
  `${ZERO} ${ID} refs/heads/main\0report-status`,
  `shallow ${ID}`,
  'push-cert\0report-status',
  'push-cert-end\n',
  '\n',
  '',
  'certificate version 0.1\n',
  '-----BEGIN PGP SIGNATURE-----\n',
  '\u0001RAW0001',
  '\u0001RAW0002',
  '\u0001RAW0000',
  'ERR no',
];

type Change =
  | { readonly kind: 'insert'; readonly line: number; readonly at: number; readonly text: string }
  | { readonly kind: 'cut'; readonly line: number; readonly at: number; readonly length: number }
  | { readonly kind: 'add' | 'swap' | 'drop' | 'join' | 'part'; readonly line: number; readonly at: number; readonly text: string };

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('insert' as const), line: fc.nat(20), at: fc.nat(200), text: fc.constantFrom(...SNIPPETS) }),
  fc.record({ kind: fc.constant('cut' as const), line: fc.nat(20), at: fc.nat(200), length: fc.integer({ min: 1, max: 60 }) }),
  fc.record({
    kind: fc.constantFrom('add' as const, 'swap' as const, 'drop' as const, 'join' as const, 'part' as const),
    line: fc.nat(20),
    at: fc.nat(100),
    text: fc.constantFrom(...EXTRA),
  }),
);

function changed(list: readonly string[], { line, ...how }: Change): string[] {
  const index = line % list.length;
  const old = list[index] ?? '';
  const at = how.at % (old.length + 1);
  const replace = (...payloads: string[]): string[] => [...list.slice(0, index), ...payloads, ...list.slice(index + 1)];
  switch (how.kind) {
    case 'insert':
      return replace(old.slice(0, at) + how.text + old.slice(at));
    case 'cut':
      return replace(old.slice(0, at) + old.slice(at + how.length));
    case 'add':
      return replace(old, how.text);
    case 'swap':
      return [...list.slice(0, index), ...list.slice(index + 1), old];
    case 'drop':
      return list.length === 1 ? [how.text] : replace();
    case 'join':
      return [...list.slice(0, index), old + (list[index + 1] ?? ''), ...list.slice(index + 2)];
    case 'part':
      return replace(old.slice(0, at), old.slice(at));
  }
}

test('control: git and we read the captured pushes alike', async () => {
  for (const name of ['create', 'update-delete-tag', 'delete-only', 'options', 'signed', 'shallow', 'sha256']) {
    const body = readFileSync(join(CAPTURES, `${name}.bin`));
    expect(await readByGit(name === 'sha256' ? 'sha256' : 'sha1', body), name).toEqual(readByUs(body));
  }
});

test('a list that we read is read by git in the same way, or not at all', { timeout: 120_000 }, async () => {
  const seen = { both: 0, neither: 0, git: 0, we: 0 };
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('create', 'update-delete-tag', 'delete-only', 'options', 'signed', 'signed', 'shallow', 'sha256'),
      fc.array(change, { minLength: 1, maxLength: 2 }),
      async (name, changes) => {
        const { list, rest } = taken(name);
        const body = written(changes.reduce(changed, [...list]), rest);
        const ours = readByUs(body);
        const gits = await readByGit(name === 'sha256' ? 'sha256' : 'sha1', body);
        if (ours === undefined) seen[gits === undefined ? 'neither' : 'git'] += 1;
        else if (gits === undefined) seen.we += 1;
        else {
          seen.both += 1;
          // A report writes a name up to its first blank here; the names are compared so far.
          expect(gits).toEqual(ours.map((ref) => ref.trim().split(/\s/)[0] ?? ''));
        }
      },
    ),
    { numRuns: LOOKS },
  );
  // Both ways out have been taken, or this proves nothing.
  expect(seen.both).toBeGreaterThan(LOOKS / 20);
  expect(seen.neither).toBeGreaterThan(LOOKS / 20);
});
