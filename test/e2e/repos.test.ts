/**
 * `postern repos`: what a person sees who wants to clone from a list, with the built program and the emulator's lists; and what is said
 * when there is none. Texts are those that a person sees.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RepositoryList } from '../../src/daemon/repos-desk.js';
import type { ListFault } from '../azure/rest-lists.js';
import { Canaries } from '../support/canary.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const SERVER = 'tfs.example.com/tfs/DefaultCollection';
const PAT = 'p'.repeat(52);

let scene: Scene;
let daemons: RunningDaemon[] = [];

beforeAll(async () => {
  scene = await Scene.open();
  scene.emulator.git.pats.add(PAT);
  await writeFile(join(scene.directory, 'pat'), `${PAT}\n`, { mode: 0o600 });
  await scene.emulator.createRepository('contoso/Payments/web', { commits: 1 });
  await scene.emulator.createRepository('contoso/Grüße an alle/mein Repo', { commits: 1 });
});
afterAll(() => scene.close());
afterEach(async () => {
  for (const daemon of daemons) await daemon.kill();
  daemons = [];
  const { git } = scene.emulator;
  git.restLists.clear();
  git.organisations.clear();
  git.seen.length = 0;
});

/** Routes as lines of `routes:`, without upstream and authority, which all have. */
async function daemonWith(
  routes: readonly string[] = ['match: dev.azure.com/contoso/**, identity: sp'],
  more: readonly string[] = [],
  options: Parameters<Scene['daemon']>[1] = {},
): Promise<RunningDaemon> {
  const { git, caFile } = scene.emulator;
  const daemon = await scene.daemon(
    [
      'listen: { http: 127.0.0.1:0 }',
      'log: { level: debug, format: json }',
      'identities:',
      `  sp: ${scene.servicePrincipal}`,
      `  onprem: { kind: pat, secret: { file: ${join(scene.directory, 'pat')} } }`,
      `  other: { kind: pat, secret: { file: ${join(scene.directory, 'pat')} } }`,
      '  callers: { kind: passthrough }',
      'routes:',
      ...routes.map((line) => `  - { ${line}${line.includes('upstream:') ? '' : `, upstream: '${git.origin}'`}, ca: ${caFile} }`),
      ...more,
      '',
    ].join('\n'),
    options,
  );
  daemons.push(daemon);
  return daemon;
}

const ofServer = (identity = 'onprem'): string =>
  `match: tfs.example.com/tfs/**, identity: ${identity}, upstream: '${scene.emulator.git.origin}/tfs.example.com'`;

function fill(): void {
  const { restLists } = scene.emulator.git;
  restLists.add('contoso', { project: 'Payments', name: 'web', defaultBranch: 'refs/heads/main', size: 4711 });
  restLists.add('contoso', { project: 'Payments', name: 'old', isDisabled: true });
  restLists.add('contoso', { project: 'Grüße an alle', name: 'mein Repo' });
  restLists.addProject('contoso', 'Empty');
}

const listOf = async (daemon: RunningDaemon, args: readonly string[]): Promise<RepositoryList> => {
  const ran = await daemon.postern(['repos', ...args, '--json']);
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  return JSON.parse(ran.stdout) as RepositoryList;
};
const namesIn = ({ projects }: RepositoryList): string[] =>
  projects.flatMap(({ name, repositories }) => repositories.map((each) => `${name}/${each.name}`));

/** A fault for every request of a list. */
const spoil = (list: 'projects' | 'repositories', fault: ListFault, times = Infinity): void => {
  scene.emulator.git.restLists.faults.set(list, { fault, times });
};

