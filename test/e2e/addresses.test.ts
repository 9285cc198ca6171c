/**
 * Every form in which people write the address of a repository, through the daemon to the host that it names: with the
 * real host names by way of an outgoing proxy, and with `upstream` in their place. Then git's ways of working, through
 * insteadOf rules as a user has them.
 */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { succeed, told } from '../support/failure-stage.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const PAT = 'x'.repeat(52);

let scene: Scene;
/** `proxy` in each route. */
let proxied: RunningDaemon;
/** HTTPS_PROXY with a password in the daemon's environment. */
let surrounded: RunningDaemon;
/** `upstream` in each route. */
let mapped: RunningDaemon;

function configuration(extra: (host: string) => string): string {
  const { emulator } = scene;
  const route = (match: string, more: string): string =>
    `  - { match: ${match}/**, ca: ${emulator.caFile}, ${more}${extra(match.split('/')[0] ?? '')} }`;
  return [
    'listen: { http: 127.0.0.1:0 }',
    'log: { level: debug, format: json }',
    'timeouts: { connect: 2s }',
    'identities:',
    `  sp: ${scene.servicePrincipal}`,
    '  onprem: { kind: pat, secret: { env: TFS_PAT } }',
    '  ada: { kind: basic, user: ada, secret: { env: ADA } }',
    'routes:',
    route('dev.azure.com', 'identity: sp'),
    route('tfs.example.com/tfs', 'identity: onprem'),
    route('git.example.com', 'identity: ada, host: generic'),
    '',
  ].join('\n');
}

beforeAll(async () => {
  scene = await Scene.open();
  const { emulator } = scene;
  emulator.git.pats.add(PAT);
  emulator.git.basic.set('ada', 'lovelace');
  for (const name of [
    'contoso/Payments/web',
    'contoso/web/web',
    'contoso/My Project/My Repo',
    'contoso/Zahlungenü/café',
    'tfs.example.com/tfs/DefaultCollection/Payments/web',
    'tfs.example.com/tfs/DefaultCollection/web/web',
    'git.example.com/any/path',
    'git.example.com/deep/er/path',
  ])
    await emulator.createRepository(name);
  const secrets = { TFS_PAT: PAT, ADA: 'lovelace' };
  emulator.proxy.credentials = { user: 'corp', password: 'p@ss' };
  [proxied, surrounded, mapped] = await Promise.all([
    scene.daemon(
      configuration(() => `, proxy: '${emulator.proxy.origin}'`),
      { env: secrets },
    ),
    scene.daemon(
      configuration(() => ''),
      {
        env: { ...secrets, HTTPS_PROXY: emulator.proxy.origin.replace('//', '//corp:p%40ss@'), NO_PROXY: '127.0.0.1' },
      },
    ),
    scene.daemon(
      configuration((host) => `, upstream: '${emulator.git.origin}/${host}'`),
      { env: secrets },
    ),
  ]);
});
beforeEach(() => {
  scene.emulator.git.seen.length = 0;
  scene.emulator.proxy.targets.length = 0;
});
afterEach(() => {
  scene.emulator.proxy.credentials = { user: 'corp', password: 'p@ss' };
  scene.emulator.proxy.mode = 'tunnel';
});
afterAll(() => scene.close());

