/**
 * Promise: what makes or returns a credential is known by every spelling that some server could read as it. The attack: a caller of the
 * REST API leaves with a token that outlives its lease.
 */
import { describe, expect, it } from 'vitest';
import { stepOf } from '../../../src/hosts/api-steps.js';
import { parseApiAddress } from '../../../src/hosts/api-address.js';
import { CREDENTIAL_CALLS, credentialOf } from '../../../src/hosts/credential-calls.js';
import { inferHostKind } from '../../../src/model/host-name.js';
import { callsOf, SPELLINGS } from './credential-spellings.js';

/** What a request gets: `refused`, `unreadable`, or what kind of step it is. */
function read(method: string, host: string, path: string): string {
  const parsed = parseApiAddress(inferHostKind(host), host, path);
  if (parsed.kind === 'fault') return 'unreadable';
  const step = stepOf(method, parsed.call, parsed.isOfAccount);
  return credentialOf(parsed.call, step !== 'read' && step !== 'discovery') === undefined ? step : 'refused';
}

const HOSTS = [
  ['dev.azure.com', '/contoso'],
  ['contoso.visualstudio.com', ''],
  ['contoso.visualstudio.com', '/DefaultCollection'],
  ...['advsec', 'almsearch', 'artifacts', 'auditservice', 'extmgmt', 'feeds', 'pkgs', 'vsaex', 'vsblob', 'vsrm', 'vssps', 'vstmr'].flatMap(
    (name) => [
      [`${name}.dev.azure.com`, '/contoso'],
      [`contoso.${name}.visualstudio.com`, ''],
    ],
  ),
  ['tfs.example.com', '/tfs/DefaultCollection'],
  ['tfs.example.com', '/DefaultCollection'],
] as [host: string, base: string][];

const ROWS = callsOf(CREDENTIAL_CALLS);

