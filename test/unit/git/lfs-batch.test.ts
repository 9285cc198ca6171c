/** Batch bodies: what is read is what goes up, and no address of the upstream's comes down as it was. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type BatchRequest,
  MOST_OBJECTS,
  readBatchRequest,
  rewriteBatchAnswer,
  type UpstreamAction,
  writeBatchRequest,
} from '../../../src/git/lfs-batch.js';

const OID = 'ab'.repeat(32);
const OTHER = 'cd'.repeat(32);
const NOW = Date.parse('2026-11-21T10:00:00Z');

const bytes = (value: unknown): Buffer => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value), 'utf8');

function request(more: Readonly<Record<string, unknown>> = {}): Buffer {
  return bytes({ operation: 'download', transfers: ['lfs-standalone-file', 'basic'], objects: [{ oid: OID, size: 3 }], ...more });
}

describe('readBatchRequest()', () => {
  it('reads what git-lfs sends', () => {
    expect(readBatchRequest(request({ ref: { name: 'refs/heads/main' }, hash_algo: 'sha256' }))).toEqual({
      operation: 'download',
      objects: [{ oid: OID, size: 3 }],
      ref: 'refs/heads/main',
    });
  });

  it.each([
    ['it is no JSON object', bytes('[]')],
    ['it is no JSON object', bytes('{')],
    ['it is no JSON object', Buffer.from([0x7b, 0xff, 0x7d])],
    ['`operation` is neither', request({ operation: 'Upload' })],
    ['`operation` is neither', request({ operation: undefined })],
    ['`hash_algo` is not sha256', request({ hash_algo: 'sha512' })],
    ['does not offer `basic`', request({ transfers: ['ssh'] })],
    ['`objects` is no list', request({ objects: { 0: OID } })],
    ['has no oid', request({ objects: [{ oid: `${OID}0`, size: 1 }] })],
    ['has no oid', request({ objects: [{ oid: '../../x', size: 1 }] })],
    ['has no oid', request({ objects: [{ oid: OID, size: -1 }] })],
    ['has no oid', request({ objects: [{ oid: OID, size: 1.5 }] })],
    ['has no oid', request({ objects: [null] })],
    ['more than', request({ objects: Array.from({ length: MOST_OBJECTS + 1 }, () => ({ oid: OID, size: 1 })) })],
    ['the name of `ref`', request({ ref: { name: 7 } })],
  ])('refuses what %s', (what, body) => {
    expect(readBatchRequest(body)).toContain(what);
  });

  it('leaves nothing for a reader that looks at other keys, or at the first of two', () => {
    const text = `{"operation":"upload","Operation":"upload","operation":"download","OBJECTS":[],"objects":[{"oid":"${OID}","size":1,"Oid":"${OTHER}"}]}`;
    const read = readBatchRequest(bytes(text)) as BatchRequest;
    expect(read.operation).toBe('download');
    expect(writeBatchRequest(read).toString()).toBe(
      `{"operation":"download","transfers":["basic"],"objects":[{"oid":"${OID}","size":1}],"hash_algo":"sha256"}`,
    );
  });

  it('is the twin of writeBatchRequest()', () => {
    const oid = fc.stringMatching(/^[0-9a-f]{64}$/);
    const object = fc.record({ oid, size: fc.maxSafeNat() });
    const any = fc.record({
      operation: fc.constantFrom('download' as const, 'upload' as const),
      objects: fc.array(object, { maxLength: 5 }),
      ref: fc.option(fc.string({ maxLength: 100 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(any, (asked) => {
        expect(readBatchRequest(writeBatchRequest(asked))).toEqual(asked);
      }),
    );
  });
});

describe('rewriteBatchAnswer()', () => {
  const asked: BatchRequest = { operation: 'upload', objects: [{ oid: OID, size: 3 }], ref: undefined };
  const there = 'https://dev.azure.com/contoso/Payments/_git/web/info/lfs/objects/x';

  function rewrite(answer: unknown, as: BatchRequest = asked): { objects: Record<string, unknown>[]; seen: [string, UpstreamAction][] } {
    const seen: [string, UpstreamAction][] = [];
    const written = rewriteBatchAnswer(JSON.stringify(answer), as, NOW, (_object, action, given) => {
      seen.push([action, given]);
      return given.href.includes('bad') ? { code: 502, message: 'no' } : { href: 'http://door', header: { a: 'b' }, expiresIn: 60 };
    });
    const { objects } = JSON.parse((written ?? Buffer.from('{"objects":[]}')).toString()) as { objects: Record<string, unknown>[] };
    return { objects, seen };
  }

  it('gives every action another address, and keeps none of its headers', () => {
    const { objects, seen } = rewrite({
      transfer: 'basic',
      objects: [
        {
          oid: OID.toUpperCase(),
          size: 3,
          secret: 'x',
          actions: {
            upload: {
              href: there,
              header: { Authorization: 'RemoteAuth x', 'Transfer-Encoding': 'chunked', 'bad name': 'x', n: 7 },
              expires_in: 10,
            },
            verify: { href: there, expires_at: '2026-11-21T10:00:05Z' },
            download: { href: there },
          },
        },
      ],
    });
    const action = { href: 'http://door', header: { a: 'b' }, expires_in: 60, expires_at: '2026-11-21T10:01:00.000Z' };
    expect(objects).toEqual([{ oid: OID, size: 3, authenticated: true, actions: { upload: action, verify: action } }]);
    expect(seen).toEqual([
      [
        'upload',
        { href: there, header: { authorization: 'RemoteAuth x', 'transfer-encoding': 'chunked' }, expiresAt: new Date(NOW + 10_000) },
      ],
      ['verify', { href: there, header: {}, expiresAt: new Date(NOW + 5_000) }],
    ]);
  });

  it('takes a time of nought for none', () => {
    const { seen } = rewrite({
      objects: [{ oid: OID, size: 3, actions: { upload: { href: there, expires_in: 0, expires_at: '0001-01-01T00:00:00Z' } } }],
    });
    expect(seen[0]?.[1].expiresAt).toBeUndefined();
  });

  it('leaves out what was not asked for', () => {
    expect(rewrite({ objects: [{ oid: OTHER, size: 3, actions: { upload: { href: there } } }, null, 'x'] }).objects).toEqual([]);
    expect(rewrite({ objects: [{ oid: OID, size: 3, actions: { download: { href: there } } }] }).objects).toEqual([
      { oid: OID, size: 3, authenticated: true },
    ]);
  });

  it('puts an error in the place of an object one of whose addresses leads nowhere', () => {
    const actions = { upload: { href: there }, verify: { href: 'https://bad.example/' } };
    expect(rewrite({ objects: [{ oid: OID, size: 3, actions }] }).objects).toEqual([
      { oid: OID, size: 3, error: { code: 502, message: 'no' } },
    ]);
    expect(rewrite({ objects: [{ oid: OID, size: 3, actions: { upload: {} } }] }).objects[0]?.['error']).toMatchObject({ code: 502 });
  });

  it('passes on the error of an object, fit to be printed, and none of its actions', () => {
    const error = { code: 413, message: 'too \u001b[31mlarge\u202e' };
    expect(rewrite({ objects: [{ oid: OID, size: 3, error, actions: { upload: { href: there } } }] }).objects).toEqual([
      { oid: OID, size: 3, error: { code: 413, message: 'too large' } },
    ]);
    expect(rewrite({ objects: [{ oid: OID, size: 3, error: { code: 'x' } }] }).objects[0]?.['error']).toEqual({
      code: 500,
      message: 'the upstream gives no reason',
    });
  });

  it.each([
    ['no JSON', '<html>'],
    ['a list', '[]'],
    ['no objects', '{"message":"x"}'],
    ['another transfer', '{"transfer":"tus","objects":[]}'],
  ])('is undefined for %s', (_, text) => {
    expect(rewriteBatchAnswer(text, asked, NOW, () => ({ code: 1, message: '' }))).toBeUndefined();
  });
});
