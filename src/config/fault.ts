/**
 * One thing wrong with a configuration, and how faults are written. Nothing here may print a value that could be
 * a secret: `quote` hides the userinfo of anything that looks like a URL, and callers never quote below `secret`.
 */

/** The way to a key: names of maps and indices of lists. */
export type KeyPath = readonly (string | number)[];

/** Where something stands. */
export interface Place {
  /** `FILE:LINE:COL`, `environment NAME` or `flag --name`. */
  readonly text: string;
  /** Line in the file, from 1; 0 outside of it. */
  readonly line: number;
  /** Offset in the file; flags and variables come after everything in the file. */
  readonly order: number;
}

export interface Fault {
  readonly place: Place;
  /** Key path as text; empty where no key is concerned. */
  readonly path: string;
  /** What is wrong; what would be right. */
  readonly text: string;
}

/** Something wrong with the shape of the values: where, and what. */
export interface ShapeFault {
  readonly path: KeyPath;
  /** Whether the fault is about the key or about its value. */
  readonly on: 'key' | 'value';
  readonly text: string;
}

/** A place outside the file: `environment NAME`, `flag --name`, `default`. */
export function outside(text: string): Place {
  return { text, line: 0, order: Number.MAX_SAFE_INTEGER };
}

/** A fault as one line: `FILE:LINE:COL: key.path: what is wrong; what would be right`. */
export function writeFault(fault: Fault): string {
  return fault.path === '' ? `${fault.place.text}: ${fault.text}` : `${fault.place.text}: ${fault.path}: ${fault.text}`;
}

/** Faults as lines, in file order; those at one place keep the order in which they were found. */
export function writeFaults(faults: readonly Fault[]): string[] {
  return [...faults].sort((a, b) => a.place.order - b.place.order).map(writeFault);
}

/**
 * `['routes', 0, 'match']` as `routes[0].match`; a name that is not plain stands in brackets as JSON. Ends at `secret`:
 * a key below it can be a secret written without its quotes and colon.
 */
export function writeKeyPath(path: KeyPath): string {
  const secret = path.findIndex((step, index) => step === 'secret' && !(index === 1 && path[0] === 'identities'));
  let text = '';
  for (const step of secret < 0 ? path : path.slice(0, secret + 1)) {
    if (typeof step === 'number') text += `[${String(step)}]`;
    else if (/^[\w-]+$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${visible(JSON.stringify(step))}]`;
  }
  return text;
}

/** Longest piece of a value that a fault repeats. */
const QUOTE_LENGTH = 80;

/** A value for a fault's text: in backticks, control characters escaped, cut, without whatever stands before an `@`. */
export function quote(value: string): string {
  const at = value.lastIndexOf('@');
  const shown = visible(at < 0 ? value : `[hidden]${value.slice(at)}`);
  return shown.length > QUOTE_LENGTH ? `\`${shown.slice(0, QUOTE_LENGTH)}...\`` : `\`${shown}\``;
}

/** The text of the SyntaxError with which a parser answers, or undefined when it accepts. Other errors pass through. */
export function faultOf(parse: (text: string) => unknown, text: string): string | undefined {
  try {
    parse(text);
    return undefined;
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return thrown.message;
    throw thrown;
  }
}

/** What a YAML value is, in words. */
export function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return 'text';
  if (typeof value === 'number' || typeof value === 'bigint') return 'a number';
  return typeof value === 'boolean' ? 'true or false' : 'a map';
}

/** A YAML map as a record, or undefined for anything else. */
export function asMap(value: unknown): Readonly<Record<string, unknown>> | undefined {
  // The parser takes text as keys and nothing else.
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
}

/** The value of a map's own key; never something inherited, so that a key may be called `constructor`. */
export function ownValue(map: Readonly<Record<string, unknown>> | undefined, key: string): unknown {
  return map !== undefined && Object.hasOwn(map, key) ? map[key] : undefined;
}

/** Escapes control and direction-changing characters, which could forge lines on a terminal. */
function visible(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
