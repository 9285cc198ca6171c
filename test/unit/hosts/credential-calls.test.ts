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
});
