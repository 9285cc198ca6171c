/** Git over the SSH way up: real git, real sshd, real ssh-agent; what goes up of a push, and what is left when somebody dies. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { FLUSH_PACKET, writePacket } from '../../src/git/pkt-line.js';
import type { SessionOperation } from '../../src/model/operation.js';
import type { RefPolicy } from '../../src/model/refs.js';
import { type AgentStage, type Hand, openAgentStage, routeTo, until } from './agent-rig.js';

/** More than all buffers and windows between here and git hold. */
const BIG_BYTES = 24 * 1024 * 1024;
const ZERO = '0'.repeat(40);

let stage: AgentStage;

beforeAll(async () => {
  stage = await openAgentStage();
  const { rig } = stage;
  await rig.git('init', '-q', '--bare', 'team/tools.git');
  await rig.git('clone', '-q', 'team/tools.git', 'seed');
  writeFileSync(join(rig.folder, 'seed', 'a.txt'), 'a\n');
  await rig.git('-C', 'seed', 'add', '.');
  await rig.git('-C', 'seed', 'commit', '-qm', 'first');
  await rig.git('-C', 'seed', 'push', '-q', 'origin', 'main');
  await rig.git('clone', '-q', '--bare', 'team/tools.git', 'team/big.git');
  await rig.git('clone', '-q', 'team/big.git', 'big');
  writeFileSync(join(rig.folder, 'big', 'big'), randomBytes(BIG_BYTES));
  await rig.git('-C', 'big', 'add', '.');
  await rig.git('-C', 'big', 'commit', '-qm', 'big');
  await rig.git('-C', 'big', 'push', '-q', 'origin', 'main');
});

afterAll(() => stage.close());
afterEach(() => {
  stage.ssh = routeTo(stage.sshd, stage.knownHosts);
  stage.rig.carried.length = 0;
  stage.policies = [];
});

const tip = (repository: string): Promise<string> => stage.rig.git('-C', repository, 'rev-parse', 'main').then((text) => text.trim());
const advertised = (hand: Hand): Promise<void> => until(() => hand.said().out.endsWith('0000'));
const hasRef = async (ref: string): Promise<boolean> =>
  (await stage.rig.run('-C', 'team/tools.git', 'rev-parse', '--verify', '-q', ref)).code === 0;

/** What is said of the connections to the server of the stage. */
const own = (): ReturnType<AgentStage['upstreams']['states']> =>
  stage.upstreams.states().filter(({ host }) => host === `[127.0.0.1]:${String(stage.sshd.port)}`);

/** Processes of the server that are git's. */
async function gits(): Promise<number[]> {
  return (await stage.sshd.children()).filter((pid) => {
    try {
      return /^(git|\/usr\/lib\/git)/.test(readFileSync(`/proc/${String(pid)}/cmdline`, 'latin1'));
    } catch {
      return false;
    }
  });
}

/** No command is on a connection, and no git of the server runs. */
const quiet = (): Promise<void> =>
  until(async () => stage.upstreams.states().every(({ busy }) => busy === 0) && (await gits()).length === 0);

/** A command list for a branch that is where `main` is, so that its pack is empty. */
async function list(ref: string, repository = 'team/tools.git'): Promise<Buffer> {
  return Buffer.concat([writePacket(`${ZERO} ${await tip(repository)} ${ref}\0report-status`), FLUSH_PACKET]);
}

/** Version 2, no objects, and the hash of that. */
const EMPTY_PACK = Buffer.from('5041434b0000000200000000029d08823bd8a8eab510ad6ac75c823cfd3ed31e', 'hex');

