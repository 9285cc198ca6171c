/**
 * `postern setup` for the SSH door, with the real git and ssh in scratch homes. Invariant: setup then undo leaves the known_hosts
 * file, and the directory it is in, byte for byte as they were.
 */
import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import ssh2 from 'ssh2';
import { describe, expect, it } from 'vitest';
import { reachedAs } from '../../src/cli/known-hosts/lines.js';
import { hostKey } from '../../src/store/ssh-host-key.js';
import { hasAccount } from '../support/account.js';
import { Bench, DOOR_KEY, FOREIGN } from './setup-bench.js';

const bench = new Bench();
const run = promisify(execFile);
/** ssh does not run for a uid that no account has, not even to tell its configuration. */
const test = it.skipIf(!hasAccount());

const OTHER_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';
const LINE = `[127.0.0.1]:8422 ${DOOR_KEY} added by \`postern setup\`, taken out by \`postern setup --undo\`\n`;
const knownHosts = (): string => bench.at('.ssh', 'known_hosts');
const content = (): Promise<string> => readFile(knownHosts(), 'latin1');

const CONTENTS: Record<string, string | Buffer> = {
  'lines of others': `github.com ${OTHER_KEY}\n`,
  'no final newline': `github.com ${OTHER_KEY}`,
  CRLF: `github.com ${OTHER_KEY}\r\n# mine\r\n`,
  'CRLF and no final newline': `github.com ${OTHER_KEY}\r\n# mine`,
  'hashed names': `|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= ${OTHER_KEY}\n`,
  'markers, comments and blanks': `@cert-authority *.example.com ${OTHER_KEY}\n\n  # why\n\t\n@revoked * ${OTHER_KEY}\n`,
  empty: '',
  'only a newline': '\n',
  'bytes that are no UTF-8': Buffer.from([0x23, 0xe9, 0xff, 0x00, 0x0a, 0xc3]),
};

async function write(text: string | Buffer): Promise<void> {
  await mkdir(bench.at('.ssh'), { mode: 0o700, recursive: true });
  await writeFile(knownHosts(), text, { mode: 0o600 });
}

