/**
 * Lines of known_hosts files, and what they say of a host key. No file is read here.
 *
 *   line    = [ marker blank ] hosts blank type blank base64 [ blank comment ]
 *   marker  = "@cert-authority" | "@revoked"
 *   hosts   = pattern *( "," pattern ) | "|1|" base64-salt "|" base64-hash
 *   pattern = [ "!" ] name with `*` and `?`; a host on another port than 22 is named `[host]:port`
 *
 * Source: sshd(8) SSH_KNOWN_HOSTS FILE FORMAT; ssh_config(5) PATTERNS; hostfile.c and match.c of OpenSSH.
 */
import { createHash, createHmac } from 'node:crypto';

export interface HostKeyLine {
  readonly file: string;
  /** The first is 1. */
  readonly number: number;
  readonly marker: 'cert-authority' | 'revoked' | undefined;
  /** Patterns, or the hash of one name, as written. */
  readonly hosts: string;
  /** `ssh-ed25519`, ... */
  readonly type: string;
  /** The key's own bytes (RFC 4253 section 6.6). */
  readonly blob: Buffer;
}

export type HostKeyVerdict =
  | { readonly kind: 'known' }
  | { readonly kind: 'revoked'; readonly line: HostKeyLine }
  /** The host is known by other keys: `lines`, or by the key that its owner publishes. */
  | { readonly kind: 'changed'; readonly lines: readonly HostKeyLine[]; readonly published: string | undefined }
  /** `authority`: a line that trusts certificates of this host, which cannot be checked here. */
  | { readonly kind: 'unknown'; readonly authority: HostKeyLine | undefined };

/**
 * Fingerprints that owners of hosts publish, good on port 22 without a file. Azure DevOps has one RSA key for both names:
 * https://learn.microsoft.com/azure/devops/repos/git/use-ssh-keys-to-authenticate
 */
const AZURE_KEY = { type: 'ssh-rsa', fingerprint: 'SHA256:ohD8VZEXGWo6Ez8GSEJQ9WpafgLFsOfLOtGGQCQo6Og' } as const;
const PUBLISHED: ReadonlyMap<string, typeof AZURE_KEY> = new Map([
  ['ssh.dev.azure.com', AZURE_KEY],
  ['vs-ssh.visualstudio.com', AZURE_KEY],
]);