/** Address at the door; host and path that the upstream must see; path where `upstream` stands for the host. */
const FORMS: readonly (readonly [form: string, host: string, path: string, main?: string])[] = [
  ['dev.azure.com/contoso/Payments/_git/web', 'dev.azure.com', '/contoso/Payments/_git/web'],
  ['dev.azure.com/contoso/_git/web', 'dev.azure.com', '/contoso/_git/web'],
  ['DEV.azure.com/CONTOSO/payments/_GIT/WEB', 'dev.azure.com', '/CONTOSO/payments/_GIT/WEB'],
  ['dev.azure.com/contoso/Payments/_git/_optimized/web', 'dev.azure.com', '/contoso/Payments/_git/_optimized/web'],
  ['dev.azure.com/contoso/Payments/_git/_full/web', 'dev.azure.com', '/contoso/Payments/_git/_full/web'],
  ['dev.azure.com/contoso/Payments/optimized/_git/web', 'dev.azure.com', '/contoso/Payments/optimized/_git/web'],
  ['dev.azure.com/contoso/My%20Project/_git/My%20Repo', 'dev.azure.com', '/contoso/My%20Project/_git/My%20Repo'],
  ['dev.azure.com/contoso/Zahlungen%C3%BC/_git/caf%C3%A9', 'dev.azure.com', '/contoso/Zahlungen%C3%BC/_git/caf%C3%A9'],
  ['dev.azure.com/contoso/Zahlungenü/_git/café', 'dev.azure.com', '/contoso/Zahlungen%c3%bc/_git/caf%c3%a9'],
  ['contoso.visualstudio.com/Payments/_git/web', 'contoso.visualstudio.com', '/Payments/_git/web', '/contoso/Payments/_git/web'],
  [
    'contoso.visualstudio.com/DefaultCollection/Payments/_git/web',
    'contoso.visualstudio.com',
    '/DefaultCollection/Payments/_git/web',
    '/contoso/Payments/_git/web',
  ],
  ['contoso.visualstudio.com/_git/web', 'contoso.visualstudio.com', '/_git/web', '/contoso/_git/web'],
  ['ssh.dev.azure.com/v3/contoso/Payments/web', 'dev.azure.com', '/contoso/Payments/_git/web'],
  ['vs-ssh.visualstudio.com/v3/contoso/My%20Project/My%20Repo', 'dev.azure.com', '/contoso/My%20Project/_git/My%20Repo'],
  ['tfs.example.com/tfs/DefaultCollection/Payments/_git/web', 'tfs.example.com', '/tfs/DefaultCollection/Payments/_git/web'],
  ['tfs.example.com/tfs/DefaultCollection/_git/web', 'tfs.example.com', '/tfs/DefaultCollection/_git/web'],
  ['git.example.com/any/path.git', 'git.example.com', '/any/path.git'],
  ['git.example.com/deep/er/path', 'git.example.com', '/deep/er/path'],
];

const forms = FORMS.map(([form, host, path, main]) => ({ form, host, path, main: main ?? path }));

