/**
 * The SSH door's own guards, attacked by a client that keeps to no rules: what it refuses, that it says so and logs it, and that
 * it serves the next one as before.
 */
import { execFile, execFileSync } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import ssh2, { type ClientChannel, type ConnectConfig, type ParsedKey } from 'ssh2';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { parseAccessKey } from '../../src/config/ssh-settings.js';
import { writePacket } from '../../src/git/pkt-line.js';
import { systemClock } from '../../src/model/clock.js';
import type { LogFields } from '../../src/model/ports.js';
import type { AccessSettings } from '../../src/model/settings.js';
import { type Door, openDoor } from './door-rig.js';

const REPO = "'/ssh.dev.azure.com/v3/contoso/Payments/web'";
const LISTED = ssh2.utils.generateKeyPairSync('ed25519', { comment: 'ada' });
const OTHER = ssh2.utils.generateKeyPairSync('ed25519');
const OPEN: AccessSettings = { local: 'uid', remote: 'lease', uids: [], keys: [], leaseKey: undefined, revocations: undefined };
/** Nobody is served for being who they are. */
const KEYED: AccessSettings = { ...OPEN, local: 'lease', keys: [parseAccessKey(LISTED.public)] };

const lines: { readonly event: string; readonly fields: LogFields }[] = [];
const logger = { log: (_level: string, event: string, fields: LogFields = {}) => void lines.push({ event, fields }) };
const logged = (event: string): string[] => lines.filter((line) => line.event === event).map(({ fields }) => String(fields['what']));

const clients = new Set<ssh2.Client>();

interface Answer {
  readonly code: number | undefined;
  readonly out: string;
  readonly err: string;
}

/** Connects and signs in; rejects with ssh2's text. */
function signIn(port: number, options: ConnectConfig = {}): Promise<ssh2.Client> {
  return new Promise((resolve, reject) => {
    const client = new ssh2.Client();
    clients.add(client);
    // Also those that come when nobody waits any more: a connection that is cut is what many of these tests are about.
    client.once('ready', () => resolve(client)).on('error', reject);
    client.once('close', () => reject(new Error('closed')));
    client.connect({ host: '127.0.0.1', port, username: 'git', readyTimeout: 20_000, ...options });
  });
}

function exec(client: ssh2.Client, command: string, env: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    client.exec(command, { env }, (fault, channel) => {
      if (fault) reject(fault);
      else resolve(answerOf(channel));
    });
  });
}

function answerOf(channel: ClientChannel): Promise<Answer> {
  return new Promise((resolve) => {
    let out = '';
    let err = '';
    let code: number | undefined;
    channel.on('data', (chunk: Buffer) => (out += chunk.toString('latin1')));
    channel.stderr.on('data', (chunk: Buffer) => (err += chunk.toString('utf8')));
    channel.on('exit', (status: number) => (code = status));
    channel.on('close', () => resolve({ code, out, err }));
    channel.end();
  });
}

/** A door with these rules for callers. */
async function open(access: AccessSettings): Promise<Door & { readonly sshPort: number }> {
  const door = await openDoor(undefined, { access, logger, clock: systemClock });
  await door.house.leases?.load();
  await door.house.sshDoor.listen({ host: '127.0.0.1', port: 0, optional: false });
  return { ...door, sshPort: door.house.sshDoor.bound[0]?.port ?? 0 };
}

let plain: Door & { readonly sshPort: number };
let keyed: Door & { readonly sshPort: number };

beforeAll(async () => {
  [plain, keyed] = await Promise.all([open(OPEN), open(KEYED)]);
});

afterEach(() => {
  for (const client of clients) client.destroy();
  clients.clear();
  lines.length = 0;
});

afterAll(() => Promise.all([plain.close(), keyed.close()]));

/** The door is as good as new: an ordinary fetch of an ordinary caller begins. */
async function unmoved(door: { readonly sshPort: number } = plain, key?: string): Promise<void> {
  const client = await signIn(door.sshPort, key === undefined ? {} : { privateKey: key });
  const { out } = await exec(client, `git-upload-pack ${REPO}`);
  expect(out).toMatch(/^[0-9a-f]{4}[0-9a-f]{40} HEAD\0/);
  client.end();
}