export const SSH_PORT = 22;
const HASH_MARK = '|1|';
/** Of HMAC-SHA1; ssh takes no other. */
const SALT_BYTES = 20;
/** ssh reads no longer pattern. */
const LONGEST_PATTERN = 1023;
const MARKED = /^@(cert-authority|revoked)[ \t]+(.*)$/;
const LINE = /^([^ \t]+)[ \t]+([^ \t#][^ \t]*)[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t\r].*)?$/;

/**
 * The lines of a file that name a key, in their order. Comments, lines of SSH 1 and whatever cannot be read are passed over, as ssh
 * does: a line of a later version must not take the others with it.
 */
export function parseKnownHosts(text: string, file: string): HostKeyLine[] {
  return text.split('\n').flatMap((raw, index) => {
    const line = raw.replace(/^[ \t]+/, '');
    if (line === '' || line.startsWith('#')) return [];
    const [, marker, rest = line] = MARKED.exec(line) ?? [];
    if (marker === undefined && line.startsWith('@')) return [];
    const [, hosts, type, base64 = ''] = LINE.exec(rest) ?? [];
    const blob = Buffer.from(base64, 'base64');
    if (hosts === undefined || hosts.startsWith('@') || type === undefined || typeOf(blob) !== type) return [];
    return [{ file, number: index + 1, marker: marker as HostKeyLine['marker'], hosts, type, blob }]; // one of the two words that the expression has
  });
}

/** The name under which a host stands in known_hosts files. */
export function knownHostsName(host: string, port: number): string {
  return port === SSH_PORT ? host : `[${host}]:${port}`;
}

/** Whether the hosts of a line, patterns or a hash, name `name` (lower case). */
export function namesHost(hosts: string, name: string): boolean {
  if (hosts.startsWith('|')) return isHashOf(hosts, name);
  let isNamed = false;
  for (const each of hosts.split(',')) {
    const isNegated = each.startsWith('!');
    const pattern = (isNegated ? each.slice(1) : each).toLowerCase();
    if (pattern.length > LONGEST_PATTERN) return false;
    if (!matches(name, pattern)) continue;
    if (isNegated) return false;
    isNamed = true;
  }
  return isNamed;
}

/** What `lines` say of the key `blob` that `host` (lower case) shows on `port`. */
export function judgeHostKey(lines: readonly HostKeyLine[], host: string, port: number, blob: Buffer): HostKeyVerdict {
  const named = linesOf(lines, host, port);
  const plain = named.filter(({ marker }) => marker === undefined);
  // With another port ssh also takes the key that the host has on its own; what is withdrawn there is withdrawn here.
  const elsewhere = port === SSH_PORT ? [] : linesOf(lines, host, SSH_PORT);
  const revoked = [...named, ...elsewhere].find((line) => line.marker === 'revoked' && line.blob.equals(blob));
  if (revoked !== undefined) return { kind: 'revoked', line: revoked };
  if (plain.some((line) => line.blob.equals(blob))) return { kind: 'known' };
  const published = publishedKey(host, port);
  if (published !== undefined && published.fingerprint === fingerprintOf(blob)) return { kind: 'known' };
  if (plain.length > 0 || published !== undefined) return { kind: 'changed', lines: plain, published: published?.fingerprint };
  if (elsewhere.some((line) => line.marker === undefined && line.blob.equals(blob))) return { kind: 'known' };
  return { kind: 'unknown', authority: named.find(({ marker }) => marker === 'cert-authority') };
}

/** Types of the keys that are known for a host, in the order in which they stand: a host that has several should show one of these. */
export function knownKeyTypes(lines: readonly HostKeyLine[], host: string, port: number): string[] {
  const own = typesOf(linesOf(lines, host, port));
  const published = publishedKey(host, port);
  const types = [...own, ...(published === undefined ? [] : [published.type])];
  return [...new Set(types.length > 0 ? types : typesOf(linesOf(lines, host, SSH_PORT)))];
}

/** `SHA256:` and base64 without padding, as OpenSSH shows a key. */
export function fingerprintOf(blob: Buffer): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** The type that the bytes of a key begin with (RFC 4251 section 5); undefined when they are none. */
export function typeOf(blob: Buffer): string | undefined {
  if (blob.length < 4) return undefined;
  const end = 4 + blob.readUInt32BE(0);
  return end >= blob.length ? undefined : blob.toString('latin1', 4, end);
}

function typesOf(lines: readonly HostKeyLine[]): string[] {
  return lines.filter(({ marker }) => marker === undefined).map(({ type }) => type);
}

function linesOf(lines: readonly HostKeyLine[], host: string, port: number): HostKeyLine[] {
  const name = knownHostsName(host, port);
  return lines.filter(({ hosts }) => namesHost(hosts, name));
}

function publishedKey(host: string, port: number): typeof AZURE_KEY | undefined {
  return port === SSH_PORT ? PUBLISHED.get(host) : undefined;
}

function isHashOf(hosts: string, name: string): boolean {
  if (!hosts.startsWith(HASH_MARK)) return false;
  const [salt = '', hash = '', ...rest] = hosts.slice(HASH_MARK.length).split('|');
  const bytes = Buffer.from(salt, 'base64');
  return rest.length === 0 && bytes.length === SALT_BYTES && createHmac('sha1', bytes).update(name).digest('base64') === hash;
}

/** `*` is any number of characters, `?` one. Goes back to the last `*` only, so that no pattern takes long. */
function matches(name: string, pattern: string): boolean {
  let at = 0;
  let star = -1;
  let retry = 0;
  for (let from = 0; from < name.length;) {
    if (pattern[at] === '*') {
      star = at;
      at += 1;
      retry = from;
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === name[from])) {
      at += 1;
      from += 1;
    } else if (star >= 0) {
      at = star + 1;
      retry += 1;
      from = retry;
    } else return false;
  }
  return /^\**$/.test(pattern.slice(at));
}
