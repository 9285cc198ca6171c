import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { LEASE_FORMATS, type LeaseEnvironment, organisationsAsWritten, writeLease } from '../../../src/cli/lease-formats.js';
import type { RepoPattern } from '../../../src/model/lease.js';

const LEASE = 'ptl1_q3k9_canary-LEASE-0123456789abcdef';
const BASE = 'https://host.containers.internal:8417';
const AZURE: RepoPattern = { hostKind: 'azure-services', parts: ['dev.azure.com', 'contoso', 'payments', 'web'] };
const SERVER: RepoPattern = { hostKind: 'azure-server', parts: ['tfs.example.com:8443', 'tfs', '**'] };
const GENERIC: RepoPattern = { hostKind: 'generic', parts: ['github.com', 'contoso', 'app'] };

const GIVEN: LeaseEnvironment = {
  lease: LEASE,
  base: BASE,
  repos: [AZURE, SERVER, GENERIC],
  caFile: '/run/postern/ca.pem',
  organisations: ['Contoso'],
};

/** What git is asked for in each format, and where it has to lead. */
const ADDRESSES: readonly (readonly [string, string])[] = [
  ['https://dev.azure.com/contoso/P/_git/r', 'dev.azure.com/contoso/P/_git/r'],
  ['https://contoso@dev.azure.com/contoso/P/_git/r', 'dev.azure.com/contoso/P/_git/r'],
  ['https://Contoso@dev.azure.com/Contoso/P/_git/r', 'dev.azure.com/Contoso/P/_git/r'],
  ['https://contoso.visualstudio.com/P/_git/r', 'contoso.visualstudio.com/P/_git/r'],
  ['git@ssh.dev.azure.com:v3/contoso/P/r', 'ssh.dev.azure.com/v3/contoso/P/r'],
  ['git@ssh.dev.azure.com:/v3/contoso/P/r', 'ssh.dev.azure.com/v3/contoso/P/r'],
  ['ssh.dev.azure.com:v3/contoso/P/r', 'ssh.dev.azure.com/v3/contoso/P/r'],
  ['ssh://git@ssh.dev.azure.com/v3/contoso/P/r', 'ssh.dev.azure.com/v3/contoso/P/r'],
  ['ssh://git@ssh.dev.azure.com:22/v3/contoso/My%20P/r', 'ssh.dev.azure.com/v3/contoso/My%20P/r'],
  ['ssh://ssh.dev.azure.com/v3/contoso/P/r', 'ssh.dev.azure.com/v3/contoso/P/r'],
  ['contoso@vs-ssh.visualstudio.com:v3/contoso/P/r', 'vs-ssh.visualstudio.com/v3/contoso/P/r'],
  ['Contoso@vs-ssh.visualstudio.com:v3/Contoso/P/r', 'vs-ssh.visualstudio.com/v3/Contoso/P/r'],
  ['vs-ssh.visualstudio.com:v3/contoso/P/r', 'vs-ssh.visualstudio.com/v3/contoso/P/r'],
  ['ssh://contoso@vs-ssh.visualstudio.com/v3/contoso/P/r', 'vs-ssh.visualstudio.com/v3/contoso/P/r'],
  ['ssh://contoso@vs-ssh.visualstudio.com:22/v3/contoso/P/r', 'vs-ssh.visualstudio.com/v3/contoso/P/r'],
  ['https://tfs.example.com:8443/tfs/Coll/P/_git/r', 'tfs.example.com:8443/tfs/Coll/P/_git/r'],
  ['http://tfs.example.com:8443/tfs/Coll/P/_git/r', 'tfs.example.com:8443/tfs/Coll/P/_git/r'],
  ['ssh://tfs.example.com:22/tfs/Coll/P/_git/r', 'tfs.example.com:8443/tfs/Coll/P/_git/r'],
  ['https://github.com/contoso/app.git', 'github.com/contoso/app.git'],
  ['git@github.com:contoso/app.git', 'github.com/contoso/app.git'],
  ['ssh://git@github.com/contoso/app.git', 'github.com/contoso/app.git'],
];

const UNTOUCHED = [
  'https://dev.azure.com.evil.example/contoso/P/_git/r',
  'git@ssh.dev.azure.com.evil.example:v3/contoso/P/r',
  'https://gitlab.com/contoso/app',
  'git@github.community:contoso/app',
];

type Variables = Readonly<Record<string, string>>;

let home = '';
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'postern-lease-'));
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

