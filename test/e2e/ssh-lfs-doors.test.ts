/**
 * Git LFS on SSH remotes at doors of other kinds: with TLS and nothing done for the user but `postern setup`; routes that say no; and a daemon
 * that is stopping.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { hasAccount } from '../support/account.js';
import { LfsStage, REMOTE, REPOSITORY } from '../support/lfs-stage.js';
import { sumOf, writeNoise } from '../support/noise.js';
import { type Ran, run, type RunningDaemon, Scene } from '../support/scene.js';

const BOTH = '{ http: 127.0.0.1:0, ssh: 127.0.0.1:0 }';
const SSH_REMOTE = 'git@ssh.dev.azure.com:v3/contoso/Payments/web';

describe.skipIf(!hasAccount())('after `postern setup`, with TLS on the HTTP door (ssh needs an account)', () => {
  let stage: LfsStage;
  let env: Record<string, string>;

  beforeAll(async () => {
    stage = await LfsStage.open({ listen: '{ http: { address: 127.0.0.1:0, tls: auto }, ssh: 127.0.0.1:0 }', hasRule: false });
    await stage.scene.emulator.createRepository('contoso/Payments/outer');
    env = await stage.scene.sshEnvironment({ settings: ['StrictHostKeyChecking yes'] });
    const file = await stage.scene.writeConfiguration(stage.configuration);
    const done = await stage.daemon.postern(['setup', '--config', file, '--org', 'contoso'], { env });
    expect(done).toMatchObject({ code: 0, stderr: '' });
  }, 60_000);

  afterAll(() => stage.close());

  afterEach(() => stage.expectNoWayPast());

  async function told(cwd: string, ...args: string[]): Promise<string> {
    const ran = await stage.git(args, { cwd, env });
    expect(ran.code, `git ${args.join(' ')}: ${ran.stderr}`).toBe(0);
    return ran.stdout;
  }

  /** Pushes a large file to a new branch, with more files, and gives its object. */
  async function push(branch: string, remote: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
    const clone = await stage.clone({ remote, env });
    await told(clone, 'checkout', '-q', '-b', branch);
    await told(clone, 'lfs', 'track', '*.bin');
    const oid = await writeNoise(join(clone, 'large.bin'), 20_000);
    for (const [name, text] of Object.entries(files)) await writeFile(join(clone, name), text);
    await stage.commit(clone, 'Add a large file');
    await told(clone, 'push', '-q', 'origin', branch);
    expect(stage.scene.emulator.lfs.transfers.seen.at(-1)).toMatchObject({ repository: REPOSITORY, oid, action: 'upload' });
    return oid;
  }

  test.each([
    ['git@ssh.dev.azure.com:v3', SSH_REMOTE],
    ['ssh://git@ssh.dev.azure.com', 'ssh://git@ssh.dev.azure.com/v3/contoso/Payments/web'],
    ['https://dev.azure.com', REMOTE],
  ])('a remote of %s is pushed to and cloned', async (_form, remote) => {
    const branch = `setup-${stage.scene.emulator.lfs.transfers.seen.length}`;
    const oid = await push(branch, remote);
    const clone = await stage.clone({ remote, branch, env });
    expect(await sumOf(join(clone, 'large.bin'))).toBe(oid);
    expect(await told(clone, 'config', '--get', 'remote.origin.url')).toBe(`${remote}\n`);
  });

  test('an `lfs.url` of the repository that names the real host leads to the door', async () => {
    const lfsUrl = 'https://dev.azure.com/contoso/Payments/_git/web/info/lfs';
    const oid = await push('lfs-url', SSH_REMOTE, { '.lfsconfig': `[lfs]\n\turl = ${lfsUrl}\n` });
    const clone = await stage.clone({ remote: SSH_REMOTE, branch: 'lfs-url', env });
    expect(await sumOf(join(clone, 'large.bin'))).toBe(oid);
  });

  test('a submodule on a relative SSH address has its objects too', async () => {
    const oid = await push('inner', SSH_REMOTE);
    const outer = 'git@ssh.dev.azure.com:v3/contoso/Payments/outer';
    const clone = await stage.clone({ remote: outer, env });
    await told(clone, 'submodule', '--quiet', 'add', '-b', 'inner', '../web', 'inner');
    expect(await sumOf(join(clone, 'inner', 'large.bin'))).toBe(oid);
    await stage.commit(clone, 'Add a submodule');
    await told(clone, 'push', '-q', 'origin', 'HEAD:refs/heads/with-inner');
    const whole = join(stage.scene.home, 'whole');
    await told(stage.scene.home, 'clone', '-q', '--recurse-submodules', '-b', 'with-inner', outer, whole);
    expect(await sumOf(join(whole, 'inner', 'large.bin'))).toBe(oid);
  });
});

