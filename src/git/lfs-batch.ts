/**
 * The bodies of LFS's batch API: what is asked, written anew in one form, and the answer with other addresses in it.
 *
 * Source: git-lfs docs/api/batch.md and its JSON schemas.
 */
import { printableLine } from '../model/printable.js';

/** Objects of one batch: git-lfs asks for a hundred at most, other clients for a few hundred. */
export const MOST_OBJECTS = 1000;
/** Longest message of an object's error that is passed on, in characters. */
const LONGEST_MESSAGE = 1000;
/** Longest name of a ref that is passed on; git's own are below 255 bytes on most file systems. */
const LONGEST_REF = 1024;

export interface LfsObject {
  /** SHA-256, lower-case hex. */
  readonly oid: string;
  /** Bytes. */
  readonly size: number;
}

export interface BatchRequest {
  readonly operation: 'download' | 'upload';
  readonly objects: readonly LfsObject[];
  /** The ref that is fetched or pushed. */
  readonly ref: string | undefined;
}

export type LfsAction = 'download' | 'upload' | 'verify';

/** An action of an object as the upstream gives it. */
export interface UpstreamAction {
  readonly href: string;
  readonly header: Readonly<Record<string, string>>;
  /** When it ends; undefined when that is not said. */
  readonly expiresAt: Date | undefined;
}

/** An action as the client gets it. */
export interface ClientAction {
  readonly href: string;
  readonly header: Readonly<Record<string, string>>;
  /** Seconds. */
  readonly expiresIn: number;
}

/** Why an object cannot be had. */
export interface ObjectError {
  /** An HTTP status. */
  readonly code: number;
  readonly message: string;
}

/** Reads a request; gives what is wrong with it as text when it is none. */
export function readBatchRequest(bytes: Uint8Array): BatchRequest | string {
  const body = parseMap(bytes);
  if (body === undefined) return 'it is no JSON object';
  const { operation, transfers, objects, ref, hash_algo: hash = 'sha256' } = body;
  if (operation !== 'download' && operation !== 'upload') return '`operation` is neither download nor upload';
  if (hash !== 'sha256') return '`hash_algo` is not sha256, the only one there is';
  if (transfers !== undefined && !(Array.isArray(transfers) && (transfers.length === 0 || transfers.includes('basic'))))
    return '`transfers` does not offer `basic`, the only one that is served';
  if (!Array.isArray(objects)) return '`objects` is no list';
  if (objects.length > MOST_OBJECTS) return `it asks for more than ${MOST_OBJECTS} objects at once`;
  const read = objects.map(readObject);
  if (read.some((object) => object === undefined)) return 'an object has no oid of 64 hex digits, or no size';
  const name = isMap(ref) ? ref['name'] : undefined;
  if (name !== undefined && !(typeof name === 'string' && name.length <= LONGEST_REF)) return 'the name of `ref` is no text';
  return { operation, objects: read.filter((object) => object !== undefined), ref: name };
}

/** Writes a request in its one form: what a reader more lenient than ours could find in the client's own bytes is not in it. */
export function writeBatchRequest({ operation, objects, ref }: BatchRequest): Buffer {
  const body = { operation, transfers: ['basic'], ref: ref === undefined ? undefined : { name: ref }, objects, hash_algo: 'sha256' };
  return Buffer.from(JSON.stringify(body), 'utf8');
}

/**
 * Writes an answer anew: each action goes through `rewrite`, which gives it another address or an error that the object has instead.
 * Objects that were not asked for and actions that do not belong to the operation are left out. `now`: ms since the epoch.
 *
 * @returns undefined when the text is no answer of this API
 */
export function rewriteBatchAnswer(
  text: string,
  request: BatchRequest,
  now: number,
  rewrite: (object: LfsObject, action: LfsAction, given: UpstreamAction) => ClientAction | ObjectError,
): Buffer | undefined {
  const body = parseMap(Buffer.from(text, 'utf8'));
  if (body === undefined || !Array.isArray(body['objects'])) return undefined;
  const { transfer = 'basic', hash_algo: hash = 'sha256' } = body;
  if (transfer !== 'basic' || hash !== 'sha256') return undefined;
  const asked = new Set(request.objects.map(({ oid }) => oid));
  const actions = request.operation === 'download' ? (['download'] as const) : (['upload', 'verify'] as const);
  const objects = (body['objects'] as readonly unknown[]).flatMap((raw): Readonly<Record<string, unknown>>[] => {
    const object = readObject(raw);
    if (object === undefined || !asked.has(object.oid) || !isMap(raw)) return [];
    const error = readError(raw['error']);
    if (error !== undefined) return [{ ...object, error }];
    const given = isMap(raw['actions']) ? raw['actions'] : {};
    const written: Record<string, unknown> = {};
    for (const name of actions) {
      if (given[name] === undefined || given[name] === null) continue;
      const read = readAction(given[name], now);
      const action = read === undefined ? UNREADABLE : rewrite(object, name, read);
      if ('message' in action) return [{ ...object, error: action }];
      written[name] = {
        href: action.href,
        header: action.header,
        expires_in: action.expiresIn,
        expires_at: new Date(now + action.expiresIn * 1000).toISOString(),
      };
    }
    return [{ ...object, authenticated: true, ...(Object.keys(written).length === 0 ? {} : { actions: written }) }];
  });
  return Buffer.from(JSON.stringify({ transfer: 'basic', objects, hash_algo: 'sha256' }), 'utf8');
}

const UNREADABLE: ObjectError = { code: 502, message: 'postern: the upstream names an action without an address' };

function readAction(raw: unknown, now: number): UpstreamAction | undefined {
  if (!isMap(raw) || typeof raw['href'] !== 'string') return undefined;
  const { href, header, expires_in: seconds, expires_at: at } = raw;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(isMap(header) ? header : {})) {
    // RFC 9110 section 5.6.2 and 5.5: what is no header cannot be sent.
    if (typeof value === 'string' && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value))
      headers[name.toLowerCase()] = value;
  }
  const ends = [
    typeof seconds === 'number' && seconds !== 0 ? now + seconds * 1000 : undefined,
    typeof at === 'string' ? Date.parse(at) : undefined,
  ].filter((end): end is number => end !== undefined && !Number.isNaN(end) && Math.abs(end) < LATEST_MS);
  // `0001-01-01T00:00:00Z` is how some say that it does not end.
  const real = ends.filter((end) => end > 0);
  return { href, header: headers, expiresAt: real.length === 0 ? undefined : new Date(Math.min(...real)) };
}

/** What a Date can hold. */
const LATEST_MS = 8.64e15;

function readObject(raw: unknown): LfsObject | undefined {
  if (!isMap(raw)) return undefined;
  const { oid, size } = raw;
  if (typeof oid !== 'string' || !/^[0-9a-fA-F]{64}$/.test(oid)) return undefined;
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) return undefined;
  return { oid: oid.toLowerCase(), size };
}

function readError(raw: unknown): ObjectError | undefined {
  if (!isMap(raw)) return undefined;
  const { code, message } = raw;
  return {
    code: typeof code === 'number' && Number.isInteger(code) && code >= 400 && code < 600 ? code : 500,
    message: printableLine(typeof message === 'string' ? message : 'the upstream gives no reason', LONGEST_MESSAGE),
  };
}

function parseMap(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return isMap(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
