/** Which key is offered, and what is said when the agent cannot help: real ssh-agents, a real sshd that logs every key. */
import { execFileSync } from 'node:child_process';
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Refusal } from '../../src/model/refusal.js';
import { type AgentKey, SshAgent } from '../support/ssh-agent.js';
import { makeKeyPair } from '../support/ssh-keys.js';
import { type Sshd } from '../support/sshd.js';
import { type AgentStage, openAgentStage, routeTo } from './agent-rig.js';

let stage: AgentStage;
/** Knows the two keys below as two accounts would have them: each with its own server. */
let homes: Sshd;
let second: AgentKey;
let rsa: AgentKey;

beforeAll(async () => {
  stage = await openAgentStage();
  await stage.rig.git('init', '-q', '--bare', 'team/tools.git');
  second = await stage.agent.add('ecdsa', { comment: 'ada at home' });
  rsa = await stage.agent.add('rsa', { comment: 'ada at azure' });
  homes = await stage.server({ authorizedKeys: [second.line, rsa.line] });
  writeFileSync(stage.knownHosts, homes.knownHosts, { flag: 'a' });
});

afterAll(() => stage.close());
afterEach(() => {
  stage.ssh = routeTo(stage.sshd, stage.knownHosts, { key: stage.key.fingerprint });
  stage.socket = stage.agent.socket;
});

const SOCKET_TODO = 'correct `ssh: { mode: agent, socket: FILE }` of the route, or SSH_AUTH_SOCK in the environment of the daemon';

async function refused(): Promise<Refusal> {
  const { carried } = stage.session('fetch', '/team/tools.git');
  const ended = await carried;
  if (ended.kind !== 'failed') throw new Error(`it was not refused: ${JSON.stringify(ended)}`);
  expect(ended).toMatchObject({ verdict: 'failed', where: 'between', refusal: { route: 'github.com' } });
  return ended.refusal;
}

async function fetched(): Promise<void> {
  const hand = stage.session('fetch', '/team/tools.git');
  hand.input.end('0000');
  expect({ ended: await hand.carried, ...hand.said() }).toMatchObject({ ended: { kind: 'passed', exitCode: 0 }, err: '' });
}

/** A server on a socket that is no agent, or an odd one. */
async function impostor(answer: (ask: Buffer) => Buffer | undefined): Promise<{ readonly socket: string; readonly server: Server }> {
  const socket = join(stage.rig.folder, `impostor-${String(Math.random())}`);
  const server = createServer((client) => {
    client.on('error', () => undefined);
    client.on('data', (ask: Buffer) => {
      const said = answer(ask);
      if (said === undefined) client.destroy();
      else client.write(said);
    });
  });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return { socket, server };
}

const message = (type: number, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat([Buffer.from([type]), ...parts]);
  return Buffer.concat([count(body.length), body]);
};
const count = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const field = (bytes: Buffer): Buffer => Buffer.concat([count(bytes.length), bytes]);

