/**
 * Git LFS at every kind of host and by every way to it: addresses in batch answers are those of the real hosts, whichever way the
 * daemon takes to them; and what a route or the configuration does not allow is said by git-lfs in words that help.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LfsStage, REMOTE, REPOSITORY } from '../support/lfs-stage.js';
import { sumOf, writeNoise } from '../support/noise.js';

const PAT = 'patoftheonpremisesserver'.padEnd(52, 'q');

let stage: LfsStage;

/** A route to the emulator in place of a host. */
const instead = (match: string, rest: string): ((own: LfsStage['scene']) => string) => {
  const host = match.split('/')[0] ?? '';
  return ({ emulator }) => `- { match: ${match}, ${rest}, upstream: '${emulator.git.origin}/${host}', ca: ${emulator.caFile} }`;
};

beforeAll(async () => {
  stage = await LfsStage.open({
    identities: (scene) => [
      `sp: ${scene.servicePrincipal}`,
      'onprem: { kind: pat, secret: { env: TFS_PAT } }',
      'dana: { kind: basic, user: dana, secret: { env: DANA } }',
    ],
    routes: (scene) => [
      instead('dev.azure.com/contoso/instead/*', 'identity: sp')(scene),
      instead('tfs.example.com/tfs/**', 'identity: onprem, host: azure-server')(scene),
      instead('git.example.com/**', 'identity: dana, host: generic')(scene),
      instead('dev.azure.com/contoso/reading/*', 'identity: sp, allow: [fetch, lfs]')(scene),
      instead('dev.azure.com/contoso/without/*', 'identity: sp, allow: [fetch, push]')(scene),
      `- { match: dev.azure.com/**, identity: sp, proxy: '${scene.emulator.proxy.origin}', ca: ${scene.emulator.caFile} }`,
    ],
    settings: (scene) => ['lfs:', `  hosts: ['127.0.0.1:${scene.emulator.storage.port}']`],
    daemonEnv: { TFS_PAT: PAT, DANA: 'pass:word' },
  });
  const { emulator } = stage.scene;
  emulator.git.pats.add(PAT);
  emulator.git.basic.set('dana', 'pass:word');
  for (const name of [
    'contoso/instead/web',
    'contoso/reading/web',
    'contoso/without/web',
    'tfs.example.com/tfs/DefaultCollection/Payments/web',
    'git.example.com/team/tools',
  ])
    await emulator.createRepository(name);
  for (const host of ['contoso.visualstudio.com', 'tfs.example.com', 'git.example.com'])
    await stage.told(['config', '--global', `url.${stage.daemon.base}/${host}/.insteadOf`, `https://${host}/`]);
});

afterAll(() => stage.close());

beforeEach(() => {
  const { lfs, git, storage } = stage.scene.emulator;
  lfs.road = 'host';
  lfs.transfers.seen.length = 0;
  lfs.batches.length = 0;
  git.seen.length = 0;
  storage.seen.length = 0;
  storage.base = 'https://vsblobprodweu1.blob.core.windows.net';
});

test.each([
  ['dev.azure.com, by its name', REMOTE, 'bearer', REPOSITORY],
  ['dev.azure.com, at another address', 'https://dev.azure.com/contoso/instead/_git/web', 'bearer', 'contoso/instead/web'],
  ['an organisation of the older form', 'https://contoso.visualstudio.com/Payments/_git/web', 'bearer', REPOSITORY],
  ['the same with its collection', 'https://contoso.visualstudio.com/DefaultCollection/Payments/_git/web', 'bearer', REPOSITORY],
  [
    'a server of its own',
    'https://tfs.example.com/tfs/DefaultCollection/Payments/_git/web',
    'basic',
    'tfs.example.com/tfs/defaultcollection/payments/web',
  ],
  ['any other git host', 'https://git.example.com/team/tools.git', 'basic', 'git.example.com/team/tools'],
] as const)('%s', async (name, remote, credential, repository) => {
  const branch = `at-${name.replace(/[^a-z]+/g, '-')}`;
  const clone = await stage.topic(branch, remote);
  const oid = await writeNoise(join(clone, 'large.bin'), 2_000_000);
  await stage.commit(clone, 'Add a large file');
  await stage.told(['push', '-q', 'origin', branch], { cwd: clone });
  const other = await stage.clone({ remote, branch });
  expect(await sumOf(join(other, 'large.bin'))).toBe(oid);
  expect(stage.scene.emulator.lfs.transfers.seen).toMatchObject([
    { repository, oid, action: 'upload', bytes: 2_000_000 },
    { repository, oid, action: 'download', bytes: 2_000_000 },
  ]);
  stage.expectNoWayPast(credential);
});

