/**
 * Promise: a lease opens what it names and nothing else, for as long as it says and nobody has ended it, also over a restart; and
 * the lease itself is seen by nobody but its holder.
 */
import { chmod, readdir, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Canaries, filesBelow } from '../support/canary.js';
import { ask } from '../support/plain-request.js';
import { type Ran, type RunningDaemon, type RunOptions, Scene } from '../support/scene.js';

const WEB = 'dev.azure.com/contoso/Payments/_git/web';
const API = 'dev.azure.com/contoso/Payments/_git/api';
const OWN = 'git.example.com/own/app.git';

let scene: Scene;
let daemon: RunningDaemon;
/** Every lease of this file, for the last test. */
const canaries = new Canaries();
/** What anyone could see, by where. */
const places = new Map<string, string>();

beforeAll(async () => {
  scene = await Scene.open();
  for (const name of ['web', 'api']) await scene.emulator.createRepository(`contoso/Payments/${name}`, { commits: 2 });
  await scene.emulator.createRepository(OWN);
  scene.emulator.git.anonymousRead.add('git.example.com/own/app');
  scene.emulator.git.basic.set('dana', 'her-own-password');
  daemon = await scene.daemon(configuration());
});
afterAll(() => scene.close());

function configuration(more = ''): string {
  const { git, caFile } = scene.emulator;
  return (
    scene.plainConfiguration.replace('routes:', '  own: { kind: passthrough }\nroutes:') +
    `  - { match: git.example.com/**, host: generic, identity: own, upstream: '${git.origin}/git.example.com', ca: ${caFile} }\n${more}`
  );
}

/** Gives out a lease, and gives it with its id. */
async function lease(args: readonly string[], at = daemon): Promise<{ text: string; id: string }> {
  const ran = await at.postern(['lease', 'create', ...args]);
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  const text = ran.stdout.trim();
  canaries.add(`lease ${canaries.size}`, text);
  return { text, id: /^Lease ([0-9a-f]{16})/m.exec(ran.stderr)?.[1] ?? '' };
}

async function fetchLease(at = daemon): Promise<{ text: string; id: string }> {
  return lease(['--repo', 'contoso/Payments/web', '--allow', 'fetch', '--for', '1h'], at);
}

async function narrow(text: string, args: readonly string[]): Promise<Ran> {
  const ran = await scene.postern(['lease', 'narrow', ...args], { env: { POSTERN_LEASE: text } });
  if (ran.code === 0) canaries.add(`lease ${canaries.size}`, ran.stdout.trim());
  return ran;
}

/** git with a lease in its environment, as a job has it; nothing of it stands in a command. */
async function git(
  text: string | undefined,
  args: readonly string[],
  options: RunOptions & { at?: RunningDaemon; header?: string } = {},
): Promise<Ran> {
  // An empty header is not sent, and the user of the daemon would pass without one.
  if (text === '') throw new Error('there is no lease to try');
  const base = (options.at ?? daemon).base;
  const header = options.header ?? `X-Postern-Lease: ${text ?? ''}`;
  const env =
    text === undefined ? {} : { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: `http.${base}/.extraHeader`, GIT_CONFIG_VALUE_0: header };
  const ran = await scene.git(args, { ...options, env: { ...env, ...options.env } });
  places.set(`git ${args.join(' ')} (${places.size})`, ran.stdout + ran.stderr);
  return ran;
}

function lsRemote(text: string | undefined, path = WEB, at = daemon): Promise<Ran> {
  return git(text, ['ls-remote', at.url(path)], { at });
}

function basicHeader(user: string, password: string, encoding: 'base64' | 'base64url' = 'base64'): string {
  const value = Buffer.from(`${user}:${password}`).toString(encoding);
  // Whoever finds this has found the lease.
  return `Authorization: Basic ${value}`;
}

