/** Bodies in a record: what kind they are, how long, and how they are built. */
import type { BodyShape, JsonShape } from '../../model/exchange-record.js';
import { packetShapes } from './packet-shapes.js';
import { textShape } from './text-shapes.js';

/** Titles of pages that say what answered, and nothing else. */
const TITLES: ReadonlySet<string> = new Set([
  'Azure DevOps Services | Sign In',
  'Sign in to your account',
  'Object moved',
  'Service Unavailable',
  'The resource cannot be found.',
  '401 - Unauthorized: Access is denied due to invalid credentials.',
  '403 - Forbidden: Access is denied.',
  '404 - File or directory not found.',
  '502 - Web server received an invalid response while acting as a gateway or proxy server.',
  '503 Service Temporarily Unavailable',
  'Runtime Error',
]);

/** Keys of Azure's REST API and of LFS that are asked here; a map may have anything for a key. */
const KEYS: ReadonlySet<string> = new Set(
  (
    '$id innerException message typeName typeKey errorCode eventId count value id name url project state revision visibility lastUpdateTime ' +
    'defaultBranch size remoteUrl sshUrl webUrl isDisabled isInMaintenance isFork description parentRepository collection _links self href ' +
    'creationDate transfer objects oid actions download upload verify header Authorization Accept Content-Type expires_at expires_in error code ' +
    'hash_algo authenticated ours theirs locks next_cursor documentation_url request_id operation transfers ref path locked_at owner'
  ).split(' '),
);
/** Words that are told where these are the keys. */
const WORDS: Readonly<Record<string, RegExp>> = {
  transfer: /^basic$/,
  hash_algo: /^sha256$/,
  operation: /^(?:download|upload)$/,
  visibility: /^(?:private|public|organization)$/,
  state: /^(?:wellFormed|createPending|deleting|new|unchanged|deleted)$/,
  typeKey: /^(?:Git|Unauthorized|AccessDenied|Project|Team|Vss|Request|Identity)[A-Za-z]{0,60}Exception$/,
  typeName:
    /^Microsoft\.(?:TeamFoundation|VisualStudio|Azure)(?:\.[A-Za-z]{1,40}){1,8}, Microsoft\.(?:TeamFoundation|VisualStudio|Azure)(?:\.[A-Za-z]{1,40}){0,6}$/,
};
const DEEPEST = 8;
const MOST_KEYS = 60;
/** In which the beginning of a page speaks of signing in (hosts/failure.ts). */
const SIGN_IN = /_signin|sign in|signin/i;

/** `type`: the content type, in any case. */
export function bodyShape(type: string, body: Buffer): BodyShape {
  const bytes = body.length;
  if (bytes === 0) return { kind: 'none' };
  if (/^application\/x-git-/i.test(type)) return { kind: 'packets', bytes, packets: packetShapes(body) };
  const text = body.toString('utf8');
  if (/json/i.test(type)) {
    const json = parsed(text);
    if (json !== undefined) return { kind: 'json', bytes, json: jsonShape(json, '', 0) };
  }
  if (/html/i.test(type)) {
    const title = /<title[^<>]*>([^<]*)<\/title>/i.exec(text)?.[1]?.trim() ?? '';
    return { kind: 'html', bytes, title: title === '' || TITLES.has(title) ? title : textShape(title), isSignIn: SIGN_IN.test(text) };
  }
  return { kind: /^text\//i.test(type) ? 'text' : 'binary', bytes, text: textShape(text) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    // Cut, or none after all: told as what it is.
    return undefined;
  }
}

function jsonShape(value: unknown, key: string, depth: number): JsonShape {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'number') return key === 'code' && value >= 100 && value < 600 ? String(value) : '<number>';
  if (typeof value === 'string') return WORDS[key]?.test(value) === true ? value : textShape(value);
  if (typeof value !== 'object' || depth >= DEEPEST) return '<more>';
  if (Array.isArray(value)) {
    const [first, ...others] = value as unknown[];
    if (value.length === 0) return [];
    return [jsonShape(first, key, depth + 1), ...(others.length === 0 ? [] : [`<${others.length} more>`])];
  }
  const entries = Object.entries(value)
    .slice(0, MOST_KEYS)
    .map(([name, member], index): [string, JsonShape] => [
      KEYS.has(name) ? name : `<key ${index + 1}: ${name.length}>`,
      jsonShape(member, name, depth + 1),
    ]);
  return Object.fromEntries(entries);
}
