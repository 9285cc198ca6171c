/** The key of the SSH door, with ssh-keygen as the judge of its files. */
import { execFile, spawn } from 'node:child_process';
import { createPrivateKey, sign, verify } from 'node:crypto';
import { chmod, chown, mkdtemp, readdir, readFile, rename, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import ssh2 from 'ssh2';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hasAccount } from '../../support/account.js';
import { hostKey, publicHostKey } from '../../../src/store/ssh-host-key.js';

const run = promisify(execFile);

let root: string;
let directory: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'postern-hostkey-'));
  directory = join(root, 'state');
});
afterEach(() => rm(root, { recursive: true, force: true }));

const file = (name = 'ssh-host-key'): string => join(directory, name);
const keygen = async (...args: string[]): Promise<string> => (await run('ssh-keygen', args)).stdout.trim();
const unusable = (message: string): object =>
  expect.objectContaining({ code: 'state-unusable', message, todo: expect.stringContaining('remove it') as string }) as object;

describe('hostKey()', () => {
  it.skipIf(!hasAccount())('makes a key that ssh-keygen and ssh2 read as we do (ssh-keygen needs an account)', async () => {
    // Each key has other bytes, and the length of none may matter.
    for (let times = 0; times < 5; times += 1) {
      const key = await hostKey(directory);
      expect(await keygen('-y', '-f', file())).toBe(`${key.publicLine} postern`);
      expect(await keygen('-y', '-P', '', '-f', file())).toBe(`${key.publicLine} postern`);
      for (const name of ['ssh-host-key', 'ssh-host-key.pub'])
        expect(await keygen('-lf', file(name))).toBe(`256 ${key.fingerprint} postern (ED25519)`);
      const parsed = ssh2.utils.parseKey(key.privateKey.reveal());
      if (parsed instanceof Error || Array.isArray(parsed)) throw new Error('ssh2 does not read it');
      expect([parsed.type, parsed.isPrivateKey(), parsed.comment]).toEqual(['ssh-ed25519', true, 'postern']);
      expect(`ssh-ed25519 ${parsed.getPublicSSH().toString('base64')}`).toBe(key.publicLine);
      const message = Buffer.from('to be signed');
      expect(verify(null, message, parsed.getPublicPEM(), sign(null, message, createPrivateKey(parsed.getPrivatePEM())))).toBe(true);
      await rm(directory, { recursive: true });
    }
  });

  it('keeps the key to the user and its public half open', async () => {
    await hostKey(directory);
    const modes = (await readdir(directory)).sort().map(async (name) => `${name} ${((await stat(file(name))).mode & 0o777).toString(8)}`);
    expect(await Promise.all(modes)).toEqual(['ssh-host-key 600', 'ssh-host-key.pub 644']);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
  });

  it('gives the same key ever after, and writes a lost or false public half anew', async () => {
    const first = await hostKey(directory);
    const [content, { ino }] = [await readFile(file('ssh-host-key.pub'), 'utf8'), await stat(file())];
    for (const spoil of [
      () => Promise.resolve(),
      () => unlink(file('ssh-host-key.pub')),
      () => writeFile(file('ssh-host-key.pub'), 'no'),
    ]) {
      await spoil();
      const again = await hostKey(directory);
      expect([again.publicLine, again.fingerprint, again.privateKey.equals(first.privateKey)]).toEqual([
        first.publicLine,
        first.fingerprint,
        true,
      ]);
      expect(await readFile(file('ssh-host-key.pub'), 'utf8')).toBe(content);
    }
    expect((await stat(file())).ino).toBe(ino);
  });

  it('gives all who come first at once one key', async () => {
    const keys = await Promise.all(Array.from({ length: 10 }, () => hostKey(directory)));
    expect(new Set(keys.map(({ publicLine }) => publicLine)).size).toBe(1);
    expect((await readdir(directory)).sort()).toEqual(['ssh-host-key', 'ssh-host-key.pub']);
  });

  it('gives processes that come first at once one key', async () => {
    const program = join(root, 'program.mjs');
    await build({
      stdin: {
        contents: `import { hostKey } from './src/store/ssh-host-key.ts'; console.log((await hostKey(process.argv[2])).publicLine);`,
        resolveDir: join(import.meta.dirname, '..', '..', '..'),
        loader: 'ts',
      },
      outfile: program,
      bundle: true,
      platform: 'node',
      format: 'esm',
    });
    const printed = await Promise.all(Array.from({ length: 4 }, () => output(process.execPath, [program, directory])));
    expect(new Set(printed).size).toBe(1);
    expect(printed[0]).toBe(`${(await hostKey(directory)).publicLine}\n`);
    expect((await readdir(directory)).sort()).toEqual(['ssh-host-key', 'ssh-host-key.pub']);
  });

  it('does not show the key in what it gives', async () => {
    const key = await hostKey(directory);
    const secret = (await readFile(file(), 'utf8')).split('\n')[3] ?? '';
    expect(JSON.stringify(key) + String(key.privateKey)).not.toContain(secret);
  });

  it.each<[what: string, spoil: (text: string) => string]>([
    ['empty', () => ''],
    ['cut short', (text) => text.slice(0, 200)],
    ['something else', () => 'no key\n'],
    ['an empty key', (text) => text.replace(/\n[^-]*\n/, '\n')],
    ['far too long', (text) => text + '\n'.repeat(20_000)],
    ['changed in the seed', (text) => flip(text, 160)],
    ['changed in the public key before it', (text) => flip(text, 70)],
    ['changed in the check numbers', (text) => flip(text, 99)],
    ['said to be encrypted', (text) => flip(text, 20)],
  ])('says what to do with a file that is %s, and leaves it', async (_, spoil) => {
    await hostKey(directory);
    const spoilt = spoil(await readFile(file(), 'utf8'));
    await writeFile(file(), spoilt);
    await expect(hostKey(directory)).rejects.toEqual(unusable(`${file()} does not hold the key of the SSH door as Postern writes it`));
    expect(await readFile(file(), 'utf8')).toBe(spoilt);
  });

  it.skipIf(!hasAccount())(
    "does not take a key of another kind, or one with a passphrase, for the door's (ssh-keygen needs an account)",
    async () => {
      await hostKey(directory);
      for (const args of [
        ['-t', 'ecdsa', '-N', ''],
        ['-t', 'ed25519', '-N', 'passphrase'],
      ]) {
        await unlink(file());
        await keygen('-q', ...args, '-f', file());
        await expect(hostKey(directory)).rejects.toEqual(unusable(`${file()} does not hold the key of the SSH door as Postern writes it`));
      }
      await unlink(file());
      await keygen('-q', '-t', 'ed25519', '-N', '', '-C', 'by hand', '-f', file());
      expect(`${(await hostKey(directory)).publicLine} by hand`).toBe(await keygen('-y', '-f', file()));
    },
  );

  it.each([0o640, 0o604, 0o620, 0o666])('does not use a file with mode %o', async (mode) => {
    await hostKey(directory);
    await chmod(file(), mode);
    const how = `is open to other users: its mode is ${mode.toString(8)}, not 600`;
    await expect(hostKey(directory)).rejects.toEqual(unusable(`${file()} ${how}, so the key of the SSH door in it may be known to others`));
  });

  it('goes through no link, and opens no pipe', async () => {
    await hostKey(directory);
    await rename(file(), file('elsewhere'));
    await symlink('elsewhere', file());
    await expect(hostKey(directory)).rejects.toEqual(
      unusable(`${file()} is a symbolic link, so the key of the SSH door in it may be known to others`),
    );
    await unlink(file());
    await run('mkfifo', ['-m', '600', file()]);
    await expect(hostKey(directory)).rejects.toEqual(
      unusable(`${file()} is no regular file, so the key of the SSH door in it may be known to others`),
    );
  });

  it.skipIf(process.getuid?.() !== 0)('does not use a file of another user (needs root to give one away)', async () => {
    await hostKey(directory);
    await chown(file(), 12345, 12345);
    await expect(hostKey(directory)).rejects.toEqual(
      unusable(`${file()} belongs to another user, so the key of the SSH door in it may be known to others`),
    );
  });

  it('does not use a directory that others can write to', async () => {
    await hostKey(directory);
    await chmod(directory, 0o770);
    await expect(hostKey(directory)).rejects.toMatchObject({
      code: 'state-unusable',
      message: `Others can write to the state directory ${directory}, so the door's keys would not be safe there`,
    });
  });

  it('says why it cannot be kept', async () => {
    await writeFile(directory, '');
    await expect(hostKey(directory)).rejects.toMatchObject({
      code: 'state-unusable',
      message: `The key of the SSH door cannot be kept in ${file()} (EEXIST)`,
    });
  });
});

