/** The bytes in captures/ are real pushes; their README says how they were made. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FLUSH_PACKET, writePacket } from '../../../src/git/pkt-line.js';
import { PushEnd, type PushState } from '../../../src/git/push-end.js';
import { CommandListReader, type CommandList } from '../../../src/git/receive-pack.js';
import { cutAt, places, single } from '../../support/chunks.js';
import { trapPack } from '../../support/trap-pack.js';

function capture(name: string): Buffer {
  return readFileSync(join(import.meta.dirname, 'captures', `${name}.bin`));
}

function listOf(bytes: Buffer): CommandList {
  const reader = new CommandListReader();
  reader.push(bytes);
  return reader.list!;
}

/** The state after each byte. */
function states(bytes: Buffer): PushState[] {
  const end = new PushEnd(listOf(bytes));
  return single(bytes).map((byte) => {
    end.push(byte);
    return end.state;
  });
}

const NONE = '0'.repeat(40);
const ONE = 'c29b3412b24ec135f9768f86f67e8fec1e3fa62e';

function push(commands: readonly string[], capabilities: string, ...rest: Buffer[]): Buffer {
  const [first, ...others] = commands;
  return Buffer.concat([writePacket(`${first!}\0${capabilities}`), ...others.map((line) => writePacket(line)), FLUSH_PACKET, ...rest]);
}

describe('PushEnd', () => {
  it.each(['create', 'update-delete-tag', 'options', 'shallow', 'signed', 'sha256'])('finds the end of %s, and none before', (name) => {
    const bytes = capture(name);
    const found = states(bytes);
    expect(found.at(-1)).toBe('possible');
    expect(found.slice(0, -1).every((state) => state === 'open')).toBe(true);
  });

  it('knows that nothing follows deletions', () => {
    const found = states(capture('delete-only'));
    expect(found.at(-1)).toBe('over');
    expect(found.slice(0, -1).every((state) => state === 'open')).toBe(true);
  });

  it('waits for the options of deletions', () => {
    const bytes = push(
      [`${ONE} ${NONE} refs/heads/a`, `${ONE} ${NONE} refs/heads/b`],
      'report-status push-options',
      writePacket('a=b'),
      FLUSH_PACKET,
    );
    const found = states(bytes);
    expect(found.at(-1)).toBe('over');
    expect(found.filter((state) => state !== 'open')).toHaveLength(1);
  });

  it('tells what comes behind deletions, in the same chunk or the next', () => {
    const bytes = push([`${ONE} ${NONE} refs/heads/a`], 'report-status');
    for (const more of ['0', '0000', 'PACK']) {
      const at = new PushEnd(listOf(bytes));
      at.push(Buffer.concat([bytes, Buffer.from(more)]));
      expect(at.state).toBe('beyond');
      const later = new PushEnd(listOf(bytes));
      later.push(bytes);
      later.push(Buffer.from(more));
      expect(later.state).toBe('beyond');
    }
  });

  it('does not depend on where the push is cut', () => {
    const { bytes, trap } = trapPack('sha1');
    const before = push([`${NONE} ${ONE} refs/heads/a`, `${ONE} ${NONE} refs/heads/b`], 'push-options', writePacket('a=b'), FLUSH_PACKET);
    const all = Buffer.concat([before, bytes]);
    fc.assert(
      fc.property(
        places,
        fc.constantFrom(before.length, before.length + trap - 1, before.length + trap, before.length + trap + 1, all.length),
        (cuts, length) => {
          const end = new PushEnd(listOf(before));
          for (const chunk of cutAt(all.subarray(0, length), cuts)) end.push(chunk);
          expect(end.state).toBe(length === before.length + trap || length === all.length ? 'possible' : 'open');
        },
      ),
    );
  });
});