describe('a lease', () => {
  test('opens what it names, in any spelling, and alone decides, also for the user of the daemon', async () => {
    const { text, id } = await lease(['--repo', 'contoso/Payments/web', '--allow', 'fetch', '--for', '2h', '--label', 'nightly build']);
    expect(await lsRemote(undefined, API)).toMatchObject({ code: 0 });
    for (const path of [
      WEB,
      'dev.azure.com/CONTOSO/payments/_git/WEB',
      'contoso.visualstudio.com/Payments/_git/web',
      'ssh.dev.azure.com/v3/contoso/Payments/web',
    ])
      expect((await lsRemote(text, path)).stderr, path).toBe('');
    const other = await lsRemote(text, API);
    expect(other.code).toBe(128);
    expect(other.stderr).toContain(
      `remote: postern: The lease ${id} (nightly build) is not for the repository dev.azure.com/contoso/Payments/api`,
    );
    expect(other.stderr).toContain('postern lease explain');

    const clone = join(scene.directory, 'clone');
    expect(await git(text, ['clone', '-q', daemon.url(WEB), clone])).toMatchObject({ code: 0, stderr: '' });
    await scene.git(['commit', '-q', '--allow-empty', '-m', 'more'], { cwd: clone });
    const pushed = await git(text, ['push', 'origin', 'HEAD'], { cwd: clone });
    expect(pushed.code).not.toBe(0);
    expect(pushed.stderr).toContain(`The lease ${id} (nightly build) allows fetch, not push`);
    const remotes = await scene.git(['remote', '-v'], { cwd: clone });
    places.set('git remote -v', remotes.stdout + remotes.stderr);
    places.set('.git/config of a clone', await readFile(join(clone, '.git', 'config'), 'utf8'));
  });

  test('is taken as user or password, in any base64, and as bearer', async () => {
    const { text } = await fetchLease();
    for (const header of [
      basicHeader('git', text),
      basicHeader('git', text, 'base64url'),
      basicHeader(text, ''),
      basicHeader(text, 'x-oauth-basic'),
      basicHeader('', text).replace(/=+$/, ''),
      `Authorization: Bearer ${text}`,
    ])
      expect((await git(text, ['ls-remote', daemon.url(WEB)], { header })).stderr, header.slice(0, 20)).toBe('');
    expect(await lsRemote(undefined)).toMatchObject({ code: 0 });
  });

  test('that is not right is refused, and never passed over', async () => {
    const { text } = await fetchLease();
    const { text: second } = await fetchLease();
    const changed = `${text.slice(0, 40)}${text[40] === 'A' ? 'B' : 'A'}${text.slice(41)}`;
    for (const [wrong, what] of [
      [changed, 'The lease '],
      [text.slice(0, -4), 'The lease '],
      ['ptl1_', 'The lease '],
      ['hello', 'The lease does not begin with ptl1_'],
    ] as const) {
      const ran = await lsRemote(wrong);
      expect(ran.code).toBe(128);
      expect(ran.stderr).toContain(`remote: postern: ${what}`);
      expect(ran.stderr).not.toContain('dev.azure.com/contoso: ');
    }
    const two = await ask(`${daemon.base}/${WEB}/info/refs?service=git-upload-pack`, {
      headers: { 'x-postern-lease': text, authorization: basicHeader('git', second).replace('Authorization: ', '') },
    });
    expect([two.status, two.body.toString()]).toEqual([403, expect.stringContaining('The request carries more than one lease')]);
  });

  test('never goes upstream, not even where the caller\u2019s own credential does', async () => {
    const { text } = await lease(['--repo', 'git.example.com/own/app', '--allow', 'fetch', '--for', '1h']);
    const seen = scene.emulator.git.seen;
    const from = seen.length;
    const bad = `${text.slice(0, -1)}${text.endsWith('A') ? 'B' : 'A'}`;
    for (const header of [
      basicHeader('git', bad),
      `Authorization: Bearer ${bad}`,
      `Authorization: ${text}`,
      `Authorization: token ${text}`,
    ])
      expect((await git(text, ['ls-remote', daemon.url(OWN)], { header })).code).toBe(128);
    expect(seen.slice(from)).toEqual([]);
    for (const header of [basicHeader('git', text), `Authorization: Bearer ${text}`, `X-Postern-Lease: ${text}`])
      expect(await git(text, ['ls-remote', daemon.url(OWN)], { header })).toMatchObject({ code: 0 });
    expect(seen.slice(from).length).toBeGreaterThan(2);
    expect(new Set(seen.slice(from).map(({ authorization }) => authorization))).toEqual(new Set(['none']));
    for (const { headers } of seen.slice(from)) expect(JSON.stringify(headers)).not.toContain('ptl1_');
    // One's own credential beside a lease is still one's own.
    const both = seen.length;
    const own = await ask(`${daemon.base}/${OWN}/info/refs?service=git-upload-pack`, {
      headers: { 'x-postern-lease': text, authorization: `Basic ${Buffer.from('dana:her-own-password').toString('base64')}` },
    });
    expect(own.status).toBe(200);
    expect(seen.slice(both).map(({ authorization }) => authorization)).toEqual(['basic']);
  });

  test('ends when it says', async () => {
    const { text, id } = await lease(['--repo', 'contoso/Payments/web', '--allow', 'fetch', '--for', '2s']);
    await vi.waitFor(
      async () => {
        const ran = await lsRemote(text);
        expect(ran.stderr).toMatch(new RegExp(`The lease ${id} ended at 20[0-9-]+T[0-9:.]+Z`));
      },
      { timeout: 30_000, interval: 200 },
    );
    const explained = await daemon.postern(['lease', 'explain'], { env: { POSTERN_LEASE: text } });
    expect(explained).toMatchObject({ code: 1, stdout: expect.stringContaining('no: it has ended') as string });
  });

  test('for an address or a user is for no other', async () => {
    const own = process.getuid?.() ?? 0;
    const right = await lease(['--repo', 'contoso/**', '--allow', 'fetch', '--for', '1h', '--from', '127.0.0.0/8', '--uid', String(own)]);
    expect(await lsRemote(right.text)).toMatchObject({ code: 0 });
    const elsewhere = await lease(['--repo', 'contoso/**', '--allow', 'fetch', '--for', '1h', '--from', '10.0.0.0/8']);
    expect((await lsRemote(elsewhere.text)).stderr).toContain(`The lease ${elsewhere.id} may not be used from 127.0.0.1`);
    const other = await lease(['--repo', 'contoso/**', '--allow', 'fetch', '--for', '1h', '--uid', String(own + 1)]);
    expect((await lsRemote(other.text)).stderr).toContain(`The lease ${other.id} is for another local user`);
  });

  test.runIf(process.getuid?.() === 0)('admits a user whom the door does not serve (as root only)', async () => {
    const { text } = await fetchLease();
    const curl = (header: string): Promise<Ran> =>
      scene.git(
        ['-c', 'alias.ask=!setpriv --reuid=12345 --regid=12345 --clear-groups curl -sS --config - -o - -w " %{http_code}"', 'ask'],
        {
          input: `url = "${daemon.base}/${WEB}/info/refs?service=git-upload-pack"\n${header}`,
        },
      );
    expect((await curl('')).stdout).toMatch(/This door does not serve the local user with uid 12345[^]* 403$/);
    expect((await curl(`header = "X-Postern-Lease: ${text}"\n`)).stdout).toMatch(/refs\/heads\/main[^]* 200$/);
  });
});

