/**
 * Who may use the door, with real users. Another user of the machine gets nothing, on any path; our own gets in without a word
 * of configuration. Another user is one that this machine may not know by name: root can be any (`setpriv`), so what needs a
 * second user runs as root only, and is skipped by name elsewhere.
 *
 * The attack of "leaves at once": a whole push is sent and the process ends. What it leaves behind is an orphan in the kernel's
 * table, whose uid reads as 0, which is whom the daemon serves when it runs as root.
 */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ask } from '../support/plain-request.js';
import { type Ran, run, type RunningDaemon, Scene } from '../support/scene.js';

const IS_ROOT = process.getuid?.() === 0;
const OTHER = 12346;
/** Becomes the other user. 65534 would be nobody: the uid that the kernel shows for all that it cannot tell. */
const AS_OTHER = ['setpriv', `--reuid=${OTHER}`, `--regid=${OTHER}`, '--clear-groups', '--'] as const;
/** Hides the kernel's tables in a mount namespace, as a container or a unit without /proc does. */
const HIDE_TABLES = 'mount -t tmpfs none /proc';
const CAN_UNSHARE = succeeds('unshare', '-Ur', 'true');

const WEB = 'dev.azure.com/contoso/Payments/_git/web';
const REFS = `${WEB}/info/refs?service=git-upload-pack`;
const NOT_SERVED = `postern: This door does not serve the local user with uid ${OTHER}`;
/**
 * More than the door reads of a body before it knows the caller, which is two buffers: so the end of the connection stands behind
 * it unread. Node.js drops a request when it has read that, and nothing would be shown here.
 */
const STOLEN_BYTES = 160 * 1024;
/** A bound for polls that end as soon as they are true. */
const SETTLE_MS = 30_000;

let scene: Scene;
/** Where the other user may write. */
let theirs: string;
/** Of the repository that is attacked. */
let repository: string;
const daemons: RunningDaemon[] = [];

beforeAll(async () => {
  scene = await Scene.open();
  repository = await scene.emulator.createRepository('contoso/Payments/web');
  theirs = await mkdtemp(join(tmpdir(), 'postern-other-'));
  await chmod(theirs, 0o777);
});
beforeEach(() => {
  scene.emulator.git.seen.length = 0;
  scene.emulator.sts.tokenRequests.length = 0;
});
afterEach(async () => {
  await Promise.all(daemons.splice(0).map((daemon) => daemon.kill()));
});
afterAll(async () => {
  await rm(theirs, { recursive: true, force: true });
  await scene.close();
});

async function start(access = '', options: Parameters<Scene['daemon']>[1] = {}): Promise<RunningDaemon> {
  const daemon = await scene.daemon(`${scene.plainConfiguration}${access}`, options);
  daemons.push(daemon);
  return daemon;
}

/** Runs a program as the other user, with an empty home. */
function asOther(program: string, args: readonly string[]): Promise<Ran> {
  const [become, ...rest] = [...AS_OTHER, program, ...args];
  return run(become, rest, { cwd: theirs, env: { ...scene.environment, HOME: theirs } });
}

/** A lease for fetching the repository. */
async function leaseOf(daemon: RunningDaemon): Promise<string> {
  const made = await daemon.postern(['lease', 'create', '--repo', 'contoso/Payments/web', '--allow', 'fetch', '--for', '1h']);
  expect(made.code, made.stderr).toBe(0);
  return made.stdout.trim();
}

/** Nothing has been asked of anyone on the daemon's behalf. */
function expectNothingWentUp(): void {
  expect(scene.emulator.git.seen).toEqual([]);
  expect(scene.emulator.sts.tokenRequests).toEqual([]);
}

