/**
 * The gate stands behind the SSH door as it does behind the HTTP door: who may come in, rules for refs, `postern kill`, draining
 * and the audit, with real users, git and OpenSSH.
 */
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Ran, run, type RunningDaemon, Scene } from '../support/scene.js';

const IS_ROOT = process.getuid?.() === 0;
/** Of the user `daemon`, which every Debian has: OpenSSH does not run for a uid without a name. */
const OTHER = 1;
/** Becomes the other user. */
const AS_OTHER = ['setpriv', `--reuid=${OTHER}`, `--regid=${OTHER}`, '--clear-groups', '--'] as const;
const PATH = 'ssh.dev.azure.com/v3/contoso/Payments/web';
/** A bound for polls that end as soon as they are true. */
const SETTLE_MS = 20_000;
const LOOK_MS = 20;

let scene: Scene;
let env: Readonly<Record<string, string>>;
/** Where the other user may write. */
let theirs: string;
let work: string;
const daemons: RunningDaemon[] = [];

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  await scene.emulator.createRepository('contoso/Payments/large', { commits: 1, largeFileBytes: 20 * 1024 * 1024 });
  env = await scene.sshEnvironment();
  theirs = await mkdtemp(join(tmpdir(), 'postern-other-'));
  await chmod(theirs, 0o777);
  work = join(scene.directory, 'work');
}, 60_000);

afterEach(async () => {
  scene.emulator.git.faults.clear();
  scene.emulator.git.seen.length = 0;
  await Promise.all(daemons.splice(0).map((daemon) => daemon.kill()));
});

afterAll(async () => {
  await rm(theirs, { recursive: true, force: true });
  await scene.close();
});

async function start({ more = '', route = '' } = {}): Promise<RunningDaemon> {
  const text = scene.plainConfiguration
    .replace('listen: { http: 127.0.0.1:0 }', 'listen: { http: 127.0.0.1:0, ssh: 127.0.0.1:0 }')
    .replace(/(- \{ match: [^\n]*) \}\n/, `$1${route} }\n`);
  const daemon = await scene.daemon(`${text}${more}`);
  daemons.push(daemon);
  return daemon;
}

function ssh(daemon: RunningDaemon, options: readonly string[], command: string): [string, string[]] {
  const quiet = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes', 'IdentityAgent=none'];
  return [
    'ssh',
    ['-F', 'none', '-p', String(daemon.sshPort), ...quiet.flatMap((each) => ['-o', each]), ...options, 'git@127.0.0.1', command],
  ];
}

/** Asks for the refs of the repository as the other user. */
function asOther(daemon: RunningDaemon, more: Readonly<Record<string, string>> = {}, options: readonly string[] = []): Promise<Ran> {
  const [program, args] = ssh(daemon, options, `git-upload-pack '/${PATH}'`);
  const [become, ...rest] = [...AS_OTHER, program, ...args];
  return run(become, rest, { cwd: theirs, env: { ...scene.environment, HOME: theirs, ...more } });
}

