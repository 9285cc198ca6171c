/** Challenges as Azure DevOps and Entra write them, and as somebody would who wants to be taken for them. */
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { bearerChallenges, readChallenges } from '../../../src/upstream/challenges.js';
import { challengedClaims, isClaimsChallenge } from '../../../src/upstream/claims-challenge.js';

const CLAIMS = '{"access_token":{"nbf":{"essential":true,"value":"1893456000"}}}';
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const base64url = (text: string): string => Buffer.from(text).toString('base64url');
const challenge = (claims: string): string => `Bearer error="insufficient_claims", claims="${claims}"`;
/** Both alphabets differ in it, and it is not a multiple of three bytes long. */
const ODD = '{"access_token":{"acrs":{"value":"\u00fb\u00ff\u00fe?>~"}}}';

describe('challengedClaims()', () => {
  it.each<[what: string, header: string, claims: string | undefined]>([
    ['alone', challenge(base64(CLAIMS)), CLAIMS],
    ['without quotes', `Bearer claims=${base64(CLAIMS)}`, CLAIMS],
    ['base64url without padding', challenge(base64url(ODD)), ODD],
    ['base64 with padding, unquoted', `Bearer claims=${base64(ODD)}, Basic realm="x"`, ODD],
    [
      'as Azure DevOps has them, beside other schemes',
      `Bearer authorization_uri=https://login.microsoftonline.com/t, error="insufficient_claims", claims="${base64(CLAIMS)}", Basic realm="https://tfs/", TFS-Federated`,
      CLAIMS,
    ],
    ['behind other schemes', `Negotiate, NTLM TlRMTVNTUAAC==, Basic realm="a, b", ${challenge(base64(CLAIMS))}`, CLAIMS],
    ['in any case and with blanks', `bEARER  CLAIMS = "${base64(CLAIMS)}"`, CLAIMS],
    ['in the first Bearer challenge that can be read', `Bearer claims="%%", ${challenge(base64(CLAIMS))}`, CLAIMS],
    ['the first of two', `${challenge(base64(CLAIMS))}, ${challenge(base64('{}'))}`, CLAIMS],
    ['the first of a name that comes twice', `Bearer claims="${base64(CLAIMS)}", claims="${base64('{}')}"`, CLAIMS],
    ['escaped in quotes', `Bearer realm="\\"", claims="${base64(CLAIMS)}"`, CLAIMS],
    ['in the text of another scheme', `Basic realm="Bearer claims=${base64(CLAIMS)}"`, undefined],
    ['in the text of another parameter', `Bearer realm="x, claims=${base64(CLAIMS)}"`, undefined],
    ['of another scheme', `Basic claims="${base64(CLAIMS)}"`, undefined],
    ['of a scheme that only begins so', `Bearer-like claims="${base64(CLAIMS)}"`, undefined],
    ['of a parameter that only ends so', `Bearer my_claims="${base64(CLAIMS)}"`, undefined],
    ['before any scheme', `claims="${base64(CLAIMS)}"`, undefined],
    ['behind a quote that does not end', `Basic realm="x, Bearer claims=${base64(CLAIMS)}, Bearer claims=${base64(CLAIMS)}`, undefined],
    ['not JSON', challenge(base64('not json')), undefined],
    ['no object', challenge(base64('["a"]')), undefined],
    ['null', challenge(base64('null')), undefined],
    ['not base64', challenge('***'), undefined],
    ['empty', 'Bearer claims=""', undefined],
    ['huge', challenge(base64(`{"a":"${'x'.repeat(4096)}"}`)), undefined],
    ['none', 'Bearer authorization_uri=https://login.microsoftonline.com/t', undefined],
  ])('%s', (_, header, claims) => {
    expect(challengedClaims(header)).toBe(claims);
  });

  it('of no header are none', () => {
    expect(challengedClaims(undefined)).toBeUndefined();
    expect(isClaimsChallenge(undefined)).toBe(false);
  });
});

test.each<[header: string, is: boolean]>([
  ['Bearer error="insufficient_claims"', true],
  ['Bearer error=Insufficient_Claims', true],
  ['Bearer claims="not readable"', true],
  ['Bearer error="invalid_token"', false],
  ['Basic error="insufficient_claims"', false],
  ['Basic realm="Bearer claims=x"', false],
])('isClaimsChallenge() of %s: %s', (header, is) => {
  expect(isClaimsChallenge(header)).toBe(is);
});

describe('readChallenges()', () => {
  it('reads what Azure DevOps sends, three lines joined', () => {
    const header =
      'Bearer authorization_uri=https://login.microsoftonline.com/7e57ab1e-0001-4e57-9e57-c0ffee000001, Basic realm="https://tfsprodweu1.visualstudio.com/", TFS-Federated';
    expect(readChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)])).toEqual([
      ['bearer', { authorization_uri: 'https://login.microsoftonline.com/7e57ab1e-0001-4e57-9e57-c0ffee000001' }],
      ['basic', { realm: 'https://tfsprodweu1.visualstudio.com/' }],
      ['tfs-federated', {}],
    ]);
  });

  it('gives back whatever challenges were written by the grammar', () => {
    const token = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/);
    const text = fc.string({ unit: 'grapheme-ascii', maxLength: 20 });
    const one = fc.record({ scheme: token, parameters: fc.dictionary(token, text, { minKeys: 1, maxKeys: 4 }) });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 4 }), (all) => {
        const quote = (value: string): string => `"${value.replace(/["\\]/g, '\\$&')}"`;
        const header = all
          .map(
            ({ scheme, parameters }) =>
              `${scheme} ${Object.entries(parameters)
                .map(([name, value]) => `${name}=${quote(value)}`)
                .join(', ')}`,
          )
          .join(', ');
        expect(
          readChallenges(header).map(({ scheme, parameters }) => ({ scheme, parameters: { ...Object.fromEntries(parameters) } })),
        ).toEqual(all.map(({ scheme, parameters }) => ({ scheme, parameters: { ...parameters } })));
      }),
    );
  });

  it('takes any text, in no more time than it is long', () => {
    const piece = fc.constantFrom('Bearer', ' ', ',', '=', '"', '\\', 'claims', 'a', '\t', '==', '/', '\u00e4');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        expect(Array.isArray(bearerChallenges(pieces.join('')))).toBe(true);
      }),
    );
    for (const hostile of ['"', 'a ', 'a=', '\\"', 'a\t', '=', ', ', 'a="']) {
      const startedAt = performance.now();
      readChallenges(`Bearer ${hostile.repeat(60_000)}`);
      expect(performance.now() - startedAt, hostile).toBeLessThan(2_000);
    }
  });
});
