/**
 * Both ends of the bridge in one process, with real git on either side: a git client whose `ssh` is a small program that speaks to a
 * socket here, and git's own stateless services as the upstream, each request a child.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { FLUSH_PACKET, writePacket } from '../../src/git/pkt-line.js';
import { writeRefusedPush } from '../../src/git/report-status.js';
import { messageOf, ProxyError } from '../../src/model/errors.js';
import type { SessionOperation } from '../../src/model/operation.js';
import type { OperationRecord } from '../../src/model/record.js';
import { TimeSpent } from '../../src/model/time-spent.js';
import type { Refusal } from '../../src/model/refusal.js';
import { refusalLines } from '../../src/model/refusal.js';
import { bridge } from '../../src/ssh/bridge.js';
import type { GitLeg, LegAnswer, LegRequest } from '../../src/ssh/git-leg.js';
import type { Carried, Carrier, GitSession } from '../../src/ssh/git-session.js';

/** One request that went up. */
export interface Sent {
  readonly service: string;
  readonly step: string;
  readonly body: 'none' | 'whole' | 'stream';
  readonly gitProtocol: string | undefined;
  /** The bytes of a whole body. */
  readonly bytes: Buffer;
}

export function refusalOf(thrown: unknown): Refusal {
  const isOurs = thrown instanceof ProxyError;
  return {
    kind: 'refusal',
    code: isOurs ? thrown.code : 'internal',
    status: 502,
    what: messageOf(thrown),
    todo: (isOurs ? thrown.todo : undefined) ?? 'report this',
  };
}

export interface LegOptions {
  /** What is told to git instead of what was asked for: a server that ignores the version. */
  readonly protocol?: string;
  /** Leaves out git's own name of the service, or puts it where git's own server does not. */
  readonly hasService?: boolean;
  /** Between the server and the bridge; told which request of the session it is, from 0. */
  readonly through?: (answer: Readable, request: LegRequest, index: number) => Readable;
  /** Changes a whole body on its way up. */
  readonly change?: (body: Buffer) => Buffer;
  /** Names that the client is not to see in the advertisement, the longer before the shorter. */
  readonly hidden?: readonly string[];
}

/** A repository behind git's own stateless services. */
export class ChildLeg implements GitLeg {
  readonly sent: Sent[] = [];
  readonly children = new Set<ChildProcess>();
  readonly #repository: string;
  readonly #env: Record<string, string>;
  readonly #options: LegOptions;

  constructor(repository: string, env: Record<string, string>, options: LegOptions = {}) {
    this.#repository = repository;
    this.#env = env;
    this.#options = options;
  }