describe('lease narrow', () => {
  test('takes away without asking anybody, and gives nothing', async () => {
    const { text, id } = await lease([
      '--repo',
      'contoso/Payments/*',
      '--allow',
      'fetch,push',
      '--ref',
      'refs/heads/agent/*',
      '--for',
      '1h',
      '--label',
      'agent 7',
    ]);
    expect(await lsRemote(text, API)).toMatchObject({ code: 0 });
    const narrowed = await narrow(text, ['--repo', 'contoso/Payments/web', '--allow', 'fetch', '--for', '10m']);
    expect(narrowed.stderr).toMatch(new RegExp(`^Lease [0-9a-f]{16}, a part of ${id}, ends 20`));
    const child = narrowed.stdout.trim();
    const childId = /^Lease ([0-9a-f]{16})/.exec(narrowed.stderr)?.[1] ?? '';
    expect(await lsRemote(child)).toMatchObject({ code: 0 });
    expect((await lsRemote(child, API)).stderr).toContain(`The lease ${childId} (agent 7) is not for the repository`);
    const viaStdin = await scene.postern(['lease', 'narrow', '-', '--allow', 'fetch'], {
      input: `${text}\n`,
      env: { POSTERN_LEASE: 'other' },
    });
    expect(viaStdin).toMatchObject({ code: 0 });
    canaries.add('stdin', viaStdin.stdout.trim());
    expect(await lsRemote(viaStdin.stdout.trim(), API)).toMatchObject({ code: 0 });

    for (const [args, what] of [
      [['--repo', 'contoso/Other/web'], 'The lease is not for dev.azure.com/contoso/other/web, and narrowing gives nothing new'],
      [['--allow', 'fetch,api'], 'The lease does not allow api, and narrowing gives nothing new'],
      [[], 'Nothing says how the lease is to be narrowed'],
      [['--ref', 'main'], '--ref main is no glob of refs'],
    ] as const)
      expect(await narrow(text, args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(what) as string });
    expect(await narrow('hello', ['--allow', 'fetch'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('What was given is no lease') as string,
    });

    const explained = await daemon.postern(['lease', 'explain'], { env: { POSTERN_LEASE: child } });
    expect(explained.code).toBe(0);
    expect(explained.stdout).toMatch(new RegExp(`^lease ${childId} \\(agent 7\\)\n  valid      yes, says the daemon\n`));
    expect(explained.stdout).toContain(
      `granted as ${id}\n  for        dev.azure.com/contoso/payments/*\n  allows     fetch, push\n  pushes to  refs/heads/agent/*`,
    );
    expect(explained.stdout).toContain(`narrowed as ${childId} to\n  for        dev.azure.com/contoso/payments/web\n  allows     fetch\n`);
    const whole = await daemon.postern(['lease', 'explain', '-'], { input: text });
    expect(whole.stdout).toContain('update includes a rewrite (force push)');
    const json = await scene.postern(['lease', 'explain', '--json'], { env: { POSTERN_LEASE: text } });
    expect(JSON.parse(json.stdout)).toMatchObject({ id, label: 'agent 7', standing: 'not known: no daemon answers here' });
    for (const [name, ran] of Object.entries({ explained, whole, json })) places.set(`lease explain, ${name}`, ran.stdout + ran.stderr);
  });
});

describe('lease create', () => {
  test('writes a file that only its owner can read, and goes through no link', async () => {
    const file = join(scene.directory, 'lease.txt');
    const args = ['--repo', 'contoso/**', '--allow', 'fetch', '--for', '1h', '--output'];
    const made = await daemon.postern(['lease', 'create', ...args, file]);
    expect(made).toMatchObject({ code: 0, stdout: '' });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const text = (await readFile(file, 'utf8')).trim();
    canaries.add('of a file', text);
    expect(await lsRemote(text)).toMatchObject({ code: 0 });
    const link = join(scene.directory, 'link.txt');
    await symlink(join(scene.directory, 'elsewhere'), link);
    const linked = await daemon.postern(['lease', 'create', ...args, link]);
    expect(linked).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('it is a link, a directory or a device') as string,
    });
    expect(await readdir(scene.directory)).not.toContain('elsewhere');
  });

  test('says what to write where something is missing, and needs a daemon', async () => {
    const without = await daemon.postern(['lease', 'create', '--repo', 'contoso/**', '--allow', 'push', '--for', '1h']);
    expect(without).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("add --ref 'refs/heads/agent/*', or --ref 'refs/**'") as string,
    });
    const wrong = await daemon.postern(['lease', 'create', '--repo', 'contoso', '--allow', 'fetch', '--for', '1h']);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('The repository contoso names no repository') as string });
    const alone = await scene.postern(['lease', 'create', '--repo', 'contoso/**', '--allow', 'fetch', '--for', '1h']);
    expect(alone).toMatchObject({ code: 1, stderr: expect.stringContaining('No postern is running') as string });
    const tags = await daemon.postern([
      'lease',
      'create',
      '--repo',
      'contoso/**',
      '--allow',
      'push',
      '--ref',
      'refs/tags/v*',
      '--for',
      '1h',
    ]);
    canaries.add('tags', tags.stdout.trim());
    expect(tags).toMatchObject({ code: 0, stderr: expect.stringContaining('that needs `tag` in --changes') as string });
  });

  test('on the command line a lease is refused and not repeated', async () => {
    const { text } = await fetchLease();
    for (const args of [
      ['explain', text],
      ['narrow', text, '--allow', 'fetch'],
      ['revoke', text],
      ['create', text],
      ['list', text],
    ]) {
      const ran = await daemon.postern(['lease', ...args]);
      expect(ran.code, args[0]).toBe(2);
      places.set(`postern lease ${args[0] ?? ''} with a lease`, ran.stdout + ran.stderr);
      if (args[0] !== 'create' && args[0] !== 'list') expect(ran.stderr).toContain('A lease does not belong on the command line');
    }
  });
});

