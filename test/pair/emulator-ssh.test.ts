/** The emulator's SSH host and the real sshd, by real git over real OpenSSH. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Ran, run, Scene } from '../support/scene.js';
import { type AgentKey, SshAgent } from '../support/ssh-agent.js';
import { type Sshd, startSshd } from '../support/sshd.js';

let scene: Scene;
let agent: SshAgent;
let rsa: AgentKey;
let ed25519: AgentKey;

beforeAll(async () => {
  scene = await Scene.open();
  agent = await SshAgent.start(join(scene.directory, 'agent'));
  rsa = await agent.add('rsa', { comment: 'ada at work' });
  ed25519 = await agent.add('ed25519');
  await scene.emulator.createRepository('contoso/Payments Team/web');
  await scene.emulator.createRepository('git.example.com/team/tools');
});

afterAll(async () => {
  await agent.stop();
  await scene.close();
});

/** Git with one key of the agent, and the host's key known. */
async function git(args: readonly string[], key: AgentKey, knownHosts: string, settings: readonly string[] = []): Promise<Ran> {
  const env = await scene.sshEnvironment({
    agent: agent.socket,
    knownHosts,
    settings: [`IdentityFile ${key.publicFile}`, 'IdentitiesOnly yes', ...settings],
  });
  return scene.git(args, { env, cwd: scene.directory });
}

describe('the SSH host of the emulator', () => {
  const host = (): Scene['emulator']['ssh'] => scene.emulator.ssh;
  const web = (): string => `${host().origin}/v3/contoso/Payments%20Team/web`;
  const list = (key: AgentKey, url = web(), settings: readonly string[] = []): Promise<Ran> =>
    git(['ls-remote', url], key, host().knownHosts, settings);

  afterEach(() => {
    host().fault = undefined;
    host().users.clear();
    host().expired.clear();
    host().connections.length = 0;
  });

  it('lets a registered key fetch and push, however the name is spelled, and closes after the answer', async () => {
    host().users.set(rsa.fingerprint, ['Contoso']);
    const clone = join(scene.directory, 'azure-clone');
    expect(await git(['clone', '-q', web(), clone], rsa, host().knownHosts)).toMatchObject({ code: 0, stderr: '' });
    await writeFile(join(clone, 'new.txt'), 'new\n');
    await scene.git(['-C', clone, 'add', '.']);
    await scene.git(['-C', clone, 'commit', '-qm', 'new']);
    expect(await git(['-C', clone, 'push', '-q'], rsa, host().knownHosts)).toMatchObject({ code: 0, stderr: '' });
    const scp = `[git@127.0.0.1:${host().port}]:v3/CONTOSO/payments team/WEB`;
    const { stdout } = await git(['ls-remote', scp, 'main'], rsa, host().knownHosts);
    const { stdout: head } = await scene.git(['-C', clone, 'rev-parse', 'HEAD']);
    expect(stdout).toBe(`${head.trim()}\trefs/heads/main\n`);
    await expect.poll(() => host().open).toBe(0);
    expect(host().connections.map(({ user, key, isOpen }) => ({ user, key, isOpen }))).toEqual(
      Array.from({ length: 3 }, () => ({ user: 'git', key: rsa.fingerprint, isOpen: false })),
    );
    expect(host().commands.map(({ command, environment, exitCode }) => ({ command, environment, exitCode }))).toEqual([
      { command: "git-upload-pack '/v3/contoso/Payments Team/web'", environment: { GIT_PROTOCOL: 'version=2' }, exitCode: 0 },
      { command: "git-receive-pack '/v3/contoso/Payments Team/web'", environment: {}, exitCode: 0 },
      { command: "git-upload-pack 'v3/CONTOSO/payments team/WEB'", environment: { GIT_PROTOCOL: 'version=2' }, exitCode: 0 },
    ]);
    await expect.poll(() => host().children).toBe(0);
  });

  it('lets any key sign in and refuses at the command, with the words of Azure', async () => {
    const refused = await list(ed25519);
    expect(refused.code).toBe(128);
    expect(refused.stderr).toMatch(/^remote: Public key authentication failed\.\n/);
    host().users.set(rsa.fingerprint, ['fabrikam']);
    expect((await list(rsa)).stderr).toMatch(/^remote: Public key authentication failed\.\n/);
    host().users.set(rsa.fingerprint, ['contoso']);
    host().expired.add(rsa.fingerprint);
    expect((await list(rsa)).stderr).toMatch(
      /^remote: Authentication failed: your SSH key has expired\..*\nremote: Public key authentication failed\.\n/,
    );
    expect(host().connections.map(({ key }) => key)).toEqual([ed25519.fingerprint, rsa.fingerprint, rsa.fingerprint]);
  });

  it('refuses what is missing, no repository, and a signature with SHA-1', async () => {
    host().users.set(rsa.fingerprint, ['contoso']);
    expect((await list(rsa, `${host().origin}/v3/contoso/Payments/nothing`)).stderr).toMatch(
      /^remote: TF401019: .* identifier nothing does not exist/,
    );
    expect((await list(rsa, `${host().origin}/elsewhere`)).stderr).toMatch(
      /^remote: Command not supported: git-upload-pack '\/elsewhere'\n/,
    );
    expect((await list(rsa, web(), ['PubkeyAcceptedAlgorithms ssh-rsa'])).stderr).toMatch(
      /^remote: You’re using ssh-rsa that is unsupported\./,
    );
    expect(host().connections.at(-1)?.attempts.at(-1)).toEqual({
      method: 'publickey',
      fingerprint: rsa.fingerprint,
      algorithm: 'ssh-rsa',
      isSigned: true,
    });
  });

  it('has no shell, and says so', async () => {
    const { GIT_SSH_COMMAND: command = '' } = await scene.sshEnvironment({
      agent: agent.socket,
      knownHosts: host().knownHosts,
      settings: [`IdentityFile ${rsa.publicFile}`],
    });
    const [program = '', ...args] = command.split(' ');
    const ran = await run(program, [...args, '-T', '-p', String(host().port), 'git@127.0.0.1'], { env: scene.environment });
    expect(ran.stderr).toBe('remote: Shell access is not supported.\nshell request failed on channel 0\r\n');
    expect(ran.code).not.toBe(0);
  });

  it('can die in the middle, refuse a channel, and be another machine', async () => {
    host().users.set(rsa.fingerprint, ['*']);
    const clone = (): Promise<Ran> => git(['clone', '-q', web(), join(scene.directory, 'never')], rsa, host().knownHosts);
    host().fault = { kind: 'die', afterBytes: 400 };
    expect((await clone()).code).toBe(128);
    host().fault = { kind: 'no-channel' };
    expect((await clone()).code).toBe(128);
    expect(host().commands).toHaveLength(1);
    host().fault = undefined;
    const before = host().knownHosts;
    await host().changeHostKey();
    const after = await git(['ls-remote', web()], rsa, before);
    expect(after.stderr).toContain('REMOTE HOST IDENTIFICATION HAS CHANGED');
    expect((await list(rsa)).code).toBe(0);
    await expect.poll(() => host().children).toBe(0);
  });
});

