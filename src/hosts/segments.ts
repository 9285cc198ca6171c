/**
 * A URL path as decoded names. Everything that could be read in two ways by two programs is refused here, once,
 * for every door: dot segments, empty segments, encoded slashes, control characters, invalid UTF-8, and names that
 * would decode again.
 *
 * Source: RFC 3986 sections 2.1, 3.3 and 6.2.2.3.
 */

/** Largest path accepted, in bytes. Azure DevOps documents 4,096 characters a component and longer in all; URLs stay far below. */
export const LONGEST_PATH_BYTES = 8192;

/** Control characters, and those that turn the direction of text or break its lines: names are shown on terminals. */
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

export type Segments = { readonly kind: 'segments'; readonly names: readonly string[] } | { readonly kind: 'fault'; readonly what: string };

/**
 * Splits and decodes an absolute path. `path` holds bytes as latin1 characters, the form in which Node hands out a
 * request target; names come out as proper text. The result has one name per segment, in order.
 */
export function decodePath(path: string): Segments {
  if (!path.startsWith('/')) return fault('the path does not begin with a slash');
  if (path.length > LONGEST_PATH_BYTES) return fault(`the path is longer than ${LONGEST_PATH_BYTES} bytes`);
  const names: string[] = [];
  for (const raw of path.slice(1).split('/')) {
    if (raw === '') return fault('the path has an empty segment (//)');
    if (/%(?![0-9a-fA-F]{2})/.test(raw)) return fault('the path has a % that encodes nothing');
    const bytes = Buffer.from(
      raw.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
      'latin1',
    );
    let name: string;
    try {
      name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return fault('the path is not UTF-8');
    }
    const problem = nameProblem(name);
    if (problem !== undefined) return fault(problem);
    names.push(name);
  }
  return { kind: 'segments', names };
}

function nameProblem(name: string): string | undefined {
  // Compatibility forms are folded before names are compared, so they are judged in that form too.
  const folded = name.normalize('NFKC');
  if (/^\.+$/.test(folded)) return 'the path has a dot segment (. or ..)';
  if (folded.includes('/') || folded.includes('\\')) return 'the path has an encoded slash or a backslash';
  if (UNPRINTABLE.test(folded)) return 'the path has a control character';
  if (/%[0-9a-fA-F]{2}/.test(folded)) return 'the path is percent-encoded twice';
  return undefined;
}

function fault(what: string): Segments {
  return { kind: 'fault', what };
}
