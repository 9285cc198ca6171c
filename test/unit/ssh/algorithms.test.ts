import { describe, expect, it } from 'vitest';
import { algorithmsFor, signatureAlgorithms } from '../../../src/ssh/algorithms.js';

const all = (isLegacyAllowed: boolean): string[] => Object.values<readonly string[]>({ ...algorithmsFor([], isLegacyAllowed) }).flat();

describe('algorithmsFor()', () => {
  it('offers nothing with SHA-1, CBC or DSA unless that is allowed', () => {
    const weak = /sha1|cbc|group1-|ssh-rsa|dss|md5|arcfour|3des/;
    expect(all(false).filter((name) => weak.test(name))).toEqual([]);
    expect(all(true)).toEqual(
      expect.arrayContaining(['diffie-hellman-group14-sha1', 'diffie-hellman-group1-sha1', 'ssh-rsa', 'hmac-sha1']),
    );
  });

  it('has what Azure DevOps takes, and the fastest first', () => {
    const { kex, cipher, serverHostKey } = algorithmsFor([], false);
    expect(kex).toEqual(expect.arrayContaining(['diffie-hellman-group-exchange-sha256', 'diffie-hellman-group14-sha256']));
    expect([kex[0], cipher[0]]).toEqual(['curve25519-sha256', 'aes128-gcm@openssh.com']);
    expect(serverHostKey).toEqual(expect.arrayContaining(['rsa-sha2-256', 'rsa-sha2-512']));
  });

  it('asks first for the types of host keys that are known, in their order', () => {
    const { serverHostKey } = algorithmsFor(['ssh-rsa', 'ecdsa-sha2-nistp384', 'ssh-dss'], true);
    expect(serverHostKey.slice(0, 4)).toEqual(['rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa', 'ecdsa-sha2-nistp384']);
    expect([...serverHostKey].sort()).toEqual([...algorithmsFor([], true).serverHostKey].sort());
  });
});

describe('signatureAlgorithms()', () => {
  it('lets RSA sign with SHA-2 first, and with SHA-1 only where that is allowed', () => {
    expect(signatureAlgorithms('ssh-rsa', false)).toEqual(['rsa-sha2-256', 'rsa-sha2-512']);
    expect(signatureAlgorithms('ssh-rsa', true)).toEqual(['rsa-sha2-256', 'rsa-sha2-512', 'ssh-rsa']);
    expect(signatureAlgorithms('ssh-ed25519', true)).toEqual(['ssh-ed25519']);
  });
});