describe('setup() then undo() leaves known_hosts byte for byte as it was', () => {
  for (const [name, text] of Object.entries(CONTENTS)) {
    test(`with ${name}`, async () => {
      const more = await bench.withSsh();
      await writeFile(bench.at('.gitconfig'), FOREIGN);
      await write(text);
      const before = await bench.tree();
      const outcome = await bench.setup(more);
      expect(outcome.findings).toEqual([]);
      expect(bench.text).toContain(`Added the key of the SSH door to ${knownHosts()}\n`);
      expect(bench.text).toContain(
        `All ${outcome.rules.length} spellings now lead to http://127.0.0.1:8417/ and ssh://git@127.0.0.1:8422/`,
      );
      const written = Buffer.from(text).toString('latin1');
      expect(await content()).toBe(`${written}${written === '' || written.endsWith('\n') ? '' : '\n'}${LINE}`);
      expect(await bench.undo(more)).toMatchObject({ kind: 'restored', knownHosts: 'restored' });
      expect(bench.text).toContain(`Restored ${knownHosts()} byte for byte (sha256 `);
      expect(await bench.tree()).toEqual(before);
    });
  }

  test('with no file and no directory', async () => {
    const more = await bench.withSsh();
    const before = await bench.tree();
    await bench.setup(more);
    expect(bench.text).toContain(`Added the key of the SSH door to ${knownHosts()}, which is new\n`);
    expect([(await stat(bench.at('.ssh'))).mode & 0o777, (await stat(knownHosts())).mode & 0o777]).toEqual([0o700, 0o600]);
    expect(await content()).toBe(LINE);
    expect(await bench.undo(more)).toMatchObject({ kind: 'restored', knownHosts: 'restored' });
    expect(await bench.tree()).toEqual(before);
  });

  test('with a directory and no file, and keeps what came into the directory since', async () => {
    const more = await bench.withSsh();
    await bench.setup(more);
    await writeFile(bench.at('.ssh', 'config'), '');
    await bench.undo(more);
    const before = await bench.tree();
    expect(Object.keys(before)).toContain(bench.at('.ssh', 'config'));
    expect(Object.keys(before)).not.toContain(knownHosts());
    await bench.setup(more);
    await bench.undo(more);
    expect(await bench.tree()).toEqual(before);
  });

  test('through links, with the mode that it has', async () => {
    const more = await bench.withSsh();
    await mkdir(bench.at('dotfiles', 'ssh'), { recursive: true });
    await writeFile(bench.at('dotfiles', 'hosts'), `github.com ${OTHER_KEY}`);
    await chmod(bench.at('dotfiles', 'hosts'), 0o644);
    await symlink('dotfiles/ssh', bench.at('.ssh'));
    await symlink('../hosts', bench.at('dotfiles', 'ssh', 'known_hosts'));
    const before = await bench.tree();
    await bench.setup(more);
    const during = await bench.tree();
    expect(during[bench.at('dotfiles', 'hosts')]).toBe(`file 644 github.com ${OTHER_KEY}\n${LINE}`);
    expect(during[bench.at('dotfiles', 'ssh', 'known_hosts')]).toBe('link ../hosts');
    await bench.undo(more);
    expect(await bench.tree()).toEqual(before);
  });

  test('in the file that ssh is told to read, for each address of the door', async () => {
    const moved = bench.at('my hosts');
    const more = await bench.withSsh(
      {
        listen: ['127.0.0.1', '::', '10.88.0.1'].map((host, index) => ({ host, port: index === 2 ? 22 : 8422, optional: false })),
      },
      `UserKnownHostsFile "${moved}" /dev/null\n`,
    );
    const before = await bench.tree();
    await bench.setup(more);
    expect(await readFile(moved, 'utf8')).toBe(LINE.replace('[127.0.0.1]:8422', '[127.0.0.1]:8422,[::1]:8422,10.88.0.1'));
    await bench.undo(more);
    expect(await bench.tree()).toEqual(before);
  });

  test('for the whole machine', async () => {
    const { ssh } = await bench.withSsh();
    const places = {
      config: bench.at('system'),
      owned: bench.at('etc', 'gitconfig'),
      journal: bench.at('var', 'setup.json'),
      knownHosts: bench.at('etc', 'ssh', 'ssh_known_hosts'),
      system: true,
    };
    const env = { ...bench.scratch.env, GIT_CONFIG_NOSYSTEM: '0', GIT_CONFIG_SYSTEM: places.config };
    const before = await bench.tree();
    await bench.setup({ env, places, ssh });
    expect(await readFile(places.knownHosts, 'utf8')).toBe(LINE);
    expect([(await stat(bench.at('etc', 'ssh'))).mode & 0o777, (await stat(places.knownHosts)).mode & 0o777]).toEqual([0o755, 0o644]);
    await bench.undo({ env, places });
    expect(await bench.tree()).toEqual(before);
  });
});