describe('agentCarrier()', () => {
  it('carries a clone, a push, and a fetch over one connection', async () => {
    const { rig, sshd } = stage;
    const before = await sshd.connections();
    await rig.git('clone', '-q', rig.url('/team/tools.git'), 'clone');
    writeFileSync(join(rig.folder, 'clone', 'b.txt'), 'b\n');
    await rig.git('-C', 'clone', 'add', '.');
    await rig.git('-C', 'clone', 'commit', '-qm', 'second');
    await rig.git('-C', 'clone', 'push', '-q', 'origin', 'HEAD:refs/heads/more');
    await rig.git('-C', 'clone', 'fetch', '-q', 'origin');
    expect(await rig.git('-C', 'team/tools.git', 'rev-parse', 'more')).toBe(await rig.git('-C', 'clone', 'rev-parse', 'HEAD'));
    expect(rig.carried).toEqual(Array.from({ length: 3 }, () => ({ kind: 'passed', exitCode: 0 })));
    expect((await sshd.connections()) - before).toBe(1);
  });

  it('carries what is larger than every buffer, both ways', async () => {
    const { rig } = stage;
    await rig.git('clone', '-q', rig.url('/team/big.git'), 'big-clone');
    expect(await tip('big-clone')).toBe(await tip('team/big.git'));
    await rig.git('init', '-q', '--bare', 'team/empty.git');
    await rig.git('-C', 'big-clone', 'push', '-q', rig.url('/team/empty.git'), 'main');
    expect(await tip('team/empty.git')).toBe(await tip('team/big.git'));
    await rig.git('-C', 'team/empty.git', 'fsck', '--strict');
  });

  it.each([
    ['0', undefined],
    ['1', 'version 1'],
    ['2', 'version 2'],
  ])('gives the same as without it in protocol version %s, and passes that on', async (version, first) => {
    const { rig } = stage;
    const config = ['-c', `protocol.version=${version}`];
    expect(await rig.git(...config, 'ls-remote', rig.url('/team/tools.git'))).toBe(await rig.git(...config, 'ls-remote', 'team/tools.git'));
    const hand = stage.session('fetch', '/team/tools.git', { gitProtocol: version === '0' ? undefined : `version=${version}` });
    await advertised(hand);
    expect(
      hand
        .said()
        .out.slice(4)
        .startsWith(first ?? (await tip('team/tools.git'))),
    ).toBe(true);
    hand.input.end('0000');
    expect(await hand.carried).toEqual({ kind: 'passed', exitCode: 0 });
  });

  it('does without GIT_PROTOCOL where the server does not take it, or where it is no word', async () => {
    const sshd = await stage.server({ acceptEnv: [] });
    writeFileSync(stage.knownHosts, sshd.knownHosts, { flag: 'a' });
    stage.ssh = routeTo(sshd, stage.knownHosts);
    for (const gitProtocol of ['version=2', 'a\nb', 'x'.repeat(300)]) {
      const hand = stage.session('fetch', '/team/tools.git', { gitProtocol });
      await advertised(hand);
      hand.input.end('0000');
      expect(await hand.carried).toEqual({ kind: 'passed', exitCode: 0 });
    }
  });

  it('archives, and passes on words and exit code of a command that fails', async () => {
    const { rig } = stage;
    expect((await rig.run('archive', `--remote=${rig.url('/team/tools.git')}`, 'main')).code).toBe(0);
    expect(rig.carried).toEqual([{ kind: 'passed', exitCode: 0 }]);
    const missing = stage.session('fetch', '/team/none.git');
    expect(await missing.carried).toEqual({ kind: 'passed', exitCode: 128 });
    expect(missing.said()).toEqual({ out: '', err: "fatal: 'team/none.git' does not appear to be a git repository\n" });
  });

  it.each([
    ['/team/a\nb', 'The path has a control character'],
    ['/team/\0', 'The path has a control character'],
    ['-u', 'The path begins with a dash'],
    ['/team/\xff', 'The path is not UTF-8'],
  ])('refuses the path %j before anything is dialled', async (path, what) => {
    stage.socket = '/nowhere';
    const carried = await stage.session('fetch', path).carried;
    stage.socket = stage.agent.socket;
    const refusal = { code: 'request-malformed', status: 400, what };
    expect(carried).toMatchObject({ kind: 'failed', verdict: 'refused', where: 'between', refusal });
  });

  it('hands a path to the shell of the host as one word', async () => {
    const hand = stage.session('fetch', "/team/a'; touch owned; echo '!`x`$(y).git");
    expect(await hand.carried).toEqual({ kind: 'passed', exitCode: 128 });
    expect((await stage.sshd.commands()).at(-1)).toBe("git-upload-pack '/team/a'\\''; touch owned; echo '\\'''\\!'`x`$(y).git'");
    expect(hand.said().err).toContain("'team/a'; touch owned; echo '!`x`$(y).git' does not appear to be a git repository");
  });
});

