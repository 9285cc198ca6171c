/** The store of sign-ins: what others may not read, several writers, processes that are killed, and files that are spoilt. */
import { execFile, spawn } from 'node:child_process';
import { chmod, chown, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../src/model/secret.js';
import type { LoginLabel } from '../../../src/model/sign-in.js';
import { LOGIN_KEY_CREDENTIAL, LoginKeys } from '../../../src/store/login-key.js';
import { FileLoginStore, type LoginStage } from '../../../src/store/login-store.js';

const run = promisify(execFile);
const LABEL: LoginLabel = { account: 'dana@example.com', tenant: 'tenant-1', signedInAt: new Date('2030-01-01T00:00:00Z') };
const REFRESH = 'a-refresh-token-that-nobody-may-see';
const isRoot = process.getuid?.() === 0;

let programs: string;
const program = (): string => join(programs, 'driver.mjs');
beforeAll(async () => {
  programs = await mkdtemp(join(tmpdir(), 'postern-driver-'));
  await chmod(programs, 0o755);
  const entryPoints = [join(import.meta.dirname, 'login-driver.ts')];
  await build({ entryPoints, outfile: program(), bundle: true, platform: 'node', format: 'esm', logLevel: 'error' });
});
afterAll(() => rm(programs, { recursive: true, force: true }));

let root: string;
let directory: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'postern-logins-'));
  directory = join(root, 'logins');
});
afterEach(() => rm(root, { recursive: true, force: true }));

const at = (...path: string[]): string => join(directory, ...path);
const keysOf = (more: { credentialsDirectory?: string; ring?: () => string | undefined } = {}): LoginKeys =>
  new LoginKeys({
    file: at('key'),
    credentialsDirectory: more.credentialsDirectory,
    keyring: { key: () => Promise.resolve(more.ring?.()).then((held) => (held === undefined ? undefined : new Secret(held))) },
  });
const storeWith = (keys = keysOf(), onStage?: (stage: LoginStage) => void): FileLoginStore =>
  new FileLoginStore(directory, keys, onStage === undefined ? {} : { onStage });
const put = (store: FileLoginStore, text = REFRESH, after?: number, identity = 'me') =>
  store.write(identity, { text: new Secret(text), label: LABEL }, after);
const textOf = async (store: FileLoginStore, identity = 'me'): Promise<string | undefined> => (await store.read(identity))?.text.reveal();

/** Every file with its mode and text. */
async function tree(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const mode = ((await stat(path)).mode & 0o777).toString(8);
    found[path.slice(root.length + 1)] = entry.isDirectory() ? mode : `${mode} ${await readFile(path, 'latin1')}`;
  }
  return found;
}

