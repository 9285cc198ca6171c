/**
 * Promise: through the REST API nobody gets a credential, another repository than their lease or route is for, or a ref that the rules keep
 * from them. The attacks are requests over the wire, by the local user and by the holder of a wide lease; nothing of them may reach
 * the emulator, which plays every host of the family.
 */
import { request } from 'node:http';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CREDENTIAL_CALLS } from '../../src/hosts/credential-calls.js';
import { ask, oneConnection, type PlainAnswer, type PlainOptions } from '../support/plain-request.js';
import { type RunningDaemon, Scene } from '../support/scene.js';
import { callsOf, SPELLINGS } from '../unit/hosts/credential-spellings.js';

const GIT = 'dev.azure.com/contoso/Payments/_apis/git/repositories';
const FAMILY = [
  'advsec',
  'almsearch',
  'artifacts',
  'auditservice',
  'extmgmt',
  'feeds',
  'pkgs',
  'vsaex',
  'vsblob',
  'vsrm',
  'vssps',
  'vstmr',
];

const EVERY_REF = ['--ref', 'refs/**', '--changes', 'create,update,delete,tag'];

let scene: Scene;
let daemon: RunningDaemon;
/** Of everything, for everybody who holds it. */
let wide: Record<string, string>;
/** Of one repository. */
let own: Record<string, string>;
const ids = { web: '', secret: '', payments: '', vault: '' };

beforeAll(async () => {
  scene = await Scene.open();
  const { emulator } = scene;
  for (const name of ['web', 'api', 'secret']) await emulator.createRepository(`contoso/Payments/${name}`);
  await emulator.createRepository('contoso/Vault/keys');
  await emulator.createRepository('fabrikam/Tools/tool');
  const { repositories, projects } = emulator.git.rest.catalog.of({ kind: 'azure', host: 'dev.azure.com', organization: 'contoso' });
  const idOf = (all: readonly { id: string; name: string }[], name: string): string => all.find((each) => each.name === name)?.id ?? '';
  ids.web = idOf(repositories, 'web');
  ids.secret = idOf(repositories, 'secret');
  ids.payments = idOf(projects, 'Payments');
  ids.vault = idOf(projects, 'Vault');
  const way = `identity: sp, proxy: '${emulator.proxy.origin}', ca: ${emulator.caFile}`;
  const lines = [
    'listen: { http: 127.0.0.1:0, ssh: 127.0.0.1:0 }',
    'log: { level: debug, format: json }',
    'identities:',
    `  sp: ${scene.servicePrincipal}`,
    'routes:',
    `  - { match: dev.azure.com/contoso/Payments/secret, allow: [lfs], ${way} }`,
    `  - { match: dev.azure.com/contoso/Vault/**, allow: [lfs], ${way} }`,
    `  - { match: dev.azure.com/contoso/Payments/api, allow: [fetch, push, api], refs: { protect: [refs/heads/main] }, ${way} }`,
    `  - { match: dev.azure.com/contoso/**, allow: [fetch, push, lfs, api], ${way} }`,
    `  - { match: dev.azure.com/fabrikam/**, allow: [fetch, api], ${way} }`,
    '',
  ];
  daemon = await scene.daemon(lines.join('\n'));
  wide = await lease('--repo', 'dev.azure.com/contoso/**', '--allow', 'fetch,push,lfs,api', ...EVERY_REF);
  own = await lease('--repo', 'contoso/Payments/web', '--allow', 'fetch,push,api', '--ref', 'refs/heads/agent/*');
});
afterAll(() => scene.close());
beforeEach(() => {
  scene.emulator.git.seen.length = 0;
  scene.emulator.proxy.targets.length = 0;
});

async function lease(...args: readonly string[]): Promise<Record<string, string>> {
  const ran = await daemon.postern(['lease', 'create', ...args, '--for', '1h']);
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  return { 'x-postern-lease': ran.stdout.trim() };
}

const get = (path: string, options?: PlainOptions): Promise<PlainAnswer> => ask(daemon.url(path), options);
const messageOf = ({ body }: PlainAnswer): string => (JSON.parse(body.toString()) as { message: string }).message;

