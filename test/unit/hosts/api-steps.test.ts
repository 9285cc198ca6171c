import { describe, expect, it } from 'vitest';
import { parseApiAddress } from '../../../src/hosts/api-address.js';
import { READING_POSTS, stepOf, WRITES_BESIDE_REFS } from '../../../src/hosts/api-steps.js';

function step(method: string, path: string): string {
  const parsed = parseApiAddress('azure-services', 'dev.azure.com', `/contoso/Payments/${path}`);
  return parsed.kind === 'fault' ? parsed.what : stepOf(method, parsed.call, parsed.isOfAccount);
}

const filled = (pattern: string): string => pattern.replace('/**', '/9').replaceAll('*', 'web');
const GIT = '_apis/git/repositories/web';

describe('stepOf()', () => {
  it.each(['GET', 'HEAD', 'OPTIONS'])('takes %s for a read, whatever it is about', (method) => {
    expect(step(method, `${GIT}/pushes`)).toBe('read');
  });

  it.each(READING_POSTS.map(filled))('takes a POST of %s for a read, in any case, and everything else of it for a write', (path) => {
    expect(step('POST', path)).toBe('read');
    expect(step('POST', path.toUpperCase())).toBe('read');
    expect(step('POST', path.replace(/a/, '%61'))).toBe('read');
    for (const method of ['PUT', 'PATCH', 'DELETE', 'MERGE', 'post']) expect(step(method, path), method).not.toBe('read');
  });

  it.each([
    ['a longer one', '_apis/wit/wiql/extra'],
    ['a dot at its end', '_apis/wit/wiql.'],
    ['a parameter', '_apis/wit/wiql;a'],
    ['full-width letters', '_apis/wit/%ef%bd%97iql'],
    ['another area', '_apis/other/wiql'],
    ['packages, many at once', '_apis/packaging/feeds/tools/npm/packagesbatch'],
    ['deletion of many', '_apis/wit/workitemsdelete'],
    ['what nobody knows', '_apis/new/thing'],
  ])('takes a POST of %s for a write', (_, path) => {
    expect(step('POST', path)).toBe('write');
  });

  it.each(WRITES_BESIDE_REFS.map(({ call, methods }): [string, string] => [methods?.[0] ?? 'PATCH', filled(call)]))(
    'knows that %s %s touches no ref',
    (method, path) => {
      expect(step(method, path)).toBe('write-beside-refs');
    },
  );

  it.each([
    ['POST', `${GIT}/refs`],
    ['PATCH', `${GIT}/refs`],
    ['POST', `${GIT}/pushes`],
    ['PATCH', `${GIT}/pullrequests/7`],
    ['PUT', `${GIT}/pullrequests/7`],
    ['PUT', `${GIT}/pullrequests`],
    ['PATCH', `${GIT}/pullrequests/7/conflicts/1`],
    ['POST', `${GIT}/cherryPicks`],
    ['POST', `${GIT}/reverts`],
    ['POST', `${GIT}/merges`],
    ['POST', `${GIT}/importRequests`],
    ['POST', `${GIT}/forkSyncRequests`],
    ['POST', `${GIT}/annotatedtags`],
    ['PATCH', GIT],
    ['DELETE', GIT],
    ['POST', '_apis/git/repositories'],
    ['PUT', '_apis/wiki/wikis/web/pages'],
    ['POST', '_apis/pipelines/7/runs'],
    ['POST', '_apis/build/builds'],
    ['PATCH', '_apis/git/recycleBin/repositories/web'],
  ])('knows that %s %s may change a ref', (method, path) => {
    expect(step(method, path)).toBe('write');
  });

  it.each([
    ['OPTIONS', '/contoso/_apis', 'discovery'],
    ['OPTIONS', '/contoso/_apis/git', 'discovery'],
    ['GET', '/contoso/_apis/connectionData', 'discovery'],
    ['GET', '/contoso/_apis/ResourceAreas', 'discovery'],
    ['GET', '/contoso/_apis/resourceAreas/4e080c62-fa21-4fbc-8fef-2a10a2b38049', 'discovery'],
    ['GET', '/contoso/_apis/projects', 'read'],
    ['GET', '/contoso/Payments/_apis/resourceAreas', 'read'],
    ['OPTIONS', '/contoso/Payments/_apis/git', 'read'],
    ['POST', '/contoso/_apis/resourceAreas', 'write'],
  ])('takes %s %s for a %s', (method, path, expected) => {
    const parsed = parseApiAddress('azure-services', 'dev.azure.com', path);
    if (parsed.kind === 'fault') throw new Error(parsed.what);
    expect(stepOf(method, parsed.call, parsed.isOfAccount)).toBe(expected);
  });
});