describe('setup() of known_hosts', () => {
  test('changes nothing when it runs again, also when the journal is lost', async () => {
    const more = await bench.withSsh();
    await write(CONTENTS['no final newline'] ?? '');
    const { places } = await bench.setup(more);
    const before = await bench.tree();
    expect((await bench.setup(more)).changed).toBe(false);
    expect(bench.text).toContain('Nothing to change');
    expect(await bench.tree()).toEqual(before);
    await unlink(places.journal);
    await bench.setup(more);
    expect(await content()).toBe(`${CONTENTS['no final newline'] as string}\n${LINE}`);
  });

  test('shows what it would write, and writes nothing', async () => {
    const more = await bench.withSsh();
    const before = await bench.tree();
    await bench.setup({ ...more, dryRun: true });
    expect(bench.text).toContain(`Would create ${knownHosts()}:\n  | ${LINE}`);
    expect(await bench.tree()).toEqual(before);
    await write(`github.com ${OTHER_KEY}`);
    await bench.setup({ ...more, dryRun: true });
    expect(bench.text).toContain(
      `Would append to ${knownHosts()}, 91 bytes long, after a newline, which its last line lacks:\n  | ${LINE}`,
    );
    await bench.setup(more);
    const during = await bench.tree();
    await bench.setup({ ...more, dryRun: true });
    expect(bench.text).toContain(`Would leave ${knownHosts()} as it is: it has the key of the SSH door already`);
    await bench.undo({ ...more, dryRun: true });
    expect(bench.text).toContain(`Would restore ${knownHosts()} byte for byte (sha256 `);
    expect(await bench.tree()).toEqual(during);
  });

  test.each([
    ['the key', { publicLine: OTHER_KEY }, LINE.replace(DOOR_KEY, OTHER_KEY)],
    ['the address', { listen: [{ host: '127.0.0.1', port: 9422, optional: false }] }, LINE.replace('8422', '9422')],
  ])('replaces its line when %s has changed, and undo() still restores', async (_, door, line) => {
    const more = await bench.withSsh();
    const text = CONTENTS['no final newline'] as string;
    await write(text);
    const before = await bench.tree();
    await bench.setup(more);
    const now = { ...more, ssh: { ...more.ssh, ...door } };
    await bench.setup({ ...now, dryRun: true });
    expect(bench.text).toContain('Would first undo the earlier setup');
    expect(bench.text).toContain(`Would append to ${knownHosts()}, 90 bytes long`.replace('90', String(text.length)));
    expect((await bench.setup(now)).findings).toEqual([]);
    expect(bench.text).toContain('An earlier setup knows the SSH door by another key or address and is undone first');
    expect(await content()).toBe(`${text}\n${line}`);
    await bench.undo(more);
    expect(await bench.tree()).toEqual(before);
  });

  test('takes its line out when the door is switched off, and puts one in when it is switched on', async () => {
    const more = await bench.withSsh();
    await write(CONTENTS['lines of others'] ?? '');
    const before = await bench.tree();
    await bench.setup({ env: more.env });
    expect(await content()).toBe(CONTENTS['lines of others']);
    await bench.setup(more);
    expect(await content()).toContain(LINE);
    const { rules } = await bench.setup({ env: more.env });
    expect(rules.filter(({ insteadOf }) => insteadOf.includes('ssh'))).toEqual([]);
    expect(await content()).toBe(CONTENTS['lines of others']);
    await bench.undo(more);
    expect(await bench.tree()).toEqual(before);
  });

  test('adds nothing where the user has accepted the key, hashed or not, and takes nothing out', async () => {
    const more = await bench.withSsh();
    for (const hash of [false, true]) {
      await write(`[127.0.0.1]:8422 ${DOOR_KEY}\n`);
      if (hash) {
        await run('ssh-keygen', ['-q', '-H', '-f', knownHosts()]);
        await rm(`${knownHosts()}.old`);
        expect(await content()).toMatch(/^\|1\|/);
      }
      const before = await bench.tree();
      expect((await bench.setup(more)).findings).toEqual([]);
      expect(await content()).toBe(before[knownHosts()]?.replace('file 600 ', ''));
      expect(await bench.undo(more)).toMatchObject({ kind: 'restored', knownHosts: 'nothing' });
      expect(await bench.tree()).toEqual(before);
    }
  });

  test.each([
    ['plain', `# a comment\n[127.0.0.1]:8422 ${OTHER_KEY} old\n`, 2],
    ['among others', `github.com,[127.0.0.1]:8422 ${OTHER_KEY}\n`, 1],
    ['by a wildcard', `[127.0.0.*]:84?2 ${OTHER_KEY}\r\n`, 1],
  ])('tells of another key for the address, %s, and leaves it', async (_, text, line) => {
    const more = await bench.withSsh();
    await write(text);
    const before = await bench.tree();
    const { findings } = await bench.setup(more);
    expect(findings.map(({ kind }) => kind)).toEqual(['ssh-host-key']);
    expect(bench.text).toContain(`warning: line ${line} of ${knownHosts()} has another key for the door's address, [127.0.0.1]:8422`);
    expect(await content()).toBe(text + LINE);
    await bench.undo(more);
    expect(await bench.tree()).toEqual(before);
  });

  test('tells of another key for the address that is hashed', async () => {
    const more = await bench.withSsh();
    await write(`[127.0.0.1]:8422 ${OTHER_KEY}\n`);
    await run('ssh-keygen', ['-q', '-H', '-f', knownHosts()]);
    expect((await bench.setup(more)).findings.map(({ kind }) => kind)).toEqual(['ssh-host-key']);
  });

  test('does not take for another key what is excepted, a mere comment, or for another port', async () => {
    const more = await bench.withSsh();
    await write(
      `![127.0.0.1]:8422,* ${OTHER_KEY}\n#[127.0.0.1]:8422 ${OTHER_KEY}\n127.0.0.1 ${OTHER_KEY}\n[127.0.0.1]:84220 ${OTHER_KEY}\n`,
    );
    expect((await bench.setup(more)).findings).toEqual([]);
  });

  test("tells that the door's key is revoked", async () => {
    const more = await bench.withSsh();
    await write(`@revoked * ${DOOR_KEY}\n`);
    const { findings } = await bench.setup(more);
    expect(findings.map(({ lines }) => lines[0])).toEqual([`line 1 of ${knownHosts()} revokes the door's key, so ssh refuses the door`]);
  });

  test.each(['none', '/dev/null'])('writes no line where ssh keeps none (%s), and says so', async (file) => {
    const more = await bench.withSsh({}, `UserKnownHostsFile ${file}\n`);
    const { findings, rules } = await bench.setup(more);
    expect(findings.map(({ kind }) => kind)).toEqual(['ssh-known-hosts']);
    expect(bench.text).toContain('ssh keeps no known hosts for the door');
    expect(rules.length).toBeGreaterThan(20);
    expect(Object.keys(await bench.tree())).not.toContain(knownHosts());
    expect(await bench.undo(more)).toMatchObject({ knownHosts: 'nothing' });
  });

  test("leaves the account's own file alone when it is run for another home, and says so", async () => {
    const { ssh } = await bench.withSsh();
    // Nothing tells this ssh where to look, so it goes by the account, whose home is not the scratch one. Dry, so that not even a
    // setup that is wrong about it could write there.
    const { findings } = await bench.setup({ ssh, dryRun: true });
    expect(findings.map(({ kind }) => kind)).toEqual(['ssh-known-hosts']);
    expect(bench.text).toContain(`which is not in the home that this was run for, ${bench.scratch.home}; it was left alone`);
    expect(bench.text).not.toContain('known_hosts:\n');
    expect(Object.keys(await bench.tree())).not.toContain(knownHosts());
  });

  test('takes the usual file, and says so, when git runs a program for SSH that is not like ssh', async () => {
    const { ssh } = await bench.withSsh();
    await bench.scratch.git(['config', '--global', 'core.sshCommand', 'false']);
    const { findings } = await bench.setup({ ssh });
    expect(findings.map(({ kind }) => kind)).toEqual(['ssh-program']);
    expect(bench.text).toContain('warning: git runs false for SSH, which does not say which known_hosts file it reads');
    expect(await content()).toBe(LINE);
  });

  test('tells what takes a connection to the door elsewhere', async () => {
    const more = await bench.withSsh({}, 'ProxyJump bastion.example.com\nHostName elsewhere.example.com\n');
    const { findings } = await bench.setup(more);
    expect(findings.map(({ lines }) => lines[0])).toEqual([
      'ssh goes to the door by way of bastion.example.com',
      "ssh takes the door's address for elsewhere.example.com",
    ]);
  });

  test('tells of an SSH remote that is spelled unlike any rule', async () => {
    const more = await bench.withSsh();
    const cwd = await bench.scratch.repository('one', 'jane@ssh.dev.azure.com:v3/contoso/p/r');
    expect((await bench.setup({ ...more, cwd })).findings.map(({ kind }) => kind)).toEqual(['uncaught-address']);
    expect(bench.text).toContain('write it as git@ssh.dev.azure.com:v3/ORG/... (git remote set-url)');
    expect((await bench.setup({ env: more.env, cwd })).findings).toEqual([]);
  });

  test('tells that git may not use ssh', async () => {
    const more = await bench.withSsh();
    const { findings } = await bench.setup({ ...more, env: { ...more.env, GIT_ALLOW_PROTOCOL: 'http:https' } });
    expect(findings.map(({ lines }) => lines[0])).toEqual(['git may not use ssh, which the door speaks: GIT_ALLOW_PROTOCOL = http:https']);
  });
});

