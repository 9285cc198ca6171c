import { describe, expect, it } from 'vitest';
import { type Failure, readFailure } from '../../../src/hosts/failure.js';
import type { HostKind } from '../../../src/model/address.js';
import { explainRefusedPat } from '../../../src/upstream/refused-pat.js';

const NOTHING = { isPat: true, oddity: undefined, fate: undefined };

function failure(kind: HostKind, status: number, text = '', headers: Record<string, string> = { 'content-type': 'text/plain' }): Failure {
  return readFailure(kind, { status, header: (name) => headers[name], text });
}

describe('explainRefusedPat()', () => {
  it('says what was read for it before anything else', () => {
    const known = { isPat: true, oddity: { what: 'is a GUID', todo: 'put the token there' }, fate: 'ended' };
    expect(explainRefusedPat(failure('azure-services', 401), 'azure-services', known)).toMatchObject({
      code: 'upstream-unauthenticated',
      what: 'The upstream did not accept the credential (401): what was read for the identity is a GUID',
      todo: 'put the token there',
    });
  });

  it('says what has become of it, where that is known', () => {
    const known = { isPat: true, oddity: undefined, fate: 'ended on 2026-11-01' };
    expect(explainRefusedPat(failure('azure-services', 401), 'azure-services', known)).toMatchObject({
      what: 'The upstream did not accept the credential (401): the personal access token ended on 2026-11-01',
      todo: expect.stringContaining('make another one (`postern pat create`)') as string,
    });
  });

  it.each([
    [401, 'Access Denied: The Personal Access Token used has expired.', 'the personal access token has ended', 'make another one'],
    [
      401,
      'The policy of the organization does not allow this token',
      'a policy refuses personal access tokens',
      'of kind browser, device-code',
    ],
    [401, 'Global PATs are not supported any more', 'a policy refuses personal access tokens', 'workload-identity'],
    [401, '', '(401)', 'forbidden by a policy looks the same from here'],
    [
      403,
      'VS403463: The conditional access policy defined by your administrator has failed.',
      'conditional access',
      'which a personal access token cannot',
    ],
    [403, "TF401027: You need the Git 'GenericContribute' permission", 'lacks a permission', 'needs the scope Code (Read & write)'],
    [403, 'Refused by a policy of the tenant', 'a policy refuses personal access tokens', 'use what the policy allows'],
  ])('of %i with %j says which kind to use instead', (status, text, what, todo) => {
    const told = explainRefusedPat(failure('azure-services', status, text), 'azure-services', NOTHING);
    expect(told.what).toContain(what);
    expect(told.todo).toContain(todo);
  });

  it('leaves other failures, and other hosts, as they are', () => {
    for (const [kind, status] of [
      ['azure-services', 404],
      ['azure-services', 503],
      ['azure-services', 403],
      ['generic', 401],
    ] as const) {
      const before = failure(kind, status);
      expect(explainRefusedPat(before, kind, NOTHING)).toEqual(before);
    }
  });

  it('says nothing of tokens where a server may have been sent the password of a Windows user', () => {
    const before = failure('azure-server', 401);
    const known = { isPat: false, oddity: { what: 'has not the form of a token', todo: 'put the token there' }, fate: undefined };
    expect(explainRefusedPat(before, 'azure-server', known)).toEqual(before);
    expect(explainRefusedPat(failure('azure-services', 401), 'azure-services', known).todo).toBe('put the token there');
  });

  it('thinks of IIS on Azure DevOps Server', () => {
    expect(explainRefusedPat(failure('azure-server', 401), 'azure-server', NOTHING).todo).toContain('IIS Basic Authentication');
  });
});
