/**
 * Reads secrets from where the configuration says they are. A fault names the place, never the content.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ProxyError, systemCodeOf } from '../model/errors.js';
import { Secret } from '../model/secret.js';
import type { SecretReference } from '../model/settings.js';
import { childEnvironment } from './run-program.js';

/** A command that has not answered by then is ended: it most likely waits for a person. */
export const COMMAND_TIMEOUT_MS = 20_000;
/** Longest secret: far above any token or key, far below what would hurt. */
export const LONGEST_SECRET_BYTES = 64 * 1024;

export interface SecretSurroundings {
  /** Environment variables that references of kind `env` name, taken out of the process environment at start. */
  readonly environment: ReadonlyMap<string, Secret>;
  /** $CREDENTIALS_DIRECTORY of systemd. */
  readonly credentialsDirectory: string | undefined;
}

/**
 * Reads one secret; a line break at its end is taken off. `lines`: it may have more than one line.
 * @throws ProxyError `secret-unreadable`
 */
export async function readSecret(
  reference: SecretReference,
  surroundings: SecretSurroundings,
  { lines = false }: { readonly lines?: boolean } = {},
): Promise<Secret> {
  switch (reference.kind) {
    case 'env': {
      const secret = surroundings.environment.get(reference.name);
      if (secret === undefined || secret.reveal() === '')
        throw unreadable(`environment variable ${reference.name} is not set`, 'set it in the environment of the daemon');
      return secret;
    }
    case 'file':
      return fromFile(reference.path, `file ${reference.path}`, lines);
    case 'credential': {
      if (surroundings.credentialsDirectory === undefined) {
        throw unreadable(
          `credential ${reference.name}: there is no CREDENTIALS_DIRECTORY`,
          'add LoadCredential= to the systemd unit, or use {file: ...}',
        );
      }
      return fromFile(join(surroundings.credentialsDirectory, reference.name), `credential ${reference.name}`, lines);
    }
    case 'command':
      return checked(await runCommand(reference.argv), `command ${reference.argv[0] ?? ''}`, lines);
  }
}

async function fromFile(path: string, name: string, lines: boolean): Promise<Secret> {
  try {
    return checked(await readFile(path, 'utf8'), name, lines);
  } catch (thrown) {
    if (thrown instanceof ProxyError) throw thrown;
    throw unreadable(
      `${name} cannot be read (${systemCodeOf(thrown) ?? 'unknown'})`,
      'check the path and that the user of the daemon may read it',
      thrown,
    );
  }
}

function checked(text: string, name: string, lines: boolean): Secret {
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw unreadable(`${name} is empty`, 'put the secret there');
  if (value.length > LONGEST_SECRET_BYTES)
    throw unreadable(`${name} is longer than ${LONGEST_SECRET_BYTES} bytes`, 'check that it is the right one');
  if (lines ? value.includes('\0') : /[\r\n\0]/.test(value))
    throw unreadable(`${name} has more than one line`, 'it must hold the secret alone, on one line');
  return new Secret(value);
}

function runCommand(argv: readonly string[]): Promise<string> {
  const [program = '', ...rest] = argv;
  return new Promise((resolve, reject) => {
    const options = {
      env: childEnvironment(process.env),
      timeout: COMMAND_TIMEOUT_MS,
      maxBuffer: LONGEST_SECRET_BYTES,
      encoding: 'utf8',
    } as const;
    execFile(program, rest, options, (fault, stdout) => {
      if (fault === null) {
        resolve(stdout);
        return;
      }
      const how =
        fault.killed === true
          ? `did not answer within ${COMMAND_TIMEOUT_MS / 1000} s`
          : `failed (${fault.code ?? fault.signal ?? 'unknown'})`;
      // No cause: an execFile error holds what the command printed, which may be the secret.
      reject(unreadable(`command ${program} ${how}`, 'run it by hand as the user of the daemon to see why'));
    });
  });
}

function unreadable(what: string, todo: string, cause?: unknown): ProxyError {
  return new ProxyError('secret-unreadable', `A secret could not be read: ${what}`, { todo, cause });
}