  send(request: LegRequest): Promise<LegAnswer> {
    const { service, step, body, gitProtocol } = request;
    const kind = body === undefined ? 'none' : Buffer.isBuffer(body) ? 'whole' : 'stream';
    this.sent.push({ service, step, body: kind, gitProtocol, bytes: Buffer.isBuffer(body) ? body : Buffer.alloc(0) });
    const protocol = this.#options.protocol ?? gitProtocol;
    const child = spawn(
      'git',
      [
        service.slice('git-'.length),
        '--stateless-rpc',
        ...(step === 'advertisement' ? ['--http-backend-info-refs'] : []),
        this.#repository,
      ],
      { env: { ...this.#env, ...(protocol === undefined ? {} : { GIT_PROTOCOL: protocol }) } },
    );
    this.children.add(child);
    child.once('close', () => this.children.delete(child));
    child.stderr.resume();
    child.stdin.on('error', () => undefined);
    if (body === undefined) child.stdin.end();
    else if (Buffer.isBuffer(body)) child.stdin.end(this.#options.change?.(body) ?? body);
    else pipeline(body, child.stdin).catch(() => child.kill('SIGKILL'));
    const answer = new PassThrough();
    answer.once('close', () => {
      if (!answer.readableEnded) child.kill('SIGKILL');
    });
    const isNamed = this.#options.hasService ?? protocol?.includes('version=2') !== true;
    if (step === 'advertisement' && isNamed) answer.write(Buffer.concat([writePacket(`# service=${service}\n`), FLUSH_PACKET]));
    pipeline(child.stdout, answer).catch(() => undefined);
    return Promise.resolve({ kind: 'answer', body: this.#options.through?.(answer, request, this.sent.length - 1) ?? answer });
  }

  refusalFor(thrown: unknown): Refusal {
    return refusalOf(thrown);
  }
}

/** The client's ssh: says what it is to run, then passes bytes; answers come in frames (kind, length, bytes). */
const CLIENT = `
import net from 'node:net';
const socket = net.connect({ path: process.env.BRIDGE_SOCKET, allowHalfOpen: true });
socket.write(JSON.stringify({ command: process.argv.at(-1), gitProtocol: process.env.GIT_PROTOCOL }) + '\\n');
process.stdin.pipe(socket);
process.stdout.on('error', () => process.exit(255));
let held = Buffer.alloc(0);
let code = 255;
socket.on('data', (chunk) => {
  held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
  while (held.length >= 5 && held.length >= 5 + held.readUInt32BE(1)) {
    const end = 5 + held.readUInt32BE(1);
    const bytes = held.subarray(5, end);
    if (held[0] === 1 && !process.stdout.write(bytes)) {
      socket.pause();
      process.stdout.once('drain', () => socket.resume());
    }
    if (held[0] === 2) process.stderr.write(bytes);
    if (held[0] === 3) code = bytes[0];
    held = held.subarray(end);
  }
});
const finish = () => process.exit(code);
socket.on('error', finish);
socket.on('end', () => process.stdout.write('', finish));
`;

const FRAME = { output: 1, errors: 2, exit: 3 } as const;

export interface Rig {
  readonly folder: string;
  /** Clean environment with the socket in it. */
  readonly env: Record<string, string>;
  /** What became of each session, in order of their ends. */
  readonly carried: Carried[];
  /** The leg of each session, in order of their beginnings. */
  readonly legs: ChildLeg[];
  /** For sessions that begin from now on. */
  options: LegOptions;
  /** Carries sessions in the bridge's place; the path is that of the client. */
  carrier?: Carrier;
  /** Runs git and gives its standard output; throws with what it said when it fails. */
  git(...args: readonly string[]): Promise<string>;
  /** Runs git and gives everything. */
  run(...args: readonly string[]): Promise<{ code: number; out: string; err: string }>;
  /** Address of a repository of this machine through the bridge. */
  url(path: string): string;
  close(): Promise<void>;
}

export async function openRig(): Promise<Rig> {
  const folder = mkdtempSync(join(tmpdir(), 'bridge-'));
  const script = join(folder, 'ssh.mjs');
  writeFileSync(script, CLIENT);
  const env: Record<string, string> = {
    PATH: process.env['PATH'] ?? '/usr/bin:/bin',
    HOME: folder,
    LC_ALL: 'C',
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: join(folder, 'gitconfig'),
    GIT_TERMINAL_PROMPT: '0',
    GIT_SSH_COMMAND: `'${process.execPath}' '${script}'`,
    GIT_SSH_VARIANT: 'ssh',
    BRIDGE_SOCKET: join(folder, 'door'),
  };
  writeFileSync(
    join(folder, 'gitconfig'),
    '[user]\nname = U\nemail = u@example.com\n[init]\ndefaultBranch = main\n[gc]\nauto = 0\n[safe]\ndirectory = *\n[protocol "file"]\nallow = always\n',
  );
  const sockets = new Set<Socket>();
  const rig: Rig = {
    folder,
    env,
    carried: [],
    legs: [],
    options: {},
    async git(...args) {
      const { code, out, err } = await rig.run(...args);
      if (code !== 0) throw new Error(`git ${args.join(' ')} ended with ${String(code)}: ${err}`);
      return out;
    },
    run: (...args) => runGit(args, env, folder),
    url: (path) => `ssh://host${path}`,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    void serve(socket, rig);
  });
  await new Promise<void>((resolve) => server.listen(env['BRIDGE_SOCKET'], resolve));
  return rig;
}

/** A session as the door makes one. */
export function sessionOf(
  kind: SessionOperation['kind'],
  ends: Pick<GitSession, 'input' | 'output' | 'over'> & Partial<GitSession>,
): GitSession {
  const address = { kind: 'generic', host: 'host', path: '/repository' } as unknown as SessionOperation['address']; // not looked at
  return {
    operation: { kind, step: 'session', address },
    pass: { kind: 'pass', route: {}, refPolicies: [] } as unknown as GitSession['pass'], // only the policies are looked at
    // Only the refs, and where the time goes, are noted.
    record: { refs: [], refsLeftOut: 0, spent: new TimeSpent() } as unknown as OperationRecord,
    path: '/repository',
    errors: new PassThrough(),
    gitProtocol: undefined,
    ...ends,
  };
}

async function serve(socket: Socket, rig: Rig): Promise<void> {
  const input = new PassThrough();
  const over = new AbortController();
  socket.on('error', () => undefined);
  socket.once('close', () => over.abort());
  const head = await firstLine(socket, input);
  const { command, gitProtocol } = JSON.parse(head) as { command: string; gitProtocol?: string };
  const [, service, path] = /^git[ -](upload-pack|receive-pack|upload-archive) '(.*)'$/.exec(command) ?? [];
  const leg = new ChildLeg(path!, rig.env, rig.options);
  rig.legs.push(leg);
  const kind = service === 'upload-pack' ? 'fetch' : service === 'receive-pack' ? 'push' : 'archive';
  const output = framed(socket, FRAME.output, rig.options.hidden);
  const session = sessionOf(kind, { input, output, over: over.signal, gitProtocol, errors: framed(socket, FRAME.errors), path: path! });
  const carried = await (rig.carrier ?? bridge(() => leg))(session);
  rig.carried.push(carried);
  if (carried.kind === 'failed') {
    const lines = refusalLines(carried.refusal);
    if (carried.where === 'between') {
      const report =
        carried.commands &&
        writeRefusedPush(
          carried.commands,
          carried.commands.commands.map(() => carried.refusal.what),
          lines,
        );
      output.write(report ?? writePacket(`ERR ${lines.join(' | ')}`));
    }
    session.errors.write(`${lines.join('\n')}\n`);
  }
  socket.write(frame(FRAME.exit, Buffer.from([carried.kind === 'passed' ? carried.exitCode : 1])));
  socket.end();
  input.resume();
}

/** Reads the first line; the rest of the socket goes into `input`. */
function firstLine(socket: Socket, input: PassThrough): Promise<string> {
  let held = Buffer.alloc(0);
  return new Promise((resolve) => {
    const take = (chunk: Buffer): void => {
      held = Buffer.concat([held, chunk]);
      const at = held.indexOf('\n');
      if (at < 0) return;
      socket.off('data', take);
      input.write(held.subarray(at + 1));
      socket.pipe(input);
      resolve(held.toString('utf8', 0, at));
    };
    socket.on('data', take);
  });
}

function frame(kind: number, bytes: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head[0] = kind;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
}

/** `hidden` becomes something of the same length, so that packets stay what they are. */
function framed(socket: Socket, kind: number, hidden: readonly string[] = []): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      let text = chunk.toString('latin1');
      for (const name of hidden) text = text.replaceAll(` ${name} `, ` ${'x'.repeat(name.length)} `);
      if (socket.write(frame(kind, Buffer.from(text, 'latin1')))) done();
      else {
        const go = (): void => {
          socket.off('drain', go).off('close', go);
          done();
        };
        socket.on('drain', go).on('close', go);
      }
    },
  });
}

