import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { callerHeaders, upstreamHeaders } from '../../../src/http/headers.js';

const GIT: IncomingHttpHeaders = {
  accept: '*/*',
  'accept-encoding': 'deflate, gzip',
  'accept-language': 'en',
  'cache-control': 'no-cache',
  'content-encoding': 'gzip',
  'content-type': 'application/x-git-upload-pack-request',
  'git-protocol': 'version=2',
  pragma: 'no-cache',
  'user-agent': 'git/2.39.5',
};

describe('upstreamHeaders()', () => {
  it('passes on what git sends, and asks for no sign-in page', () => {
    expect(upstreamHeaders(GIT)).toEqual({ ...GIT, 'x-tfs-fedauthredirect': 'Suppress' });
  });

  it.each([
    'authorization',
    'proxy-authorization',
    'cookie',
    'x-postern-lease',
    'x-forwarded-for',
    'x-forwarded-host',
    'x-forwarded-proto',
    'forwarded',
    'via',
    'x-real-ip',
    'x-vss-subjectdescriptor',
    'x-tfs-impersonate',
    'x-tfs-session',
    'x-vss-e2eid',
    'host',
    'connection',
    'keep-alive',
    'te',
    'trailer',
    'upgrade',
    'expect',
    'transfer-encoding',
    'content-length',
    'proxy-connection',
    'origin',
    'referer',
    'x-http-method-override',
    'x-anything-new',
  ])('never passes on %s', (name) => {
    expect(upstreamHeaders({ ...GIT, [name]: 'x' })).toEqual(upstreamHeaders(GIT));
  });

  it('does not take the wish for sign-in pages from a caller', () => {
    expect(upstreamHeaders({ 'x-tfs-fedauthredirect': 'Follow' })).toEqual({ 'x-tfs-fedauthredirect': 'Suppress' });
  });

  it('passes on no header that came more than once', () => {
    // Node's types know lists for set-cookie and unknown names only; a caller can send what it likes.
    const twice = { accept: ['a', 'b'] } as unknown as IncomingHttpHeaders;
    expect(upstreamHeaders(twice)).toEqual({ 'x-tfs-fedauthredirect': 'Suppress' });
  });
});

function answerWith(...rawHeaders: string[]): IncomingMessage {
  return { rawHeaders } as unknown as IncomingMessage; // because nothing else of it is looked at
}

describe('callerHeaders()', () => {
  it('passes on what git reads and what support asks for, in order and spelling', () => {
    const headers = ['Content-Type', 'application/x-git-upload-pack-result', 'ActivityId', 'a-1', 'X-VSS-E2EID', 'e-1', 'Retry-After', '5'];
    expect(callerHeaders(answerWith(...headers))).toEqual(headers);
  });

  it.each([
    'Set-Cookie',
    'SET-COOKIE',
    'WWW-Authenticate',
    'Proxy-Authenticate',
    'P3P',
    'Authorization',
    'X-TFS-Session',
    'X-TFS-FedAuthRedirect',
    'X-TFS-ServiceError',
    'X-VSS-ResourceTenant',
    'Strict-Transport-Security',
    'Location',
    'Connection',
    'Keep-Alive',
    'Transfer-Encoding',
    'Trailer',
    'Upgrade',
    'Server',
    'Link',
    'Alt-Svc',
    'Clear-Site-Data',
    'Access-Control-Allow-Origin',
    'X-Anything-New',
  ])('never passes on %s', (name) => {
    expect(callerHeaders(answerWith('Content-Length', '5', name, 'x', 'Date', 'd'))).toEqual(['Content-Length', '5', 'Date', 'd']);
  });

  it('passes on what is asked for besides', () => {
    const challenge = ['WWW-Authenticate', 'Negotiate', 'www-authenticate', 'NTLM', 'Set-Cookie', 'x'];
    expect(callerHeaders(answerWith(...challenge), new Set(['www-authenticate']))).toEqual(challenge.slice(0, 4));
  });
});