function git(args: readonly string[], env: Variables): string {
  return execFileSync('git', args, {
    cwd: '/',
    env: { PATH: process.env['PATH'], HOME: home, GIT_CONFIG_NOSYSTEM: '1', ...env },
    encoding: 'utf8',
  });
}

/** That git, in `env`, goes to the door for every address, with the lease alone, the certificates and no proxy. */
function expectGit(env: Variables): void {
  for (const [from, to] of ADDRESSES) expect(git(['ls-remote', '--get-url', from], env), from).toBe(`${BASE}/${to}\n`);
  for (const url of UNTOUCHED) expect(git(['ls-remote', '--get-url', url], env)).toBe(`${url}\n`);
  const matched = (key: string): string => git(['config', '--get-urlmatch', key, `${BASE}/dev.azure.com/contoso/P/_git/r`], env);
  expect(matched('http.extraHeader')).toBe(`X-Postern-Lease: ${LEASE}\n`);
  expect(matched('http.sslCAInfo')).toBe('/run/postern/ca.pem\n');
  expect(matched('http.proxy')).toBe('\n');
  expect(git(['config', '--get-all', `http.${BASE}/.extraHeader`], env)).toBe(`\nX-Postern-Lease: ${LEASE}\n`);
}

function fromJson(text: string): Variables {
  return JSON.parse(text) as Variables;
}

/** An env-file as Docker reads it (docker/cli, opts/file.go): a line is a variable, and nothing is quoted. */
function fromEnvFile(text: string): Variables {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

/** Logging commands as the agent reads them: `##vso[area.action property=value;...]data`. */
function fromLoggingCommands(text: string): { readonly name: string; readonly value: string; readonly isSecret: boolean }[] {
  const plain = (escaped: string): string =>
    escaped.replaceAll('%3B', ';').replaceAll('%0D', '\r').replaceAll('%0A', '\n').replaceAll('%5D', ']').replaceAll('%AZP25', '%');
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => {
      const [, properties = '', data = ''] = /^##vso\[task\.setvariable ([^\]]*)\](.*)$/.exec(line) ?? [];
      const named = new Map(properties.split(';').map((property) => property.split('=', 2) as [string, string])); // each has one `=`
      return { name: named.get('variable') ?? '', value: plain(data), isSecret: named.get('issecret') === 'true' };
    });
}

