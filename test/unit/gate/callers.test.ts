/**
 * Who may come in, by what each listener takes as proof.
 *
 * The attacks: another user of the machine; a request that somebody passed on, so that the user at the other end is not who
 * asks; a lease that is no good, sent by someone whom the uid alone would admit; two leases, of which one could be read.
 */
import { describe, expect, it } from 'vitest';
import { Callers, type Knock, type LeaseVerifier } from '../../../src/gate/callers.js';
import type { Entry, Peer, PeerUid } from '../../../src/model/caller.js';
import type { Lease } from '../../../src/model/lease.js';
import { Secret } from '../../../src/model/secret.js';

const LEASE = { id: 'the lease' } as unknown as Lease; // because nothing here looks into it
const verifier: LeaseVerifier = {
  verify: (text) =>
    text.reveal() === 'good' ? { kind: 'lease', lease: LEASE } : { kind: 'fault', what: 'The lease was revoked', todo: 'ask for another' },
};
const callers = new Callers({ uids: [1000, 1001, 0], keys: [], leases: verifier });

function peer(uid: PeerUid): Peer {
  return { address: '127.0.0.1:40000', ip: '127.0.0.1', uid };
}
const OWN = peer({ kind: 'known', uid: 1000 });
const OTHER = peer({ kind: 'known', uid: 12346 });
const UNKNOWN = peer({ kind: 'unknown', why: 'whoever opened the connection has left it' });
const REMOTE = peer({ kind: 'remote' });
const EVERYONE = [OWN, OTHER, UNKNOWN, REMOTE];

function knock(over: Partial<Knock> = {}): Knock {
  return {
    peer: OWN,
    lease: { kind: 'none' },
    entry: 'uid',
    forwardedBy: undefined,
    calledBy: undefined,
    hasOtherCredential: false,
    ...over,
  };
}
const lease = (text: string): Knock['lease'] => ({ kind: 'one', text: new Secret(text) });

describe('identify() of who has signed with a key', () => {
  const keyed = new Callers({ uids: [1000], keys: ['SHA256:listed'], leases: verifier });

  it('admits the holder of one that is listed, on every listener', () => {
    for (const each of EVERYONE)
      for (const entry of ['uid', 'lease'] as const)
        expect(keyed.identify(knock({ peer: each, entry, key: 'SHA256:listed' }))).toEqual({
          kind: 'key',
          peer: each,
          fingerprint: 'SHA256:listed',
        });
  });

  it('takes another one for nothing', () => {
    expect(keyed.identify(knock({ peer: OTHER, key: 'SHA256:other' }))).toMatchObject({ code: 'caller-refused' });
    expect(keyed.identify(knock({ peer: REMOTE, entry: 'lease', key: 'SHA256:other' }))).toMatchObject({ code: 'lease-required' });
    expect(callers.identify(knock({ peer: OTHER, key: 'SHA256:listed' }))).toMatchObject({ code: 'caller-refused' });
  });

  it('lets a lease count before it', () => {
    expect(keyed.identify(knock({ key: 'SHA256:listed', lease: lease('bad') }))).toMatchObject({ code: 'lease-invalid' });
    expect(keyed.identify(knock({ key: 'SHA256:listed', lease: lease('good') }))).toMatchObject({ kind: 'lease' });
  });
});

