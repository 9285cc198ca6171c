/**
 * The key that binds the records of the audit to each other. It never leaves its file but as a KeyObject, which prints nothing.
 * Whoever can read it can write an audit that verifies.
 */
import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { constants, link, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { systemCodeOf } from '../model/errors.js';
import { makeDirectory, temporaryBeside } from './atomic-file.js';

const KEY_BYTES = 32;

/**
 * Reads the key; undefined when there is none. Rejects with the system's error, or when the file is no key or open to others.
 */
export async function readAuditKey(path: string): Promise<KeyObject | undefined> {
  let handle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
  try {
    const { mode } = await handle.stat();
    if ((mode & 0o077) !== 0) throw new Error(`other users may read or change ${path}: its mode is ${(mode & 0o777).toString(8)}, not 600`);
    const text = (await handle.readFile('latin1')).trim();
    if (!/^[0-9a-f]{64}$/.test(text)) throw new Error(`${path} holds no key`);
    return createSecretKey(Buffer.from(text, 'hex'));
  } finally {
    await handle.close();
  }
}

/**
 * The key, made when there is none. Of two processes that make it at once both get the same: the file appears whole and
 * under its name only if that is free.
 */
export async function auditKey(path: string): Promise<KeyObject> {
  const found = await readAuditKey(path);
  if (found !== undefined) return found;
  await makeDirectory(dirname(path));
  const temporary = temporaryBeside(path);
  const handle = await open(temporary, 'wx', 0o600);
  try {
    try {
      await handle.writeFile(`${randomBytes(KEY_BYTES).toString('hex')}\n`);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(temporary, path).catch((thrown: unknown) => {
      if (systemCodeOf(thrown) !== 'EEXIST') throw thrown;
    });
  } finally {
    await unlink(temporary).catch(() => undefined); // it is a copy; one that stays is closed to others as well
  }
  const made = await readAuditKey(path);
  if (made === undefined) throw new Error(`${path} went away while it was made`);
  return made;
}
