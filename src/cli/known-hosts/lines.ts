/**
 * The door's line in a known_hosts file, and what lines of others say about the same addresses. Nothing is ever parsed and
 * written anew. How such lines are read is in ssh/known-hosts.ts.
 */
import type { ListenAddress } from '../../model/settings.js';
import { type HostKeyLine, knownHostsName, namesHost, parseKnownHosts } from '../../ssh/known-hosts.js';

/** The comment of our line. ssh passes it over. */
const MARK = ' added by `postern setup`, taken out by `postern setup --undo`';

/** What to write for a door. */
export interface DoorLine {
  /** As ssh looks for them: `[127.0.0.1]:8422`. */
  readonly names: readonly string[];
  /** `ssh-ed25519 AAAA...`. */
  readonly publicLine: string;
}

/** A line that speaks against the door's key. */
export interface Rival {
  /** From 1. */
  readonly line: number;
  /** `other-key`: another key for the same address. `revoked`: our key, marked as one not to be trusted. */
  readonly kind: 'other-key' | 'revoked';
}

/** The names under which clients of this machine look for a door's key. */
export function doorNamesOf(addresses: readonly ListenAddress[]): string[] {
  return [...new Set(addresses.map(({ host, port }) => knownHostsName(reachedAs(host), port)))];
}

/** The address by which this machine reaches a listener; one for all addresses is reached by loopback. */
export function reachedAs(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

/** Our line, with its newline. */
export function writeDoorLine({ names, publicLine }: DoorLine): string {
  return `${names.join(',')} ${publicLine}${MARK}\n`;
}

/** The lines of ours that stand in a content, each with its newline; for when nothing tells which one was written. */
export function ourLines(content: Buffer): string[] {
  return content
    .toString('latin1')
    .split(/(?<=\n)/)
    .filter((line) => line.endsWith(`${MARK}\n`));
}

/** Whether each name of the door has its key in some line that somebody else wrote. */
export function isKnownBesides(content: Buffer, door: DoorLine): boolean {
  const lines = othersIn(content).filter((line) => line.marker === undefined && hasKeyOf(line, door));
  return door.names.every((name) => lines.some(({ hosts }) => namesHost(hosts, name)));
}

/** Lines of others that speak against the door's key. */
export function rivalsIn(content: Buffer, door: DoorLine): Rival[] {
  return othersIn(content).flatMap((line): Rival[] => {
    const isSame = hasKeyOf(line, door);
    if (line.marker === 'cert-authority' || (line.marker === 'revoked') !== isSame) return [];
    if (!door.names.some((name) => namesHost(line.hosts, name))) return [];
    return [{ line: line.number, kind: isSame ? 'revoked' : 'other-key' }];
  });
}

/** Lines that are not ours, under the numbers that they have. */
function othersIn(content: Buffer): HostKeyLine[] {
  const lines = content.toString('latin1').split('\n');
  return parseKnownHosts(lines.map((line) => (line.endsWith(MARK) ? '' : line)).join('\n'), '');
}

function hasKeyOf({ type, blob }: HostKeyLine, { publicLine }: DoorLine): boolean {
  return `${type} ${blob.toString('base64')}` === publicLine;
}
