/**
 * What may pass the door, both ways. The attacks: a client that brings an authorization, a forwarding or an impersonation
 * header of its own to be sent along with the daemon's credential; an upstream whose cookies and challenges reach a
 * client; a connection that one caller has signed in and another inherits.
 */
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ask, oneConnection } from '../support/plain-request.js';
import { type RunningDaemon, Scene } from '../support/scene.js';
import { succeed } from '../support/failure-stage.js';

let scene: Scene;
let daemon: RunningDaemon;

const REFS = 'info/refs?service=git-upload-pack';
const WEB = 'dev.azure.com/contoso/Payments/_git/web';
const NTLM = 'ntlm.example.com/team/web.git';
const OPEN = 'git.example.com/team/web.git';

beforeAll(async () => {
  scene = await Scene.open();
  const { emulator } = scene;
  await emulator.createRepository('contoso/Payments/web');
  await emulator.createRepository('ntlm.example.com/team/web');
  await emulator.createRepository('git.example.com/team/web');
  emulator.git.basic.set('ada', 'lovelace');
  const route = (host: string, identity: string): string =>
    `  - { match: ${host}/**, identity: ${identity}, host: generic, upstream: '${emulator.git.origin}/${host}', ca: ${emulator.caFile} }\n`;
  daemon = await scene.daemon(
    scene.plainConfiguration
      .replace('identities:\n', 'identities:\n  own: { kind: passthrough }\n')
      .replace('routes:\n', `routes:\n${route('ntlm.example.com', 'own')}${route('git.example.com', 'own')}`),
  );
});
beforeEach(() => {
  scene.emulator.git.seen.length = 0;
});
afterAll(() => scene.close());

const seen = (): (typeof scene.emulator.git.seen)[number] => {
  const last = scene.emulator.git.seen.at(-1);
  if (last === undefined) throw new Error('nothing reached the upstream');
  return last;
};

describe('up', () => {
  const KEPT: Readonly<Record<string, string>> = {
    'git-protocol': 'version=2',
    'accept-language': 'de-DE, de;q=0.9, *;q=0.8',
    'accept-encoding': 'deflate, gzip',
    accept: '*/*',
    'user-agent': 'git/2.39.5',
    pragma: 'no-cache',
  };
  const DROPPED: Readonly<Record<string, string>> = {
    authorization: `Basic ${Buffer.from('PAT:of-the-client').toString('base64')}`,
    'proxy-authorization': 'Basic eDp5',
    cookie: 'UserAuthentication=stolen',
    'x-tfs-impersonate': 'admin',
    'x-vss-userdata': 'admin',
    'x-tfs-fedauthredirect': 'Allow',
    'x-http-method-override': 'DELETE',
    'x-original-url': '/other',
    'x-ms-authorization-auxiliary': 'Bearer other',
    te: 'trailers',
    'proxy-connection': 'keep-alive',
    'keep-alive': 'timeout=5',
  };

  test('what git needs goes up unchanged, and nothing else does', async () => {
    const answer = await ask(`${daemon.url(WEB)}/${REFS}`, { headers: { ...KEPT, ...DROPPED, connection: 'close' } });
    expect(answer.status).toBe(200);
    const { headers, authorization, status } = seen();
    expect([authorization, status]).toEqual(['bearer', 200]);
    expect(headers).toEqual({
      ...KEPT,
      host: new URL(scene.emulator.git.origin).host,
      connection: 'keep-alive',
      'x-tfs-fedauthredirect': 'Suppress',
    });
  });

  test('an authorization of the client is not joined to ours on a route that adds none of its own', async () => {
    const answer = await ask(`${daemon.url(WEB)}/${REFS}`, { headers: { Authorization: 'Bearer x.y.z' } });
    expect(answer.status).toBe(200);
    expect(scene.emulator.git.seen).toMatchObject([{ authorization: 'bearer', status: 200 }]);
  });

  test('real git: protocol, language and compressed bodies', async () => {
    const path = await scene.emulator.createRepository('contoso/Payments/branches', { commits: 80 });
    const commits = (await succeed(scene.git(['--git-dir', path, 'rev-list', 'main']))).stdout.trim().split('\n');
    const refs = commits.map((commit, index) => `create refs/heads/b${index} ${commit}\n`).join('');
    await succeed(scene.git(['--git-dir', path, 'update-ref', '--stdin'], { input: refs }));
    const url = daemon.url('dev.azure.com/contoso/Payments/_git/branches');
    const german = { LANGUAGE: 'de:en' };
    await succeed(scene.git(['-c', 'protocol.version=2', 'clone', '-q', url, join(scene.directory, 'branches')], { env: german }));
    const posts = scene.emulator.git.seen.filter(({ method }) => method === 'POST');
    expect(posts.map(({ headers }) => headers['git-protocol'])).toEqual(posts.map(() => 'version=2'));
    expect(posts.every(({ headers }) => headers['accept-language']?.startsWith('de'))).toBe(true);
    const compressed = posts.filter(({ headers }) => headers['content-encoding'] === 'gzip');
    expect(compressed).toHaveLength(1);
    expect(compressed[0]?.headers['content-length']).toMatch(/^[0-9]+$/);
    expect((await succeed(scene.git(['branch', '-r'], { cwd: join(scene.directory, 'branches') }))).stdout.split('\n').length).toBe(83);
  });
});

