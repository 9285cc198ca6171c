/** What a person reads when one of hundreds of objects fails. */
import { describe, expect, it } from 'vitest';
import { type FailedAnswer, readFailure } from '../../../src/hosts/failure.js';
import { explainObject } from '../../../src/hosts/object-texts.js';

const OID = '0123456789abcdef'.repeat(4);
const OBJECT = 'LFS object 0123456789';
const STORAGE = 'x.blob.core.windows.net';

function failure(status: number, text = '', storage?: string): ReturnType<typeof explainObject> {
  const answer: FailedAnswer = { status, header: (name) => (name === 'content-type' ? 'text/plain' : undefined), text };
  return explainObject(readFailure('azure-services', answer), { oid: OID, storage });
}

describe('explainObject()', () => {
  it.each([
    [
      404,
      'upstream-not-found',
      `The upstream has no ${OBJECT}, or this identity may not see it (404)`,
      'run `git lfs push --all` in a clone that has it',
    ],
    [413, 'upstream-error', `The upstream refused ${OBJECT} as too large (413)`, 'raise the limit of the server'],
    [403, 'upstream-forbidden', `The upstream does not allow this (403); ${OBJECT}`, 'check the rights of the identity on the repository'],
    [503, 'upstream-unavailable', `The upstream is not available at the moment (503); ${OBJECT}`, 'wait and try again'],
    [203, 'upstream-unauthenticated', `The upstream answered with its sign-in page instead of git data; ${OBJECT}`, 'run `postern status`'],
  ])('tells which object it is about, at %i', (status, code, what, todo) => {
    expect(failure(status)).toMatchObject({ code, what });
    expect(failure(status).todo).toContain(todo);
  });

  it("keeps the upstream's own words", () => {
    expect(failure(404, 'Object does not exist').upstreamText).toBe('Object does not exist');
  });

  it.each([
    [401, 'upstream-forbidden', 403],
    [403, 'upstream-forbidden', 403],
    [404, 'upstream-not-found', 404],
  ])('does not blame the identity for what a storage says that saw no credential, at %i', (upstream, code, status) => {
    const told = failure(upstream, '', STORAGE);
    expect(told).toMatchObject({
      code,
      status,
      upstreamStatus: upstream,
      what: `The storage ${STORAGE} does not hand out or take ${OBJECT} (${upstream})`,
    });
    expect(told.todo).not.toContain('identity');
  });
});
