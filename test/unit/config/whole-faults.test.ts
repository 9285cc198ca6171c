import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadSettings } from '../../../src/config/load-settings.js';
import { ProxyError } from '../../../src/model/errors.js';
import { faultsOf, load, newFolder, request } from './loading.js';

describe('loadSettings() tells faults of routes', () => {
  it.each([
    [
      'match: https://h/**, identity: azure-cli',
      ['F:2:12: routes[0].match: begins with a scheme; leave out `https://` and begin with the host'],
    ],
    ['match: h/**, identity: azur-cli', ['F:2:28: routes[0].identity: `azur-cli` is not an identity; did you mean `azure-cli`?']],
    [
      'match: h/**, identity: toString',
      ['F:2:28: routes[0].identity: `toString` is not an identity; write one of `azure-cli`, or add it to `identities`'],
    ],
    [
      'match: h/**, identity: me',
      ['F:2:28: routes[0].identity: `me` is not an identity; write one of `azure-cli`, or add it to `identities`'],
    ],
    [
      'match: h/**, idenity: azure-cli',
      [
        'F:2:3: routes[0].identity: is missing; write the name of an identity',
        'F:2:18: routes[0].idenity: unknown key `idenity`; did you mean `identity`?',
      ],
    ],
    [
      'match: h/**, identity: azure-cli, allow: []',
      ['F:2:46: routes[0].allow: is an empty list; write a list such as `[fetch, push, lfs]`, or leave the key out'],
    ],
    [
      'match: h/**, identity: azure-cli, allow: [fetch, pushh, fetch]',
      [
        'F:2:54: routes[0].allow[1]: `pushh` is not one of fetch, push, lfs, api; did you mean `push`?',
        'F:2:61: routes[0].allow[2]: `fetch` comes twice; write it once',
      ],
    ],
    [
      'match: h/**, identity: azure-cli, host: azure',
      ['F:2:45: routes[0].host: `azure` is not one of azure-services, azure-server, generic; write one of them'],
    ],
    [
      'match: h/**, identity: azure-cli, host: azure-services',
      [
        'F:2:45: routes[0].host: `azure-services` is dev.azure.com and *.visualstudio.com only; write `azure-server` for `h`, or leave `host` out',
      ],
    ],
    [
      'match: dev.azure.com/**, identity: azure-cli, host: generic',
      ['F:2:57: routes[0].host: `dev.azure.com` is Azure DevOps Services and cannot be read as `generic`; leave `host` out'],
    ],
    [
      'match: evil-dev.azure.com/**, identity: azure-cli, host: azure-services, upstream: "https://x"',
      [
        'F:2:62: routes[0].host: `azure-services` is dev.azure.com and *.visualstudio.com only; write `azure-server` for `evil-dev.azure.com`, or leave `host` out',
      ],
    ],
    [
      'match: h/**, identity: azure-cli, upstream: "http://h"',
      [
        'F:2:49: routes[0].upstream: is plain http to another machine, which would show the credential to the network; write an `https://` URL',
      ],
    ],
    [
      'match: h/**, identity: azure-cli, upstream: "https://u:hunter2@h"',
      ['F:2:49: routes[0].upstream: holds a user name or password; leave out everything up to the `@`: credentials belong to an identity'],
    ],
    [
      'match: h/**, identity: azure-cli, proxy: "http://u:hunter2@h"',
      ['F:2:46: routes[0].proxy: holds a password; leave `proxy` out and set HTTPS_PROXY in the environment of the service instead'],
    ],
  ])('%s', async (route, lines) => {
    expect(await faultsOf(`routes:\n- { ${route} }\n`)).toEqual(lines);
  });

  it.each<[refs: string, lines: string[]]>([
    ['x', ['F:2:45: routes[0].refs: is text; write a map such as `{ protect: [refs/heads/main] }`']],
    ['{}', ['F:2:45: routes[0].refs: says nothing; write `allow`, `protect` or `changes`, or leave it out']],
    ['{ alow: [refs/**] }', ['F:2:47: routes[0].refs.alow: unknown key `alow`; did you mean `allow`?']],
    [
      '{ allow: [] }',
      ['F:2:54: routes[0].refs.allow: is an empty list; write a list such as `[refs/heads/agent/*]`, or leave the key out'],
    ],
    ['{ protect: [main] }', ['F:2:57: routes[0].refs.protect[0]: does not begin with `refs/`; write `refs/heads/main`']],
    ['{ protect: [tags/v*] }', ['F:2:57: routes[0].refs.protect[0]: does not begin with `refs/`; write `refs/tags/v*`']],
    ['{ protect: ["**"] }', ['F:2:57: routes[0].refs.protect[0]: does not begin with `refs/`; write `refs/**`']],
    ['{ protect: [1] }', ['F:2:57: routes[0].refs.protect[0]: is a number; write a ref such as `refs/heads/main`']],
    [
      '{ changes: [crate, tag, tag] }',
      [
        'F:2:57: routes[0].refs.changes[0]: `crate` is not one of create, update, delete, tag; did you mean `create`?',
        'F:2:69: routes[0].refs.changes[2]: `tag` comes twice; write it once',
      ],
    ],
    [
      '{ changes: [tag] }',
      ['F:2:56: routes[0].refs.changes: allows nothing: `tag` is needed besides create, update or delete; add what may be done'],
    ],
  ])('rules for refs: %s', async (refs, lines) => {
    expect(await faultsOf(`routes:\n- { match: h/**, identity: azure-cli, refs: ${refs} }\n`)).toEqual(lines);
  });

  it('rules for refs with more globs than are judged quickly', async () => {
    const globs = Array.from({ length: 65 }, (_, index) => `refs/heads/${index}`).join(', ');
    expect(await faultsOf(`routes:\n- { match: h/**, identity: azure-cli, refs: { allow: [${globs}] } }\n`)).toEqual([
      'F:2:54: routes[0].refs.allow: has 65 entries; write at most 64',
    ]);
  });

  it('warns of rules for refs on a route without push, and loads', async () => {
    const { settings, warnings } = await load(
      'routes:\n- { match: h/**, identity: azure-cli, allow: [fetch], refs: { protect: [refs/heads/main] } }\n',
    );
    expect(warnings).toEqual(['F:2:55: routes[0].refs: says what pushes may touch, but `allow` of the route has no push']);
    expect(settings.routes[0]?.refs).toEqual({ allow: undefined, protect: ['refs/heads/main'], changes: undefined });
  });

  it('a pattern that comes twice, in another spelling, naming the line of the first', async () => {
    expect(
      await faultsOf(`routes:
  - { match: dev.azure.com/Contoso/**, identity: azure-cli }

  - { match: contoso.visualstudio.com/**, identity: azure-cli }
`),
    ).toEqual(['F:4:14: routes[1].match: is the same pattern as routes[0] on line 2; keep one of the two']);
  });

  it('one host read by two grammars, naming the line of the first', async () => {
    expect(
      await faultsOf(`routes:
  - { match: git.example.com/a/**, identity: azure-cli, host: generic }
  - { match: git.example.com/b/**, identity: azure-cli }
`),
    ).toEqual([
      'F:3:14: routes[1].match: reads `git.example.com` as `azure-server`, but routes[0] on line 2 reads it as `generic`; write the same `host` in both',
    ]);
  });

  it('warns of a route that is never reached and of an identity that is not used, and loads', async () => {
    const { warnings } = await load(`identities:
  spare: { kind: none }
routes:
  - { match: dev.azure.com/contoso/**, identity: azure-cli }
  - { match: contoso.visualstudio.com/P/R, identity: azure-cli }
`);
    expect(warnings).toEqual([
      'F:2:3: identities.spare: is used by no route; name it in a route, or leave it out',
      'F:5:14: routes[1].match: is never reached, because routes[0] on line 4 covers it; put the more specific route first',
    ]);
  });

  it('does not warn of an azure-cli identity that the default route uses', async () => {
    const { settings, warnings } = await load('identities: { azure-cli: { kind: azure-cli, tenant: t } }\n');
    expect(warnings).toEqual([]);
    expect(settings.identities).toMatchObject([{ name: 'azure-cli', tenant: 't' }]);
  });

  it('does not warn of the more specific route when it comes first', async () => {
    const { warnings } = await load(`routes:
  - { match: contoso.visualstudio.com/P/R, identity: azure-cli }
  - { match: dev.azure.com/contoso/**, identity: azure-cli }
`);
    expect(warnings).toEqual([]);
  });
});

