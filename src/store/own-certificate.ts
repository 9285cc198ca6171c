/**
 * The certificate of Postern's own authority, and the three files behind it in the state directory:
 *
 *   door-ca-key.pem   0600  the authority's key, made once
 *   door-ca.pem       0644  its certificate: what a git client has to trust
 *   door-leaf.pem     0600  what the door shows: key and certificate in one file, so that they are always a pair
 *
 * Everything but the first can be made again from it. The daemon and `postern setup` may both come here first, at once: the key
 * is made by whoever's file gets the name, and two certificates of one key are as good as one.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { link, lstat, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import type { DoorCertificate } from '../model/ports.js';
import { Secret } from '../model/secret.js';
import { makeDirectory, temporaryBeside, writeFileAtomic } from './atomic-file.js';
import type { Validity } from './door-authority.js';
import { writeNameConstraints } from './name-constraints.js';
import { isOthers } from './private-file.js';

const DAY_MS = 86_400_000;
/** Copies of the authority's certificate may lie in images and mounts, so it lives long; its key never leaves the directory. */
const AUTHORITY_LIFE_MS = 3650 * DAY_MS;
/** Short, because nobody has to do anything for the next one. */
const LEAF_LIFE_MS = 90 * DAY_MS;
/** A third of the life is left for a daemon that is off, or a disk that is full, when the time for renewal comes. */
const RENEWED_AT = 2 / 3;
/** A container or a machine of somebody else may have a clock behind ours. */
const BACKDATED_MS = DAY_MS;

const AUTHORITY_KEY = 'door-ca-key.pem';
const AUTHORITY = 'door-ca.pem';
const LEAF = 'door-leaf.pem';

export interface OwnCertificateRequest {
  /** The state directory; made if need be. */
  readonly directory: string;
  /** DNS names and IP literals that the certificate is to be good for. */
  readonly names: readonly string[];
  /** ms since the epoch. */
  readonly now: number;
}

export interface OwnCertificate extends DoorCertificate {
  readonly expiresAt: Date;
  /** What had to be made for it; `authority` means that copies of its certificate elsewhere are to be replaced. */
  readonly made: 'nothing' | 'leaf' | 'authority';
}

/** The file with the authority's certificate, whether it is there or not. */
export function authorityFile(directory: string): string {
  return join(directory, AUTHORITY);
}

/**
 * The door's certificate as it is kept, or a new one when there is none, it has two thirds of its life behind it, it is for other
 * names, or it is broken.
 * @throws ProxyError `certificate-unusable` when a file cannot be read or written, is open to others, or the key is none
 */
export async function ownCertificate(request: OwnCertificateRequest): Promise<OwnCertificate> {
  return understood(request.directory, async () => {
    const authority = await authorityFor(request);
    const file = join(request.directory, LEAF);
    const kept = readLeaf(await readPrivate(file), authority.certificate, request);
    const made = authority.isNew ? 'authority' : 'leaf';
    if (kept !== undefined) return { ...kept, made: authority.isNew ? made : 'nothing' };
    const { makeLeaf } = await import('./door-authority.js');
    // Of the authority's own life a third is always left, which is longer.
    const validity = { from: request.now - BACKDATED_MS, to: request.now + LEAF_LIFE_MS };
    const { key, certificate } = await makeLeaf(authority, sorted(request.names), validity);
    await writeFileAtomic(file, `${key}${certificate}\n`, { mode: 0o600, force: true });
    return { key: new Secret(key), certificate, expiresAt: new Date(validity.to), made };
  });
}

/**
 * Makes sure that the authority is there, and gives the path of its certificate: for who has to name the file before the daemon
 * has ever run.
 * @throws ProxyError as `ownCertificate`
 */
export async function ensureAuthority(request: OwnCertificateRequest): Promise<string> {
  await understood(request.directory, () => authorityFor(request));
  return authorityFile(request.directory);
}

async function authorityFor({
  directory,
  names,
  now,
}: OwnCertificateRequest): Promise<{ key: string; certificate: string; isNew: boolean }> {
  await makeDirectory(directory);
  await refuseShared(directory);
  const key = await authorityKey(join(directory, AUTHORITY_KEY));
  const file = authorityFile(directory);
  const kept = await readIfThere(file);
  if (kept !== undefined && isAuthorityFor(kept, key, sorted(names), now)) return { key, certificate: kept, isNew: false };
  const { makeAuthority } = await import('./door-authority.js');
  const certificate = `${await makeAuthority(key, sorted(names), { from: now - BACKDATED_MS, to: now + AUTHORITY_LIFE_MS })}\n`;
  await writeFileAtomic(file, certificate, { mode: 0o644, force: true });
  return { key, certificate, isNew: true };
}

