import { describe, expect, it } from 'vitest';
import { auditOperation } from '../../../src/store/audit-record.js';
import { redact } from '../../../src/daemon/redaction.js';
import type { Lease } from '../../../src/model/lease.js';
import { AuditRig } from './audit-rig.js';

describe('auditOperation()', () => {
  it('keeps what a decision can be made of again, and the refs with their ids', async () => {
    const rig = await AuditRig.make();
    const lease: Lease = {
      keyId: 'k1',
      caveats: [
        { id: 'aa', label: 'nightly', allow: ['push'], expiresAt: new Date(0) },
        { id: 'bb', uids: [5] },
      ],
    };
    // Whatever else a lease may come to hold: it is not written down.
    const sealed = { ...lease, seal: 'the-seal', caveats: lease.caveats.map((each) => ({ ...each, seal: 'the-seal' })) };
    const record = auditOperation(
      rig.operation({ kind: 'push', lease: sealed, refs: [{ ref: 'refs/heads/x', oldOid: '0', newOid: '1' }], refsLeftOut: 2 }),
      (text) => text,
    );
    expect(JSON.parse(JSON.stringify(record))).toMatchObject({
      operation: 'push',
      refs: [{ ref: 'refs/heads/x', old: '0', new: '1' }],
      refsLeftOut: 2,
      lease: {
        keyId: 'k1',
        label: 'nightly',
        ids: ['aa', 'bb'],
        caveats: [
          { id: 'aa', label: 'nightly', allow: ['push'], expiresAt: '1970-01-01T00:00:00.000Z' },
          { id: 'bb', uids: [5] },
        ],
      },
    });
    expect(JSON.stringify(record)).not.toContain('the-seal');
    await rig.remove();
  });

  it('takes what looks like a credential out of every text that came from outside', async () => {
    const rig = await AuditRig.make();
    const jwt = `eyJ${'a'.repeat(20)}.${'b'.repeat(20)}.${'c'.repeat(20)}`;
    const record = auditOperation(
      rig.operation({
        repository: `dev.azure.com/${jwt}`,
        address: {
          kind: 'generic',
          host: 'h',
          canonical: ['h', jwt],
          display: jwt,
          organisation: undefined,
          upstreamHost: 'h',
          path: jwt,
          mainPath: jwt,
        },
        refs: [{ ref: `refs/heads/${jwt}`, oldOid: '0', newOid: '1' }],
        activityId: jwt,
        failure: { code: 'upstream-error', what: `It said Bearer ${jwt}`, todo: 'x' },
        lease: { keyId: 'k', caveats: [{ id: 'a', label: jwt }] },
      }),
      redact,
    );
    expect(JSON.stringify(record)).not.toContain('bbbbbbbbbb');
    await rig.remove();
  });
});
