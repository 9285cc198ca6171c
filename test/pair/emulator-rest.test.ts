/**
 * The emulator's REST API, tried by azure-devops-node-api on the real host names: what an SDK follows there is what a door in between
 * has to rewrite.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { getBasicHandler, getBearerHandler, WebApi } from 'azure-devops-node-api';
import { GitVersionType, PullRequestStatus } from 'azure-devops-node-api/interfaces/GitInterfaces.js';
import { text } from 'node:stream/consumers';
import type { Emulator } from '../azure/emulator.js';
import { ask, endEmulator, startEmulator } from './emulator-rig.js';

const VSRM = 'vsrm.dev.azure.com';

let emulator: Emulator;
let ca: string;
let bearer: string;

beforeAll(async () => {
  ({ emulator, ca } = await startEmulator());
  await emulator.createRepository('contoso/Payments/Ärger im Büro');
  await emulator.createRepository('contoso/Ops/Ops');
  await emulator.createRepository('tfs.example.com/tfs/DefaultCollection/Payments/web');
  bearer = `Bearer ${emulator.sts.issue()}`;
});

afterAll(() => endEmulator(emulator));

function sdk(organization = 'https://dev.azure.com/contoso'): WebApi {
  const token = bearer.replace('Bearer ', '');
  const options = { proxy: { proxyUrl: emulator.proxy.origin }, cert: { caFile: emulator.caFile } };
  return new WebApi(organization, getBearerHandler(token, true), options);
}

describe('azure-devops-node-api at the emulator', () => {
  it('lists repositories with every address on the real host', async () => {
    const git = await sdk().getGitApi();
    const all = await git.getRepositories();
    expect(all.map(({ name }) => name)).toEqual(['web', 'Ärger im Büro', 'Ops']);
    expect(all[1]?.remoteUrl).toBe('https://contoso@dev.azure.com/contoso/Payments/_git/%C3%84rger%20im%20B%C3%BCro');
    expect(all[1]?.sshUrl).toBe('git@ssh.dev.azure.com:v3/contoso/Payments/%C3%84rger%20im%20B%C3%BCro');
    const one = await git.getRepository('WEB', 'payments');
    expect(one.id).toBe(all[0]?.id);
    expect(await git.getRepository(one.id ?? '')).toMatchObject({ name: 'web', project: { name: 'Payments' } });
  });

  it('goes where resource areas and locations say, and nowhere else', async () => {
    const before = emulator.git.seen.length;
    const api = sdk();
    await (await api.getGitApi()).getRepositories();
    // Its first call is to the host that the resource areas name.
    await (await api.getReleaseApi()).getReleaseDefinitions('Payments').catch(() => undefined);
    const seen = emulator.git.seen.slice(before).map(({ method, host, url }) => `${method} ${host}${url.split('?')[0] ?? ''}`);
    expect(seen).toEqual([
      'OPTIONS dev.azure.com/contoso/_apis/Location',
      'GET dev.azure.com/contoso/_apis/ResourceAreas',
      'OPTIONS dev.azure.com/contoso/_apis/git',
      'GET dev.azure.com/contoso/_apis/git/repositories',
      `OPTIONS ${VSRM}/contoso/_apis/Release`,
    ]);
  });

  it('opens, reads, comments on and abandons a pull request', async () => {
    const git = await sdk().getGitApi();
    const [main] = await git.getRefs('web', 'Payments', 'heads/');
    const push = {
      refUpdates: [{ name: 'refs/heads/feature', oldObjectId: main?.objectId ?? '' }],
      commits: [
        { comment: 'Add', changes: [{ changeType: 1, item: { path: '/new.txt' }, newContent: { content: 'new\n', contentType: 0 } }] },
      ],
    };
    await expect(git.createPush(push, 'web', 'Payments')).rejects.toThrow('TF401028');
    const branch = [{ name: 'refs/heads/feature', oldObjectId: '0'.repeat(40) }];
    const pushed = await git.createPush({ ...push, refUpdates: branch }, 'web', 'Payments');
    expect(pushed.refUpdates?.[0]?.newObjectId).toMatch(/^[0-9a-f]{40}$/);
    const opened = await git.createPullRequest(
      { title: 'First', sourceRefName: 'refs/heads/feature', targetRefName: 'refs/heads/main' },
      'web',
      'Payments',
    );
    expect(opened).toMatchObject({ title: 'First', status: 1, createdBy: { displayName: 'Ada Lovelace' } });
    const id = opened.pullRequestId ?? 0;
    expect((await git.getPullRequestById(id)).lastMergeSourceCommit?.commitId).toBe(pushed.refUpdates?.[0]?.newObjectId);
    await git.createThread({ comments: [{ content: 'Looks good' }] }, 'web', id, 'Payments');
    expect((await git.getThreads('web', id, 'Payments'))[0]?.comments?.[0]?.content).toBe('Looks good');
    await git.updatePullRequest({ status: PullRequestStatus.Abandoned }, 'web', id, 'Payments');
    expect(await git.getPullRequests('web', { status: PullRequestStatus.Active }, 'Payments')).toEqual([]);
    const file = await git.getItemText('web', 'new.txt', 'Payments', undefined, undefined, undefined, undefined, undefined, {
      version: 'feature',
      versionType: GitVersionType.Branch,
    });
    expect(await text(file)).toBe('new\n');
  });

  it('takes an on-premises collection by its own address alone', async () => {
    emulator.git.pats.add('pat');
    const options = { proxy: { proxyUrl: emulator.proxy.origin }, cert: { caFile: emulator.caFile } };
    const api = new WebApi('https://tfs.example.com/tfs/DefaultCollection', getBasicHandler('', 'pat'), options);
    expect((await (await api.getGitApi()).getRepositories()).map(({ webUrl }) => webUrl)).toEqual([
      'https://tfs.example.com/tfs/DefaultCollection/Payments/_git/web',
    ]);
  });
});

describe('the REST API of the emulator', () => {
  const get = (path: string, headers: Record<string, string> = {}): ReturnType<typeof ask> =>
    ask(emulator, ca, { path, headers: { Authorization: bearer, ...headers } });

  it('gives projects by pages', async () => {
    emulator.git.rest.pageSize = 1;
    const first = await get('/contoso/_apis/projects');
    expect(first.headers['x-ms-continuationtoken']).toBe('1');
    const second = await get('/contoso/_apis/projects?continuationToken=1');
    emulator.git.rest.pageSize = 100;
    expect(second.headers['x-ms-continuationtoken']).toBeUndefined();
    const names = [first, second].map(({ body }) => (JSON.parse(body) as { value: { name: string }[] }).value.map(({ name }) => name));
    expect(names).toEqual([['Payments'], ['Ops']]);
  });

  it('compresses for who can read that, and has a tag to ask again by', async () => {
    const packed = await get('/contoso/_apis/projects', { 'Accept-Encoding': 'gzip' });
    expect(packed.headers['content-encoding']).toBe('gzip');
    const { headers } = await get('/contoso/_apis/projects');
    expect((await get('/contoso/_apis/projects', { 'If-None-Match': headers.etag ?? '' })).status).toBe(304);
  });

  it('sends whom it does not know to the sign-in page, or says 401 when that is asked for', async () => {
    const page = await ask(emulator, ca, { path: '/contoso/_apis/projects' });
    expect([page.status, page.headers.location]).toEqual([302, expect.stringContaining('/_signin?')]);
    const said = await ask(emulator, ca, { path: '/contoso/_apis/projects', headers: { 'X-TFS-FedAuthRedirect': 'Suppress' } });
    expect(said.status).toBe(401);
  });

  it('tells errors in the shape of the service', async () => {
    const missing = await get('/contoso/_apis/git/repositories/none');
    expect(missing.status).toBe(404);
    expect(JSON.parse(missing.body)).toMatchObject({
      message: expect.stringContaining('TF401019') as string,
      typeKey: 'GitRepositoryNotFoundException',
    });
    emulator.git.rest.setFault('projects', { kind: 'throttled-429', times: 1, retryAfterSeconds: 7 });
    const throttled = await get('/contoso/_apis/projects');
    expect([throttled.status, throttled.headers['retry-after']]).toEqual([429, '7']);
    expect((await get('/contoso/_apis/projects')).status).toBe(200);
  });

  it('names hosts of the family in the form of the host that was asked', async () => {
    const old = await ask(emulator, ca, {
      path: '/_apis/resourceAreas/efc2f575-36ef-48e9-b672-0c6fb4a48ac5',
      host: 'contoso.visualstudio.com',
      headers: { Authorization: bearer },
    });
    expect(JSON.parse(old.body)).toMatchObject({ locationUrl: 'https://contoso.vsrm.visualstudio.com/' });
    const data = JSON.parse((await get('/contoso/_apis/connectionData?connectOptions=1')).body) as {
      locationServiceData: { accessMappings: object[]; serviceDefinitions: object[] };
    };
    expect(data.locationServiceData.accessMappings).toMatchObject([{ accessPoint: 'https://dev.azure.com/contoso/' }]);
    expect(data.locationServiceData.serviceDefinitions.length).toBeGreaterThan(5);
  });

  it('gives a tree as a ZIP', async () => {
    const answer = await get('/contoso/Payments/_apis/git/repositories/web/items?path=/README.md&$format=zip');
    expect([answer.headers['content-type'], answer.body.slice(0, 2)]).toEqual(['application/zip', 'PK']);
  });
});