async function until<Value>(what: string, look: () => Promise<Value | undefined>): Promise<Value> {
  const startedAt = performance.now();
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (performance.now() - startedAt > SETTLE_MS) throw new Error(`${what}: not within ${SETTLE_MS} ms`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** Another user is one that only root can become. */
describe.runIf(IS_ROOT)('another local user', () => {
  test('signs in as nobody, and no command of theirs is served', async () => {
    const daemon = await start();
    const { code, stdout } = await asOther(daemon);
    expect(code).toBe(128);
    expect(stdout.slice(4)).toBe(
      `ERR postern: This door does not serve the local user with uid ${OTHER}\n` +
        '  what to do: use a Postern of your own, ask its owner for a lease (`postern lease create`), or to be listed in `access.uids`; ' +
        'ssh passes a lease on with `SendEnv POSTERN_LEASE`\n  more: postern explain caller-refused',
    );
    expect(scene.emulator.git.seen).toEqual([]);
    expect((await daemon.logged(({ event }) => event === 'request-refused'))['code']).toBe('caller-refused');
  });

  test('is served when `access.uids` lists them', async () => {
    const daemon = await start({ more: `access: { uids: [${OTHER}] }\n` });
    expect((await asOther(daemon)).stdout).toContain('refs/heads/main');
  });

  test('is served with a lease that ssh passes on, as far as that goes, and it is seen nowhere', async () => {
    const daemon = await start();
    const made = await daemon.postern(['lease', 'create', '--repo', 'contoso/Payments/web', '--allow', 'fetch', '--for', '1h']);
    const lease = made.stdout.trim();
    const served = await asOther(daemon, { POSTERN_LEASE: lease }, ['-o', 'SendEnv=POSTERN_LEASE']);
    expect(served.stdout).toContain('refs/heads/main');
    expect(daemon.output).not.toContain(lease);
    const without = await asOther(daemon, { POSTERN_LEASE: lease });
    expect(without.stdout).toContain(`ERR postern: This door does not serve the local user with uid ${OTHER}`);
  });
});

test('the own user needs no key and no configuration, whatever keys an agent would offer', async () => {
  const daemon = await start({
    more: 'access: { keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILEn2PgdtofrGdR+X44Bqr6N46ulbzAVbcLBJmwUtbIs ada] }\n',
  });
  const [program, args] = ssh(daemon, [], `git-upload-pack '/${PATH}'`);
  expect((await run(program, args, { env: scene.environment })).stdout).toContain('refs/heads/main');
});

test('with `access.local: lease` nobody comes in without one', async () => {
  const daemon = await start({ more: 'access: { local: lease }\n' });
  const ran = await scene.git(['ls-remote', daemon.sshUrl(PATH)], { env });
  expect(ran.code).toBe(128);
  expect(ran.stderr).toContain('fatal: remote error: postern: This door needs a lease, and none came with the request\n');
  expect(scene.emulator.git.seen).toEqual([]);
});

test('rules for refs hold, nothing of a refused push goes up, and the audit names the refs', async () => {
  const daemon = await start({ route: ', refs: { protect: [refs/heads/main] }' });
  const clone = join(scene.directory, 'refs');
  expect(await scene.git(['clone', '-q', daemon.sshUrl(PATH), clone], { env })).toMatchObject({ code: 0 });
  await writeFile(join(clone, 'more.txt'), 'more\n');
  await scene.git(['add', '.'], { cwd: clone });
  await scene.git(['commit', '-qm', 'more'], { cwd: clone });
  scene.emulator.git.seen.length = 0;
  const refused = await scene.git(['push', 'origin', 'HEAD:refs/heads/main', 'HEAD:refs/heads/agent'], { cwd: clone, env });
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain(' ! [remote rejected] HEAD -> main (postern: the route dev.azure.com/** protects refs/heads/main)\n');
  expect(refused.stderr).toContain(' ! [remote rejected] HEAD -> agent (postern: not pushed, because refs/heads/main was refused)\n');
  expect(refused.stderr).toContain('remote: postern: The push was refused because of refs/heads/main');
  expect(scene.emulator.git.seen.filter(({ method }) => method === 'POST')).toEqual([]);
  const passed = await scene.git(['push', '-q', 'origin', 'HEAD:refs/heads/agent'], { cwd: clone, env });
  expect(passed).toMatchObject({ code: 0, stderr: '' });
  await daemon.stop();
  const audit = await daemon.postern(['audit', '--json']);
  const records = audit.stdout
    .trim()
    .split('\n')
    // The daemons of the other tests write to the same one.
    .slice(-3)
    .map((line) => JSON.parse(line) as { door?: string; operation: string; verdict: string; step: string; refs?: { ref: string }[] });
  expect(records.map(({ door, operation, step, verdict, refs }) => [door, operation, step, verdict, refs?.map(({ ref }) => ref)])).toEqual([
    ['ssh', 'fetch', 'session', 'passed', undefined],
    ['ssh', 'push', 'session', 'refused', ['refs/heads/main', 'refs/heads/agent']],
    ['ssh', 'push', 'session', 'passed', ['refs/heads/agent']],
  ]);
  expect((await daemon.postern(['audit', 'verify'])).code).toBe(0);
});

/** Starts a clone that the upstream holds back half-way, and gives its number. */
async function heldClone(daemon: RunningDaemon, directory: string): Promise<{ cloning: Promise<Ran>; id: number }> {
  scene.emulator.git.faults.set('contoso/Payments/large', { kind: 'stall', step: 'exchange', skip: 1, afterBytes: 1024 * 1024 });
  const cloning = scene.git(['clone', '-q', daemon.sshUrl(PATH.replace('/web', '/large')), directory], { env });
  const id = await until('the clone', async () => (await daemon.status()).running.find(({ bytesDown }) => bytesDown > 500_000)?.id);
  return { cloning, id };
}

test('`postern kill` ends a clone, and its user reads why', async () => {
  const daemon = await start();
  const directory = join(scene.directory, 'killed');
  const { cloning, id } = await heldClone(daemon, directory);
  expect((await daemon.postern(['status'])).stdout).toContain(`ssh://127.0.0.1:${daemon.sshPort}`);
  expect((await daemon.postern(['kill', String(id)])).code).toBe(0);
  const { code, stderr } = await cloning;
  expect(code).toBe(128);
  expect(stderr).toContain('postern: The operation was ended by `postern kill`\n');
  expect((await daemon.status()).operations['killed']).toBe(1);
  await until('the upstream', async () => ((await daemon.status()).upstreams.every(({ busy }) => busy === 0) ? true : undefined));
});

test('a stopping daemon refuses new commands, lets the running one go on, and cuts it when its time is over', async () => {
  const daemon = await start({ more: 'drain: { min: 2s, max: 4s }\n' });
  const { cloning } = await heldClone(daemon, join(scene.directory, 'drained'));
  const ended = daemon.stop('SIGTERM');
  await daemon.logged(({ event }) => event === 'stopping');
  // Until drain.min it is still open.
  expect((await scene.git(['ls-remote', '-q', daemon.sshUrl(PATH)], { env })).code).toBe(0);
  expect(await ended).toBe(143);
  const { code, stderr } = await cloning;
  expect(code).toBe(128);
  expect(stderr).not.toBe('');
  expect(daemon.log.some(({ event, repository }) => event === 'transfer-cut' && String(repository).endsWith('/large'))).toBe(true);
});

test('`postern route explain` says how SSH remotes are served', async () => {
  const key = `SHA256:${'a'.repeat(43)}`;
  const routes = [
    'routes:',
    `  - { match: git.example.com/**, host: generic, identity: nobody, ssh: agent, key: '${key}', sshUpstream: 'ssh://git@10.0.0.1:2222' }`,
    '  - { match: dev.azure.com/**, identity: azure-cli }',
    '',
  ].join('\n');
  const explain = async (address: string, more = ''): Promise<string> => {
    const file = await scene.writeConfiguration(`identities: { nobody: { kind: none } }\n${routes}${more}`);
    return (await scene.postern(['route', 'explain', address, '--config', file])).stdout;
  };
  expect(await explain('git@git.example.com:team/tools')).toContain(
    `over SSH   signed by an ssh-agent at ssh://git@10.0.0.1:2222, with ${key}\n`,
  );
  expect(await explain('git@ssh.dev.azure.com:v3/contoso/Payments/web')).toContain(
    'over SSH   bridged to the upstream above, as azure-cli; no key is needed\n',
  );
  expect(await explain('git@ssh.dev.azure.com:v3/contoso/Payments/web', 'listen: { ssh: off }\n')).toContain(
    'over SSH   not served: listen.ssh is off\n',
  );
});

test('a second address, and what is not there to listen on', async () => {
  const daemon = await start();
  const taken = await scene
    .daemon(`listen: { http: 127.0.0.1:0, ssh: 127.0.0.1:${daemon.sshPort} }\n`)
    .catch((fault: unknown) => String(fault));
  expect(taken).toContain(`The SSH door cannot listen on 127.0.0.1:${daemon.sshPort} (in use by `);
  expect(taken).toContain('what to do: stop what uses the port, or set `listen.ssh` to another one');
});

test('the door keeps its key over a restart', async () => {
  await mkdir(work, { recursive: true });
  const first = await start();
  const scan = (daemon: RunningDaemon): Promise<Ran> =>
    run('ssh-keyscan', ['-p', String(daemon.sshPort), '127.0.0.1'], { env: scene.environment });
  const shown = (await scan(first)).stdout.split(' ').slice(1).join(' ');
  expect(shown).toMatch(/^ssh-ed25519 /);
  await first.stop();
  const second = await start();
  expect((await scan(second)).stdout.split(' ').slice(1).join(' ')).toBe(shown);
});
