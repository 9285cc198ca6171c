/**
 * Whether the key that an SSH host shows is the one that is known for it: reads the known_hosts files, and says what is wrong and
 * what to do. A key that is not known is never taken on first sight.
 */
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import {
  fingerprintOf,
  type HostKeyLine,
  type HostKeyVerdict,
  judgeHostKey,
  knownHostsName,
  knownKeyTypes,
  parseKnownHosts,
  typeOf,
} from './known-hosts.js';

/** The host whose key is asked for. */
export interface KeyedHost {
  /** Lower case, without brackets. */
  readonly host: string;
  readonly port: number;
}

/** Lines that a text names. */
const MOST_SHOWN = 3;
const SYSTEM_FILES = ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'];

/** What the known_hosts files of one route say at the moment at which they were read. */
export class HostKeys {
  readonly #lines: readonly HostKeyLine[];
  /** Where a new line goes. */
  readonly #first: string;
  /** Files of the user or the system that are there and could not be read. */
  readonly #unread: readonly string[];

  /**
   * Reads `files`, or those of the user and the system. A file that is not there has no lines.
   * @throws ProxyError `host-key-refused` when a file of the configuration cannot be read: it may be the one that withdraws the key
   */
  static async read(files: readonly string[] | undefined, home: string = homedir()): Promise<HostKeys> {
    const paths = files ?? [join(home, '.ssh', 'known_hosts'), join(home, '.ssh', 'known_hosts2'), ...SYSTEM_FILES];
    const unread: string[] = [];
    const lines = await Promise.all(
      paths.map(async (path) => {
        try {
          return parseKnownHosts(await readFile(path, 'utf8'), path);
        } catch (thrown) {
          if (systemCodeOf(thrown) === 'ENOENT') return [];
          if (files !== undefined) throw unreadable(path, thrown);
          unread.push(path);
          return [];
        }
      }),
    );
    return new HostKeys(lines.flat(), paths[0] ?? '', unread);
  }

  private constructor(lines: readonly HostKeyLine[], first: string, unread: readonly string[]) {
    this.#lines = lines;
    this.#first = first;
    this.#unread = unread;
  }

  /** Types of keys to ask a host for first, as they stand in its known keys. */
  typesFor({ host, port }: KeyedHost): readonly string[] {
    return knownKeyTypes(this.#lines, host, port);
  }

  /** Why the key `blob` is not good for the host, `host-key-refused`; undefined when it is. */
  refusalOf({ host, port }: KeyedHost, blob: Buffer): ProxyError | undefined {
    const verdict = judgeHostKey(this.#lines, host, port, blob);
    if (verdict.kind === 'known') return undefined;
    const { what, todo } = this.#words(verdict, host, port, blob);
    return new ProxyError('host-key-refused', what, { todo });
  }

  #words(verdict: Exclude<HostKeyVerdict, { kind: 'known' }>, host: string, port: number, blob: Buffer): { what: string; todo: string } {
    const name = knownHostsName(host, port);
    const shown = `${typeOf(blob) ?? 'of no type'} ${fingerprintOf(blob)}`;
    const line = `${name} ${typeOf(blob) ?? ''} ${blob.toString('base64')}`;
    const add = `add this line to ${this.#first}: ${line}`;
    switch (verdict.kind) {
      case 'revoked':
        return {
          what: `The host key of ${name} (${shown}) is revoked by ${placeOf(verdict.line)}, so that no connection was made`,
          todo: 'do not use this host until its administrator has given it a new key: whoever holds a revoked one can pass for the host',
        };
      case 'changed': {
        const known = verdict.lines.slice(0, MOST_SHOWN).map((each) => `${placeOf(each)} has ${each.type} ${fingerprintOf(each.blob)}`);
        if (verdict.lines.length > MOST_SHOWN) known.push(`${verdict.lines.length - MOST_SHOWN} more lines have others`);
        if (verdict.published !== undefined) known.push(`Azure DevOps publishes ${verdict.published}`);
        const places = verdict.lines.map(placeOf).join(' and ');
        return {
          what: `THE HOST KEY OF ${name} IS NOT THE KNOWN ONE: it showed ${shown}, but ${known.join(', ')}; someone may be answering in its place`,
          todo:
            `ask the administrator of ${host} whether the key was changed; only if it was, ` +
            (places === '' ? add : `put this line in the place of ${places}: ${line}`),
        };
      }
      case 'unknown':
        return {
          what: `The host key of ${name} is not known: it showed ${shown}${this.#aside(verdict.authority)}`,
          todo: `compare the fingerprint with what the administrator of ${host} publishes; if it is right, ${add}`,
        };
    }
  }

  #aside(authority: HostKeyLine | undefined): string {
    const asides = this.#unread.map((path) => `${path} cannot be read`);
    if (authority !== undefined)
      asides.push(`${placeOf(authority)} trusts certificates of this host, which cannot be checked here: it must be known by its own key`);
    return asides.length === 0 ? '' : ` (${asides.join('; ')})`;
  }
}

function placeOf({ file, number }: HostKeyLine): string {
  return `${file} line ${number}`;
}

function unreadable(path: string, thrown: unknown): ProxyError {
  return new ProxyError('host-key-refused', `The known_hosts file ${path} cannot be read (${messageOf(thrown)})`, {
    todo: 'let the user of the daemon read it, or correct `knownHosts` of the route',
    cause: thrown,
  });
}
