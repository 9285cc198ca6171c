import type { PeerCertificate } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { tlsFault, unreachable } from '../../../src/upstream/dial-texts.js';

const NOW = Date.parse('2026-11-21T10:00:00Z');
const route = { origin: new URL('https://tfs.example.com:8443'), proxy: undefined, timeoutMs: 1000 };
const signIn = { origin: new URL('https://login.contoso.example'), proxy: undefined, timeoutMs: 1000, isSignIn: true };

function fault(code: string, message = 'it failed', more: object = {}): Error {
  return Object.assign(new Error(message), { code, ...more });
}
function shown(more: object): PeerCertificate {
  return { subjectaltname: '', issuer: {}, valid_from: '', valid_to: '', ...more } as unknown as PeerCertificate; // what a text reads of it
}

describe('tlsFault()', () => {
  it('names the settings of whoever wanted the connection', () => {
    const code = fault('SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in certificate chain');
    expect(tlsFault(route, code, undefined, NOW)).toMatchObject({
      code: 'upstream-tls',
      message:
        'The TLS connection to tfs.example.com:8443 failed (SELF_SIGNED_CERT_IN_CHAIN: self-signed certificate in certificate chain)',
      todo: 'if the certificate is from a company authority, name its PEM file in `ca` of the route; if a proxy intercepts TLS, name that one',
    });
    expect(tlsFault(signIn, code, undefined, NOW).message).toContain('the sign-in service https://login.contoso.example failed');
    expect(tlsFault(signIn, code, undefined, NOW).todo).toContain('`ca` of the identity');
  });

  it.each([
    'login.microsoftonline.com',
    'login.microsoftonline.us',
    'login.partner.microsoftonline.cn',
    'dev.azure.com',
    'contoso.visualstudio.com',
  ])('tells that somebody opens the connection to %s', (host) => {
    const { todo } = tlsFault(
      { ...signIn, origin: new URL(`https://${host}`) },
      fault('UNABLE_TO_GET_ISSUER_CERT_LOCALLY'),
      undefined,
      NOW,
    );
    expect(todo).toContain(`something between here and ${host} opens TLS connections`);
  });

  it.each(['evilazure.com', 'azure.com.example', 'tfs.example.com'])('does not suppose so of %s', (host) => {
    const { todo } = tlsFault({ ...route, origin: new URL(`https://${host}`) }, fault('UNABLE_TO_GET_ISSUER_CERT_LOCALLY'), undefined, NOW);
    expect(todo).toContain('if the certificate is from a company authority');
  });

  it('quotes a certificate briefly, and without what a terminal would act on', () => {
    const issuer = { CN: `Corp\u001b[31m${'x'.repeat(500)}` };
    const { message } = tlsFault(route, fault('SELF_SIGNED_CERT_IN_CHAIN'), shown({ issuer }), NOW);
    expect(message).toMatch(/its certificate is from "Corp \[31mx+"\)$/);
    expect(message.length).toBeLessThan(400);
    const names = shown({ subjectaltname: 'DNS:a.example, DNS:b\u0007.example, IP Address:10.0.0.1, DNS:d.example' });
    expect(tlsFault(route, fault('ERR_TLS_CERT_ALTNAME_INVALID', 'long list'), names, NOW).message).toBe(
      'The TLS connection to tfs.example.com:8443 failed (ERR_TLS_CERT_ALTNAME_INVALID: its certificate is for a.example, b .example, 10.0.0.1, ...)',
    );
    expect(tlsFault(route, fault('ERR_TLS_CERT_ALTNAME_INVALID', 'long list'), undefined, NOW).message).toContain('is for no name');
  });

  it('says what the clock says where a certificate’s time is the trouble', () => {
    const times = shown({ valid_from: 'Dec  1 00:00:00 2026 GMT', valid_to: 'Nov  1 00:00:00 2026 GMT' });
    expect(tlsFault(signIn, fault('CERT_NOT_YET_VALID', 'certificate is not yet valid'), times, NOW)).toMatchObject({
      message:
        'The TLS connection to the sign-in service https://login.contoso.example failed (CERT_NOT_YET_VALID: certificate is not yet valid, only from 2026-12-01T00:00:00.000Z on)',
      todo: 'check the clock of this machine (it says 2026-11-21T10:00:00.000Z): it is most likely behind',
    });
    expect(tlsFault(route, fault('CERT_HAS_EXPIRED', 'certificate has expired'), times, NOW)).toMatchObject({
      message: 'The TLS connection to tfs.example.com:8443 failed (CERT_HAS_EXPIRED: certificate has expired on 2026-11-01T00:00:00.000Z)',
      todo: 'renew the certificate of the upstream, or check the clock of this machine (it says 2026-11-21T10:00:00.000Z)',
    });
  });

  it('says what OpenSSL means, not where in its source it was', () => {
    const raw = '40A7D2F1:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:../deps/openssl/ssl/record/ssl3_record.c:355:\n';
    const { message } = tlsFault(
      route,
      fault('ERR_SSL_WRONG_VERSION_NUMBER', raw, { library: 'SSL routines', reason: 'wrong version number' }),
      undefined,
      NOW,
    );
    expect(message).toContain('(ERR_SSL_WRONG_VERSION_NUMBER: wrong version number)');
  });
});

describe('unreachable()', () => {
  it('tells a name that is not known from a port where nobody listens', () => {
    expect(unreachable(signIn, fault('ENOTFOUND', 'getaddrinfo ENOTFOUND x'))).toMatchObject({
      message: 'The sign-in service https://login.contoso.example cannot be reached (getaddrinfo ENOTFOUND x)',
      todo: 'check `authority` of the identity and the DNS of this machine',
    });
    expect(unreachable(signIn, fault('ECONNREFUSED', 'connect ECONNREFUSED x')).todo).toContain('nothing listens there');
    expect(unreachable(route, fault('ENOTFOUND', 'getaddrinfo ENOTFOUND x'))).toMatchObject({
      message: 'tfs.example.com:8443 cannot be reached (getaddrinfo ENOTFOUND x)',
      todo: 'check the host name and the DNS of this machine',
    });
  });
});