describe('undo() of known_hosts', () => {
  test('takes out only its line when others came since, before and after', async () => {
    const more = await bench.withSsh();
    const text = CONTENTS['no final newline'] as string;
    await write(text);
    await bench.setup(more);
    await write(`first ${OTHER_KEY}\n${await content()}last ${OTHER_KEY}\n`);
    expect(await bench.undo(more)).toMatchObject({ kind: 'restored', knownHosts: 'line-removed' });
    expect(bench.text).toContain(`Only the door's line was removed from ${knownHosts()}; the file has changed since setup`);
    expect(await content()).toBe(`first ${OTHER_KEY}\n${text}\nlast ${OTHER_KEY}\n`);
  });

  test('goes by the mark in the line when the journal is lost', async () => {
    const more = await bench.withSsh();
    await write(CONTENTS['lines of others'] ?? '');
    const { places } = await bench.setup(more);
    await unlink(places.journal);
    expect(await bench.undo(more)).toMatchObject({ kind: 'lines-removed', knownHosts: 'line-removed' });
    expect(await content()).toBe(CONTENTS['lines of others']);
    // Also when the include is gone already.
    await bench.setup(more);
    await unlink(places.journal);
    await unlink(bench.at('.gitconfig'));
    expect(await bench.undo(more)).toMatchObject({ knownHosts: 'line-removed' });
    expect(await content()).toBe(CONTENTS['lines of others']);
    expect((await bench.undo(more)).kind).toBe('nothing');
  });

  test('says that the line, or the file, is gone already', async () => {
    const more = await bench.withSsh();
    await write(CONTENTS['lines of others'] ?? '');
    await bench.setup(more);
    await run('ssh-keygen', ['-q', '-R', '[127.0.0.1]:8422', '-f', knownHosts()]);
    expect(await bench.undo(more)).toMatchObject({ knownHosts: 'restored' });
    expect(bench.text).toContain(`The door's line is not in ${knownHosts()} any more; it stays as it is`);
    await bench.setup(more);
    await unlink(knownHosts());
    expect(await bench.undo(more)).toMatchObject({ knownHosts: 'already-gone' });
    expect(bench.text).toContain(`${knownHosts()} is not there any more`);
  });

  test('touches nothing of the file when the line stands there twice', async () => {
    const more = await bench.withSsh();
    await bench.setup(more);
    await write(`# two\n${LINE}${LINE}`);
    await expect(bench.undo(more)).rejects.toMatchObject({
      code: 'git-config',
      message: `The line of the door stands 2 times in ${knownHosts()}`,
    });
    expect(await content()).toBe(`# two\n${LINE}${LINE}`);
    await write(LINE);
    expect(await bench.undo(more)).toMatchObject({ knownHosts: 'restored' });
  });
});

