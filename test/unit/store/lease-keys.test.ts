/** Promise: leases are sealed by keys that only their owner can read, and a key that is given up seals nothing any more. */
import { chmod, mkdtemp, readFile, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProxyError } from '../../../src/model/errors.js';
import { Secret } from '../../../src/model/secret.js';
import { GivenLeaseKeys } from '../../../src/store/given-lease-keys.js';
import { FileLeaseKeys, MOST_KEYS, parseLeaseKeys } from '../../../src/store/lease-keys.js';

const KEY = Buffer.alloc(32, 7).toString('base64');
const LINE = `00000000000000aa ${KEY}\n`;

let directory: string;
let path: string;
let faults: ProxyError[];
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-keys-'));
  path = join(directory, 'state', 'lease-keys');
  faults = [];
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function keysOf(file = path, isOwn = true): FileLeaseKeys {
  return new FileLeaseKeys(file, { isOwn, onFault: (fault) => faults.push(fault) });
}

describe('FileLeaseKeys', () => {
  it('makes its file when a key is first needed, for its owner alone', async () => {
    const keys = keysOf();
    keys.load();
    expect(keys.ids).toEqual([]);
    expect(await stat(path).catch(() => 'none')).toBe('none');
    const { id, key } = await keys.newest();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, 'state'))).mode & 0o777).toBe(0o700);
    expect(await readFile(path, 'utf8')).toBe(`${id} ${key.reveal()}\n`);
    expect(Buffer.from(key.reveal(), 'base64')).toHaveLength(32);
    expect(keys.keyOf(id)?.equals(key)).toBe(true);
    expect((await keys.newest()).id).toBe(id);
  });

  it('ends with one file, whoever of several makes it first', async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => keysOf().newest()));
    expect(new Set(all.map(({ id }) => id)).size).toBe(1);
    expect((await readFile(path, 'utf8')).split('\n')).toHaveLength(2);
  });

  it('puts a new key before the others, and gives the others up when it is told to', async () => {
    const [keys, other] = [keysOf(), keysOf()];
    const first = (await keys.newest()).id;
    const second = await keys.rotate({ forgetOld: false });
    expect(keys.ids).toEqual([second, first]);
    // Another daemon on the same file sees it at once.
    expect((await other.newest()).id).toBe(second);
    const third = await keys.rotate({ forgetOld: true });
    expect(other.keyOf(first)).toBeUndefined();
    expect(other.keyOf(second)).toBeUndefined();
    expect(other.keyOf(third)).toBeDefined();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('loses no key when several rotate at once', async () => {
    await keysOf().newest();
    const added = await Promise.all(Array.from({ length: 6 }, () => keysOf().rotate({ forgetOld: false })));
    const keys = keysOf();
    keys.load();
    expect(keys.ids).toHaveLength(7);
    for (const id of added) expect(keys.ids).toContain(id);
  });

  it('does not end leases by itself when there are too many keys', async () => {
    const keys = keysOf();
    await keys.newest();
    const lines = Array.from({ length: MOST_KEYS }, (_, n) => `${n.toString(16).padStart(16, '0')} ${KEY}\n`);
    await writeFile(path, lines.join(''));
    await expect(keys.rotate({ forgetOld: false })).rejects.toMatchObject({
      code: 'usage',
      todo: expect.stringContaining('--forget-old') as string,
    });
    expect(keys.ids).toHaveLength(MOST_KEYS);
  });

  it.each([0o640, 0o604, 0o620, 0o666])('does not use its file with mode %o', async (mode) => {
    await keysOf().newest();
    await chmod(path, mode);
    const keys = keysOf();
    expect(() => keys.load()).toThrow(`others can read or write it: its mode is ${mode.toString(8)}`);
    await expect(keys.newest()).rejects.toMatchObject({
      code: 'secret-unreadable',
      todo: expect.stringContaining(`chmod 600 ${path}`) as string,
    });
    expect((await stat(path)).mode & 0o777).toBe(mode);
  });

  it.each([
    ['', 'it holds no key'],
    ['# nothing\n\n', 'it holds no key'],
    ['00000000000000aa\n', 'line 1 is not KEYID BASE64KEY (16 hex digits, 32 bytes)'],
    [`${LINE}xyz ${KEY}\n`, 'line 2 is not KEYID BASE64KEY (16 hex digits, 32 bytes)'],
    [`00000000000000aa ${KEY.slice(0, 40)}\n`, 'line 1 is not KEYID BASE64KEY (16 hex digits, 32 bytes)'],
    [`${LINE}${LINE}`, 'line 2 has an id that stands above it already'],
    ['x'.repeat(70_000), 'it has more than 65536 bytes'],
  ])('does not use a file of %j', async (text, why) => {
    await keysOf().newest();
    await writeFile(path, text);
    expect(() => keysOf().load()).toThrow(`The file ${path} with the keys of leases cannot be used (${why})`);
  });

  it('holds no key, and says so once, when its file is damaged or opened while it is used', async () => {
    const keys = keysOf();
    const { id } = await keys.newest();
    await chmod(path, 0o644);
    expect(keys.keyOf(id)).toBeUndefined();
    expect(keys.keyOf(id)).toBeUndefined();
    expect(faults.map(({ message }) => message)).toEqual([expect.stringContaining('others can read or write it')]);
    await chmod(path, 0o600);
    expect(keys.keyOf(id)).toBeDefined();
    await unlink(path);
    expect(keys.keyOf(id)).toBeUndefined();
  });

  it('takes a file that others manage: readable by a group, never made, never changed', async () => {
    const shared = join(directory, 'shared');
    expect(() => keysOf(shared, false).load()).toThrow('(ENOENT)');
    await writeFile(shared, `# for both\n${LINE}`, { mode: 0o640 });
    const keys = keysOf(shared, false);
    keys.load();
    expect(keys.ids).toEqual(['00000000000000aa']);
    await expect(keys.rotate({ forgetOld: false })).rejects.toMatchObject({ code: 'usage' });
    await writeFile(shared, `00000000000000bb ${KEY}\n`);
    expect(keys.ids).toEqual(['00000000000000bb']);
    await chmod(shared, 0o644);
    expect(() => keysOf(shared, false).load()).toThrow('others can read or write it');
  });

  it.runIf(process.getuid?.() === 0)('does not use a file of another user (as root only)', async () => {
    const { chown } = await import('node:fs/promises');
    await keysOf().newest();
    await chown(path, 12345, 12345);
    // To root, a file of a user is a file that this user can change.
    expect(() => keysOf().load()).toThrow('it belongs to another user');
  });

  it('follows a link that its owner made', async () => {
    const real = join(directory, 'real');
    await writeFile(real, LINE, { mode: 0o600 });
    await symlink(real, join(directory, 'link'));
    const keys = keysOf(join(directory, 'link'));
    keys.load();
    expect(keys.ids).toEqual(['00000000000000aa']);
  });
});