test('our own user is served with no configuration, over each of the addresses', async () => {
  const daemon = await start('', { args: ['--listen-http', 'localhost:0'] });
  const bases = daemon.log.filter(({ event }) => event === 'listening').map(({ address }) => String(address));
  expect(bases).toHaveLength(2);
  for (const base of bases) expect(await scene.git(['ls-remote', `${base}/${WEB}`, 'main'])).toMatchObject({ code: 0, stderr: '' });
  const status = await daemon.postern(['status']);
  expect(status.stdout).toContain('\n  who may use it the user of the daemon, and holders of leases\n');
});

test('our own user is refused what was passed on, and served it with a lease, without the headers going up', async () => {
  const daemon = await start();
  for (const header of ['Via: 1.1 proxy', 'Forwarded: for=10.0.0.7', 'X-Forwarded-For: 10.0.0.7']) {
    const ran = await scene.git(['-c', `http.extraHeader=${header}`, 'ls-remote', daemon.url(WEB)]);
    expect(ran.code).toBe(128);
    expect(ran.stderr).toContain(
      `remote: postern: The request carries the header ${header.split(':')[0]?.toLowerCase() ?? ''}, so it came`,
    );
    expect(ran.stderr).toContain('remote:   what to do: let git come to the door directly, or give whoever asks a lease');
  }
  expectNothingWentUp();
  const lease = await leaseOf(daemon);
  const passedOn = { via: '1.1 proxy', forwarded: 'for=10.0.0.7', 'x-forwarded-for': '10.0.0.7', 'x-real-ip': '10.0.0.7' };
  expect((await ask(daemon.url(REFS), { headers: { ...passedOn, 'X-Postern-Lease': lease } })).status).toBe(200);
  expect(scene.emulator.git.seen).toHaveLength(1);
  for (const name of [...Object.keys(passedOn), 'x-postern-lease']) expect(scene.emulator.git.seen[0]?.headers).not.toHaveProperty(name);
});

test('access.local lease: whoever runs as our user can make itself a lease', async () => {
  const daemon = await start('access: { local: lease }\n');
  expect((await ask(daemon.url(REFS))).status).toBe(401);
  expectNothingWentUp();
  // The limit that docs/THREATS.md names: the admin socket is the user's, and knows no jobs.
  const lease = await leaseOf(daemon);
  expect((await ask(daemon.url(REFS), { headers: { 'X-Postern-Lease': lease } })).status).toBe(200);
});

test('access.local lease: our own user needs one too, and git is asked for it', async () => {
  const daemon = await start('access: { local: lease }\n');
  const bare = await ask(daemon.url(REFS));
  expect(bare.status).toBe(401);
  expect(bare.headers['www-authenticate']).toBe('Basic realm="Postern lease", charset="UTF-8"');
  const other = await ask(daemon.url(REFS), { headers: { Authorization: `Basic ${Buffer.from('ada:pat').toString('base64')}` } });
  expect(other.status).toBe(403);
  expect(other.headers).not.toHaveProperty('www-authenticate');
  expect(other.body.toString()).toMatch(
    /^postern: This door needs a lease, and none came with the request\n {2}what to do: get one with `postern lease create`/,
  );
  const git = await scene.git(['ls-remote', daemon.url(WEB).replace('http://', 'http://ada:pat@')]);
  expect(git.code).toBe(128);
  expectNothingWentUp();
  const lease = await leaseOf(daemon);
  // As a client sends it that can set no header: asked first, it sends what is in the address.
  expect(await scene.git(['ls-remote', daemon.url(WEB).replace('http://', `http://x:${lease}@`), 'main'])).toMatchObject({ code: 0 });
  const status = await daemon.postern(['status']);
  expect(status.stdout).toContain('\n  who may use it holders of leases only, also of the own user\n');
});

