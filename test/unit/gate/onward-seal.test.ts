/**
 * Promise: an address of the door that was given to a client is good as it is, or not at all. The attack: a client that changes, cuts,
 * joins or makes up what is sealed, to have the door ask somewhere else, for something else, or for longer.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LONGEST_SEAL, type OnwardKeys, OnwardSeal, type OnwardTarget } from '../../../src/gate/onward-seal.js';
import { Secret } from '../../../src/model/secret.js';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const TARGET: OnwardTarget = {
  url: 'https://contoso.blob.core.windows.net/lfs/1?sig=a-signature',
  method: 'GET',
  action: 'download',
  route: 'dev.azure.com/**',
  canonical: ['dev.azure.com', 'contoso', 'payments', 'web'],
  oid: 'a'.repeat(64),
  expiresAt: new Date('2030-01-01T01:00:00Z'),
  headers: { 'x-ms-blob-type': 'BlockBlob' },
};

/** Root keys of leases: each id is of 16 hex digits, each key of 32 equal bytes. */
function keys(...held: readonly (readonly [id: string, byte: number])[]): OnwardKeys {
  return {
    ids: held.map(([id]) => id),
    keyOf: (id) => {
      const byte = held.find(([known]) => known === id)?.[1];
      return byte === undefined ? undefined : new Secret(Buffer.alloc(32, byte).toString('base64'));
    },
  };
}
const ONE = ['0000000000000001', 1] as const;
const TWO = ['0000000000000002', 2] as const;

function sealed(seal: OnwardSeal, target: OnwardTarget = TARGET): string {
  const text = seal.seal(target);
  if (text === undefined) throw new Error('it could not be sealed');
  return text;
}

describe.each([
  ['a key of the process', () => new OnwardSeal(undefined)],
  ['a key of leases', () => new OnwardSeal(keys(ONE, TWO))],
])('OnwardSeal with %s', (_, make) => {
  it('gives back what it sealed, whatever that is', () => {
    const seal = make();
    const text = fc.string({ unit: 'binary', maxLength: 200 });
    const target = fc.record({
      url: fc.webUrl(),
      method: fc.constantFrom('GET', 'HEAD', 'PUT', 'POST'),
      action: fc.constantFrom('download', 'upload', 'verify', 'get'),
      route: text,
      canonical: fc.array(text, { maxLength: 6 }),
      oid: fc.option(text, { nil: undefined }),
      expiresAt: fc.date({ noInvalidDate: true }),
      headers: fc.dictionary(text, text, { maxKeys: 4 }).map((map) => ({ ...map })),
    });
    fc.assert(
      fc.property(target, (each) => {
        expect(seal.open(sealed(seal, each))).toEqual(each);
      }),
    );
  });

  it('opens no text with one character changed, wherever', () => {
    const seal = make();
    const text = sealed(seal);
    for (let at = 0; at < text.length; at += 1) {
      const other = ALPHABET[(ALPHABET.indexOf(text.charAt(at)) + 1 + (at % 62)) % 64] ?? '';
      expect(seal.open(text.slice(0, at) + other + text.slice(at + 1)), `at ${at}`).toBeUndefined();
    }
    // Of the last character each other one: some of its bits stand for nothing.
    for (const last of ALPHABET) expect(seal.open(text.slice(0, -1) + last) !== undefined).toBe(last === text.at(-1));
  });

  it('opens no text that was cut, lengthened, repeated, joined or written in another way', () => {
    const seal = make();
    const text = sealed(seal);
    const other = sealed(seal, { ...TARGET, url: 'https://contoso.blob.core.windows.net/lfs/2' });
    for (let length = 0; length < text.length; length += 1) expect(seal.open(text.slice(0, length))).toBeUndefined();
    for (const odd of [`${text}A`, `${text}AAAA`, text + text, `${text}=`, `${text}==`, ` ${text}`, `${text}\n`, `${text}%3D`, `-${text}`])
      expect(seal.open(odd), odd).toBeUndefined();
    expect(seal.open(Buffer.from(text, 'base64url').toString('base64'))).toBeUndefined();
    // Behind the id of the key, which both begin with.
    for (let at = 12; at < text.length; at += 7) expect(seal.open(text.slice(0, at) + other.slice(at))).toBeUndefined();
  });

  it('opens nothing that was made up', () => {
    const seal = make();
    const text = sealed(seal);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(seal.open(Buffer.from(bytes).toString('base64url'))).toBeUndefined();
      }),
    );
    // With the id of a true key, which anybody can read.
    const id = Buffer.from(text, 'base64url').subarray(0, 8);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(seal.open(Buffer.concat([id, bytes]).toString('base64url'))).toBeUndefined();
      }),
    );
  });

  it('shows nothing of what it sealed, and seals one thing in another way each time', () => {
    const seal = make();
    const bytes = Buffer.from(sealed(seal), 'base64url').toString('latin1');
    for (const part of ['blob', 'a-signature', 'BlockBlob', 'payments', 'aaaa']) expect(bytes).not.toContain(part);
    expect(sealed(seal)).not.toBe(sealed(seal));
  });

  it('seals nothing that would not fit into an address', () => {
    const seal = make();
    expect(seal.seal({ ...TARGET, url: `https://a.example/${'x'.repeat(LONGEST_SEAL)}` })).toBeUndefined();
    expect(seal.open('A'.repeat(LONGEST_SEAL + 1))).toBeUndefined();
  });

  it('is not opened by another', () => {
    expect(new OnwardSeal(undefined).open(sealed(make()))).toBeUndefined();
    expect(new OnwardSeal(keys(['0000000000000001', 9])).open(sealed(make()))).toBeUndefined();
  });
});

describe('OnwardSeal', () => {
  it('is opened by another daemon, or the next one, with the same keys', () => {
    expect(new OnwardSeal(keys(ONE)).open(sealed(new OnwardSeal(keys(ONE))))).toEqual(TARGET);
  });

  it('is opened after the key was changed for a new one, until the old one is given up', () => {
    const text = sealed(new OnwardSeal(keys(ONE)));
    expect(new OnwardSeal(keys(TWO, ONE)).open(text)).toEqual(TARGET);
    expect(new OnwardSeal(keys(TWO)).open(text)).toBeUndefined();
  });

  it('without keys outlasts a change of the configuration, also one that brings keys', () => {
    const first = new OnwardSeal(undefined);
    const text = sealed(first);
    expect(new OnwardSeal(keys(ONE), new OnwardSeal(undefined, first)).open(text)).toEqual(TARGET);
  });

  it('is bound to the id of its key, also where two ids have one key', () => {
    const text = Buffer.from(sealed(new OnwardSeal(keys(ONE))), 'base64url');
    text.write(TWO[0], 0, 'hex');
    expect(new OnwardSeal(keys(ONE, ['0000000000000002', 1])).open(text.toString('base64url'))).toBeUndefined();
  });
});
