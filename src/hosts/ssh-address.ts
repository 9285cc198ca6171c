/**
 * The address in an SSH command: the real host, and the path behind it.
 *
 *   ssh://git@door/host[:port]/path    arrives as /host[:port]/path, which git has percent-decoded
 *   [git@door]:host[:port]/path        arrives as host[:port]/path, as it was written
 *
 * A port is that of the way up which the route takes: SSH's where an agent signs, HTTPS' where it is bridged. SSH's own, 22, is no
 * part of the name.
 *
 * Azure DevOps gives out scp forms that are percent-encoded (`v3/org/My%20Project/repo`) and decodes them itself, so there the
 * written form is one encoding; to every other host a `%` is a letter.
 *
 * Source: git-clone(1) "GIT URLS"; git's connect.c (parse_connect_url).
 */
import type { HostKind, RepoAddress } from '../model/address.js';
import { inferHostKind, parseHost } from '../model/host-name.js';
import { parseRepoAddress } from './repo-address.js';

const SSH_PORT = ':22';
/** What stands in a path of a URL without being encoded (RFC 3986, pchar), and the slash. */
const BARE = /[A-Za-z0-9\-._~!$&'()*+,;=:@/]/;

export type SshAddress =
  | {
      readonly kind: 'address';
      readonly address: RepoAddress;
      /** The path for a command at the host, bytes as latin1: `/team/tools` or `team/tools`, as the client wrote it. */
      readonly path: string;
    }
  | { readonly kind: 'fault'; readonly what: string; /** For the record. */ readonly shown: string };

/** Reads the path of a command, decoded as UTF-8. `kindOf` tells which kind of host a route declares. */
export function parseSshAddress(text: string, kindOf: (host: string) => HostKind | undefined): SshAddress {
  const isUrl = text.startsWith('/');
  const [, segment = '', rest = ''] = /^\/?([^/]+)(\/.*)?$/s.exec(text) ?? [];
  const host = parseHost(segment.endsWith(SSH_PORT) ? segment.slice(0, -SSH_PORT.length) : segment);
  if (host === undefined) return { kind: 'fault', what: `${segment === '' ? 'it' : segment} is not a host name`, shown: text };
  const bytes = Buffer.from(rest.replace(/\/$/, ''), 'utf8').toString('latin1');
  const inferred = inferHostKind(host);
  const kind = kindOf(host) ?? inferred;
  const encoded = encode(bytes, !isUrl && kind === 'azure-services');
  const parsed = parseRepoAddress(kind, host, encoded);
  // A host that no route names is most likely no Azure DevOps Server: that there is no route says more than a wrong grammar.
  const read =
    parsed.kind === 'fault' && kindOf(host) === undefined && inferred === 'azure-server'
      ? parseRepoAddress('generic', host, encoded)
      : parsed;
  if (read.kind === 'fault') return { kind: 'fault', what: read.what, shown: `${host}${rest}` };
  const { address } = read;
  // git itself takes the slash from before a home directory.
  const path = isUrl && !bytes.startsWith('/~') ? bytes : bytes.slice(1);
  return { kind: 'address', address, path };
}

/** Bytes of a path, percent-encoded for a URL; `isEncoded`: what is encoded already stays as it is. */
function encode(bytes: string, isEncoded: boolean): string {
  return bytes.replace(/%[0-9a-fA-F]{2}|[^]/g, (piece) => {
    if (piece.length > 1) return isEncoded ? piece : `%25${piece.slice(1)}`;
    return BARE.test(piece) ? piece : `%${piece.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
  });
}
