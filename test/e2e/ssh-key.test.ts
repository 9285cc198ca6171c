/** `postern ssh-key` with the real ssh-keygen, ssh-add and ssh-agent. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { hasAccount } from '../support/account.js';
import { PROGRAM, type Ran, run } from '../support/scene.js';
import { SshAgent } from '../support/ssh-agent.js';
import { makeKeyPair } from '../support/ssh-keys.js';

const ask = promisify(execFile);
/** ssh-keygen and ssh-add do not run for a uid that no account has. */
const needsAccount = describe.skipIf(!hasAccount());

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'postern-key-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

interface Options {
  readonly agent?: SshAgent | undefined;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs the built program in a session without a terminal, so that nothing is asked of the developer. */
function postern(args: readonly string[], { agent, env }: Options = {}): Promise<Ran> {
  return run('setsid', ['-w', process.execPath, PROGRAM, ...args], {
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: home,
      LC_ALL: 'C.UTF-8',
      ...(agent === undefined ? {} : { SSH_AUTH_SOCK: agent.socket }),
      ...env,
    },
    cwd: home,
  });
}

needsAccount('ssh-key create', () => {
  let agent: SshAgent;
  beforeEach(async () => {
    agent = await SshAgent.start(join(home, 'agent'));
  });
  afterEach(() => agent.stop());

  it('makes an RSA key, adds it to the agent, and says where its public half goes', async () => {
    const made = await postern(['ssh-key', 'create', '--no-passphrase', '--org', 'contoso', '--comment', 'for work'], { agent });
    const file = join(home, '.ssh', 'postern_azure');
    const line = (await readFile(`${file}.pub`, 'utf8')).trim();
    const fingerprint = (await ask('ssh-keygen', ['-lf', `${file}.pub`])).stdout;
    const [, sha = ''] = /^4096 (SHA256:\S+) for work \(RSA\)\n$/.exec(fingerprint) ?? [];
    expect(made).toMatchObject({ code: 0, stderr: '' });
    expect(made.stdout).toBe(
      [
        `Made ${file} (RSA 4096) and its public half, ${file}.pub`,
        `Added it to the ssh-agent at ${agent.socket}`,
        `Fingerprint: ${sha}`,
        '',
        'Add its public half to your account, in Azure DevOps Services here:',
        '  https://dev.azure.com/contoso/_usersSettings/keys',
        '',
        line,
        '',
        'Then let a route use it, with these lines in the configuration:',
        '  | ssh: agent',
        `  | key: ${sha}`,
        '',
      ].join('\n'),
    );
    expect(await agent.keys()).toMatchObject([{ line }]);
    const modes = await Promise.all([join(home, '.ssh'), file, `${file}.pub`].map(async (each) => (await stat(each)).mode & 0o777));
    expect(modes).toEqual([0o700, 0o600, 0o644]);
  });

  it('makes an ed25519 key in a named file, and says that Azure takes no such key', async () => {
    const made = await postern(['ssh-key', 'create', '--no-passphrase', '--type', 'ed25519', '--file', 'keys/it'], { agent });
    expect(made).toMatchObject({ code: 0, stderr: '' });
    expect(made.stdout).toContain(`Made ${home}/keys/it (ED25519) and`);
    expect(made.stdout).toContain('Azure DevOps Services takes RSA keys only, so this one is for another host.');
    expect(made.stdout).not.toContain('dev.azure.com');
    expect((await agent.keys())[0]?.type).toBe('ssh-ed25519');
  });

  it('prints JSON, and nothing else on stdout', async () => {
    const made = await postern(
      ['ssh-key', 'create', '--no-passphrase', '--type', 'ed25519', '--name', 'other', '--org', 'a', '--org', 'b', '--json'],
      {
        agent,
      },
    );
    const file = join(home, '.ssh', 'postern_other');
    const publicKey = (await readFile(`${file}.pub`, 'utf8')).trim();
    const [held] = await agent.keys();
    expect(JSON.parse(made.stdout)).toEqual({
      file,
      publicFile: `${file}.pub`,
      publicKey,
      fingerprint: held?.fingerprint,
      type: 'ssh-ed25519',
      agent: agent.socket,
      pages: ['https://dev.azure.com/a/_usersSettings/keys', 'https://dev.azure.com/b/_usersSettings/keys'],
      route: { ssh: 'agent', key: held?.fingerprint },
    });
    expect(publicKey).toMatch(/ postern-other@\S+$/);
  });

  it.each(['', '.pub'])('never overwrites: postern_azure%s', async (suffix) => {
    await mkdir(join(home, '.ssh'));
    const there = join(home, '.ssh', `postern_azure${suffix}`);
    await writeFile(there, 'mine');
    const made = await postern(['ssh-key', 'create', '--no-passphrase'], { agent });
    expect(made).toMatchObject({ code: 2, stdout: '' });
    expect(made.stderr).toBe(
      `postern: ${there} is there already, and a key is never overwritten\n  what to do: choose another name with --name or --file, or remove that key yourself\n`,
    );
    expect(await readFile(there, 'utf8')).toBe('mine');
    expect(await readdir(join(home, '.ssh'))).toEqual([`postern_azure${suffix}`]);
  });

  it('makes no open key because there is nobody to ask for a passphrase', async () => {
    const made = await postern(['ssh-key', 'create'], { agent });
    expect(made).toMatchObject({ code: 2, stdout: '' });
    expect(made.stderr).toContain('postern: There is no terminal on which ssh-keygen could ask for a passphrase\n');
    await expect(stat(join(home, '.ssh'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('has ssh-keygen and ssh-add ask for the passphrase, and leaves a file that needs it', async () => {
    const askpass = join(home, 'askpass');
    await writeFile(askpass, `#!/bin/sh\necho "$1" >> ${home}/asked\necho 'correct horse'\n`, { mode: 0o700 });
    const env = { SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' };
    const made = await postern(['ssh-key', 'create', '--type', 'ed25519'], { agent, env });
    expect(made.code).toBe(0);
    expect((await readFile(join(home, 'asked'), 'utf8')).trim().split('\n').length).toBe(3);
    const file = join(home, '.ssh', 'postern_azure');
    await expect(ask('ssh-keygen', ['-y', '-P', '', '-f', file])).rejects.toThrow('incorrect passphrase');
    expect(await agent.keys()).toHaveLength(1);
    expect(made.stdout + made.stderr).not.toContain('correct horse');
  });

  it('never opens the private key: it hands on its name', async () => {
    // These put a pipe in the key's place before they end: who opened it would wait for ever, also root.
    const bin = join(home, 'bin');
    await mkdir(bin);
    const tool = async (name: string, script: string): Promise<void> =>
      writeFile(join(bin, name), `#!/bin/sh\nset -e\nPATH='${process.env['PATH'] ?? ''}'\nfor file do :; done\n${script}`, { mode: 0o755 });
    const key = join(home, '.ssh', 'postern_azure');
    await tool('ssh-keygen', `ssh-keygen "$@"\nmv ${key} ${home}/aside\nmkfifo -m 600 ${key}\n`);
    await tool('ssh-add', `test "$file" = ${key}\nexec ssh-add -q ${home}/aside\n`);
    const made = await postern(['ssh-key', 'create', '--no-passphrase', '--type', 'ed25519'], {
      agent,
      env: { PATH: `${bin}:${process.env['PATH']}` },
    });
    expect(made).toMatchObject({ code: 0, stderr: '' });
    expect(await agent.keys()).toHaveLength(1);
  });

  it.each([
    ['no agent', undefined, 'No ssh-agent is known: SSH_AUTH_SOCK is not set, so the key is made and in no agent yet'],
    [
      'an agent that is not there',
      '/nowhere/agent',
      'The ssh-agent at /nowhere/agent did not take it, so the key is made and in no agent yet',
    ],
  ])('keeps the key and says how to add it with %s', async (_, socket, text) => {
    const made = await postern([
      'ssh-key',
      'create',
      '--no-passphrase',
      '--type',
      'ed25519',
      ...(socket === undefined ? [] : ['--agent', socket]),
    ]);
    expect(made.code).toBe(1);
    expect(made.stderr).toContain(`postern: ${text}\n`);
    expect(made.stderr).toContain(`\`ssh-add ${home}/.ssh/postern_azure\``);
    expect(made.stdout).toContain('Fingerprint: SHA256:');
    expect(made.stdout).not.toContain('Added');
  });
});

describe('ssh-key create refuses', () => {
  it.each([
    [['--type', 'dsa'], 'There is no such type of key here'],
    [['--name', '../x'], 'Not a name for a key: "../x"'],
    [['--name', 'x', '--file', 'y'], '--name and --file both say where the key goes'],
    [['--comment', 'a\nb'], 'A comment is one line of plain text'],
    [['--org', 'no org'], 'Not the name of an organisation: "no org"'],
  ])('%j', async (words, text) => {
    const made = await postern(['ssh-key', 'create', '--no-passphrase', ...words]);
    expect(made).toMatchObject({ code: 2, stdout: '' });
    expect(made.stderr).toContain(`postern: ${text}\n`);
    expect(await readdir(home)).toEqual([]);
  });

  it('says what is missing when there is no ssh-keygen', async () => {
    const made = await run(process.execPath, [PROGRAM, 'ssh-key', 'create', '--no-passphrase'], { env: { PATH: '/nowhere', HOME: home } });
    expect(made).toMatchObject({ code: 2, stderr: expect.stringContaining('postern: ssh-keygen was not found\n') as string });
  });
});

describe('ssh-key show', () => {
  let agents: SshAgent[];
  let work: string;
  beforeAll(async () => {
    work = await mkdtemp(join(tmpdir(), 'postern-agents-'));
    agents = [await SshAgent.start(join(work, 'one')), await SshAgent.start(join(work, 'two'))];
  });
  afterAll(async () => {
    for (const agent of agents) await agent.stop();
    await rm(work, { recursive: true });
  });

  async function configuration(...routes: readonly string[]): Promise<string> {
    const file = join(home, 'config.yaml');
    await writeFile(file, `identities: { n: { kind: none } }\nroutes:\n${routes.map((each) => `  - { identity: n, ${each} }\n`).join('')}`);
    return file;
  }

  needsAccount('', () => {
    it('lists the keys, who uses each, and which Azure would not take', async () => {
      const [one, two] = agents;
      if (one === undefined || two === undefined) throw new Error('There are two agents');
      const [rsa, ed, lone] = [
        await one.add('rsa', { bits: 2048, comment: 'jane@work' }),
        await one.add('ed25519', { comment: 'a \u001b[31mred\u0007 key' }),
        await two.add('ecdsa', { comment: 'lone' }),
      ];
      const file = await configuration(
        `match: dev.azure.com/contoso/**, ssh: agent, key: '${rsa.fingerprint}'`,
        `match: dev.azure.com/fabrikam/**, ssh: agent, key: '${rsa.fingerprint}'`,
        `match: git.example.com/**, host: generic, ssh: { mode: agent, socket: ${two.socket} }`,
        'match: dev.azure.com/**',
      );
      const shown = await postern(['ssh-key', 'show', '--config', file], { agent: one });
      expect(shown).toMatchObject({ code: 0, stderr: '' });
      const lines = shown.stdout.split('\n').map((line) => line.replace(/ {2,}/g, '  '));
      expect(lines).toEqual([
        `agent ${one.socket}: 2 keys`,
        `  ${rsa.fingerprint}  RSA 2048  jane@work  dev.azure.com/contoso/**, dev.azure.com/fabrikam/**`,
        `  ${ed.fingerprint}  ED25519  a \\u001b[31mred\\u0007 key  no route  not taken by Azure DevOps Services`,
        `agent ${two.socket}: 1 key`,
        `  ${lone.fingerprint}  ECDSA-SHA2-NISTP256  lone  git.example.com/**  not taken by Azure DevOps Services`,
        '',
      ]);
      const { agents: all } = JSON.parse((await postern(['ssh-key', 'show', '--config', file, '--json'], { agent: one })).stdout) as {
        agents: unknown[];
      };
      expect(all[1]).toEqual({
        socket: two.socket,
        keys: [
          {
            fingerprint: lone.fingerprint,
            type: 'ecdsa-sha2-nistp256',
            comment: 'lone',
            isForAzure: false,
            routes: ['git.example.com/**'],
          },
        ],
        missing: [],
      });

      const only = await postern(['ssh-key', 'show', '--config', file, '--agent', two.socket], { agent: one });
      expect(only.stdout).toContain(`agent ${two.socket}: 1 key`);
      expect(only.stdout).not.toContain(one.socket);

      const other = (await makeKeyPair(join(home, 'other'), { type: 'ed25519', comment: '' })).fingerprint;
      const without = await postern(
        ['ssh-key', 'show', '--config', await configuration(`match: dev.azure.com/**, ssh: agent, key: '${other}'`)],
        { agent: one },
      );
      expect(without.code).toBe(1);
      expect(without.stdout).toContain(
        `  missing: ${other}, which the route dev.azure.com/** asks for\n  what to do: add it with \`ssh-add FILE\``,
      );
    });

    it('says that an agent is locked or empty as a route would', async () => {
      const empty = await SshAgent.start(join(home, 'empty'));
      const shown = await postern(['ssh-key', 'show', '--config', await configuration('match: dev.azure.com/**')], { agent: empty });
      await empty.stop();
      expect(shown).toMatchObject({ code: 0, stdout: `agent ${empty.socket}: 0 keys\n` });
    });
  });

  it('says that there is no agent, or none that answers', async () => {
    const file = await configuration('match: dev.azure.com/**');
    expect(await postern(['ssh-key', 'show', '--config', file])).toMatchObject({
      code: 1,
      stdout: '',
      stderr:
        'postern: No ssh-agent is known: SSH_AUTH_SOCK is not set\n  what to do: start one (`eval "$(ssh-agent)"`) or name the socket of yours with --agent\n  more: postern explain agent-unavailable\n',
    });
    const gone = await postern(['ssh-key', 'show', '--config', file, '--agent', '/nowhere/agent']);
    expect(gone.code).toBe(1);
    expect(gone.stderr).toContain('postern: There is no ssh-agent at /nowhere/agent: no such socket\n');
  });

  it('goes on when one of several cannot be asked', async () => {
    const [one] = agents;
    const file = await configuration('match: git.example.com/**, host: generic, ssh: { mode: agent, socket: /nowhere/agent }');
    const shown = await postern(['ssh-key', 'show', '--config', file], { agent: one });
    expect(shown).toMatchObject({ code: 1, stderr: '' });
    expect(shown.stdout).toContain(`agent ${one?.socket ?? ''}: `);
    expect(shown.stdout).toContain(
      'agent /nowhere/agent: cannot be asked\n  There is no ssh-agent at /nowhere/agent: no such socket\n  what to do: ',
    );
    const lost = await postern([
      'ssh-key',
      'show',
      '--config',
      await configuration(
        'match: a.example/**, host: generic, ssh: agent',
        `match: b.example/**, host: generic, ssh: { mode: agent, socket: ${one?.socket ?? ''} }`,
      ),
    ]);
    expect(lost.code).toBe(1);
    expect(lost.stdout).toContain('SSH_AUTH_SOCK is not set, and the routes a.example/** name no other');
  });
});
