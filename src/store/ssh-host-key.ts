/**
 * The SSH door's own key, by which clients know it again: ed25519, made once, in two files of the state directory:
 *
 *   ssh-host-key      0600  the private key as OpenSSH writes one (PROTOCOL.key), without a passphrase
 *   ssh-host-key.pub  0644  its public half, one line
 *
 * Only the first one counts; the second is written anew from it whenever it differs. The daemon and `postern setup` may both come
 * here first, at once: a lock lets one of them make the key, and the other finds it.
 */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { lstat, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import { Secret } from '../model/secret.js';
import { makeDirectory, removeLeftovers, writeFileAtomic } from './atomic-file.js';
import { withFileLock } from './file-lock.js';
import { isOthers } from './private-file.js';

const FILE = 'ssh-host-key';
const PUBLIC_FILE = `${FILE}.pub`;
const TYPE = 'ssh-ed25519';
/** Stands in both files, so that who finds a copy knows what it is. */
const COMMENT = 'postern';

const MAGIC = Buffer.from('openssh-key-v1\0');
const HEAD = '-----BEGIN OPENSSH PRIVATE KEY-----';
const FOOT = '-----END OPENSSH PRIVATE KEY-----';
/** The width of ssh-keygen's own lines. */
const LINE_WIDTH = 70;
/** PROTOCOL.key, section 3: without a cipher the private part is filled up to a multiple of 8. */
const BLOCK_BYTES = 8;
const KEY_BYTES = 32;
/** Such a file has about 400 bytes. */
const LARGEST_FILE_BYTES = 16 * 1024;

/** RFC 4253 section 6.6 with RFC 8709 section 4: the type as a text, and the length of the key that follows. */
const PUBLIC_HEAD = Buffer.concat([text(TYPE), count(KEY_BYTES)]);
const PUBLIC_LINE = /^ssh-ed25519 ([A-Za-z0-9+/]+={0,2})(?: [^\n]*)?\n?$/;

/** What a client may know of the door's key. */
export interface PublicHostKey {
  /** `ssh-ed25519 AAAA...`, without a comment. */
  readonly publicLine: string;
  /** `SHA256:` and base64 without padding, as ssh-keygen -l shows it. */
  readonly fingerprint: string;
}

export interface HostKey extends PublicHostKey {
  /** The text of the file. */
  readonly privateKey: Secret;
}

/**
 * The door's key; made when there is none, and the same ever after. Two processes at once get the same.
 * @throws ProxyError `state-unusable` when its file is damaged, open to others or of another user, or cannot be read or written;
 *   then no key was made
 */
export async function hostKey(stateDirectory: string): Promise<HostKey> {
  const file = join(stateDirectory, FILE);
  return understood(file, async () => {
    await makeDirectory(stateDirectory);
    await refuseShared(stateDirectory);
    const key = (await readKey(file)) ?? (await makeKey(file));
    const line = `${key.publicLine} ${COMMENT}\n`;
    const shown = join(stateDirectory, PUBLIC_FILE);
    if ((await readFile(shown, 'utf8').catch(absent)) !== line) await writeFileAtomic(shown, line, { mode: 0o644, force: true });
    return key;
  });
}

/**
 * The public half as it lies beside the key, or undefined when there is none: for who may not make a key, or may not read it (root
 * sets up a service of another user). Makes and changes nothing.
 * @throws ProxyError `state-unusable` when the file is damaged or cannot be read
 */
export async function publicHostKey(stateDirectory: string): Promise<PublicHostKey | undefined> {
  const file = join(stateDirectory, PUBLIC_FILE);
  return understood(file, async () => {
    const line = await readFile(file, 'utf8').catch(absent);
    if (line === undefined) return undefined;
    const blob = Buffer.from(PUBLIC_LINE.exec(line)?.[1] ?? '', 'base64');
    if (!blob.subarray(0, -KEY_BYTES).equals(PUBLIC_HEAD)) {
      throw new ProxyError('state-unusable', `${file} does not hold the public half of the SSH door's key`, {
        todo: 'remove it, and start the daemon again, which writes it anew',
      });
    }
    return shownAs(blob);
  });
}

async function makeKey(file: string): Promise<HostKey> {
  return withFileLock(`${file}.lock`, async () => {
    // Another process may have been here first.
    const found = await readKey(file);
    if (found !== undefined) return found;
    await removeLeftovers(file);
    const text = writePrivateKey(generateKeyPairSync('ed25519').privateKey);
    await writeFileAtomic(file, text, { mode: 0o600, force: true });
    return parsePrivateKey(text, file);
  });
}

/** The key in the file; undefined when there is no file. The file that is judged is the one that is read. */
async function readKey(file: string): Promise<HostKey | undefined> {
  if ((await lstat(file).catch(absent)) === undefined) return undefined;
  const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch((thrown: unknown) => {
    if (systemCodeOf(thrown) === 'ELOOP') throw notPrivate(file, 'is a symbolic link');
    throw thrown;
  });
  try {
    const found = await handle.stat();
    const { mode, uid, size } = found;
    if (!found.isFile()) throw notPrivate(file, 'is no regular file');
    if (isOthers(uid)) throw notPrivate(file, 'belongs to another user');
    if ((mode & 0o077) !== 0) throw notPrivate(file, `is open to other users: its mode is ${(mode & 0o777).toString(8)}, not 600`);
    if (size > LARGEST_FILE_BYTES) throw damaged(file);
    return parsePrivateKey(await handle.readFile('latin1'), file);
  } finally {
    await handle.close();
  }
}

/** Source: OpenSSH, PROTOCOL.key. `key` is an ed25519 private key. */
function writePrivateKey(key: KeyObject): string {
  const { x = '', d = '' } = key.export({ format: 'jwk' });
  const [open, seed] = [Buffer.from(x, 'base64url'), Buffer.from(d, 'base64url')];
  // Twice the same, so that who decrypts sees whether the passphrase was right; nothing is encrypted here.
  const check = randomBytes(4);
  const held = Buffer.concat([check, check, text(TYPE), text(open), text(Buffer.concat([seed, open])), text(COMMENT)]);
  const padding = Buffer.from(Array.from({ length: (BLOCK_BYTES - (held.length % BLOCK_BYTES)) % BLOCK_BYTES }, (_, index) => index + 1));
  const whole = Buffer.concat([
    MAGIC,
    text('none'), // cipher
    text('none'), // key derivation
    text(''), // and its options
    count(1), // keys
    text(Buffer.concat([text(TYPE), text(open)])),
    text(Buffer.concat([held, padding])),
  ]);
  const lines = whole.toString('base64').match(new RegExp(`.{1,${LINE_WIDTH}}`, 'g')) ?? [];
  return `${[HEAD, ...lines, FOOT].join('\n')}\n`;
}

/** Reads what `writePrivateKey` writes, and makes sure that the three places that hold the key agree. */
function parsePrivateKey(content: string, file: string): HostKey {
  try {
    const lines = content.trimEnd().split('\n');
    if (lines[0] !== HEAD || lines.at(-1) !== FOOT) throw damaged(file);
    const whole = Buffer.from(lines.slice(1, -1).join(''), 'base64');
    if (!whole.subarray(0, MAGIC.length).equals(MAGIC)) throw damaged(file);
    const outer = new Reader(whole.subarray(MAGIC.length));
    const isPlain = [outer.text(), outer.text(), outer.text()].map(String).join() === 'none,none,' && outer.count() === 1;
    const [blob, held] = [outer.text(), new Reader(outer.text())];
    const [check, again] = [held.count(), held.count()];
    if (!isPlain || check !== again || held.text().toString() !== TYPE) throw damaged(file);
    const [open, pair] = [held.text(), held.text()];
    const derived = openOf(pair.subarray(0, KEY_BYTES));
    const agrees = [open, pair.subarray(KEY_BYTES)].every((each) => each.equals(derived));
    if (!agrees || !blob.equals(Buffer.concat([text(TYPE), text(derived)]))) throw damaged(file);
    return { privateKey: new Secret(content), ...shownAs(blob) };
  } catch (thrown) {
    if (thrown instanceof ProxyError) throw thrown;
    // The causes would come from bytes of a key.
    throw damaged(file);
  }
}

/** The public key of a seed (RFC 8032 section 5.1.5), which node takes in the wrapping of RFC 8410. */
function openOf(seed: Buffer): Buffer {
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
  const { x = '' } = createPublicKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })).export({ format: 'jwk' });
  return Buffer.from(x, 'base64url');
}

