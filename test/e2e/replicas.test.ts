/**
 * Promise: daemons that share keys and a list of revoked leases are one to whoever holds a lease: what is revoked at one is
 * refused by all at the next request, and where that cannot be, leases are short and no lease is taken on trust.
 */
import { chmod, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const WEB = 'dev.azure.com/contoso/Payments/_git/web';
const KEY = `00000000000000aa ${Buffer.alloc(32, 9).toString('base64')}\n`;
const OTHER_KEY = `00000000000000bb ${Buffer.alloc(32, 8).toString('base64')}\n`;
const UNKNOWN = 'remote: postern: It cannot be read now which leases were revoked, so this daemon takes none';

let scene: Scene;
let keys: string;
let directories = 0;
beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web', { commits: 2 });
  keys = join(scene.directory, 'lease-keys');
  await writeFile(keys, KEY, { mode: 0o600 });
});
afterAll(() => scene.close());

/** A daemon with a state directory of its own. */
async function replica(access: string, options: { keys?: string; through?: readonly string[] } = {}): Promise<RunningDaemon> {
  directories += 1;
  const { through } = options;
  return scene.daemon(`${scene.plainConfiguration}access: { local: lease, leaseKey: { file: ${options.keys ?? keys} }${access} }\n`, {
    env: { POSTERN_STATE_DIRECTORY: join(scene.directory, `state-${directories}`) },
    ...(through === undefined ? {} : { through }),
  });
}

async function shared(name: string): Promise<{ directory: string; file: string; access: string }> {
  const directory = join(scene.directory, name);
  await mkdir(directory);
  const file = join(directory, 'revoked.json');
  return { directory, file, access: `, revocations: ${file}` };
}

async function lease(at: RunningDaemon, duration = '2h'): Promise<{ text: string; id: string; stderr: string }> {
  const ran = await at.postern(['lease', 'create', '--repo', 'contoso/**', '--allow', 'fetch', '--for', duration]);
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  return { text: ran.stdout.trim(), id: /^Lease ([0-9a-f]{16})/m.exec(ran.stderr)?.[1] ?? '', stderr: ran.stderr };
}

function lsRemote(text: string, at: RunningDaemon): Promise<Ran> {
  return scene.git(['ls-remote', at.url(WEB)], {
    env: { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: `http.${at.base}/.extraHeader`, GIT_CONFIG_VALUE_0: `X-Postern-Lease: ${text}` },
  });
}

describe('two daemons with one key and one list', () => {
  test('refuse at once what the other has revoked, and what was narrowed from it, also after a start', async () => {
    const { file, access } = await shared('one');
    const [a, b] = [await replica(access), await replica(access)];
    // Before the first lease there is no list: whether a lease of elsewhere was revoked is not known.
    const first = await lease(a);
    expect(first.stderr).not.toContain('1 h');
    const narrowed = await scene.postern(['lease', 'narrow', '--for', '30m'], { env: { POSTERN_LEASE: first.text } });
    for (const text of [first.text, narrowed.stdout.trim()]) expect(await lsRemote(text, b)).toMatchObject({ code: 0, stderr: '' });

    expect(await b.postern(['lease', 'revoke', first.id])).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('a lease of another daemon is revoked there too, by the list that they share') as string,
    });
    expect((await lsRemote(first.text, a)).stderr).toContain(`remote: postern: The lease ${first.id} was revoked`);
    expect((await lsRemote(narrowed.stdout.trim(), a)).stderr).toContain(`was revoked, with all that come from ${first.id}`);
    expect((await a.postern(['lease', 'list'])).stdout).toMatch(new RegExp(`${first.id}.*REVOKED 20`));
    expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ version: 1, revoked: [{ id: first.id }] });
    const c = await replica(access);
    expect((await lsRemote(first.text, c)).stderr).toContain('was revoked');
    expect(await lsRemote((await lease(c)).text, a)).toMatchObject({ code: 0 });
    for (const each of [a, b, c]) await each.kill();
  });

  test('lose nothing when both write at once', async () => {
    const { access } = await shared('racing');
    const both = [await replica(access), await replica(access)] as const;
    const leases = await Promise.all([0, 1, 0, 1, 0, 1].map((n) => lease(both[n as 0 | 1])));
    const ran = await Promise.all(leases.map(({ id }, n) => both[(n < 3 ? 0 : 1)].postern(['lease', 'revoke', id])));
    expect(ran.map(({ code }) => code)).toEqual(leases.map(() => 0));
    for (const at of both) {
      const seen = await Promise.all(leases.map(({ text }) => lsRemote(text, at)));
      expect(seen.filter(({ stderr }) => !stderr.includes('was revoked'))).toEqual([]);
    }
    for (const each of both) await each.kill();
  });

  test('take no lease while the list is gone, cut or closed to them, say so, and go on when it is back', async () => {
    const { file, access } = await shared('failing');
    const [a, b] = [await replica(access), await replica(access)];
    const { text } = await lease(a);
    const good = await readFile(file);
    const log = (): number => b.log.filter(({ what }) => String(what).includes('that `access.revocations` names cannot be used')).length;
    for (const [n, spoil] of [() => rm(file), () => writeFile(file, good.subarray(0, 20))].entries()) {
      await spoil();
      for (let again = 0; again < 2; again += 1) {
        const refused = await lsRemote(text, b);
        expect(refused).toMatchObject({ code: 128, stderr: expect.stringContaining(UNKNOWN) as string });
        expect(refused.stderr).toContain('503');
      }
      expect(log()).toBe(n + 1);
      await writeFile(file, good);
      expect(await lsRemote(text, b)).toMatchObject({ code: 0 });
    }
    await writeFile(file, good.subarray(0, 20));
    const create = await a.postern(['lease', 'create', '--repo', 'contoso/**', '--allow', 'fetch', '--for', '1h']);
    expect(create).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('(it is no JSON, or was cut), so no lease is taken') as string,
    });
    await expect(replica(access)).rejects.toThrow(`The list of revoked leases ${file} that \`access.revocations\` names cannot be used`);
    for (const each of [a, b]) await each.kill();
  });

  test('whose list is mounted read-only: hears what others revoke, and says that it cannot', async () => {
    const { directory, file, access } = await shared('mounted');
    const a = await replica(access);
    const { text, id } = await lease(a);
    const script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"';
    const reader = await replica(access, { through: ['unshare', '-Urm', 'sh', '-c', script, directory] });
    const own = await lease(reader);
    expect(await lsRemote(own.text, a)).toMatchObject({ code: 0 });
    const revoked = await reader.postern(['lease', 'revoke', own.id]);
    expect(revoked.code).toBe(1);
    expect(revoked.stderr).toContain(
      `Revoked at this daemon alone, the others still take the lease. The list of revoked leases ${file} cannot be written here (EROFS)`,
    );
    expect(revoked.stderr).toContain('revoke at a daemon that can write the list');
    expect((await lsRemote(own.text, reader)).stderr).toContain('was revoked');
    expect(await lsRemote(own.text, a)).toMatchObject({ code: 0 });
    expect(await lsRemote(text, reader)).toMatchObject({ code: 0 });
    await a.postern(['lease', 'revoke', id]);
    expect((await lsRemote(text, reader)).stderr).toContain(`The lease ${id} was revoked`);
    for (const each of [a, reader]) await each.kill();
  });
});