describe('publicHostKey()', () => {
  it('finds none where none was made, and makes none', async () => {
    expect(await publicHostKey(directory)).toBeUndefined();
    await expect(stat(directory)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('gives the public half without the private one', async () => {
    const { publicLine, fingerprint } = await hostKey(directory);
    await unlink(file());
    expect(await publicHostKey(directory)).toEqual({ publicLine, fingerprint });
    expect(await readdir(directory)).toEqual(['ssh-host-key.pub']);
  });

  it.each(['', 'ssh-ed25519 AAAA\n', 'ssh-rsa AAAAB3NzaC1yc2E=\n', 'no key\n'])('does not take %j for a key', async (content) => {
    await hostKey(directory);
    await writeFile(file('ssh-host-key.pub'), content);
    await expect(publicHostKey(directory)).rejects.toEqual(
      unusable(`${file('ssh-host-key.pub')} does not hold the public half of the SSH door's key`),
    );
  });
});

/** The text of a key with one bit of the byte at `at` of its content changed. */
function flip(text: string, at: number): string {
  const lines = text.trimEnd().split('\n');
  const bytes = Buffer.from(lines.slice(1, -1).join(''), 'base64');
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  return [lines[0], ...(bytes.toString('base64').match(/.{1,70}/g) ?? []), lines.at(-1), ''].join('\n');
}

function output(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => {
      resolve(printed);
    });
  });
}