describe('storage', () => {
  test('that the configuration lists is used, also on this machine', async () => {
    const { lfs, storage } = stage.scene.emulator;
    lfs.road = 'storage';
    storage.base = storage.origin;
    const remote = 'https://git.example.com/team/tools.git';
    const clone = await stage.topic('listed', remote);
    const oid = await writeNoise(join(clone, 'large.bin'), 2_000_000);
    await stage.commit(clone, 'Add a large file');
    await stage.told(['push', '-q', 'origin', 'listed'], { cwd: clone });
    const other = await stage.clone({ remote, branch: 'listed' });
    expect(await sumOf(join(other, 'large.bin'))).toBe(oid);
    expect(storage.seen.map(({ method, status }) => `${method} ${status}`)).toEqual(['PUT 201', 'GET 200']);
    stage.expectNoWayPast('basic');
  });

  test('that nobody knows is not, and what to do is said', async () => {
    const { lfs, storage } = stage.scene.emulator;
    lfs.road = 'storage';
    storage.base = 'https://objects.example.net';
    const clone = await stage.topic('unlisted');
    await writeNoise(join(clone, 'large.bin'), 1000);
    await stage.commit(clone, 'Add a large file');
    const pushed = await stage.git(['push', 'origin', 'unlisted'], { cwd: clone });
    expect(pushed.code).not.toBe(0);
    expect(pushed.stderr).toContain('objects.example.net');
    expect(pushed.stderr).toMatch(/what to do: .*lfs: \{ hosts: \[/);
    expect(storage.seen).toEqual([]);
    stage.expectNoWayPast();
  });
});

describe('a route', () => {
  test('that allows fetch and lfs gives objects and lists locks, and takes none', async () => {
    const { lfs } = stage.scene.emulator;
    const remote = 'https://dev.azure.com/contoso/reading/_git/web';
    const oid = await lfs.transfers.put('contoso/reading/web', Buffer.from('content'));
    const clone = await stage.topic('reading', remote);
    const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${oid}\nsize 7\n`;
    expect(await stage.told(['lfs', 'smudge'], { cwd: clone, input: pointer })).toBe('content');
    await writeNoise(join(clone, 'large.bin'), 1000);
    await stage.commit(clone, 'Add a large file');
    // Else it is the question whose locks there are that is refused first.
    const pushed = await stage.git(['-c', 'lfs.locksverify=false', 'lfs', 'push', 'origin', 'reading'], { cwd: clone });
    expect(pushed.code).not.toBe(0);
    expect(pushed.stderr).toContain('postern: The route allows fetch, lfs, not push');
    expect(pushed.stderr).toContain('what to do: add push to `allow` of this route if it should be possible');
    const locked = await stage.git(['lfs', 'lock', 'large.bin'], { cwd: clone });
    expect(locked.code).not.toBe(0);
    expect(locked.stderr).toContain('postern: The route allows fetch, lfs, not push');
    expect(await stage.told(['lfs', 'locks'], { cwd: clone })).toBe('');
    expect(lfs.transfers.seen.map(({ action }) => action)).toEqual(['download']);
    expect(lfs.batches.map(({ operation }) => operation)).toEqual(['download']);
    expect(lfs.locks.of('contoso/reading/web')).toEqual([]);
    stage.expectNoWayPast();
  });

  test('that does not allow lfs says so, and git itself works', async () => {
    const remote = 'https://dev.azure.com/contoso/without/_git/web';
    const clone = await stage.topic('without', remote);
    await writeNoise(join(clone, 'large.bin'), 1000);
    await stage.commit(clone, 'Add a large file');
    const pushed = await stage.git(['push', 'origin', 'without'], { cwd: clone });
    expect(pushed.code).not.toBe(0);
    expect(pushed.stderr).toContain('postern: The route allows fetch, push, not lfs');
    expect(pushed.stderr).toContain('what to do: add lfs');
    expect((await stage.git(['push', '--no-verify', '-q', 'origin', 'without'], { cwd: clone })).code).toBe(0);
    expect(stage.scene.emulator.git.count(({ url }) => url.includes('/info/lfs'))).toBe(0);
    stage.expectNoWayPast();
  });
});
