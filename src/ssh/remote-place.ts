/**
 * Where a git command goes on the SSH way up, and how it is written for the shell there.
 *
 *   ssh.dev.azure.com, dev.azure.com, {org}.visualstudio.com   git@ssh.dev.azure.com            v3/{org}/{project}/{repo}
 *   vs-ssh.visualstudio.com                                    {org}@vs-ssh.visualstudio.com    v3/{org}/{project}/{repo}
 *   any other host[:port]                                      git@host, port 22 unless named   the path as the client wrote it
 *
 * Source: git-shell(1) and quote.c (sq_quote_buf) of git; Azure DevOps' page on SSH keys.
 */
import type { RepoAddress } from '../model/address.js';
import { SSH_AZURE_HOSTS } from '../model/host-name.js';
import type { SessionOperation } from '../model/operation.js';
import type { SshUpstream } from '../model/settings.js';
import { SSH_PORT } from './known-hosts.js';

export interface RemotePlace {
  readonly user: string;
  /** Lower case, without brackets. */
  readonly host: string;
  readonly port: number;
  /** The whole command. */
  readonly command: string;
}

const PROGRAMS: Readonly<Record<SessionOperation['kind'], string>> = {
  fetch: 'git-upload-pack',
  push: 'git-receive-pack',
  archive: 'git-upload-archive',
};
const USER = 'git';
const [AZURE_SSH_HOST = '', OLD_AZURE_SSH_HOST = ''] = SSH_AZURE_HOSTS;

/**
 * Plans a command on `path` (GitSession.path). `upstream` is that of the route.
 * @returns a text that goes on `the path`, for a path that cannot be sent
 */
export function remotePlace(operation: SessionOperation, path: string, upstream: SshUpstream | undefined): RemotePlace | string {
  const { address, kind } = operation;
  const remotePath = address.kind === 'azure-services' ? azurePath(address, path) : textOf(path);
  if (remotePath === undefined) return 'is not UTF-8';
  if (/[\u0000-\u001f\u007f]/.test(remotePath)) return 'has a control character';
  // Programs would take it for an option.
  if (remotePath.startsWith('-')) return 'begins with a dash';
  if (remotePath === '') return 'is empty';
  const own = ownPlace(address);
  const { host, port } = upstream ?? own;
  return { user: upstream?.user ?? own.user, host, port, command: `${PROGRAMS[kind]} ${quoted(remotePath)}` };
}

/** As git writes an argument for a shell. */
export function quoted(text: string): string {
  return `'${text.replace(/['!]/g, "'\\$&'")}'`;
}

/** A path of Azure's SSH addresses as the client wrote it; its other addresses are turned into one. */
function azurePath(address: RepoAddress, path: string): string | undefined {
  if (SSH_AZURE_HOSTS.includes(address.host)) return textOf(path.replace(/^\//, ''));
  const [, ...names] = address.display.split('/');
  return ['v3', ...names.map(encodeURIComponent)].join('/');
}

function ownPlace(address: RepoAddress): SshUpstream & { readonly user: string } {
  if (address.kind === 'azure-services') {
    if (address.host === OLD_AZURE_SSH_HOST) return { user: address.organisation ?? USER, host: OLD_AZURE_SSH_HOST, port: SSH_PORT };
    return { user: USER, host: AZURE_SSH_HOST, port: SSH_PORT };
  }
  const [, v6, name, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::([0-9]+))?$/.exec(address.host) ?? [];
  return { user: USER, host: v6 ?? name ?? address.host, port: port === undefined ? SSH_PORT : Number(port) };
}

/** The text of bytes as latin1; undefined when they are no UTF-8, which cannot be sent as they are. */
function textOf(latin1: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(latin1, 'latin1'));
  } catch {
    return undefined;
  }
}