/** The authority's key; the one that stands there, also when it was put there a moment ago by another process. */
async function authorityKey(file: string): Promise<string> {
  const kept = await readPrivate(file);
  if (kept !== undefined) {
    createPrivateKey(kept);
    return kept;
  }
  const { makeKey } = await import('./door-authority.js');
  const key = await makeKey();
  const temporary = temporaryBeside(file);
  await writeFileAtomic(temporary, key, { mode: 0o600 });
  try {
    // Unlike rename(2), link(2) never takes the place of what is there.
    await link(temporary, file);
    return key;
  } catch (thrown) {
    if (systemCodeOf(thrown) !== 'EEXIST') throw thrown;
    return (await readPrivate(file)) ?? key;
  } finally {
    await unlink(temporary);
  }
}

function isAuthorityFor(pem: string, key: string, names: readonly string[], now: number): boolean {
  try {
    const certificate = new X509Certificate(pem);
    return (
      certificate.checkPrivateKey(createPrivateKey(key)) &&
      certificate.raw.includes(writeNameConstraints(names)) &&
      isFresh(certificate, now)
    );
  } catch {
    return false; // broken, which is a reason to make another
  }
}

/** The kept leaf if it can still be used: a pair, of this authority, for exactly these names, with life left. */
function readLeaf(
  text: string | undefined,
  authority: string,
  { names, now }: OwnCertificateRequest,
): Omit<OwnCertificate, 'made'> | undefined {
  if (text === undefined) return undefined;
  try {
    const [leaf, issuer] = [new X509Certificate(text), new X509Certificate(authority)];
    const isOurs = leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey) && leaf.checkPrivateKey(createPrivateKey(text));
    if (!isOurs || namesOf(leaf) !== sorted(names).join(', ') || !isFresh(leaf, now)) return undefined;
    const certificate = text.slice(text.indexOf('-----BEGIN CERTIFICATE-----'));
    return { key: new Secret(text), certificate, expiresAt: new Date(leaf.validTo) };
  } catch {
    return undefined; // broken, which is a reason to make another
  }
}

function isFresh({ validFrom, validTo }: X509Certificate, now: number): boolean {
  const life: Validity = { from: Date.parse(validFrom), to: Date.parse(validTo) };
  return now >= life.from && now < life.from + (life.to - life.from) * RENEWED_AT;
}

/** The names as `sorted` has them. */
function namesOf({ subjectAltName = '' }: X509Certificate): string {
  const names = subjectAltName.split(', ').map((entry) => entry.replace(/^(DNS|IP Address):/, ''));
  return sorted(names).join(', ');
}

/** Each name once, IPv6 in its shortest form, in an order that does not depend on the configuration's. */
function sorted(names: readonly string[]): string[] {
  return [
    ...new Set(names.map((name) => (name.includes(':') ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name.toLowerCase()))),
  ].sort();
}

/** A file that nobody else may read, or undefined. */
async function readPrivate(file: string): Promise<string | undefined> {
  const found = await lstat(file).catch((thrown: unknown) => {
    if (systemCodeOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  });
  if (found === undefined) return undefined;
  if (!found.isFile() || (found.mode & 0o077) !== 0 || isOthers(found.uid)) {
    throw new ProxyError(
      'certificate-unusable',
      `${file} is not a file that only this user can read, so the key in it may be known to others`,
      {
        todo: 'remove it and set git up again (`postern setup`): a new one is made',
      },
    );
  }
  return readIfThere(file);
}

/** Who may write to the directory could put a key of their own there. */
async function refuseShared(directory: string): Promise<void> {
  const { mode, uid } = await lstat(directory);
  if ((mode & 0o022) === 0 && !isOthers(uid)) return;
  throw new ProxyError(
    'certificate-unusable',
    `Others can write to the state directory ${directory}, so the door's keys would not be safe there`,
    {
      todo: `close it with \`chmod 700 ${directory}\` if it is Postern's own, or set POSTERN_STATE_DIRECTORY to another`,
    },
  );
}

async function readIfThere(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((thrown: unknown) => {
    if (systemCodeOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  });
}

async function understood<Result>(directory: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof ProxyError) throw thrown;
    throw new ProxyError(
      'certificate-unusable',
      `The door's certificate cannot be kept in ${directory} (${systemCodeOf(thrown) ?? messageOf(thrown)})`,
      {
        todo: 'check the rights of that directory and the room on its disk; a file that is broken can be removed, a new one is made',
        cause: thrown,
      },
    );
  }
}
