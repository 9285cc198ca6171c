/**
 * Promise: a lease that came with a request is judged, in whatever form it came, and never goes upstream; what cannot be read in
 * one way is refused.
 */
import type { IncomingMessage } from 'node:http';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { mintLease, narrowLease } from '../../../src/gate/lease-seal.js';
import { takeLease } from '../../../src/http/presented-lease.js';
import { Secret } from '../../../src/model/secret.js';

const LEASE = 'ptl1_AQAQ-_MDAwMDAwMDAwMDAwMGFh';
const OTHER = 'ptl1_AQAQOTk5OTk5';

const KEY = { id: '0123456789abcdef', key: new Secret(Buffer.alloc(32, 1).toString('base64')) };
const id = (digit: string): string => digit.repeat(16);
const WIDE = mintLease(KEY.id, KEY.key, { id: id('a'), allow: ['fetch', 'lfs'] });
const NARROW = narrowLease(WIDE, { id: id('b'), allow: ['lfs'] });
const NARROWER = narrowLease(NARROW, { id: id('c'), expiresAt: new Date(0) });
/** Narrowed from the same, in another way. */
const BESIDE = narrowLease(WIDE, { id: id('d'), allow: ['fetch'] });
/** With the same caveats as the first, of another key. */
const STRANGE = mintLease('fedcba9876543210', KEY.key, { id: id('a'), allow: ['fetch', 'lfs'] });

type Headers = Pick<IncomingMessage, 'headers' | 'headersDistinct'>;

/** Headers as node hands them out: joined or first in `headers`, each by itself in `headersDistinct`. */
function request(...headers: readonly (readonly [string, string])[]): Headers {
  const made: Headers = { headers: {}, headersDistinct: {} };
  for (const [name, value] of headers) {
    made.headers[name.toLowerCase()] ??= value;
    (made.headersDistinct[name.toLowerCase()] ??= []).push(value);
  }
  return made;
}

function basic(text: string, encoding: 'base64' | 'base64url' = 'base64'): readonly [string, string] {
  return ['Authorization', `Basic ${Buffer.from(text).toString(encoding)}`];
}

/** The lease, or why there is none to be judged. */
function taken(made: Headers): string {
  const { lease } = takeLease(made);
  return lease.kind === 'one' ? lease.text.reveal() : lease.kind;
}

