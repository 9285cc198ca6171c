/**
 * What setup does about the doors' addresses, on the default ports: in a network namespace of the test's own, so that nothing on
 * this machine holds it or misses it. One script runs in there; what it prints is looked at here.
 */
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PROGRAM, type Ran, run } from '../support/scene.js';

const isRoot = process.getuid?.() === 0;
/** Namespaces for network, mounts and processes, so that nothing outlives the script; an ordinary user needs one of users too. */
const UNSHARE = [isRoot ? '-nmpf' : '-Urnmpf', '--kill-child', '--mount-proc'];
/** Listens on the ports of its arguments until its input ends. */
const HOLDER = `const ports = process.argv.slice(1); let open = 0; for (const port of ports) require('net').createServer().listen(port, '127.0.0.1', () => ++open === ports.length && console.log('held')); process.stdin.resume().on('end', () => process.exit())`;

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'postern-address-'));
  await mkdir(join(home, 'run'), { mode: 0o700 });
  await writeFile(join(home, 'passwd'), `root:x:0:0::${home}:/bin/sh\n`);
});
afterEach(() => rm(home, { recursive: true, force: true }));

const configuration = (): string => join(home, '.config', 'postern', 'config.yaml');

/** Puts a configuration there before setup comes. */
async function configure(text: string): Promise<string> {
  await mkdir(join(home, '.config', 'postern'), { recursive: true });
  await writeFile(configuration(), text);
  return text;
}

/** Runs a shell script in the namespace; `postern` is the program, `hold` and `release` take ports, `daemon` starts one and waits. */
function inside(script: string): Promise<Ran> {
  const functions = `
    set -u
    ip link set lo up
    mount --bind ${home}/passwd /etc/passwd
    postern() { ${process.execPath} ${PROGRAM} "$@"; }
    hold() { mkfifo ${home}/hold; ${process.execPath} -e "${HOLDER}" "$@" < ${home}/hold > ${home}/held & exec 9> ${home}/hold; until grep -q held ${home}/held; do sleep 0.05; done; }
    release() { exec 9>&-; }
    daemon() {
      : > $HOME/log
      ${process.execPath} ${PROGRAM} start --log-format json 2> $HOME/log & daemon=$!
      until grep -q '"event":"ready"' $HOME/log; do kill -0 $daemon || { cat $HOME/log; exit 9; }; sleep 0.05; done
    }
    end() { kill $daemon; wait $daemon; }
  `;
  return run('unshare', [...UNSHARE, 'bash', '-c', functions + script], {
    env: {
      PATH: `${process.env['PATH']}:/usr/sbin:/sbin`,
      HOME: home,
      XDG_RUNTIME_DIR: join(home, 'run'),
      GIT_CONFIG_NOSYSTEM: '1',
      GIT_TERMINAL_PROMPT: '0',
      LANG: 'C.UTF-8',
    },
  });
}

test('setup takes the next port when something else has the default one, writes it down, and start and git use it', async () => {
  const ran = await inside(`
    cd ${home}; hold 8417
    postern setup --dry-run | grep -e Would.write..listen -e Port; ls -A ${home}/.config 2>/dev/null
    echo ---; postern setup; echo "code $?"
    echo ---; postern setup | grep -e Port -e Nothing
    release
    echo ---; daemon; postern status | grep 'http door'
    git ls-remote --get-url https://dev.azure.com/o/p/_git/r
    postern setup | grep -e Port -e Nothing
    end`);
  expect(ran.stderr).toBe('');
  const [dry = '', first = '', second = '', third = ''] = ran.stdout.split('---\n');
  expect(dry).toBe(
    `Port 8417 is in use by something else, and the configuration names none for the HTTP door\nWould write \`listen: { http: localhost:8418 }\` to ${configuration()}\n`,
  );
  expect(first).toContain(`Wrote \`listen: { http: localhost:8418 }\` to ${configuration()}\n`);
  expect(first).toContain('spellings now lead to http://127.0.0.1:8418/');
  expect(first).toContain('code 0');
  expect(await readFile(configuration(), 'utf8')).toBe(
    '# Port 8417 was in use when `postern setup` ran.\nlisten:\n  http: localhost:8418\n',
  );
  expect(second).toBe('Nothing to change: git is set up already\n');
  expect(third).toBe(
    '  http door      http://127.0.0.1:8418, http://[::1]:8418\nhttp://127.0.0.1:8418/dev.azure.com/o/p/_git/r\nNothing to change: git is set up already\n',
  );
});

