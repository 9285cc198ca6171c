/** Key pairs made by ssh-keygen, and their public halves as values. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** One line of a `.pub` file. */
export interface PublicKeyLine {
  /** `ssh-ed25519`, `ssh-rsa`, ... */
  readonly type: string;
  /** The key's own bytes (RFC 4253 section 6.6), base64. */
  readonly blob: string;
  readonly comment: string;
  /** `SHA256:` and base64 without padding. */
  readonly fingerprint: string;
  /** The line itself, without a line break. */
  readonly line: string;
}

export interface KeyPairOptions {
  readonly type: 'ed25519' | 'rsa' | 'ecdsa';
  readonly bits?: number;
  readonly comment: string;
}

/**
 * Writes `file` and `file.pub`; the private one has no passphrase.
 *
 * @throws Error that names the package when there is no ssh-keygen
 */
export async function makeKeyPair(file: string, { type, bits, comment }: KeyPairOptions): Promise<PublicKeyLine> {
  const args = ['-q', '-t', type, ...(bits === undefined ? [] : ['-b', String(bits)]), '-N', '', '-C', comment, '-f', file];
  try {
    await promisify(execFile)('ssh-keygen', args);
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code !== 'ENOENT') throw fault; // as execFile fails
    throw new Error('There is no ssh-keygen: install the package openssh-client', { cause: fault });
  }
  return readPublicKey(`${file}.pub`);
}

export async function readPublicKey(file: string): Promise<PublicKeyLine> {
  return publicKey((await readFile(file, 'utf8')).trim());
}

export function publicKey(line: string): PublicKeyLine {
  const [type = '', blob = '', ...comment] = line.split(' ');
  return { type, blob, comment: comment.join(' '), fingerprint: fingerprintOf(Buffer.from(blob, 'base64')), line };
}

/** As `ssh-keygen -l` writes it. */
export function fingerprintOf(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}