describe('a command', () => {
  it.each([
    ["git-upload-pack 'a' ; rm -rf /", 'The command is more than a program and its path'],
    ["git-upload-pack 'a' && id", 'The command is more than a program and its path'],
    ['git-upload-pack `id`', 'The command is more than a program and its path'],
    ['git-upload-pack $(id)', 'The command is more than a program and its path'],
    ['git-upload-pack "a"', 'The command is more than a program and its path'],
    ["git-upload-pack 'a", 'The command is more than a program and its path'],
    ["git-upload-pack 'a'\nid", 'The command holds a control character'],
    ["git-upload-pack 'a\u0000b'", 'The command holds a control character'],
    ["git-upload-pack '--exec=/bin/sh'", 'The command names a repository that begins with a hyphen'],
    ["git-upload-pack --strict 'a'", 'The command does not name exactly one repository'],
    ['git-upload-pack', 'The command does not name exactly one repository'],
    ["git-shell 'a'", 'The command is none of git'],
    ['', 'The command is empty'],
    ['sh', 'The command is none of git'],
    ["git-upload-pack 'a\ud800'", 'The command is not UTF-8'],
    [`git-upload-pack '/dev.azure.com/${'x'.repeat(9000)}'`, 'the path is longer than 8192 bytes'],
  ])('%j is refused, told and logged', async (command, what) => {
    const client = await signIn(plain.sshPort);
    const { code, out, err } = await exec(client, command);
    expect(code).toBe(128);
    expect(out + err).toContain(what);
    expect(out + err).toContain('what to do: ');
    expect(lines.filter(({ event }) => event === 'request-refused')).toHaveLength(1);
    expect(plain.emulator.git.seen).toEqual([]);
  });

  it('of a megabyte ends the connection and nothing else', async () => {
    const client = await signIn(plain.sshPort);
    const ended = exec(client, `git-upload-pack '${'x'.repeat(1024 * 1024)}'`).catch((fault: unknown) => fault);
    const closed = new Promise((resolve) => client.once('close', () => resolve(undefined)));
    await Promise.race([ended, closed]);
    expect(plain.emulator.git.seen).toEqual([]);
    await unmoved();
  });

  it('to a repository that no route names is refused as on the HTTP door', async () => {
    const client = await signIn(plain.sshPort);
    const { out } = await exec(client, "git-upload-pack '/evil-dev.azure.com/contoso/Payments/web'");
    expect(out.slice(4)).toBe(
      'ERR postern: No route matches evil-dev.azure.com/contoso/Payments/web\n' +
        '  what to do: add a route whose match covers evil-dev.azure.com/contoso/Payments/web to the configuration; `postern route explain` shows how an address is read\n  more: postern explain no-route',
    );
  });
});

describe('everything that is no command', () => {
  it('is refused in good order: shell, terminal, subsystems and forwarding', async () => {
    const client = await signIn(plain.sshPort, { strictVendor: false });
    const refused = (start: (done: (fault: Error | undefined) => void) => void): Promise<string> =>
      new Promise((resolve) => start((fault) => resolve(fault?.message ?? 'taken')));
    expect(await refused((done) => client.shell(false, done))).toBe('Unable to open shell');
    expect(await refused((done) => client.exec('x', { pty: true }, done))).toMatch(/Unable to request a pseudo-terminal/);
    expect(await refused((done) => client.subsys('sftp', done))).toMatch(/Unable to start subsystem: sftp/);
    expect(await refused((done) => client.forwardOut('127.0.0.1', 1, '127.0.0.1', 22, done))).toMatch(/Channel open failure/);
    expect(await refused((done) => client.forwardIn('127.0.0.1', 0, done))).toMatch(/Unable to bind/);
    expect(await refused((done) => client.openssh_forwardOutStreamLocal('/tmp/x', done))).toMatch(/Channel open failure/);
    // On the same connection a command is still served.
    expect((await exec(client, `git-upload-pack ${REPO}`)).out).toContain('HEAD');
  });
});

