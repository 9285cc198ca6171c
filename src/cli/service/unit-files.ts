/**
 * The unit files as they are installed: the templates of systemd/, with the paths and addresses of this installation. The first
 * line holds a checksum of the rest, by which a later run knows a file of ours that nobody has changed.
 *
 * Source: systemd.unit(5), systemd.service(5) "Command lines", systemd.socket(5).
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeListenAddress } from '../../config/listen-address.js';
import { ProxyError, systemCodeOf } from '../../model/errors.js';
import type { ListenAddress } from '../../model/settings.js';

/** Whose service: of this user, or of the system. */
export type Scope = 'user' | 'system';

export interface UnitFile {
  /** Where it goes; absolute. */
  readonly path: string;
  /** All of it, mark included. */
  readonly text: string;
}

/** What differs from one installation to another. */
export interface Installation {
  readonly scope: Scope;
  /** Directory of the templates. */
  readonly templates: string;
  /** Directory for units, such as ~/.config/systemd/user. */
  readonly directory: string;
  readonly node: string;
  readonly program: string;
  /** A configuration that was named; undefined for the usual one. */
  readonly configuration: string | undefined;
  readonly stateDirectory: string;
  /** Of the audit, where it is somewhere else. */
  readonly auditDirectory: string | undefined;
  readonly listen: { readonly http: readonly ListenAddress[]; readonly ssh: readonly ListenAddress[] };
}

/** How a file is found: as it was installed, changed since, installed by another version, somebody else's, or not there. */
export type Found = 'ours' | 'changed' | 'foreign' | 'missing';

/** The names of the units of a scope. */
export function unitNames(scope: Scope): { readonly service: string; readonly socket: string } {
  const name = scope === 'user' ? 'postern' : 'postern-system';
  return { service: `${name}.service`, socket: `${name}.socket` };
}

/** Where an administrator's units are (systemd.unit(5)). */
const SYSTEM_UNITS = '/etc/systemd/system';

/** Where units of a scope are installed. */
export function unitDirectory(
  scope: Scope,
  { environment, home }: { readonly environment: Readonly<Record<string, string | undefined>>; readonly home: string },
): string {
  if (scope === 'system') return SYSTEM_UNITS;
  const xdg = environment['XDG_CONFIG_HOME'];
  return join(xdg?.startsWith('/') === true ? xdg : join(home, '.config'), 'systemd', 'user');
}

/** Where sysusers.d(5) looks for what an administrator wants. */
export const SYSUSERS_FILE = '/etc/sysusers.d/postern.conf';

/** Paths of everything that is installed, in the order of writing. */
export function installedPaths(scope: Scope, directory: string): string[] {
  const { service, socket } = unitNames(scope);
  return [...(scope === 'system' ? [SYSUSERS_FILE] : []), join(directory, socket), join(directory, service)];
}

/** The files to install. @throws ProxyError `usage` for addresses that no socket unit can have */
export async function unitFiles(installation: Installation): Promise<UnitFile[]> {
  const { scope, templates, directory } = installation;
  const { service, socket } = unitNames(scope);
  const read = (name: string): Promise<string> => readFile(join(templates, name), 'utf8');
  const all: UnitFile[] = [
    { path: join(directory, socket), text: marked(withAddresses(await read(socket), installation)) },
    { path: join(directory, service), text: marked(withPaths(await read(service), installation)) },
  ];
  return scope === 'user' ? all : [{ path: SYSUSERS_FILE, text: marked(await read('postern.sysusers')) }, ...all];
}

/** What is at the path of a file of ours. */
export async function lookAt(path: string): Promise<{ readonly found: Found; readonly text: string }> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    if (systemCodeOf(thrown) === 'ENOENT') return { found: 'missing', text: '' };
    throw thrown;
  }
  const [first = ''] = text.split('\n', 1);
  if (!first.startsWith(MARK)) return { found: 'foreign', text };
  return { found: marked(text.slice(first.length + 1)) === text ? 'ours' : 'changed', text };
}

const MARK = '# Installed by `postern service install`; checksum of what follows: ';

function marked(text: string): string {
  return `${MARK}${createHash('sha256').update(text).digest('hex')}\n${text}`;
}

function withAddresses(text: string, { listen }: Installation): string {
  const all = [...listen.http, ...listen.ssh];
  const chosen = all.find(({ port }) => port === 0);
  if (chosen !== undefined) {
    throw new ProxyError('usage', `${writeListenAddress(chosen)} is another port at each start, which no socket unit can have`, {
      todo: 'write a fixed port as `listen.http` and `listen.ssh`',
    });
  }
  const lines = all.map((address) => `ListenStream=${writeListenAddress(address)}\n`).join('');
  return text.replace(/(?:^ListenStream=.*\n)+/m, () => lines);
}

function withPaths(text: string, installation: Installation): string {
  const { scope, node, program, configuration, stateDirectory, auditDirectory } = installation;
  const command = `${quoted(node)} ${quoted(program)}`;
  const flag = configuration === undefined ? '' : ` --config ${quoted(configuration)}`;
  const filled = text
    .replace(/^ExecStart=postern start.*$/m, (line) => line.replace('postern', () => command) + flag)
    .replace(/^ExecReload=postern /m, () => `ExecReload=${command} `)
    .replace(/^ProtectSystem=strict\n/m, (line) => (auditDirectory === undefined ? line : line + writable(auditDirectory, scope)));
  // In a path of a list a blank would begin the next one, unless the whole is quoted.
  return scope === 'system' ? filled : filled.replaceAll('%h/.local/state/postern', () => quoted(stateDirectory));
}

/** Outside of the sandbox it is made; what is not there could not be opened for writing. */
function writable(directory: string, scope: Scope): string {
  const owner = scope === 'system' ? ' -o postern -g postern' : '';
  return `ExecStartPre=+/usr/bin/install -d -m 0700${owner} ${quoted(directory)}\nReadWritePaths=${quoted(directory)}\n`;
}

/** A word of a unit file: in quotes where it needs them, and with nothing in it that systemd would replace. */
export function quoted(word: string): string {
  const plain = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w@%+=:,./-]+$/.test(plain) ? plain : `"${plain.replace(/["\\]/g, '\\$&')}"`;
}
