/** The emulator's git hosts against real git: address forms, access, certificates. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Emulator } from '../azure/emulator.js';
import { objectId } from '../azure/token-book.js';
import { ask, basic, endEmulator, git, REFS, sends, startEmulator } from './emulator-rig.js';

const PAT = 'a'.repeat(52);

let emulator: Emulator;
let ca: string;

beforeAll(async () => {
  ({ emulator, ca } = await startEmulator());
  await Promise.all([
    emulator.createRepository('contoso/web'),
    emulator.createRepository('contoso/My Project/Größe'),
    emulator.createRepository('tfs.example.com/tfs/DefaultCollection/Payments/web'),
    emulator.createRepository('tfs.example.com/tfs/DefaultCollection/web/web'),
    emulator.createRepository('git.example.com/any/path'),
    emulator.createRepository('ntlm.example.com/team/tools'),
  ]);
  emulator.git.pats.add(PAT);
  emulator.git.basic.set('dana', 'pass:word');
  emulator.git.guids.set('11111111-2222-4333-8444-555555555555', 'Payments');
});

afterAll(() => endEmulator(emulator));

beforeEach(() => {
  emulator.git.seen.length = 0;
});

const bearer = (): string => `Bearer ${emulator.sts.issue()}`;

describe('git', () => {
  test('clones, pushes and fetches through every step', async () => {
    const work = join(emulator.directory, 'work');
    const url = `${emulator.git.origin}/contoso/Payments/_git/web`;
    const auth = sends(bearer());
    const clone = await git(emulator, [...auth, 'clone', url, work]);
    expect(clone).toMatchObject({ code: 0 });
    // Over http.postBuffer, so that git probes and then sends chunked.
    await writeFile(join(work, 'big.bin'), Buffer.from(Array.from({ length: 2 << 20 }, () => Math.floor(Math.random() * 256))));
    await git(emulator, ['-C', work, 'add', '.']);
    await git(emulator, ['-C', work, 'commit', '-m', 'Add a file']);
    expect(await git(emulator, ['-C', work, ...auth, 'push', 'origin', 'main:topic'])).toMatchObject({ code: 0 });
    const refs = await git(emulator, [...auth, 'ls-remote', url, 'topic']);
    expect(refs.stdout).toContain('refs/heads/topic');
    expect(emulator.git.count({ method: 'POST', status: 200 })).toBeGreaterThan(3);
    expect(emulator.git.seen.some((entry) => entry.headers['transfer-encoding'] === 'chunked')).toBe(true);
    expect(emulator.git.seen.every((entry) => entry.headers.authorization === undefined && entry.authorization === 'bearer')).toBe(true);
  });

  test.each([
    ['/contoso/Payments/_git/web', 'bearer'],
    ['/CONTOSO/payments/_git/WEB', 'bearer'],
    ['/contoso/_git/web', 'bearer'],
    ['/contoso/Payments/_git/_optimized/web', 'bearer'],
    ['/contoso/Payments/_git/_full/web', 'bearer'],
    ['/contoso/Payments/optimized/_git/web', 'bearer'],
    ['/contoso/My%20Project/_git/Gr%C3%B6%C3%9Fe', 'bearer'],
    ['/contoso/11111111-2222-4333-8444-555555555555/_git/web', 'bearer'],
    ['/dev.azure.com/contoso/Payments/_git/web', 'bearer'],
    ['/contoso.visualstudio.com/Payments/_git/web', 'bearer'],
    ['/contoso.visualstudio.com/DefaultCollection/Payments/_git/web', 'bearer'],
    ['/contoso.visualstudio.com/_git/web', 'bearer'],
    ['/contoso.visualstudio.com/DefaultCollection/_git/web', 'bearer'],
    ['/contoso/Payments/_git/web', basic('any', PAT)],
    ['/tfs.example.com/tfs/DefaultCollection/Payments/_git/web', basic('', PAT)],
    ['/tfs.example.com/tfs/defaultcollection/_git/web', basic('', PAT)],
    ['/git.example.com/any/path', basic('dana', 'pass:word')],
    ['/git.example.com/any/path.git', basic('dana', 'pass:word')],
    ['/git.example.com/any/path', 'bearer'],
  ])('serves %s', async (path, authorization) => {
    const answer = await ask(emulator, ca, {
      path: `${path}/info/refs?service=git-upload-pack`,
      headers: { Authorization: authorization === 'bearer' ? bearer() : authorization },
    });
    expect(answer).toMatchObject({ status: 200, complete: true });
    expect(answer.headers['content-type']).toBe('application/x-git-upload-pack-advertisement');
    expect(answer.body).toContain('refs/heads/main');
  });

  test('plays the host of the Host header', async () => {
    const answer = await ask(emulator, ca, {
      path: '/DefaultCollection/Payments/_git/web/info/refs?service=git-upload-pack',
      host: 'contoso.visualstudio.com',
      headers: { Authorization: bearer() },
    });
    expect(answer.status).toBe(200);
    expect(emulator.git.seen[0]).toMatchObject({ host: 'contoso.visualstudio.com', status: 200 });
  });

  test('refuses the name with .git on Azure, as the real service does', async () => {
    const path = REFS.replace('/web/', '/web.git/');
    const answer = await ask(emulator, ca, { path, headers: { Authorization: bearer() } });
    expect(answer).toMatchObject({ status: 404 });
    expect(answer.body).toContain('TF401019: The Git repository with name or identifier web.git does not exist');
  });

  test('lets anyone fetch a repository opened for anonymous reading, and nobody push', async () => {
    const path = '/git.example.com/any/path/info/refs?service=git-';
    emulator.git.anonymousRead.add('git.example.com/any/path');
    expect((await ask(emulator, ca, { path: `${path}upload-pack` })).status).toBe(200);
    expect((await ask(emulator, ca, { path: `${path}receive-pack` })).status).toBe(401);
    emulator.git.anonymousRead.clear();
  });

  test('answers protocol v2 or not, as told', async () => {
    const v0 = await Emulator.start({ directory: join(emulator.directory, 'v0'), protocol: 'v0' });
    try {
      await v0.createRepository('contoso/Payments/web', { objectFormat: 'sha256' });
      const headers = { Authorization: bearer(), 'Git-Protocol': 'version=2' };
      expect((await ask(emulator, ca, { path: REFS, headers })).body).toContain('version 2');
      const old = { ...headers, Authorization: `Bearer ${v0.sts.issue()}` };
      const body = (await ask(v0, await readFile(v0.caFile, 'utf8'), { path: REFS, headers: old })).body;
      expect(body).not.toContain('version 2');
      expect(body).toContain('object-format=sha256');
      expect(body).toContain('multi_ack');
    } finally {
      await v0.stop();
    }
  });
});

describe('access', () => {
  const AADGRAPH = '00000002-0000-0000-c000-000000000000';
  const OTHER = '7e57ab1e-0002-4e57-9e57-c0ffee000002';

  test.each([
    ['missing', () => undefined],
    ['unknown-token', () => 'Bearer eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4In0.x'],
    ['expired', () => `Bearer ${emulator.sts.issue({ lifeSeconds: -1 })}`],
    ['not-yet-valid', () => `Bearer ${emulator.sts.issue({ notYet: true })}`],
    ['wrong-audience', () => `Bearer ${emulator.sts.issue({ audience: AADGRAPH })}`],
    ['wrong-tenant', () => `Bearer ${emulator.sts.issue({ tenant: OTHER })}`],
    ['bad-pat', () => basic('x', 'b'.repeat(52))],
    ['unknown-token', () => basic('x', 'a.b.c')],
    ['unsupported-scheme', () => 'Negotiate abc'],
  ])('refuses for %s, in one shape', async (reason, authorization) => {
    const value = authorization();
    const answer = await ask(emulator, ca, { path: REFS, headers: value === undefined ? {} : { Authorization: value } });
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe(
      `Bearer authorization_uri=https://login.microsoftonline.com/${emulator.sts.samples.tenant}, Basic realm="https://tfsprodweu1.visualstudio.com/", TFS-Federated`,
    );
    expect(answer.headers['x-vss-resourcetenant']).toBe(emulator.sts.samples.tenant);
    expect(answer.body.length).toBeGreaterThan(19_000);
    expect(emulator.git.seen).toMatchObject([{ status: 401, refusedFor: reason }]);
  });

  test('takes a token as the password of Basic', async () => {
    const headers = { Authorization: basic('x', emulator.sts.issue()) };
    expect((await ask(emulator, ca, { path: REFS, headers })).status).toBe(200);
  });

  test('gives an organisation its own tenant', async () => {
    emulator.git.tenants.set('contoso', OTHER);
    const headers = { Authorization: `Bearer ${emulator.sts.issue({ tenant: OTHER })}` };
    expect((await ask(emulator, ca, { path: REFS, headers })).status).toBe(200);
    emulator.git.tenants.clear();
  });

  test('lets into an organisation its members alone, and only tokens that were asked for with what it demands', async () => {
    const { organisations } = emulator.git;
    const member = { clientId: 'member' };
    const acrs = (value: string) => ({ claimsRequest: JSON.stringify({ access_token: { acrs: { value }, xms_cc: { values: ['cp1'] } } }) });
    organisations.set('contoso', { members: new Set([objectId('member', emulator.sts.samples.tenant)]), demand: { acrs: 'c1' } });
    const seen: (string | undefined)[] = [];
    for (const order of [member, { ...member, ...acrs('c2') }, { clientId: 'stranger', ...acrs('c1') }, { ...member, ...acrs('c1') }]) {
      emulator.git.seen.length = 0;
      await ask(emulator, ca, { path: REFS, headers: { Authorization: `Bearer ${emulator.sts.issue(order)}` } });
      seen.push(emulator.git.seen[0]?.refusedFor);
    }
    organisations.clear();
    expect(seen).toEqual(['claims-required', 'claims-required', 'not-a-member', undefined]);
  });

  test('tells the tenant of an organisation to whoever asks for it', async () => {
    const answer = await ask(emulator, ca, { method: 'HEAD', path: '/contoso' });
    expect([answer.status, answer.headers['x-vss-resourcetenant']]).toEqual([401, emulator.sts.samples.tenant]);
    emulator.git.organisations.set('contoso', { isMissing: true });
    expect((await ask(emulator, ca, { path: '/contoso' })).status).toBe(404);
    emulator.git.organisations.clear();
  });

  test('refuses a revoked token', async () => {
    const token = emulator.sts.issue();
    emulator.sts.revoke(token);
    await ask(emulator, ca, { path: REFS, headers: { Authorization: `Bearer ${token}` } });
    expect(emulator.git.seen).toMatchObject([{ status: 401, refusedFor: 'revoked' }]);
  });

  test('knows no bearer on the on-premises server', async () => {
    const path = '/tfs.example.com/tfs/DefaultCollection/Payments/_git/web/info/refs?service=git-upload-pack';
    const answer = await ask(emulator, ca, { path, headers: { Authorization: bearer() } });
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toBe('Negotiate, NTLM, Basic realm="tfs.example.com"');
  });

  test('authenticates the connection on the ntlm host, and only that one', async () => {
    const path = '/ntlm.example.com/team/tools/info/refs?service=git-upload-pack';
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const message = (type: number): string =>
      `NTLM ${Buffer.concat([Buffer.from(`NTLMSSP\0`), Buffer.from([type, 0, 0, 0])]).toString('base64')}`;
    const turn = (authorization?: string, over = agent) =>
      ask(emulator, ca, { path, agent: over, headers: authorization === undefined ? {} : { Authorization: authorization } });
    expect((await turn()).headers['www-authenticate']).toBe('NTLM');
    expect((await turn(message(3))).status).toBe(401);
    const challenge = (await turn(message(1))).headers['www-authenticate'] ?? '';
    const type2 = Buffer.from(challenge.slice('NTLM '.length), 'base64');
    expect(type2.subarray(0, 12)).toEqual(Buffer.from('NTLMSSP\0\x02\0\0\0'));
    expect((await turn(message(3), new Agent())).status).toBe(401);
    expect((await turn(message(3))).status).toBe(200);
    expect((await turn()).status).toBe(200);
    expect((await turn(undefined, new Agent())).status).toBe(401);
    agent.destroy();
  });
});

test('git passes the ntlm host by its own handshake', async () => {
  const url = `${emulator.git.origin.replace('://', '://dana:password@')}/ntlm.example.com/team/tools`;
  expect((await git(emulator, ['ls-remote', url])).stdout).toContain('refs/heads/main');
  expect(new Set(emulator.git.seen.map((entry) => entry.connection)).size).toBe(1);
});

/** curl stands for the OpenSSL clients other than git. */
test('the certificate satisfies curl and Node, and its faults do not', async () => {
  const refused = async (): Promise<string> => {
    try {
      return String((await ask(emulator, ca, { path: REFS })).status);
    } catch (error) {
      return (error as { code: string }).code; // of Node's TLS errors
    }
  };
  expect(await refused()).toBe('401');
  const list = await new Promise<string>((resolve) => {
    const args = ['-s', '-o', '/dev/null', '-w', '%{http_code}', '--noproxy', '*', '--cacert', emulator.caFile, emulator.git.origin + REFS];
    execFile('curl', args, (error, stdout) => resolve(error?.code === 'ENOENT' ? 'curl is missing: install the package curl' : stdout));
  });
  expect(list).toBe('401');
  const codes: string[] = [];
  for (const fault of ['expired', 'wrong-host', 'untrusted'] as const) {
    emulator.git.tlsFault = fault;
    codes.push(await refused());
  }
  emulator.git.tlsFault = undefined;
  expect(codes).toEqual(['CERT_HAS_EXPIRED', 'ERR_TLS_CERT_ALTNAME_INVALID', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE']);
  expect(await refused()).toBe('401');
});
