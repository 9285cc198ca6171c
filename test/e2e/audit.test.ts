/**
 * Promise: what was done and refused is on record once, and a record that was changed, moved or taken away is found.
 *
 * Attack: the daemon is killed while it writes, its disk is full or gone, and someone goes about in its files.
 */
import { spawn } from 'node:child_process';
import { appendFile, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AuditOperation, AuditRecord } from '../../src/model/audit.js';
import { run, type RunningDaemon, Scene } from '../support/scene.js';
import { succeed } from '../support/failure-stage.js';

const REPOSITORY = 'dev.azure.com/contoso/Payments/_git/web';
const KILLS = 24;

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web', { commits: 2 });
});
afterAll(() => scene.close());

let states = 0;
/** A state directory of its own, and a configuration with what `audit:` is to be. */
async function place(
  audit?: string,
): Promise<{ state: string; directory: string; start: (more?: { args?: string[] }) => Promise<RunningDaemon> }> {
  states += 1;
  const state = join(scene.directory, `state-${states}`);
  await mkdir(state, { mode: 0o700 });
  const configuration = audit === undefined ? scene.plainConfiguration : `${scene.plainConfiguration}audit: ${audit}\n`;
  return {
    state,
    directory: join(state, 'audit'),
    start: (more = {}) => scene.daemon(configuration, { env: { POSTERN_STATE_DIRECTORY: state }, ...more }),
  };
}

/** The command line as one asks a stopped daemon's files. */
function postern(state: string, ...args: string[]) {
  return scene.postern(args, { env: { POSTERN_STATE_DIRECTORY: state } });
}

function lsRemote(daemon: RunningDaemon, path = REPOSITORY) {
  return scene.git(['ls-remote', daemon.url(path)]);
}

/** Operations on record, from the files themselves. */
async function operations(directory: string): Promise<AuditOperation[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.jsonl')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8')));
  return texts
    .flatMap((text) => text.split('\n').filter((line) => line !== ''))
    .map((line) => JSON.parse(line) as AuditRecord)
    .filter((record) => record.kind === 'operation');
}

/** One request without git: refused by the gate, because no route leads there. */
function ask(base: string, agent: Agent, path = '/git.example.com/a/b'): Promise<number> {
  return new Promise((resolve, reject) => {
    request(`${base}${path}/info/refs?service=git-upload-pack`, { agent }, (response) => {
      response.resume();
      response.once('end', () => resolve(response.statusCode ?? 0)).once('error', reject);
    })
      .once('error', reject)
      .end();
  });
}

test('every operation that passed and every refusal has exactly one record, after the stop of the daemon', async () => {
  const { state, directory, start } = await place();
  const daemon = await start();
  const work = join(scene.directory, 'work');
  await succeed(scene.git(['clone', '-q', daemon.url(REPOSITORY), work]));
  await succeed(scene.git(['push', '-q', 'origin', 'HEAD:refs/heads/topic', 'HEAD:refs/tags/v1'], { cwd: work }));
  expect((await lsRemote(daemon, 'github.com/a/b')).code).not.toBe(0);
  expect((await lsRemote(daemon, 'dev.azure.com/contoso/Payments/_git/none')).code).not.toBe(0);
  const agent = new Agent({ keepAlive: true });
  for (const path of ['/x', '/dev.azure.com/contoso/Payments/_git/web/..', '/%00']) await ask(daemon.base, agent, path);
  agent.destroy();
  const { operations: counts, audit } = await daemon.status();
  expect(audit).toMatchObject({ kind: 'on', chain: 'daemon', lost: 0, directory });
  expect(await daemon.stop()).toBe(0);
  // Its lock is gone with it: the end was an orderly one.
  expect(await readdir(directory)).toEqual(['daemon.000001.jsonl']);
  const records = await operations(directory);
  const ended = daemon.log.filter(({ event }) => ['request-finished', 'request-refused', 'request-failed', 'client-gone'].includes(event));
  expect(records.map(({ id }) => id).sort((a, b) => a - b)).toEqual(ended.map(({ id }) => Number(id)).sort((a, b) => a - b));
  const byVerdict = (verdict: string): number => records.filter((record) => record.verdict === verdict).length;
  expect({ passed: byVerdict('passed'), refused: byVerdict('refused'), failed: byVerdict('failed') }).toEqual({
    passed: counts['passed'],
    refused: counts['refused'],
    failed: counts['failed'],
  });
  expect(byVerdict('refused')).toBeGreaterThanOrEqual(4);
  const ran = await postern(state, 'audit', 'verify');
  expect(ran).toMatchObject({ code: 0 });
  expect(ran.stdout).toContain(`daemon: good, ${records.length} records`);
});