describe('FileLoginStore', () => {
  it('gives back what it was given, to another process too, and counts versions', async () => {
    const store = storeWith();
    expect(await store.read('me')).toBeUndefined();
    expect(await put(store)).toEqual({ label: LABEL, keptBy: { kind: 'key-file', path: at('key') } });
    expect(await storeWith().read('me')).toMatchObject({ version: 1, label: LABEL });
    expect(await textOf(storeWith())).toBe(REFRESH);
    await put(store, 'another', 1);
    expect(await storeWith().read('me')).toMatchObject({ version: 2 });
    expect(store.look('me')).toEqual({ label: LABEL, keptBy: { kind: 'key-file', path: at('key') } });
    expect((await readdir(at('me.login'))).sort()).toEqual(['2']);
  });

  it('keeps the sign-in sealed and for its owner alone', async () => {
    await put(storeWith());
    const files = await tree();
    expect(Object.fromEntries(Object.entries(files).map(([path, what]) => [path, what.slice(0, 3)]))).toEqual({
      logins: '700',
      'logins/key': '600',
      'logins/me.login': '700',
      'logins/me.login/1': '600',
    });
    expect(Object.values(files).join('\n')).not.toContain(REFRESH);
    expect(Object.values(files).join('\n')).not.toContain(Buffer.from(REFRESH).toString('base64').slice(4, 30));
  });

  it.each(['000', '022', '077', '777'])('is for its owner alone under umask %s', async (mask) => {
    await run('sh', ['-c', `umask ${mask}; exec "$0" "$@"`, process.execPath, program(), directory, 'renew', '0'], {});
    const before = process.umask(parseInt(mask, 8));
    try {
      await put(storeWith());
    } finally {
      process.umask(before);
    }
    expect(
      Object.values(await tree())
        .map((what) => what.slice(0, 3))
        .sort(),
    ).toEqual(['600', '600', '700', '700']);
    expect(await textOf(storeWith())).toBe(REFRESH);
  });

  it('drops a renewal of what is no longer the latest, and writes nothing', async () => {
    const store = storeWith();
    await put(store, 'one');
    await put(store, 'two', 1);
    expect(await put(store, 'late', 1)).toBeUndefined();
    expect(await textOf(store)).toBe('two');
    expect(await readdir(at('me.login'))).toEqual(['2']);
  });

  it('drops a renewal that found its number free because later ones have come and gone', async () => {
    const store = storeWith();
    await put(store, 'one');
    // Stopped between the look at the directory and its own name, while two others come.
    let isFirst = true;
    const keys = keysOf();
    const slow = storeWith(keys, (stage) => {
      if (stage !== 'written' || !isFirst) return;
      isFirst = false;
      meanwhile();
    });
    const meanwhile = (): void => {
      const { rmSync, writeFileSync, readFileSync } = fs;
      writeFileSync(at('me.login', '3'), readFileSync(at('me.login', '1')));
      rmSync(at('me.login', '1'));
    };
    const fs = await import('node:fs');
    expect(await put(slow, 'late', 1)).toBeUndefined();
    expect(await readdir(at('me.login'))).toEqual(['3']);
  });

  it('lets a sign-in replace whatever is there', async () => {
    const store = storeWith();
    await put(store, 'one');
    await put(store, 'two', 1);
    expect(await put(store, 'new', undefined)).toBeDefined();
    expect(await store.read('me')).toMatchObject({ version: 3 });
  });

  it('keeps a renewal that was under way from bringing a forgotten sign-in back', async () => {
    const store = storeWith();
    await put(store);
    const kept = await store.read('me');
    expect(await store.forget('me')).toMatchObject({ label: LABEL });
    expect(await put(store, 'renewed', kept?.version)).toBeUndefined();
    expect(await store.read('me')).toBeUndefined();
    expect(store.look('me')).toBeUndefined();
    expect(Object.values(await tree()).join('\n')).not.toContain('dana');
    expect(await store.forget('me')).toBeUndefined();
    await put(store, 'again');
    expect(await textOf(store)).toBe('again');
  });

  it('keeps identities apart, whatever their names', async () => {
    const names = ['me', 'ME', 'key', '..', '../../x', 'a/b', 'Zoë', 'x'.repeat(300), '', 'key.login'];
    for (const name of names) await put(storeWith(), `of ${name}`, undefined, name);
    for (const name of names) expect(await textOf(storeWith(), name)).toBe(`of ${name}`);
    expect(await readdir(root)).toEqual(['logins']);
    await storeWith().forget('me');
    expect(await textOf(storeWith(), 'ME')).toBe('of ME');
  });

  it('takes no file for that of another identity or version', async () => {
    const store = storeWith();
    await put(store, 'mine', undefined, 'me');
    await put(store, 'yours', undefined, 'you');
    const mine = await readFile(at('me.login', '1'));
    await writeFile(at('me.login', '1'), await readFile(at('you.login', '1')));
    await expect(store.read('me')).rejects.toMatchObject({
      code: 'login-unreadable',
      message: expect.stringContaining('that of another identity or time') as string,
    });
    await rm(at('me.login', '1'));
    await writeFile(at('me.login', '3'), mine);
    await expect(store.read('me')).rejects.toMatchObject({ code: 'login-unreadable' });
  });

  it.each<[string, (text: string) => string]>([
    ['cut short', (text) => text.slice(0, -40)],
    ['empty', () => ''],
    ['nonsense', () => 'nonsense\n'],
    ['JSON of something else', () => '{"format":9}\n'],
    ['JSON that is no map', () => 'null\n'],
    ['with another account in its first line', (text) => text.replace('dana@', 'evil@')],
    ['with another last letter', (text) => `${text.slice(0, -6)}AAAA=\n`],
  ])('says that a file that is %s cannot be read, and a new sign-in takes its place', async (_, spoil) => {
    const store = storeWith();
    await put(store);
    await put(store, 'other', undefined, 'you');
    const spoilt = spoil(await readFile(at('me.login', '1'), 'utf8'));
    await writeFile(at('me.login', '1'), spoilt);
    await expect(store.read('me')).rejects.toMatchObject({
      code: 'login-unreadable',
      message: expect.stringMatching(/^The sign-in that is kept for identity me cannot be read: /) as string,
      todo: expect.stringContaining('sign in again with `postern login me`') as string,
    });
    expect(await textOf(store, 'you')).toBe('other');
    await put(store, 'new');
    expect(await textOf(store)).toBe('new');
    expect(await readFile(at('me.login', '1.unreadable'), 'utf8')).toBe(spoilt);
    // One copy is enough, and whoever signs out means all of it.
    expect(await store.forget('me')).toMatchObject({ label: LABEL });
    expect(await readdir(at('me.login'))).toEqual(['3']);
  });

  it('says so when its directory is open to others, is a link or belongs to somebody else', async () => {
    await mkdir(directory, { mode: 0o755 });
    await chmod(directory, 0o755);
    await expect(put(storeWith())).rejects.toMatchObject({
      code: 'state-unusable',
      todo: expect.stringContaining('chmod -R go=') as string,
    });
    await rm(directory, { recursive: true });
    await mkdir(join(root, 'elsewhere'), { mode: 0o700 });
    await symlink(join(root, 'elsewhere'), directory);
    await expect(put(storeWith())).rejects.toMatchObject({
      code: 'state-unusable',
      message: expect.stringContaining('is not a directory of this user') as string,
    });
  });

  it.skipIf(!isRoot)('serves an ordinary user, and not what belongs to another', async () => {
    await chmod(root, 0o777);
    const as = (uid: string, ...words: string[]) =>
      run('setpriv', [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', process.execPath, program(), directory, ...words]);
    // It dies after its work is done.
    await expect(as('4711', 'kill', 'tidied')).rejects.toMatchObject({ signal: 'SIGKILL' });
    expect(
      Object.values(await tree())
        .map((what) => what.slice(0, 3))
        .sort(),
    ).toEqual(['600', '600', '700', '700']);
    expect((await stat(at('me.login', '1'))).uid).toBe(4711);
    expect(JSON.parse((await as('4711', 'renew', '3', 'x')).stdout)).toMatchObject({ won: ['x after 1', 'x after 2', 'x after 3'] });
    await expect(as('4712', 'renew', '1', 'x')).rejects.toMatchObject({ stderr: expect.stringContaining('EACCES') as string });
    await chown(directory, 4712, 4712);
    await expect(put(storeWith())).rejects.toMatchObject({
      code: 'state-unusable',
      message: expect.stringContaining('is not a directory of this user') as string,
    });
  });
});

describe('a killed process', () => {
  const killed = (...words: string[]): Promise<NodeJS.Signals | null> => {
    const child = spawn(process.execPath, [program(), directory, ...words], { stdio: ['ignore', 'ignore', 'inherit'] });
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('exit', (_, signal) => resolve(signal));
    });
  };
  const STAGES: readonly LoginStage[] = ['written', 'linked', 'tidied'];

  it.each(STAGES)('at the point %s leaves the former sign-in or the new one, and the next write is whole', async (stage) => {
    await put(storeWith(), 'the old one');
    expect(await killed('kill', stage)).toBe('SIGKILL');
    expect(await textOf(storeWith())).toBe(stage === 'written' ? 'the old one' : 'the new one');
    await put(storeWith(), 'the next one');
    expect(await textOf(storeWith())).toBe('the next one');
    const versions = (await readdir(at('me.login'))).filter((name) => /^[0-9]/.test(name));
    expect(versions).toHaveLength(1);
  });

  it.each(STAGES)('that forgets, at the point %s, leaves the sign-in or none', async (stage) => {
    await put(storeWith(), 'the old one');
    expect(await killed('kill-forget', stage)).toBe('SIGKILL');
    expect(await textOf(storeWith())).toBe(stage === 'written' ? 'the old one' : undefined);
    await storeWith().forget('me');
    expect(await storeWith().read('me')).toBeUndefined();
    expect(Object.values(await tree()).join('\n')).not.toContain('dana');
  });

  it('before there was one leaves none or a whole one', async () => {
    expect(await killed('kill', 'written')).toBe('SIGKILL');
    expect(await storeWith().read('me')).toBeUndefined();
    await put(storeWith());
    expect(await textOf(storeWith())).toBe(REFRESH);
  });

  it('leaves no temporary for longer than an hour', async () => {
    await killed('kill', 'written');
    const temporary = async (): Promise<string[]> => (await readdir(at('me.login'))).filter((name) => name.endsWith('.postern-tmp'));
    await put(storeWith());
    expect(await temporary()).toHaveLength(1);
    const { utimes } = await import('node:fs/promises');
    for (const name of await temporary()) await utimes(at('me.login', name), new Date(0), new Date(0));
    await put(storeWith());
    expect(await temporary()).toEqual([]);
  });
});