describe('writeLease() makes git go to the door with the lease', () => {
  it('as env, in a real shell, after the pairs that are there', () => {
    const theirs = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'user.name', GIT_CONFIG_VALUE_0: 'Jane' };
    const script = `${writeLease('env', GIVEN, theirs)}\nexec "$0" -e 'process.stdout.write(JSON.stringify(process.env))'`;
    const all = execFileSync('sh', ['-c', script, process.execPath], { env: theirs, encoding: 'utf8' });
    const env = fromJson(all);
    expectGit({ ...env });
    expect(git(['config', 'user.name'], env)).toBe('Jane\n');
    expect(env['POSTERN_LEASE']).toBe(LEASE);
    expect(env['GIT_TERMINAL_PROMPT']).toBe('0');
  });

  it('as env, a second time in the same shell, with the newer lease only', () => {
    const first = fromJson(writeLease('json', { ...GIVEN, lease: 'ptl1_older' }));
    const script = `${writeLease('env', GIVEN, first)}\nexec "$0" -e 'process.stdout.write(JSON.stringify(process.env))'`;
    const env = fromJson(execFileSync('sh', ['-c', script, process.execPath], { env: first, encoding: 'utf8' }));
    const values = git(['config', '--get-all', `http.${BASE}/.extraHeader`], env)
      .split('\n')
      .slice(0, -1);
    // git sends what stands after the last empty one (git-config(1), http.extraHeader).
    expect(values.slice(values.lastIndexOf('') + 1)).toEqual([`X-Postern-Lease: ${LEASE}`]);
  });

  it('as dotenv', () => {
    const env = fromEnvFile(writeLease('dotenv', GIVEN));
    expect(env).toEqual(fromJson(writeLease('json', GIVEN)));
    expectGit(env);
  });

  it('as dotenv, which podman reads as Docker does (asked where podman is installed and we are root)', () => {
    const file = join(home, 'lease.env');
    writeFileSync(file, writeLease('dotenv', GIVEN), { mode: 0o600 });
    const read = askPodman(file);
    if (read !== undefined) expect(read).toMatchObject(fromJson(writeLease('json', GIVEN)));
  });

  it('as json', () => {
    expectGit(fromJson(writeLease('json', GIVEN)));
  });

  it('as gitconfig, included or as the whole configuration', () => {
    const file = join(home, 'lease.gitconfig');
    writeFileSync(file, writeLease('gitconfig', GIVEN), { mode: 0o600 });
    expectGit({ GIT_CONFIG_GLOBAL: file });
    const including = join(home, 'including.gitconfig');
    writeFileSync(including, `[http]\n\textraHeader = X-Other: 1\n\tproxy = http://proxy.example:3128\n[include]\n\tpath = ${file}\n`);
    expectGit({ GIT_CONFIG_GLOBAL: including });
  });

  it('as devcontainer', () => {
    const { remoteEnv } = JSON.parse(writeLease('devcontainer', GIVEN)) as { remoteEnv: Variables };
    expect(remoteEnv).toEqual(fromJson(writeLease('json', GIVEN)));
  });

  it('as azure-pipelines, for the steps that map count and header and for no other', () => {
    const commands = fromLoggingCommands(writeLease('azure-pipelines', GIVEN));
    expect(commands[0]).toEqual({ name: 'POSTERN_LEASE', value: LEASE, isSecret: true });
    // The agent masks a secret from the moment that it has read it.
    expect(commands.slice(1).filter(({ value, isSecret }) => isSecret || value.includes(LEASE))).toEqual([]);
    const mapped = Object.fromEntries(commands.filter(({ isSecret }) => !isSecret).map(({ name, value }) => [name, value]));
    expect(git(['ls-remote', '--get-url', ADDRESSES[0]![0]], mapped)).toBe(`${ADDRESSES[0]![0]}\n`);
    // What docs/LEASES.md puts below `env:` of a step.
    const step = {
      ...mapped,
      GIT_CONFIG_COUNT: mapped['POSTERN_GIT_CONFIG_COUNT'] ?? '',
      GIT_CONFIG_VALUE_1: `X-Postern-Lease: ${LEASE}`,
    };
    expectGit(step);
  });

  it('as text, the lease alone', () => {
    expect(writeLease('text', GIVEN)).toBe(`${LEASE}\n`);
  });
});

describe('writeLease() quotes', () => {
  const CA = fc
    .string({ unit: fc.constantFrom(...Array.from('ab/ .-_\'"\\$`!#;%[]{}=é~&')), minLength: 1, maxLength: 12 })
    .map((tail) => `/${tail}`);
  const caOf = (env: Variables): string => git(['config', '-z', '--get', `http.${BASE}/.sslCAInfo`], env).slice(0, -1);

  it('any path for the shell, for JSON and for git', () => {
    fc.assert(
      fc.property(CA, (caFile) => {
        const given = { ...GIVEN, repos: [], caFile };
        const script = `${writeLease('env', given)}git config -z --get "http.${BASE}/.sslCAInfo"`;
        const env = { PATH: process.env['PATH'], HOME: home, GIT_CONFIG_NOSYSTEM: '1' };
        expect(execFileSync('sh', ['-c', script], { env, encoding: 'utf8' }).slice(0, -1)).toBe(caFile);
        expect(caOf(fromJson(writeLease('json', given)))).toBe(caFile);
        const file = join(home, 'quoted.gitconfig');
        writeFileSync(file, writeLease('gitconfig', given));
        expect(caOf({ GIT_CONFIG_GLOBAL: file })).toBe(caFile);
      }),
      { numRuns: 25 },
    );
  });

  it('for the agent of Azure Pipelines what it would read otherwise', () => {
    const text = writeLease('azure-pipelines', { ...GIVEN, repos: [], caFile: '/a%3Bb]c;d\r\n' });
    expect(text).toContain(']/a%AZP253Bb%5Dc%3Bd%0D%0A\n');
  });

  it('any value for the agent of Azure Pipelines', () => {
    fc.assert(
      fc.property(CA, (caFile) => {
        const commands = fromLoggingCommands(writeLease('azure-pipelines', { ...GIVEN, repos: [], base: 'http://[::1]:8417', caFile }));
        expect(commands.map(({ value }) => value)).toEqual(
          expect.arrayContaining(['http.http://[::1]:8417/.extraHeader', caFile]) as string[],
        );
      }),
      { numRuns: 50 },
    );
  });

  it.each(['/a b"', "/a'b", '/a$b', '/a`b', '/a\\b', '/a #b', '/a ', '/a\nb', '/a\r'])(
    'not %j for an env-file: its readers differ',
    (caFile) => {
      expect(() => writeLease('dotenv', { ...GIVEN, caFile })).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
    },
  );

  it('not what devcontainer.json would replace', () => {
    expect(() => writeLease('devcontainer', { ...GIVEN, caFile: '/${localEnv:HOME}/ca.pem' })).toThrow(
      expect.objectContaining({ code: 'usage' }) as Error,
    );
  });

  it.each(['', 'ptl1_a b', 'ptl1_a\nb', 'ptl1_a"b', 'ptl1_é'])('no lease like %j, and does not say it back', (lease) => {
    for (const format of LEASE_FORMATS) {
      expect(() => writeLease(format, { ...GIVEN, lease })).toThrow(expect.objectContaining({ code: 'usage' }) as Error);
      if (lease !== '') expect(() => writeLease(format, { ...GIVEN, lease })).not.toThrow(lease);
    }
  });
});

