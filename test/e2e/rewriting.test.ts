/**
 * What the real git makes of the rules: every spelling, from the file and from the environment; what beats them; and
 * that a proxy does not get between git and the door.
 */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';

import { describe, expect, it } from 'vitest';

import { environmentFor, writeEnvironment } from '../../src/cli/gitconfig/environment.js';
import { rulesFor } from '../../src/cli/gitconfig/rules.js';
import { BASE, Bench } from './setup-bench.js';

const bench = new Bench();

const PATH = 'proj/_git/repo';

/** What people's remotes look like, and where each must lead. */
const SPELLINGS: readonly (readonly [string, string])[] = [
  [`https://dev.azure.com/contoso/${PATH}`, `dev.azure.com/contoso/${PATH}`],
  [`https://dev.azure.com:443/contoso/${PATH}`, `dev.azure.com/contoso/${PATH}`],
  [`http://dev.azure.com/contoso/${PATH}`, `dev.azure.com/contoso/${PATH}`],
  [`https://Contoso@dev.azure.com/Contoso/${PATH}`, `dev.azure.com/Contoso/${PATH}`],
  [`https://contoso@dev.azure.com/contoso/${PATH}`, `dev.azure.com/contoso/${PATH}`],
  [`https://contoso@dev.azure.com:443/contoso/${PATH}`, `dev.azure.com/contoso/${PATH}`],
  [`https://Contoso.visualstudio.com/${PATH}`, `contoso.visualstudio.com/${PATH}`],
  [`https://contoso.visualstudio.com/DefaultCollection/${PATH}`, `contoso.visualstudio.com/DefaultCollection/${PATH}`],
  [`https://contoso.visualstudio.com:443/${PATH}`, `contoso.visualstudio.com/${PATH}`],
  [`https://contoso@contoso.visualstudio.com/${PATH}`, `contoso.visualstudio.com/${PATH}`],
  [`https://tfs.example.com/tfs/Coll/${PATH}`, `tfs.example.com/tfs/Coll/${PATH}`],
  [`https://tfs.example.com:443/tfs/Coll/${PATH}`, `tfs.example.com/tfs/Coll/${PATH}`],
  [`http://old.example.com:8080/tfs/Coll/${PATH}`, `old.example.com:8080/tfs/Coll/${PATH}`],
];

const UNTOUCHED = [
  'https://dev.azure.com.evil.example/contoso/p/_git/r',
  'https://github.com/a/b',
  'https://tfs.example.com/other/p/_git/r',
  'https://xcontoso.visualstudio.com/p/_git/r',
];

const INPUT = { organisations: ['Contoso'], onPrem: ['https://tfs.example.com/tfs/', 'http://old.example.com:8080/tfs'] };

describe('git goes to the door', () => {
  it('for each spelling, after setup(), and nowhere else', async () => {
    await bench.setup(INPUT);
    await expectRewritten({});
  });

  it('for each spelling, with the variables of environmentFor(), after those that are there', async () => {
    const theirs = { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'user.name', GIT_CONFIG_VALUE_0: 'Jane' };
    const variables = environmentFor(rulesFor({ base: BASE, ...INPUT }), { base: BASE }, theirs);
    const env = { ...theirs, ...Object.fromEntries(variables.map(({ name, value }) => [name, value])) };
    await expectRewritten(env);
    expect(await bench.scratch.git(['config', 'user.name'], bench.scratch.home, env)).toBe('Jane\n');
  });

  it('from a shell that evaluated the sh format', async () => {
    const script = writeEnvironment('sh', rulesFor({ base: BASE, ...INPUT }), { base: BASE });
    const url = await new Promise((resolve, reject) => {
      const command = 'eval "$1"; git ls-remote --get-url https://contoso@dev.azure.com/contoso/p/_git/r';
      execFile('sh', ['-c', command, 'sh', script], { cwd: '/', env: bench.scratch.env }, (error, stdout) => {
        if (error === null) resolve(stdout);
        else reject(new Error('sh failed', { cause: error }));
      });
    });
    expect(url).toBe(`${BASE}/dev.azure.com/contoso/p/_git/r\n`);
  });

  async function expectRewritten(env: Record<string, string>): Promise<void> {
    for (const [from, to] of SPELLINGS) {
      expect(await bench.scratch.git(['ls-remote', '--get-url', from], '/', env), from).toBe(`${BASE}/${to}\n`);
    }
    for (const url of UNTOUCHED) expect(await bench.scratch.git(['ls-remote', '--get-url', url], '/', env)).toBe(`${url}\n`);
  }
});