/** What came to the emulator, or to the proxy before it. */
function arrived(): readonly string[] {
  const { git, proxy } = scene.emulator;
  return [...git.seen.map(({ method, host, url }) => `${method} ${host}${url}`), ...proxy.targets.map(({ target }) => target)];
}

/** Sends a path as it stands: a URL would be tidied up on the way. */
function raw(path: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(daemon.base);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path, method: options.method ?? 'POST', headers: options.headers ?? {} }, (answer) => {
      let body = '';
      answer.setEncoding('utf8').on('data', (text: string) => (body += text));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body })).on('error', reject);
    });
    sent.on('error', reject).end();
  });
}

describe('a call that makes or returns a credential', () => {
  const rows = callsOf(CREDENTIAL_CALLS);

  test.each(rows)('%s is refused by name, GUID, case, encoding and detour, and nothing of it goes up', async (_, { path, isWriteOnly }) => {
    const attacks = [
      ...['', '/Payments', `/${ids.payments}`, '/Payments/Team'].map((level) => `/dev.azure.com/contoso${level}/${path}`),
      ...Object.values(SPELLINGS)
        // In another area it is no call of packages any more.
        .filter((spell) => !path.startsWith('_packaging') || spell(path).startsWith('_packaging'))
        .map((spell) => `/dev.azure.com/contoso/${spell(path)}`),
    ];
    const answers = await Promise.all(
      attacks.flatMap((attack) => [{}, wide].map(async (headers) => ({ attack, ...(await raw(attack, { headers })) }))),
    );
    for (const { attack, status, body } of answers) {
      expect([400, 403, 404], `${attack}: ${body}`).toContain(status);
      expect(body).toMatch(/postern/);
    }
    const { body } = await raw(`/dev.azure.com/contoso/${path}`);
    expect((JSON.parse(body) as { typeKey: string }).typeKey).toBe('call-refused');
    if (!isWriteOnly) expect((await raw(`/dev.azure.com/contoso/${path}`, { method: 'GET' })).status).toBe(403);
    expect(arrived()).toEqual([]);
  });

  test('stands in the book as a call of the API, with its address', async () => {
    await raw('/vssps.dev.azure.com/contoso/_apis/tokens/pats');
    expect((await daemon.status()).failures.at(-1)).toMatchObject({
      kind: 'api',
      repository: 'vssps.dev.azure.com/contoso/_apis/tokens/pats',
      failure: { code: 'call-refused' },
    });
  });

  test('is refused on every host of the family, old and new, and on those that are none', async () => {
    const hosts = [
      'contoso.visualstudio.com',
      'contoso.visualstudio.com/DefaultCollection',
      'app.vssps.visualstudio.com',
      'app.vssps.visualstudio.com/contoso',
      'vstoken.dev.azure.com/contoso',
      'contoso.vstoken.visualstudio.com',
      'DEV.AZURE.COM/contoso',
      'dev.azure.com:443/contoso',
      'dev.azure.com./contoso',
      ...FAMILY.flatMap((name) => [`${name}.dev.azure.com/contoso`, `contoso.${name}.visualstudio.com`]),
    ];
    // All of them on all hosts are in test/unit/hosts/credential-calls.test.ts.
    for (const [number, host] of hosts.entries()) {
      const paths = rows.flatMap(([, { path }], at) => (at === 0 || (at + number) % 6 === 0 ? [path] : []));
      for (const { status, body } of await Promise.all(paths.map((path) => raw(`/${host}/${path}`, { headers: wide }))))
        expect([400, 403, 404], `${host}: ${body}`).toContain(status);
    }
    expect(arrived()).toEqual([]);
  });

  test('is refused by every method, also one that a header or the query puts in place of another', async () => {
    const path = '/vssps.dev.azure.com/contoso/_apis/tokens/pats';
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY'])
      expect((await raw(path, { method })).status, method).toBe(403);
    for (const header of ['X-HTTP-Method-Override', 'x-http-method', 'X-Method-Override'])
      expect((await raw(path, { method: 'GET', headers: { [header]: 'POST' } })).status, header).toBe(403);
    expect((await raw(`${path}?x-http-method-override=POST`, { method: 'GET' })).status).toBe(403);
    expect(arrived()).toEqual([]);
  });

  test('tells its caller what is wrong and what to do', async () => {
    const answer = await get('vssps.dev.azure.com/contoso/_apis/tokens/pats?api-version=7.1-preview.1', { method: 'POST' });
    expect([answer.status, answer.headers['content-type']]).toEqual([403, 'application/json; charset=utf-8']);
    expect(messageOf(answer)).toBe(
      [
        'postern: The call is about personal access tokens, session tokens and SSH public keys, and gives nobody a credential here',
        '  what to do: a personal access token is made by `postern pat create` where the daemon runs; an SSH public key is added in a browser',
        '  more: postern explain call-refused',
      ].join('\n'),
    );
  });
});