describe('a flood', () => {
  it('of variables ends the connection', async () => {
    const client = await signIn(plain.sshPort);
    const env = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`FLOOD_${index}`, 'x'.repeat(1000)]));
    await expect(exec(client, `git-upload-pack ${REPO}`, env)).rejects.toThrow();
    expect(logged('sign-in-refused')).toContain('sent too many variables');
    await unmoved();
  });

  it('of a thousand channels has no more than 64 of them open', async () => {
    const client = await signIn(plain.sshPort);
    const hold = "git-receive-pack '/ssh.dev.azure.com/v3/contoso/Payments/web'";
    const opened = await Promise.all(
      Array.from(
        { length: 200 },
        () =>
          new Promise<ClientChannel | undefined>((resolve) => client.exec(hold, (fault, channel) => resolve(fault ? undefined : channel))),
      ),
    );
    expect(opened.filter((channel) => channel !== undefined)).toHaveLength(64);
    expect(logged('sign-in-refused')[0]).toBe('more than 64 commands at once on one connection');
    const closed = new Promise((resolve) => client.once('close', () => resolve(undefined)));
    for (let count = 0; count < 800; count += 1) client.exec(hold, () => undefined);
    await closed;
    expect(lines.map(({ fields }) => fields['what'])).toContain('opened too many sessions');
    await unmoved();
  });

  it('of connections that never sign in leaves room for those that do', async () => {
    const sockets = await Promise.all(
      Array.from(
        { length: 150 },
        () =>
          new Promise<Socket>((resolve) => {
            const socket = connect(plain.sshPort, '127.0.0.1', () => resolve(socket));
            socket.on('error', () => undefined);
          }),
      ),
    );
    const isClosed = (socket: Socket): boolean => socket.destroyed || socket.readableEnded;
    for (const socket of sockets) socket.resume();
    while (sockets.filter(isClosed).length < 50) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(logged('sign-in-refused')[0]).toBe('more than 100 connections are signing in at once');
    for (const socket of sockets) socket.destroy();
    while (plain.house.doorParts.peers.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await unmoved();
  });

  it('of bytes that are no SSH ends in a closed connection', async () => {
    for (const bytes of ['GET / HTTP/1.1\r\n\r\n', '\0'.repeat(70_000), `SSH-2.0-x\r\n${'\xff'.repeat(70_000)}`]) {
      const socket = connect(plain.sshPort, '127.0.0.1');
      socket.on('error', () => undefined);
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.resume();
      socket.write(Buffer.from(bytes, 'latin1'));
      await closed;
    }
    await unmoved();
  });
});

