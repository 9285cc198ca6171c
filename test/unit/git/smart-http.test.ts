import { describe, expect, it } from 'vitest';
import { answerMediaType, classifySmartRequest, smartSuffix } from '../../../src/git/smart-http.js';
import type { GitService, HttpStep } from '../../../src/model/operation.js';

const UP = 'git-upload-pack';
const RECEIVE = 'git-receive-pack';

describe('classifySmartRequest()', () => {
  it.each<[method: string, target: string, service: GitService, step: HttpStep, repositoryPath: string]>([
    ['GET', '/o/p/_git/r/info/refs?service=git-upload-pack', UP, 'advertisement', '/o/p/_git/r'],
    ['GET', '/o/p/_git/r/info/refs?service=git-receive-pack', RECEIVE, 'advertisement', '/o/p/_git/r'],
    ['POST', '/o/p/_git/r/git-upload-pack', UP, 'exchange', '/o/p/_git/r'],
    ['POST', '/o/p/_git/r/git-receive-pack', RECEIVE, 'exchange', '/o/p/_git/r'],
    ['POST', '/o/p/_git/git-receive-pack/git-upload-pack', UP, 'exchange', '/o/p/_git/git-receive-pack'],
    ['GET', '/a/info/refs/info/refs?service=git-upload-pack', UP, 'advertisement', '/a/info/refs'],
    ['POST', '/a%2Fb/git-upload-pack', UP, 'exchange', '/a%2Fb'],
    ['POST', '/git-upload-pack', UP, 'exchange', ''],
  ])('reads %s %s', (method, target, service, step, repositoryPath) => {
    const [path = '', query] = target.split('?');
    expect(classifySmartRequest(method, path, query)).toEqual({ service, step, repositoryPath });
  });

  it.each([
    ['GET', '/r/info/refs', 'dumb'],
    ['GET', '/r/info/refs?', 'dumb'],
    ['GET', '/r/info/refs?service=git-upload-archive', 'bad-service'],
    ['GET', '/r/info/refs?service=', 'bad-service'],
    ['GET', '/r/info/refs?service=GIT-UPLOAD-PACK', 'bad-service'],
    ['GET', '/r/info/refs?service=git-upload-pack&service=git-receive-pack', 'bad-query'],
    ['GET', '/r/info/refs?service=git-upload-pack&x=1', 'bad-query'],
    ['GET', '/r/info/refs?x=1&service=git-upload-pack', 'bad-query'],
    ['GET', '/r/info/refs?service=git%2Dupload-pack', 'bad-service'],
    ['GET', '/r/info/refs?Service=git-upload-pack', 'bad-query'],
    ['POST', '/r/info/refs?service=git-upload-pack', 'bad-method'],
    ['HEAD', '/r/info/refs?service=git-upload-pack', 'bad-method'],
    ['GET', '/r/git-upload-pack', 'bad-method'],
    ['PUT', '/r/git-receive-pack', 'bad-method'],
    ['post', '/r/git-receive-pack', 'bad-method'],
    ['POST', '/r/git-receive-pack?service=git-upload-pack', 'bad-query'],
    ['POST', '/r/git-receive-pack?', 'bad-query'],
    ['POST', '/r/git-upload-archive', 'not-git'],
    ['POST', '/r/git-upload-pack/', 'not-git'],
    ['POST', '/rgit-upload-packs', 'not-git'],
    ['POST', '/xgit-upload-pack', 'not-git'],
    ['GET', '/r/info/refs/?service=git-upload-pack', 'not-git'],
    ['GET', '/r/info%2Frefs?service=git-upload-pack', 'not-git'],
    ['GET', '/r/HEAD', 'not-git'],
    ['GET', '/r/objects/info/packs', 'not-git'],
    ['POST', '/r.git/info/lfs/objects/batch', 'not-git'],
    ['GET', '/r/INFO/REFS?service=git-upload-pack', 'not-git'],
  ])('finds nothing of git in %s %s: %s', (method, target, why) => {
    const mark = target.indexOf('?');
    const path = mark < 0 ? target : target.slice(0, mark);
    expect(classifySmartRequest(method, path, mark < 0 ? undefined : target.slice(mark + 1))).toEqual({ why });
  });
});

it.each<[GitService, HttpStep, suffix: string, type: string]>([
  [UP, 'advertisement', '/info/refs?service=git-upload-pack', 'application/x-git-upload-pack-advertisement'],
  [RECEIVE, 'advertisement', '/info/refs?service=git-receive-pack', 'application/x-git-receive-pack-advertisement'],
  [UP, 'exchange', '/git-upload-pack', 'application/x-git-upload-pack-result'],
  [RECEIVE, 'exchange', '/git-receive-pack', 'application/x-git-receive-pack-result'],
])('smartSuffix() and answerMediaType() of %s, %s', (service, step, suffix, type) => {
  expect([smartSuffix(service, step), answerMediaType(service, step)]).toEqual([suffix, type]);
});