describe('identify() where the uid counts', () => {
  it('admits the own user and those who are listed, also root when it is', () => {
    for (const uid of [1000, 1001, 0])
      expect(callers.identify(knock({ peer: peer({ kind: 'known', uid }) }))).toEqual({
        kind: 'user',
        uid,
        peer: peer({ kind: 'known', uid }),
      });
  });

  it('refuses every other user, by number', () => {
    expect(callers.identify(knock({ peer: OTHER }))).toEqual({
      kind: 'refusal',
      code: 'caller-refused',
      status: 403,
      what: 'This door does not serve the local user with uid 12346',
      todo: 'use a Postern of your own, ask its owner for a lease (`postern lease create`), or to be listed in `access.uids`',
    });
    expect(
      new Callers({ uids: [1000], keys: [], leases: verifier }).identify(knock({ peer: peer({ kind: 'known', uid: 0 }) })),
    ).toMatchObject({
      code: 'caller-refused',
    });
  });

  it('refuses whoever cannot be told, and says why', () => {
    expect(callers.identify(knock({ peer: UNKNOWN }))).toMatchObject({
      code: 'caller-refused',
      status: 403,
      what: 'It cannot be told which local user asks: whoever opened the connection has left it',
    });
    expect(callers.identify(knock({ peer: REMOTE }))).toMatchObject({
      code: 'caller-refused',
      what: 'It cannot be told which local user asks: the connection is not from this machine',
    });
  });

  it('refuses the own user whose request was passed on', () => {
    expect(callers.identify(knock({ calledBy: 'build.example:8417' }))).toEqual({
      kind: 'refusal',
      code: 'caller-forwarded',
      status: 403,
      what: 'The request calls this door build.example:8417, and a web page may have that name, so the user at the other end of the connection may not know of it',
      todo: 'use 127.0.0.1 or localhost as the address, or TLS (`listen.http.tls`), or give whoever asks a lease (`postern lease create`)',
    });
    expect(callers.identify(knock({ forwardedBy: 'x-forwarded-for' }))).toMatchObject({
      code: 'caller-forwarded',
      status: 403,
      what: 'The request carries the header x-forwarded-for, so it came through something else, and the user at the other end of the connection is not who asks',
    });
  });

  it('never asks for a lease with a challenge: git would ask for a password', () => {
    for (const who of EVERYONE) expect(callers.identify(knock({ peer: who }))).not.toHaveProperty('asksForLease');
  });
});

describe('identify() where a lease is needed', () => {
  it('asks everyone for it, also the own user', () => {
    for (const who of EVERYONE)
      expect(callers.identify(knock({ peer: who, entry: 'lease' }))).toMatchObject({
        code: 'lease-required',
        status: 403,
        asksForLease: true,
      });
  });

  it('does not ask who sent something else: it would only be sent again', () => {
    const refused = callers.identify(knock({ entry: 'lease', hasOtherCredential: true }));
    expect(refused).toMatchObject({ code: 'lease-required', status: 403 });
    expect(refused).not.toHaveProperty('asksForLease');
  });
});

describe('identify() of someone with a lease', () => {
  const entries: readonly Entry[] = ['uid', 'lease', 'anyone'];

  it.each(entries)('takes a good one from whoever it is, also passed on (%s)', (entry) => {
    for (const who of EVERYONE)
      expect(callers.identify(knock({ peer: who, entry, lease: lease('good'), forwardedBy: 'via', calledBy: 'build.example' }))).toEqual({
        kind: 'lease',
        peer: who,
        lease: LEASE,
        text: new Secret('good'),
      });
  });

  it.each(entries)('refuses one that is no good whoever has it, and never falls back on the uid (%s)', (entry) => {
    for (const who of EVERYONE)
      expect(callers.identify(knock({ peer: who, entry, lease: lease('bad') }))).toMatchObject({
        code: 'lease-invalid',
        status: 403,
        what: 'The lease was revoked',
        todo: 'ask for another',
      });
  });

  it.each(entries)('refuses what can be read in two ways (%s)', (entry) => {
    expect(callers.identify(knock({ entry, lease: { kind: 'unclear', what: 'The request carries more than one lease' } }))).toMatchObject({
      code: 'lease-invalid',
      what: 'The request carries more than one lease',
    });
  });
});

it('identify() admits everyone, and by no name, where the configuration says so', () => {
  for (const who of EVERYONE)
    expect(callers.identify(knock({ peer: who, entry: 'anyone', forwardedBy: 'via' }))).toEqual({ kind: 'anyone', peer: who });
});
