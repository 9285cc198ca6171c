/**
 * Lines of a known_hosts file: ours, and what others say about the same addresses. Nothing is ever parsed and written anew.
 *
 * Source: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT": `[@marker] names type key [comment]`, names with commas between, `*` and `?` as
 * wildcards, `!` before one that is not meant, or hashed (`|1|salt|hash`, HMAC-SHA1). A port other than 22 is written
 * `[host]:port`.
 */
import { createHmac } from 'node:crypto';
import type { ListenAddress } from '../../model/settings.js';

const SSH_PORT = 22;

/** The comment of our line. ssh passes it over. */
const MARK = 'added by `postern setup`, taken out by `postern setup --undo`';

/** What to write for a door. `publicLine` is `ssh-ed25519 AAAA...`. */
export interface DoorLine {
  /** As ssh looks for them: `[127.0.0.1]:8422`. */
  readonly names: readonly string[];
  readonly publicLine: string;
}

/** What a file says about a door besides our own line. */
export interface Rival {
  /** From 1. */
  readonly line: number;
  /** `other-key`: another key for the same address. `revoked`: our key, marked as one not to be trusted. */
  readonly kind: 'other-key' | 'revoked';
}

/** The name of an address in such a file; a listener for all addresses is reached by the loopback one. */
export function knownAs({ host, port }: Pick<ListenAddress, 'host' | 'port'>): string {
  const name = reachedAs(host);
  return port === SSH_PORT ? name : `[${name}]:${port}`;
}

/** The address by which this machine reaches a listener. */
export function reachedAs(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

/** Our line, with its newline. */
export function writeDoorLine({ names, publicLine }: DoorLine): string {
  return `${names.join(',')} ${publicLine} ${MARK}\n`;
}

/** The lines of ours that stand in a content, each with its newline; for when nothing tells which one was written. */
export function ourLines(content: Buffer): string[] {
  return content
    .toString('latin1')
    .split(/(?<=\n)/)
    .filter((line) => line.endsWith(` ${MARK}\n`));
}

/** Whether each name of the door has its key in some line that somebody else wrote. */
export function isKnownBesides(content: Buffer, door: DoorLine): boolean {
  return door.names.every((name) =>
    entriesIn(content).some(
      (entry) => !entry.isOurs && entry.marker === undefined && entry.key === door.publicLine && matches(entry.names, name),
    ),
  );
}

/** Lines of others that speak against the door's key. */
export function rivalsIn(content: Buffer, door: DoorLine): Rival[] {
  return entriesIn(content).flatMap((entry): Rival[] => {
    if (entry.isOurs || !door.names.some((name) => matches(entry.names, name))) return [];
    const isSame = entry.key === door.publicLine;
    if (entry.marker === '@revoked') return isSame ? [{ line: entry.line, kind: 'revoked' }] : [];
    return entry.marker === undefined && !isSame ? [{ line: entry.line, kind: 'other-key' }] : [];
  });
}

interface Entry {
  readonly line: number;
  readonly marker: string | undefined;
  readonly names: string;
  /** Type and key. */
  readonly key: string;
  readonly isOurs: boolean;
}

function entriesIn(content: Buffer): Entry[] {
  return content
    .toString('latin1')
    .split('\n')
    .flatMap((text, index): Entry[] => {
      const [, marker, names = '', type = '', key = '', comment = ''] =
        /^[ \t]*(?:(@\S+)[ \t]+)?([^#\s]\S*)[ \t]+(\S+)[ \t]+(\S+)[ \t]*(.*?)\r?$/.exec(text) ?? [];
      return names === '' ? [] : [{ line: index + 1, marker, names, key: `${type} ${key}`, isOurs: comment === MARK }];
    });
}

/** Whether a list of names means an address (ssh's match_hostname). */
function matches(names: string, address: string): boolean {
  if (names.startsWith('|')) return isHashOf(names, address);
  const patterns = names.split(',');
  const fits = (pattern: string): boolean => wildcard(pattern).test(address);
  return (
    !patterns.some((each) => each.startsWith('!') && fits(each.slice(1))) && patterns.some((each) => !each.startsWith('!') && fits(each))
  );
}

function isHashOf(hashed: string, address: string): boolean {
  const [, salt, hash] = /^\|1\|([^|]+)\|([^|]+)$/.exec(hashed) ?? [];
  return salt !== undefined && createHmac('sha1', Buffer.from(salt, 'base64')).update(address).digest('base64') === hash;
}

function wildcard(pattern: string): RegExp {
  const source = pattern.replace(/[^]/g, (sign) => {
    if (sign === '*') return '[^]*';
    return sign === '?' ? '[^]' : sign.replace(/[\\^$.|+()[\]{}]/, '\\$&');
  });
  return new RegExp(`^${source}$`, 'i');
}