test('setup adds to a configuration without an address, and keeps its bytes', async () => {
  await configure('# mine\r\nlog:   { level: debug }');
  const ran = await inside(`cd ${home}; hold 8417; postern setup; release`);
  expect(ran.stdout).toContain(`Wrote \`listen: { http: localhost:8418 }\` at the end of ${configuration()}\n`);
  expect(await readFile(configuration(), 'utf8')).toBe(
    '# mine\r\nlog:   { level: debug }\n\n# Port 8417 was in use when `postern setup` ran.\nlisten:\n  http: localhost:8418\n',
  );
});

test('setup never touches an address that was chosen, and says what to do', async () => {
  const text = await configure('listen: { http: 127.0.0.1:8417 }\n');
  const ran = await inside(`cd ${home}; hold 8417; postern setup; release`);
  expect(ran.stdout).toContain(
    'warning: something that is not this Postern listens on port 8417, which `listen.http` names\n  what to do: stop it, or write another port',
  );
  expect(await readFile(configuration(), 'utf8')).toBe(text);
});

test('setup says which lines to write where it cannot add them', async () => {
  const text = await configure('{ log: { level: debug } }\n');
  const ran = await inside(`cd ${home}; hold 8417; postern setup; code=$?; release; exit $code`);
  expect(ran.code).toBe(2);
  expect(ran.stderr).toContain(`what to do: write \`listen: { http: localhost:8418 }\` into ${configuration()}`);
  expect(await readFile(configuration(), 'utf8')).toBe(text);
});

test('setup settles both doors beside the daemon of another user, and both daemons run', async () => {
  const ran = await inside(`
    cd ${home}; daemon; first=$daemon
    export HOME=${home}/second XDG_RUNTIME_DIR=${home}/second/run; mkdir -p $HOME/run; chmod 700 $HOME/run
    postern setup --dry-run | grep -e Would.write..listen -e Port -e ssh://; ls -A $HOME/.config 2>/dev/null
    echo ---; postern setup; echo "code $?"
    echo ---; postern setup | grep -e Port -e Nothing
    echo ---; daemon; postern status | grep -e 'http door' -e 'ssh door'
    postern setup | grep -e Port -e Nothing
    end; kill $first; wait $first`);
  const file = join(home, 'second', '.config', 'postern', 'config.yaml');
  const [dry = '', settled = '', again = '', running = ''] = ran.stdout.split('---\n');
  const ports = [
    'Port 8417 is in use by something else, and the configuration names none for the HTTP door',
    'Port 8422 is in use by something else, and the configuration names none for the SSH door',
  ];
  const written = `\`listen: { http: localhost:8418, ssh: 127.0.0.1:8423 }\` to ${file}`;
  expect(dry.split('\n').slice(0, 3)).toEqual([...ports, `Would write ${written}`]);
  expect(dry).toContain('ssh://git@127.0.0.1:8423/');
  expect(dry).not.toContain('postern\n');
  expect(settled.split('\n').slice(0, 3)).toEqual([...ports, `Wrote ${written}`]);
  expect(settled).toContain('code 0');
  expect(await readFile(file, 'utf8')).toBe(
    '# Ports 8417 and 8422 were in use when `postern setup` ran.\nlisten:\n  http: localhost:8418\n  ssh: 127.0.0.1:8423\n',
  );
  expect(again).toBe('Nothing to change: git is set up already\n');
  expect(running).toBe(
    [
      '  http door      http://127.0.0.1:8418, http://[::1]:8418',
      '  ssh door       ssh://127.0.0.1:8423',
      'Nothing to change: git is set up already',
      '',
    ].join('\n'),
  );
});

