/**
 * The trace that a request belongs to, as callers tell it. Postern is no part of the trace: it passes the context on as it came,
 * and writes the id of the trace beside what it says of the operation. What does not keep to the form is not passed on: it would
 * be text of anybody's choice on its way to the upstream.
 *
 * Source: W3C Trace Context (Recommendation, 23 November 2021), sections 3.2 and 3.3.
 */

export interface TraceContext {
  readonly traceparent: string;
  /** Undefined when none came, or none that keeps to the form: the trace goes on without it. */
  readonly tracestate: string | undefined;
  /** 32 hex digits, lower case. */
  readonly traceId: string;
}

/** version "-" trace-id "-" parent-id "-" flags; a later version may have more behind another dash. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-[\x21-\x7e]*)?$/;
/** A later version is passed on as it is; no longer than this, because nothing says how long it may be. */
const LONGEST_PARENT = 256;
const ZEROS = /^0+$/;
const KEY = /^(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})$/;
/** Printable ASCII without comma and equals sign, no space at its end. */
const VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;
const MOST_MEMBERS = 32;
/** At least 512 characters should be passed on (section 3.3.1.5); 32 members of usual length are well below this. */
const LONGEST_STATE = 4096;

/** Reads the two headers; undefined when the first does not keep to the form. Several headers of one name come joined by commas. */
export function readTraceContext(traceparent: string | undefined, tracestate: string | undefined): TraceContext | undefined {
  const [, version, traceId, parentId, more] = TRACEPARENT.exec(traceparent?.trim() ?? '') ?? [];
  if (traceparent === undefined || traceparent.length > LONGEST_PARENT || traceId === undefined || parentId === undefined) return undefined;
  if (version === 'ff' || (version === '00' && more !== undefined) || ZEROS.test(traceId) || ZEROS.test(parentId)) return undefined;
  return { traceparent: traceparent.trim(), tracestate: readState(tracestate), traceId };
}

/** The headers as they go on; none without a context. */
export function traceHeaders(trace: TraceContext | undefined): Record<string, string> {
  if (trace === undefined) return {};
  const { traceparent, tracestate } = trace;
  return tracestate === undefined ? { traceparent } : { traceparent, tracestate };
}

function readState(text: string | undefined): string | undefined {
  if (text === undefined || text.length > LONGEST_STATE) return undefined;
  const members = text
    .split(',')
    .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((member) => member !== '');
  const keys = members.map((member) => member.slice(0, Math.max(0, member.indexOf('='))));
  const areWhole = members.every(
    (member, index) => KEY.test(keys[index] ?? '') && VALUE.test(member.slice((keys[index] ?? '').length + 1)),
  );
  if (!areWhole || members.length === 0 || members.length > MOST_MEMBERS || new Set(keys).size < keys.length) return undefined;
  return members.join(',');
}
