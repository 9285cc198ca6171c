import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AdvertisementReader } from '../../../src/git/advertisement.js';
import { writePacket } from '../../../src/git/pkt-line.js';
import type { GitService } from '../../../src/model/operation.js';
import { cutAt, places } from '../../support/chunks.js';

const ONE = 'c29b3412b24ec135f9768f86f67e8fec1e3fa62e';
const FETCH: GitService = 'git-upload-pack';
const PUSH: GitService = 'git-receive-pack';

/** Lines as packets; an empty one is a flush. */
function lines(...texts: readonly string[]): Buffer {
  return Buffer.concat(texts.map((text) => (text === '' ? Buffer.from('0000') : writePacket(Buffer.from(text, 'latin1')))));
}

function read(service: GitService, chunks: readonly Buffer[]): { out: string; state: string; reader: AdvertisementReader } {
  const reader = new AdvertisementReader(service);
  const out = Buffer.concat(chunks.map((chunk) => reader.push(chunk))).toString('latin1');
  return { out, state: reader.state, reader };
}

const ROWS: [name: string, service: GitService, came: Buffer, goes: Buffer, version: number, capabilities: string[]][] = [
  [
    'version 0',
    FETCH,
    lines(
      '# service=git-upload-pack\n',
      '',
      `${ONE} HEAD\0multi_ack thin-pack no-done symref=HEAD:refs/heads/m\n`,
      `${ONE} refs/heads/\xe4\n`,
      '',
    ),
    lines(`${ONE} HEAD\0multi_ack thin-pack symref=HEAD:refs/heads/m\n`, `${ONE} refs/heads/\xe4\n`, ''),
    0,
    ['multi_ack', 'thin-pack', 'no-done', 'symref=HEAD:refs/heads/m'],
  ],
  [
    'version 1',
    FETCH,
    lines('# service=git-upload-pack', '', 'version 1\n', `${ONE} HEAD\0no-done a\n`, `shallow ${ONE}`, ''),
    lines('version 1\n', `${ONE} HEAD\0a\n`, `shallow ${ONE}`, ''),
    1,
    ['no-done', 'a'],
  ],
  [
    'version 2 as git sends it',
    FETCH,
    lines('version 2\n', 'fetch=shallow no-done\n', ''),
    lines('version 2\n', 'fetch=shallow no-done\n', ''),
    2,
    [],
  ],
  [
    'version 2 under a service',
    FETCH,
    lines('# service=git-upload-pack\n', '', 'version 2\n', 'ls-refs\n', ''),
    lines('version 2\n', 'ls-refs\n', ''),
    2,
    [],
  ],
  [
    'a push',
    PUSH,
    lines('# service=git-receive-pack\n', '', `${ONE} refs/heads/m\0no-done atomic\n`, ''),
    lines(`${ONE} refs/heads/m\0no-done atomic\n`, ''),
    0,
    ['no-done', 'atomic'],
  ],
  ['nothing at all', FETCH, lines('# service=git-upload-pack\n', '', ''), lines(''), 0, []],
  ['no service', FETCH, lines(`${ONE} HEAD\0a`, ''), lines(`${ONE} HEAD\0a`, ''), 0, ['a']],
];

describe('AdvertisementReader', () => {
  it.each(ROWS)('reads %s, wherever it is cut', (_, service, came, goes, version, capabilities) => {
    fc.assert(
      fc.property(places, (cuts) => {
        const { out, state, reader } = read(service, cutAt(came, cuts));
        expect(out).toBe(goes.toString('latin1'));
        expect(state).toBe('whole');
        expect(reader.advertised).toEqual({ version, capabilities: new Set(capabilities) });
      }),
      { numRuns: 40 },
    );
  });

  it.each(ROWS)('is open at every cut of %s', (_, service, came) => {
    for (let length = 0; length < came.length; length++) expect(read(service, [came.subarray(0, length)]).state).toBe('open');
  });

  it('drops what follows the end', () => {
    const [, , came, goes] = ROWS[0]!;
    expect(read(FETCH, [came, Buffer.from('0005x'), Buffer.from('zzzz')]).out).toBe(goes.toString('latin1'));
  });

  it('passes an error on, and tells it', () => {
    const { out, state } = read(FETCH, [lines('# service=git-upload-pack\n', '', 'ERR no such repository\n')]);
    expect([out, state]).toEqual([lines('ERR no such repository\n').toString(), 'error']);
  });

  it.each<[string, Buffer]>([
    ['a page', Buffer.from('<html>')],
    ['another service', lines('# service=git-receive-pack\n', '')],
    ['no flush behind the service', lines('# service=git-upload-pack\n', `${ONE} HEAD\0a\n`)],
    ['a delimiter in version 0', Buffer.concat([lines(`${ONE} HEAD\0a\n`), Buffer.from('0001')])],
  ])('refuses %s', (_, bytes) => {
    expect(() => read(FETCH, [bytes])).toThrow(SyntaxError);
  });
});
