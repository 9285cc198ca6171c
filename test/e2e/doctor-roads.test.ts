/**
 * Faults of LFS, SSH and REST, planted where they happen: doctor names the right row first, and green is what comes of doing what it says.
 */
import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, symlink, unlink, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasAccount } from '../support/account.js';
import { makeKeyPair } from '../support/ssh-keys.js';
import { BRIDGED, DoctorRoad, HTTPS, SIGNED, todoOf } from './doctor-road.js';

const run = promisify(execFile);

let road: DoctorRoad;
let work: string;
beforeAll(async () => {
  road = await DoctorRoad.open();
  expect((await road.scene.git(['lfs', 'install', '--skip-repo'])).code, 'git-lfs is needed: install the package git-lfs').toBe(0);
  work = await road.workTree(HTTPS);
}, 60_000);
afterAll(() => road.close());

/** A PATH with the programs of this machine but one. */
async function pathWithout(missing: string): Promise<string> {
  const directory = join(road.scene.directory, `bin-without-${missing}`);
  await mkdir(directory);
  for (const each of (process.env['PATH'] ?? '').split(delimiter).reverse()) {
    for (const name of await readdir(each).catch(() => [])) {
      if (name === missing) continue;
      await unlink(join(directory, name)).catch(() => undefined);
      await symlink(join(each, name), join(directory, name));
    }
  }
  return directory;
}

