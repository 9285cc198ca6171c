/** What proves who asks goes to the sign-in service that was configured, and to nobody whom an answer names. */
import { describe, expect, it } from 'vitest';
import { authorityOf, otherOriginsOf } from '../../../src/identity/authority.js';
import { authorityTalk } from '../../../src/identity/authority-talk.js';
import { TokenFailure } from '../../../src/identity/token-source.js';
import { ProxyError } from '../../../src/model/errors.js';
import type { SignInAnswer, SignInRequest } from '../../../src/model/sign-in.js';

const AUTHORITY = 'https://login.contoso.example';
const NOW = Date.parse('2026-11-21T10:00:00Z');

function talkWith(answer: Partial<SignInAnswer> | Error, others: readonly string[] = []) {
  const sent: SignInRequest[] = [];
  const talk = authorityTalk({
    send: (request) => {
      sent.push(request);
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve({ status: 200, headers: {}, body: '{}', ...answer });
    },
    way: { ca: undefined, proxy: undefined },
    authority: AUTHORITY,
    others,
    now: () => NOW,
  });
  return { talk, sent };
}

const post = (url: string, body = 'client_secret=s3cret'): SignInRequest => ({ method: 'POST', url: new URL(url), headers: {}, body });

describe('authorityTalk()', () => {
  it.each([
    'https://login.elsewhere.example/t/token',
    'http://login.contoso.example/t/token',
    'https://login.contoso.example:8443/t/token',
    'https://login.contoso.example.evil.example/t/token',
    'https://sub.login.contoso.example/t/token',
  ])('sends nothing to %s', async (url) => {
    const { talk, sent } = talkWith({});
    await expect(talk.exchange(post(url))).rejects.toThrow(`sends on to ${new URL(url).origin}, and nothing is sent there`);
    expect(sent).toEqual([]);
  });

  it('sends to the authority, and to what else is meant', async () => {
    const { talk, sent } = talkWith({}, ['https://dev.azure.com']);
    await talk.exchange(post(`${AUTHORITY}/t/oauth2/v2.0/token`));
    await talk.exchange(post('https://dev.azure.com/oidc'));
    expect(sent).toHaveLength(2);
  });

  it.each([301, 302, 303, 307, 308])('gives a redirect (%i) to nobody who would follow it', async (status) => {
    const { talk } = talkWith({ status, headers: { location: 'https://evil.example/token?code=of-theirs' }, body: '' });
    const fault: unknown = await talk.exchange(post(`${AUTHORITY}/t/token`)).catch((thrown: unknown) => thrown);
    expect(fault).toBeInstanceOf(TokenFailure);
    expect(String(fault)).toContain(`redirects to https://evil.example (status ${status})`);
    expect(String(fault)).not.toContain('of-theirs');
    expect(talk.seen.fault).toBe(fault);
  });

  it('notes what a failure is explained with, and no token', async () => {
    const headers = { date: 'Sat, 21 Nov 2026 09:48:00 GMT', 'retry-after': '7' };
    const { talk } = talkWith({ status: 400, headers, body: '{"error":"x"}' });
    await talk.exchange(post(`${AUTHORITY}/t/token`, 'client_secret=s3cret&refresh_token=r%2Fr&scope=y'));
    expect(talk.seen).toMatchObject({
      answer: { status: 400, body: '{"error":"x"}', isJson: true, retryAfterMs: 7000 },
      fault: undefined,
      aheadMs: 12 * 60_000,
    });
    expect([...talk.seen.proofs]).toEqual(['s3cret', 'r/r']);
    const good = talkWith({ body: '{"access_token":"t0ken"}' }).talk;
    await good.exchange(post(`${AUTHORITY}/t/token`));
    expect(JSON.stringify(good.seen)).not.toContain('t0ken');
  });

  it('takes the time of nothing but a sign-in service', async () => {
    const { talk } = talkWith({ headers: { date: 'Sat, 21 Nov 2020 09:48:00 GMT' }, body: '<html>' });
    await talk.exchange(post(`${AUTHORITY}/t/token`));
    expect(talk.seen).toMatchObject({ aheadMs: undefined, answer: { isJson: false } });
  });

  it('notes the latest fault, and forgets it when an answer comes', async () => {
    const fault = new ProxyError('upstream-unreachable', 'no way');
    const { talk } = talkWith(fault);
    await expect(talk.exchange(post(`${AUTHORITY}/t/token`))).rejects.toBe(fault);
    expect(talk.seen).toMatchObject({ fault, answer: undefined });
  });

  it.each([
    ['5', 5000],
    ['Sat, 21 Nov 2026 10:00:30 GMT', 30_000],
    ['Sat, 21 Nov 2020 10:00:30 GMT', 0],
    ['soon', undefined],
    ['-5', undefined],
  ])('reads Retry-After: %s', async (text, ms) => {
    const { talk } = talkWith({ status: 429, headers: { 'retry-after': text } });
    await talk.exchange(post(`${AUTHORITY}/t/token`));
    expect(talk.seen.answer?.retryAfterMs).toBe(ms);
  });
});

describe('authorityOf()', () => {
  it('is the identity’s own, else that of the environment, else the public cloud', () => {
    const environment = { AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us/' };
    expect(authorityOf({ authority: AUTHORITY }, environment)).toBe(AUTHORITY);
    expect(authorityOf({ authority: undefined }, environment)).toBe('https://login.microsoftonline.us');
    expect(authorityOf({ authority: undefined }, { AZURE_AUTHORITY_HOST: '' })).toBe('https://login.microsoftonline.com');
    expect(authorityOf({ authority: undefined }, {})).toBe('https://login.microsoftonline.com');
  });

  it.each([
    'http://login.example',
    'login.example',
    'https://u:p@login.example',
    'https://login.example/tenant',
    'https://login.example/?x',
  ])('takes no %s from the environment', (text) => {
    expect(() => authorityOf({ authority: undefined }, { AZURE_AUTHORITY_HOST: text })).toThrow('is not an https origin');
  });
});

describe('otherOriginsOf()', () => {
  const environment = { SYSTEM_OIDCREQUESTURI: 'https://dev.azure.com/contoso/x/_apis/oidctoken' };
  it('is where a job of Azure Pipelines proves itself, for that kind alone', () => {
    expect(otherOriginsOf({ kind: 'azure-pipelines' }, environment)).toEqual(['https://dev.azure.com']);
    expect(otherOriginsOf({ kind: 'azure-pipelines' }, { SYSTEM_OIDCREQUESTURI: 'http://dev.azure.com/x' })).toEqual([]);
    expect(otherOriginsOf({ kind: 'client-secret' }, environment)).toEqual([]);
  });
});