function shownAs(blob: Buffer): PublicHostKey {
  const digest = createHash('sha256').update(blob).digest('base64').replace(/=+$/, '');
  return { publicLine: `${TYPE} ${blob.toString('base64')}`, fingerprint: `SHA256:${digest}` };
}

/** `string` of RFC 4251 section 5: its length in four bytes, then its bytes. */
function text(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([count(bytes.length), bytes]);
}

function count(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Takes such values off the front of bytes. @throws RangeError where they end too early */
class Reader {
  rest: Buffer;

  constructor(bytes: Buffer) {
    this.rest = bytes;
  }

  count(): number {
    const value = this.rest.readUInt32BE();
    this.rest = this.rest.subarray(4);
    return value;
  }

  text(): Buffer {
    const length = this.count();
    if (length > this.rest.length) throw new RangeError('A text ends too early');
    const value = this.rest.subarray(0, length);
    this.rest = this.rest.subarray(length);
    return value;
  }
}

/** Who may write to the directory could put a key of their own there. */
async function refuseShared(directory: string): Promise<void> {
  const { mode, uid } = await lstat(directory);
  if ((mode & 0o022) === 0 && !isOthers(uid)) return;
  throw new ProxyError(
    'state-unusable',
    `Others can write to the state directory ${directory}, so the door's keys would not be safe there`,
    {
      todo: `close it with \`chmod 700 ${directory}\` if it is Postern's own, or set POSTERN_STATE_DIRECTORY to another`,
    },
  );
}

function notPrivate(file: string, how: string): ProxyError {
  return new ProxyError('state-unusable', `${file} ${how}, so the key of the SSH door in it may be known to others`, { todo: REPLACE });
}

function damaged(file: string): ProxyError {
  return new ProxyError('state-unusable', `${file} does not hold the key of the SSH door as Postern writes it`, { todo: REPLACE });
}

const REPLACE =
  'remove it, start the daemon again, and run `postern setup`: a new key is made, and clients that know the old one have to be told of it';

async function understood<Result>(file: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (thrown) {
    if (thrown instanceof ProxyError) throw thrown;
    throw new ProxyError(
      'state-unusable',
      `The key of the SSH door cannot be kept in ${file} (${systemCodeOf(thrown) ?? messageOf(thrown)})`,
      {
        todo: 'check the rights of the file and of its directory, and the room on its disk',
        cause: thrown,
      },
    );
  }
}

function absent(thrown: unknown): undefined {
  if (systemCodeOf(thrown) === 'ENOENT') return undefined;
  throw thrown;
}