describe('a call that says to be another one', () => {
  test.each([
    ['a header', 'contoso/Payments/_apis/wit/wiql', { 'X-HTTP-Method-Override': 'DELETE' }],
    ['a header of another name', 'contoso/Payments/_apis/wit/wiql', { 'X-Method-Override': 'PATCH' }],
    ['the query', 'contoso/Payments/_apis/wit/wiql?X-HTTP-Method-Override=DELETE', {}],
    ['the query, encoded', 'contoso/Payments/_apis/wit/wiql?%58-http-method-override=DELETE', {}],
    ['a form', 'contoso/Payments/_apis/wit/wiql?_method=DELETE', {}],
    ['a batch', 'contoso/_apis/wit/$batch?api-version=7.1', {}],
    ['a batch, encoded', 'contoso/_apis/wit/%24Batch', {}],
  ])('in %s is refused', async (_, path, headers) => {
    const answer = await get(`dev.azure.com/${path}`, { method: 'POST', headers, body: '[]' });
    expect(answer.status).toBe(403);
    expect(messageOf(answer)).toContain('judged by one method or address and carried out by another');
    expect(arrived()).toEqual([]);
  });
});

describe('a route or a lease without push', () => {
  test('reads, by POST too where that is a read, and writes nothing', async () => {
    const reader = await lease('--repo', 'dev.azure.com/contoso/**', '--allow', 'fetch,api');
    const at = async (method: string, path: string): Promise<number> => {
      // Node's client gives some methods no length by itself.
      const body = method === 'GET' ? {} : { body: '{}', headers: { ...reader, 'content-length': '2' } };
      return (await get(`dev.azure.com/contoso/Payments/${path}`, { method, headers: reader, ...body })).status;
    };
    expect(await at('GET', '_apis/git/repositories/web')).toBe(200);
    const before = scene.emulator.git.seen.length;
    await at('POST', '_apis/wit/wiql?api-version=7.1');
    await at('POST', '_APIS/Git/Repositories/Web/CommitsBatch');
    expect(scene.emulator.git.seen.slice(before).map(({ method, url }) => `${method} ${url}`)).toEqual([
      'POST /contoso/Payments/_apis/wit/wiql?api-version=7.1',
      'POST /contoso/Payments/_APIS/Git/Repositories/Web/CommitsBatch',
    ]);
    for (const [method, path] of [
      ['POST', '_apis/git/repositories/web/pullrequests'],
      ['PATCH', '_apis/git/repositories/web/pullrequests/1'],
      ['DELETE', '_apis/git/repositories/web'],
      ['PUT', '_apis/wit/wiql'],
      ['POST', '_apis/wit/workitemsdelete'],
      ['POST', '_apis/wit/wiql/x'],
      ['POST', '_apis/unheard/of'],
      ['QUERY', '_apis/git/repositories/web'],
    ] as const)
      expect(await at(method, path), `${method} ${path}`).toBe(403);
    expect(scene.emulator.git.seen).toHaveLength(before + 2);
    const refused = await get('dev.azure.com/fabrikam/Tools/_apis/git/repositories/tool/pushes', { method: 'POST', body: '{}' });
    expect(messageOf(refused)).toContain('The route allows fetch, api, not push');
  });
});