describe('a key', () => {
  const key = (text: string): ParsedKey => {
    const parsed = ssh2.utils.parseKey(text);
    if (parsed instanceof Error) throw parsed;
    return parsed;
  };
  /** An agent that shows one key and signs as it likes. */
  const agent = (shown: string, sign: (data: Buffer) => Buffer): ssh2.BaseAgent => {
    class Liar extends ssh2.BaseAgent {
      override getIdentities(done: (fault: Error | undefined, keys?: ParsedKey[]) => void): void {
        done(undefined, [key(shown)]);
      }
      override sign(_key: unknown, data: Buffer, _options: unknown, done?: (fault: Error | undefined, signature?: Buffer) => void): void {
        (done ?? (_options as typeof done))?.(undefined, sign(data));
      }
    }
    return new Liar();
  };
  const only = (method: Record<string, unknown>): Pick<ConnectConfig, 'authHandler'> => ({
    authHandler: [{ username: 'git', ...method }] as never,
  });

  it('that is listed and signs lets in, and is in the record', async () => {
    const client = await signIn(keyed.sshPort, { privateKey: LISTED.private });
    expect((await exec(client, `git-upload-pack ${REPO}`)).out).toContain('HEAD');
    expect(lines.find(({ event }) => event === 'request-finished')?.fields['key']).toBe(parseAccessKey(LISTED.public).fingerprint);
  });

  it('that is not listed does not', async () => {
    await expect(signIn(keyed.sshPort, only({ type: 'publickey', key: OTHER.private }))).rejects.toThrow(
      'All configured authentication methods failed',
    );
    expect(logged('sign-in-refused')[0]).toBe(`the key ${parseAccessKey(OTHER.public).fingerprint}, which access.keys does not list`);
  });

  it.each([
    ['of another key', (data: Buffer) => key(OTHER.private).sign(data)],
    ['of other data', () => key(LISTED.private).sign(Buffer.from('something else'))],
    ['of nothing', () => Buffer.alloc(0)],
    ['of noise', () => Buffer.alloc(64, 7)],
  ])('that is listed, with a signature %s, does not', async (_, sign) => {
    await expect(signIn(keyed.sshPort, only({ type: 'agent', agent: agent(LISTED.public, sign) }))).rejects.toThrow();
    expect(logged('sign-in-refused')[0]).toBe('a signature that is not of the key');
  });

  it('that is listed and is no key at all cannot be signed with', async () => {
    // A point that is not on its curve: whether a signature is of it cannot even be computed.
    const field = (bytes: Buffer): Buffer => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes]);
    const blob = Buffer.concat([
      field(Buffer.from('ecdsa-sha2-nistp256')),
      field(Buffer.from('nistp256')),
      field(Buffer.concat([Buffer.from([4]), Buffer.alloc(64)])),
    ]);
    const line = `ecdsa-sha2-nistp256 ${blob.toString('base64')} none`;
    const door = await open({ ...KEYED, keys: [parseAccessKey(line)] });
    try {
      const sign = (): Buffer => Buffer.from('3006020101020101', 'hex');
      await expect(signIn(door.sshPort, only({ type: 'agent', agent: agent(line, sign) }))).rejects.toThrow();
      expect(logged('sign-in-refused')[0]).toBe('a signature that is not of the key');
    } finally {
      await door.close();
    }
  });

  it('is one of no more than a client may offer', async () => {
    const many = Array.from({ length: 60 }, () => ({ type: 'publickey', username: 'git', key: OTHER.private }));
    await expect(signIn(keyed.sshPort, { authHandler: many as never })).rejects.toThrow();
    expect(lines.map(({ fields }) => fields['what'])).toContain('offered too many keys');
  });

  it('that was asked about and did not sign counts for nothing', async () => {
    // The probe is answered with a yes; then the client signs in as nobody.
    const asked = agent(LISTED.public, () => Buffer.alloc(0));
    const client = await signIn(keyed.sshPort, {
      authHandler: [
        { type: 'agent', username: 'git', agent: asked },
        {
          type: 'keyboard-interactive',
          username: 'git',
          prompt: (_n: string, _i: string, _l: string, _p: unknown, finish: (answers: string[]) => void) => finish([]),
        },
      ] as never,
    });
    const { out } = await exec(client, `git-upload-pack ${REPO}`);
    expect(out).toContain('ERR postern: This door needs a lease, and none came with the request');
    expect(keyed.emulator.git.seen.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('of RSA that signs with SHA-1 is refused, and with SHA-2 taken', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'postern-rsa-'));
    const rsa = ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 });
    const door = await open({ ...KEYED, keys: [parseAccessKey(rsa.public)] });
    try {
      const file = join(directory, 'key');
      await writeFile(file, rsa.private);
      await chmod(file, 0o600);
      const ssh = (algorithm: string): Promise<string> =>
        new Promise((resolve) => {
          const options = ['-F', 'none', '-p', String(door.sshPort), '-i', file, '-o', 'IdentitiesOnly=yes', '-o', 'IdentityAgent=none'];
          const more = ['PreferredAuthentications=publickey', 'StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR'];
          const args = [...options, ...more.flatMap((each) => ['-o', each]), '-o', `PubkeyAcceptedAlgorithms=${algorithm}`];
          const child = execFile('ssh', [...args, 'git@127.0.0.1', `git-upload-pack ${REPO}`], (_fault, out, err) => resolve(out + err));
          child.stdin?.end();
        });
      expect(await ssh('ssh-rsa')).toContain('Permission denied (publickey,keyboard-interactive)');
      expect(await ssh('rsa-sha2-256')).toContain('HEAD');
    } finally {
      await door.close();
      await rm(directory, { recursive: true });
    }
  });
});

