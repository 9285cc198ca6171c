import { describe, expect, it } from 'vitest';
import { showSettings } from '../../../src/config/show-settings.js';
import { faultsOf, load } from './loading.js';

describe('listen.http.tls', () => {
  it.each([
    ['listen: { http: { address: localhost:1 } }\n', { kind: 'default' }, 'off', 'default'],
    ['listen: { http: { address: localhost:1, tls: off } }\n', { kind: 'off' }, 'off', 'F:1:46'],
    ['listen: { http: { tls: auto } }\n', { kind: 'auto' }, 'auto', 'F:1:24'],
    [
      'listen: { http: { address: localhost:1, tls: { certificate: /a/b.pem, key: /c.pem } } }\n',
      { kind: 'files', certificate: '/a/b.pem', key: '/c.pem' },
      '{ certificate: /a/b.pem, key: /c.pem }',
      'F:1:46',
    ],
  ])('%s', async (text, tls, shown, origin) => {
    const loaded = await load(text);
    expect(loaded.settings.listen.tls).toEqual(tls);
    expect(
      showSettings(loaded, { origins: true })
        .find((line) => line.startsWith('listen.http.tls: '))
        ?.replace(/ +# /, ' # '),
    ).toBe(`listen.http.tls: ${shown} # ${origin}`);
  });

  it('alone leaves the default addresses', async () => {
    expect((await load('listen: { http: { tls: auto } }\n')).settings.listen.http.map(({ host }) => host)).toEqual(['127.0.0.1', '::1']);
  });

  it.each([
    ['on', '`on` is not a kind of TLS; write `off`, `auto`, or `{ certificate: FILE, key: FILE }`'],
    ['true', 'is true or false; write `off`, `auto`, or `{ certificate: FILE, key: FILE }`'],
  ])('is not %s', async (value, text) => {
    expect(await faultsOf(`listen: { http: { address: localhost:1, tls: ${value} } }\n`)).toEqual([`F:1:46: listen.http.tls: ${text}`]);
  });

  it('tells all that is wrong with the files at once', async () => {
    expect(await faultsOf('listen: { http: { address: localhost:1, tls: { key: [x], ca: y } } }\n')).toEqual([
      'F:1:46: listen.http.tls.certificate: is missing; write the path of a PEM file',
      'F:1:53: listen.http.tls.key: is not a path; write the path of a PEM file',
      'F:1:58: listen.http.tls.ca: unknown key `ca`; the keys here are certificate, key',
    ]);
  });
});