describe('a lease for one repository', () => {
  const read = async (path: string): Promise<string> => {
    const answer = await get(`dev.azure.com/contoso/${path}`, { headers: own });
    const told = JSON.parse(answer.body.toString()) as { name?: string; typeKey?: string };
    return `${answer.status} ${told.name ?? told.typeKey ?? ''}`;
  };

  test('opens it by name and by id, in every spelling of either', async () => {
    for (const path of [
      'Payments/_apis/git/repositories/web',
      'PAYMENTS/_APIS/git/repositories/WEB/',
      `_apis/git/repositories/${ids.web}`,
      `_apis/git/repositories/${ids.web.toUpperCase()}`,
      `Payments/_apis/git/repositories/${ids.web}`,
      `${ids.payments}/_apis/git/repositories/web`,
      `${ids.payments}/_apis/git/repositories/${ids.web}`,
    ])
      expect(await read(path), path).toBe('200 web');
  });

  test('opens no other one, by name or by id, and no list of them', async () => {
    for (const path of [
      'Payments/_apis/git/repositories/api',
      'Payments/_apis/git/repositories',
      'Payments/_apis/wit/workitems/1',
      '_apis/git/repositories',
      '_apis/git/pullrequests/1',
      '_apis/projects',
      `_apis/git/repositories/${ids.secret}`,
      `Payments/_apis/git/repositories/${ids.secret}`,
      // The project that stands before it is not the one that it is in.
      `${ids.vault}/_apis/git/repositories/${ids.secret}`,
    ])
      expect(await read(path), path).toMatch(/^403 (?:lease-insufficient|name-unknown)/);
    expect(scene.emulator.git.seen.every(({ url }) => !url.includes('/workitems') && !url.endsWith('/api'))).toBe(true);
  });

  test('asks where things are, so that an SDK works with it', async () => {
    expect((await get('dev.azure.com/contoso/_apis/resourceAreas', { headers: own })).status).toBe(200);
    expect((await get('dev.azure.com/contoso/_apis/git', { method: 'OPTIONS', headers: own })).status).toBe(200);
    expect((await get('dev.azure.com/fabrikam/_apis/resourceAreas', { headers: own })).status).toBe(403);
  });

  test('refuses an id that the upstream does not know, with what to do', async () => {
    const answer = await get('dev.azure.com/contoso/_apis/git/repositories/00000000-1111-2222-3333-444444444444', { headers: own });
    expect(answer.status).toBe(403);
    expect(messageOf(answer)).toMatch(/cannot be told: the upstream tells identity sp no names for it \(status 404\)/);
    expect(messageOf(answer)).toContain('what to do: use the names of the project and the repository');
  });
});