describe('several processes at once', () => {
  it('that renew without end: each version has one winner, and a reader always finds one that is whole', async () => {
    await put(storeWith(), 'first');
    const drivers = ['a', 'b', 'c'].map((mark) => run(process.execPath, [program(), directory, 'renew', '150', mark]));
    let reads = 0;
    const over = new AbortController();
    const reading = (async () => {
      while (!over.signal.aborted) {
        expect(await textOf(storeWith())).toMatch(/^first$|^[abc] after [0-9]+$/);
        reads += 1;
      }
    })();
    const ended = (await Promise.all(drivers)).map(({ stdout }) => JSON.parse(stdout) as { won: string[]; unread: number });
    over.abort();
    await reading;
    const after = ended.flatMap(({ won }) => won.map((text) => text.split(' ')[2]));
    expect(new Set(after).size).toBe(after.length);
    expect(ended.map(({ unread }) => unread)).toEqual([0, 0, 0]);
    // One that won and was gone on from before it could look counts itself among the losers; its version was there all the same.
    const last = (await storeWith().read('me'))?.version ?? 0;
    expect(last).toBeGreaterThan(after.length);
    expect(last).toBeGreaterThan(100);
    expect(reads).toBeGreaterThan(5);
    expect((await readdir(at('me.login'))).filter((name) => !/^[0-9]+$/.test(name))).toEqual([]);
  });

  it('of which one signs in again and again: the last sign-in counts, whatever the others renew', async () => {
    await put(storeWith(), 'first');
    const drivers = ['a', 'b'].map((mark) => run(process.execPath, [program(), directory, 'renew', '100', mark]));
    const store = storeWith();
    for (let times = 1; times <= 30; times += 1) {
      const label = { ...LABEL, signedInAt: new Date(times) };
      expect(await store.write('me', { text: new Secret(`sign-in ${times}`), label }, undefined)).toBeDefined();
    }
    await Promise.all(drivers);
    await put(store, 'the last');
    expect(await textOf(store)).toBe('the last');
    expect((await readdir(at('me.login'))).filter((name) => /^[0-9]/.test(name))).toHaveLength(1);
  });

  it('that make the key at once end with the same one', async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => keysOf().sealing()));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    expect(await readdir(directory)).toEqual(['key']);
  });
});

