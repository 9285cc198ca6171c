/**
 * Clients of the REST API through the door: azure-devops-node-api with a credential that is worth nothing, on the addresses of the door
 * alone. What it follows has to lead back to the door, and what it is told when something is wrong has to be JSON.
 */
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { getBearerHandler, getPersonalAccessTokenHandler, WebApi } from 'azure-devops-node-api';
import { GitVersionType, PullRequestStatus } from 'azure-devops-node-api/interfaces/GitInterfaces.js';
import { type RunningDaemon, Scene } from '../support/scene.js';

let scene: Scene;
let daemon: RunningDaemon;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  await scene.emulator.createRepository('contoso/Ärger im Büro/Ärger im Büro');
  daemon = await scene.daemon(configuration());
});
afterAll(() => scene.close());
beforeEach(() => {
  scene.emulator.git.rest.clearFaults();
  scene.emulator.git.seen.length = 0;
  scene.emulator.proxy.targets.length = 0;
});

/** The real hosts, by the emulator's proxy: no address in an answer leads anywhere without it. */
function configuration(allow = '[fetch, push, lfs, api]'): string {
  const { proxy, caFile } = scene.emulator;
  return [
    'listen: { http: 127.0.0.1:0 }',
    'log: { level: debug, format: json }',
    'identities:',
    `  sp: ${scene.servicePrincipal}`,
    'routes:',
    `  - { match: dev.azure.com/**, identity: sp, allow: ${allow}, proxy: '${proxy.origin}', ca: ${caFile} }`,
    '',
  ].join('\n');
}

function sdk(organization = 'dev.azure.com/contoso', handler = getPersonalAccessTokenHandler('dummy')): WebApi {
  return new WebApi(daemon.url(organization), handler);
}

