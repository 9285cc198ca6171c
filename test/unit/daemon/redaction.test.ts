import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LONGEST_TEXT, redact } from '../../../src/daemon/redaction.js';

const JWT = 'eyJhbGciOiJub25lIn0.eyJhdWQiOiI0OTliODRhYy0xMzIxIn0.c2lnbmF0dXJl';
const OLD_PAT = 'abcdefghijklmnopqrstuvwxyz234567abcdefghijklmnopqrst';
const NEW_PAT = `${'aB3'.repeat(25)}xAZDOq9Z1`;

describe('redact()', () => {
  it.each([
    [`token ${JWT}`, 'token [jwt]'],
    [`"${JWT}",`, '"[jwt]",'],
    ['unsigned eyJhbGciOiJub25lIn0.eyJhdWQiOiI0OTli.', 'unsigned [jwt]'],
    [`Authorization: Bearer ${JWT}`, 'Authorization: [credential]'],
    ['authorization: bearer abcdefgh12', 'authorization: [credential]'],
    ['Proxy-Authorization: Digest username="u", response="0a"', 'Proxy-Authorization: [credential]'],
    ['"x-postern-lease": "abc"', '"x-postern-lease": [credential]'],
    ['the lease ptl1_AQAQMDAw-_x was', 'the lease [lease] was'],
    ['POSTERN_LEASE=ptl1_AQAQMDAw', 'POSTERN_LEASE=[lease]'],
    [`x${Buffer.from('ptl1_AQAQMDAw').toString('base64')}`, 'x[lease]'],
    ['sent bearer abcdefgh12', 'sent bearer [credential]'],
    [`TOKEN_${JWT}`, 'TOKEN_[jwt]'],
    [`TOKEN_${OLD_PAT}`, 'TOKEN_[pat]'],
    [`TOKEN_${NEW_PAT}_x`, 'TOKEN_[pat]_x'],
    ['eyJhbGciOiJkaXIiLCJlbmMi..aXY.Y2lwaGVy.dGFn', '[jwt]'],
    ['Basic OmFiY2RlZmdoaWo=', 'Basic [credential]'],
    ['Negotiate YIIZ+abc/def==', 'Negotiate [credential]'],
    [`pat ${OLD_PAT}.`, 'pat [pat].'],
    [`pat=${NEW_PAT}`, 'pat=[pat]'],
    ['https://user:hunter2@dev.azure.com/x', 'https://[userinfo]@dev.azure.com/x'],
    ['https://u:p/w@dev.azure.com/x', 'https://[userinfo]@dev.azure.com/x'],
    ['https://u:a@b@dev.azure.com/x', 'https://[userinfo]@dev.azure.com/x'],
    ['https://hunter2@dev.azure.com/x', 'https://[userinfo]@dev.azure.com/x'],
    ['grant_type=client_credentials&client_secret=hunter2~&scope=x', 'grant_type=client_credentials&client_secret=[credential]&scope=x'],
    ['{"access_token":"hunter2","expires_in":3599}', '{"access_token":"[credential]","expires_in":3599}'],
    ["{'refresh_token': 'hunter2'}", "{'refresh_token': '[credential]'}"],
    ['password = hunter2', 'password = [credential]'],
    [`two: ${JWT} ${JWT}`, 'two: [jwt] [jwt]'],
  ])('takes the credential out of %s', (text, clean) => {
    expect(redact(text)).toBe(clean);
  });

  it('cuts what is too long to be looked at, and no credential in half', () => {
    const text = `${'x'.repeat(LONGEST_TEXT - 60 - 1)} ${NEW_PAT} after`;
    expect(redact(text)).toBe(`${'x'.repeat(LONGEST_TEXT - 61)}  [cut]`);
  });

  it.each([
    'https://dev.azure.com/contoso/web/_git/app',
    'git@ssh.dev.azure.com:v3/contoso/web/app',
    'c29b3412b24ec135f9768f86f67e8fec1e3fa62e',
    '13dc67485038ac7268fb5d2b53db49381dc5f4a9e98f3b9186a518bc52c4501a',
    'ActivityId 0f8fad5b-d9cb-469f-a165-70867728950e',
    'SHA256:ohD8VZEXGWo6Ez8GSEJQ9WpafgLFsOfLOtGGQCQo6Og',
    'route dev.azure.com/contoso/**, identity me',
    'The token has already ended',
    'TF401019: The Git repository with name or identifier app does not exist',
    '',
  ])('leaves %j as it is', (text) => {
    expect(redact(text)).toBe(text);
  });

  const base64url = (least: number, most: number): fc.Arbitrary<string> =>
    fc.stringMatching(new RegExp(`^[A-Za-z0-9_-]{${least},${most}}$`));
  const jwt = fc.tuple(base64url(10, 40), base64url(10, 80), base64url(0, 60)).map(([head, body, seal]) => `eyJ${head}.eyJ${body}.${seal}`);
  const oldPat = fc.stringMatching(/^[a-z2-7]{52}$/);
  const newPat = fc
    .tuple(fc.stringMatching(/^[A-Za-z0-9]{76}$/), fc.stringMatching(/^[A-Za-z0-9]{4}$/))
    .map(([head, tail]) => `${head}AZDO${tail}`);
  const around = fc.constantFrom(' ', '"', "'", '=', ':', ',', '(', '\n', '/', '&', '[', ';', '@', '\u00e9');

  it.each([
    ['a JWT', jwt],
    ['a PAT of 52', oldPat],
    ['a PAT of 84', newPat],
  ])('leaves nothing of %s, whatever stands around it', (_what, secret) => {
    fc.assert(
      fc.property(secret, around, around, (text, before, after) => {
        const clean = redact(`x${before}${text}${after}y`);
        // Eight in a row would be a piece of it.
        for (let at = 0; at + 8 <= text.length; at++) expect(clean).not.toContain(text.slice(at, at + 8));
      }),
    );
  });

  it.each([
    ['Bearer', base64url(8, 60)],
    ['Basic', fc.base64String({ minLength: 8, maxLength: 60 })],
  ])('leaves nothing after %s', (scheme, secret) => {
    fc.assert(
      fc.property(secret, (text) => {
        expect(redact(`authorization: ${scheme} ${text}`)).not.toContain(text);
      }),
    );
  });

  it('changes nothing when it is done twice', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(jwt, oldPat, newPat, around, fc.string()), { maxLength: 6 }), (pieces) => {
        const clean = redact(pieces.join(''));
        expect(redact(clean)).toBe(clean);
      }),
    );
  });
});
