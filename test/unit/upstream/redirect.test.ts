import { describe, expect, it } from 'vitest';
import { isRedirect, type RedirectedRequest, readRedirect } from '../../../src/upstream/redirect.js';
import { addressOf } from '../route.js';

const SUFFIX = '/info/refs?service=git-upload-pack';
const DOOR = 'http://127.0.0.1:8417';

function asked(also: Partial<RedirectedRequest> = {}): RedirectedRequest {
  return {
    origin: new URL('https://dev.azure.com'),
    basePath: '',
    path: `/contoso/web/_git/app${SUFFIX}`,
    suffix: SUFFIX,
    address: addressOf('dev.azure.com/contoso/web/_git/app')!,
    localHost: 'dev.azure.com',
    doorBase: DOOR,
    ...also,
  };
}

describe('readRedirect()', () => {
  it.each([
    [`https://dev.azure.com/contoso/web/_git/new${SUFFIX}`, '/contoso/web/_git/new'],
    [`https://DEV.azure.com:443/contoso/web/_git/new${SUFFIX}`, '/contoso/web/_git/new'],
    [`/contoso/web/_git/new${SUFFIX}`, '/contoso/web/_git/new'],
    [`http://dev.azure.com/contoso/web/_git/new${SUFFIX}`, '/contoso/web/_git/new'],
    [`//dev.azure.com/contoso/web/_git/new${SUFFIX}`, '/contoso/web/_git/new'],
    [`https://u:secret@dev.azure.com/contoso/web/_git/new${SUFFIX}`, '/contoso/web/_git/new'],
    [`/contoso/web/../fleet/_git/new${SUFFIX}`, '/contoso/fleet/_git/new'],
    [`https:/contoso/web/_git/new${SUFFIX}`, '/contoso/web/_git/new'],
    [`/contoso/My%20Web/_git/new${SUFFIX}`, '/contoso/My%20Web/_git/new'],
    [`/contoso/web/_git/new${SUFFIX}#part`, '/contoso/web/_git/new'],
  ])('leads %s back to the door', (location, path) => {
    expect(readRedirect(location, asked())).toEqual({ kind: 'here', location: `${DOOR}/dev.azure.com${path}${SUFFIX}` });
  });

  it.each([
    [`https://evil.example/contoso/web/_git/app${SUFFIX}`, 'evil.example'],
    [`//evil.example/contoso/web/_git/app${SUFFIX}`, 'evil.example'],
    [`\\\\evil.example/contoso/web/_git/app${SUFFIX}`, 'evil.example'],
    [`https://dev.azure.com@evil.example/contoso/web/_git/app${SUFFIX}`, 'evil.example'],
    [`https://dev.azure.com.evil.example/contoso/web/_git/app${SUFFIX}`, 'dev.azure.com.evil.example'],
    [`https://evil-dev.azure.com/contoso/web/_git/app${SUFFIX}`, 'evil-dev.azure.com'],
    [`https://dev.azure.com.:443/contoso/web/_git/app${SUFFIX}`, 'dev.azure.com.'],
    [`https://dev.azure.com:8443/contoso/web/_git/app${SUFFIX}`, 'dev.azure.com:8443'],
    [`https://contoso.visualstudio.com/web/_git/app${SUFFIX}`, 'contoso.visualstudio.com'],
    [`ftp://dev.azure.com/contoso/web/_git/app${SUFFIX}`, 'dev.azure.com'],
    [`file:///etc/passwd${SUFFIX}`, 'file:'],
    [`javascript:alert(1)//${SUFFIX}`, 'javascript:'],
  ])('does not follow %s', (location, host) => {
    expect(readRedirect(location, asked())).toEqual({ kind: 'elsewhere', host });
  });

  it.each([
    [undefined],
    ['https://'],
    ['https://[::1/x'],
    ['/contoso/_signin'],
    ['/contoso/web/_git/app/info/refs'],
    ['/contoso/web/_git/app/info/refs?service=git-receive-pack'],
    [`/contoso/web/_git/app${SUFFIX}&x=1`],
    // The address itself, which git would ask for again and again.
    [''],
    [`https://dev.azure.com/contoso/web/_git/app${SUFFIX}`],
    // A query that only ends like git's.
    [`/contoso/web/_git/new?x=${SUFFIX}`],
  ])('makes nothing of %s', (location) => {
    expect(readRedirect(location, asked()).kind).toBe('unusable');
  });

  it('takes the path of a mapped upstream off', () => {
    const mapped = asked({
      origin: new URL('https://tfs.example.com:8443/base'),
      basePath: '/base',
      path: `/base/contoso/web/_git/app${SUFFIX}`,
    });
    expect(readRedirect(`https://tfs.example.com:8443/base/contoso/web/_git/new${SUFFIX}`, mapped)).toEqual({
      kind: 'here',
      location: `${DOOR}/dev.azure.com/contoso/web/_git/new${SUFFIX}`,
    });
    expect(readRedirect(`https://tfs.example.com/base/x${SUFFIX}`, mapped)).toEqual({ kind: 'elsewhere', host: 'tfs.example.com' });
    // Behind the same origin, and not behind this route.
    for (const path of ['/other/_git/new', '/base2/_git/new', '/base/../other/_git/new']) {
      expect(readRedirect(`https://tfs.example.com:8443${path}${SUFFIX}`, mapped).kind).toBe('unusable');
    }
  });
});

it('isRedirect() knows the five that have a Location', () => {
  const found = Array.from({ length: 600 }, (_, status) => status).filter(isRedirect);
  expect([found, isRedirect(undefined)]).toEqual([[301, 302, 303, 307, 308], false]);
});
