/**
 * Writes `listen` into a configuration file that does not have it, and leaves every byte of the rest as it is. Whatever would
 * need more than lines at the end is not done here: the caller is told, and can tell the user which lines.
 */
import { readSettingsSource } from './settings-source.js';
import { asMap } from './fault.js';

/** Addresses per door, such as `localhost:8417`, each door with at least one; a door that is left out keeps its default. */
export interface WrittenDoors {
  readonly http?: readonly string[] | undefined;
  /** `off` alone is a door that is off. */
  readonly ssh?: readonly string[] | undefined;
}

/** The new text of a file, or why lines at its end would not do: `hasListen` when it has a `listen` of its own, to write into. */
export type ListenEdit = { readonly kind: 'text'; readonly bytes: Buffer } | { readonly kind: 'by-hand'; readonly hasListen: boolean };

/** The lines that set addresses; several of a door are a list. `tls` is of the HTTP door. */
export function listenLines({ http, ssh }: WrittenDoors, tls?: 'auto'): string[] {
  const lines = ['listen:'];
  if (http !== undefined) lines.push(tls === undefined ? `  http: ${written(http)}` : `  http: { address: ${written(http)}, tls: ${tls} }`);
  if (ssh !== undefined) lines.push(`  ssh: ${written(ssh)}`);
  return lines;
}

/** What a file with these bytes becomes; `undefined` is a file that is not there. `why` is one line of comment. */
export function appendListen(former: Uint8Array | undefined, doors: WrittenDoors, why: string): ListenEdit {
  const before = Buffer.from(former ?? new Uint8Array());
  const gap = before.length === 0 ? '' : before.at(-1) === 0x0a ? '\n' : '\n\n';
  const bytes = Buffer.concat([before, Buffer.from(`${gap}# ${why}\n${listenLines(doors).join('\n')}\n`)]);
  const [old, now] = [readSettingsSource(before, ''), readSettingsSource(bytes, '')];
  const hasListen = old.readable && Object.hasOwn(asMap(old.raw) ?? {}, 'listen');
  // The proof that nothing else has changed: a document that ends in a flow map, a block of text or `...` takes no lines more.
  const isRead = old.readable && now.readable && asMap(old.raw) !== undefined && !hasListen;
  const wanted = { ...asMap(old.raw), listen: { http: valueOf(doors.http), ssh: valueOf(doors.ssh) } };
  return isRead && JSON.stringify(now.raw) === JSON.stringify(wanted) ? { kind: 'text', bytes } : { kind: 'by-hand', hasListen };
}

/** What is read back from `written`. */
function valueOf(addresses: readonly string[] | undefined): string | readonly string[] | undefined {
  return addresses?.length === 1 ? addresses[0] : addresses;
}

function written(addresses: readonly string[]): string {
  return addresses.length === 1 ? flow(addresses[0] ?? '') : `[${addresses.map(flow).join(', ')}]`;
}

/** An address with brackets needs quotes. */
function flow(address: string): string {
  return /[[\],]/.test(address) ? `"${address}"` : address;
}