describe('a repository that a narrow route keeps back', () => {
  test('is not had by its id through the route behind it: REST, git and LFS', async () => {
    for (const path of [
      `contoso/_apis/git/repositories/${ids.secret}`,
      `contoso/Payments/_apis/git/repositories/${ids.secret}/items`,
      `contoso/${ids.vault}/_apis/wit/wiql`,
      `contoso/${ids.payments}/_git/${ids.secret}/info/refs?service=git-upload-pack`,
      `contoso/Payments/_git/${ids.secret.replaceAll('-', '')}/info/refs?service=git-upload-pack`,
      `contoso/_git/%7B${ids.secret}%7D/info/refs?service=git-upload-pack`,
      `contoso/${ids.vault}/_git/keys/info/refs?service=git-upload-pack`,
    ])
      expect((await get(`dev.azure.com/${path}`)).status, path).toBe(403);
    // All that went up are the questions who that is.
    for (const { url, method } of scene.emulator.git.seen) expect(`${method} ${url}`).toMatch(/^GET .*api-version=7\.1$/);
    const batch = await get(`dev.azure.com/contoso/_git/${ids.vault}/info/lfs/objects/batch`, { method: 'POST', body: '{}' });
    expect(batch.status).toBe(403);
  });

  test('and one that it does not is cloned by its id, over HTTP and SSH', async () => {
    const cloned = await scene.git([
      'clone',
      '-q',
      daemon.url(`dev.azure.com/contoso/${ids.payments}/_git/${ids.web}`),
      `${scene.directory}/by-id`,
    ]);
    expect(cloned.code, cloned.stderr).toBe(0);
    const env = await scene.sshEnvironment();
    const list = (repository: string): ReturnType<Scene['git']> =>
      scene.git(['ls-remote', daemon.sshUrl(`ssh.dev.azure.com/v3/contoso/${ids.payments}/${repository}`)], { env });
    const over = await list(ids.web);
    expect(over.stdout, over.stderr).toContain('refs/heads/main');
    const kept = await list(ids.secret);
    expect(kept.stderr).toContain('The route allows lfs, not fetch');
    expect(kept.code).not.toBe(0);
  });

  test('is asked for once, however many want to know', async () => {
    const other = await lease('--repo', 'contoso/Payments/api', '--allow', 'api');
    const id = scene.emulator.git.rest.catalog
      .of({ kind: 'azure', host: '', organization: 'contoso' })
      .repositories.find(({ name }) => name === 'api')?.id;
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => get(`dev.azure.com/contoso/_apis/git/repositories/${id}`, { headers: other })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(scene.emulator.git.seen).toHaveLength(21);
  });
});

describe('rules for refs', () => {
  const zero = '0'.repeat(40);
  const push = JSON.stringify({
    refUpdates: [{ name: 'refs/heads/agent/x', oldObjectId: zero }],
    commits: [{ comment: 'x', changes: [{ changeType: 1, item: { path: '/x' }, newContent: { content: 'x', contentType: 0 } }] }],
  });
  const json = { 'content-type': 'application/json' };

  test.each([
    ['POST', 'pushes', push],
    ['POST', 'refs', JSON.stringify([{ name: 'refs/heads/main', oldObjectId: zero, newObjectId: zero }])],
    ['PATCH', 'pullrequests/1', '{"status":"completed"}'],
    ['POST', 'cherryPicks', '{}'],
    ['POST', 'reverts', '{}'],
    ['POST', 'merges', '{}'],
    ['POST', 'annotatedtags', '{}'],
    ['POST', 'importRequests', '{}'],
    ['POST', 'forkSyncRequests', '{}'],
    ['PATCH', '', '{"defaultBranch":"refs/heads/x"}'],
  ])('of a route or a lease are not passed by with %s %s', async (method, part, body) => {
    const byRoute = await get(`${GIT}/api/${part}`.replace(/\/$/, ''), { method, headers: json, body });
    expect([byRoute.status, messageOf(byRoute)]).toEqual([
      403,
      expect.stringContaining('The call may change a ref, and the route dev.azure.com/contoso/Payments/api limits which may be touched'),
    ]);
    const byLease = await get(`${GIT}/web/${part}`.replace(/\/$/, ''), { method, headers: { ...json, ...own }, body });
    expect([byLease.status, messageOf(byLease)]).toEqual([
      403,
      expect.stringMatching(/may change a ref, and the lease [0-9a-f]{16} limits/),
    ]);
    expect(arrived()).toEqual([]);
  });

  test('leave pull requests and what is said of them', async () => {
    const send = async (path: string, body: unknown): Promise<{ status: number; told: { pullRequestId?: number } }> => {
      const answer = await get(`${GIT}/${path}`, { method: 'POST', headers: json, body: JSON.stringify(body) });
      return { status: answer.status, told: JSON.parse(answer.body.toString()) as { pullRequestId?: number } };
    };
    // Where nothing limits them, a push by the API works.
    expect((await get(`${GIT}/web/pushes`, { method: 'POST', headers: { ...json, ...wide }, body: push })).status).toBe(201);
    const work = `${scene.directory}/api`;
    expect((await scene.git(['clone', '-q', daemon.url('dev.azure.com/contoso/Payments/_git/api'), work])).code).toBe(0);
    expect((await scene.git(['push', '-q', 'origin', 'HEAD:refs/heads/topic'], { cwd: work })).code).toBe(0);
    const opened = await send('api/pullrequests', { title: 'x', sourceRefName: 'refs/heads/topic', targetRefName: 'refs/heads/main' });
    expect(opened.status).toBe(201);
    expect((await send(`api/pullrequests/${opened.told.pullRequestId}/threads`, { comments: [{ content: 'x' }] })).status).toBeLessThan(
      300,
    );
  });
});

