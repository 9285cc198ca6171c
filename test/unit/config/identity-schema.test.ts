import { describe, expect, it } from 'vitest';
import { faultsOf } from './loading.js';

const FORMS = '`{ file: PATH }`, `{ env: NAME }`, `{ command: [PROGRAM, ARGUMENT] }` or `{ credential: NAME }`';
const KINDS =
  'azure-cli, azure-developer-cli, azure-powershell, browser, device-code, client-secret, client-certificate, workload-identity, managed-identity, azure-pipelines, pat, basic, git-credential, none, passthrough';
/** A route that uses identity `a`, so that only the fault in question is left. */
const USED = 'routes: [{ match: h/**, identity: a }]\n';

describe('loadSettings() tells faults of identities', () => {
  it.each([
    ['azure-cli', ['F:1:18: identities.a: is text; write a map such as `{ kind: azure-cli }`']],
    ['{}', [`F:1:18: identities.a.kind: is missing; write one of ${KINDS}`]],
    ['{ kind: 5 }', [`F:1:26: identities.a.kind: must be text; write one of ${KINDS}`]],
    ['{ kind: azure-clii }', ['F:1:26: identities.a.kind: `azure-clii` is not a kind of identity; did you mean `azure-cli`?']],
    [
      '{ kind: azure-cli, clientId: x }',
      ['F:1:37: identities.a.clientId: unknown key `clientId`; the keys here are kind, tenant, resource'],
    ],
    ['{ kind: azure-cli, tenant: 5 }', ['F:1:45: identities.a.tenant: is a number; write the id or domain of a tenant']],
    [
      '{ kind: azure-cli, tenant: "a b" }',
      ['F:1:45: identities.a.tenant: is not a tenant; write its id or its domain, such as `contoso.onmicrosoft.com`'],
    ],
    [
      '{ kind: azure-cli, resource: x/.default }',
      ['F:1:47: identities.a.resource: ends in `/.default`, which is added by itself; leave it out'],
    ],
    [
      '{ kind: client-secret }',
      [
        'F:1:18: identities.a.clientId: is missing; write a client id',
        `F:1:18: identities.a.secret: is missing; say where it is: ${FORMS}`,
      ],
    ],
    ['{ kind: client-certificate, tenant: t, clientId: c }', ['F:1:18: identities.a.certificate: is missing; write a path']],
    [
      '{ kind: client-secret, tenant: t, clientId: c, secret: { env: X }, authority: http://x }',
      ['F:1:96: identities.a.authority: is not an https URL; write `https://` and the host'],
    ],
    [
      '{ kind: managed-identity, clientId: c, resourceId: r }',
      ['F:1:57: identities.a.resourceId: names the identity a second time, besides `clientId`; keep one of the two'],
    ],
    [
      '{ kind: managed-identity, resourceId: r, objectId: 11111111-2222-3333-4444-555555555555 }',
      ['F:1:59: identities.a.objectId: names the identity a second time, besides `resourceId`; keep one of the two'],
    ],
    [
      '{ kind: managed-identity, objectId: x }',
      ['F:1:54: identities.a.objectId: is not a GUID; write it as `00000000-0000-0000-0000-000000000000`'],
    ],
    [
      '{ kind: basic, user: "a:b", secret: { env: X } }',
      ['F:1:39: identities.a.user: is not a user name; write it without colon and control characters'],
    ],
    [
      '{ kind: browser, user: "a b" }',
      ['F:1:41: identities.a.user: is not an account; write it as Entra shows it, such as `dana@contoso.com`'],
    ],
    [
      '{ kind: browser, proxy: "http://u:p@h" }',
      ['F:1:42: identities.a.proxy: holds a password; leave `proxy` out and set HTTPS_PROXY in the environment of the service instead'],
    ],
    [
      '{ kind: pat, secret: { env: X }, lifecycle: { identity: azure-cli } }',
      [
        'F:1:62: identities.a.lifecycle.organization: is missing; write an organisation',
        'F:1:62: identities.a.lifecycle.id: is missing; write a GUID',
      ],
    ],
    ['{ kind: basic, secret: { env: X } }', ['F:1:18: identities.a.user: is missing; write a user name']],
    ['{ kind: none, secret: { env: X } }', ['F:1:32: identities.a.secret: unknown key `secret`; the keys here are kind']],
  ])('%s', async (identity, lines) => {
    expect(await faultsOf(`identities: { a: ${identity} }\n${USED}`)).toEqual(lines);
  });

  it.each(['"a b"', '__proto__', '-x', `x${'y'.repeat(64)}`])('the name %s', async (name) => {
    const lines = await faultsOf(`identities:\n  ${name}: { kind: none }\n`);
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^F:2:3: identities.*: is not a name for an identity; begin with a letter or digit and use letters, digits, `\.`, `_` and `-`, at most 64$/,
    );
  });

  const plain = `is a secret in plain sight; move it to where only the service can read it and write ${FORMS}`;
  const unclear = `is not a reference to a secret; write exactly one of ${FORMS}`;
  it.each([
    ['hunter2', plain],
    ['2222', plain],
    ['', unclear],
    ['[hunter2]', unclear],
    ['{ hunter2 }', unclear],
    ['{ env: A, file: b }', unclear],
    ['{ Env: A }', unclear],
    ['{ file: "" }', 'has a `file` that is no path; write `{ file: /run/secrets/name }`'],
    ['{ env: hunter-2 }', 'has an `env` that is no name of a variable; write letters, digits and `_`, such as `{ env: TFS_PAT }`'],
    ['{ command: hunter2 }', 'has a `command` that is no list of words; write `{ command: [pass, show, tfs] }`'],
    ['{ command: [] }', 'has a `command` that is no list of words; write `{ command: [pass, show, tfs] }`'],
    ['{ command: [a, 5] }', 'has a `command` that is no list of words; write `{ command: [pass, show, tfs] }`'],
    ['{ credential: ../x }', 'has a `credential` that is no name; write the name of LoadCredential=, such as `{ credential: tfs-pat }`'],
    ['{ credential: .. }', 'has a `credential` that is no name; write the name of LoadCredential=, such as `{ credential: tfs-pat }`'],
  ])('secret: %s', async (secret, text) => {
    // An empty value stands nowhere; its key does.
    const column = secret === '' ? '31' : '39';
    expect(await faultsOf(`identities: { a: { kind: pat, secret: ${secret} } }\n${USED}`)).toEqual([
      `F:1:${column}: identities.a.secret: ${text}`,
    ]);
  });
});