describe('LoginKeys', () => {
  const credentials = async (text: string): Promise<string> => {
    const path = join(root, 'credentials');
    // As systemd does it: nobody writes into what it gave.
    await rm(path, { recursive: true, force: true });
    await mkdir(path, { recursive: true });
    await writeFile(join(path, LOGIN_KEY_CREDENTIAL), text, { mode: 0o440 });
    return path;
  };
  const LONG = 'k'.repeat(44);

  it('takes a systemd credential before the keyring, and the keyring before a file', async () => {
    const all = keysOf({ credentialsDirectory: await credentials(LONG), ring: () => 'r'.repeat(44) });
    expect((await all.sealing()).keeper).toEqual({ kind: 'systemd-credential', name: 'postern-login-key' });
    expect((await keysOf({ ring: () => 'r'.repeat(44) }).sealing()).keeper).toEqual({ kind: 'keyring' });
    expect(await readdir(root)).toEqual(['credentials']);
    expect((await keysOf({ credentialsDirectory: join(root, 'none') }).sealing()).keeper).toEqual({ kind: 'key-file', path: at('key') });
  });

  it('still opens what another keeper sealed, and seals with the first one from then on', async () => {
    await put(storeWith(), 'by file');
    const credentialsDirectory = await credentials(LONG);
    const store = storeWith(keysOf({ credentialsDirectory }));
    expect(await textOf(store)).toBe('by file');
    await put(store, 'by credential', 1);
    expect(store.look('me')?.keptBy).toEqual({ kind: 'systemd-credential', name: 'postern-login-key' });
    expect(await textOf(storeWith(keysOf({ credentialsDirectory })))).toBe('by credential');
  });

  it('goes to the keyring with a sign-in, and not with a renewal', async () => {
    await put(storeWith(), 'by file');
    const store = storeWith(keysOf({ ring: () => LONG }));
    expect(await put(store, 'renewed', 1)).toMatchObject({ keptBy: { kind: 'key-file' } });
    expect(await textOf(storeWith())).toBe('renewed');
    expect(await put(store, 'signed in')).toMatchObject({ keptBy: { kind: 'keyring' } });
    expect(await put(store, 'renewed again', 3)).toMatchObject({ keptBy: { kind: 'keyring' } });
  });

  it.each<[string, (store: FileLoginStore) => Promise<FileLoginStore>, string]>([
    [
      'the credential is gone',
      async () => {
        await put(storeWith(keysOf({ credentialsDirectory: await credentials(LONG) })));
        return storeWith();
      },
      'it is sealed with the systemd credential postern-login-key, which this process was not given, or which holds another key now',
    ],
    [
      'the credential is another',
      async () => {
        await put(storeWith(keysOf({ credentialsDirectory: await credentials(LONG) })));
        return storeWith(keysOf({ credentialsDirectory: await credentials('o'.repeat(44)) }));
      },
      'it is sealed with the systemd credential postern-login-key, which this process was not given, or which holds another key now',
    ],
    [
      'the keyring does not answer',
      async () => {
        await put(storeWith(keysOf({ ring: () => LONG })));
        return storeWith();
      },
      "it is sealed with a key of the desktop's keyring, which does not answer here, is locked, or holds another key now",
    ],
    [
      'the key file was made anew',
      async (store) => {
        await put(store);
        await rm(at('key'));
        await put(store, 'yours', undefined, 'you');
        return storeWith();
      },
      'it is sealed with another key than that of the key file KEY',
    ],
  ])('says which key is missing when %s, and asks for a new sign-in alone', async (_, make, why) => {
    const store = await make(storeWith());
    const before = await readFile(at('me.login', '1'), 'utf8');
    await expect(store.read('me')).rejects.toMatchObject({
      code: 'login-unreadable',
      message: `The sign-in that is kept for identity me cannot be read: ${why.replace('KEY', at('key'))}`,
      todo: `sign in again with \`postern login me\`; the file stays in ${at('me.login')}`,
    });
    // Reading changes nothing, and what is signed in anew leaves it aside: the key may come back.
    expect(await readFile(at('me.login', '1'), 'utf8')).toBe(before);
    await put(store, 'new');
    expect(await textOf(store)).toBe('new');
    expect(await readFile(at('me.login', '1.unreadable'), 'utf8')).toBe(before);
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['is open to others', () => chmod(at('key'), 0o640), /others can read or write it: its mode is 640/],
    ['is too short', () => writeFile(at('key'), 'short\n'), /fewer than 32 bytes/],
    ['is a link', () => rename(at('key'), join(root, 'k')).then(() => symlink(join(root, 'k'), at('key'))), /ELOOP/],
    ['is a pipe', () => rm(at('key')).then(() => run('mkfifo', ['-m', '600', at('key')])), /no regular file/],
  ])('does not use a key file that %s', async (_, spoil, why) => {
    await put(storeWith());
    await spoil();
    for (const use of [() => storeWith().read('me'), () => put(storeWith())])
      await expect(use()).rejects.toMatchObject({
        code: 'login-unreadable',
        message: expect.stringMatching(why) as string,
        todo: expect.stringContaining('chmod 600') as string,
      });
  });

  it('does not use a credential that could be guessed', async () => {
    const credentialsDirectory = await credentials('short');
    await expect(put(storeWith(keysOf({ credentialsDirectory })))).rejects.toMatchObject({
      code: 'login-unreadable',
      message: expect.stringContaining('The systemd credential postern-login-key') as string,
    });
  });
});
