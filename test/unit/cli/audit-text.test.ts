import { describe, expect, it } from 'vitest';
import { recordLine } from '../../../src/cli/commands/audit-text.js';
import type { AuditOperation } from '../../../src/model/audit.js';

const RECORD: AuditOperation = {
  kind: 'operation',
  seq: 7,
  time: '2030-01-01T00:00:00.000Z',
  id: 1,
  caller: '127.0.0.1:5000',
  uid: 1000,
  operation: 'push',
  step: 'exchange',
  repository: 'dev.azure.com/contoso/web/app',
  identity: 'sp',
  refs: [{ ref: 'refs/heads/x', old: '0'.repeat(40), new: 'abcdef12'.padEnd(40, '0') }],
  bytesUp: 1,
  bytesDown: 2,
  ms: 3,
  verdict: 'passed',
};

describe('recordLine()', () => {
  it('says who did what, where, as whom and how it ended', () => {
    expect(recordLine('daemon', RECORD)).toBe(
      '2030-01-01T00:00:00.000Z daemon:7 passed push exchange dev.azure.com/contoso/web/app; by uid 1000 at 127.0.0.1:5000; as sp; ' +
        'refs/heads/x 00000000->abcdef12; 1 up, 2 down, 3 ms',
    );
  });

  it('names a lease by its id and label, and the code of a refusal', () => {
    const lease = { keyId: 'k', label: 'nightly', ids: ['aa', 'bb'], caveats: [] };
    const line = recordLine('daemon', { ...RECORD, lease, verdict: 'refused', code: 'ref-refused', what: 'No' });
    expect(line).toContain('; by lease bb (nightly) at ');
    expect(line).toMatch(/; ref-refused: No$/);
  });

  it('writes what a terminal would act on as an escape', () => {
    const line = recordLine('daemon', { ...RECORD, repository: 'a\u001b[2Jb\r\nc\u202ed\u009b' });
    expect(line).toContain('a\\u001b[2Jb\\u000d\\u000ac\\u202ed\\u009b');
    expect(line).not.toMatch(/[^\x20-\x7e]/);
  });
});