describe('the real hosts, through an outgoing proxy', () => {
  test.each(forms)('$form', async ({ form, host, path }) => {
    const scheme = host.startsWith('tfs') || host.startsWith('git.') ? 'basic' : 'bearer';
    for (const daemon of [surrounded, proxied]) {
      scene.emulator.git.seen.length = 0;
      scene.emulator.proxy.credentials = daemon === surrounded ? { user: 'corp', password: 'p@ss' } : undefined;
      const ran = await succeed(scene.git(['ls-remote', daemon.url(form), 'refs/heads/main']));
      expect(ran.stdout).toMatch(/^[0-9a-f]{40}\trefs\/heads\/main\n$/);
      // The very first request carries the credential, and none is answered 401.
      expect(scene.emulator.git.seen.map((entry) => [entry.headers.host, entry.authorization, entry.status, entry.viaProxy])).toEqual(
        scene.emulator.git.seen.map(() => [host, scheme, 200, true]),
      );
      expect(scene.emulator.git.seen[0]?.url).toBe(`${path}/info/refs?service=git-upload-pack`);
    }
  });

  test('a push goes the same way', async () => {
    const work = join(scene.directory, 'through');
    const url = surrounded.url('contoso.visualstudio.com/DefaultCollection/Payments/_git/web');
    await succeed(scene.git(['clone', '-q', url, work]));
    await succeed(scene.git(['commit', '-q', '--allow-empty', '-m', 'one'], { cwd: work }));
    await succeed(scene.git(['push', '-q', 'origin', 'HEAD:refs/heads/through'], { cwd: work }));
    expect(scene.emulator.git.seen.every((entry) => entry.viaProxy === true)).toBe(true);
  });

  // A host of its own for each, so that no tunnel is open yet.
  const refused = [
    [
      'wants a password',
      () => (scene.emulator.proxy.credentials = { user: 'a', password: 'b' }),
      'refused a connection to HOST (status 407)',
      'the proxy wants a user name and password',
    ],
    [
      'forbids the host',
      () => (scene.emulator.proxy.mode = 'forbid'),
      'refused a connection to HOST (status 403)',
      'ask whoever runs the proxy to allow the host',
    ],
    [
      'does not answer',
      () => (scene.emulator.proxy.mode = 'hang'),
      'opened no connection to HOST within 2 s',
      'check HTTPS_PROXY or `proxy` of the route',
    ],
  ] as const;
  test.each(refused)('a proxy that %s is named', async (name, arrange, what, todo) => {
    arrange();
    const host = `${name.replaceAll(' ', '-')}.visualstudio.com`;
    const ran = await scene.git(['ls-remote', surrounded.url(`${host}/Payments/_git/web`)]);
    expect(ran.code).toBe(128);
    const [first, second, third] = told(ran.stderr);
    expect(first).toBe(`postern: The outgoing proxy ${new URL(scene.emulator.proxy.origin).host} ${what.replace('HOST', host)}`);
    expect(second).toBe('  route dev.azure.com/**, identity sp');
    expect(third).toContain(`what to do: ${todo}`);
    expect(scene.emulator.git.seen).toEqual([]);
    expect(ran.stderr + surrounded.output).not.toMatch(/p@ss|p%40ss/);
  });

  test('what NO_PROXY names goes direct', async () => {
    const daemon = await scene.daemon(
      configuration((host) => (host === 'tfs.example.com' ? `, upstream: 'https://127.0.0.1:1'` : '')),
      { env: { TFS_PAT: PAT, ADA: 'lovelace', HTTPS_PROXY: scene.emulator.proxy.origin, NO_PROXY: '127.0.0.1' } },
    );
    const ran = await scene.git(['ls-remote', daemon.url('tfs.example.com/tfs/DefaultCollection/_git/web')]);
    expect(told(ran.stderr)[0]).toMatch(/^postern: 127\.0\.0\.1:1 cannot be reached/);
    expect(scene.emulator.proxy.targets).toEqual([]);
  });
});

describe('another upstream in place of the host', () => {
  test.each(forms)('$form', async ({ form, host, main }) => {
    const ran = await succeed(scene.git(['ls-remote', mapped.url(form), 'refs/heads/main']));
    expect(ran.stdout).toMatch(/refs\/heads\/main\n$/);
    const prefix = host.endsWith('.visualstudio.com') ? '/dev.azure.com' : `/${host}`;
    expect(scene.emulator.git.seen[0]?.url).toBe(`${prefix}${main}/info/refs?service=git-upload-pack`);
    expect(scene.emulator.git.seen.every((entry) => entry.status === 200 && entry.viaProxy === undefined)).toBe(true);
  });
});

test('route explain tells an address that only looks like what a route names', async () => {
  const route = 'identity: own, host: generic';
  const file = await scene.writeConfiguration(
    `identities: { own: { kind: none } }\nroutes: [{ match: git.example.com/team/app, ${route} }, { match: git.example.com/**, ${route} }]\n`,
  );
  const explain = (url: string): Promise<Ran> => scene.postern(['route', 'explain', url, '--config', file]);
  const ran = await explain('https://git.example.com/Team/app.git');
  expect(ran.code).toBe(1);
  expect(ran.stdout).toContain(
    'route      none: it only looks like what git.example.com/team/app names, and may be another repository; requests are refused\n',
  );
  expect((await explain('https://git.example.com/team/app.git')).stdout).toContain('route      git.example.com/team/app (number 1 of 2)\n');
});