describe('a lease', () => {
  async function lease(door: Door, repository: string): Promise<string> {
    const { lease: text } = await door.house.leases!.create({ repos: [repository], allow: ['fetch'], forMs: 60_000 } as never);
    return text;
  }

  it('in POSTERN_LEASE lets in whom nothing else does, as far as it goes', async () => {
    const text = await lease(keyed, 'dev.azure.com/contoso/Payments/web');
    const client = await signIn(keyed.sshPort, { tryKeyboard: true, authHandler: ['none', 'keyboard-interactive'] });
    client.on('keyboard-interactive', (_n, _i, _l, _p, finish) => finish([]));
    expect((await exec(client, `git-upload-pack ${REPO}`, { POSTERN_LEASE: text })).out).toContain('HEAD');
    const pushed = await exec(client, `git-receive-pack ${REPO}`, { POSTERN_LEASE: text });
    expect(pushed.out).toMatch(/ERR postern: The lease [0-9a-f]+ allows fetch, not push\n/);
    const elsewhere = await exec(client, "git-upload-pack '/ssh.dev.azure.com/v3/contoso/Payments/api'", { POSTERN_LEASE: text });
    expect(elsewhere.out).toMatch(/ERR postern: The lease [0-9a-f]+ is not for the repository dev.azure.com\/contoso\/Payments\/api\n/);
    const none = await exec(client, `git-upload-pack ${REPO}`);
    expect(none.out).toContain('ERR postern: This door needs a lease, and none came with the request');
    expect(none.out).toContain('ssh passes a lease on with `SendEnv POSTERN_LEASE`');
    expect(JSON.stringify(lines)).not.toContain(text);
  });

  it('is all that a client needs where no keys are listed, also one that knows no other way to sign in', async () => {
    const door = await open({ ...OPEN, local: 'lease' });
    try {
      const client = await signIn(door.sshPort, { authHandler: ['none'] });
      const text = await lease(door, 'dev.azure.com/contoso/Payments/web');
      expect((await exec(client, `git-upload-pack ${REPO}`, { POSTERN_LEASE: text })).out).toContain('HEAD');
    } finally {
      await door.close();
    }
  });

  it('that is not valid is refused, whoever sends it', async () => {
    const client = await signIn(plain.sshPort);
    for (const text of ['', 'ptl1_nonsense', await lease(keyed, 'dev.azure.com/contoso/**')]) {
      const { out } = await exec(client, `git-upload-pack ${REPO}`, { POSTERN_LEASE: text });
      expect(out, text).toMatch(/^....ERR postern: /);
    }
    expect(new Set(lines.filter(({ event }) => event === 'request-refused').map(({ fields }) => fields['code']))).toEqual(
      new Set(['lease-invalid']),
    );
  });
});

it('what is said on stderr comes before the end, also to a client that has read nothing for a while', async () => {
  const path = await plain.emulator.createRepository('contoso/Payments/large', { commits: 1, largeFileBytes: 16 * 1024 * 1024 });
  const head = execFileSync('git', ['--git-dir', path, 'rev-parse', 'main'], { encoding: 'utf8' }).trim();
  const client = await signIn(plain.sshPort);
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    client.exec("git-upload-pack '/ssh.dev.azure.com/v3/contoso/Payments/large'", (fault, opened) => {
      if (fault) reject(fault);
      else resolve(opened);
    });
  });
  channel.write(`${writePacket(`want ${head}\n`).toString()}0000${writePacket('done\n').toString()}`);
  const { ledger } = plain.house;
  // A window of SSH is full, and no more is taken.
  const full = (): boolean => (ledger.running()[0]?.bytesDown ?? 0) > 2 * 1024 * 1024;
  while (!full()) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(ledger.kill(ledger.running()[0]!.id)).toBeDefined();
  const { code, err } = await answerOf(channel);
  expect(err).toContain('postern: The operation was ended by `postern kill`\n');
  expect(code).toBe(128);
});

it('nothing begins while the audit cannot be written and that matters', async () => {
  const { SshDoor } = await import('../../src/ssh/ssh-door.js');
  const refusal = {
    kind: 'refusal',
    code: 'audit-unwritable',
    status: 503,
    what: 'The audit cannot be written',
    todo: 'make room',
  } as const;
  const door = new SshDoor({ ...plain.house.sshParts, audit: { write: () => undefined, refusal: () => refusal } });
  await door.listen({ host: '127.0.0.1', port: 0, optional: false });
  try {
    const { out } = await exec(await signIn(door.bound[0]?.port ?? 0), `git-upload-pack ${REPO}`);
    expect(out.slice(4)).toBe(
      'ERR postern: The audit cannot be written\n  what to do: make room\n  more: postern explain audit-unwritable',
    );
  } finally {
    await door.close();
  }
});

it('a caller who signs in too slowly is let go of', async () => {
  const { house } = plain;
  const { SshDoor } = await import('../../src/ssh/ssh-door.js');
  const parts = { ...house.sshParts, signInMs: 50 };
  const door = new SshDoor(parts);
  await door.listen({ host: '127.0.0.1', port: 0, optional: false });
  const socket = connect(door.bound[0]?.port ?? 0, '127.0.0.1');
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
  expect(logged('sign-in-refused')).toEqual(['signing in took too long']);
  await door.close();
});