describe('a list', () => {
  test('has projects and repositories with both addresses, by which they can be cloned', async () => {
    fill();
    const daemon = await daemonWith();
    const ran = await daemon.postern(['repos', 'contoso']);
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
      ['PROJECT', 'REPOSITORY', 'HTTPS', 'SSH'],
      ['Empty', '-', 'no repository'],
      [
        'Grüße an alle',
        'mein Repo',
        'https://dev.azure.com/contoso/Gr%C3%BC%C3%9Fe%20an%20alle/_git/mein%20Repo',
        'git@ssh.dev.azure.com:v3/contoso/Gr%C3%BC%C3%9Fe%20an%20alle/mein%20Repo',
      ],
      ['Payments', 'old (disabled)', 'https://dev.azure.com/contoso/Payments/_git/old', 'git@ssh.dev.azure.com:v3/contoso/Payments/old'],
      ['Payments', 'web', 'https://dev.azure.com/contoso/Payments/_git/web', 'git@ssh.dev.azure.com:v3/contoso/Payments/web'],
      [''],
    ]);
    const door = `${daemon.base}/dev.azure.com/`;
    const urls = [...ran.stdout.matchAll(/https:\/\/dev\.azure\.com\/\S+(?:web|Repo)\b/g)].map(([url]) => url);
    expect(urls).toHaveLength(2);
    for (const url of urls) {
      const cloned = await scene.git([
        '-c',
        `url.${door}.insteadOf=https://dev.azure.com/`,
        'clone',
        '-q',
        url,
        join(scene.directory, `clone of ${url.length}`),
      ]);
      expect(cloned).toMatchObject({ code: 0, stderr: '' });
    }
    expect(daemon.log.find(({ event }) => event === 'repos-listed')).toMatchObject({
      level: 'info',
      organization: 'contoso',
      identity: 'sp',
      projects: 3,
      count: 3,
    });
  });

  test('as JSON has what a tool wants that clones from it', async () => {
    fill();
    const list = await listOf(await daemonWith(), ['contoso', 'payments/web']);
    expect(list).toEqual({
      organization: 'contoso',
      identity: 'sp',
      leftOut: 0,
      projects: [
        {
          name: 'Payments',
          id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
          repositories: [
            {
              name: 'web',
              id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
              https: 'https://dev.azure.com/contoso/Payments/_git/web',
              ssh: 'git@ssh.dev.azure.com:v3/contoso/Payments/web',
              defaultBranch: 'main',
              sizeBytes: 4711,
              isDisabled: false,
              isFork: false,
              route: 'dev.azure.com/contoso/**',
            },
          ],
        },
      ],
    });
  });

  test('of many projects comes page by page', async () => {
    const { restLists, seen } = scene.emulator.git;
    for (let number = 0; number < 7; number++) restLists.addProject('contoso', `p${number}`);
    restLists.pageSize = 3;
    const { projects } = await listOf(await daemonWith(), ['contoso']);
    expect(projects.map(({ name }) => name)).toEqual(['p0', 'p1', 'p2', 'p3', 'p4', 'p5', 'p6']);
    expect(seen.filter(({ url }) => url.includes('_apis/projects'))).toHaveLength(3);
    expect(new Set(seen.filter(({ url }) => url.includes('_apis')).map(({ authorization }) => authorization))).toEqual(new Set(['bearer']));
  });

  test('is filtered by a text or a glob, and is of one project by name or id', async () => {
    fill();
    const daemon = await daemonWith();
    const all = await listOf(daemon, ['contoso']);
    expect(namesIn(await listOf(daemon, ['contoso', 'WEB']))).toEqual(['Payments/web']);
    expect(namesIn(await listOf(daemon, ['contoso', '*e*']))).toEqual(['Grüße an alle/mein Repo', 'Payments/web']);
    expect(namesIn(await listOf(daemon, ['contoso', 'pay*/*']))).toEqual(['Payments/old', 'Payments/web']);
    expect((await listOf(daemon, ['contoso', 'empty'])).projects.map(({ name }) => name)).toEqual(['Empty']);
    const none = await daemon.postern(['repos', 'contoso', 'nothing']);
    expect(none).toMatchObject({ code: 0, stdout: '', stderr: 'Nothing that the identity sp sees in contoso fits the filter\n' });
    scene.emulator.git.seen.length = 0;
    expect(namesIn(await listOf(daemon, ['contoso', '--project', 'grüße an alle']))).toEqual(['Grüße an alle/mein Repo']);
    const id = all.projects.find(({ name }) => name === 'Payments')?.id ?? '';
    expect(namesIn(await listOf(daemon, ['contoso', '--project', id]))).toEqual(['Payments/old', 'Payments/web']);
    // The list of projects is not asked for.
    expect(scene.emulator.git.seen.map(({ url }) => url.replace(/\?.*/, ''))).toEqual([
      '/contoso/gr%C3%BC%C3%9Fe%20an%20alle/_apis/git/repositories',
      `/contoso/${id}/_apis/git/repositories`,
    ]);
  });

  test.each([
    'https://dev.azure.com/contoso',
    'https://contoso@dev.azure.com/contoso/',
    'contoso.visualstudio.com',
    'dev.azure.com/Contoso',
  ])('is of %s too', async (written) => {
    fill();
    expect(namesIn(await listOf(await daemonWith(), [written]))).toHaveLength(3);
  });

  test('of a collection has the addresses of that server', async () => {
    const { restLists } = scene.emulator.git;
    restLists.add(SERVER, { project: 'Payments', name: 'web', sshUrl: `ssh://tfs.example.com:22/tfs/DefaultCollection/Payments/_git/web` });
    restLists.add(SERVER, { project: 'Payments', name: 'astray', sshUrl: 'ssh://evil.example/tfs/DefaultCollection/Payments/_git/astray' });
    restLists.add(SERVER, { project: 'Payments', name: 'with password', sshUrl: 'ssh://git:secret@tfs.example.com/x' });
    const daemon = await daemonWith([ofServer()]);
    const list = await listOf(daemon, ['https://tfs.example.com/tfs/DefaultCollection']);
    expect(list.organization).toBe(SERVER);
    expect(list.projects[0]?.repositories.map(({ https, ssh }) => [https, ssh])).toEqual([
      [`https://${SERVER}/Payments/_git/astray`, undefined],
      [`https://${SERVER}/Payments/_git/web`, `ssh://tfs.example.com:22/tfs/DefaultCollection/Payments/_git/web`],
      [`https://${SERVER}/Payments/_git/with%20password`, undefined],
    ]);
    expect(scene.emulator.git.seen.map(({ host, authorization, user }) => [host, authorization, user])).toEqual([
      ['tfs.example.com', 'basic', 'pat'],
      ['tfs.example.com', 'basic', 'pat'],
    ]);
    expect(scene.emulator.git.seen[0]?.url).toContain('api-version=5.0');
  });

  test('marks what no route leads to', async () => {
    fill();
    const daemon = await daemonWith(['match: dev.azure.com/contoso/Payments/*, identity: sp']);
    expect((await daemon.postern(['repos', 'contoso'])).stdout).toMatch(/mein Repo \(no route\)/);
  });

  test('shows nothing of a name that acts on a terminal, and no address that it would lead astray', async () => {
    const { restLists } = scene.emulator.git;
    restLists.add('contoso', { project: 'Payments', name: 'red\u001b[31m\u202e' });
    restLists.add('contoso', { project: 'Payments', name: '..' });
    const ran = await (await daemonWith()).postern(['repos', 'contoso']);
    expect(ran.stdout).toMatch(/red\\u001b\[31m\\u202e \(no route\) +no address that git takes\n/);
    expect(ran.stdout).toMatch(/\.\. \(no route\) +no address that git takes\n/);
    expect(ran.stdout).not.toMatch(/[\u001b\u202e]|_git\/\.\./);
  });

  test('goes to dev.azure.com, through the proxy of the route, where no upstream is mapped', async () => {
    fill();
    const { proxy, caFile } = scene.emulator;
    proxy.targets.length = 0;
    const daemon = await scene.daemon(
      [
        'listen: { http: 127.0.0.1:0 }',
        'log: { level: debug, format: json }',
        'identities:',
        `  sp: ${scene.servicePrincipal}`,
        'routes:',
        `  - { match: dev.azure.com/contoso/**, identity: sp, ca: ${caFile}, proxy: '${proxy.origin}' }`,
        '',
      ].join('\n'),
    );
    daemons.push(daemon);
    expect(namesIn(await listOf(daemon, ['contoso']))).toHaveLength(3);
    expect(new Set(proxy.targets.map(({ target }) => target))).toEqual(new Set(['dev.azure.com:443']));
  });

  test('renews a token that was refused, once, and shows no token anywhere', async () => {
    fill();
    const daemon = await daemonWith();
    await listOf(daemon, ['contoso']);
    const tokens = scene.emulator.sts.tokens();
    for (const token of tokens) scene.emulator.sts.revoke(token);
    const ran = await daemon.postern(['repos', 'contoso', '--json']);
    expect(ran.code).toBe(0);
    expect(scene.emulator.git.seen.filter(({ status }) => status === 401)).toHaveLength(1);
    const canaries = new Canaries();
    scene.emulator.sts.tokens().forEach((token, at) => canaries.add(`token ${at}`, token));
    expect(canaries.in(ran.stdout + ran.stderr + daemon.output)).toEqual([]);
  });

  test('comes without empty projects where the identity may not list projects, and says so', async () => {
    fill();
    spoil('projects', { kind: 'status', status: 403, message: 'VS403314: You do not have permission.' });
    const ran = await (await daemonWith()).postern(['repos', 'contoso']);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain('Payments');
    expect(ran.stdout).not.toContain('Empty');
    expect(ran.stderr).toBe(
      'note: projects without a repository are not listed: The upstream does not allow this (403), asked for the projects of contoso\n',
    );
  });

  test('waits a short throttle out', async () => {
    fill();
    spoil('repositories', { kind: 'status', status: 429, headers: { 'Retry-After': '1' } }, 1);
    const ran = await (await daemonWith()).postern(['repos', 'contoso', '--json']);
    expect(namesIn(JSON.parse(ran.stdout) as RepositoryList)).toHaveLength(3);
  });
});