describe('git at work, through insteadOf rules', () => {
  const WEB = 'https://dev.azure.com/contoso/Payments/_git/web';

  beforeAll(async () => {
    const rules: readonly (readonly [string, string])[] = [
      ['dev.azure.com/', 'https://dev.azure.com/'],
      ['dev.azure.com/', 'https://contoso@dev.azure.com/'],
      ['contoso.visualstudio.com/', 'https://contoso.visualstudio.com/'],
      ['ssh.dev.azure.com/v3/', 'git@ssh.dev.azure.com:v3/'],
      ['ssh.dev.azure.com/v3/', 'ssh://git@ssh.dev.azure.com/v3/'],
      ['vs-ssh.visualstudio.com/v3/', 'contoso@vs-ssh.visualstudio.com:v3/'],
      ['tfs.example.com/', 'https://tfs.example.com/'],
    ];
    const text = rules.map(([to, from]) => `[url "${mapped.url(to)}"]\n\tinsteadOf = ${from}\n`).join('');
    await writeFile(join(scene.home, '.gitconfig'), text);
    await scene.emulator.createRepository('contoso/Payments/lib');
    await scene.emulator.createRepository('contoso/Payments/super');
  });

  let works = 0;
  const fresh = (): string => join(scene.directory, `work-${++works}`);
  const cloned = async (url: string, ...options: string[]): Promise<string> => {
    const work = fresh();
    await succeed(scene.git(['clone', '-q', ...options, url, work]));
    return work;
  };
  const at = (work: string, ...args: string[]): Promise<Ran> => succeed(scene.git(args, { cwd: work }));

  test.each([
    WEB,
    'https://contoso@dev.azure.com/contoso/Payments/_git/web',
    'https://contoso.visualstudio.com/DefaultCollection/Payments/_git/web',
    'git@ssh.dev.azure.com:v3/contoso/Payments/web',
    'ssh://git@ssh.dev.azure.com/v3/contoso/My%20Project/My%20Repo',
    'git@ssh.dev.azure.com:v3/contoso/My%20Project/My%20Repo',
    'contoso@vs-ssh.visualstudio.com:v3/contoso/Payments/web',
    'https://tfs.example.com/tfs/DefaultCollection/Payments/_git/web',
  ])('clone %s', async (url) => {
    const work = await cloned(url);
    expect((await at(work, 'config', 'remote.origin.url')).stdout).toBe(`${url}\n`);
    expect(scene.emulator.git.seen.every(({ status }) => status === 200)).toBe(true);
  });

  test('submodules, absolute and relative', async () => {
    const work = await cloned('https://dev.azure.com/contoso/Payments/_git/super');
    await at(work, 'submodule', '--quiet', 'add', 'https://dev.azure.com/contoso/Payments/_git/lib', 'absolute');
    await at(work, 'submodule', '--quiet', 'add', '../lib', 'relative');
    await at(work, 'commit', '-qm', 'submodules');
    await at(work, 'push', '-q');
    const copy = await cloned('https://dev.azure.com/contoso/Payments/_git/super', '--recurse-submodules');
    expect((await at(copy, 'submodule', 'status')).stdout.match(/^ [0-9a-f]{40} (?:absolute|relative) /gm)).toHaveLength(2);
    for (const name of ['absolute', 'relative'])
      expect((await at(join(copy, name), 'config', 'remote.origin.url')).stdout).toBe('https://dev.azure.com/contoso/Payments/_git/lib\n');
  });

  test('a shallow clone, made whole later', async () => {
    const work = await cloned(WEB, '--depth=1');
    expect((await at(work, 'rev-list', '--count', 'HEAD')).stdout).toBe('1\n');
    await at(work, 'fetch', '-q', '--unshallow');
    expect((await at(work, 'rev-list', '--count', 'HEAD')).stdout).toBe('3\n');
  });

  test('a partial clone, filled by the checkout', async () => {
    const work = await cloned(WEB, '--filter=blob:none', '--no-checkout');
    const posts = scene.emulator.git.count({ method: 'POST' });
    expect((await at(work, 'rev-list', '--objects', '--missing=print', 'HEAD')).stdout).toMatch(/^\?[0-9a-f]{40}$/m);
    await at(work, 'checkout', '-q', 'main');
    expect(scene.emulator.git.count({ method: 'POST' })).toBeGreaterThan(posts);
    expect((await at(work, 'status', '--porcelain')).stdout).toBe('');
  });

  test('a fetch of one commit by its id, and ls-remote', async () => {
    const whole = await cloned(WEB);
    const commit = (await at(whole, 'rev-parse', 'HEAD~1')).stdout.trim();
    const work = fresh();
    await succeed(scene.git(['init', '-q', work]));
    await at(work, 'fetch', '-q', '--depth=1', WEB, commit);
    expect((await at(work, 'rev-parse', 'FETCH_HEAD')).stdout.trim()).toBe(commit);
    const listed = await succeed(scene.git(['ls-remote', '--symref', WEB, 'HEAD']));
    expect(listed.stdout).toMatch(/^ref: refs\/heads\/main\tHEAD\n/);
  });

  test('pushes: tags, a deletion, one refused by git itself, and 3 MiB behind a probe', async () => {
    const work = await cloned(WEB);
    await at(work, 'tag', '-am', 'one', 'v1');
    await at(work, 'tag', 'light');
    await at(work, 'push', '-q', '--tags');
    expect((await at(work, 'ls-remote', '--tags', 'origin')).stdout.split('\n')).toHaveLength(4);
    await at(work, 'push', '-q', 'origin', 'HEAD:refs/heads/gone', ':refs/tags/light');
    await at(work, 'push', '-q', 'origin', '--delete', 'gone');
    expect((await at(work, 'ls-remote', 'origin')).stdout).not.toMatch(/gone|light/);
    const behind = await scene.git(['push', '-q', 'origin', 'HEAD~1:main'], { cwd: work });
    expect(behind.code).toBe(1);
    expect(behind.stderr).toContain('! [rejected]');

    await writeFile(join(work, 'large.bin'), randomBytes(3 << 20));
    await at(work, 'add', '.');
    await at(work, 'commit', '-qm', 'large');
    scene.emulator.git.seen.length = 0;
    await at(work, 'push', '-q');
    const posts = scene.emulator.git.seen.filter(({ method }) => method === 'POST');
    expect(posts.map(({ headers }) => [headers['content-length'], headers['transfer-encoding']])).toEqual([
      ['4', undefined],
      [undefined, 'chunked'],
    ]);
    expect((await at(await cloned(WEB), 'log', '-1', '--format=%s')).stdout).toBe('large\n');
  });

  test('a repository in SHA-256', async () => {
    await scene.emulator.createRepository('contoso/Payments/modern', { objectFormat: 'sha256' });
    const work = await cloned('https://dev.azure.com/contoso/Payments/_git/modern');
    expect((await at(work, 'rev-parse', 'HEAD')).stdout).toMatch(/^[0-9a-f]{64}\n$/);
    await at(work, 'commit', '-q', '--allow-empty', '-m', 'more');
    await at(work, 'push', '-q');
    const place = 'contoso/Payments/modern';
    scene.emulator.git.faults.set(place, { kind: 'forbidden-TF400813', step: 'exchange' });
    await at(work, 'commit', '-q', '--allow-empty', '-m', 'refused');
    const refused = await scene.git(['push'], { cwd: work });
    scene.emulator.git.faults.clear(place);
    expect(refused.stderr).toContain(
      '! [remote rejected] main -> main (postern: Azure DevOps does not know this identity in the organisation',
    );
  });
});
