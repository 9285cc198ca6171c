import { describe, expect, it } from 'vitest';
import { nothingSeen, type SeenAnswer, type SeenExchange } from '../../../src/identity/authority-talk.js';
import { explainEntraFailure } from '../../../src/identity/entra-failure.js';
import { TokenFailure } from '../../../src/identity/token-source.js';
import { ProxyError } from '../../../src/model/errors.js';
import type { EntraIdentity } from '../../../src/model/settings.js';

const AUTHORITY = 'https://login.contoso.example';
const common = { name: 'me', tenant: 't', clientId: 'c', authority: undefined, resource: 'r', ca: undefined, proxy: undefined };
const principal: EntraIdentity = { ...common, kind: 'client-secret', secret: { kind: 'env', name: 'S' } };
const device: EntraIdentity = { ...common, kind: 'device-code', user: undefined };
const LIBRARY = new Error('post_request_failed: interaction_required');

function seen(answer: Partial<SeenAnswer>, more: Partial<SeenExchange> = {}): SeenExchange {
  return { ...nothingSeen(), answer: { url: `${AUTHORITY}/t/oauth2/v2.0/token`, status: 400, body: '', isJson: true, ...answer }, ...more };
}
const said = (description: string, more: object = {}): Partial<SeenAnswer> => ({
  body: JSON.stringify({ error: 'invalid_grant', error_description: description, ...more }),
});
const explain = (identity: EntraIdentity, what: SeenExchange, thrown: unknown = LIBRARY): TokenFailure | ProxyError =>
  explainEntraFailure(identity, thrown, what, AUTHORITY);

describe('explainEntraFailure()', () => {
  it('reads the code that the library dropped', () => {
    expect(explain(device, seen(said('AADSTS50076: You must use multi-factor authentication. Trace ID: 1')))).toMatchObject({
      message: 'The sign-in needs a step by a person (such as multi-factor authentication) (AADSTS50076)',
      todo: 'run `postern login me`; a machine without a person needs a service principal or managed identity',
      isDefinite: true,
    });
  });

  it('says how wrong the clock is where that is the cause, and adds it elsewhere', () => {
    const late = { aheadMs: -12.4 * 60_000 };
    expect(explain(principal, seen(said('AADSTS700024: x'), late)).message).toBe(
      "The clock of this machine is 12 minutes behind the sign-in service's (AADSTS700024)",
    );
    expect(explain(principal, seen(said('AADSTS7000215: x'), late)).todo).toMatch(
      /; the clock of this machine is also 12 minutes behind the sign-in service's: set it$/,
    );
    expect(explain(principal, seen(said('AADSTS700024: x'), { aheadMs: 4.9 * 60_000 })).message).toBe(
      'The assertion is not in its time range (AADSTS700024)',
    );
    expect(explain(principal, seen(said('AADSTS700024: x'), { aheadMs: 3 * 24 * 3_600_000 })).message).toContain('3 days ahead of');
  });

  it('quotes an unknown code without what a terminal would act on, and without proofs', () => {
    const answer = said('AADSTS9999999: No\u001b[31m s3.cr"et "x" eyJhbGciOiJIUzI1NiJ9.e30.c2ln here. Trace');
    const failure = explain(principal, seen(answer, { proofs: new Set(['s3.cr"et']) }));
    expect(failure.message).toBe('The sign-in service refused (AADSTS9999999: No [31m [secret] "x" [token] here)');
    expect(failure.todo).toBe('look up AADSTS9999999 at https://login.microsoftonline.com/error?code=9999999');
    const turned = explain(principal, seen(said('AADSTS9999999: No\u202eon\u200b\u2066 x')));
    expect(turned.message).toBe('The sign-in service refused (AADSTS9999999: No on   x)');
  });

  it('knows what passes by itself, and how long the service wants to be left alone', () => {
    expect(explain(principal, seen({ status: 429, retryAfterMs: 7000 }))).toMatchObject({ isDefinite: false, retryAfterMs: 7000 });
    expect(explain(principal, seen({ status: 503, isJson: false }))).toMatchObject({ isDefinite: false });
    expect(explain(principal, seen(said('AADSTS50196: loop')))).toMatchObject({ isDefinite: false, retryAfterMs: 60_000 });
    expect(explain(principal, seen({ ...said('AADSTS9999999: x'), status: 503 }))).toMatchObject({ isDefinite: false });
    expect(explain(principal, seen(said('AADSTS7000215: x')))).toMatchObject({ isDefinite: true });
  });

  it('takes a fault of the way as it is told, and as one that may pass', () => {
    const fault = new ProxyError('upstream-tls', 'The TLS connection failed', { todo: 'look at it' });
    const failure = explain(principal, { ...nothingSeen(), fault }, new Error('endpoints_resolution_error'));
    expect(failure).toMatchObject({ message: 'The TLS connection failed', todo: 'look at it', isDefinite: false });
    expect(explain(principal, { ...nothingSeen(), fault: new ProxyError('config-invalid', 'HTTPS_PROXY') })).toMatchObject({
      isDefinite: true,
    });
  });

  it('leaves a failure that has its words already', () => {
    const own = new ProxyError('secret-unreadable', 'A secret could not be read');
    expect(explain(principal, nothingSeen(), own)).toBe(own);
  });
});
