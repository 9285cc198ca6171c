/**
 * Addresses to listen on: `127.0.0.1:8417`, `[::1]:8417`, `localhost:8417`, and any other of this machine, also all of them
 * (`0.0.0.0:8417`, `[::]:8417`, each for its own version of IP). What callers have to show there is said by `access`.
 */
import { isIPv4 } from 'node:net';
import type { ListenAddress } from '../model/settings.js';
import { asMap, faultOf, ownValue, quote, typeName } from './fault.js';
import type { KeyPath, ShapeFault } from './fault.js';
import { namesFaults } from './listen-names.js';
import { tlsFaults } from './listen-tls.js';
import { unknownKeyText } from './not-yet.js';

/** Keys of `listen.http` where it is a map. */
const LISTEN_KEYS: readonly string[] = ['address', 'names', 'tls'];

/**
 * Reads one address. `localhost` is two: 127.0.0.1, and ::1 where the system has it. Port 0 lets the system choose.
 * @throws {SyntaxError} for another form, a port out of range, and a name.
 */
export function parseListenAddress(text: string): readonly ListenAddress[] {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  if (match === null) throw new SyntaxError(`${quote(text)} is not an address; write \`127.0.0.1:8417\` or \`[::1]:8417\``);
  const port = Number(match[3]);
  if (port > 65_535) throw new SyntaxError(`${quote(text)} has no valid port; write one from 0 to 65535`);
  const [, v6, v4 = ''] = match;
  if (v6 === undefined && v4.toLowerCase() === 'localhost') {
    return [
      { host: '127.0.0.1', port, optional: false },
      { host: '::1', port, optional: true },
    ];
  }
  const host = v6 === undefined ? v4 : shortIPv6(v6);
  if (host === undefined || (v6 === undefined && !isIPv4(host))) {
    throw new SyntaxError(
      `${quote(text)} does not begin with an IP address; write \`127.0.0.1:${String(port)}\` or \`[::1]:${String(port)}\``,
    );
  }
  if (host.startsWith('::ffff:')) throw new SyntaxError(`${quote(text)} is an IPv4 address in the form of IPv6; write it as IPv4`);
  return [{ host, port, optional: false }];
}

/**
 * Reads addresses with commas between, as a flag or a variable holds them.
 * @throws {SyntaxError} as `parseListenAddress`, and for an address that comes twice, also as one of all.
 */
export function parseListenAddresses(text: string): readonly ListenAddress[] {
  const all: ListenAddress[] = [];
  for (const piece of text.split(',')) {
    for (const address of parseListenAddress(piece.trim())) {
      // Port 0 is another port each time.
      if (address.port !== 0 && all.some((other) => other.host === address.host && other.port === address.port)) {
        throw new SyntaxError(`${writeListenAddress(address)} comes twice; write it once (\`localhost\` stands for 127.0.0.1 and ::1)`);
      }
      const other = all.find((each) => overlap(each, address));
      if (other !== undefined) {
        const [wide, narrow] = isWildcard(other) ? [other, address] : [address, other];
        throw new SyntaxError(
          `${writeListenAddress(wide)} listens on ${writeListenAddress(narrow)} as well; write one of the two, or another port`,
        );
      }
      all.push(address);
    }
  }
  return all;
}

/** `127.0.0.1:8417`, `[::1]:8417`. */
export function writeListenAddress(address: ListenAddress): string {
  return address.host.includes(':') ? `[${address.host}]:${String(address.port)}` : `${address.host}:${String(address.port)}`;
}

/** Everything wrong with the value of `listen.http`: where below it, and what. */
export function listenFaults(raw: unknown): ShapeFault[] {
  const map = asMap(raw);
  const found = Object.keys(map ?? {})
    .filter((key) => !LISTEN_KEYS.includes(key))
    .map((key): ShapeFault => ({ path: [key], on: 'key', text: unknownKeyText(key, LISTEN_KEYS, []) }));
  const names = ownValue(map, 'names');
  if (names !== undefined) found.push(...namesFaults(names));
  const tls = ownValue(map, 'tls');
  if (tls !== undefined) found.push(...tlsFaults(tls));
  const wrong = (path: KeyPath, text: string): void => void found.push({ path, on: 'value', text });
  const pieces = listenPieces(raw);
  // Without `address` other keys are for the default one.
  const isDefault = map !== undefined && ownValue(map, 'address') === undefined && LISTEN_KEYS.some((key) => Object.hasOwn(map, key));
  if (pieces === undefined) {
    if (!isDefault) wrong([], 'holds no address; write `127.0.0.1:8417`, a list of such addresses, or `{ address: 127.0.0.1:8417 }`');
  } else if (pieces.length === 0) {
    wrong([], 'is an empty list; write at least one address, such as `127.0.0.1:8417`');
  }
  const good: string[] = [];
  for (const { path, value } of pieces ?? []) {
    if (typeof value !== 'string') {
      wrong(path, `is ${typeName(value)}; write host and port, such as \`127.0.0.1:8417\` or \`"[::1]:8417"\``);
      continue;
    }
    // With the ones before it, so that a repetition is told at the second.
    const fault = faultOf(parseListenAddress, value) ?? faultOf(parseListenAddresses, [...good, value].join(','));
    if (fault === undefined) good.push(value);
    else wrong(path, fault);
  }
  return found;
}

/** The addresses of a `listen.http` value with the way to each; undefined when it has none of the three forms. */
export function listenPieces(raw: unknown): { path: KeyPath; value: unknown }[] | undefined {
  if (typeof raw === 'string' || typeof raw === 'number') return [{ path: [], value: raw }];
  if (Array.isArray(raw)) return raw.map((value: unknown, index) => ({ path: [index], value }));
  const inner = ownValue(asMap(raw), 'address');
  if (inner === undefined || asMap(inner) !== undefined) return undefined;
  return listenPieces(inner)?.map(({ path, value }) => ({ path: ['address', ...path], value }));
}

function isWildcard({ host }: ListenAddress): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** Whether one of the two hears what the other is for. */
function overlap(a: ListenAddress, b: ListenAddress): boolean {
  return a.port === b.port && a.port !== 0 && isIPv4(a.host) === isIPv4(b.host) && (isWildcard(a) || isWildcard(b));
}

/** An IPv6 literal in its shortest form; undefined when it is none. Zone ids do not parse. */
function shortIPv6(text: string): string | undefined {
  try {
    return new URL(`http://[${text}]`).hostname.slice(1, -1);
  } catch {
    return undefined; // not an IPv6 literal, which is the answer
  }
}