describe('credentialOf()', () => {
  it('has rows, each with something to say', () => {
    expect(ROWS.length).toBeGreaterThan(40);
    for (const { what } of CREDENTIAL_CALLS) expect(what).not.toBe('');
  });

  it.each(ROWS)('refuses %s by every method, on every host, at every level', (_, { path, isWriteOnly }) => {
    for (const [host, base] of HOSTS) {
      for (const level of ['', '/Payments', '/Payments/Team%201', '/6ce954b1-ce1f-45d1-b94d-e6bf2464ba2c']) {
        for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY']) {
          const isRead = ['GET', 'HEAD', 'OPTIONS'].includes(method);
          const got = read(method, host, `${base}${level}/${path}`);
          if (isWriteOnly && isRead) expect(['read', 'discovery'], `${method} ${host}${base}${level}/${path}`).toContain(got);
          else expect(got, `${method} ${host}${base}${level}/${path}`).toBe('refused');
        }
      }
    }
  });

  it.each(ROWS)('refuses %s however it is spelled', (_, { path }) => {
    for (const [name, spell] of Object.entries(SPELLINGS)) {
      // Then it would be a call of another area, and none of packages.
      if (path.startsWith('_packaging') && /behind an/.test(name)) continue;
      expect(['refused', 'unreadable'], `${name}: ${spell(path)}`).toContain(read('POST', 'dev.azure.com', `/contoso/${spell(path)}`));
    }
  });

  it.each([
    '_apis/projects',
    '_apis/git/repositories/web/pullrequests',
    '_apis/wit/workitems/1',
    '_apis/build/builds',
    '_apis/packaging/feeds',
    '_apis/connectionData',
    '_apis/resourceAreas',
    '_apis/distributedtask/pools',
    '_apis/git/repositories/design-tokens/items',
    '_packaging/tools/npm/registry/left-pad',
  ])('lets %s be asked', (path) => {
    expect(read('GET', 'dev.azure.com', `/contoso/Payments/${path}`)).toBe('read');
  });

  // As the documentation has them, apart from the table: a row that goes missing is noticed.
  it.each([
    ['POST', 'vssps.dev.azure.com', '/contoso/_apis/tokens/pats'],
    ['GET', 'vssps.dev.azure.com', '/contoso/_apis/tokenadmin/personalaccesstokens/aad.x'],
    ['POST', 'vssps.dev.azure.com', '/contoso/_apis/Token/SessionTokens'],
    ['POST', 'dev.azure.com', '/contoso/_apis/tokenadministration/tokenpersonalaccesstokens/x'],
    ['POST', 'vssps.dev.azure.com', '/contoso/_apis/delegatedauth/registrationsecret/x'],
    ['POST', 'dev.azure.com', '/contoso/_apis/oauth2/token'],
    ['POST', 'dev.azure.com', '/contoso/_apis/WebPlatformAuth/SessionToken'],
    ['POST', 'dev.azure.com', '/contoso/_apis/Contribution/HierarchyQuery'],
    ['POST', 'dev.azure.com', '/contoso/_apis/Contribution/dataProviders/query'],
    ['GET', 'dev.azure.com', '/contoso/Payments/_apis/serviceendpoint/endpoints'],
    ['POST', 'dev.azure.com', '/contoso/Payments/_apis/serviceendpoint/endpointproxy'],
    ['GET', 'dev.azure.com', '/contoso/Payments/_apis/distributedtask/serviceendpoints'],
    ['POST', 'dev.azure.com', '/contoso/_apis/distributedtask/endpoint'],
    ['POST', 'dev.azure.com', '/contoso/_apis/distributedtask/serviceendpointproxy/vstsaadoauth'],
    ['GET', 'dev.azure.com', '/contoso/_apis/projects/Payments/connectedServices/x'],
    ['POST', 'dev.azure.com', '/contoso/_apis/proxies'],
    ['GET', 'dev.azure.com', '/contoso/Payments/_apis/githubconnections'],
    ['GET', 'dev.azure.com', '/contoso/Payments/_apis/distributedtask/variablegroups/7'],
    ['GET', 'dev.azure.com', '/contoso/Payments/_apis/distributedtask/securefiles/7'],
    ['POST', 'dev.azure.com', '/contoso/_apis/distributedtask/pools/1/agents'],
    ['PATCH', 'dev.azure.com', '/contoso/_apis/distributedtask/pools/1/agents/7'],
    ['POST', 'dev.azure.com', '/contoso/_apis/distributedtask/pools/1/sessions'],
    ['GET', 'dev.azure.com', '/contoso/_apis/distributedtask/pools/1/messages'],
    ['POST', 'dev.azure.com', '/contoso/Payments/_apis/distributedtask/deploymentgroups/1/targets'],
    ['PUT', 'dev.azure.com', '/contoso/Payments/_apis/distributedtask/machinegroups/1/machines/7'],
    ['POST', 'dev.azure.com', '/contoso/Payments/_apis/pipelines/environments/1/providers/virtualmachines'],
    ['POST', 'dev.azure.com', '/contoso/Payments/_apis/distributedtask/environments/1/providers/virtualmachinegroups'],
    ['GET', 'dev.azure.com', '/contoso/_apis/distributedtask/agentclouds'],
    ['POST', 'dev.azure.com', '/contoso/Payments/_apis/distributedtask/deploymentgroupaccesstoken/7'],
    ['POST', 'dev.azure.com', '/contoso/_apis/distributedtask/deploymentpoolaccesstoken/7'],
    ['POST', 'dev.azure.com', '/contoso/Payments/_apis/distributedtask/machinegroupaccesstoken/7'],
    ['POST', 'dev.azure.com', '/contoso/Payments/_apis/pipelines/environments/environmentaccesstoken/7'],
    ['POST', 'dev.azure.com', '/contoso/x/_apis/distributedtask/hubs/build/plans/1/jobs/2/oidctoken'],
    ['GET', 'dev.azure.com', '/contoso/_apis/hooks/subscriptions'],
    ['POST', 'dev.azure.com', '/contoso/_apis/hooks/subscriptionsquery'],
    ['POST', 'dev.azure.com', '/contoso/_apis/hooks/testnotifications'],
    ['POST', 'dev.azure.com', '/contoso/_apis/hooks/notificationsquery'],
    ['POST', 'dev.azure.com', '/contoso/_apis/hooks/publishers/tfs/inputValuesQuery'],
    ['POST', 'dev.azure.com', '/contoso/Payments/_apis/sourceProviders/GitHub/webhooks'],
    ['GET', 'auditservice.dev.azure.com', '/contoso/_apis/audit/streams'],
    ['GET', 'extmgmt.dev.azure.com', '/contoso/_apis/ExtensionManagement/Token'],
    ['PUT', 'extmgmt.dev.azure.com', '/contoso/_apis/ExtensionManagement/InstalledExtensions/a/b/Authorizations/c'],
    ['GET', 'dev.azure.com', '/contoso/_apis/gallery/signingkey/x'],
    ['GET', 'dev.azure.com', '/contoso/_apis/gallery/publishers/a/verify/token'],
    ['GET', 'vstmr.dev.azure.com', '/contoso/Payments/_apis/testresults/runs/1/testlogstoreendpoint'],
    ['GET', 'vstmr.dev.azure.com', '/contoso/Payments/_apis/testresults/testai/completegithubauth'],
    ['PUT', 'pkgs.dev.azure.com', '/contoso/_packaging/tools/npm/registry/-/user/org.couchdb.user:ada'],
    ['POST', 'pkgs.dev.azure.com', '/contoso/_packaging/tools/npm/registry/-/npm/v1/tokens'],
    ['GET', 'pkgs.dev.azure.com', '/contoso/_packaging/tools/npm/registry/-/npm/v1/user'],
    ['POST', 'pkgs.dev.azure.com', '/contoso/_packaging/tools/npm/registry/-/v1/login'],
  ])('refuses %s %s%s', (method, host, path) => {
    expect(read(method, host, path)).toBe('refused');
  });
});
