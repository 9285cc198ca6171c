/**
 * Names under which the HTTP door is called besides its addresses, `listen.http.names`, such as `host.containers.internal`. They
 * are the only names that a Host header may hold: whoever owns a name can point it at this machine, and with it the browser of
 * anyone who visits their page (DNS rebinding), so a name counts only when somebody wrote it down.
 */
import { isHostName } from '../model/host-name.js';
import type { EffectiveValue } from './effective-value.js';
import { asMap, faultOf, ownValue, quote, type ShapeFault, typeName } from './fault.js';
import type { SettingsSource } from './settings-source.js';

/** Of a name in DNS (RFC 1035 section 2.3.4). */
const LONGEST_NAME = 253;
const RIGHT = 'write a list of host names, such as `[host.containers.internal]`';

/** For editors. */
export const NAMES_SCHEMA = {
  type: 'array',
  items: { type: 'string' },
  minItems: 1,
  description: 'Host names besides the addresses under which callers reach the door, without port; for every listener. Default: none.',
  examples: [['host.containers.internal']],
};

/**
 * Reads one name; gives it in lower case.
 * @throws {SyntaxError} for what is no name: a port, an address, a pattern.
 */
export function parseListenName(text: string): string {
  const name = text.toLowerCase();
  if (/:[0-9]*$/.test(name) && isHostName(name.replace(/:[0-9]*$/, '')))
    throw new SyntaxError(`${quote(text)} has a port; write the name alone, it is taken with the port of each listener`);
  // Browsers read a name that ends in a number as an address (URL Standard, "ends in a number checker").
  if (/(^|\.)([0-9]+|0x[0-9a-f]*)$/.test(name) || /^\[?[0-9a-f]*:/.test(name))
    throw new SyntaxError(`${quote(text)} is an address, and those of the listeners are known; leave it out`);
  if (!isHostName(name) || name.length > LONGEST_NAME)
    throw new SyntaxError(`${quote(text)} is not a host name; write it as \`host.example.com\``);
  return name;
}

/** All that is wrong with the value, with paths that begin below `listen.http`. */
export function namesFaults(raw: unknown): ShapeFault[] {
  const wrong = (path: readonly number[], text: string): ShapeFault => ({ path: ['names', ...path], on: 'value', text });
  if (!Array.isArray(raw)) return [wrong([], `is ${typeName(raw)}; ${RIGHT}`)];
  const values = raw as readonly unknown[];
  if (values.length === 0) return [wrong([], `is an empty list; ${RIGHT}, or leave the key out`)];
  const seen = new Set<string>();
  return values.flatMap((value, index) => {
    if (typeof value !== 'string') return [wrong([index], `is ${typeName(value)}; write a host name`)];
    const fault = faultOf(parseListenName, value);
    if (fault !== undefined) return [wrong([index], fault)];
    const name = parseListenName(value);
    if (seen.has(name)) return [wrong([index], `${quote(name)} comes twice; write it once`)];
    seen.add(name);
    return [];
  });
}

/** The names of a file without faults, and where they come from. */
export function readNames(source: SettingsSource): { names: readonly string[]; effective: EffectiveValue } {
  const path = ['listen', 'http', 'names'];
  const raw = ownValue(asMap(ownValue(asMap(ownValue(asMap(source.raw), 'listen')), 'http')), 'names');
  const names = ((raw ?? []) as readonly string[]).map(parseListenName); // the shape was checked
  return { names, effective: { path: path.join('.'), value: names, origin: raw === undefined ? 'default' : source.place(path).text } };
}
