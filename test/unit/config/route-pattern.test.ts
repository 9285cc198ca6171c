import { describe, expect, it } from 'vitest';
import { covers, parseRoutePattern } from '../../../src/config/route-pattern.js';

describe('parseRoutePattern()', () => {
  it.each([
    ['dev.azure.com/**', 'azure-services', 'dev.azure.com/**'],
    ['DEV.azure.com/Contoso/My%20Project/*', 'azure-services', 'dev.azure.com/contoso/my project/*'],
    ['dev.azure.com/contoso/p/r/**', 'azure-services', 'dev.azure.com/contoso/p/r/**'],
    ['contoso.visualstudio.com/P/R', 'azure-services', 'dev.azure.com/contoso/p/r'],
    ['*.visualstudio.com/**', 'azure-services', 'dev.azure.com/*/**'],
    ['ssh.dev.azure.com/contoso/**', 'azure-services', 'dev.azure.com/contoso/**'],
    ['vs-ssh.visualstudio.com/contoso/**', 'azure-services', 'dev.azure.com/contoso/**'],
    ['github.com/git/*', 'generic', 'github.com/git/*'],
    ['tfs.example.com:8443/tfs/**', 'azure-server', 'tfs.example.com:8443/tfs/**'],
    ['*.example.com/a', 'azure-server', '*.example.com/a'],
    ['[::1]:3000/a', 'azure-server', '[::1]:3000/a'],
    ['tfs/a%2525', 'azure-server', 'tfs/a%25'],
    ['evil-dev.azure.com/a', 'azure-server', 'evil-dev.azure.com/a'],
    ['dev.azure.com.evil.example/a', 'azure-server', 'dev.azure.com.evil.example/a'],
  ])('reads %s as %s %s', (text, hostKind, canonical) => {
    const pattern = parseRoutePattern(text);
    expect([pattern.hostKind, pattern.canonical.join('/')]).toEqual([hostKind, canonical]);
  });

  it('takes the kind that the route sets', () => {
    expect(parseRoutePattern('git.example.com/a', 'generic').hostKind).toBe('generic');
  });

  it.each([
    ['https://dev.azure.com/**', 'begins with a scheme; leave out `https://` and begin with the host'],
    ['me:hunter2@dev.azure.com/**', 'names a user; leave out everything up to the `@`'],
    ['dev.azure.com', 'names only a host; write `dev.azure.com/**` for all its repositories'],
    ['/contoso/**', 'begins with no host; write host/part/part, such as `dev.azure.com/contoso/**`'],
    ['dev.azure.com//x', 'has an empty part; write one slash between parts and none at the end'],
    ['dev.azure.com/x/', 'has an empty part; write one slash between parts and none at the end'],
    ['dev.azure.com/**/x', 'has `**` before its end; only the last part may be `**`'],
    ['tfs/fleet*', '`fleet*` has a `*` inside; `*` stands for one whole part, `**` for any rest'],
    ['tfs/fleet%2a', '`fleet%2a` has a `*` inside; `*` stands for one whole part, `**` for any rest'],
    ['tfs/%2a', '`%2a` has a `*` inside; `*` stands for one whole part, `**` for any rest'],
    ['tfs/..', '`..` is a step, not a name; write the path without `.` and `..`'],
    ['tfs/%2e%2E/x', '`%2e%2E` is a step, not a name; write the path without `.` and `..`'],
    ['tfs/a%2fb', '`a%2fb` decodes to a slash or a control character; a part is one name'],
    ['tfs/a%00', '`a%00` decodes to a slash or a control character; a part is one name'],
    ['tfs/100%', '`100%` is wrongly percent-encoded; write a lone `%` as `%25`'],
    ['tfs/a?b', '`a?b` holds a character that ends a path; write `?`, `#` and `\\` percent-encoded'],
    ['tfs/ a', '` a` begins or ends with a blank; leave it out'],
    ['tfs/p@w*', 'a part has a `*` inside; `*` stands for one whole part, `**` for any rest'],
    ['*/x', '`*` is too wide for a host; write `*.` and a domain, such as `*.visualstudio.com`'],
    ['*.com/x', '`*.com` is too wide for a host; write `*.` and a domain, such as `*.visualstudio.com`'],
    ['a.*.com/x', '`a.*.com` has a `*` inside; a host may only begin with `*.`'],
    ['*dev.azure.com/x', '`*dev.azure.com` is too wide for a host; write `*.` and a domain, such as `*.visualstudio.com`'],
    ['dev.azure.com./x', '`dev.azure.com.` is not a host name; write it in letters, digits, hyphens and dots (other alphabets as `xn--`)'],
    ['contoso.visualstudio.com:8080/**', 'has a port, which Azure DevOps Services does not use; leave it out'],
    ['tfs:0/x', '`tfs:0` has no valid port; write one from 1 to 65535'],
    ['tfs:x/y', '`tfs:x` is not a host; write a name or a name and `:port`'],
    ['visualstudio.com/**', 'names no organisation; write `*.visualstudio.com` or `ORGANISATION.visualstudio.com`'],
    ['a.b.visualstudio.com/**', "`a.b.visualstudio.com` is no organisation's host; write `ORGANISATION.visualstudio.com`"],
    ['dev.azure.com:443/**', 'has a port, which Azure DevOps Services does not use; leave it out'],
    ['dev.azure.com/o/p/_git/r', 'holds `_git`, which is no name; leave it out: host/organisation/project/repository'],
    ['ssh.dev.azure.com/v3/o/p/r', 'holds `v3`, which is no name; leave it out: host/organisation/project/repository'],
    ['o.visualstudio.com/DefaultCollection/**', 'holds `DefaultCollection`, which is no name; leave it out: host/project/repository'],
    ['dev.azure.com/o/p/r/x', 'has more parts than organisation, project and repository, so it can match nothing; leave out the rest'],
    ['dev.azure.com/o/p', 'names no repository, so it can match nothing; end it in `/**`, or name organisation, project and repository'],
  ])('refuses %s', (text, message) => {
    expect(() => parseRoutePattern(text)).toThrow(new SyntaxError(message));
  });
});

it.each([
  ['dev.azure.com/**', 'contoso.visualstudio.com/p/r', true],
  ['dev.azure.com/contoso/**', 'dev.azure.com/contoso/**', true],
  ['dev.azure.com/contoso/**', 'dev.azure.com/**', false],
  ['dev.azure.com/*/p/r', 'dev.azure.com/contoso/p/r', true],
  ['dev.azure.com/*/p/r', 'dev.azure.com/contoso/p/*', false],
  ['dev.azure.com/contoso/*/*', 'dev.azure.com/contoso/p/**', false],
  ['tfs/a/**', 'tfs/a', true],
  ['tfs/a', 'tfs/a/b', false],
  ['tfs/fleet', 'tfs/fleet-infra', false],
  ['*.example.com/**', 'tfs.example.com/a', true],
  ['*.example.com/**', 'a.tfs.example.com/a', false],
  ['*.example.com/**', 'example.com/a', false],
  ['tfs.example.com/**', '*.example.com/**', false],
  ['tfs/**', 'tfs:8080/a', false],
])('covers(%s, %s) is %s', (earlier, later, answer) => {
  expect(covers(parseRoutePattern(earlier), parseRoutePattern(later))).toBe(answer);
});

it('covers() does not compare hosts of different kinds', () => {
  expect(covers(parseRoutePattern('tfs/**', 'generic'), parseRoutePattern('tfs/a'))).toBe(false);
});