describe('setup() finds organisations', () => {
  it('in the repository at hand, in named ones and in the configuration', async () => {
    await bench.scratch.git(['config', '--global', 'credential.https://dev.azure.com/fabrikam.helper', '']);
    await bench.scratch.git(['config', '--global', 'url.https://dev.azure.com/adatum/.insteadOf', 'az:']);
    const cwd = await bench.scratch.repository('one', 'https://Tailspin@dev.azure.com/Tailspin/p/_git/r');
    const ssh = await bench.scratch.repository('two', 'git@ssh.dev.azure.com:v3/wingtip/p/r');
    const old = await bench.scratch.repository('three', 'https://northwind.visualstudio.com/p/_git/r');
    await bench.scratch.git(['remote', 'add', 'jane', 'https://jane%40example.com@dev.azure.com/Tailspin/p/_git/r'], cwd);
    const { rules, findings } = await bench.setup({ organisations: [], cwd, repositories: [ssh, old] });
    expect(bench.text).toContain('Organisations: Tailspin, adatum, fabrikam, northwind, wingtip');
    expect(rules.map((rule) => rule.insteadOf)).toContain('https://jane%40example.com@dev.azure.com/');
    expect(findings).toEqual([]);
  });

  it('but writes and shows no credential that stands in an address', async () => {
    const pat = 'canary'.repeat(9);
    const cwd = await bench.scratch.repository('one', `https://jane:${pat}@dev.azure.com/contoso/p/_git/r`);
    await bench.scratch.git(['remote', 'add', 'two', `https://${pat}@dev.azure.com/contoso/p/_git/r`], cwd);
    await bench.scratch.git([
      'config',
      '--global',
      `url.https://x:${pat}@dev.azure.com/contoso/.insteadOf`,
      'https://dev.azure.com/contoso/',
    ]);
    const { findings, places } = await bench.setup({ organisations: [], cwd });
    expect(findings.map(({ kind }) => kind)).toEqual(['foreign-rule', 'secret-in-address', 'secret-in-address']);
    const tree = await bench.tree();
    expect(bench.text + JSON.stringify(findings) + (tree[places.owned] ?? '') + (tree[places.journal] ?? '')).not.toContain('canary');
  });

  it('and tells of a remote that is spelled unlike any rule', async () => {
    const cwd = await bench.scratch.repository('one', 'https://DEV.azure.com/contoso/p/_git/r');
    const { findings } = await bench.setup({ cwd });
    expect(findings).toMatchObject([{ kind: 'uncaught-address' }]);
  });
});