test('setup takes its own running daemon on the default ports for no stranger', async () => {
  const ran = await inside(`cd ${home}; daemon; postern setup; postern setup; end`);
  expect(ran.stdout).not.toMatch(/in use|listens on port/);
  expect(ran.stdout).toContain('Nothing to change');
  await expect(readFile(configuration())).rejects.toThrow('ENOENT');
});

test('setup moves the SSH door alone when only its port is taken', async () => {
  await configure('log: { level: debug }\n');
  const ran = await inside(`cd ${home}; hold 8422; postern setup; release`);
  expect(ran.stdout).toContain(
    `Port 8422 is in use by something else, and the configuration names none for the SSH door\nWrote \`listen: { ssh: 127.0.0.1:8423 }\` at the end of ${configuration()}\n`,
  );
  expect(ran.stdout).not.toContain('8417 is in use');
  expect(ran.stdout).toContain('spellings now lead to http://127.0.0.1:8417/');
  expect(await readFile(configuration(), 'utf8')).toBe(
    'log: { level: debug }\n\n# Port 8422 was in use when `postern setup` ran.\nlisten:\n  ssh: 127.0.0.1:8423\n',
  );
});

test('the doors do not take a port from each other', async () => {
  const ran = await inside(`cd ${home}; hold 8417 8418 8419 8420 8421 8422; postern setup; release`);
  expect(ran.stdout).toContain('Wrote `listen: { http: localhost:8423, ssh: 127.0.0.1:8424 }`');
});

test('setup never touches an SSH address that was chosen, moves the other door, and says so', async () => {
  const ran = await inside(`cd ${home}; hold 8417 8422; POSTERN_LISTEN_SSH=127.0.0.1:8422 postern setup; release`);
  expect(ran.stdout).toContain(
    'warning: something that is not this Postern listens on port 8422, which `listen.ssh` names\n  what to do: stop it, or write another port into `listen.ssh`, and run setup again\n',
  );
  expect(ran.stdout).toContain(`Wrote \`listen: { http: localhost:8418 }\` to ${configuration()}\n`);
  expect(await readFile(configuration(), 'utf8')).toBe(
    '# Port 8417 was in use when `postern setup` ran.\nlisten:\n  http: localhost:8418\n',
  );
});

test('setup leaves an SSH door that is off', async () => {
  const text = await configure('listen: { ssh: off }\n');
  const ran = await inside(`cd ${home}; hold 8422; postern setup; release`);
  expect(ran.stdout).not.toContain('8422');
  expect(ran.stdout).toContain('spellings now lead to http://127.0.0.1:8417/');
  expect(await readFile(configuration(), 'utf8')).toBe(text);
});

test.each([
  ['of both doors', '{ log: { level: debug } }\n', 'write `listen: { http: localhost:8418, ssh: 127.0.0.1:8423 }` into FILE'],
  ['of both doors below a listen', 'listen: {}\n', 'write `http: localhost:8418` and `ssh: 127.0.0.1:8423` under `listen` in FILE'],
  ['of the SSH door beside the other', 'listen:\n  http: localhost:8423\n', 'write `ssh: 127.0.0.1:8424` under `listen` in FILE'],
  ['of the HTTP door beside an SSH door that is off', 'listen: { ssh: off }\n', 'write `http: localhost:8418` under `listen` in FILE'],
])('setup says which lines to write, %s, and does nothing more', async (_, before, todo) => {
  const text = await configure(before);
  const ran = await inside(`cd ${home}; hold 8417 8422; postern setup; code=$?; release; ls -A ${home}; exit $code`);
  expect(ran.code).toBe(2);
  expect(ran.stderr).toMatch(
    /^postern: Ports? 8[0-9and ]+ (is|are) in use by something else, and lines at the end of the configuration would not set (an)?others?\n/,
  );
  expect(ran.stderr).toContain(`what to do: ${todo.replace('FILE', configuration())}\n`);
  expect(await readFile(configuration(), 'utf8')).toBe(text);
  expect(ran.stdout).not.toContain('.gitconfig');
});