describe('takeLease()', () => {
  it.each<[what: string, headers: readonly (readonly [string, string])[]]>([
    ['the header', [['X-Postern-Lease', LEASE]]],
    ['the header in another case, with blanks', [['x-postern-LEASE', `  ${LEASE} `]]],
    ['Basic as password', [basic(`git:${LEASE}`)]],
    ['Basic as password, base64url', [basic(`git:${LEASE}`, 'base64url')]],
    ['Basic as password, without padding', [['Authorization', basic(`a:${LEASE}`)[1].replace(/=+$/, '')]]],
    ['Basic as password, without user', [basic(`:${LEASE}`)]],
    ['Basic as user', [basic(`${LEASE}:`)]],
    ['Basic as user, without colon', [basic(LEASE)]],
    ['Basic as user, with another password', [basic(`${LEASE}:x-oauth-basic`)]],
    ['Basic as both', [basic(`${LEASE}:${LEASE}`)]],
    ['Basic with colons behind it', [basic(`git:${LEASE}::`)]],
    ['Basic in another case, with more blanks', [['authorization', basic(`git:${LEASE}`)[1].replace('Basic ', 'bAsIc  \t')]]],
    ['Bearer', [['Authorization', `Bearer ${LEASE}`]]],
    ['the header and the same as password', [['X-Postern-Lease', LEASE], basic(`git:${LEASE}`)]],
    ['the header beside another credential', [['X-Postern-Lease', LEASE], basic('dana:secret')]],
  ])('finds it in %s', (_what, headers) => {
    expect(taken(request(...headers))).toBe(LEASE);
  });

  it.each<[what: string, headers: readonly (readonly [string, string])[]]>([
    [
      'two headers that differ',
      [
        ['X-Postern-Lease', LEASE],
        ['X-Postern-Lease', OTHER],
      ],
    ],
    ['a header and another password', [['X-Postern-Lease', LEASE], basic(`git:${OTHER}`)]],
    ['user and password that differ', [basic(`${LEASE}:${OTHER}`)]],
    ['two Authorizations', [basic(`git:${LEASE}`), basic(`git:${OTHER}`)]],
    ['no scheme', [['Authorization', LEASE]]],
    ['another scheme', [['Authorization', `token ${LEASE}`]]],
    ['Digest', [['Authorization', `Digest username="${LEASE}"`]]],
    ['the middle of a password', [basic(`git:x${LEASE}`)]],
    ['a password with something before a colon', [basic(`git:a:${LEASE}`)]],
    ['base64 under another scheme', [['Authorization', basic(`git:${LEASE}`)[1].replace('Basic', 'Negotiate')]]],
  ])('refuses to choose: %s', (_what, headers) => {
    const made = request(...headers);
    expect(taken(made)).toBe('unclear');
    expect(made.headers.authorization).toBeUndefined();
  });

  it('gives what only looks like a lease to be judged, and refused', () => {
    expect(taken(request(['X-Postern-Lease', '']))).toBe('');
    expect(taken(request(['X-Postern-Lease', 'hello']))).toBe('hello');
    expect(taken(request(['X-Postern-Lease', `${LEASE}, ${OTHER}`]))).toBe(`${LEASE}, ${OTHER}`);
    expect(taken(request(basic('git:ptl1_')))).toBe('ptl1_');
  });

  it('leaves another credential where it is, and says that there was one', () => {
    for (const header of [
      basic('dana:secret'),
      ['Authorization', 'Bearer eyJ.x.y'] as const,
      ['Authorization', 'NTLM TlRMTVNTUAAB'] as const,
    ]) {
      const made = request(header);
      expect(takeLease(made)).toEqual({ lease: { kind: 'none' }, hasOtherCredential: true });
      expect(made.headers.authorization).toBe(header[1]);
    }
    expect(takeLease(request())).toEqual({ lease: { kind: 'none' }, hasOtherCredential: false });
  });

  it('leaves no header with anything of a lease in it, however it was wrapped', () => {
    const noise = fc.stringMatching(/^[ -~]{0,12}$/);
    const shape = fc.constantFrom<(text: string, a: string, b: string) => string>(
      (text, a, b) => `Basic ${Buffer.from(a + text + b).toString('base64')}`,
      (text, a, b) => `Basic ${Buffer.from(a + text + b).toString('base64url')}`,
      (text, a, b) => `${a.replaceAll(' ', '')} ${text}${b}`,
      (text, a, b) => `Bearer ${a}${text}${b}`,
    );
    fc.assert(
      fc.property(shape, noise, noise, (wrap, a, b) => {
        const made = request(['Authorization', wrap(LEASE, a, b)], ['X-Postern-Lease', LEASE]);
        const { lease, hasOtherCredential } = takeLease(made);
        expect(made.headers).toEqual({});
        expect(hasOtherCredential).toBe(false);
        expect(lease.kind).not.toBe('none');
      }),
    );
  });
});

describe('takeLease(), of a lease and what it was narrowed to', () => {
  const sent = (...leases: readonly Secret[]): Headers => request(...leases.map((each) => ['X-Postern-Lease', each.reveal()] as const));

  it.each([
    ['behind it', [WIDE, NARROW], NARROW],
    ['before it', [NARROW, WIDE], NARROW],
    ['several times over', [NARROW, NARROWER, WIDE], NARROWER],
  ])('takes what it was narrowed to, %s', (_what, leases, expected) => {
    expect(taken(sent(...leases))).toBe(expected.reveal());
  });

  it('takes it from a header beside a password, and leaves neither', () => {
    const made = request(['X-Postern-Lease', NARROW.reveal()], basic(`git:${WIDE.reveal()}`));
    expect(taken(made)).toBe(NARROW.reveal());
    expect(made.headers).toEqual({});
  });

  it.each([
    ['of two that were narrowed apart', [NARROW, BESIDE]],
    ['of two and what both came from', [NARROW, WIDE, BESIDE]],
    ['of two that were narrowed apart, one of them further', [BESIDE, NARROWER]],
    ['of two keys', [STRANGE, NARROW]],
    ['when one cannot be read', [NARROW, new Secret(LEASE)]],
  ])('takes none %s', (_what, leases) => {
    expect(taken(sent(...leases))).toBe('unclear');
  });
});