it('loadSettings() tells all faults at once, and what to do', async () => {
  const file = join(newFolder(), 'c.yaml');
  writeFileSync(file, 'log: { level: x }\nroutes: [{ match: x }]\ncache: {}\n');
  const thrown: unknown = await loadSettings(request({ file })).catch((error: unknown) => error);
  expect(thrown).toBeInstanceOf(ProxyError);
  expect(thrown).toMatchObject({
    code: 'config-invalid',
    message: `The configuration ${file} has 4 faults`,
    todo: 'Correct each of them; `postern config check` looks again without starting anything',
    details: [
      `${file}:1:15: log.level: \`x\` is not one of error, warn, info, debug; write one of them`,
      `${file}:2:10: routes[0].identity: is missing; write the name of an identity`,
      `${file}:2:19: routes[0].match: names only a host; write \`x/**\` for all its repositories`,
      `${file}:3:1: cache: is not available in this version; leave it out`,
    ],
  });
});

describe('loadSettings() tells who is asked about a personal access token', () => {
  const ID = '7d1f6f70-0a4c-4b0e-9d8f-6f0d2a6d2f11';
  const file = (owner: string, identities = ''): string =>
    `identities: { p: { kind: pat, secret: { env: X }, lifecycle: { identity: ${owner}, organization: c, id: ${ID} } }${identities} }\nroutes: [{ match: h/**, identity: p }]\n`;

  it.each([
    ['nobody', '', '`nobody` is not an identity'],
    ['p', '', '`p` is of kind `pat`: it holds no Entra token; name the identity by which the owner signs in (browser, '],
    [
      'sp',
      ', sp: { kind: managed-identity }',
      '`sp` is of kind `managed-identity`: it is an application, and has no personal access tokens; ',
    ],
  ])('when %s cannot be', async (owner, identities, text) => {
    const faults = await faultsOf(file(owner, identities));
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(`identities.p.lifecycle.identity: ${text}`);
  });

  it('and takes a person, whom no route has to name, and the identity that is there by itself', async () => {
    const { settings, warnings } = await load(file('me', ', me: { kind: browser }'));
    expect(warnings).toEqual([]);
    expect(settings.identities.map(({ name }) => name)).toEqual(['p', 'me']);
    expect((await load(file('azure-cli'))).settings.identities.map(({ name }) => name)).toEqual(['p', 'azure-cli']);
  });
});
