/**
 * Git LFS with a lease, at a door that lets nobody in without one: every request of git-lfs has to be known by it, those too that go to an address
 * out of a batch answer. In all forms in which a lease is held: header, user and password, variables, SSH.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { LfsStage, REPOSITORY } from '../support/lfs-stage.js';
import { sumOf, writeNoise } from '../support/noise.js';

const PATH = 'dev.azure.com/contoso/Payments/_git/web';

let stage: LfsStage;
let ssh: Record<string, string>;

beforeAll(async () => {
  stage = await LfsStage.open({ listen: '{ http: 127.0.0.1:0, ssh: 127.0.0.1:0 }', settings: () => ['access: { local: lease }'] });
  ssh = await stage.scene.sshEnvironment({ settings: ['SendEnv POSTERN_LEASE'] });
}, 60_000);

afterAll(() => stage.close());

beforeEach(() => {
  stage.scene.emulator.lfs.transfers.seen.length = 0;
});

afterEach(() => stage.expectNoWayPast());

async function lease(allow: string, { for: life = '1h', format = 'text' } = {}): Promise<string> {
  const rights = allow.includes('push') ? ['--ref', 'refs/heads/**'] : [];
  const args = ['lease', 'create', '--repo', 'contoso/Payments/web', '--allow', allow, ...rights, '--for', life, '--format', format];
  const made = await stage.daemon.postern(args);
  expect(made.code, made.stderr).toBe(0);
  return made.stdout.trim();
}

interface Said {
  readonly allow: readonly string[];
  readonly repos: readonly string[];
}

/** What a lease says, the grant first. */
async function explained(text: string): Promise<readonly Said[]> {
  const ran = await stage.daemon.postern(['lease', 'explain', '--json'], { input: text });
  return (JSON.parse(ran.stdout) as { caveats: readonly Said[] }).caveats;
}

/** The environment of a job: what `--format json` prints. */
async function jobEnvironment(allow: string): Promise<Record<string, string>> {
  return JSON.parse(await lease(allow, { format: 'json' })) as Record<string, string>;
}

/** Pushes a large file to a new branch and gives its object. */
async function push(branch: string, env: Record<string, string>, remote?: string): Promise<string> {
  const clone = await stage.clone({ env, ...(remote === undefined ? {} : { remote }) });
  await stage.told(['checkout', '-q', '-b', branch], { cwd: clone });
  await stage.told(['lfs', 'track', '*.bin'], { cwd: clone });
  const oid = await writeNoise(join(clone, 'large.bin'), 5000);
  await stage.commit(clone, 'Add a large file');
  await stage.told(['push', '-q', 'origin', branch], { cwd: clone, env });
  expect(stage.scene.emulator.lfs.transfers.seen).toMatchObject([{ repository: REPOSITORY, oid, action: 'upload', bytes: 5000 }]);
  return oid;
}

async function expectCloned(branch: string, oid: string, env: Record<string, string>, remote?: string): Promise<void> {
  const clone = await stage.clone({ branch, env, ...(remote === undefined ? {} : { remote }) });
  expect(await sumOf(join(clone, 'large.bin'))).toBe(oid);
  expect(await readFile(join(clone, '.git', 'config'), 'utf8')).not.toMatch(/access\s*=/);
}