describe('writeLease() writes', () => {
  const rulesOf = (repos: readonly RepoPattern[]): string[] =>
    Object.entries(fromJson(writeLease('json', { ...GIVEN, repos, organisations: [] })))
      .filter(([name, value]) => name.startsWith('GIT_CONFIG_VALUE_') && /^(?:https?:|ssh:|git@|[a-z-]+\.)/.test(value))
      .map(([, value]) => value);

  it('rules for no host that the lease is not for', () => {
    expect(rulesOf([GENERIC]).every((value) => value.includes('github.com'))).toBe(true);
    expect(rulesOf([AZURE]).some((value) => value.includes('github.com') || value.includes('tfs.example.com'))).toBe(false);
  });

  it('rules that need no organisation where the lease names none', () => {
    const values = rulesOf([{ hostKind: 'azure-services', parts: ['dev.azure.com', '*', '**'] }]);
    expect(values).toContain('https://dev.azure.com/');
    expect(values).toContain('git@ssh.dev.azure.com:v3/');
    expect(values.some((value) => value.includes('*'))).toBe(false);
    expect(rulesOf([{ hostKind: 'azure-services', parts: ['dev.azure.com', '**'] }])).toEqual(values);
  });

  it('none for a host that is a pattern', () => {
    expect(rulesOf([{ hostKind: 'generic', parts: ['*.example.com', '**'] }])).toEqual([]);
  });

  it('no certificates where the system knows them', () => {
    for (const format of LEASE_FORMATS) expect(writeLease(format, { ...GIVEN, caFile: undefined })).not.toContain('sslCAInfo');
  });

  it('the lease into no address', () => {
    for (const format of LEASE_FORMATS) expect(writeLease(format, GIVEN)).not.toMatch(/:\/\/[^\s/]*ptl1_/);
  });
});

describe('organisationsAsWritten()', () => {
  it.each<[written: string, found: readonly string[]]>([
    ['Contoso/Payments/web', ['Contoso']],
    ['https://CONTOSO@dev.azure.com/Contoso/Payments/_git/web', ['CONTOSO', 'Contoso']],
    ['Contoso.visualstudio.com/Payments/web', ['Contoso']],
    ['git@ssh.dev.azure.com:v3/ConToso/Payments/web', ['ConToso']],
    ['Contoso-infra/Payments/web', []],
  ])('of %s', (written, found) => {
    expect(organisationsAsWritten([AZURE], [written])).toEqual(found);
  });

  it('none where the lease names none', () => {
    expect(organisationsAsWritten([GENERIC, { ...AZURE, parts: ['dev.azure.com', '**'] }], ['github.com/Contoso/app', '**'])).toEqual([]);
  });
});

/** The environment of a container that podman would make with the env-file; undefined where it cannot be asked. Nothing is run. */
function askPodman(file: string): Variables | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const places = [
    '--root',
    join(home, 'containers'),
    '--runroot',
    join(home, 'run'),
    '--storage-driver',
    'vfs',
    '--cgroup-manager',
    'cgroupfs',
  ];
  const podman = (...args: string[]): string =>
    execFileSync('podman', [...places, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  try {
    podman('--version');
  } catch {
    return undefined; // not installed
  }
  const id = podman('create', '--env-file', file, '--rootfs', home, '/bin/true').trim();
  const variables = JSON.parse(podman('inspect', id, '--format', '{{json .Config.Env}}')) as string[];
  podman('rm', id);
  return fromEnvFile(variables.join('\n'));
}