test('a transfer that the stop of the daemon cuts is on record', async () => {
  const { state, directory } = await place();
  const configuration = scene.plainConfiguration.replace('log:', 'drain: { max: 0s }\nlog:');
  const daemon = await scene.daemon(configuration, { env: { POSTERN_STATE_DIRECTORY: state } });
  scene.emulator.git.faults.set('contoso/Payments/web', { kind: 'stall' });
  try {
    const listed = lsRemote(daemon);
    while (!(await daemon.status()).running.some(({ upstreamStatus }) => upstreamStatus === 200));
    expect(await daemon.stop('SIGTERM')).toBe(143);
    expect((await listed).code).not.toBe(0);
  } finally {
    scene.emulator.git.faults.clear('contoso/Payments/web');
  }
  const records = await operations(directory);
  expect(records.at(-1)).toMatchObject({ operation: 'fetch', verdict: expect.stringMatching(/^(client-gone|broken)$/) as string });
  expect((await postern(state, 'audit', 'verify')).code).toBe(0);
});

test(
  `killed ${KILLS} times while it writes: at most the last record is incomplete, and the chain goes on`,
  { timeout: 240_000 },
  async () => {
    const { state, directory, start } = await place('{ maxSize: 16KiB }');
    let torn = 0;
    for (let turn = 1; turn <= KILLS; turn++) {
      const daemon = await start();
      const agent = new Agent({ keepAlive: true, maxSockets: 20 });
      // Ever more answers before the end, so that it comes at ever another moment of a write.
      const wanted = 7 * turn;
      let answered = 0;
      const askers = Array.from({ length: 20 }, async () => {
        for (;;) {
          const status = await ask(daemon.base, agent).catch(() => 0);
          if (status === 0) return;
          answered += 1;
          if (answered === wanted) void daemon.kill();
        }
      });
      await Promise.all(askers);
      await daemon.kill();
      agent.destroy();
      expect(daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
      const ran = await postern(state, 'audit', 'verify', '--json');
      const report = JSON.parse(ran.stdout) as {
        isGood: boolean;
        chains: { chain: string; faults: string[]; notes: string[]; count: number }[];
      };
      expect(report.chains.map(({ chain, faults }) => [chain, faults])).toEqual([['daemon', []]]);
      expect(ran.code).toBe(0);
      if (report.chains[0]?.notes.some((note) => note.startsWith('the last record is incomplete')) === true) torn += 1;
    }
    const daemon = await start();
    expect(daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
    expect(await daemon.stop()).toBe(0);
    const ran = await postern(state, 'audit', 'verify');
    expect(ran.stdout).not.toContain('incomplete (');
    expect(ran).toMatchObject({ code: 0 });
    expect((await operations(directory)).length).toBeGreaterThan(KILLS);
    expect(torn).toBeLessThanOrEqual(KILLS);
  },
);

test('what a kill left of the last record is told by verify, kept at the next start, and then in order', async () => {
  const { state, directory, start } = await place();
  const first = await start();
  await succeed(lsRemote(first));
  await first.kill();
  await appendFile(join(directory, 'daemon.000001.jsonl'), '{"seq":99,"time":"2026');
  const torn = await postern(state, 'audit', 'verify');
  expect(torn.code).toBe(0);
  expect(torn.stdout).toMatch(
    /note: the last record is incomplete \(daemon\.000001\.jsonl, 22 characters\): its writer was killed, or is writing it/,
  );
  const second = await start();
  await second.logged(({ event }) => event === 'audit-recovered');
  await second.stop();
  const mended = await postern(state, 'audit', 'verify');
  expect(mended.code).toBe(0);
  expect(mended.stdout).toContain('the record before it was incomplete, and what was there of it is kept in this one');
  expect((await postern(state, 'audit')).stdout).toContain('what was there of it: {"seq":99,"time":"2026');
});

describe('postern audit verify', () => {
  test('tells what was done to a chain, exit code 1, and the daemon says so when it starts', async () => {
    const { state, directory, start } = await place();
    const first = await start();
    for (let turn = 0; turn < 3; turn++) await succeed(lsRemote(first));
    await first.stop();
    const file = join(directory, 'daemon.000001.jsonl');
    const good = await readFile(file, 'utf8');
    const lines = good.split('\n').slice(0, -1);
    const told = async (text: string): Promise<string> => {
      await writeFile(file, text);
      const ran = await postern(state, 'audit', 'verify');
      expect(ran.code).toBe(1);
      expect(ran.stdout).toContain('THE AUDIT IS NOT WHAT WAS WRITTEN');
      return ran.stdout;
    };
    expect(await told(good.replace('"verdict":"passed"', '"verdict":"failed"'))).toContain(
      'fault: record 1 was changed (line 1 of daemon.000001.jsonl)',
    );
    expect(await told([lines[1], lines[0], ...lines.slice(2), ''].join('\n'))).toContain(
      'fault: record 1 stands behind record 2, where it does not belong',
    );
    expect(await told([lines[0], ...lines.slice(2), ''].join('\n'))).toContain('fault: record 2 is missing');
    expect(await told([...lines.slice(0, -1), ''].join('\n'))).toContain(
      `fault: record ${lines.length} is missing at the end: the head says that there were ${lines.length}`,
    );
    const second = await start();
    const line = await second.logged(({ event }) => event === 'audit-failed');
    expect(line).toMatchObject({ level: 'error', todo: 'find out who did this; `postern audit verify` tells more' });
    const ran = await second.postern(['status']);
    expect(ran.stdout).toMatch(/NOT AS IT WAS LEFT: the end of daemon\.000001\.jsonl is missing/);
    expect(ran.stdout).toMatch(/ {4}head [0-9]+ [0-9a-f]{64}\n {4}anchor 0 [0-9a-f]{64}\n/);
    await succeed(lsRemote(second));
    await second.stop();
    expect((await operations(directory)).at(-1)).toMatchObject({ verdict: 'passed' });
  });

  test('has nothing against no audit at all', async () => {
    const { state } = await place();
    expect(await postern(state, 'audit', 'verify')).toMatchObject({
      code: 0,
      stdout: `Nothing has been recorded in ${join(state, 'audit')}\n`,
    });
  });
});

describe('a disk that takes no more', () => {
  /** Takes from a running daemon the right to let a file grow beyond so many bytes (prlimit(1), RLIMIT_FSIZE), or gives it back. */
  async function limit(daemon: RunningDaemon, bytes: number | 'unlimited'): Promise<void> {
    await succeed(run('prlimit', ['--pid', String(daemon.pid), `--fsize=${bytes}:unlimited`], { env: scene.environment }));
  }

  test('onFailure: continue serves on, says so loudly, and writes when it can again', async () => {
    const { state, directory, start } = await place('{ onFailure: continue }');
    const daemon = await start();
    await succeed(lsRemote(daemon));
    await limit(daemon, 2048);
    for (let turn = 0; turn < 4; turn++) await succeed(lsRemote(daemon));
    expect(await daemon.logged(({ event }) => event === 'audit-failed')).toMatchObject({
      level: 'error',
      onFailure: 'continue',
      what: expect.stringMatching(/^EFBIG at .*daemon\.000001\.jsonl$/) as string,
    });
    const ran = await daemon.postern(['status']);
    expect(ran.stdout).toMatch(/CANNOT BE WRITTEN since .*: EFBIG at .*daemon\.000001\.jsonl; operations go on/);
    expect(ran.stdout).toMatch(/ [0-9]+ records wait, 0 are lost/);
    await limit(daemon, 'unlimited');
    await daemon.logged(({ event }) => event === 'audit-recovered');
    await daemon.stop();
    expect(await operations(directory)).toHaveLength(10);
    const verified = await postern(state, 'audit', 'verify');
    expect(verified.code).toBe(0);
    // A write that went through in part was taken back.
    expect(verified.stdout).not.toContain('note:');
  });

  test('onFailure: refuse serves nobody until it can write again, and git shows why', async () => {
    const { state, directory, start } = await place('{ onFailure: refuse }');
    const daemon = await start();
    await succeed(lsRemote(daemon));
    await limit(daemon, 1500);
    let refused = await lsRemote(daemon);
    for (let turn = 0; refused.code === 0 && turn < 10; turn++) refused = await lsRemote(daemon);
    await daemon.logged(({ event }) => event === 'audit-failed');
    refused = await lsRemote(daemon);
    expect(refused.stderr).toMatch(
      /^remote: postern: The audit cannot be written \(EFBIG at .*daemon\.000001\.jsonl\), and nothing is done that is not recorded/m,
    );
    expect(refused.stderr).toMatch(/^remote: +what to do: raise the limit on the size of files for the daemon/m);
    const before = scene.emulator.git.count({});
    expect((await lsRemote(daemon)).code).not.toBe(0);
    expect(scene.emulator.git.count({})).toEqual(before);
    await limit(daemon, 'unlimited');
    await daemon.logged(({ event }) => event === 'audit-recovered');
    await succeed(lsRemote(daemon));
    await daemon.stop();
    const records = await operations(directory);
    expect(records.filter(({ code }) => code === 'audit-unwritable').length).toBeGreaterThanOrEqual(2);
    expect((await postern(state, 'audit', 'verify')).code).toBe(0);
  });

  test.runIf(process.getuid?.() === 0)('a file system that is full (as root: it mounts one)', async () => {
    const mounted = join(scene.directory, 'small');
    await mkdir(mounted, { mode: 0o700 });
    await succeed(run('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'tmpfs', mounted], { env: scene.environment }));
    try {
      const { state, start } = await place(`{ onFailure: refuse, directory: ${mounted} }`);
      const daemon = await start();
      await succeed(lsRemote(daemon));
      // Whatever is left of it.
      const fill = join(mounted, 'fill');
      await writeFile(fill, Buffer.alloc(60 * 1024)).catch(() => undefined);
      for (let size = 4096; size >= 1; size = Math.floor(size / 2))
        for (let taken = true; taken;)
          taken = await appendFile(fill, Buffer.alloc(size)).then(
            () => true,
            () => false,
          );
      let last = await lsRemote(daemon);
      for (let turn = 0; last.code === 0 && turn < 20; turn++) last = await lsRemote(daemon);
      const refused = await lsRemote(daemon);
      expect(refused.stderr).toMatch(/postern: The audit cannot be written \(ENOSPC at .*daemon\.000001\.jsonl\)/);
      expect(refused.stderr).toMatch(/what to do: make room on the disk of/);
      await rm(fill);
      await daemon.logged(({ event }) => event === 'audit-recovered');
      await succeed(lsRemote(daemon));
      await daemon.stop();
      const ran = await scene.postern(
        ['audit', 'verify', '--config', await scene.writeConfiguration(`audit: { directory: ${mounted} }\n`)],
        { env: { POSTERN_STATE_DIRECTORY: state } },
      );
      expect(ran).toMatchObject({ code: 0 });
    } finally {
      await run('umount', [mounted], { env: scene.environment });
    }
  });

  test('a cut file is found while the daemon runs', async () => {
    const { directory, start } = await place();
    const daemon = await start();
    await succeed(lsRemote(daemon));
    await truncate(join(directory, 'daemon.000001.jsonl'), 10);
    await succeed(lsRemote(daemon));
    await daemon.logged(
      ({ event, what }) => event === 'audit-failed' && String(what).includes('the end of daemon.000001.jsonl is missing'),
    );
    expect((await stat(join(directory, 'daemon.000002.jsonl'))).size).toBeGreaterThan(0);
  });
});

describe('postern audit', () => {
  test('filters by repository, verdict and time, and shows the latest', async () => {
    const { state, start } = await place();
    const daemon = await start();
    await succeed(lsRemote(daemon));
    await lsRemote(daemon, 'github.com/a/b');
    await daemon.stop();
    const shown = async (...args: string[]): Promise<string[]> =>
      (await postern(state, 'audit', ...args)).stdout.split('\n').filter((line) => line !== '');
    const all = await shown();
    expect(all.length).toBeGreaterThanOrEqual(3);
    expect(all.at(-1)).toMatch(
      /^\S+ daemon:[0-9]+ refused fetch advertisement github\.com\/a\/b; by uid [0-9]+ at 127\.0\.0\.1:[0-9]+; .*no-route: No route matches github\.com\/a\/b$/,
    );
    expect(await shown('--verdict', 'refused')).toEqual(all.slice(-1));
    expect(await shown('--repo', 'dev.azure.com/contoso/*/web')).toEqual(all.slice(0, -1));
    expect(await shown('--repo', 'WEB', '--limit', '1')).toEqual(all.slice(-2, -1));
    expect(await shown('--repo', 'we')).toEqual([]);
    expect(await shown('--since', '1h')).toEqual(all);
    expect(await shown('--until', '1h')).toEqual([]);
    expect(await shown('--lease', 'none')).toEqual([]);
    const json = (await shown('--json')).map((line) => JSON.parse(line) as AuditOperation & { chain: string });
    expect(json.at(-1)).toMatchObject({ chain: 'daemon', verdict: 'refused', code: 'no-route' });
    expect(await postern(state, 'audit', '--verdict', 'bad')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('bad is not a verdict') as string,
    });
    expect(await postern(state, 'audit', '--since', 'yesterday')).toMatchObject({ code: 2 });
    expect(await postern(state, 'audit', '--limit', '0')).toMatchObject({ code: 2 });
  });

  test('--follow shows the record of a fetch that comes', async () => {
    const { state, start } = await place();
    const daemon = await start();
    await lsRemote(daemon, 'github.com/before/it');
    let shown = '';
    const follower = spawn(process.execPath, [join(process.cwd(), 'dist', 'postern.js'), 'audit', '--follow', '--json'], {
      env: { ...scene.environment, POSTERN_STATE_DIRECTORY: state },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const seen = (what: string): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (shown.includes(what)) resolve();
        };
        follower.stdout.on('data', (chunk: Buffer) => {
          shown += chunk.toString('utf8');
          look();
        });
        follower.once('close', () => reject(new Error(`it ended with ${shown}`)));
        look();
      });
    try {
      await seen('github.com/before/it');
      await succeed(lsRemote(daemon));
      await seen('"verdict":"passed"');
    } finally {
      follower.kill();
    }
  });

  test('audit: off writes nothing, and status says so', async () => {
    const { state, start } = await place('off');
    const daemon = await start();
    await succeed(lsRemote(daemon));
    expect((await daemon.postern(['status'])).stdout).toMatch(/^ {2}audit {10}off$/m);
    await daemon.stop();
    expect(await readdir(state)).toEqual([]);
  });

  test('a second daemon does not come to one chain: it is refused', async () => {
    const { state, start } = await place();
    const one = await start();
    await succeed(lsRemote(one));
    await expect(start()).rejects.toThrow(`A postern is already running with the state directory ${state} (pid ${one.pid})`);
    await succeed(lsRemote(one));
    await one.stop();
    expect((await postern(state, 'audit', 'verify')).stdout).toMatch(/^daemon: good, [234] records/m);
  });
});

describe('postern audit why', () => {
  test('says what decided then and what would be decided now, and that they differ', async () => {
    const { state, start } = await place();
    const daemon = await start();
    await succeed(lsRemote(daemon));
    await lsRemote(daemon, 'github.com/a/b');
    await daemon.stop();
    const records = await operations(join(state, 'audit'));
    const refused = records.at(-1)?.seq ?? 0;
    const why = async (id: string, configuration: string) =>
      scene.postern(['audit', 'why', id, '--config', await scene.writeConfiguration(configuration)], {
        env: { POSTERN_STATE_DIRECTORY: state },
      });
    const same = await why(`daemon:${refused}`, scene.plainConfiguration);
    expect(same.stdout).toContain('then: the gate refuses it (no-route): No route matches github.com/a/b\n');
    expect(same.stdout).toContain('3. the route: none matches  <- this says no\n');
    expect(same.stdout).toContain('The same would be decided\n');
    const open = `${scene.plainConfiguration}  - { match: github.com/a/*, identity: sp }\n`;
    const changed = await why(String(refused), open);
    expect(changed.stdout).toContain('3. the route: github.com/a/*, identity sp\n');
    expect(changed.stdout).toContain('now: the gate lets it pass (route github.com/a/*, identity sp)\n');
    expect(changed.stdout).toContain('THE DECISIONS DIFFER\n');
    const narrowed = await why('1', scene.plainConfiguration.replace('identity: sp,', 'identity: sp, allow: [push],'));
    expect(narrowed.stdout).toContain('4. what the route allows: push: not fetch  <- this says no\n');
    expect(narrowed.stdout).toContain('THE DECISIONS DIFFER\n');
    expect(await why('9999', scene.plainConfiguration)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('There is no operation 9999') as string,
    });
    expect(await why('a b', scene.plainConfiguration)).toMatchObject({ code: 2 });
  });

  test('keeps what a lease grants and never the lease, the refs of a push, and knows of a revocation', async () => {
    const { state, directory, start } = await place();
    const daemon = await start();
    const args = [
      'lease',
      'create',
      '--repo',
      'contoso/Payments/web',
      '--allow',
      'fetch,push',
      '--ref',
      'refs/heads/agent/*',
      '--label',
      'nightly',
      '--for',
      '1h',
    ];
    const created = await succeed(daemon.postern(args));
    const lease = created.stdout.trim();
    const id = /^Lease ([0-9a-f]{16})/m.exec(created.stderr)?.[1] ?? '';
    const withLease = ['-c', `http.extraHeader=X-Postern-Lease: ${lease}`];
    const work = join(scene.directory, 'leased');
    await succeed(scene.git([...withLease, 'clone', '-q', daemon.url(REPOSITORY), work]));
    const oid = (await succeed(scene.git(['rev-parse', 'HEAD'], { cwd: work }))).stdout.trim();
    const push = async (ref: string) => scene.git([...withLease, 'push', '-q', 'origin', `HEAD:${ref}`], { cwd: work });
    await succeed(push('refs/heads/agent/x'));
    expect((await push('refs/heads/trunk')).code).not.toBe(0);
    // The answer to git does not wait for the disk.
    let records = await operations(directory);
    while (!records.some(({ code }) => code === 'ref-refused')) records = await operations(directory);
    const text = await readFile(join(directory, 'daemon.000001.jsonl'), 'utf8');
    const [passed, refused] = records.filter(({ operation, step }) => operation === 'push' && step === 'exchange');
    expect(passed).toMatchObject({
      verdict: 'passed',
      refs: [{ ref: 'refs/heads/agent/x', old: '0'.repeat(40), new: oid }],
      lease: { label: 'nightly', ids: [id], caveats: [{ id, label: 'nightly', allow: ['fetch', 'push'], refs: ['refs/heads/agent/*'] }] },
    });
    expect(refused).toMatchObject({ code: 'ref-refused', refs: [{ ref: 'refs/heads/trunk', new: oid }] });
    // The seal is the end of a lease: no piece of it may be there.
    for (const piece of [lease, lease.slice(-24), lease.slice(5, 40)]) expect(text).not.toContain(piece);
    const why = (seq = 0) =>
      daemon.postern([
        'audit',
        'why',
        `daemon:${seq}`,
        '--config',
        String(daemon.log.find(({ event }) => event === 'ready')?.['configuration']),
      ]);
    expect((await why(passed?.seq)).stdout).toContain('The same would be decided\n');
    const no = (await why(refused?.seq)).stdout;
    expect(no).toMatch(/the refs of the push: .*refs\/heads\/trunk.* <- this says no\n/);
    expect(no).toContain('The same would be decided\n');
    await succeed(daemon.postern(['lease', 'revoke', id]));
    const revoked = (await why(passed?.seq)).stdout;
    expect(revoked).toContain(`1. who asks: The lease is revoked (id ${id})  <- this says no\n`);
    expect(revoked).toContain('THE DECISIONS DIFFER\n');
    expect((await daemon.postern(['audit', '--lease', 'nightly', '--limit', '500'])).stdout.split('\n').length).toBeGreaterThan(4);
    await daemon.stop();
    expect((await postern(state, 'audit', 'verify')).code).toBe(0);
  });
});
