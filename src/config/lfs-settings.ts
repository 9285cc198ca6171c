/**
 * What LFS may reach besides the upstreams, `lfs.hosts`: storage to which an upstream sends git-lfs for its objects, and package managers
 * for their packages. Each is written out whole, because it is trusted as such: also where it is in a private network.
 */
import { parseHost } from '../model/host-name.js';
import type { EffectiveValue } from './effective-value.js';
import { asMap, faultOf, ownValue, quote, type ShapeFault, typeName } from './fault.js';
import { checked, section } from './schema-parts.js';
import type { SettingsSource } from './settings-source.js';

const RIGHT = 'write a list of hosts, such as `[objects.example.com]`';

const hosts = checked((raw) => (raw === undefined ? [] : hostFaults(raw)), {
  description:
    'Hosts (`host` or `host:port`, https) to which an upstream may send git-lfs for its objects, and package managers for their packages, besides ' +
    'itself and the storage that its kind is known to have. They may have private addresses, and are sent no credential. Default: none.',
  default: [],
  type: 'array',
  items: { type: 'string' },
  minItems: 1,
  examples: [['objects.example.com']],
});

export const lfsSchema = section('a map such as `{ hosts: [objects.example.com] }`', { hosts: hosts.optional() })
  .meta({ description: 'What LFS may reach besides the upstreams.' })
  .optional();

/**
 * Reads one host as a URL has it: in lower case, the port left out where it is 443.
 * @throws {SyntaxError} for what is no host: a URL, a path, a pattern.
 */
export function parseStorageHost(text: string): string {
  if (text.includes('*')) throw new SyntaxError(`${quote(text)} is a pattern; write each host out, such as \`objects.example.com\``);
  const read = parseHost(text);
  if (read === undefined || !URL.canParse(`https://${read}`))
    throw new SyntaxError(`${quote(text)} is not a host; write \`objects.example.com\`, or with its port \`objects.example.com:9000\``);
  return new URL(`https://${read}`).host;
}

/** The hosts of a file without faults, and where they come from. */
export function readLfs(source: SettingsSource): { hosts: readonly string[]; effective: EffectiveValue } {
  const path = ['lfs', 'hosts'];
  const raw = ownValue(asMap(ownValue(asMap(source.raw), 'lfs')), 'hosts');
  const read = ((raw ?? []) as readonly string[]).map(parseStorageHost); // the shape was checked
  return { hosts: read, effective: { path: path.join('.'), value: read, origin: raw === undefined ? 'default' : source.place(path).text } };
}

/** All that is wrong with the value, with paths that begin below `lfs.hosts`. */
function hostFaults(raw: unknown): ShapeFault[] {
  const wrong = (path: readonly number[], text: string): ShapeFault => ({ path, on: 'value', text });
  if (!Array.isArray(raw)) return [wrong([], `is ${typeName(raw)}; ${RIGHT}`)];
  const values = raw as readonly unknown[];
  if (values.length === 0) return [wrong([], `is an empty list; ${RIGHT}, or leave the key out`)];
  const seen = new Set<string>();
  return values.flatMap((value, index) => {
    if (typeof value !== 'string') return [wrong([index], `is ${typeName(value)}; write a host`)];
    const fault = faultOf(parseStorageHost, value);
    if (fault !== undefined) return [wrong([index], fault)];
    const host = parseStorageHost(value);
    if (seen.has(host)) return [wrong([index], `${quote(value)} comes twice; write it once`)];
    seen.add(host);
    return [];
  });
}