test('doors that stand open say so in capitals: at the start, in the log and in the status', async () => {
  const daemon = await start('access: { local: anyone, remote: anyone }\n', { args: ['--listen-http', '127.0.0.1:0,0.0.0.0:0'] });
  const warnings = daemon.log.filter(({ level }) => level === 'warn');
  expect(warnings).toMatchObject([
    { event: 'config-warning', what: expect.stringContaining('access.local: EVERY user and program of this machine') as string },
    { event: 'config-warning', what: expect.stringContaining('access.remote: EVERYONE who can reach a listener') as string },
    { event: 'access-open', local: 'anyone', remote: 'anyone' },
  ]);
  const { stdout } = await daemon.postern(['status']);
  expect(stdout).toContain('\n  who may use it ANYONE: EVERY USER AND PROGRAM OF THIS MACHINE\n');
  expect(stdout).toMatch(/\n {2}who may use https?:\/\/0\.0\.0\.0:[0-9]+: ANYONE WHO CAN REACH IT\n/);
});

describe.skipIf(!IS_ROOT)('another user (needs root, to be one)', () => {
  test('gets our refusal on every path, and nothing goes up', async () => {
    const daemon = await start();
    const asked: readonly (readonly [method: string, path: string, type?: string])[] = [
      ['GET', `/${REFS}`],
      ['GET', `/${WEB}/info/refs?service=git-receive-pack`],
      ['POST', `/${WEB}/git-upload-pack`, 'application/x-git-upload-pack-request'],
      ['POST', `/${WEB}/git-receive-pack`, 'application/x-git-receive-pack-request'],
      ['GET', `/${WEB}/HEAD`],
      ['GET', `/${WEB}`],
      ['GET', '/'],
      ['GET', '/status'],
      ['GET', '/favicon.ico'],
      ['HEAD', `/${REFS}`],
      ['OPTIONS', '*'],
      ['OPTIONS', `/${WEB}`],
      ['PUT', `/${WEB}/info/lfs/objects/x`],
      ['POST', `/${WEB}/info/lfs/objects/batch`, 'application/vnd.git-lfs+json'],
      ['DELETE', `/${WEB}`],
      ['GET', '/dev.azure.com/contoso/_apis/git/repositories'],
      ['GET', '/contoso.visualstudio.com/Payments/_git/web/info/refs?service=git-upload-pack'],
      ['GET', '/ssh.dev.azure.com/v3/contoso/Payments/web/info/refs?service=git-upload-pack'],
      ['GET', '/github.com/a/b.git/info/refs?service=git-upload-pack'],
      ['GET', '/evil.example/x/info/refs?service=git-upload-pack'],
      ['GET', `/dev.azure.com/contoso/../${REFS}`],
      ['GET', `/dev.azure.com/contoso/Payments/%2e%2e/web`],
      ['GET', '//dev.azure.com//'],
      ['GET', '/%'],
      ['GET', '/%00'],
      ['GET', `/${REFS}&service=git-receive-pack`],
      ['GET', `http://${new URL(daemon.base).host}/${REFS}`],
    ];
    const before = await daemon.status();
    for (const [method, path, type] of asked) {
      const headers = type === undefined ? [] : ['-H', `Content-Type: ${type}`, '--data-binary', '0000'];
      const how = method === 'HEAD' ? ['--head'] : ['-X', method];
      const ran = await asOther('curl', [
        '-sS',
        '--path-as-is',
        '--max-time',
        '20',
        '-w',
        '\n%{http_code}',
        ...how,
        ...headers,
        '--request-target',
        path,
        daemon.base,
      ]);
      expect(ran, `${method} ${path}`).toMatchObject({ code: 0 });
      expect(ran.stdout.split('\n').at(-1), `${method} ${path}`).toBe('403');
      // In JSON a line break is written as two characters.
      if (method !== 'HEAD')
        expect(ran.stdout.replaceAll('\\n', '\n')).toContain(
          `${NOT_SERVED}\n  what to do: use a Postern of your own, ask its owner for a lease`,
        );
    }
    expectNothingWentUp();
    const after = await daemon.status();
    expect((after.operations['refused'] ?? 0) - (before.operations['refused'] ?? 0)).toBe(asked.length);
    expect(after.failures.at(-1)?.failure?.code).toBe('caller-refused');
  });

  test('is told by git, for each direction, and nothing goes up', async () => {
    const daemon = await start('access: { uids: [12347] }\n');
    await asOther('git', ['init', '-q', 'work']);
    await asOther('git', ['-C', 'work', 'commit', '-q', '--allow-empty', '-m', 'theirs']);
    for (const args of [
      ['ls-remote', daemon.url(WEB)],
      ['clone', daemon.url(WEB), 'clone'],
      ['-C', 'work', 'push', daemon.url(WEB), 'HEAD:refs/heads/theirs'],
      ['-C', 'work', 'fetch', daemon.url(WEB)],
    ]) {
      const ran = await asOther('git', args);
      expect(ran.code, args.join(' ')).toBe(128);
      expect(ran.stderr).toContain(`remote: ${NOT_SERVED}`);
      expect(ran.stderr).toContain(
        'remote:   what to do: use a Postern of your own, ask its owner for a lease (`postern lease create`), or to be listed in',
      );
    }
    expectNothingWentUp();
    expect((await daemon.postern(['status'])).stdout).toContain(
      'who may use it the user of the daemon and uid 12347, and holders of leases',
    );
  });

  test('is served when their uid is listed, beside our own', async () => {
    const daemon = await start(`access: { uids: [${OTHER}] }\n`);
    expect(await asOther('git', ['ls-remote', daemon.url(WEB), 'main'])).toMatchObject({ code: 0 });
    expect(await scene.git(['ls-remote', daemon.url(WEB), 'main'])).toMatchObject({ code: 0 });
    const passedOn = await asOther('git', ['-c', 'http.extraHeader=Via: 1.1 x', 'ls-remote', daemon.url(WEB)]);
    expect(passedOn.stderr).toContain('remote: postern: The request carries the header via');
  });

  test('gets nothing over ::1 and ::ffff:127.0.0.1 either', async () => {
    const daemon = await start('', { args: ['--listen-http', 'localhost:0'] });
    for (const { address } of daemon.log.filter(({ event }) => event === 'listening')) {
      const ran = await asOther('git', ['ls-remote', `${String(address)}/${WEB}`]);
      expect(ran.stderr).toContain(`remote: ${NOT_SERVED}`);
    }
    const { port } = new URL(daemon.base);
    const mapped = ['-sS', '-w', '\n%{http_code}', '-H', `Host: 127.0.0.1:${port}`, `http://[::ffff:127.0.0.1]:${port}/${REFS}`];
    const ran = await asOther('curl', mapped);
    expect(ran.stdout).toContain(NOT_SERVED);
    const own = await run('curl', mapped, { env: scene.environment });
    expect(own.stdout.split('\n').at(-1)).toBe('200');
    expect(scene.emulator.git.seen).toHaveLength(1);
  });

  describe('who sends a whole push and leaves at once, with root as the daemon and as one of access.uids', () => {
    /** How the sender leaves when everything is written. */
    const WAYS = {
      'by ending the process': 'process.exit(0)',
      'by killing the process': 'process.kill(process.pid, "SIGKILL")',
      'by closing both directions': 'socket.destroy()',
      'by a reset': 'socket.resetAndDestroy()',
      'by closing one direction, then the process': 'socket.end(() => process.exit(0))',
    };

    /** A commit on top of `main` that the repository has not, and the pack that brings it. */
    let stolen: { readonly commit: string; readonly pack: Buffer };

    beforeAll(async () => {
      const work = join(scene.directory, 'stolen');
      const git = async (args: readonly string[], input = ''): Promise<string> => {
        const ran = await scene.git(['-C', work, ...args], { input });
        expect(ran, args.join(' ')).toMatchObject({ code: 0 });
        return ran.stdout.trim();
      };
      expect(await scene.git(['clone', '-q', repository, work])).toMatchObject({ code: 0 });
      await writeFile(join(work, 'stolen.bin'), randomBytes(STOLEN_BYTES));
      await git(['add', 'stolen.bin']);
      await git(['commit', '-q', '-m', 'stolen']);
      const name = await git(['pack-objects', '-q', '--revs', join(scene.directory, 'stolen')], 'HEAD\n^origin/main\n');
      stolen = { commit: await git(['rev-parse', 'HEAD']), pack: await readFile(join(scene.directory, `stolen-${name}.pack`)) };
    });

    /** A push of that commit to a new branch. */
    function push(daemon: RunningDaemon, branch: string): Buffer {
      const line = `${'0'.repeat(40)} ${stolen.commit} refs/heads/${branch}\0 report-status`;
      const body = Buffer.concat([Buffer.from(`${(line.length + 4).toString(16).padStart(4, '0')}${line}0000`), stolen.pack]);
      const heads = [
        `POST /${WEB}/git-receive-pack HTTP/1.1`,
        `Host: ${new URL(daemon.base).host}`,
        'Content-Type: application/x-git-receive-pack-request',
        `Content-Length: ${body.length}`,
      ];
      return Buffer.concat([Buffer.from(`${heads.join('\r\n')}\r\n\r\n`), body]);
    }

    /** Sends it as the other user and leaves. */
    async function attack(daemon: RunningDaemon, branch: string, way: string): Promise<void> {
      const file = join(theirs, branch);
      await writeFile(file, push(daemon, branch), { mode: 0o644 });
      const program = `
        const bytes = require('node:fs').readFileSync(process.argv[1]);
        const socket = require('node:net').connect(${new URL(daemon.base).port}, '127.0.0.1', () =>
          socket.write(bytes, () => { ${way} }));
        socket.on('error', () => process.exit(3));`;
      const [become, ...rest] = [...AS_OTHER, process.execPath, '-e', program, file];
      const child = spawn(become, rest, { cwd: theirs, env: { PATH: scene.environment['PATH'] }, stdio: 'ignore' });
      const code = await new Promise((resolve) => child.once('close', (exit, signal) => resolve(signal ?? exit)));
      await rm(file);
      expect(code === 0 || code === 'SIGKILL', `the attacker ended with ${String(code)}`).toBe(true);
    }

    const settled = async (daemon: RunningDaemon, count: number): Promise<void> => {
      const operations = async (): Promise<number> => {
        const { operations: counts, running } = await daemon.status();
        return running.length === 0 ? Object.values(counts).reduce((sum, each) => sum + each, 0) : 0;
      };
      await expect.poll(operations, { timeout: SETTLE_MS, interval: 100 }).toBeGreaterThanOrEqual(count);
    };

    const branches = async (): Promise<string> =>
      (await scene.git(['--git-dir', repository, 'for-each-ref', '--format=%(refname)', 'refs/heads/stolen*'])).stdout;

    test('control: the same bytes of our own user are a push', async () => {
      const daemon = await start('access: { uids: [0] }\n');
      const sent = push(daemon, 'control');
      const at = sent.indexOf('\r\n\r\n') + 4;
      const answer = await ask(daemon.url(`${WEB}/git-receive-pack`), {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-git-receive-pack-request' },
        body: sent.subarray(at),
      });
      expect(answer.body.toString()).toContain('ok refs/heads/control');
      expect((await scene.git(['--git-dir', repository, 'rev-parse', 'refs/heads/control'])).stdout.trim()).toBe(stolen.commit);
    });

    test.each(Object.entries(WAYS))('is refused, 10 times out of 10, %s', { timeout: 120_000 }, async (_, way) => {
      const daemon = await start('access: { uids: [0] }\n');
      for (let round = 0; round < 5; round++) await Promise.all([0, 1].map((lane) => attack(daemon, `stolen-${round}-${lane}`, way)));
      // A connection that was reset before it was accepted never becomes a request, and all others are told apart by their record.
      if (way !== WAYS['by a reset']) await settled(daemon, 10);
      expectNothingWentUp();
      expect(await branches()).toBe('');
      const { failures } = await daemon.status();
      expect(new Set(failures.map(({ failure }) => failure?.code))).toEqual(new Set(failures.length === 0 ? [] : ['caller-refused']));
      // And the daemon serves on.
      expect(await scene.git(['ls-remote', daemon.url(WEB), 'main'])).toMatchObject({ code: 0 });
    });

    test('is refused when the daemon comes late, and finds only what they left', { timeout: 120_000 }, async () => {
      const daemon = await start('access: { uids: [0] }\n');
      const ways = Object.values(WAYS);
      process.kill(daemon.pid, 'SIGSTOP');
      try {
        await Promise.all(ways.flatMap((way, index) => [0, 1].map((lane) => attack(daemon, `stolen-late-${index}-${lane}`, way))));
      } finally {
        process.kill(daemon.pid, 'SIGCONT');
      }
      await settled(daemon, ways.length * 2 - 2);
      expectNothingWentUp();
      expect(await branches()).toBe('');
    });
  });

  test.skipIf(!CAN_UNSHARE)(
    'gets nothing of a daemon in a user namespace, where the kernel shows them as nobody (needs user namespaces)',
    async () => {
      const daemon = await start(`access: { uids: [${OTHER}, 65534] }\n`, { through: ['unshare', '-U', '--map-user=1000'] });
      const ran = await asOther('git', ['ls-remote', daemon.url(WEB)]);
      expect(ran.code).toBe(128);
      expect(ran.stderr).toContain(
        'remote: postern: It cannot be told which local user asks: the kernel shows uid 65534, which stands for every user that it cannot tell',
      );
      expectNothingWentUp();
      expect(await scene.git(['ls-remote', daemon.url(WEB), 'main'])).toMatchObject({ code: 0 });
    },
  );
});

