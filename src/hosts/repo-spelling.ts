/**
 * Every spelling of a repository's address that git takes: URLs with or without a user, scp form, the door's own address, and
 * `host/path` without a scheme.
 *
 * Source: git-clone(1), "GIT URLS".
 */
import { parseHost } from '../model/host-name.js';

export interface SpelledAddress {
  /** As in addresses (parseHost). */
  readonly host: string;
  /** Percent-encoded bytes as latin1, without git's suffix or that of LFS: what `parseRepoAddress` takes. */
  readonly path: string;
}

/** What git and git-lfs put behind the address of a repository. */
const ENDINGS = /\/(?:info\/refs|git-upload-pack|git-receive-pack)$|(?:\.git)?\/info\/lfs(?:\/.*)?$/;

/** Reads a spelling; undefined when it is none. */
export function readSpelling(text: string): SpelledAddress | undefined {
  const scp = scpForm(text);
  let host: string | undefined;
  let path: string;
  if (URL.canParse(text) && text.includes('://')) {
    const url = new URL(text);
    const isSsh = url.protocol === 'ssh:' && url.port === '22';
    [host, path] = [parseHost(isSsh ? url.hostname : url.host), url.pathname];
    if (host !== undefined && /^(127\.|localhost|\[::1\])/.test(host)) {
      const local = /^\/([^/]+)(\/.*)$/.exec(path);
      if (local?.[1] !== undefined && local[2] !== undefined) [host, path] = [parseHost(local[1]), local[2]];
    }
  } else if (scp !== undefined) [host, path] = [parseHost(scp.host), `/${scp.path}`];
  else {
    const bare = /^([^/]+)(\/.+)$/.exec(text);
    [host, path] = [bare?.[1] === undefined ? undefined : parseHost(bare[1]), bare?.[2] ?? ''];
  }
  if (host === undefined || path === '') return undefined;
  const trimmed = path.replace(ENDINGS, '').replace(/\/$/, '');
  return { host, path: Buffer.from(trimmed, 'utf8').toString('latin1') };
}

/** Whether a text is an address as only git writes one, and no `host/path`: with a scheme, or in scp form. */
export function isWholeAddress(text: string): boolean {
  return text.includes('://') || scpForm(text) !== undefined;
}

/** Whether git would use SSH for a text: a URL that says so, or scp form. */
export function isSshSpelling(text: string): boolean {
  return /^(?:git\+)?ssh:\/\//i.test(text) || scpForm(text) !== undefined;
}

function scpForm(text: string): { readonly host: string; readonly path: string } | undefined {
  const [, host, path] = /^(?:[^@/]+@)?([^:/]+):(?!\/\/)(.+)$/.exec(text) ?? [];
  return host === undefined || path === undefined ? undefined : { host, path };
}
