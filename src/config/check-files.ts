/**
 * Looks whether what a configuration points at is there: files, variables, credentials, programs. Reads no secret and runs
 * nothing. Apart from loading, because a file may well come after the configuration does.
 */
import { access, constants, stat } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { systemCodeOf } from '../model/errors.js';
import type { SecretReference, Settings } from '../model/settings.js';
import type { EffectiveValue } from './effective-value.js';
import { quote, writeKeyPath } from './fault.js';

/** Checks one thing; answers what is wrong with it, or undefined. */
type Check = () => Promise<string | undefined>;

/** Something that a configuration points at, and that is not there. */
export interface MissingThing {
  /** A line in the form of a configuration's faults. */
  readonly text: string;
  /** Whether another process may well have it: it was looked for in the environment, and not on the disk. */
  readonly isOfEnvironment: boolean;
}

type Loaded = { readonly settings: Settings; readonly effective: readonly EffectiveValue[] };

/** The texts of `missingThings`. */
export async function checkFiles(loaded: Loaded, environment: Readonly<Record<string, string | undefined>>): Promise<readonly string[]> {
  return (await missingThings(loaded, environment)).map(({ text }) => text);
}

/**
 * Gathers what is missing, one line each in the form of a configuration's faults, in the order of identities and routes.
 * Empty when all is there. What stands under `secret` is not repeated: the line says where it is written.
 *
 * A file can still go away, or come, between this look and its use.
 *
 * @param environment The service's: variables named by secrets, CREDENTIALS_DIRECTORY, PATH.
 */
export async function missingThings(
  loaded: Loaded,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<readonly MissingThing[]> {
  const checks: (readonly [path: string, check: Check, isOfEnvironment?: boolean])[] = [];
  const fileAt = (path: string, file: string | undefined): void => {
    if (file !== undefined) checks.push([path, () => fileFault(file, quote(file))]);
  };
  const { tls } = loaded.settings.listen;
  if (tls.kind === 'files') for (const key of ['certificate', 'key'] as const) fileAt('listen.http.tls', tls[key]);
  for (const identity of loaded.settings.identities) {
    const key = (name: string): string => writeKeyPath(['identities', identity.name, name]);
    if ('secret' in identity)
      checks.push([key('secret'), () => secretFault(identity.secret, environment), identity.secret.kind !== 'file']);
    if ('certificate' in identity) fileAt(key('certificate'), identity.certificate);
    if ('tokenFile' in identity) fileAt(key('tokenFile'), identity.tokenFile);
    if ('ca' in identity) fileAt(key('ca'), identity.ca);
  }
  for (const [index, { ca, ssh }] of loaded.settings.routes.entries()) {
    fileAt(writeKeyPath(['routes', index, 'ca']), ca);
    if (ssh.kind === 'agent') for (const file of ssh.knownHosts ?? []) fileAt(writeKeyPath(['routes', index, 'knownHosts']), file);
  }

  const { leaseKey, revocations } = loaded.settings.access;
  if (leaseKey !== undefined) checks.push(['access.leaseKey', () => secretFault(leaseKey, environment), leaseKey.kind !== 'file']);
  if (revocations !== undefined) checks.push(['access.revocations', () => laterFileFault(revocations)]);

  const texts = await Promise.all(checks.map(([, check]) => check()));
  return checks.flatMap(([path, , isOfEnvironment = false], index) => {
    const text = texts[index];
    const origin = loaded.effective.find((value) => value.path === path)?.origin ?? 'default';
    return text === undefined ? [] : [{ text: `${origin}: ${path}: ${text}`, isOfEnvironment }];
  });
}

async function secretFault(
  secret: SecretReference,
  environment: Readonly<Record<string, string | undefined>>,
): Promise<string | undefined> {
  switch (secret.kind) {
    case 'file':
      return fileFault(secret.path, 'the file');
    case 'env': {
      const value = environment[secret.name];
      return value === undefined || value === '' ? 'the variable is not set; set it in the environment of the service' : undefined;
    }
    case 'credential': {
      const directory = environment.CREDENTIALS_DIRECTORY;
      if (directory === undefined || directory === '') {
        return 'CREDENTIALS_DIRECTORY is not set; run as a systemd service with LoadCredential=, or use another form';
      }
      return fileFault(join(directory, secret.name), 'the credential', 'add LoadCredential= to the service');
    }
    case 'command':
      return programFault(secret.argv[0] ?? '', environment.PATH ?? '');
  }
}

async function fileFault(path: string, name: string, create = 'create it, or correct the path'): Promise<string | undefined> {
  try {
    if ((await stat(path)).isDirectory()) return `${name} is a directory; name the file in it`;
    await access(path, constants.R_OK);
    return undefined;
  } catch (thrown) {
    const code = systemCodeOf(thrown);
    if (code === 'ENOENT' || code === 'ENOTDIR') return `${name} does not exist; ${create}`;
    return `${name} cannot be read (${code ?? 'unknown reason'}); give the user that runs Postern the right to read it`;
  }
}

/** Of a file that may come later: its directory has to be there, so that a volume that was not mounted is found. */
async function laterFileFault(path: string): Promise<string | undefined> {
  const fault = await fileFault(path, quote(path));
  if (fault === undefined || !fault.includes('does not exist')) return fault;
  const directory = dirname(path);
  const isThere = await stat(directory).then(
    (found) => found.isDirectory(),
    () => false,
  );
  return isThere ? undefined : `the directory ${quote(directory)} does not exist; mount it or create it, or correct the path`;
}

/** Looks a program up as execvp does: with a slash it is a path, otherwise PATH is searched. */
async function programFault(program: string, path: string): Promise<string | undefined> {
  const places = program.includes('/') ? [program] : path.split(delimiter).map((folder) => join(folder === '' ? '.' : folder, program));
  for (const place of places) {
    try {
      await access(place, constants.X_OK);
      if ((await stat(place)).isFile()) return undefined;
    } catch {
      // Not here; the next folder may have it.
    }
  }
  return program.includes('/')
    ? 'the program does not exist or may not be run; correct its path or its rights'
    : 'the program is not on the PATH of the service; install it, or write its whole path';
}