describe('a route', () => {
  let scene: Scene;
  let env: Record<string, string>;

  beforeAll(async () => {
    scene = await Scene.open();
    await scene.emulator.createRepository('contoso/Payments/web');
    env = await scene.sshEnvironment();
  });

  afterAll(() => scene.close());

  async function start(route: string, more = ''): Promise<RunningDaemon> {
    const text = scene.plainConfiguration
      .replace('listen: { http: 127.0.0.1:0 }', `listen: ${BOTH}`)
      .replace('identities:\n', 'identities:\n  nobody: { kind: none }\n  own: { kind: passthrough }\n')
      .replace(/(- \{ match: [^\n]*), identity: sp([^\n]*) \}\n/, `$1$2${route} }\n`);
    return scene.daemon(`${text}${more}`);
  }

  function ask(daemon: RunningDaemon, command: string): Promise<Ran> {
    const [program = '', ...options] = (env['GIT_SSH_COMMAND'] ?? '').split(' ');
    const place = ['-p', String(daemon.sshPort), 'git@127.0.0.1'];
    const known = ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'];
    return run(program, [...options, ...known, ...place, command], { env: scene.environment });
  }

  const DOWN = "git-lfs-authenticate '/ssh.dev.azure.com/v3/contoso/Payments/web' download";
  const UP = DOWN.replace('download', 'upload');

  test.each([
    ['without LFS', ', identity: sp, allow: [fetch, push]', DOWN, 'The route allows fetch, push, not lfs'],
    ['that only reads', ', identity: sp, allow: [fetch, lfs]', UP, 'The route allows fetch, lfs, not push'],
    [
      'of an agent that asks HTTPS as nobody',
      ', identity: nobody, ssh: agent',
      DOWN,
      'has no identity for that: it asks without a credential',
    ],
    ['that passes on what clients send', ', identity: own', DOWN, 'it passes on what the client sends, which is nothing over SSH'],
  ])('%s gives no lease, and says what to do', async (_what, route, command, text) => {
    const daemon = await start(route);
    const refused = await ask(daemon, command);
    expect(refused).toMatchObject({ code: 128, stdout: '' });
    expect(refused.stderr).toContain(text);
    expect(refused.stderr).toContain('what to do: ');
    const line = await daemon.logged(({ event, operation }) => event === 'request-refused' && operation === 'lfs');
    expect(line).toMatchObject({ door: 'ssh', step: command === UP ? 'batch-upload' : 'batch-download' });
    await daemon.kill();
  });

  test('of an agent with an identity sends git-lfs to HTTPS', async () => {
    const daemon = await start(', identity: sp, ssh: agent');
    const given = JSON.parse((await ask(daemon, DOWN)).stdout) as { href: string; header: Record<string, string> };
    const answer = await fetch(`${given.href}/locks`, { headers: { Accept: 'application/vnd.git-lfs+json', ...given.header } });
    expect([answer.status, await answer.json()]).toEqual([200, { locks: [] }]);
    await daemon.kill();
  });

  test('that is stopping says so to git-lfs where it reads', async () => {
    const daemon = await start(', identity: sp', 'drain: { min: 0s, max: 20s }\n');
    // A push that has begun, and waits: the daemon stays until it has ended.
    const [program = '', ...options] = (env['GIT_SSH_COMMAND'] ?? '').split(' ');
    const known = ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'ControlMaster=yes'];
    const control = ['-o', `ControlPath=${join(scene.directory, 'control')}`];
    const place = ['-p', String(daemon.sshPort), 'git@127.0.0.1'];
    let release = (): void => undefined;
    const held = run(
      program,
      [...options, ...known, ...control, ...place, "git-receive-pack '/ssh.dev.azure.com/v3/contoso/Payments/web'"],
      {
        env: scene.environment,
        isInputOpen: true,
        onChild: (child) => (release = () => void child.stdin?.end('0000')),
      },
    );
    await daemon.logged(({ event }) => event === 'token-obtained');
    const ended = daemon.stop('SIGTERM');
    await daemon.logged(({ event }) => event === 'stopping');
    // Over the connection that is open: a new one may not be accepted any more.
    const refused = await run(program, [...options, ...control, ...place, DOWN], { env: scene.environment });
    expect(refused).toMatchObject({ code: 128, stdout: '' });
    expect(refused.stderr).toContain('postern: Postern is stopping\n');
    release();
    await held;
    expect(await ended).toBe(0);
  });
});