describe('the key of a route', () => {
  it('is the only one that the host gets to see, of the three that the agent holds; two accounts side by side', async () => {
    const [before, atHome] = [(await stage.sshd.keys()).length, (await homes.keys()).length];
    stage.ssh = routeTo(stage.sshd, stage.knownHosts, { key: stage.key.fingerprint });
    await fetched();
    stage.ssh = routeTo(homes, stage.knownHosts, { key: second.fingerprint });
    await fetched();
    stage.ssh = routeTo(homes, stage.knownHosts, { key: rsa.fingerprint });
    await fetched();
    const seen = (keys: Awaited<ReturnType<Sshd['keys']>>): string[][] =>
      keys.filter(({ kind }) => kind !== 'postponed').map(({ kind, fingerprint }) => [kind, fingerprint]);
    expect(seen((await stage.sshd.keys()).slice(before))).toEqual([['accepted', stage.key.fingerprint]]);
    expect(seen((await homes.keys()).slice(atHome))).toEqual([
      ['accepted', second.fingerprint],
      ['accepted', rsa.fingerprint],
    ]);
    // Nothing but keys was tried: neither a password nor nothing at all.
    expect(await homes.log()).not.toMatch(/(Failed|Accepted) (none|password|keyboard)/);
  });

  it('signs with SHA-2 when it is RSA', async () => {
    const sshd = await stage.server({
      authorizedKeys: [rsa.line],
      settings: ['LogLevel DEBUG1', 'PubkeyAcceptedAlgorithms rsa-sha2-512,ssh-rsa'],
    });
    writeFileSync(stage.knownHosts, sshd.knownHosts, { flag: 'a' });
    stage.ssh = routeTo(sshd, stage.knownHosts, { key: rsa.fingerprint });
    await fetched();
    const log = await sshd.log();
    expect(log).toMatch(/publickey .* pkalg rsa-sha2-512/);
    expect(log).not.toMatch(/pkalg ssh-rsa/);
  });

  it('is not asked for SHA-1 of a server that knows nothing better, unless the route is legacy', async () => {
    const sshd = await stage.server({ authorizedKeys: [rsa.line], settings: ['PubkeyAcceptedAlgorithms ssh-rsa', 'LogLevel DEBUG1'] });
    writeFileSync(stage.knownHosts, sshd.knownHosts, { flag: 'a' });
    stage.ssh = routeTo(sshd, stage.knownHosts, { key: rsa.fingerprint });
    const refusal = await refused();
    expect(refusal.code).toBe('upstream-unauthenticated');
    expect(refusal.what).toBe(
      `[127.0.0.1]:${String(sshd.port)} did not let ${sshd.user} in with the key ${rsa.fingerprint} (ada at azure)`,
    );
    expect(refusal.todo).toContain('an old server that knows no SHA-2 needs `ssh: { mode: agent, legacy: true }` on the route');
    expect(await sshd.log()).not.toMatch(/pkalg ssh-rsa/);
    stage.ssh = routeTo(sshd, stage.knownHosts, { key: rsa.fingerprint, isLegacyAllowed: true });
    await fetched();
    expect(await sshd.log()).toMatch(/pkalg ssh-rsa/);
  });

  it('is refused by a host that does not know it, with the key in the text, and no other is tried', async () => {
    stage.ssh = routeTo(homes, stage.knownHosts, { key: stage.key.fingerprint });
    const before = (await homes.keys()).length;
    expect(await refused()).toMatchObject({
      code: 'upstream-unauthenticated',
      status: 502,
      what: `[127.0.0.1]:${String(homes.port)} did not let ${homes.user} in with the key ${stage.key.fingerprint} (ada at work)`,
      todo: 'add the public half of that key (`ssh-add -L` prints it) to the account, or set `key` of the route to one that the host knows',
    });
    expect((await homes.keys()).slice(before).map(({ fingerprint }) => fingerprint)).toEqual([stage.key.fingerprint]);
  });

  it('must be enough: a host that asks for a password too gets none', async () => {
    const sshd = await stage.server({ settings: ['AuthenticationMethods publickey,password', 'PasswordAuthentication yes'] });
    writeFileSync(stage.knownHosts, sshd.knownHosts, { flag: 'a' });
    stage.ssh = routeTo(sshd, stage.knownHosts, { key: stage.key.fingerprint });
    expect(await refused()).toMatchObject({
      code: 'upstream-unauthenticated',
      what: `[127.0.0.1]:${String(sshd.port)} did not let ${sshd.user} in with the key ${stage.key.fingerprint} (ada at work)`,
    });
    expect(await sshd.log()).toContain('Partial publickey');
    expect(await sshd.log()).not.toMatch(/(Failed|Accepted) password/);
  });

  it('comes from the socket of the route before that of the environment', async () => {
    stage.socket = '/nowhere';
    stage.ssh = { ...stage.ssh, socket: stage.agent.socket };
    await fetched();
  });
});