describe('the real sshd', () => {
  let sshd: Sshd;
  const stopping: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    sshd = await startSshd({
      directory: join(scene.directory, 'sshd'),
      root: scene.emulator.repositoriesOf('git.example.com'),
      authorizedKeys: [ed25519.line],
    });
    stopping.push(() => sshd.stop());
  });

  afterAll(async () => {
    for (const stop of stopping) await stop();
  });

  it('serves both forms of a path and tells who came', async () => {
    const list = (url: string, key: AgentKey): Promise<Ran> => git(['ls-remote', url], key, sshd.knownHosts);
    const first = await list(`${sshd.origin}/team/tools.git`, ed25519);
    expect(first).toMatchObject({ code: 0, stderr: '' });
    const second = await list(`[${sshd.user}@127.0.0.1:${sshd.port}]:team/tools.git`, ed25519);
    expect(second).toMatchObject({ code: 0, stderr: '', stdout: first.stdout });
    expect((await list(`${sshd.origin}/team/tools.git`, rsa)).stderr).toContain('Permission denied (publickey)');
    expect(await sshd.connections()).toBe(3);
    expect((await sshd.keys()).filter(({ kind }) => kind !== 'postponed').map(({ kind, fingerprint }) => ({ kind, fingerprint }))).toEqual([
      { kind: 'accepted', fingerprint: ed25519.fingerprint },
      { kind: 'accepted', fingerprint: ed25519.fingerprint },
      { kind: 'failed', fingerprint: rsa.fingerprint },
    ]);
    expect(await sshd.commands()).toEqual(["git-upload-pack '/team/tools.git'", "git-upload-pack 'team/tools.git'"]);
  });
});

describe('the real agent', () => {
  it('tells of its keys, of none while it is locked, and loses them', async () => {
    const own = await SshAgent.start(join(scene.directory, 'agent-2'));
    try {
      const key = await own.add('ed25519', { comment: 'a b' });
      expect((await own.keys()).map(({ fingerprint, comment }) => ({ fingerprint, comment }))).toEqual([
        { fingerprint: key.fingerprint, comment: 'a b' },
      ]);
      await own.lock('secret words');
      expect(await own.keys()).toEqual([]);
      await own.unlock('secret words');
      expect(await own.keys()).toHaveLength(1);
      await own.remove(key);
      expect(await own.keys()).toEqual([]);
    } finally {
      await own.stop();
    }
  });
});
