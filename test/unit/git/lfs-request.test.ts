/** Which part of LFS a path is, and that nothing else is taken for one. */
import { describe, expect, it } from 'vitest';
import { classifyLfsRequest, isLfsPath } from '../../../src/git/lfs-request.js';

const OID = 'ab'.repeat(32);
const REPOSITORY = '/contoso/Payments/_git/web';

describe('classifyLfsRequest()', () => {
  it.each([
    ['POST', '/objects/batch', 'batch', undefined],
    ['GET', `/objects/${OID}`, 'download', OID],
    ['GET', `/objects/${OID.toUpperCase()}`, 'download', OID],
    ['PUT', `/objects/${OID}`, 'upload', OID],
    ['POST', `/objects/${OID}`, 'verify', OID],
    ['GET', '/locks', 'locks', undefined],
    ['POST', '/locks', 'lock', undefined],
    ['POST', '/locks/verify', 'verify-locks', undefined],
    ['POST', '/locks/17/unlock', 'unlock', undefined],
    ['POST', '/locks/verify/unlock', 'unlock', undefined],
  ])('%s %s is %s', (method, rest, step, oid) => {
    for (const lfs of ['/info/lfs', '.git/info/lfs'])
      expect(classifyLfsRequest(method, `${REPOSITORY}${lfs}${rest}`)).toEqual({
        step,
        oid,
        repositoryPath: REPOSITORY,
        suffix: `${lfs}${rest}`,
      });
  });

  it.each([
    ['GET', '/objects/batch'],
    ['PUT', '/objects/batch'],
    ['DELETE', `/objects/${OID}`],
    ['HEAD', `/objects/${OID}`],
    ['PATCH', '/locks'],
    ['DELETE', '/locks'],
    ['GET', '/locks/verify'],
    ['GET', '/locks/17/unlock'],
    ['DELETE', '/locks/17/unlock'],
  ])('%s %s has no meaning', (method, rest) => {
    expect(classifyLfsRequest(method, `${REPOSITORY}/info/lfs${rest}`)).toEqual({ why: 'bad-method' });
  });

  it.each([
    '/info/lfs',
    `${REPOSITORY}/info/lfs`,
    `${REPOSITORY}/info/lfs/`,
    `${REPOSITORY}/info/lfs/objects`,
    `${REPOSITORY}/info/lfs/objects/${OID.slice(1)}`,
    `${REPOSITORY}/info/lfs/objects/${OID}0`,
    `${REPOSITORY}/info/lfs/objects/${OID}/verify`,
    `${REPOSITORY}/info/lfs/objects/batch/`,
    `${REPOSITORY}/info/lfs/locks/17`,
    `${REPOSITORY}/info/lfs/locks/a/b/unlock`,
    `${REPOSITORY}/info/lfs/Locks`,
    `${REPOSITORY}/INFO/LFS/locks`,
  ])('%s is none of its addresses', (path) => {
    expect(classifyLfsRequest('POST', path)).toEqual({ why: 'not-lfs' });
  });

  it('finds the repository in front of the first mark, however many there are', () => {
    const path = `/a/info/lfs/locks/b/info/lfs/locks`;
    expect(classifyLfsRequest('GET', path)).toMatchObject({ repositoryPath: '/a/info/lfs/locks/b' });
  });
});

describe('isLfsPath()', () => {
  it.each([
    [`${REPOSITORY}/info/lfs`, true],
    [`${REPOSITORY}.git/info/lfs/objects/x`, true],
    [`${REPOSITORY}/info/lfsx`, false],
    [`${REPOSITORY}/info/refs`, false],
  ])('%s: %s', (path, is) => {
    expect(isLfsPath(path)).toBe(is);
  });
});