describe('GivenLeaseKeys', () => {
  it('takes lines as a file has them', async () => {
    const keys = new GivenLeaseKeys(() => Promise.resolve(new Secret(`${LINE}00000000000000bb ${KEY}`)));
    await keys.load();
    expect((await keys.newest()).id).toBe('00000000000000aa');
    expect(keys.keyOf('00000000000000bb')).toBeDefined();
    await expect(keys.rotate()).rejects.toMatchObject({ code: 'usage' });
  });

  it('says what is wrong without repeating it', async () => {
    const keys = new GivenLeaseKeys(() => Promise.resolve(new Secret(`top-secret ${KEY}`)));
    const thrown: unknown = await keys.load().catch((fault: unknown) => fault);
    expect(thrown).toMatchObject({ code: 'secret-unreadable' });
    expect((thrown as ProxyError).message + (thrown as ProxyError).todo!).not.toContain('top-secret');
  });
});

describe('parseLeaseKeys()', () => {
  it('takes CRLF, tabs, comments, and base64 without padding', () => {
    const keys = parseLeaseKeys(`# a\r\n00000000000000aa\t${KEY.replace('=', '')}\r\n`);
    expect(Buffer.from(keys[0]?.key.reveal() ?? '', 'base64')).toHaveLength(32);
  });
});
