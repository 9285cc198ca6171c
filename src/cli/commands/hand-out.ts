/**
 * How a lease leaves the command line: in one of the formats, printed or written to a file that only its owner can read, with the
 * address under which its holder reaches the door.
 */
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { askStatus } from '../../daemon/admin.js';
import { messageOf, ProxyError, systemCodeOf } from '../../model/errors.js';
import type { RepoPattern } from '../../model/lease.js';
import { isLoopbackAddress } from '../../gate/peers.js';
import { writePrivateFile } from '../../store/private-file.js';
import type { Context, SettingsFlags } from '../context.js';
import type { Environment } from '../gitconfig/environment.js';
import { LEASE_FORMATS, type LeaseFormat, organisationsAsWritten, writeLease } from '../lease-formats.js';
import { notRunning } from './stop.js';

/** A lease that was made, with what it is for as patterns and as it was written. */
export interface MadeLease {
  readonly lease: string;
  readonly repos: readonly RepoPattern[];
  readonly written: readonly string[];
}

/** No secret: a certificate is shown to whoever asks. */
const AUTHORITY_MODE = 0o644;

/** Formats for where the loopback of this machine is not the holder's. */
const ELSEWHERE: readonly LeaseFormat[] = ['dotenv', 'devcontainer'];

/**
 * Reads how the lease is to be handed out, so that it is known before there is one.
 * @throws ProxyError `usage` for no such format, and when the address of the door cannot be known; so does what it returns when
 *   the format cannot hold it or the file cannot be written
 */
export async function prepareHandOut(context: Context, flags: SettingsFlags): Promise<(made: MadeLease) => Promise<void>> {
  const { environment, printer } = context;
  const format = LEASE_FORMATS.find((known) => known === flags['format']);
  if (format === undefined) throw new ProxyError('usage', 'There is no such format', { todo: `use one of ${LEASE_FORMATS.join(', ')}` });
  const caOutput = typeof flags['ca-output'] === 'string' ? flags['ca-output'] : undefined;
  // First, because a lease without the certificate would be of no use.
  if (caOutput !== undefined) await writeAuthority(context, caOutput);
  // The lease alone needs no door.
  const door = format === 'text' ? { base: 'http://localhost', caFile: undefined } : await doorOf(context, flags);
  // Tried now, because an address or a path that cannot be written must not cost a lease.
  writeLease(format, { ...door, lease: 'ptl1_', repos: [] }, environment);
  if (ELSEWHERE.includes(format)) {
    if (isLoopbackBase(door.base))
      printer.note(
        `note: it leads to ${door.base}, which in a container is the container itself; give the door's address there with --door`,
      );
    if (door.caFile !== undefined && flags['ca-path'] === undefined && caOutput === undefined)
      printer.note(`note: git looks for ${door.caFile} in the container too; mount it there, or name another place with --ca-path`);
  }
  return async ({ lease, repos, written }) => {
    const organisations = organisationsAsWritten(repos, written);
    const text = writeLease(format, { ...door, lease, repos, organisations }, environment);
    const output = flags['output'];
    if (typeof output === 'string') await writeOut(context, output, text);
    else printer.line(text.replace(/\n$/, ''));
  };
}

/** Where the holder reaches the door, and the file of certificates there: as named, as this environment has it, or as the daemon says. */
async function doorOf(context: Context, flags: SettingsFlags): Promise<{ base: string; caFile: string | undefined }> {
  const named = typeof flags['door'] === 'string' ? flags['door'] : undefined;
  const caOutput = typeof flags['ca-output'] === 'string' ? resolve(flags['ca-output']) : undefined;
  const caPath = typeof flags['ca-path'] === 'string' ? flags['ca-path'] : caOutput;
  const held = doorIn(context.environment);
  if (held !== undefined && (named === undefined || named === held.base)) return { base: held.base, caFile: caPath ?? held.caFile };
  const status = await askStatus(context.places.adminSocket);
  const base = named ?? status?.listen.http[0];
  if (base === undefined)
    throw new ProxyError('usage', 'No daemon answers, so the address of the door is not known', { todo: 'add --door http://HOST:PORT' });
  // A certificate of somebody else's authority has no such file.
  return { base, caFile: caPath ?? (base.startsWith('https:') ? status?.listen.certificate?.ca : undefined) };
}

/** The door that a lease in the environment leads to, for who makes a smaller one of it. */
function doorIn(environment: Environment): { base: string; caFile: string | undefined } | undefined {
  const count = Number(environment['GIT_CONFIG_COUNT'] ?? 0);
  const pairs = Array.from({ length: Number.isInteger(count) ? Math.min(count, 10_000) : 0 }, (_, index) => ({
    key: environment[`GIT_CONFIG_KEY_${index}`] ?? '',
    value: environment[`GIT_CONFIG_VALUE_${index}`] ?? '',
  }));
  const header = pairs.findLast(({ value }) => value.startsWith('X-Postern-Lease: '));
  const base = /^http\.(.+)\/\.extraHeader$/.exec(header?.key ?? '')?.[1];
  return base === undefined ? undefined : { base, caFile: pairs.findLast(({ key }) => key === `http.${base}/.sslCAInfo`)?.value };
}

function isLoopbackBase(base: string): boolean {
  const host = new URL(base).hostname.replace(/^\[|\]$/g, '');
  return host === 'localhost' || isLoopbackAddress(host);
}

/** Puts the certificate that the holder of a lease has to trust where it can be handed over with it. */
async function writeAuthority({ places, printer }: Context, output: string): Promise<void> {
  const status = await askStatus(places.adminSocket);
  if (status === undefined) throw notRunning(places.adminSocket);
  const file = status.listen.certificate?.ca;
  if (file === undefined)
    throw new ProxyError('usage', 'The door has no certificate of an authority of its own', {
      todo: 'leave --ca-output out: either the door speaks no TLS, or its certificate is of an authority that you named',
    });
  const certificate = await readFile(file, 'utf8').catch((thrown: unknown) => {
    throw new ProxyError('state-unusable', `The certificate ${file} cannot be read (${systemCodeOf(thrown) ?? messageOf(thrown)})`, {
      todo: 'run this as the user of the daemon',
      cause: thrown,
    });
  });
  await writePrivateFile(output, certificate, AUTHORITY_MODE).catch((thrown: unknown) => {
    throw cannotWrite('The certificate', output, thrown);
  });
  printer.note(`The certificate of the door's authority is in ${output}`);
}

async function writeOut({ printer }: Context, output: string, text: string): Promise<void> {
  await writePrivateFile(output, text).catch((thrown: unknown) => {
    throw cannotWrite('The lease', output, thrown);
  });
  printer.note(`Written to ${output}, readable by its owner alone`);
}

function cannotWrite(what: string, output: string, thrown: unknown): ProxyError {
  const code = systemCodeOf(thrown);
  const why =
    code === 'EINVAL'
      ? 'it is a link, a directory or a device'
      : code === 'EPERM'
        ? 'it belongs to another user'
        : (code ?? messageOf(thrown));
  return new ProxyError('usage', `${what} cannot be written to ${output} (${why})`, {
    todo: 'name a new file in a directory of your own',
    cause: thrown,
  });
}