describe('the address of a call', () => {
  test.each([
    ['no organisation', 'dev.azure.com/_apis/projects', 400],
    ['_apis twice', 'dev.azure.com/contoso/_apis/x/_apis/projects', 400],
    ['a host that is none of the family', 'vstoken.dev.azure.com/contoso/_apis/projects', 400],
    ['a repository without its project', 'dev.azure.com/contoso/_apis/git/repositories/web', 400],
    ['a host without a REST API', 'github.com/contoso/_apis/projects', 400],
    ['another organisation', 'dev.azure.com/initech/_apis/projects', 403],
    ['no organisation, with routes for some alone', 'app.vssps.visualstudio.com/_apis/accounts', 403],
  ])('with %s is refused in JSON', async (_, path, status) => {
    const answer = await get(path);
    expect([answer.status, answer.headers['content-type']]).toEqual([status, 'application/json; charset=utf-8']);
    expect(messageOf(answer)).toMatch(/^postern: /);
    expect(arrived()).toEqual([]);
  });

  test('leads to its own host of the family, with the query as it came', async () => {
    const agent = oneConnection();
    for (const name of FAMILY) await get(`${name}.dev.azure.com/contoso/_apis/x?api-version=7.1-preview.1&$top=1`, { agent });
    await get('contoso.vsrm.visualstudio.com/Payments/_apis/release/releases', { agent });
    agent.destroy();
    expect(scene.emulator.git.seen.map(({ host, url, authorization }) => `${authorization} ${host}${url}`)).toEqual([
      ...FAMILY.map((name) => `bearer ${name}.dev.azure.com/contoso/_apis/x?api-version=7.1-preview.1&$top=1`),
      'bearer contoso.vsrm.visualstudio.com/Payments/_apis/release/releases',
    ]);
  });
});

describe('postern route explain', () => {
  const explain = async (url: string): Promise<string> =>
    (await daemon.postern(['route', 'explain', '--config', await configFile(), url])).stdout;
  const configFile = (): Promise<string> =>
    scene.writeFile(
      'explain.yaml',
      'identities: { sp: { kind: none } }\nroutes: [{ match: dev.azure.com/contoso/Payments/*, identity: sp, allow: [fetch, api] }]\n',
    );

  test.each([
    ['https://dev.azure.com/contoso/_apis/resourceAreas', 'route      dev.azure.com/contoso/Payments/*'],
    ['https://dev.azure.com/contoso/_apis/projects', 'route      none matches: requests are refused'],
    [
      'dev.azure.com/contoso/Payments/_apis/git/repositories/web/items?path=/x',
      'address    dev.azure.com/contoso/Payments/web (azure-services)',
    ],
    [
      'https://dev.azure.com/contoso/Payments/_apis/wit/wiql',
      'call       GET and POST read, with api; everything else writes, with api and push',
    ],
    [
      'https://dev.azure.com/contoso/Payments/_apis/git/repositories/web/pushes',
      'call       GET reads, with api; everything else writes, with api and push\n',
    ],
    ['https://vssps.dev.azure.com/contoso/_apis/tokens/pats', 'call       refused to everybody: it is about personal access tokens'],
    [
      'https://dev.azure.com/contoso/_apis/distributedtask/pools/1/agents',
      'GET reads, with api; everything else is refused to everybody: it is about the registration',
    ],
    [
      'https://dev.azure.com/contoso/Payments/_git/6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c',
      'names      it names a project or a repository by its GUID',
    ],
  ])('of %s tells %s', async (url, line) => {
    expect(await explain(url)).toContain(line);
  });
});
