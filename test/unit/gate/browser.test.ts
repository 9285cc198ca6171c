/**
 * The attacks: a page that makes its visitor's browser ask the daemon (a form, an image, fetch), and a page whose own name
 * is made to lead to 127.0.0.1 (DNS rebinding), which the browser then takes for the same site.
 */
import { describe, expect, it } from 'vitest';
import { refuseBrowser } from '../../../src/gate/browser.js';

const NAMES = new Set(['127.0.0.1:8417', 'localhost:8417', '[::1]:8417']);

function refusal(headers: Readonly<Record<string, string>>): string | undefined {
  return refuseBrowser((name) => headers[name], { names: NAMES, dialed: undefined })?.code;
}

describe('refuseBrowser()', () => {
  it.each([
    [{ host: '127.0.0.1:8417' }],
    [{ host: 'localhost:8417' }],
    [{ host: 'LOCALHOST:8417' }],
    [{ host: '[::1]:8417' }],
    // Node's own fetch sends this one, and it is no browser.
    [{ host: '127.0.0.1:8417', 'sec-fetch-mode': 'cors' }],
    [{ host: '127.0.0.1:8417', 'user-agent': 'git/2.39.5', accept: '*/*' }],
  ])('lets %j pass', (headers) => {
    expect(refusal(headers)).toBeUndefined();
  });

  it.each([
    [{}],
    [{ host: '' }],
    [{ host: 'evil.example:8417' }],
    [{ host: 'evil.example' }],
    [{ host: '127.0.0.1' }],
    [{ host: '127.0.0.1:80' }],
    [{ host: '127.0.0.1:8417.evil.example' }],
    [{ host: 'localhost.:8417' }],
    [{ host: '127.1:8417' }],
    [{ host: '0.0.0.0:8417' }],
    [{ host: 'dev.azure.com' }],
    [{ host: '127.0.0.1:8417, evil.example' }],
  ])('refuses %j as sent to another name', (headers) => {
    expect(refusal(headers)).toBe('request-not-ours');
  });

  it.each([
    ['origin', 'https://evil.example'],
    ['origin', 'null'],
    ['origin', ''],
    ['origin', 'http://127.0.0.1:8417'],
    ['sec-fetch-site', 'cross-site'],
    ['sec-fetch-site', 'none'],
    ['sec-fetch-site', 'same-origin'],
    ['sec-fetch-dest', 'image'],
    ['sec-fetch-dest', 'empty'],
  ])('refuses a request with %s: %j', (name, value) => {
    expect(refusal({ host: '127.0.0.1:8417', [name]: value })).toBe('request-from-browser');
  });

  it('is told with 403, what to do, and nothing of what the page sent', () => {
    const found = refuseBrowser((name) => (name === 'host' ? 'evil.example' : undefined), { names: NAMES, dialed: undefined });
    expect(found).toMatchObject({
      status: 403,
      todo: 'use one of 127.0.0.1:8417, localhost:8417, [::1]:8417 as the address, or add a name to `listen.http.names`',
    });
    expect(JSON.stringify(found)).not.toContain('evil');
  });

  it.each([
    ['10.88.0.1:8417', '10.88.0.1:8417', undefined],
    ['[fd00::1]:8417', '[FD00::1]:8417', undefined],
    ['10.88.0.1:8417', 'localhost:8417', undefined],
    ['10.88.0.1:8417', '10.88.0.2:8417', 'request-not-ours'],
    ['10.88.0.1:8417', '10.88.0.1', 'request-not-ours'],
    ['10.88.0.1:8417', '10.88.0.1.evil.example:8417', 'request-not-ours'],
    ['10.88.0.1:8417', 'host.containers.internal:8417', 'request-not-ours'],
  ])('on a connection made to %s takes %s as: %s', (dialed, host, code) => {
    expect(refuseBrowser((name) => ({ host })[name], { names: NAMES, dialed })?.code).toBe(code);
  });
});