describe('what was ended stays so', () => {
  test('a revoked id takes its descendants with it, not its siblings, over a restart', async () => {
    const parent = await lease(['--repo', 'contoso/**', '--allow', 'fetch', '--for', '1h', '--label', 'parent']);
    const narrowed = await Promise.all(['api', 'web'].map((name) => narrow(parent.text, ['--repo', `contoso/Payments/${name}`])));
    const [one, two] = narrowed.map(({ stdout }) => stdout.trim());
    const grandchild = (await narrow(two ?? '', ['--for', '5m'])).stdout.trim();
    const other = await fetchLease();
    const childId = /^Lease ([0-9a-f]{16})/.exec(narrowed[1]?.stderr ?? '')?.[1] ?? '';
    expect(await lsRemote(grandchild)).toMatchObject({ code: 0 });

    const revoked = await daemon.postern(['lease', 'revoke', childId]);
    expect(revoked).toMatchObject({
      code: 0,
      stdout: `Revoked ${childId}, and all that come from it\n`,
      stderr: expect.stringContaining('not given out here') as string,
    });
    const check = async (at: RunningDaemon): Promise<void> => {
      expect((await lsRemote(two, WEB, at)).stderr).toContain(`The lease ${childId} (parent) was revoked`);
      expect((await lsRemote(grandchild, WEB, at)).stderr).toContain(`was revoked, with all that come from ${childId}`);
      expect(await lsRemote(one, API, at)).toMatchObject({ code: 0 });
      expect(await lsRemote(parent.text, WEB, at)).toMatchObject({ code: 0 });
    };
    await check(daemon);
    expect(await daemon.stop()).toBe(0);
    places.set('the log of the first daemon', daemon.output);
    daemon = await scene.daemon(configuration());
    await check(daemon);

    const byText = await daemon.postern(['lease', 'revoke', '-'], { input: parent.text });
    expect(byText).toMatchObject({ code: 0, stdout: `Revoked ${parent.id}, and all that come from it\n`, stderr: '' });
    for (const text of [parent.text, one, grandchild]) expect((await lsRemote(text, API)).code).toBe(128);
    expect(await lsRemote(other.text)).toMatchObject({ code: 0 });
    const list = JSON.parse((await daemon.postern(['lease', 'list', '--json'])).stdout) as {
      id: string;
      revokedAt?: string;
      grant: string;
    }[];
    expect(list.find(({ id }) => id === parent.id)).toMatchObject({ label: 'parent', grant: 'dev.azure.com/contoso/**; fetch' });
    expect(list.find(({ id }) => id === parent.id)?.revokedAt).toBeDefined();
    expect(list.find(({ id }) => id === other.id)?.revokedAt).toBeUndefined();
    expect((await daemon.postern(['lease', 'list'])).stdout).toContain(`${parent.id} (parent)  ends `);
    const explained = await daemon.postern(['lease', 'explain'], { env: { POSTERN_LEASE: parent.text } });
    expect(explained).toMatchObject({ code: 1, stdout: expect.stringContaining('no: The lease') as string });
    expect(await daemon.postern(['lease', 'revoke', 'xyz'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('This is no id of a lease') as string,
    });
  });

  test('a new key leaves leases as they are, and giving up the old ones ends them, at once and over a restart', async () => {
    const old = await fetchLease();
    expect(await daemon.postern(['lease', 'rotate'])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('older leases stay good') as string,
    });
    const young = await fetchLease();
    for (const { text } of [old, young]) expect(await lsRemote(text)).toMatchObject({ code: 0 });
    expect((await daemon.postern(['lease', 'rotate', '--forget-old'])).stdout).toContain('every older lease has ended');
    const newest = await fetchLease();
    for (const at of [daemon, undefined]) {
      if (at === undefined) {
        await daemon.stop();
        daemon = await scene.daemon(configuration());
      }
      for (const { text } of [old, young])
        expect((await lsRemote(text)).stderr).toContain('The lease is sealed with a key that this daemon does not have');
      expect(await lsRemote(newest.text)).toMatchObject({ code: 0 });
    }
    expect(JSON.parse((await daemon.postern(['lease', 'list', '--json'])).stdout)).toHaveLength(1);
  });
});