describe('a job pushes and clones', () => {
  test('with the variables of its lease', async () => {
    const oid = await push('by-variables', await jobEnvironment('fetch,push,lfs'));
    await expectCloned('by-variables', oid, await jobEnvironment('fetch,lfs'));
    await stage.expectHidden();
  });

  test.each(['git@ssh.dev.azure.com:v3/contoso/Payments/web', 'contoso@vs-ssh.visualstudio.com:v3/contoso/Payments/web'])(
    'with the variables of its lease and %s, which needs no ssh then',
    async (remote) => {
      const branch = `by-${remote.replace(/[^a-z].*$/, '')}`;
      const oid = await push(branch, { ...(await jobEnvironment('fetch,push,lfs')), GIT_SSH_COMMAND: 'false' }, remote);
      await expectCloned(branch, oid, { ...(await jobEnvironment('fetch,lfs')), GIT_SSH_COMMAND: 'false' }, remote);
    },
  );

  test.each([
    ['password', (held: string) => `git:${held}`],
    ['user', (held: string) => `${held}:x`],
  ])('with the lease as %s in its remote', async (form, credentials) => {
    const remote = (held: string): string => `${stage.daemon.base.replace('://', `://${credentials(held)}@`)}/${PATH}`;
    const oid = await push(`by-${form}`, {}, remote(await lease('fetch,push,lfs')));
    await expectCloned(`by-${form}`, oid, {}, remote(await lease('fetch,lfs')));
  });

  test('over SSH with the lease in POSTERN_LEASE', async () => {
    const remote = stage.daemon.sshUrl('ssh.dev.azure.com/v3/contoso/Payments/web');
    const oid = await push('by-ssh', { ...ssh, POSTERN_LEASE: await lease('fetch,push,lfs') }, remote);
    await expectCloned('by-ssh', oid, { ...ssh, POSTERN_LEASE: await lease('fetch,lfs') }, remote);
  });

  test('over SSH with all variables of its lease, so that its own lease goes to the HTTP door too', async () => {
    const remote = stage.daemon.sshUrl('ssh.dev.azure.com/v3/contoso/Payments/web');
    const oid = await push('by-both', { ...ssh, ...(await jobEnvironment('fetch,push,lfs')) }, remote);
    await expectCloned('by-both', oid, { ...ssh, ...(await jobEnvironment('fetch,lfs')) }, remote);
  });
});

test('a lease that may only read brings nothing up, and git-lfs says why', async () => {
  const env = await jobEnvironment('fetch,lfs');
  const clone = await stage.clone({ env });
  await stage.told(['lfs', 'track', '*.bin'], { cwd: clone });
  await writeNoise(join(clone, 'large.bin'), 5000);
  await stage.commit(clone, 'Add a large file');
  const pushed = await stage.git(['push', 'origin', 'HEAD:refs/heads/by-reader'], { cwd: clone, env });
  expect(pushed.code).not.toBe(0);
  expect(pushed.stderr).toContain('allows fetch, lfs, not push');
  const locked = await stage.git(['lfs', 'lock', 'README.md'], { cwd: clone, env });
  expect(locked.code).not.toBe(0);
  expect(locked.stderr).toContain('allows fetch, lfs, not push');
  expect(stage.scene.emulator.lfs.transfers.seen).toEqual([]);
  expect(stage.scene.emulator.lfs.locks.of(REPOSITORY)).toEqual([]);
});

test('the addresses of a batch answer end with the lease, which stands beside each and is narrowed; without it nothing is told', async () => {
  const short = await lease('fetch,push,lfs', { for: '2m' });
  const ask = async (headers: Record<string, string>): Promise<{ status: number; body: string }> => {
    const answer = await fetch(`${stage.daemon.base}/${PATH}.git/info/lfs/objects/batch`, {
      method: 'POST',
      headers: { Accept: 'application/vnd.git-lfs+json', 'Content-Type': 'application/vnd.git-lfs+json', ...headers },
      body: JSON.stringify({ operation: 'upload', objects: [{ oid: 'b'.repeat(64), size: 3 }] }),
    });
    return { status: answer.status, body: await answer.text() };
  };
  const answered = await ask({ 'X-Postern-Lease': short });
  expect(answered.status).toBe(200);
  interface Action {
    readonly href: string;
    readonly header: Record<string, string>;
    readonly expires_in: number;
  }
  const { objects } = JSON.parse(answered.body) as { objects: { actions: { upload: Action } }[] };
  const { upload } = objects[0]?.actions ?? {};
  const given = upload?.header['X-Postern-Lease'] ?? '';
  expect((await explained(given)).map(({ allow }) => allow)).toEqual([
    ['fetch', 'push', 'lfs'],
    ['push', 'lfs'],
  ]);
  expect(upload?.expires_in).toBeLessThanOrEqual(120);
  expect(upload?.href).not.toContain(short);
  const put = await fetch(upload?.href ?? '', { method: 'PUT', body: 'abc' });
  expect([put.status, await put.text()]).toEqual([403, expect.stringContaining('This door needs a lease, and none came')]);
  const without = await ask({});
  expect(without).toMatchObject({ status: 403, body: expect.stringContaining('This door needs a lease, and none came') as unknown });
});