test('a key that others may have seals leases for an hour, and `lease create` says why and what to set', async () => {
  const alone = await replica('');
  const { stderr, text } = await lease(alone, '2h');
  expect(stderr).toContain(
    'note: it lasts 1 h and no longer: its key is shared (`access.leaseKey`), and other daemons with that key would not hear that it was ' +
      'revoked; set `access.revocations` to a file that all of them see',
  );
  const end = new Date(/, ends ([^;]+);/.exec(stderr)?.[1] ?? 0).getTime() - Date.now();
  expect(end).toBeGreaterThan(3_000_000);
  expect(end).toBeLessThanOrEqual(3_600_000);
  expect(await lsRemote(text, alone)).toMatchObject({ code: 0 });
  expect((await lease(alone, '1h')).stderr).not.toContain('1 h');
  await alone.kill();
  const own = await scene.daemon(scene.plainConfiguration, { env: { POSTERN_STATE_DIRECTORY: join(scene.directory, 'own-keys') } });
  expect((await lease(own, '2h')).stderr).not.toContain('1 h');
  await own.kill();
});

test('keys change in a Secret without a restart: a new one seals and the old one verifies, until it is taken out', async () => {
  const volume = join(scene.directory, 'secret');
  const swap = async (version: string, text: string): Promise<void> => {
    await mkdir(join(volume, version), { recursive: true });
    await writeFile(join(volume, version, 'keys'), text);
    // As with fsGroup and defaultMode 0440.
    await chmod(join(volume, version, 'keys'), 0o440);
    await symlink(version, join(volume, '..data_tmp'));
    await rename(join(volume, '..data_tmp'), join(volume, '..data'));
  };
  await swap('..1', KEY);
  await symlink('..data/keys', join(volume, 'keys'));
  const daemon = await replica('', { keys: join(volume, 'keys') });
  const former = await lease(daemon, '1h');
  await swap('..2', `${OTHER_KEY}${KEY}`);
  const next = await lease(daemon, '1h');
  for (const { text } of [former, next]) expect(await lsRemote(text, daemon)).toMatchObject({ code: 0 });
  await swap('..3', OTHER_KEY);
  expect((await lsRemote(former.text, daemon)).stderr).toContain('a key that this daemon does not have');
  expect(await lsRemote(next.text, daemon)).toMatchObject({ code: 0 });
  await daemon.kill();
});

test('`config check` and `config show` tell of the list, and of a volume that was not mounted', async () => {
  const file = join(scene.directory, 'no-such-volume', 'revoked.json');
  const configuration = await scene.writeConfiguration(`${scene.plainConfiguration}access: { revocations: ${file} }\n`);
  const env = { SP_SECRET: 'x' };
  const check = await scene.postern(['config', 'check', '--config', configuration], { env });
  expect(check.code).toBe(2);
  expect(check.stderr).toContain(
    `access.revocations: the directory \`${join(scene.directory, 'no-such-volume')}\` does not exist; mount it or create it, or correct the path`,
  );
  const show = await scene.postern(['config', 'show', '--origin', '--config', configuration], { env });
  expect(show.stdout).toMatch(new RegExp(`access\\.revocations.*${file}`));
});