describe('the real ssh', () => {
  test('believes the door by that line alone, refuses another in its place, and leaves the file as it is', async () => {
    const { privateKey, publicLine } = await hostKey(bench.at('state'));
    await using door = await sshServer(privateKey.reveal());
    const address = { host: '127.0.0.1', port: door.port, optional: false };
    const more = await bench.withSsh({ address, listen: [address], publicLine }, 'BatchMode yes\nStrictHostKeyChecking yes\n');
    const ask = () => bench.scratch.git(['ls-remote', 'git@ssh.dev.azure.com:v3/contoso/My%20P/r'], '/', more.env).catch(String);
    await bench.setup(more);
    const written = await content();
    expect(await ask()).toContain("the door heard git-upload-pack '/ssh.dev.azure.com/v3/contoso/My P/r'");
    expect(await content()).toBe(written);
    await door[Symbol.asyncDispose]();
    await using impostor = await sshServer((await hostKey(bench.at('other'))).privateKey.reveal(), door.port);
    expect(await ask()).toContain('Host key verification failed');
    expect(impostor.heard).toEqual([]);
  });

  test('believes it also beside an old key for the address', async () => {
    const { privateKey, publicLine } = await hostKey(bench.at('state'));
    await using door = await sshServer(privateKey.reveal());
    const address = { host: '127.0.0.1', port: door.port, optional: false };
    const more = await bench.withSsh({ address, listen: [address], publicLine }, 'BatchMode yes\nStrictHostKeyChecking yes\n');
    await write(`[127.0.0.1]:${door.port} ${OTHER_KEY}\n`);
    expect((await bench.setup(more)).findings.map(({ kind }) => kind)).toEqual(['ssh-host-key']);
    await bench.scratch.git(['ls-remote', 'git@ssh.dev.azure.com:v3/contoso/p/r'], '/', more.env).catch(() => undefined);
    expect(door.heard).toEqual(["git-upload-pack '/ssh.dev.azure.com/v3/contoso/p/r'"]);
  });

  test.each([
    ['ssh://git@ssh.dev.azure.com:22/v3/contoso/My%20P/r', "'/ssh.dev.azure.com/v3/contoso/My P/r'"],
    ['contoso@vs-ssh.visualstudio.com:v3/contoso/p/r', "'/vs-ssh.visualstudio.com/v3/contoso/p/r'"],
    ['ssh://tfs.example.com/tfs/Coll/p/_git/My%20r', "'/tfs.example.com/tfs/Coll/p/_git/My r'"],
    ['git@tfs.example.com:tfs/Coll/p/_git/My%20r', "'tfs.example.com/tfs/Coll/p/_git/My%20r'"],
    ['tfs.example.com:/tfs/Coll/p/_git/r', "'/tfs.example.com/tfs/Coll/p/_git/r'"],
  ])('is sent what %s means', async (url, path) => {
    const more = await bench.withSsh();
    await bench.setup({ ...more, onPrem: ['https://tfs.example.com/tfs/'] });
    const recorder = bench.at('recorder');
    await writeFile(recorder, '#!/bin/sh\nprintf "%s\\n" "$@" >&2\nexit 1\n', { mode: 0o755 });
    const env = { GIT_SSH: recorder, GIT_SSH_VARIANT: 'ssh' };
    const said = await bench.scratch.git(['ls-remote', url], '/', env).catch(String);
    expect(said).toContain(`-p\n8422\ngit@127.0.0.1\ngit-upload-pack ${path}\n`);
  });
});