function runGit(args: readonly string[], env: Record<string, string>, cwd: string): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? 255, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }));
  });
}

/** Feeds `git fast-import`: a made-up history costs no child for each commit. */
export function fastImport(rig: Rig, repository: string, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('git', ['-C', repository, 'fast-import', '--quiet', '--force'], {
      env: rig.env,
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    let complaint = '';
    child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    child.once('error', reject);
    child.once('close', (code) => (code === 0 ? resolve() : reject(new Error(complaint))));
    child.stdin.end(text);
  });
}

/** A line of `count` commits on `branch`, each with a file of its own, marked from `:mark` on; from `from` when given. Times go up from `time`, in days. */
export function line(
  branch: string,
  count: number,
  { from, time = 1, name = branch, mark = 1 }: { from?: string; time?: number; name?: string; mark?: number } = {},
): string {
  const commits: string[] = [];
  for (let index = 0; index < count; index++) {
    const text = `${name} ${String(index)}\n`.repeat(20);
    commits.push(
      `commit refs/heads/${branch}\nmark :${String(mark + index)}\ncommitter U <u@example.com> ${String(1_600_000_000 + (time + index) * 86_400)} +0000\ndata 2\nx\n` +
        (index === 0 && from !== undefined ? `from ${from}\n` : '') +
        `M 100644 inline ${name.replaceAll('/', '-')}-${String(index % 50)}\ndata ${String(text.length)}\n${text}\n`,
    );
  }
  return commits.join('');
}
