/**
 * The request target of the HTTP door: `/<real host>/<real path>[?query]`, in origin form only. What cannot be read in
 * exactly one way is refused before anything else looks at it.
 *
 * Source: RFC 9112 section 3.2 (request target forms).
 */
export interface RequestTarget {
  /** The first segment, as it came. */
  readonly host: string;
  /** From the slash after the host on, percent-encoded bytes as latin1, no query. */
  readonly path: string;
  /** Without the `?`; undefined when there was none. */
  readonly query: string | undefined;
}

export type ReadTarget = { readonly kind: 'target'; readonly target: RequestTarget } | { readonly kind: 'fault'; readonly what: string };

/** Longest request target; above it a URL is no repository's. Node bounds the whole head besides. */
export const LONGEST_TARGET_BYTES = 16 * 1024;

/** Reads a request target as Node hands it out (bytes as latin1). */
export function readRequestTarget(url: string): ReadTarget {
  if (url.length > LONGEST_TARGET_BYTES) return fault(`the address is longer than ${LONGEST_TARGET_BYTES} bytes`);
  if (!url.startsWith('/'))
    return fault('the request target is not a path: this is no forward proxy, use git url.<base>.insteadOf (see `postern setup`)');
  if (/[#\\]|[^\x21-\xff]/.test(url)) return fault('the address has a character that does not belong in one');
  const mark = url.indexOf('?');
  const whole = mark < 0 ? url : url.slice(0, mark);
  const query = mark < 0 ? undefined : url.slice(mark + 1);
  const slash = whole.indexOf('/', 1);
  if (slash < 0) return fault('the address names no repository: it has the form /<host>/<path of the repository>');
  return { kind: 'target', target: { host: whole.slice(1, slash), path: whole.slice(slash), query } };
}

function fault(what: string): ReadTarget {
  return { kind: 'fault', what };
}