describe('an agent that cannot help', () => {
  it('is not configured', async () => {
    stage.socket = undefined;
    expect(await refused()).toMatchObject({
      code: 'agent-unavailable',
      status: 503,
      what: 'No ssh-agent is known to the daemon: SSH_AUTH_SOCK is not set, and the route names no socket',
      todo: 'start the daemon where SSH_AUTH_SOCK is set, or write `ssh: { mode: agent, socket: FILE }` on the route',
    });
  });

  it('is not there, or has ended; also when a connection is open still', async () => {
    stage.socket = '/nowhere/agent';
    expect(await refused()).toMatchObject({
      code: 'agent-unavailable',
      what: 'There is no ssh-agent at /nowhere/agent: no such socket',
      todo: `start the agent; if it listens elsewhere, ${SOCKET_TODO}`,
    });
    const agent = await SshAgent.start(join(stage.rig.folder, 'second-agent'));
    onTestFinished(() => agent.stop());
    const key = await agent.add('ed25519', { comment: 'x' });
    const sshd = await stage.server({ authorizedKeys: [key.line] });
    writeFileSync(stage.knownHosts, sshd.knownHosts, { flag: 'a' });
    stage.ssh = routeTo(sshd, stage.knownHosts);
    stage.socket = agent.socket;
    await fetched();
    process.kill(agent.pid, 'SIGKILL');
    await agent.stop();
    expect((await refused()).what).toBe(`No ssh-agent answers at ${agent.socket}: the one that made the socket has ended`);
    expect(await sshd.connections()).toBe(1);
  });

  it.skipIf(process.getuid?.() === 0)('is of another user (not as root, who may use every socket)', async () => {
    const { socket, server } = await impostor(() => undefined);
    chmodSync(socket, 0);
    stage.socket = socket;
    expect((await refused()).what).toBe(`The daemon may not use the ssh-agent at ${socket}: the socket is another user's`);
    server.close();
  });

  it('is silent', async () => {
    stage.agent.pause();
    const refusal = await refused();
    stage.agent.resume();
    expect(refusal).toMatchObject({
      code: 'agent-unavailable',
      what: `The ssh-agent at ${stage.agent.socket} did not answer within 5 s`,
      todo: 'see whether it waits for a confirmation, a touch or a password; if not, start it again',
    });
  });

  it('is locked, or empty, which it does not tell apart', async () => {
    const agent = await SshAgent.start(join(stage.rig.folder, 'locked-agent'));
    onTestFinished(() => agent.stop());
    await agent.add('ed25519');
    await agent.lock('secret');
    stage.socket = agent.socket;
    stage.ssh = routeTo(stage.sshd, stage.knownHosts);
    const text = {
      code: 'agent-unavailable',
      what: `The ssh-agent at ${agent.socket} holds no key, or is locked`,
      todo: 'add the key with `ssh-add FILE`, or unlock the agent with `ssh-add -X`; `ssh-add -l` shows what it holds',
    };
    expect(await refused()).toMatchObject(text);
    await agent.unlock('secret');
    expect((await refused()).code).toBe('upstream-unauthenticated');
    await agent.removeAll();
    expect(await refused()).toMatchObject(text);
  });

  it('lacks the key of the route, or holds several where none is named', async () => {
    const asked = `SHA256:${'A'.repeat(43)}`;
    stage.ssh = routeTo(stage.sshd, stage.knownHosts, { key: asked });
    const held = [
      `${stage.key.fingerprint} (ada at work)`,
      `${second.fingerprint} (ada at home)`,
      `${rsa.fingerprint} (ada at azure)`,
    ].join(', ');
    expect(await refused()).toMatchObject({
      code: 'agent-unavailable',
      what: `The ssh-agent at ${stage.agent.socket} does not hold the key ${asked} of the route; it holds ${held}`,
      todo: 'add that key with `ssh-add FILE`, or correct `key` of the route',
    });
    stage.ssh = routeTo(stage.sshd, stage.knownHosts);
    expect(await refused()).toMatchObject({
      code: 'agent-unavailable',
      what: `The ssh-agent at ${stage.agent.socket} holds 3 keys, and the route does not say which one to offer: ${held}`,
      todo: 'set `key` of the route to the fingerprint of the right one',
    });
  });

  it('holds a certificate beside the key, which is passed over, or alone, which is told', async () => {
    const agent = await SshAgent.start(join(stage.rig.folder, 'certified-agent'));
    onTestFinished(() => agent.stop());
    const ask = { env: { ...process.env, SSH_AUTH_SOCK: agent.socket }, stdio: 'ignore' as const };
    const file = join(stage.rig.folder, 'user');
    const key = await makeKeyPair(file, { type: 'ed25519', comment: 'certified' });
    const authority = join(stage.rig.folder, 'user-authority');
    await makeKeyPair(authority, { type: 'ed25519', comment: 'authority' });
    execFileSync('ssh-keygen', ['-q', '-s', authority, '-I', 'ada', '-n', 'ada', `${file}.pub`]);
    const sshd = await stage.server({ authorizedKeys: [key.line] });
    writeFileSync(stage.knownHosts, sshd.knownHosts, { flag: 'a' });
    stage.socket = agent.socket;
    // With its certificate beside it ssh-add adds both.
    execFileSync('ssh-add', [file], ask);
    expect((await agent.keys()).map(({ type }) => type).sort()).toEqual(['ssh-ed25519', 'ssh-ed25519-cert-v01@openssh.com']);
    stage.ssh = routeTo(sshd, stage.knownHosts);
    await fetched();
    stage.ssh = routeTo(sshd, stage.knownHosts, { key: key.fingerprint });
    await fetched();
    rmSync(`${file}-cert.pub`);
    execFileSync('ssh-add', ['-d', `${file}.pub`], ask);
    expect((await agent.keys()).map(({ type }) => type)).toEqual(['ssh-ed25519-cert-v01@openssh.com']);
    expect(await refused()).toMatchObject({
      code: 'agent-unavailable',
      what: `The ssh-agent at ${agent.socket} holds the key ${key.fingerprint} (certified) as ssh-ed25519-cert-v01@openssh.com only, which cannot be offered here`,
      todo: 'add the key itself beside its certificate with `ssh-add`',
    });
    stage.ssh = routeTo(sshd, stage.knownHosts);
    expect((await refused()).what).toBe(
      `The ssh-agent at ${agent.socket} holds no key that can be offered here, only certificates or hardware keys: ${key.fingerprint} (certified)`,
    );
  });

  it('refuses to sign, signs with SHA-1, or is none', async () => {
    const blob = Buffer.from(rsa.blob, 'base64');
    const list = message(12, count(1), field(blob), field(Buffer.from('\u001b[31mred', 'latin1')));
    stage.ssh = routeTo(homes, stage.knownHosts);
    const signing = (answer: Buffer) => (ask: Buffer) => (ask[4] === 11 ? list : answer);
    const cases: [answer: (ask: Buffer) => Buffer | undefined, what: (socket: string) => string][] = [
      [signing(message(5)), (socket) => `The ssh-agent at ${socket} refused to sign with the key ${rsa.fingerprint} ([31mred)`],
      [
        signing(message(14, field(Buffer.concat([field(Buffer.from('ssh-rsa')), field(Buffer.alloc(256))])))),
        (socket) => `The ssh-agent at ${socket} signed with ssh-rsa where rsa-sha2-256 was asked for`,
      ],
      [(ask) => (ask[4] === 11 ? list : undefined), (socket) => `The ssh-agent at ${socket} closed the connection without an answer`],
      [() => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), (socket) => `What answers at ${socket} does not speak as an ssh-agent does`],
      [() => message(12, count(7)), (socket) => `What answers at ${socket} does not speak as an ssh-agent does`],
      [() => message(5), (socket) => `The ssh-agent at ${socket} refused to tell which keys it holds`],
    ];
    for (const [answer, what] of cases) {
      const { socket, server } = await impostor(answer);
      stage.socket = socket;
      const refusal = await refused();
      expect(refusal).toMatchObject({ code: 'agent-unavailable', what: what(socket) });
      expect(refusal.todo).not.toBe('');
      await new Promise((resolve) => server.close(resolve));
    }
    expect(stage.upstreams.states().every(({ busy }) => busy === 0)).toBe(true);
  });
});
