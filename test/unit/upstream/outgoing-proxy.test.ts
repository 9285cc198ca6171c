import { describe, expect, it } from 'vitest';
import { isLoopback, outgoingProxyFor } from '../../../src/upstream/outgoing-proxy.js';
import { route } from '../route.js';

const ROUTE = route('dev.azure.com/**');
const PROXY = 'http://proxy.example.com:3128';

function proxyFor(upstream: string, environment: Readonly<Record<string, string | undefined>>, own?: URL | 'none'): string | undefined {
  return outgoingProxyFor({ ...ROUTE, proxy: own }, new URL(upstream), environment)?.href;
}

describe('outgoingProxyFor()', () => {
  it.each<[environment: Record<string, string>, proxy: string | undefined]>([
    [{}, undefined],
    [{ HTTPS_PROXY: PROXY }, `${PROXY}/`],
    [{ https_proxy: PROXY, HTTPS_PROXY: 'http://other:1' }, `${PROXY}/`],
    [{ https_proxy: '', HTTPS_PROXY: PROXY }, undefined],
    [{ ALL_PROXY: PROXY }, `${PROXY}/`],
    [{ ALL_PROXY: 'socks5://desktop:1080' }, undefined],
    [{ ALL_PROXY: 'socks5://desktop:1080', HTTPS_PROXY: PROXY }, `${PROXY}/`],
    [{ all_proxy: 'http://other:1', HTTPS_PROXY: PROXY }, `${PROXY}/`],
    [{ HTTP_PROXY: PROXY, http_proxy: PROXY }, undefined],
    [{ HTTPS_PROXY: 'proxy.example.com:3128' }, `${PROXY}/`],
    [{ HTTPS_PROXY: 'https://proxy.example.com' }, 'https://proxy.example.com/'],
  ])('with %j', (environment, proxy) => {
    expect(proxyFor('https://dev.azure.com', environment)).toBe(proxy);
  });

  it.each<[exceptions: string, upstream: string, isDirect: boolean]>([
    ['*', 'https://dev.azure.com', true],
    ['dev.azure.com', 'https://dev.azure.com', true],
    ['DEV.Azure.com', 'https://dev.azure.com', true],
    ['.azure.com', 'https://dev.azure.com', true],
    ['azure.com', 'https://dev.azure.com', true],
    ['*.azure.com', 'https://dev.azure.com', true],
    ['.dev.azure.com', 'https://dev.azure.com', true],
    ['zure.com', 'https://dev.azure.com', false],
    ['azure.com.evil.example', 'https://dev.azure.com', false],
    ['dev.azure.com', 'https://evil-dev.azure.com', false],
    ['azure', 'https://dev.azure.com', false],
    ['dev.azure.com:443', 'https://dev.azure.com', true],
    ['dev.azure.com:8443', 'https://dev.azure.com', false],
    ['tfs.example.com:8443', 'https://tfs.example.com:8443', true],
    ['a, dev.azure.com ,b', 'https://dev.azure.com', true],
    ['a dev.azure.com', 'https://dev.azure.com', true],
    [',, ,', 'https://dev.azure.com', false],
    ['10.0.0.5', 'https://10.0.0.5', true],
    ['10.0.0.5', 'https://10.0.0.50', false],
    ['', 'https://dev.azure.com', false],
  ])('NO_PROXY=%j and %s: direct %s', (exceptions, upstream, isDirect) => {
    expect(proxyFor(upstream, { HTTPS_PROXY: PROXY, NO_PROXY: exceptions })).toBe(isDirect ? undefined : `${PROXY}/`);
  });

  it('reads a bare IPv6 address in NO_PROXY as an address, not as a port', () => {
    expect(proxyFor('https://[fd00::1]:8443', { HTTPS_PROXY: PROXY, NO_PROXY: 'fd00::1' })).toBeUndefined();
    expect(proxyFor('https://[fd00::2]', { HTTPS_PROXY: PROXY, NO_PROXY: 'fd00::1' })).toBe(`${PROXY}/`);
  });

  it('takes no_proxy in lower case before that in upper case', () => {
    expect(proxyFor('https://dev.azure.com', { HTTPS_PROXY: PROXY, no_proxy: 'x', NO_PROXY: '*' })).toBe(`${PROXY}/`);
  });

  it.each(['https://localhost', 'https://127.0.0.1:8443', 'https://127.9.9.9', 'https://[::1]:8443', 'http://127.0.0.1:80'])(
    'never sends %s through a proxy of the environment',
    (upstream) => {
      expect(proxyFor(upstream, { HTTPS_PROXY: PROXY, ALL_PROXY: PROXY })).toBeUndefined();
    },
  );

  it('goes by the route before the environment', () => {
    expect(proxyFor('https://dev.azure.com', { HTTPS_PROXY: PROXY }, 'none')).toBeUndefined();
    expect(proxyFor('https://dev.azure.com', { HTTPS_PROXY: PROXY, NO_PROXY: '*' }, new URL('http://own:1'))).toBe('http://own:1/');
  });

  it.each(['socks5://proxy:1080', 'http://', 'http://a b', 'ftp://proxy'])('refuses the proxy %s', (value) => {
    expect(() => proxyFor('https://dev.azure.com', { HTTPS_PROXY: value })).toThrow(
      expect.objectContaining({ code: 'config-invalid' }) as Error,
    );
  });

  it('does not repeat the value of a variable, which may hold a password', () => {
    expect(() => proxyFor('https://dev.azure.com', { HTTPS_PROXY: 'socks5://u:hunter2@proxy' })).toThrow(/^((?!hunter2).)*$/);
  });
});

it.each([
  ['localhost', true],
  ['127.0.0.1', true],
  ['127.255.1.2', true],
  ['[::1]', true],
  ['::1', true],
  ['localhost.evil.example', false],
  ['127.0.0.1.evil.example', false],
  ['128.0.0.1', false],
  ['0.0.0.0', false],
  ['[::ffff:127.0.0.1]', false],
])('isLoopback(%s) is %s', (host, verdict) => {
  expect(isLoopback(host)).toBe(verdict);
});
