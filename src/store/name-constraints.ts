/**
 * The extension that limits an authority to some names (RFC 5280 section 4.2.1.10), as DER, permitted subtrees alone:
 * `SEQUENCE { [0] { SEQUENCE { GeneralName } ... } }`. Written here, because it is compared byte by byte and because telling
 * whether a certificate has it must not need the library that makes one.
 */
import { isIP } from 'node:net';

/** The value of the extension for DNS names and IP literals, in their order. Each IP is an address with a full mask. */
export function writeNameConstraints(names: readonly string[]): Buffer {
  const subtrees = names.map((name) =>
    der(0x30, isIP(name) === 0 ? der(0x82, Buffer.from(name, 'ascii')) : der(0x87, addressAndMask(name))),
  );
  return der(0x30, der(0xa0, Buffer.concat(subtrees)));
}

function addressAndMask(ip: string): Buffer {
  const bytes = isIP(ip) === 4 ? Buffer.from(ip.split('.').map(Number)) : bytesOfIPv6(ip);
  return Buffer.concat([bytes, Buffer.alloc(bytes.length, 0xff)]);
}

function bytesOfIPv6(ip: string): Buffer {
  // The URL parser writes a trailing IPv4 part as groups, and what is left out as `::`.
  const [head = '', tail = ''] = new URL(`http://[${ip}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string): string[] => (text === '' ? [] : text.split(':'));
  const [before, after] = [groups(head), groups(tail)];
  const all = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after];
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** One value with a definite length (X.690 section 8.1.3). */
function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  if (length > 0xffff) throw new RangeError(`${length} bytes are more than this length can say`);
  const head = length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}