describe('a push', () => {
  const policy: RefPolicy = { source: 'route x', allow: ['refs/heads/mine'], protect: [], changes: undefined };

  it('goes up when its refs are allowed, noted in the record', async () => {
    stage.policies = [policy];
    const hand = stage.session('push', '/team/tools.git');
    await advertised(hand);
    hand.input.write(await list('refs/heads/mine'));
    await until(() => hand.record.refs.length === 1);
    hand.input.end(EMPTY_PACK);
    expect(await hand.carried).toEqual({ kind: 'passed', exitCode: 0 });
    expect(hand.said().out).toContain('ok refs/heads/mine');
    expect(await hasRef('refs/heads/mine')).toBe(true);
  });

  it('that touches another ref is refused: nothing of it went up, and the connection stays', async () => {
    stage.policies = [policy];
    const before = await stage.sshd.connections();
    const hand = stage.session('push', '/team/tools.git');
    await advertised(hand);
    hand.input.write(Buffer.concat([await list('refs/heads/theirs'), EMPTY_PACK]));
    expect(await hand.carried).toMatchObject({
      kind: 'failed',
      verdict: 'refused',
      where: 'between',
      refusal: { code: 'ref-refused' },
      commands: { commands: [{ ref: 'refs/heads/theirs' }] },
    });
    await quiet();
    expect(await hasRef('refs/heads/theirs')).toBe(false);
    expect(await stage.sshd.connections()).toBe(before);
  });

  it('that does not wait for the list of refs still gets all of it before it is refused', async () => {
    stage.policies = [policy];
    const hand = stage.session('push', '/team/tools.git');
    hand.input.write(await list('refs/heads/theirs'));
    expect(await hand.carried).toMatchObject({ kind: 'failed', verdict: 'refused', where: 'between' });
    await advertised(hand);
    expect(hand.said().out).toMatch(/^00[0-9a-f]{2}[0-9a-f]{40} refs\/heads\/main\0/);
  });

  it('of nothing is passed at once, and may not become one of something', async () => {
    const hand = stage.session('push', '/team/tools.git');
    await advertised(hand);
    hand.input.write('0000');
    expect(await hand.carried).toEqual({ kind: 'passed', exitCode: 0 });
    const sly = stage.session('push', '/team/tools.git');
    const more = await list('refs/heads/theirs');
    await advertised(sly);
    sly.input.write('0000');
    sly.input.write(more);
    sly.input.end(EMPTY_PACK);
    expect(await sly.carried).toEqual({ kind: 'passed', exitCode: 0 });
    expect(await hasRef('refs/heads/theirs')).toBe(false);
  });

  it('that ends without asking for anything is over for the host too', async () => {
    const hand = stage.session('push', '/team/tools.git');
    await advertised(hand);
    hand.input.end();
    expect((await hand.carried).kind).toBe('passed');
    await quiet();
  });
});

describe('a push of nothing', () => {
  it('ends well from a shallow clone, and with push options, as it does directly', async () => {
    const { rig } = stage;
    await rig.git('-C', 'team/tools.git', 'config', 'receive.advertisePushOptions', 'true');
    await rig.git('clone', '-q', '--depth=1', rig.url('/team/tools.git'), 'shallow');
    for (const options of [[], ['-o', 'ci.skip']]) {
      const pushed = await rig.run('-C', 'shallow', 'push', ...options, 'origin', 'main');
      expect(pushed.err).toBe('Everything up-to-date\n');
      expect(pushed.code).toBe(0);
    }
  });
});