describe('the state directory', () => {
  const state = (): string => join(scene.home, '.local', 'state', 'postern');

  test('holds keys for their owner alone; a daemon does not start with what is open, damaged or gone', async () => {
    await fetchLease();
    const keys = join(state(), 'lease-keys');
    const list = join(state(), 'leases.json');
    for (const file of [keys, list]) expect((await stat(file)).mode & 0o777).toBe(0o600);
    const starts = (): Promise<unknown> =>
      scene.daemon(configuration()).then(
        () => 'started',
        (fault: unknown) => String(fault),
      );
    // The state directory is one daemon's at a time.
    await daemon.kill();
    places.set('the log of a daemon before', daemon.output);
    await chmod(keys, 0o644);
    expect(await starts()).toMatch(/others can read or write it: its mode is 644[^]*chmod 600/);
    await chmod(keys, 0o600);
    const good = await readFile(list);
    await writeFile(list, good.subarray(0, good.length - 20));
    expect(await starts()).toContain('cannot be used (it is no JSON, or was cut), so it is not known which are revoked');
    await rename(list, `${list}.away`);
    expect(await starts()).toContain('the list leases.json of revoked ones is gone');
    await writeFile(list, good, { mode: 0o600 });
    daemon = await scene.daemon(configuration());
  });

  test('two daemons with the same keys take the same leases, from a file, a credential, a command or a variable', async () => {
    const shared = join(scene.directory, 'shared-keys');
    const line = `00000000000000aa ${Buffer.alloc(32, 9).toString('base64')}`;
    canaries.add('a root key', line.split(' ')[1] ?? '');
    await writeFile(shared, `${line}\n`, { mode: 0o600 });
    const env = (n: number): Record<string, string> => ({ POSTERN_STATE_DIRECTORY: join(scene.directory, `state-${n}`) });
    const issuer = await scene.daemon(configuration(`access: { leaseKey: { file: ${shared} } }\n`), { env: env(1) });
    const { text } = await fetchLease(issuer);
    const references: readonly (readonly [string, Record<string, string>])[] = [
      ['{ env: LEASE_KEYS }', { LEASE_KEYS: line }],
      ['{ credential: shared-keys }', { CREDENTIALS_DIRECTORY: scene.directory }],
      [`{ command: [cat, ${shared}] }`, {}],
    ];
    for (const [n, [reference, more]] of references.entries()) {
      const verifier = await scene.daemon(configuration(`access: { leaseKey: ${reference} }\n`), { env: { ...env(n + 2), ...more } });
      expect(await lsRemote(text, WEB, verifier), reference).toMatchObject({ code: 0 });
      places.set(`environment of ${reference}`, await readFile(`/proc/${verifier.pid}/cmdline`, 'latin1'));
      expect(await verifier.postern(['lease', 'rotate'])).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('come from `access.leaseKey`') as string,
      });
      places.set(`log with ${reference}`, verifier.output);
      await verifier.kill();
    }
    expect((await lsRemote(text)).stderr).toContain('a key that this daemon does not have');
    await writeFile(shared, `00000000000000bb ${Buffer.alloc(32, 8).toString('base64')}\n`);
    expect((await lsRemote(text, WEB, issuer)).stderr).toContain('a key that this daemon does not have');
    await issuer.kill();
    const missing = await scene.postern(
      ['config', 'check', '--config', await scene.writeConfiguration(configuration('access: { leaseKey: { env: NONE_SUCH } }\n'))],
      {
        env: { SP_SECRET: 'x' },
      },
    );
    expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('access.leaseKey: the variable is not set') as string });
  });
});

