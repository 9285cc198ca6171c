/**
 * Git LFS on SSH remotes, which Azure DevOps itself has not: git-lfs asks over SSH, is sent to the HTTP door with a lease that ends
 * soon, and goes on there. With Debian's git-lfs and OpenSSH, both spellings of a remote.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { filesBelow } from '../support/canary.js';
import { LfsStage, REPOSITORY } from '../support/lfs-stage.js';
import { sumOf, writeMany, writeNoise } from '../support/noise.js';
import { type Ran, run } from '../support/scene.js';

const PATH = 'ssh.dev.azure.com/v3/contoso/Payments/web';
const MIB = 1 << 20;
const OTHER_PATH = 'ssh.dev.azure.com/v3/contoso/Payments/other';

let stage: LfsStage;
let env: Record<string, string>;

beforeAll(async () => {
  stage = await LfsStage.open({ listen: '{ http: 127.0.0.1:0, ssh: 127.0.0.1:0 }' });
  await stage.scene.emulator.createRepository('contoso/Payments/other');
  env = await stage.scene.sshEnvironment({ settings: ['SendEnv POSTERN_LEASE'] });
}, 60_000);

afterAll(() => stage.close());

beforeEach(() => {
  stage.scene.emulator.lfs.transfers.seen.length = 0;
});

afterEach(() => stage.expectNoWayPast());

/** Runs git over SSH in a clone. */
const git = (cwd: string, args: readonly string[], more: Readonly<Record<string, string>> = {}): Promise<Ran> =>
  stage.git(args, { cwd, env: { ...env, ...more } });

async function told(cwd: string, ...args: string[]): Promise<string> {
  const ran = await git(cwd, args);
  expect(ran.code, `git ${args.join(' ')}: ${ran.stderr}`).toBe(0);
  return ran.stdout;
}

/** Sends a command over SSH as the user's ssh would. */
function ask(command: string, more: Readonly<Record<string, string>> = {}): Promise<Ran> {
  const [program = '', ...options] = (env['GIT_SSH_COMMAND'] ?? '').split(' ');
  const args = [...options, '-p', String(stage.daemon.sshPort), 'git@127.0.0.1', command];
  return run(program, args, { env: { ...stage.scene.environment, ...more } });
}

interface Answer {
  readonly href: string;
  readonly header: { readonly 'X-Postern-Lease': string };
  readonly expires_in: number;
  readonly expires_at: string;
}

async function authenticate(operation: 'download' | 'upload', more: Readonly<Record<string, string>> = {}): Promise<Answer> {
  const { stdout, stderr } = await ask(`git-lfs-authenticate '/${PATH}' ${operation}`, more);
  expect(stderr).toBe('');
  return JSON.parse(stdout) as Answer;
}

async function lease(...args: string[]): Promise<string> {
  const made = await stage.daemon.postern(['lease', 'create', '--for', '1h', ...args]);
  expect(made.code, made.stderr).toBe(0);
  return made.stdout.trim();
}