describe('down', () => {
  const LOST = [
    'set-cookie',
    'www-authenticate',
    'p3p',
    'strict-transport-security',
    'server',
    'x-tfs-processid',
    'x-tfs-session',
    'x-vss-senderdeploymentid',
    'x-frame-options',
  ];

  test('ids and the media type come down, the noise of the service does not', async () => {
    const { status, headers } = await ask(`${daemon.url(WEB)}/${REFS}`);
    expect(status).toBe(200);
    expect(headers['content-type']).toBe('application/x-git-upload-pack-advertisement');
    expect(headers['activityid']).toMatch(/^[0-9a-f-]{36}$/);
    expect(headers['x-vss-e2eid']).toBe(headers['activityid']);
    for (const name of LOST) expect(headers).not.toHaveProperty(name);
  });

  test('a refusal of the upstream comes down as ours: no 401, no challenge, no tenant', async () => {
    scene.emulator.git.faults.set('contoso/Payments/web', { kind: 'unauthorized' });
    const { status, headers } = await ask(`${daemon.url(WEB)}/${REFS}`);
    scene.emulator.git.faults.clear();
    expect(status).toBe(502);
    for (const name of [...LOST, 'x-vss-resourcetenant', 'x-tfs-fedauthredirect', 'x-tfs-serviceerror', 'location'])
      expect(headers).not.toHaveProperty(name);
    expect(headers['activityid']).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('a redirect leads back to the door, never to a host', async () => {
    const moved = async (location: string): Promise<{ status: number; location: string | undefined; text: string }> => {
      scene.emulator.git.faults.set('contoso/Payments/web', { kind: 'redirect-other-host', location });
      const { status, headers, body } = await ask(`${daemon.url(WEB)}/${REFS}`);
      scene.emulator.git.faults.clear();
      return { status, location: headers.location, text: body.toString() };
    };
    const there = '/contoso/Payments/_git/there';
    const here = { status: 302, location: `${daemon.url(`dev.azure.com${there}`)}/${REFS}`, text: '' };
    expect(await moved(`${scene.emulator.git.origin}${there}`)).toEqual(here);
    expect(await moved(`https://dev.azure.com${there}`)).toEqual(here);
    for (const host of ['evil.example', 'dev.azure.com.evil.example', 'dev.azure.com:444', 'dev.azure.com@evil.example', '127.0.0.1:1']) {
      const answer = await moved(`https://${host}${there}`);
      expect(answer).toMatchObject({ status: 502, location: undefined });
      expect(answer.text).toContain(`redirects to another host, ${host.replace(/^.*@/, '')}, which is not followed`);
    }
    const signIn = await moved('https://dev.azure.com/_signin?x=');
    expect(signIn).toMatchObject({ status: 502, location: undefined });
  });
});

describe('passthrough', () => {
  const own = (user: string, password: string): { Authorization: string } => ({
    Authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`,
  });
  const negotiate = (type: 1 | 3): { Authorization: string } => {
    const message = Buffer.alloc(12);
    message.write('NTLMSSP\0', 'latin1');
    message.writeUInt32LE(type, 8);
    return { Authorization: `NTLM ${message.toString('base64')}` };
  };

  test("the caller's authorization goes up untouched, and the upstream's challenge comes down", async () => {
    const url = `${daemon.url(OPEN)}/${REFS}`;
    const bare = await ask(url, { headers: { cookie: 'a=b' } });
    expect(bare).toMatchObject({ status: 401, headers: { 'www-authenticate': 'Basic realm="git.example.com"' } });
    expect(seen().headers).not.toHaveProperty('cookie');
    expect(seen().headers).not.toHaveProperty('x-tfs-fedauthredirect');
    expect((await ask(url, { headers: own('ada', 'wrong') })).status).toBe(401);
    expect((await ask(url, { headers: own('ada', 'lovelace') })).status).toBe(200);
    expect(scene.emulator.git.seen.map(({ authorization }) => authorization)).toEqual(['none', 'basic', 'basic']);
  });

  test('real git signs in by itself, and pushes', async () => {
    const url = daemon.url(OPEN).replace('http://', 'http://ada:lovelace@');
    const work = join(scene.directory, 'own');
    await succeed(scene.git(['clone', '-q', url, work]));
    await succeed(scene.git(['commit', '-q', '--allow-empty', '-m', 'own'], { cwd: work }));
    await succeed(scene.git(['push', '-q'], { cwd: work }));
    const wrong = await scene.git(['ls-remote', daemon.url(OPEN).replace('http://', 'http://ada:wrong@')]);
    expect(wrong.code).toBe(128);
    expect(wrong.stderr).toContain('Authentication failed');
  });

  test('the credential of another identity is never used for it', async () => {
    await ask(`${daemon.url(WEB)}/${REFS}`);
    await ask(`${daemon.url(OPEN)}/${REFS}`);
    expect(scene.emulator.git.seen.map(({ host, authorization }) => [host, authorization])).toEqual([
      ['dev.azure.com', 'bearer'],
      ['git.example.com', 'none'],
    ]);
  });

  test('NTLM signs in one upstream connection, which belongs to one client connection and ends with it', async () => {
    const url = `${daemon.url(NTLM)}/${REFS}`;
    const [first, second] = [oneConnection(), oneConnection()];
    // What is left is the pool of the other identity.
    await expect.poll(() => scene.emulator.git.connections.open).toBe(1);
    try {
      const challenge = await ask(url, { agent: first, headers: negotiate(1) });
      expect(challenge.status).toBe(401);
      expect(challenge.headers['www-authenticate']).toMatch(/^NTLM TlRMTVNTUAAC/);
      expect((await ask(url, { agent: first, headers: negotiate(3) })).status).toBe(200);
      // The connection is signed in now; the other one is not.
      expect((await ask(url, { agent: first })).status).toBe(200);
      expect((await ask(url, { agent: second })).status).toBe(401);
      expect((await ask(url, { agent: second, headers: negotiate(3) })).status).toBe(401);
      expect((await ask(url, { agent: first })).status).toBe(200);
      const connections = scene.emulator.git.seen.map(({ connection }) => connection);
      const [mine, other] = [connections[0], connections[3]];
      expect(connections).toEqual([mine, mine, mine, other, other, mine]);
      expect(other).not.toBe(mine);
      expect(scene.emulator.git.connections.open).toBe(3);
    } finally {
      first.destroy();
      second.destroy();
    }
    await expect.poll(() => scene.emulator.git.connections.open).toBe(1);
  });

  test('real git signs in by NTLM', async () => {
    const url = daemon.url(NTLM).replace('http://', 'http://ada:lovelace@');
    const ran = await scene.git(['ls-remote', url, 'main']);
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.stdout).toContain('refs/heads/main');
    expect(scene.emulator.git.count({ refusedFor: 'handshake' })).toBe(1);
  });
});