test('the lines with TLS keep what the configuration says of the SSH door', async () => {
  await writeFile(join(home, 'passwd'), `root:x:0:0::${home}:/bin/sh\nada:x:54321:1::/:/bin/bash\n`);
  await configure('listen: { ssh: off }\n');
  const ran = await inside(`cd ${home}; postern setup; POSTERN_LISTEN_SSH='127.0.0.1:8423,[::1]:8423' postern setup`);
  const lines = ran.stdout.split('\n').filter((line) => line.startsWith('  | '));
  expect(lines).toEqual([
    '  | listen:',
    '  |   http: { address: localhost:8417, tls: auto }',
    '  |   ssh: off',
    '  | listen:',
    '  |   http: { address: localhost:8417, tls: auto }',
    '  |   ssh: [127.0.0.1:8423, "[::1]:8423"]',
  ]);
});

test('setup offers TLS where others can log in; done as it says, setup may run before the daemon ever did', async () => {
  await writeFile(join(home, 'passwd'), `root:x:0:0::${home}:/bin/sh\nada:x:54321:1::/:/bin/bash\nbob:x:54322:1::/:/bin/bash\n`);
  const ran = await inside(`
    cd ${home}; postern setup > ${home}/offer; cat ${home}/offer
    mkdir -p ${home}/.config/postern; sed -n 's/^  | \\(listen:\\|  http:\\)/\\1/p' ${home}/offer > ${configuration()}
    echo ---; postern setup
    echo ---; cp ${home}/.local/state/postern/door-ca.pem ${home}/before.pem; daemon
    cmp ${home}/before.pem ${home}/.local/state/postern/door-ca.pem && echo same
    git ls-remote https://dev.azure.com/o/p/_git/r 2>&1
    end`);
  const [offer = '', second = '', third = ''] = ran.stdout.split('---\n');
  expect(offer).toContain(
    [
      'Others can log in on this machine: ada, bob. While the daemon is down, any of them could hold 127.0.0.1:8417,',
      'collect the leases that git sends there, and serve forged code. TLS keeps them from both.',
      `  what to do: write this into ${configuration()}, start the daemon again, and run setup again`,
      '  | listen:',
      '  |   http: { address: localhost:8417, tls: auto }',
      '',
    ].join('\n'),
  );
  expect(second).toContain('spellings now lead to https://127.0.0.1:8417/');
  expect(second).not.toContain('Others can log in');
  // There is no `az` here: what matters is that the answer is the door's, through TLS that git accepts.
  expect(third).toMatch(/^same\nremote: postern: /);
  expect(ran.stderr).toBe('');
});

test('setup offers nothing where nobody else can log in', async () => {
  expect((await inside(`cd ${home}; postern setup`)).stdout).not.toContain('Others can log in');
});

test('setup leaves known_hosts in the home of the account alone, when that is another home and cannot be looked into', async () => {
  await symlink('loop', join(home, 'loop'));
  await writeFile(join(home, 'passwd'), `root:x:0:0::${home}/loop:/bin/sh\n`);
  const ran = await inside(`cd ${home}; postern setup`);
  expect(ran.stderr).toBe('');
  expect(ran.stdout).toContain(
    `ssh reads ${home}/loop/.ssh/known_hosts, which is not in the home that this was run for, ${home}; it was left alone`,
  );
  expect(ran.code).toBe(0);
});
