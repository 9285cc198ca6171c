/**
 * SSH remotes as people have them, with nothing done for them but `postern setup` (through the SSH door, whose key ssh finds in
 * known_hosts), `postern env` or `postern exec` (through the HTTP door, without any ssh).
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hasAccount } from '../support/account.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const run = promisify(execFile);
const FORMS = [
  'git@ssh.dev.azure.com:v3/contoso/Payments/web',
  'ssh://git@ssh.dev.azure.com/v3/contoso/Payments/web',
  'ssh://git@ssh.dev.azure.com:22/v3/contoso/Payments/web',
  'contoso@vs-ssh.visualstudio.com:v3/contoso/Payments/web',
  'git@git.example.com:contoso/Payments/_git/web',
  'ssh://git@git.example.com/contoso/Payments/_git/web',
];

let scene: Scene;
let daemon: RunningDaemon;
let file: string;
let work: string;
beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  const { origin } = scene.emulator.git;
  const configuration = scene.plainConfiguration
    .replace('listen: { http: 127.0.0.1:0 }', 'listen: { http: 127.0.0.1:0, ssh: 127.0.0.1:0 }')
    .concat(`  - { match: git.example.com/**, host: generic, identity: sp, upstream: '${origin}', ca: ${scene.emulator.caFile} }\n`);
  file = await scene.writeConfiguration(configuration);
  daemon = await scene.daemon(configuration);
});
afterAll(() => scene.close());
beforeEach(async () => {
  work = await mkdtemp(join(scene.directory, 'work-'));
});

const clone = (url: string, env: Readonly<Record<string, string>>): Promise<Ran> =>
  scene.git(['clone', '-q', url, join(work, 'web')], { env, cwd: work });
const knownHosts = (): string => join(scene.home, '.ssh', 'known_hosts');

describe.skipIf(!hasAccount())('after setup (ssh needs an account)', () => {
  let env: Readonly<Record<string, string>>;
  let former: string;
  beforeAll(async () => {
    // Nothing is accepted that known_hosts does not have.
    env = await scene.sshEnvironment({ settings: ['StrictHostKeyChecking yes'] });
    former = await readFile(join(scene.home, '.gitconfig'), 'utf8').catch(() => '');
    const done = await daemon.postern(['setup', '--config', file, '--org', 'contoso'], { env });
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).toContain(`Added the key of the SSH door to ${knownHosts()}, which is new\n`);
    expect(done.stdout).toContain(`now lead to ${daemon.base}/ and ssh://git@127.0.0.1:${daemon.sshPort}/`);
    expect(done.stdout).not.toContain('warning');
  });
  afterAll(async () => {
    expect(await daemon.postern(['setup', '--undo'], { env })).toMatchObject({ code: 0, stderr: '' });
    await expect(stat(knownHosts())).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await readFile(join(scene.home, '.gitconfig'), 'utf8').catch(() => '')).toBe(former);
  });

  it.each(FORMS)('%s is cloned through the SSH door, which ssh knows', async (url) => {
    const before = await readFile(knownHosts(), 'utf8');
    expect(await clone(url, env)).toMatchObject({ code: 0, stderr: '' });
    expect(
      (await run('git', ['-C', join(work, 'web'), 'remote', 'get-url', 'origin'], { env: { ...env, PATH: process.env['PATH'] } })).stdout,
    ).toBe(`${url}\n`);
    expect(await readFile(knownHosts(), 'utf8')).toBe(before);
    expect(before).toMatch(/^\[127\.0\.0\.1\]:\d+ ssh-ed25519 \S+ added by `postern setup`[^\n]*\n$/);
  });

  it('the key is the one that the daemon shows', async () => {
    const scanned = await run('ssh-keyscan', ['-t', 'ed25519', '-p', String(daemon.sshPort), '127.0.0.1']);
    expect(await readFile(knownHosts(), 'utf8')).toContain(scanned.stdout.trim());
  });
});

describe('without any ssh', () => {
  it.each(FORMS)('%s is cloned in a shell that evaluated `postern env`', async (url) => {
    const script = 'eval "$(cat)"; exec git clone -q "$0" web';
    const { stdout, code } = await daemon.postern(['env', '--config', file, '--org', 'contoso'], { cwd: work });
    expect(code).toBe(0);
    expect(stdout).not.toContain(String(daemon.sshPort));
    const ran = await scene.git(['-c', `alias.try=!${shellWord('sh', '-c', script, url)}`, 'try'], {
      input: stdout,
      cwd: work,
      env: { GIT_SSH_COMMAND: 'false' },
    });
    expect(ran).toMatchObject({ code: 0, stderr: '' });
  });

  it.each(FORMS)('%s is cloned by `postern exec`', async (url) => {
    const ran = await scene.postern(['exec', '--config', file, '--log-level', 'warn', '--', 'git', 'clone', '-q', url, 'web'], {
      cwd: work,
      env: { GIT_SSH_COMMAND: 'false', SP_SECRET: scene.emulator.sts.samples.secretClient.secret },
    });
    expect(ran).toMatchObject({ code: 0, stderr: '' });
  });
});

function shellWord(...words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
}