test('no lease is in an argv, a log, an error, a state file, status or git remote -v', async () => {
  const { text } = await lease(['--repo', 'contoso/**', '--allow', 'fetch', '--for', '1h']);
  scene.emulator.git.faults.set('contoso/Payments/web', { kind: 'soft-throttle', step: 'any', delayMs: 1_000, times: 2 });
  const seen = new Set<string>();
  const clone = join(scene.directory, 'watched');
  const running = git(text, ['clone', '-q', daemon.url(WEB), clone]);
  const ended = running.then(() => true);
  while (!(await Promise.race([ended, sleep(20, false)])))
    for (const pid of (await readdir('/proc')).filter((name) => /^[0-9]+$/.test(name)))
      seen.add(await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => ''));
  expect(await running).toMatchObject({ code: 0 });
  expect([...seen].some((line) => line.includes('remote-http'))).toBe(true);
  places.set('argv of every process', [...seen].join('\n'));
  for (const args of [['status'], ['status', '--json'], ['lease', 'list'], ['lease', 'list', '--json']]) {
    const ran = await daemon.postern(args);
    places.set(`postern ${args.join(' ')}`, ran.stdout + ran.stderr);
  }
  await daemon.stop();
  places.set('the log of the daemon', daemon.output);
  expect(daemon.output).toContain('request-finished');
  expect(daemon.output).toMatch(/"lease":"lease [0-9a-f]{16}"/);
  for (const [file, content] of await filesBelow(scene.home)) places.set(file, content);
  expect(canaries.size).toBeGreaterThan(20);
  const keys = await readFile(join(scene.home, '.local', 'state', 'postern', 'lease-keys'), 'utf8');
  for (const [n, key] of keys.trim().split('\n').entries()) canaries.add(`key ${n}`, key.split(' ')[1] ?? '');
  places.delete(join(scene.home, '.local', 'state', 'postern', 'lease-keys'));
  expect(canaries.inAll(places)).toEqual([]);
});
