/**
 * What is offered to an SSH host: a short modern list, and what servers before 2020 need only where a route allows it.
 *
 * Source: RFC 9142 (key exchange), RFC 8332 (RSA with SHA-2), RFC 5647 (AES-GCM); Azure DevOps Services takes
 * diffie-hellman-group-exchange-sha256, and Azure DevOps Server 2019 nothing better than group14 with SHA-1.
 */

const KEX = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'ecdh-sha2-nistp521',
  'diffie-hellman-group-exchange-sha256',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group18-sha512',
  'diffie-hellman-group14-sha256',
] as const;
const LEGACY_KEX = ['diffie-hellman-group-exchange-sha1', 'diffie-hellman-group14-sha1', 'diffie-hellman-group1-sha1'] as const;

/** AES-GCM first: it is the fastest, and needs no MAC. Azure's offer is not known to have it, so that CTR stays. */
const CIPHERS = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'chacha20-poly1305@openssh.com',
  'aes256-ctr',
  'aes192-ctr',
  'aes128-ctr',
] as const;
const LEGACY_CIPHERS = ['aes256-cbc', 'aes128-cbc'] as const;

const MACS = ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'] as const;
const LEGACY_MACS = ['hmac-sha1'] as const;

const HOST_KEYS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const;
const LEGACY_HOST_KEYS = ['ssh-rsa'] as const;

/** Names that the SSH client knows. */
export interface Algorithms {
  readonly kex: ((typeof KEX)[number] | (typeof LEGACY_KEX)[number])[];
  readonly cipher: ((typeof CIPHERS)[number] | (typeof LEGACY_CIPHERS)[number])[];
  readonly hmac: ((typeof MACS)[number] | (typeof LEGACY_MACS)[number])[];
  readonly serverHostKey: ((typeof HOST_KEYS)[number] | (typeof LEGACY_HOST_KEYS)[number])[];
  /** Packs are compressed already. */
  readonly compress: 'none'[];
}

/** What to offer a host of which keys of `knownTypes` are known, best first: one of those should be shown, if it has it. */
export function algorithmsFor(knownTypes: readonly string[], isLegacyAllowed: boolean): Algorithms {
  const hostKeys: Algorithms['serverHostKey'] = [...HOST_KEYS, ...(isLegacyAllowed ? LEGACY_HOST_KEYS : [])];
  const rank = (algorithm: string): number => {
    const at = knownTypes.indexOf(algorithm.startsWith('rsa-sha2-') ? 'ssh-rsa' : algorithm);
    return at < 0 ? knownTypes.length : at;
  };
  return {
    kex: [...KEX, ...(isLegacyAllowed ? LEGACY_KEX : [])],
    cipher: [...CIPHERS, ...(isLegacyAllowed ? LEGACY_CIPHERS : [])],
    hmac: [...MACS, ...(isLegacyAllowed ? LEGACY_MACS : [])],
    // Sorting keeps the order of equals.
    serverHostKey: hostKeys.sort((a, b) => rank(a) - rank(b)),
    compress: ['none'],
  };
}

/**
 * How a key of `type` may sign, in the order in which it is tried: RSA with SHA-2, because with SHA-1 whoever answers could get a
 * signature that is good elsewhere. What the server says of the algorithms that it takes is not needed: it says no to the others.
 */
export function signatureAlgorithms(type: string, isLegacyAllowed: boolean): readonly string[] {
  if (type !== 'ssh-rsa') return [type];
  return ['rsa-sha2-256', 'rsa-sha2-512', ...(isLegacyAllowed ? ['ssh-rsa'] : [])];
}