describe('setup() reports', () => {
  async function findingsWith(config: string, more: Record<string, string> = {}) {
    await writeFile(bench.at('.gitconfig'), config);
    const dry = await bench.setup({ dryRun: true, env: { ...bench.scratch.env, ...more } });
    const { findings } = await bench.setup({ env: { ...bench.scratch.env, ...more } });
    expect(dry.findings).toEqual(findings);
    return findings;
  }

  it('a longer foreign rule, with its file and value', async () => {
    const findings = await findingsWith('[url "https://mirror.example/"]\n\tinsteadOf = https://dev.azure.com/contoso/\n');
    expect(findings).toMatchObject([{ kind: 'foreign-rule' }]);
    expect(bench.text).toContain('addresses that begin with https://dev.azure.com/contoso/ slip past');
    expect(bench.text).toContain(
      `url.https://mirror.example/.insteadof = https://dev.azure.com/contoso/ in file:${bench.at('.gitconfig')}`,
    );
    expect(bench.text).toContain('--unset-all');
  });

  it('an equal foreign rule that git reads first', async () => {
    const findings = await findingsWith('[url "https://mirror.example/"]\n\tinsteadOf = https://dev.azure.com/\n');
    expect(findings).toMatchObject([{ kind: 'foreign-rule' }]);
    expect(bench.text).toContain('Only ');
  });

  it('no foreign rule that is shorter or elsewhere', async () => {
    expect(await findingsWith('[url "https://mirror.example/"]\n\tinsteadOf = https://\n\tinsteadOf = https://github.com/\n')).toEqual([]);
  });

  it('a pushInsteadOf, however short', async () => {
    const findings = await findingsWith('[url "https://mirror.example/"]\n\tpushInsteadOf = https://\n');
    expect(findings).toMatchObject([{ kind: 'foreign-push-rule' }]);
    const cwd = await bench.scratch.repository('one', 'https://dev.azure.com/contoso/p/_git/r');
    expect(await bench.scratch.git(['remote', 'get-url', '--push', 'origin'], cwd)).toContain('mirror.example');
  });

  it('a proxy for the door that is nearer than ours', async () => {
    const near = `[http "${BASE}/dev.azure.com/"]\n\tproxy = http://u:canary@proxy.example:3128\n[http]\n\tproxy = http://far.example\n`;
    expect(await findingsWith(near)).toMatchObject([{ kind: 'proxy' }]);
    expect(bench.text).not.toContain('canary');
    expect(bench.text).not.toContain('far.example');
  });

  it('protocols that are shut, and passwords asked for beforehand', async () => {
    expect(await findingsWith('[protocol]\n\tallow = never\n[http]\n\tproactiveAuth = basic\n')).toMatchObject([
      { kind: 'protocol' },
      { kind: 'proactive-auth' },
    ]);
  });

  it('protocols that are shut by the environment', async () => {
    expect(await findingsWith('', { GIT_ALLOW_PROTOCOL: 'https:ssh' })).toMatchObject([{ kind: 'protocol' }]);
  });

  it("nothing of a repository that the environment ties git to: that is not the user's configuration", async () => {
    const tied = await bench.scratch.repository('tied', 'https://dev.azure.com/contoso/p/_git/r');
    await bench.scratch.git(['config', 'url.https://mirror.example/.insteadOf', 'https://dev.azure.com/contoso/'], tied);
    const { findings } = await bench.setup({ env: { ...bench.scratch.env, GIT_DIR: `${tied}/.git` } });
    expect(findings).toEqual([]);
  });

  it('rules that git never reads', async () => {
    const places = {
      config: bench.at('unread'),
      owned: bench.at('owned'),
      journal: bench.at('journal'),
      knownHosts: bench.at('known_hosts'),
      system: false,
    };
    const { findings, rules } = await bench.setup({ places });
    expect(findings.map(({ kind }) => kind)).toEqual(rules.map(() => 'rule-ignored'));
  });
});

describe('a proxy does not get between git and the door', () => {
  for (const twin of ['setup', 'env'] as const) {
    it(`with http_proxy and http.proxy set, after ${twin}`, async () => {
      await using door = await listener();
      await using proxy = await listener();
      await writeFile(bench.at('.gitconfig'), `[http]\n\tproxy = ${proxy.base}\n`);
      let env: Record<string, string> = { http_proxy: proxy.base, HTTP_PROXY: proxy.base, ALL_PROXY: proxy.base };
      const ask = (url: string) => bench.scratch.git(['ls-remote', url], '/', env).catch(() => undefined);
      const url = `https://dev.azure.com/contoso/${PATH}`;

      await ask(`${door.base}/`);
      expect([door.paths.length, proxy.paths.length]).toEqual([0, 1]);

      if (twin === 'setup') await bench.setup({ base: door.base });
      else {
        const rules = rulesFor({ base: door.base, organisations: [], onPrem: [] });
        env = { ...env, ...Object.fromEntries(environmentFor(rules, { base: door.base }).map(({ name, value }) => [name, value])) };
      }
      await ask(url);
      expect(door.paths).toEqual([`/dev.azure.com/contoso/${PATH}/info/refs?service=git-upload-pack`]);
      expect(proxy.paths.length).toBe(1);
    });
  }
});

async function listener(): Promise<{ base: string; paths: string[] } & AsyncDisposable> {
  const paths: string[] = [];
  const server: Server = createServer((request, response) => {
    paths.push(request.url ?? '');
    response.writeHead(404, { connection: 'close' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // listening on TCP, so never a string or null
  return {
    base: `http://127.0.0.1:${port}`,
    paths,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
      }),
  };
}
