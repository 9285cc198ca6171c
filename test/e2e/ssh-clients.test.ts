/**
 * Other clients than OpenSSH come through the SSH door as well: plink (PuTTY), dbclient (dropbear, which sends no GIT_PROTOCOL)
 * and paramiko. Each signs in without a key, as the daemon's own user, and speaks to both kinds of upstream.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Ran, run } from '../support/scene.js';
import { openSshStage, type SshStage } from '../support/ssh-stage.js';
import { makeBare } from './ssh-drill.js';

/** Debian's packages for Python are for Debian's Python. */
const PYTHON = '/usr/bin/python3';

/** As git calls GIT_SSH: `-p PORT`, the user and the host, and the command. */
const PARAMIKO = `import os, sys, threading
import paramiko

args = sys.argv[1:]
port = 22
variables = {}
while args and args[0].startswith('-'):
    option = args.pop(0)
    if option == '-p':
        port = int(args.pop(0))
    elif option == '-o':
        value = args.pop(0)
        if value == 'SendEnv=GIT_PROTOCOL':
            variables['GIT_PROTOCOL'] = os.environ.get('GIT_PROTOCOL', '')
user, host = args.pop(0).split('@')
transport = paramiko.Transport((host, port))
transport.start_client(timeout=20)
transport.auth_none(user)
channel = transport.open_session()
for name, value in variables.items():
    channel.set_environment_variable(name, value)
channel.exec_command(' '.join(args))

def send():
    while True:
        piece = os.read(0, 65536)
        if not piece:
            channel.shutdown_write()
            return
        channel.sendall(piece)

def pump(read, to):
    while True:
        piece = read(65536)
        if not piece:
            return
        while piece:
            piece = piece[os.write(to, piece):]

threading.Thread(target=send, daemon=True).start()
errors = threading.Thread(target=pump, args=(channel.recv_stderr, 2))
errors.start()
pump(channel.recv, 1)
errors.join()
status = channel.recv_exit_status()
transport.close()
os._exit(status)
`;

interface OtherClient {
  readonly name: string;
  readonly packageName: string;
  /** Ends with 0 where the client is installed. */
  readonly probe: readonly [string, ...string[]];
  /** Whether it passes GIT_PROTOCOL on. */
  readonly sendsProtocol: boolean;
  environment(): Promise<Record<string, string>>;
}

let stage: SshStage;
let close: (() => Promise<void>) | undefined;
let hostKey: string;
/** The repositories on their own disk. */
const bares = { bridge: '', agent: '' };

beforeAll(async () => {
  stage = await openSshStage();
  close = () => stage.close();
  for (const road of ['bridge', 'agent'] as const)
    bares[road] = await makeBare(stage.scene, stage.roads[road].repository('tools'), { largeFileBytes: 3 << 20 });
  const scanned = await run('ssh-keyscan', ['-p', String(stage.daemon.sshPort), '127.0.0.1'], { env: stage.scene.environment });
  const file = await stage.scene.writeFile('door.pub', scanned.stdout);
  hostKey = /SHA256:\S+/.exec((await run('ssh-keygen', ['-lf', file], { env: stage.scene.environment })).stdout)?.[0] ?? '';
});
afterAll(() => close?.());

const CLIENTS: readonly OtherClient[] = [
  {
    name: 'plink',
    packageName: 'putty-tools',
    probe: ['plink', '-V'],
    sendsProtocol: false,
    environment: async () => ({ GIT_SSH_COMMAND: `plink -batch -hostkey ${hostKey}`, GIT_SSH_VARIANT: 'plink' }),
  },
  {
    name: 'dbclient',
    packageName: 'dropbear-bin',
    probe: ['dbclient', '-V'],
    sendsProtocol: false,
    // Git sends no port to a variant without options, and dbclient looks for the host without it.
    environment: async () => {
      const scanned = await readFile(join(stage.scene.directory, 'door.pub'), 'utf8');
      await mkdir(join(stage.scene.home, '.ssh'), { recursive: true, mode: 0o700 });
      await writeFile(join(stage.scene.home, '.ssh', 'known_hosts'), scanned.replace(/^\[127\.0\.0\.1\]:\d+/gm, '127.0.0.1'));
      return { GIT_SSH_COMMAND: `dbclient -p ${stage.daemon.sshPort}`, GIT_SSH_VARIANT: 'simple' };
    },
  },
  {
    name: 'paramiko',
    packageName: 'python3-paramiko',
    probe: [PYTHON, '-c', 'import paramiko'],
    sendsProtocol: true,
    environment: async () => ({
      GIT_SSH_COMMAND: `${PYTHON} ${await stage.scene.writeFile('paramiko-ssh.py', PARAMIKO)}`,
      GIT_SSH_VARIANT: 'ssh',
    }),
  },
];

for (const client of CLIENTS) {
  describe(client.name, () => {
    let environment: Record<string, string>;

    beforeAll(async () => {
      const { code } = await run(client.probe[0], client.probe.slice(1), { env: stage.scene.environment });
      if (code !== 0) throw new Error(`There is no ${client.name}: install the package ${client.packageName}`);
      environment = await client.environment();
    });

    /** With its own client `simple` the port is said to that. */
    const address = (path: string): string =>
      environment['GIT_SSH_VARIANT'] === 'simple' ? `ssh://git@127.0.0.1/${path}` : stage.daemon.sshUrl(path);
    const git = (args: readonly string[], cwd = stage.scene.directory): Promise<Ran> => stage.scene.git(args, { env: environment, cwd });

    for (const [road, path] of [
      ['bridge', 'ssh.dev.azure.com/v3/contoso/Payments/tools'],
      ['agent', 'git.example.com/team/tools.git'],
    ] as const) {
      it(`clones, fetches and pushes: ${road}`, async () => {
        const clone = join(stage.scene.directory, `${client.name}-${road}`);
        expect(await git(['clone', '-q', address(path), clone])).toMatchObject({ code: 0, stderr: '' });
        expect(await git(['fsck', '--full', '--no-progress'], clone)).toMatchObject({ code: 0, stderr: '' });
        expect(await git(['fetch', '-q'], clone)).toMatchObject({ code: 0, stderr: '' });
        await git(['checkout', '-qb', client.name], clone);
        await writeFile(join(clone, 'mine.txt'), 'mine\n');
        await git(['add', '.'], clone);
        await git(['commit', '-qm', 'mine'], clone);
        expect(await git(['push', '-q', 'origin', client.name], clone)).toMatchObject({ code: 0, stderr: '' });
        expect((await git(['--git-dir', bares[road], 'rev-parse', client.name])).stdout).toBe(
          (await git(['rev-parse', 'HEAD'], clone)).stdout,
        );
      });
    }

    it(`is served with protocol ${client.sendsProtocol ? 'v2' : 'v0'}`, async () => {
      const traced = await stage.scene.git(
        ['-c', 'protocol.version=2', 'ls-remote', address('ssh.dev.azure.com/v3/contoso/Payments/tools')],
        {
          env: { ...environment, GIT_TRACE_PACKET: '1' },
        },
      );
      expect(traced.code).toBe(0);
      expect(/packet: +ls-remote< version 2/.test(traced.stderr)).toBe(client.sendsProtocol);
    });

    it('is told what is wrong, and ends with an error', async () => {
      const refused = await git(['ls-remote', address('ssh.dev.azure.com/v3/contoso/Payments/nothing')]);
      expect(refused.code).toBe(128);
      expect(refused.stderr).toContain('TF401019');
    });
  });
}
