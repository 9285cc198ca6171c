/**
 * What setup does about the door's address, on the default port: in a network namespace of the test's own, so that nothing on
 * this machine holds it or misses it. One script runs in there; what it prints is looked at here.
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PROGRAM, type Ran, run } from '../support/scene.js';

const isRoot = process.getuid?.() === 0;
/** Namespaces for network, mounts and processes, so that nothing outlives the script; an ordinary user needs one of users too. */
const UNSHARE = [isRoot ? '-nmpf' : '-Urnmpf', '--kill-child', '--mount-proc'];
/** Listens on the default port until its input ends. */
const HOLDER = `require('net').createServer().listen(8417, '127.0.0.1', () => console.log('held')); process.stdin.resume().on('end', () => process.exit())`;

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'postern-address-'));
  await mkdir(join(home, 'run'), { mode: 0o700 });
  await writeFile(join(home, 'passwd'), 'root:x:0:0::/root:/bin/sh\n');
});
afterEach(() => rm(home, { recursive: true, force: true }));

const configuration = (): string => join(home, '.config', 'postern', 'config.yaml');

/** Runs a shell script in the namespace; `postern` is the program, `hold` and `release` take the port, `daemon` starts one and waits. */
function inside(script: string): Promise<Ran> {
  const functions = `
    set -u
    ip link set lo up
    mount --bind ${home}/passwd /etc/passwd
    postern() { ${process.execPath} ${PROGRAM} "$@"; }
    hold() { mkfifo ${home}/hold; ${process.execPath} -e "${HOLDER}" < ${home}/hold > ${home}/held & exec 9> ${home}/hold; until grep -q held ${home}/held; do sleep 0.05; done; }
    release() { exec 9>&-; }
    daemon() {
      ${process.execPath} ${PROGRAM} start --log-format json 2> ${home}/log & daemon=$!
      until grep -q '"event":"ready"' ${home}/log; do kill -0 $daemon || { cat ${home}/log; exit 9; }; sleep 0.05; done
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
    cd ${home}; hold
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
    `Port 8417 is in use by something else, and the configuration names none\nWould write \`listen: { http: localhost:8418 }\` to ${configuration()}\n`,
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
  await mkdir(join(home, '.config', 'postern'), { recursive: true });
  await writeFile(configuration(), '# mine\r\nlog:   { level: debug }');
  const ran = await inside(`cd ${home}; hold; postern setup; release`);
  expect(ran.stdout).toContain(`Wrote \`listen: { http: localhost:8418 }\` at the end of ${configuration()}\n`);
  expect(await readFile(configuration(), 'utf8')).toBe(
    '# mine\r\nlog:   { level: debug }\n\n# Port 8417 was in use when `postern setup` ran.\nlisten:\n  http: localhost:8418\n',
  );
});

test('setup never touches an address that was chosen, and says what to do', async () => {
  await mkdir(join(home, '.config', 'postern'), { recursive: true });
  const text = 'listen: { http: 127.0.0.1:8417 }\n';
  await writeFile(configuration(), text);
  const ran = await inside(`cd ${home}; hold; postern setup; release`);
  expect(ran.stdout).toContain(
    'warning: something that is not this Postern listens on port 8417, which `listen.http` names\n  what to do: stop it, or write another port',
  );
  expect(await readFile(configuration(), 'utf8')).toBe(text);
});

test('setup says which lines to write where it cannot add them', async () => {
  await mkdir(join(home, '.config', 'postern'), { recursive: true });
  const text = '{ log: { level: debug } }\n';
  await writeFile(configuration(), text);
  const ran = await inside(`cd ${home}; hold; postern setup; code=$?; release; exit $code`);
  expect(ran.code).toBe(2);
  expect(ran.stderr).toContain(`what to do: write \`listen: { http: localhost:8418 }\` into ${configuration()}`);
  expect(await readFile(configuration(), 'utf8')).toBe(text);
});

test('setup offers TLS where others can log in; done as it says, setup may run before the daemon ever did', async () => {
  await writeFile(join(home, 'passwd'), 'root:x:0:0::/root:/bin/sh\nada:x:54321:1::/:/bin/bash\nbob:x:54322:1::/:/bin/bash\n');
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