describe('azure-devops-node-api', () => {
  test('stays on the door, with a credential that is worth nothing', async () => {
    for (const handler of [getPersonalAccessTokenHandler('dummy'), getBearerHandler('dummy')]) {
      const all = await (await sdk('dev.azure.com/contoso', handler).getGitApi()).getRepositories();
      expect(all.map(({ name }) => name)).toEqual(['web', 'Ärger im Büro']);
    }
    const { seen } = scene.emulator.git;
    expect(seen.map(({ method, host, url }) => `${method} ${host}${url}`).slice(0, 4)).toEqual([
      'OPTIONS dev.azure.com/contoso/_apis/Location',
      'GET dev.azure.com/contoso/_apis/ResourceAreas',
      'OPTIONS dev.azure.com/contoso/_apis/git',
      'GET dev.azure.com/contoso/_apis/git/repositories',
    ]);
    expect(new Set(seen.map(({ authorization }) => authorization))).toEqual(new Set(['bearer']));
    // Only the daemon knows the proxy, and nothing came without it.
    expect(seen.every(({ viaProxy }) => viaProxy === true)).toBe(true);
  });

  test('is led to the other hosts of the service by way of the door', async () => {
    const api = sdk();
    const areas = await (await api.getLocationsApi()).getResourceAreas();
    expect(areas.length).toBeGreaterThan(10);
    for (const { locationUrl } of areas)
      expect(locationUrl).toMatch(new RegExp(`^${daemon.base}/(?:[a-z]+\\.)?dev\\.azure\\.com/contoso/$`));
    // The emulator has no releases: what matters is who was asked.
    await (await api.getReleaseApi()).getReleaseDefinitions('Payments').catch(() => undefined);
    expect(scene.emulator.git.seen.at(-1)).toMatchObject({ host: 'vsrm.dev.azure.com', authorization: 'bearer', viaProxy: true });
    const { locationServiceData } = (await api.connect()) as unknown as {
      locationServiceData: { accessMappings: { accessPoint: string }[] };
    };
    expect(locationServiceData.accessMappings[0]?.accessPoint).toBe(`${daemon.base}/dev.azure.com/contoso/`);
  });

  test('clones from what it lists: those addresses are the real ones', async () => {
    const [web, umlauts] = await (await sdk().getGitApi()).getRepositories();
    expect([web?.remoteUrl, web?.sshUrl, web?.webUrl]).toEqual([
      'https://contoso@dev.azure.com/contoso/Payments/_git/web',
      'git@ssh.dev.azure.com:v3/contoso/Payments/web',
      'https://dev.azure.com/contoso/Payments/_git/web',
    ]);
    const rule = `url.${daemon.base}/dev.azure.com/.insteadOf=https://contoso@dev.azure.com/`;
    const cloned = await scene.git(['-c', rule, 'clone', '--quiet', umlauts?.remoteUrl ?? '', `${scene.directory}/umlauts`]);
    expect(cloned.code, cloned.stderr).toBe(0);
  });

  test('opens, reads, comments on and abandons a pull request', async () => {
    const git = await sdk().getGitApi();
    const push = {
      refUpdates: [{ name: 'refs/heads/feature', oldObjectId: '0'.repeat(40) }],
      commits: [
        { comment: 'Add', changes: [{ changeType: 1, item: { path: '/new.txt' }, newContent: { content: 'new\n', contentType: 0 } }] },
      ],
    };
    const pushed = await git.createPush(push, 'web', 'Payments');
    const request = { title: 'Änderung', sourceRefName: 'refs/heads/feature', targetRefName: 'refs/heads/main' };
    const opened = await git.createPullRequest(request, 'web', 'Payments');
    const id = opened.pullRequestId ?? 0;
    const read = await git.getPullRequestById(id);
    expect(read).toMatchObject({ title: 'Änderung', status: PullRequestStatus.Active });
    expect(read.lastMergeSourceCommit?.commitId).toBe(pushed.refUpdates?.[0]?.newObjectId);
    await git.createThread({ comments: [{ content: 'Looks good' }] }, 'web', id, 'Payments');
    expect((await git.getThreads('web', id, 'Payments'))[0]?.comments?.[0]?.content).toBe('Looks good');
    await git.updatePullRequest({ status: PullRequestStatus.Abandoned }, 'web', id, 'Payments');
    expect(await git.getPullRequests('web', { status: PullRequestStatus.Active }, 'Payments')).toEqual([]);
    const branch = { version: 'feature', versionType: GitVersionType.Branch };
    const file = await git.getItemText('web', 'new.txt', 'Payments', undefined, undefined, undefined, undefined, undefined, branch);
    expect(await text(file)).toBe('new\n');
  });

  test('has what a lease opens, with the lease as its token', async () => {
    const ran = await daemon.postern(['lease', 'create', '--repo', 'contoso/Payments/web', '--allow', 'api', '--for', '1h']);
    const git = await sdk('dev.azure.com/contoso', getPersonalAccessTokenHandler(ran.stdout.trim())).getGitApi();
    const { id = '' } = await git.getRepository('web', 'Payments');
    expect((await git.getRefs(id, 'Payments')).map(({ name }) => name)).toContain('refs/heads/main');
    await expect(git.getRepository('Ärger im Büro', 'Ärger im Büro')).rejects.toThrow('is not for the repository');
    await expect(git.createPullRequest({ title: 'No' }, 'web', 'Payments')).rejects.toThrow('allows api, not push');
    expect(JSON.stringify(scene.emulator.git.seen)).not.toContain(ran.stdout.trim().slice(0, 60));
  });

  test('is told in JSON what is wrong: in the words of the service, or in ours where it has a page', async () => {
    const { rest } = scene.emulator.git;
    const list = async (): Promise<unknown> => (await sdk().getGitApi()).getRepositories();
    rest.setFault('git/repositories', { kind: 'forbidden' });
    await expect(list()).rejects.toMatchObject({
      statusCode: 403,
      message: expect.stringContaining("TF401027: You need the Git 'GenericRead'") as string,
    });
    for (const kind of ['signin-203', 'signin-302', 'html-200'] as const) {
      rest.setFault('git/repositories', { kind });
      const wanted = 'The upstream answered with its sign-in page instead of an answer of the REST API';
      await expect(list(), kind).rejects.toMatchObject({ statusCode: 502, message: expect.stringContaining(wanted) as string });
    }
    rest.setFault('git/repositories', { kind: 'throttled-429', retryAfterSeconds: 600 });
    await expect(list()).rejects.toMatchObject({ statusCode: 429, responseHeaders: { 'retry-after': '600' } });
  });
});
