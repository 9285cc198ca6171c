/** Which addresses `postern doctor` walks: the one that was typed, or those of the remotes of the repository that it stands in. */
import { hideCredentials, userIn } from '../gitconfig/names.js';
import { type Git, subsectionOf } from '../gitconfig/git.js';

/** Addresses of remotes that are walked; a repository with more is looked at by name. */
export const MOST_ADDRESSES = 8;

/** Hosts whose addresses are for Postern without a word of the configuration. */
const AZURE = /^(?:dev\.azure\.com|ssh\.dev\.azure\.com|[^.@/:]+\.visualstudio\.com)$/;

/** A remote's address, as it is written. */
export interface RemoteAddress {
  readonly remote: string;
  readonly direction: 'fetch' | 'push';
  readonly address: string;
}

/** All addresses of remotes that git's configuration has here; none outside of a repository. They may hold credentials. @throws ProxyError `git-config` */
export async function remoteAddresses(git: Git): Promise<RemoteAddress[]> {
  return (await git.entries()).flatMap(({ key, value: address = '' }): RemoteAddress[] => {
    const fetch = subsectionOf(key, 'remote', 'url');
    const push = subsectionOf(key, 'remote', 'pushurl');
    if (fetch !== undefined) return [{ remote: fetch, direction: 'fetch', address }];
    return push === undefined ? [] : [{ remote: push, direction: 'push', address }];
  });
}

/** The host of an address in any form that git takes, in lower case and without port; undefined for a path or the like. */
export function hostOf(address: string): string | undefined {
  const url = /^[a-z][a-z0-9+.-]*:\/\/(?:[^@/]*@)?(\[[^\]]*\]|[^/:]+)/i.exec(address);
  const scp = url === null ? /^(?:[^@/:]+@)?(\[[^\]]*\]|[^/:@[\]]{2,}):(?!\/\/)/.exec(address) : null;
  return (url ?? scp)?.[1]?.toLowerCase();
}

/** Whether an address is one that Postern is there for: Azure's, of a host that routes name, or at a door. `hosts`: those of routes. */
export function isForPostern(
  address: string,
  { hosts, doors }: { readonly hosts: readonly string[]; readonly doors: readonly string[] },
): boolean {
  if (doors.some((door) => address.startsWith(door))) return true;
  const host = hostOf(address);
  return host !== undefined && (AZURE.test(host) || hosts.includes(host));
}

/** An address without the credential in it, and whether there was one: as other rows may have and show it. */
export function withoutCredential(address: string): { readonly address: string; readonly hadCredential: boolean } {
  const found = /^(https?:\/\/)([^@/]*)@(.*)$/is.exec(address);
  if (found === null) return { address, hadCredential: false };
  const [, scheme = '', userinfo = '', rest = ''] = found;
  const user = userIn(userinfo);
  return user === undefined ? { address: scheme + rest, hadCredential: userinfo !== '' } : { address, hadCredential: false };
}

/** For a text: no credential, no control character. */
export function shown(address: string): string {
  return hideCredentials(address);
}
