import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redact } from '../../../src/daemon/redaction.js';
import { oddityOf } from '../../../src/identity/pat-shape.js';
import { Secret } from '../../../src/model/secret.js';

const OLD = 'abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst';
const NEW = `${'aB3'.repeat(25)}xAZDOq9Z1`;
const what = (text: string): string | undefined => oddityOf(new Secret(text))?.what;

describe('oddityOf()', () => {
  it.each([OLD, NEW])('finds nothing odd in %s', (token) => {
    expect(what(token)).toBeUndefined();
  });

  it.each([
    ['7d1f6f70-0a4c-4b0e-9d8f-6f0d2a6d2f11', 'is a GUID'],
    ['{7D1F6F70-0a4c-4b0e-9d8f-6f0d2a6d2f11}', 'is a GUID'],
    [`"${OLD}"`, 'stands in quotation marks'],
    [`'${NEW}'`, 'stands in quotation marks'],
    [`{"token": "${OLD}"}`, 'is a JSON document'],
    [`["${OLD}"]`, 'is a JSON document'],
    [`Basic ${Buffer.from(`:${OLD}`).toString('base64')}`, 'is an Authorization header'],
    [`Authorization: Bearer ${OLD}`, 'is an Authorization header'],
    [` ${OLD}`, 'has blanks around it'],
    [`${NEW}\t`, 'has blanks around it'],
    ['the token is not here', 'has blanks in it'],
    ['$(AZURE_PAT)', 'is the name of a variable or a placeholder'],
    ['${AZURE_PAT}', 'is the name of a variable or a placeholder'],
    ['%AZURE_PAT%', 'is the name of a variable or a placeholder'],
    ['<your token>', 'has blanks in it'],
    ['<token>', 'is the name of a variable or a placeholder'],
    ['eyJhbGciOiJub25lIn0.eyJhdWQiOiI0OTliODRhYy0xMzIxIn0.c2lnbmF0dXJl', 'is an Entra token'],
    ['ptl1_AQAQMDAw-_x', 'is a lease of Postern'],
    ['ghp_0123456789abcdefghijABCDEFGHIJ012345', 'is a token of another git host'],
    ['abc8Q~0123456789abcdefghijABCDEFGHIJ.01', 'is the secret of an app registration'],
    ['https://dev.azure.com/contoso', 'is a URL'],
    [Buffer.from(`PAT:${NEW}`).toString('base64'), 'is a token in base64'],
    [Buffer.from(`:${OLD}`).toString('base64'), 'is a token in base64'],
    [OLD.slice(1), 'has not the form of a personal access token (52 or 84 letters and digits; it has 51 characters)'],
    [`${OLD}a`, 'it has 53 characters'],
    [NEW.replace('AZDO', 'AZDX'), 'it has 84 characters'],
    [`${OLD.slice(0, -1)}1`, 'it has 52 characters'],
    ['hunter2', 'it has 7 characters'],
  ])('says of %s what it looks like', (text, words) => {
    expect(what(text)).toContain(words);
  });

  it('repeats no part of what it looked at', () => {
    const odd = fc.oneof(fc.string({ minLength: 1, unit: 'binary-ascii' }), fc.uuid(), fc.json(), fc.base64String({ minLength: 8 }));
    fc.assert(
      fc.property(odd, (text) => {
        const oddity = oddityOf(new Secret(`${text}Zq9`));
        if (oddity === undefined) return;
        expect(`${oddity.what} ${oddity.todo}`).not.toContain(`${text}Zq9`);
      }),
    );
  });

  it('knows the forms that the redaction of logs takes out', () => {
    for (const token of [OLD, NEW]) {
      expect(what(token)).toBeUndefined();
      expect(redact(`x=${token};`)).toBe('x=[pat];');
      expect(redact(`"${token}" '${token}' (${token})`)).toBe('"[pat]" \'[pat]\' ([pat])');
    }
  });
});