describe('no list', () => {
  const refusal = async (args: readonly string[], routes?: readonly string[]): Promise<Ran> => {
    const daemon = await daemonWith(routes);
    const ran = await daemon.postern(['repos', ...args]);
    expect(ran.stdout).toBe('');
    expect(daemon.log.find(({ event }) => event === 'repos-refused')).toMatchObject({ level: 'warn' });
    return ran;
  };

  test.each<[string, ListFault, string, string]>([
    ['401', { kind: 'status', status: 401 }, 'The upstream did not accept the credential (401)', 'postern status'],
    ['a sign-in page', { kind: 'sign-in-page' }, 'answered with its sign-in page instead of a list', 'postern status'],
    ['403', { kind: 'status', status: 403, message: "TF400813: The user 'x' is not authorized" }, 'does not know this identity', 'Users'],
    ['404', { kind: 'status', status: 404 }, 'There is no such organisation, or this identity may not see it (404)', 'check the name'],
    ['429', { kind: 'status', status: 429, headers: { 'Retry-After': '120' } }, 'is throttling this identity (429)', 'in 120 s'],
    ['503', { kind: 'status', status: 503, headers: { 'Retry-After': '60' } }, 'is not available at the moment (503)', 'status page'],
    ['500', { kind: 'status', status: 500, message: 'TF400898: An Internal Error Occurred' }, 'status 500', 'ActivityId'],
    ['a portal', { kind: 'page', title: 'Welcome' }, 'answered with no list of repositories (status 200, text/html', 'portal'],
    ['another JSON', { kind: 'body', body: '{"value":"x"}' }, 'answered with no list of repositories', 'portal'],
    ['a list of something else', { kind: 'body', body: '{"value":[{"id":"1"}]}' }, 'answered with no list of repositories', 'portal'],
    ['a redirect', { kind: 'redirect', location: 'https://evil.example/x' }, 'redirects the question to https://evil.example', 'moved'],
    ['more than is read', { kind: 'body', body: ' '.repeat(33 * 1024 * 1024) }, 'answered with more than 32 MiB', 'less at once'],
  ])('for %s, with cause and remedy', async (_, fault, what, todo) => {
    spoil('repositories', fault);
    const ran = await refusal(['contoso']);
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(what);
    expect(ran.stderr).toMatch(new RegExp(`what to do: .*${todo}`));
  });

  test.each([true, false])('of projects that are paged for ever (the same page: %s)', async (isSame) => {
    spoil('projects', { kind: 'endless', isSame });
    const ran = await refusal(['contoso']);
    expect(ran.stderr).toContain('gives the list of projects page by page and comes to no end');
    expect(scene.emulator.git.seen.length).toBeLessThan(110);
  });

  test('of a project or an organisation that is not there', async () => {
    fill();
    const project = await refusal(['contoso', '--project', 'Nowhere']);
    expect(project.stderr).toContain(
      'postern: The project does not exist, or this identity may not see it, asked for the repositories of contoso\n',
    );
    expect(project.stderr).toContain('upstream said: TF200016: The following project does not exist: Nowhere.\n');
    expect(project.stderr).toMatch(/route dev\.azure\.com\/contoso\/\*\*, identity sp, upstream status 404, ActivityId [0-9a-f-]{36}\n/);
    scene.emulator.git.organisations.set('contoso', { isMissing: true });
    expect((await refusal(['contoso'])).stderr).toContain('There is no such organisation');
  });

  test('when the identity fails', async () => {
    const { secretClient } = scene.emulator.sts.samples;
    const daemon = await daemonWith(undefined, undefined, { env: { SP_SECRET: `${secretClient.secret}x` } });
    const ran = await daemon.postern(['repos', 'contoso']);
    expect(ran).toMatchObject({ code: 1, stdout: '' });
    expect(ran.stderr).toContain('AADSTS7000215');
    expect(ran.stderr).toContain('what to do:');
    expect(scene.emulator.git.seen).toEqual([]);
  });

  test('when the personal access token has ended, with what to do about it', async () => {
    scene.emulator.git.pats.delete(PAT);
    try {
      const ran = await refusal([SERVER], [ofServer()]);
      expect(ran.stderr).toContain(`The upstream did not accept the credential (401), asked for the repositories of ${SERVER}`);
      expect(ran.stderr).toContain('what to do: look whether the token has ended or was revoked');
    } finally {
      scene.emulator.git.pats.add(PAT);
    }
  });

  test('before anybody is asked, for what the configuration does not have', async () => {
    const daemon = await daemonWith([
      'match: dev.azure.com/contoso/a/*, identity: sp',
      'match: dev.azure.com/contoso/b/*, identity: other',
      'match: dev.azure.com/fabrikam/**, identity: callers',
      'match: git.example.com/**, identity: callers, host: generic',
      ofServer(),
    ]);
    for (const [args, what] of [
      [['elsewhere'], 'No route of the configuration is for elsewhere'],
      [['contoso'], 'It is not clear who is to ask'],
      [['contoso', '--identity', 'nobody'], 'There is no identity nobody'],
      // A credential of one host is not to be had by another.
      [['contoso', '--identity', 'onprem'], 'No route for contoso has the identity onprem'],
      [['fabrikam'], 'Identity callers holds no credential'],
      [['con/toso'], 'No route of the configuration is for con/toso'],
      [['https://git.example.com/x'], 'git.example.com is a host of another kind'],
      [['https://tfs.example.com/tfs'], 'it names no collection'],
      [['https://tfs.example.com/tfs/a/b'], 'it goes on after the collection'],
      [['https://dev.azure.com/contoso/a/_git/b'], 'it is the address of a repository'],
      [['https://dev.azure.com/contoso/a'], 'it goes on after the organisation'],
      [['contoso', '--project', '../x'], 'That is not the name of a project'],
      [['contoso', '--project', '_apis'], 'That is not the name of a project'],
    ] as const) {
      const ran = await daemon.postern(['repos', ...args]);
      expect(ran, args.join(' ')).toMatchObject({ code: 2, stdout: '' });
      expect(ran.stderr).toContain(what);
      expect(ran.stderr).toContain('what to do: ');
    }
    const secret = await daemon.postern(['repos', `https://jane:${PAT}@dev.azure.com/contoso/a`]);
    expect(secret.stderr + daemon.output).not.toContain(PAT);
    expect(scene.emulator.git.seen).toEqual([]);
  });

  test('without a daemon', async () => {
    expect((await scene.postern(['repos', 'contoso'])).stderr).toContain('No postern is running');
  });
});
