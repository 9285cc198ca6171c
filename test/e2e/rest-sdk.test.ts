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
  test('lists repositories, whose addresses to clone are the real ones', async () => {
    const all = await (await sdk().getGitApi()).getRepositories();
    expect(all.map(({ name }) => name)).toEqual(['web', 'Ärger im Büro']);
    expect(all[0]?.remoteUrl).toBe('https://contoso@dev.azure.com/contoso/Payments/_git/web');
    expect(all[0]?.webUrl).toBe('https://dev.azure.com/contoso/Payments/_git/web');
  });
});