test('a trace of git-lfs does not show the lease of the job, but what it was narrowed to for one repository and direction', async () => {
  const env = await jobEnvironment('fetch,push,lfs');
  const clone = await stage.clone({ env });
  await stage.told(['lfs', 'track', '*.bin'], { cwd: clone });
  await writeNoise(join(clone, 'large.bin'), 1000);
  await stage.commit(clone, 'Add a large file');
  const traced = await stage.git(['push', 'origin', 'HEAD:refs/heads/traced'], { cwd: clone, env: { ...env, GIT_TRACE: '1' } });
  expect(traced.code, traced.stderr).toBe(0);
  expect(traced.stderr).not.toContain(env['POSTERN_LEASE']);
  const [shown = '', second] = new Set(traced.stderr.match(/ptl1_[\w-]+/g));
  expect(second).toBeUndefined();
  expect((await explained(shown)).at(-1)).toMatchObject({
    allow: ['push', 'lfs'],
    repos: ['dev.azure.com/contoso/payments/web'],
    protect: ['refs/**'],
  });
});

test('`postern exec` serves LFS through a door of its own', async () => {
  const configuration = await stage.scene.writeConfiguration(
    stage.configuration.replace('access: { local: lease }\n', '').replace(/^log:.*\n/m, ''),
  );
  const clone = join(stage.scene.home, 'by-exec');
  const oid = await push('for-exec', await jobEnvironment('fetch,push,lfs'));
  // It is a daemon of its own, with a process id that nobody knows before.
  const { doorkeeper } = stage.scene.emulator;
  const { admits } = doorkeeper;
  doorkeeper.admits = () => true;
  const args = ['exec', '--config', configuration, '--', 'git', 'clone', '-q', '-b', 'for-exec', `https://${PATH}`, clone];
  // The user's own rules lead to the other daemon.
  const settings = await stage.scene.writeFile('exec-gitconfig', '[filter "lfs"]\n\tprocess = git-lfs filter-process\n\trequired = true\n');
  const secret = { SP_SECRET: stage.scene.emulator.sts.samples.secretClient.secret };
  const ran = await stage.scene.postern(args, { env: { ...stage.environment, ...secret, GIT_CONFIG_GLOBAL: settings } });
  doorkeeper.admits = admits;
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(await sumOf(join(clone, 'large.bin'))).toBe(oid);
});

test('over SSH at a listener for other machines, with TLS: the HTTP door is called by its configured name', async () => {
  const far = await LfsStage.open({
    listen: '{ http: { address: 0.0.0.0:0, names: [localhost] } }',
    daemonEnv: { POSTERN_LISTEN_SSH: '0.0.0.0:0' },
    hasRule: false,
  });
  try {
    const sshEnv = await far.scene.sshEnvironment({ settings: ['SendEnv POSTERN_LEASE'] });
    const grant = ['--repo', 'contoso/Payments/web', '--allow', 'fetch,push,lfs', '--ref', 'refs/heads/**', '--for', '1h'];
    const made = await far.daemon.postern(['lease', 'create', ...grant]);
    const { port } = new URL(far.daemon.base);
    const ca = join(far.scene.home, '.local', 'state', 'postern', 'door-ca.pem');
    await far.told(['config', '--global', `http.https://localhost:${port}/.sslCAInfo`, ca]);
    const env = { ...sshEnv, POSTERN_LEASE: made.stdout.trim() };
    const remote = far.daemon.sshUrl('ssh.dev.azure.com/v3/contoso/Payments/web');
    const clone = await far.clone({ env, remote });
    await far.told(['lfs', 'track', '*.bin'], { cwd: clone });
    const oid = await writeNoise(join(clone, 'large.bin'), 5000);
    await far.commit(clone, 'Add a large file');
    const pushed = await far.git(['push', 'origin', 'HEAD:refs/heads/far'], { cwd: clone, env: { ...env, GIT_CURL_VERBOSE: '1' } });
    expect(pushed.code, pushed.stderr).toBe(0);
    expect(pushed.stderr).toContain(`Host: localhost:${port}`);
    expect(far.scene.emulator.lfs.transfers.seen).toMatchObject([{ oid, action: 'upload' }]);
    const other = await far.clone({ env, remote, branch: 'far' });
    expect(await sumOf(join(other, 'large.bin'))).toBe(oid);
    far.expectNoWayPast();
  } finally {
    await far.close();
  }
}, 60_000);