describe('when somebody dies', () => {
  type Stage = readonly [name: string, kind: SessionOperation['kind'], reach: (hand: Hand) => Promise<void>];
  const MIDDLE_OF_PUSH = 'in the middle of a push';
  const stages: readonly Stage[] = [
    ['behind the list of refs', 'fetch', advertised],
    [
      'in the middle of a pack',
      'fetch',
      async (hand) => {
        await advertised(hand);
        hand.output.removeAllListeners('data');
        hand.output.pause();
        hand.input.write(
          Buffer.concat([writePacket(`want ${await tip('team/big.git')} side-band-64k\n`), FLUSH_PACKET, writePacket('done\n')]),
        );
        await until(() => hand.output.writableNeedDrain);
      },
    ],
    ['behind the list of refs of a push', 'push', advertised],
    [
      MIDDLE_OF_PUSH,
      'push',
      async (hand) => {
        await advertised(hand);
        hand.input.write(Buffer.concat([await list('refs/heads/cut', 'team/big.git'), EMPTY_PACK.subarray(0, 4)]));
        await until(() => hand.record.refs.length === 1 && hand.input.readableLength === 0);
      },
    ],
  ];

  it.each<Stage>([['before anything', 'fetch', () => Promise.resolve()], ...stages])(
    'the client, %s: the command ends, nothing stays, and the connection serves the next',
    async (_name, kind, reach) => {
      const before = await stage.sshd.connections();
      const hand = stage.session(kind, '/team/big.git');
      await reach(hand);
      const { input, output, errors } = hand;
      hand.over.abort();
      expect(await hand.carried).toEqual({ kind: 'over' });
      expect([output, errors].map((stream) => stream.listenerCount('drain') + stream.listenerCount('error'))).toEqual([0, 0]);
      expect(['data', 'end', 'close', 'error'].map((event) => input.listenerCount(event))).toEqual([0, 0, 0, 0]);
      await quiet();
      const next = stage.session('fetch', '/team/tools.git');
      await advertised(next);
      next.input.end('0000');
      expect(await next.carried).toEqual({ kind: 'passed', exitCode: 0 });
      expect((await stage.sshd.connections()) - before).toBeLessThanOrEqual(1);
    },
  );

  it.each(stages)('the host, %s: a break, told as one', async (name, kind, reach) => {
    const hand = stage.session(kind, '/team/big.git');
    await reach(hand);
    await stage.sshd.cut();
    hand.output.resume();
    const carried = await hand.carried;
    expect(carried).toMatchObject({
      kind: 'failed',
      verdict: 'broken',
      where: kind === 'push' ? 'between' : 'inside',
      refusal: { code: 'upstream-broken', route: 'github.com' },
    });
    const { what, todo } = carried.kind === 'failed' ? carried.refusal : { what: '', todo: '' };
    // A server that is killed piece by piece may still tell of its first piece.
    expect(what).toMatch(/^\[127\.0\.0\.1\]:\d+ (closed the connection|ended git's command with SIGKILL) after \d+ bytes of its answer/);
    expect(what.endsWith('; the push may have arrived all the same')).toBe(name === MIDDLE_OF_PUSH);
    expect(todo.startsWith(name === MIDDLE_OF_PUSH ? '`git fetch` shows whether it has arrived' : 'run the command again')).toBe(true);
    await until(() => own().length === 0);
  });

  it("git's command on the host: a break that names the signal, and the connection stays", async () => {
    const hand = stage.session('fetch', '/team/big.git');
    await advertised(hand);
    for (const pid of await gits()) process.kill(pid, 'SIGTERM');
    const carried = await hand.carried;
    expect(carried).toMatchObject({ kind: 'failed', verdict: 'broken', where: 'inside', refusal: { code: 'upstream-broken' } });
    expect(carried.kind === 'failed' && carried.refusal.what).toMatch(/ended git's command with SIGTERM after \d+ bytes of its answer$/);
    await quiet();
    expect(own()).toMatchObject([{ busy: 0, idle: 1 }]);
  });

  it('nothing but idle connections keeps a socket, and after close() nothing does', async () => {
    await quiet();
    const sockets = (): number => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    stage.upstreams.close();
    await until(() => sockets() === 0);
    const refusal = { code: 'upstream-unavailable', status: 503, what: 'Postern is stopping' };
    expect(await stage.session('fetch', '/team/tools.git').carried).toMatchObject({ kind: 'failed', refusal });
  });
});