describe('a healthy set-up', () => {
  it('is green over HTTPS, in a repository that keeps files with git-lfs', async () => {
    const { row } = await road.expectGreen(HTTPS, { cwd: work });
    expect(row('lfs-program').text).toMatch(/^\d+\.\d+/);
    expect(row('lfs-download').text).toBe('the upstream answers for objects');
    expect(row('lfs-upload').text).toBe('the upstream answers for objects');
    expect(row('lfs-locks').text).toBe('the upstream tells who has locked what');
    expect(row('rest').text).toBe('the repository has its entry there');
    expect(row('ssh-door').text).toBe('not used: git goes to this address over HTTP');
    expect(road.scene.emulator.lfs.transfers.seen, 'nothing is stored').toEqual([]);
  });

  it.skipIf(!hasAccount())('is green over SSH, and a real clone works', async () => {
    const bridged = await road.expectGreen(BRIDGED);
    expect(bridged.row('ssh-agent').text).toContain('no key is needed');
    expect(bridged.row('ssh-host-key').text).toMatch(/^known \(SHA256:/);
    const signed = await road.expectGreen(SIGNED);
    expect(signed.row('ssh-agent').text).toBe(`offers ${road.key.fingerprint} (ada at fabrikam)`);
    expect(signed.row('ssh-upstream').text).toContain("lets the agent's in");
    for (const [name, address] of [
      ['bridged', BRIDGED],
      ['signed', SIGNED],
    ] as const)
      expect(await road.scene.git(['clone', '-q', address, join(road.scene.home, name)], { env: road.environment })).toMatchObject({
        code: 0,
      });
  });

  it('asks for no upload with --read-only', async () => {
    road.scene.emulator.git.seen.length = 0;
    const { row } = await road.doctor(HTTPS, { args: ['--read-only'] });
    expect(row('lfs-upload').text).toContain('--read-only');
    expect(row('lfs-locks').text).toContain('--read-only');
    expect(road.scene.emulator.git.seen.filter(({ url }) => /receive-pack|locks/.test(url))).toEqual([]);
  });
});

describe('LFS', () => {
  it('without git-lfs on the PATH', async () => {
    const PATH = await pathWithout('git-lfs');
    const { first, code } = await road.doctor(HTTPS, { cwd: work, env: { PATH } });
    expect(first).toMatchObject({ id: 'lfs-program', class: 'lfs' });
    expect(code).toBe(9);
    expect(todoOf(first)).toContain('install git-lfs');
    // A repository without large files does not need it.
    await road.expectGreen(HTTPS, { env: { PATH } });
    await symlink((await run('which', ['git-lfs'])).stdout.trim(), join(PATH, 'git-lfs'));
    await road.expectGreen(HTTPS, { cwd: work, env: { PATH } });
  });

  it("without its filters in git's configuration", async () => {
    expect((await road.scene.git(['lfs', 'uninstall', '--skip-repo'])).code).toBe(0);
    const { first } = await road.doctor(HTTPS, { cwd: work });
    expect(first).toMatchObject({ id: 'lfs-filters' });
    expect(first?.text).toContain('pointers where the files should be');
    expect(todoOf(first)).toContain('`git lfs install`');
    expect((await road.scene.git(['lfs', 'install', '--skip-repo'])).code).toBe(0);
    await road.expectGreen(HTTPS, { cwd: work });
  });

  it('on a route that does not allow it', async () => {
    await road.reconfigure(road.healthy.replace('[fetch, push, lfs, api]', '[fetch, push, api]'));
    const { first } = await road.doctor(HTTPS, { cwd: work });
    expect(first).toMatchObject({ id: 'lfs-download', code: 'not-allowed' });
    expect(todoOf(first)).toBe('add `lfs` to `allow` of the route dev.azure.com/**');
    // Told, and no fault of who needs none.
    expect((await road.expectGreen(HTTPS)).row('lfs-download').text).toContain('not allowed by the route dev.azure.com/**');
    await road.reconfigure(road.healthy);
    await road.expectGreen(HTTPS, { cwd: work });
  });

  it('that the upstream refuses', async () => {
    const { faults } = road.scene.emulator.lfs;
    faults.set('*', { at: 'batch', kind: 'status', status: 403, message: 'TF401027: no' });
    const { first, row } = await road.doctor(HTTPS, { cwd: work });
    expect(first).toMatchObject({ id: 'lfs-download', code: 'upstream-forbidden' });
    expect(first?.text).toContain('TF401027');
    expect(row('lfs-upload').verdict).toBe('untried');
    faults.clear();
    await road.expectGreen(HTTPS, { cwd: work });
  });

  it('whose locks the upstream refuses, or has none of', async () => {
    const { faults } = road.scene.emulator.lfs;
    faults.set('*', { at: 'verify-locks', kind: 'status', status: 500, message: 'out of order' });
    expect((await road.doctor(HTTPS, { cwd: work })).first).toMatchObject({ id: 'lfs-locks' });
    faults.clear();
    faults.set('*', { at: 'verify-locks', kind: 'status', status: 404, message: 'no such call' });
    expect((await road.expectGreen(HTTPS, { cwd: work })).row('lfs-locks').text).toContain('has none');
    faults.clear();
    await road.expectGreen(HTTPS, { cwd: work });
  });
});

describe.skipIf(!hasAccount())('SSH (ssh needs an account)', () => {
  it('without a client', async () => {
    const env = { GIT_SSH_COMMAND: '/nowhere/ssh -v' };
    const { first, code } = await road.doctor(BRIDGED, { env });
    expect(first).toMatchObject({ id: 'ssh-client' });
    expect(code).toBe(10);
    expect(first?.text).toBe('git runs /nowhere/ssh -v for SSH, which is not there');
    expect(todoOf(first)).toContain('GIT_SSH_COMMAND');
    await road.expectGreen(BRIDGED);
  });

  it('by way of a jump host', async () => {
    const { GIT_SSH_COMMAND = '' } = road.environment;
    const { first } = await road.doctor(BRIDGED, { env: { GIT_SSH_COMMAND: `${GIT_SSH_COMMAND} -J jump.example.com` } });
    expect(first).toMatchObject({ id: 'ssh-client' });
    expect(first?.text).toBe('ssh goes to the door by way of jump.example.com');
    expect(todoOf(first)).toContain('ProxyJump none');
    await road.expectGreen(BRIDGED);
  });

  it('with the door switched off, and on again elsewhere', async () => {
    await road.reconfigure(road.healthy.replace('ssh: 127.0.0.1:0 }', 'ssh: off }'));
    const { first } = await road.doctor(BRIDGED);
    expect(first).toMatchObject({ id: 'ssh-door', class: 'ssh' });
    expect(first?.text).toBe('The daemon has no SSH door, and git goes to this address over SSH');
    expect(todoOf(first)).toContain('give `listen.ssh` an address');
    await road.reconfigure(road.healthy);
    // Its port is another one now.
    const { first: then } = await road.doctor(BRIDGED);
    expect(then).toMatchObject({ id: 'ssh-door' });
    expect(then?.text).toMatch(/^Nothing answers at \[127\.0\.0\.1\]:\d+, where git goes over SSH/);
    expect(todoOf(then)).toContain('postern setup');
    await road.setup();
    expect((await road.expectGreen(BRIDGED)).row('ssh-door').text).toContain('answers at [127.0.0.1]:');
  });

  it('with another key of the door in known_hosts', async () => {
    const other = await makeKeyPair(join(road.scene.directory, 'other-key'), { type: 'ed25519', comment: 'other' });
    const text = await readFile(road.knownHosts, 'utf8');
    await writeFile(road.knownHosts, text.replace(/ssh-ed25519 \S+/, other.line.split(' ').slice(0, 2).join(' ')));
    const { first } = await road.doctor(BRIDGED);
    expect(first).toMatchObject({ id: 'ssh-host-key', code: 'host-key-refused' });
    expect(first?.text).toContain(`${road.knownHosts} line 1 has ${other.fingerprint}`);
    const command = /`(ssh-keygen -R [^`]+)`/.exec(todoOf(first))?.[1] ?? '';
    await run('sh', ['-c', command]);
    // Now it is not known any more.
    const then = (await road.doctor(BRIDGED)).first;
    expect(then).toMatchObject({ id: 'ssh-host-key' });
    expect(then?.text).toContain('ssh does not know the key of the door');
    expect(todoOf(then)).toContain('run `postern setup`');
    await road.setup();
    await road.expectGreen(BRIDGED);
  });

  it('with the key of the door marked as revoked', async () => {
    const putBack = await road.keep(road.knownHosts);
    const text = await readFile(road.knownHosts, 'utf8');
    await writeFile(road.knownHosts, `${text}@revoked * ${/ssh-ed25519 \S+/.exec(text)?.[0] ?? ''}\n`);
    const { first, row } = await road.doctor(BRIDGED);
    expect(first).toMatchObject({ id: 'ssh-host-key', code: 'host-key-refused' });
    const lines = text.split('\n').length;
    expect(first?.text).toMatch(new RegExp(`^The key of the door is marked as revoked: ${road.knownHosts} line ${lines} has SHA256:`));
    expect(todoOf(first)).toMatch(/^remove that line, or have the door make another key/);
    expect(row('fetch-refs').verdict, 'git was let through').not.toBe('ok');
    await putBack();
    await road.expectGreen(BRIDGED);
  });

  it('with an agent that has gone', async () => {
    const gone = join(road.scene.directory, 'gone.sock');
    await road.reconfigure(road.healthy.replace(road.agent.socket, gone));
    const { first, row } = await road.doctor(SIGNED);
    expect(first).toMatchObject({ id: 'ssh-agent', code: 'agent-unavailable' });
    expect(first?.text).toBe(`There is no ssh-agent at ${gone}: no such socket`);
    expect(row('fetch-refs').verdict).toBe('untried');
    // What it does not sign for is not its affair.
    await road.expectGreen(BRIDGED);
    await road.reconfigure(road.healthy);
    await road.expectGreen(SIGNED);
  });

  it('with a key that the agent does not hold', async () => {
    await road.agent.remove(road.key);
    const other = await road.agent.add('rsa', { comment: 'another' });
    const { first } = await road.doctor(SIGNED);
    expect(first).toMatchObject({ id: 'ssh-agent', code: 'agent-unavailable' });
    expect(first?.text).toContain(`does not hold the key ${road.key.fingerprint} of the route`);
    expect(todoOf(first)).toContain('`ssh-add FILE`');
    await road.agent.remove(other);
    await run('ssh-add', ['-q', road.key.publicFile.replace(/\.pub$/, '')], { env: { ...process.env, SSH_AUTH_SOCK: road.agent.socket } });
    await road.expectGreen(SIGNED);
  });

  it('with the fingerprint of a key that the host does not know', async () => {
    const stranger = await road.agent.add('rsa', { comment: 'a stranger' });
    await road.reconfigure(road.healthy.replace(road.key.fingerprint, stranger.fingerprint));
    const { first } = await road.doctor(SIGNED);
    expect(first).toMatchObject({ id: 'ssh-upstream', code: 'upstream-unauthenticated' });
    expect(first?.text).toContain(`does not know the SSH key ${stranger.fingerprint}`);
    expect(todoOf(first)).toContain('set `key` of the route');
    await road.agent.remove(stranger);
    await road.reconfigure(road.healthy);
    await road.expectGreen(SIGNED);
  });

  it('with a host behind the door that is not known', async () => {
    const putBack = await road.keep(road.upstreamHosts);
    await writeFile(road.upstreamHosts, '');
    const { first } = await road.doctor(SIGNED);
    expect(first).toMatchObject({ id: 'ssh-upstream', code: 'host-key-refused' });
    const line = /add this line to \S+: (.+)$/.exec(todoOf(first))?.[1] ?? '';
    expect(line).not.toBe('');
    await writeFile(road.upstreamHosts, `${line}\n`);
    await road.expectGreen(SIGNED);
    await putBack();
  });
});

describe('REST', () => {
  it('that the route does not allow is told, and no fault', async () => {
    await road.reconfigure(road.healthy.replace('[fetch, push, lfs, api]', '[fetch, push, lfs]'));
    const { row } = await road.expectGreen(HTTPS);
    expect(row('rest').text).toBe('not allowed by the route dev.azure.com/**; add `api` to its `allow` if programs are to use it');
    await road.reconfigure(road.healthy);
  });

  it('that the upstream refuses', async () => {
    const { rest } = road.scene.emulator.git;
    rest.setFault('*', { kind: 'forbidden' });
    const { first, code } = await road.doctor(HTTPS);
    expect(first).toMatchObject({ id: 'rest', class: 'rest', code: 'upstream-forbidden' });
    expect(code).toBe(11);
    rest.clearFaults();
    await road.expectGreen(HTTPS);
  });
});
