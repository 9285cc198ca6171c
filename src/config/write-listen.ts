/**
 * Writes `listen.http` into a configuration file that does not have it, and leaves every byte of the rest as it is. Whatever
 * would need more than lines at the end is not done here: the caller is told, and can tell the user which lines.
 */
import { readSettingsSource } from './settings-source.js';
import { asMap } from './fault.js';

/** The new text of a file, or why lines at its end would not do. */
export type ListenEdit = { readonly kind: 'text'; readonly bytes: Buffer } | { readonly kind: 'by-hand' };

/** The lines that set addresses, such as `localhost:8417`; several are a list. */
export function listenLines(addresses: readonly string[], tls?: 'auto'): string[] {
  const written = addresses.length === 1 ? flow(addresses[0] ?? '') : `[${addresses.map(flow).join(', ')}]`;
  return ['listen:', tls === undefined ? `  http: ${written}` : `  http: { address: ${written}, tls: ${tls} }`];
}

/** What a file with these bytes becomes; `undefined` is a file that is not there. `why` is one line of comment. */
export function appendListen(former: Uint8Array | undefined, address: string, why: string): ListenEdit {
  const before = Buffer.from(former ?? new Uint8Array());
  const gap = before.length === 0 ? '' : before.at(-1) === 0x0a ? '\n' : '\n\n';
  const bytes = Buffer.concat([before, Buffer.from(`${gap}# ${why}\n${listenLines([address]).join('\n')}\n`)]);
  // The proof that nothing else has changed: a document that ends in a flow map, a block of text or `...` takes no lines more.
  const [old, now] = [readSettingsSource(before, ''), readSettingsSource(bytes, '')];
  const isRead = old.readable && now.readable && asMap(old.raw) !== undefined && !Object.hasOwn(asMap(old.raw) ?? {}, 'listen');
  const wanted = { ...asMap(old.raw), listen: { http: address } };
  return isRead && JSON.stringify(now.raw) === JSON.stringify(wanted) ? { kind: 'text', bytes } : { kind: 'by-hand' };
}

/** An address with brackets needs quotes. */
function flow(address: string): string {
  return /[[\],]/.test(address) ? `"${address}"` : address;
}