it('reachedAs() names the address for a listener on all', () => {
  expect(['0.0.0.0', '::', '10.0.0.1'].map(reachedAs)).toEqual(['127.0.0.1', '::1', '10.0.0.1']);
});

/** A server with a key, that lets anybody in and refuses what they ask for. */
async function sshServer(key: string, port = 0): Promise<{ readonly port: number; readonly heard: readonly string[] } & AsyncDisposable> {
  const heard: string[] = [];
  const clients = new Set<ssh2.Connection>();
  const server = new ssh2.Server({ hostKeys: [key] }, (client) => {
    clients.add(client);
    client.on('error', () => undefined); // ssh leaves when it does not believe the key
    client.on('authentication', (context) => {
      context.accept();
    });
    client.on('session', (accept) => {
      const session = accept();
      session.on('env', (accepted) => {
        (accepted as (() => void) | undefined)?.(); // not always asked for
      });
      session.on('exec', (accepted, _, { command }) => {
        heard.push(command);
        const channel = accepted();
        channel.stderr.write(`the door heard ${command}\n`);
        channel.exit(1);
        channel.end();
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  let closing: Promise<void> | undefined;
  return {
    port: (server.address() as AddressInfo).port, // it listens on a port
    heard,
    [Symbol.asyncDispose]: () => {
      closing ??= new Promise((resolve) => {
        for (const client of clients) client.end();
        server.close(() => {
          resolve();
        });
      });
      return closing;
    },
  };
}