describe.skipIf(!CAN_UNSHARE)('a daemon in a user namespace (needs user namespaces)', () => {
  test.each([[['-U', '-r']], [['-U', '--map-user=1000']]])('that maps its user (%j) knows its own', async (flags) => {
    const daemon = await start('', { through: ['unshare', ...flags] });
    expect(await scene.git(['ls-remote', daemon.url(WEB), 'main'])).toMatchObject({ code: 0, stderr: '' });
  });

  test('that maps none says that it cannot tell, and does not start', async () => {
    const failed = await start('', { through: ['unshare', '-U'] }).catch(String);
    expect(failed).toContain(
      'postern: It cannot be told here which local user opens a connection to 127.0.0.1: the kernel shows uid 65534, which stands for every user that it cannot tell',
    );
    expect(failed).toContain(
      'what to do: set `access.local: lease` and give callers leases (`postern lease create`), or `access.local: anyone`',
    );
  });

  test('that maps none starts where a lease is needed', async () => {
    const daemon = await start('access: { local: lease }\n', { through: ['unshare', '-U'] });
    expect((await ask(daemon.url(REFS))).status).toBe(401);
  });
});

test.skipIf(!succeeds('unshare', '-Urm', 'sh', '-c', HIDE_TABLES))(
  'a daemon that cannot read the tables says so, and does not start (needs mount namespaces)',
  async () => {
    const script = join(scene.directory, 'hidden.sh');
    await writeFile(script, `${HIDE_TABLES}\nexec "$@"\n`);
    const failed = await start('', { through: ['unshare', '-Urm', 'sh', script] }).catch(String);
    expect(failed).toContain(
      "postern: It cannot be told here which local user opens a connection to 127.0.0.1: the kernel's table of connections cannot be read",
    );
  },
);

function succeeds(program: string, ...args: readonly string[]): boolean {
  try {
    execFileSync(program, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false; // which is the answer
  }
}
