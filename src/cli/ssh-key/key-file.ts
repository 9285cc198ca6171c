/**
 * A key pair for an agent, made by ssh-keygen and added by ssh-add. The private half passes from one to the other by the name of its
 * file: nothing here opens it, asks for its passphrase or hands one on.
 */
import { type StdioOptions, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { lstat, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { messageOf, ProxyError, systemCodeOf } from '../../model/errors.js';
import { fingerprintOf } from '../../ssh/known-hosts.js';
import { makeDirectory } from '../../store/atomic-file.js';
import { bitsOf } from './held-keys.js';

export const KEY_TYPES = ['rsa', 'ed25519'] as const;
export type KeyType = (typeof KEY_TYPES)[number];

/** More than today asks for: such a key stays for years, and a signature is made once for each connection. */
const RSA_BITS = 4096;

export interface KeyWish {
  /** Where the private half goes; the public one beside it, with `.pub`. */
  readonly file: string;
  readonly type: KeyType;
  readonly comment: string;
  /** Without one whoever can read the file has the key. */
  readonly hasPassphrase: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface PublicHalf {
  /** The line as it lies in the file. */
  readonly line: string;
  readonly fingerprint: string;
  readonly type: string;
  readonly bits: number | undefined;
}

/**
 * Makes a pair; ssh-keygen asks for the passphrase on the terminal.
 * @throws ProxyError `usage` when there is such a file, or no terminal to ask on, or ssh-keygen cannot or will not make it
 */
export async function makeKeyFile({ file, type, comment, hasPassphrase, environment }: KeyWish): Promise<PublicHalf> {
  for (const each of [file, `${file}.pub`]) {
    if ((await lstat(each).catch(absent)) === undefined) continue;
    throw new ProxyError('usage', `${each} is there already, and a key is never overwritten`, {
      todo: 'choose another name with --name or --file, or remove that key yourself',
    });
  }
  // ssh-keygen would take an end of input for an empty passphrase.
  if (hasPassphrase && !hasTerminal() && environment['SSH_ASKPASS_REQUIRE'] === undefined) {
    throw new ProxyError('usage', 'There is no terminal on which ssh-keygen could ask for a passphrase', {
      todo: 'run this in a terminal, or add --no-passphrase: whoever can read the file then has the key',
    });
  }
  await makeDirectory(dirname(file)).catch((thrown: unknown) => {
    throw new ProxyError('usage', `Cannot make ${dirname(file)}: ${messageOf(thrown)}`, {
      todo: 'choose another place with --file',
      cause: thrown,
    });
  });
  const size = type === 'rsa' ? ['-b', String(RSA_BITS)] : [];
  const open = hasPassphrase ? [] : ['-N', ''];
  const status = await runTool('ssh-keygen', ['-q', '-t', type, ...size, '-C', comment, '-f', file, ...open], environment);
  if (status !== 0) {
    throw new ProxyError('usage', `ssh-keygen made no key (exit code ${status})`, { todo: 'see what it says above, and run this again' });
  }
  return readPublicHalf(`${file}.pub`);
}

/** Adds it to an agent; ssh-add asks for the passphrase. Whether it did. @throws ProxyError `usage` when there is no ssh-add */
export async function addToAgent(
  file: string,
  socket: string,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<boolean> {
  return (await runTool('ssh-add', ['-q', '--', file], { ...environment, SSH_AUTH_SOCK: socket })) === 0;
}

async function readPublicHalf(file: string): Promise<PublicHalf> {
  const line = (await readFile(file, 'utf8')).trim();
  const [type = '', base64 = ''] = line.split(' ');
  const blob = Buffer.from(base64, 'base64');
  return { line, type, fingerprint: fingerprintOf(blob), bits: bitsOf({ type, blob }) };
}

/** The exit code of a program that has our terminal; what it says goes to stderr, because stdout is for results. */
function runTool(program: string, args: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<number> {
  const stdio: StdioOptions = ['inherit', 2, 'inherit'];
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio, env });
    child.once('error', (thrown) => {
      const isAbsent = systemCodeOf(thrown) === 'ENOENT';
      reject(
        new ProxyError('usage', isAbsent ? `${program} was not found` : `${program} cannot be run: ${messageOf(thrown)}`, {
          todo: 'install OpenSSH (on Debian the package openssh-client)',
          cause: thrown,
        }),
      );
    });
    child.once('close', (code) => resolve(code ?? 1));
  });
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r+'));
    return true;
  } catch {
    return false; // no terminal of this process, which is the answer
  }
}

function absent(thrown: unknown): undefined {
  if (systemCodeOf(thrown) === 'ENOENT' || systemCodeOf(thrown) === 'ENOTDIR') return undefined;
  throw thrown;
}