/** A request to LFS at the HTTP door, as git-lfs makes it. */
async function lfs(url: string, held: string | undefined, body?: object): Promise<{ status: number; text: string }> {
  const answer = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    headers: {
      Accept: 'application/vnd.git-lfs+json',
      'Content-Type': 'application/vnd.git-lfs+json',
      ...(held === undefined ? {} : { 'X-Postern-Lease': held }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return { status: answer.status, text: await answer.text() };
}

const SOME = { oid: 'a'.repeat(64), size: 3 };

describe.each([
  ['ssh://', () => stage.daemon.sshUrl(PATH)],
  ['host:path', () => stage.daemon.scpUrl(PATH)],
])('a remote in the form %s', (form, remote) => {
  test('track, push, clone and pull: the bytes are the same, and only the daemon has a token', async () => {
    const branch = `over-${form.replace(/[^a-z]/g, '')}`;
    const clone = await stage.clone({ remote: remote(), env });
    await told(clone, 'checkout', '-q', '-b', branch);
    await told(clone, 'lfs', 'track', '*.bin');
    const oid = await writeNoise(join(clone, 'large.bin'), 300_000);
    await stage.commit(clone, 'Add a large file');
    const verbose = { GIT_TRACE: '1', GIT_CURL_VERBOSE: '1', GIT_TRANSFER_TRACE: '1' };
    const pushed = await git(clone, ['push', 'origin', branch], verbose);
    expect(pushed.code, pushed.stderr).toBe(0);
    const { transfers } = stage.scene.emulator.lfs;
    expect(transfers.seen).toMatchObject([{ repository: REPOSITORY, oid, action: 'upload', bytes: 300_000 }]);

    const other = await stage.clone({ remote: remote(), branch, env: { ...env, ...verbose } });
    expect(await sumOf(join(other, 'large.bin'))).toBe(oid);
    const lazy = await stage.clone({ remote: remote(), branch, pointersOnly: true, env });
    expect(await readFile(join(lazy, 'large.bin'), 'utf8')).toContain(`oid sha256:${oid}`);
    await told(lazy, 'lfs', 'pull');
    expect(await sumOf(join(lazy, 'large.bin'))).toBe(oid);
    expect(transfers.seen.filter(({ action }) => action === 'download')).toHaveLength(2);
    await stage.expectHidden();
  });

  test('lock, list and unlock', async () => {
    const { locks } = stage.scene.emulator.lfs;
    const clone = await stage.clone({ remote: remote(), env });
    expect(await told(clone, 'lfs', 'lock', 'README.md')).toContain('Locked README.md');
    expect(await told(clone, 'lfs', 'locks', '--verify')).toMatch(/^O README\.md/m);
    expect((await git(clone, ['lfs', 'lock', 'README.md'])).stderr).toContain("The path 'README.md' is already locked by");
    await told(clone, 'lfs', 'unlock', 'README.md');
    expect(locks.of(REPOSITORY)).toEqual([]);
  });
});

test('a trace of git-lfs shows leases, which soon end and are for one direction of one repository; no file keeps one', async () => {
  const clone = await stage.clone({ remote: stage.daemon.sshUrl(PATH), env });
  await told(clone, 'lfs', 'track', '*.bin');
  await writeNoise(join(clone, 'large.bin'), 1000);
  await stage.commit(clone, 'Add a large file');
  const traced = await git(clone, ['push', 'origin', 'HEAD:refs/heads/traced'], { GIT_TRACE: '1', GIT_CURL_VERBOSE: '1' });
  expect(traced.code, traced.stderr).toBe(0);
  // As docs/LFS.md tells: in headers, and in the answer to a batch.
  const shown = new Set(traced.stderr.match(/ptl1_[\w-]+/g));
  expect(shown.size).toBe(2);
  for (const text of shown) {
    const explained = await stage.daemon.postern(['lease', 'explain', '--json'], { input: text });
    const { caveats } = JSON.parse(explained.stdout) as {
      caveats: { allow: string[]; repos: string[]; endsAt: string; uids: number[] }[];
    };
    expect(caveats[0]?.uids).toEqual([process.getuid?.()]);
    for (const { allow, repos, endsAt } of caveats) {
      expect([allow, repos]).toEqual([['push', 'lfs'], ['dev.azure.com/contoso/payments/web']]);
      expect(Date.parse(endsAt) - Date.now()).toBeLessThanOrEqual(20 * 60_000);
    }
  }
  const files = [...(await filesBelow(stage.scene.home))];
  expect(files.filter(([, content]) => content.includes('ptl1_')).map(([name]) => name)).toEqual([]);
}, 60_000);

test('500 small objects go up and come down over an SSH remote, each once', async () => {
  const remote = stage.daemon.sshUrl(PATH);
  const clone = await stage.clone({ remote, env });
  await told(clone, 'lfs', 'track', '*.bin');
  const sums = await writeMany(clone, 500);
  await stage.commit(clone, 'Add many files');
  await told(clone, 'push', '-q', 'origin', 'HEAD:refs/heads/many');
  const other = await stage.clone({ remote, branch: 'many', env });
  for (const [name, sum] of sums) expect(await sumOf(join(other, name)), name).toBe(sum);
  const { seen } = stage.scene.emulator.lfs.transfers;
  expect([seen.filter(({ action }) => action === 'upload').length, seen.filter(({ action }) => action === 'download').length]).toEqual([
    500, 500,
  ]);
}, 120_000);

test('a 300 MB object goes up and comes down over an SSH remote, and goes on where it was cut', async () => {
  const remote = stage.daemon.sshUrl(PATH);
  const { lfs: store } = stage.scene.emulator;
  const clone = await stage.clone({ remote, env });
  await told(clone, 'lfs', 'track', '*.bin');
  const oid = await writeNoise(join(clone, 'huge.bin'), 300 * MIB);
  await stage.commit(clone, 'Add a huge file');
  await told(clone, 'push', '-q', 'origin', 'HEAD:refs/heads/huge');
  expect(store.transfers.seen).toMatchObject([{ oid, action: 'upload', bytes: 300 * MIB }]);
  store.faults.set(oid, { at: 'download', kind: 'cut', afterBytes: 100 * MIB, times: 1 });
  const other = await stage.clone({ remote, branch: 'huge', env });
  store.faults.clear();
  expect(await sumOf(join(other, 'huge.bin'))).toBe(oid);
  const [first, second, more] = store.transfers.seen.slice(1);
  expect(first).toMatchObject({ oid, action: 'download' });
  expect(second?.range).toMatch(/^bytes=[1-9][0-9]+-/);
  expect(more).toBeUndefined();
}, 180_000);

describe('git-lfs-authenticate', () => {
  test('names the HTTP door, and gives a lease for that repository and direction which ends within minutes', async () => {
    const before = Date.now();
    const { href, header, expires_in: seconds, expires_at: end } = await authenticate('download');
    expect(href).toBe(`${stage.daemon.base}/dev.azure.com/contoso/Payments/_git/web.git/info/lfs`);
    expect(seconds).toBeGreaterThan(9 * 60);
    expect(seconds).toBeLessThanOrEqual(10 * 60);
    expect(new Date(end).getTime() - before).toBeLessThanOrEqual(10 * 60_000 + 1000);
    const explained = await stage.daemon.postern(['lease', 'explain', '--json'], { input: header['X-Postern-Lease'] });
    expect(JSON.parse(explained.stdout)).toMatchObject({
      caveats: [
        {
          label: `git-lfs over SSH, uid ${process.getuid?.()}`,
          repos: ['dev.azure.com/contoso/payments/web'],
          allow: ['fetch', 'lfs'],
          uids: [process.getuid?.()],
        },
      ],
    });
    // What is asked for all the time is in no list; it ends by itself, or by its id.
    expect((await stage.daemon.postern(['lease', 'list', '--json'])).stdout).not.toContain('git-lfs');
  });

  test('its lease does nothing else: no upload, no lock, no other repository, no ref', async () => {
    const { href, header } = await authenticate('download');
    const held = header['X-Postern-Lease'];
    expect((await lfs(`${href}/objects/batch`, held, { operation: 'download', objects: [SOME] })).status).toBe(200);
    const upload = await lfs(`${href}/objects/batch`, held, { operation: 'upload', objects: [SOME] });
    expect(upload).toMatchObject({ status: 403, text: expect.stringContaining('allows fetch, lfs, not push') as unknown });
    expect((await lfs(`${href}/locks`, held, { path: 'a' })).status).toBe(403);
    const elsewhere = await lfs(`${href.replace('web.git', 'other.git')}/objects/batch`, held, { operation: 'download', objects: [SOME] });
    expect(elsewhere).toMatchObject({ status: 403, text: expect.stringContaining('is not for the repository') as unknown });

    const clone = await stage.clone();
    await stage.commitEmpty(clone, 'A commit');
    const { header: up } = await authenticate('upload');
    const extra = `http.${stage.daemon.base}/.extraHeader=X-Postern-Lease: ${up['X-Postern-Lease']}`;
    const pushed = await stage.git(['-c', extra, 'push', 'origin', 'HEAD:refs/heads/by-lfs-lease'], { cwd: clone });
    expect(pushed.code).toBe(1);
    expect(pushed.stderr).toContain('[remote rejected]');
    expect(await stage.told(['ls-remote', 'origin', 'refs/heads/by-lfs-lease'], { cwd: clone })).toBe('');
  });

  // Another user is one that only root can become.
  test.runIf(process.getuid?.() === 0)('its lease is worth nothing to another local user', async () => {
    const { href, header } = await authenticate('download');
    const asked = [`url = "${href}/locks"`, `header = "X-Postern-Lease: ${header['X-Postern-Lease']}"`, 'silent', 'noproxy = "*"'];
    const options = { env: { PATH: process.env['PATH'] }, input: `${asked.join('\n')}\n` };
    const own = await run('curl', ['--config', '-'], options);
    expect(JSON.parse(own.stdout)).toHaveProperty('locks');
    const theirs = await run('setpriv', ['--reuid=1', '--regid=1', '--clear-groups', '--', 'curl', '--config', '-'], options);
    expect(theirs.stdout).toContain('is for another local user');
  });

  test('is in the log and in the audit, and what was given is in neither', async () => {
    const { header } = await authenticate('upload');
    const line = stage.daemon.log.filter(({ operation, door }) => operation === 'lfs' && door === 'ssh').at(-1);
    expect(line).toMatchObject({ event: 'request-finished', step: 'batch-upload', repository: 'dev.azure.com/contoso/Payments/web' });
    const audit = await stage.daemon.postern(['audit', '--json']);
    const records = audit.stdout
      .trim()
      .split('\n')
      .map((each) => JSON.parse(each) as { seq: number; door?: string; operation?: string; step?: string });
    const record = records.filter(({ door, operation }) => door === 'ssh' && operation === 'lfs').at(-1);
    expect(record).toMatchObject({ step: 'batch-upload', verdict: 'passed', uid: process.getuid?.() });
    const file = await stage.scene.writeConfiguration(stage.configuration.replace(/(match: [^\n]*) \}/, '$1, allow: [fetch, lfs] }'));
    const why = await stage.daemon.postern(['audit', 'why', String(record?.seq), '--config', file]);
    expect(why.stdout).toContain('lfs (batch-upload) of dev.azure.com/contoso/Payments/web');
    expect(why.stdout).toContain('fetch, lfs: not push');
    expect(stage.daemon.output + audit.stdout).not.toContain(header['X-Postern-Lease']);
  });

  test('narrows the lease that the caller has, and gives none for what that does not permit', async () => {
    const read = await lease('--repo', 'contoso/Payments/web', '--allow', 'fetch,lfs', '--label', 'ci');
    const { header, expires_in: seconds } = await authenticate('download', { POSTERN_LEASE: read });
    expect(seconds).toBeLessThanOrEqual(10 * 60);
    const explained = await stage.daemon.postern(['lease', 'explain', '--json'], { input: header['X-Postern-Lease'] });
    const { caveats } = JSON.parse(explained.stdout) as { caveats: { label?: string; allow: string[]; protect?: string[] }[] };
    expect(caveats).toHaveLength(2);
    expect(caveats[0]).toMatchObject({ label: 'ci', allow: ['fetch', 'lfs'] });
    expect(caveats[1]).toMatchObject({ allow: ['fetch', 'lfs'], protect: ['refs/**'] });

    const refused = await ask(`git-lfs-authenticate '/${PATH}' upload`, { POSTERN_LEASE: read });
    expect(refused).toMatchObject({ code: 128, stdout: '' });
    expect(refused.stderr).toContain('allows fetch, lfs, not push\n');
    const other = await ask(`git-lfs-authenticate '/${OTHER_PATH}' download`, { POSTERN_LEASE: read });
    expect(other).toMatchObject({ code: 128, stdout: '' });
    expect(other.stderr).toContain('is not for the repository');
    const without = await lease('--repo', 'contoso/Payments/web', '--allow', 'fetch');
    expect((await ask(`git-lfs-authenticate '/${PATH}' download`, { POSTERN_LEASE: without })).stderr).toContain('allows fetch, not lfs');
  });

  test('a lease that was revoked after that opens nothing any more', async () => {
    const own = await lease('--repo', 'contoso/Payments/web', '--allow', 'fetch,lfs');
    const { href, header } = await authenticate('download', { POSTERN_LEASE: own });
    const batch = (): Promise<{ status: number; text: string }> =>
      lfs(`${href}/objects/batch`, header['X-Postern-Lease'], { operation: 'download', objects: [SOME] });
    expect((await batch()).status).toBe(200);
    const { caveats } = JSON.parse((await stage.daemon.postern(['lease', 'explain', '--json'], { input: own })).stdout) as {
      caveats: { id: string }[];
    };
    expect((await stage.daemon.postern(['lease', 'revoke', caveats[0]?.id ?? ''])).code).toBe(0);
    expect(await batch()).toMatchObject({ status: 403, text: expect.stringContaining('was revoked') as unknown });
  });

  test('a push by a lease that may only read ends with a text that says so', async () => {
    const read = await lease('--repo', 'contoso/Payments/web', '--allow', 'fetch,lfs');
    const clone = await stage.clone({ remote: stage.daemon.sshUrl(PATH), env });
    await told(clone, 'lfs', 'track', '*.bin');
    await writeNoise(join(clone, 'large.bin'), 1000);
    await stage.commit(clone, 'Add a large file');
    const pushed = await git(clone, ['push', 'origin', 'HEAD:refs/heads/refused'], { POSTERN_LEASE: read });
    expect(pushed.code).not.toBe(0);
    expect(pushed.stderr).toContain('allows fetch, lfs, not push');
    expect(stage.scene.emulator.lfs.transfers.seen).toEqual([]);
  });

  test.each([
    ["git-lfs-authenticate '/evil-dev.azure.com/contoso/Payments/web' download", 'No route matches evil-dev.azure.com'],
    ["git-lfs-authenticate '/ssh.dev.azure.com/v3/contoso' download", "The address is not a repository's"],
    [`git-lfs-authenticate '/${PATH}' delete`, 'does not name a repository and upload or download'],
  ])('%j is refused on stderr, where git-lfs reads', async (command, text) => {
    const ran = await ask(command);
    expect(ran).toMatchObject({ code: 128, stdout: '' });
    expect(ran.stderr).toContain(text);
    expect(ran.stderr).toContain('what to do: ');
  });

  test('git-lfs-transfer is declined without a word, so that git-lfs goes on with HTTP', async () => {
    expect(await ask(`git-lfs-transfer '/${PATH}' download`)).toMatchObject({ code: 128, stdout: '', stderr: '' });
  });
});
