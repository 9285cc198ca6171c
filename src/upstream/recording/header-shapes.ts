/**
 * Headers in a record. A name is told when it is in the table, a value when the table has a form for it that has no room for a name or a
 * secret and the value is of that form.
 */
import type { HeaderShape } from '../../model/exchange-record.js';
import { textShape } from './text-shapes.js';

const NUMBER = /^[0-9]{1,12}(?:\.[0-9]{1,6})?$/;
const WORDS = /^(?:(?:no-cache|no-store|no-transform|private|public|must-revalidate|max-age=[0-9]{1,9})(?:, ?(?!$)|$))+$/i;
const MEDIA_TYPE =
  /^(?:application\/x-git-(?:upload|receive)-pack-(?:advertisement|request|result)|application\/(?:vnd\.git-lfs\+json|json|octet-stream|xml|problem\+json)|text\/(?:plain|html|xml))(?:; ?(?:charset=(?:utf-8|us-ascii|iso-8859-1)|api-version=[0-9.]{3,5}))*$/i;

/** Names that are told. A pattern is the form of the values that are told too; `shape` tells of every value what kind it is. */
const KNOWN: ReadonlyMap<string, RegExp | 'shape'> = new Map<string, RegExp | 'shape'>([
  ['accept', /^(?:\*\/\*|application\/(?:vnd\.git-lfs\+json|json|x-git-upload-pack-result))$/],
  ['access-control-expose-headers', 'shape'],
  ['activityid', 'shape'],
  ['authorization', /^(?!)/],
  ['cache-control', WORDS],
  ['connection', /^(?:close|keep-alive|upgrade)$/i],
  ['content-encoding', /^(?:gzip|deflate|br|identity)$/i],
  ['content-language', 'shape'],
  ['content-length', NUMBER],
  ['content-type', MEDIA_TYPE],
  ['date', 'shape'],
  ['etag', 'shape'],
  ['expires', /^(?:-1|0)$/],
  ['git-protocol', /^version=[0-2]$/],
  ['keep-alive', /^timeout=[0-9]{1,5}(?:, ?max=[0-9]{1,5})?$/],
  ['last-modified', 'shape'],
  ['lfs-authenticate', 'shape'],
  ['p3p', 'shape'],
  ['pragma', /^no-cache$/i],
  ['proxy-authenticate', 'shape'],
  ['request-context', 'shape'],
  ['retry-after', NUMBER],
  ['server', /^(?:Microsoft-IIS|Microsoft-HTTPAPI|nginx|Apache)(?:\/[0-9.]{1,10})?$/],
  ['set-cookie', /^(?!)/],
  ['strict-transport-security', /^max-age=[0-9]{1,10}(?:; ?(?:includeSubDomains|preload))*$/i],
  ['transfer-encoding', /^(?:chunked|identity|gzip, chunked)$/i],
  ['user-agent', /^git\/[0-9.]{1,12}$/],
  ['vary', /^(?:(?:accept|accept-encoding|accept-language|origin|authorization|\*)(?:, ?(?!$)|$))+$/i],
  ['via', 'shape'],
  ['x-cache', 'shape'],
  ['x-content-type-options', /^nosniff$/i],
  ['x-frame-options', /^(?:SAMEORIGIN|DENY)$/i],
  ['x-ms-continuationtoken', 'shape'],
  ['x-msedge-ref', 'shape'],
  ['x-powered-by', /^ASP\.NET$/],
  ['x-aspnet-version', /^[0-9.]{1,12}$/],
  ['x-ratelimit-delay', NUMBER],
  ['x-ratelimit-limit', NUMBER],
  ['x-ratelimit-remaining', NUMBER],
  ['x-ratelimit-reset', NUMBER],
  ['x-ratelimit-resource', 'shape'],
  ['x-tfs-fedauthissuer', 'shape'],
  ['x-tfs-fedauthrealm', 'shape'],
  ['x-tfs-fedauthredirect', /^Suppress$/],
  ['x-tfs-processid', 'shape'],
  ['x-tfs-serviceerror', 'shape'],
  ['x-tfs-session', 'shape'],
  ['x-tfs-soapexception', 'shape'],
  ['x-vss-authorizationendpoint', 'shape'],
  ['x-vss-e2eid', 'shape'],
  ['x-vss-resourcetenant', 'shape'],
  ['x-vss-senderdeploymentid', 'shape'],
  ['x-vss-userdata', 'shape'],
]);

/** Whether a redirect leads to where people sign in; as readFailure sees it (hosts/failure.ts). */
const SIGN_IN = /\/_signin\b|\/oauth2\/|\/login\b/i;
const SCHEMES = /(?:^|,\s*)(Bearer|Basic|NTLM|Negotiate|Digest|TFS-Federated)\b/g;
const CHALLENGE_ERROR = /\berror="?(insufficient_claims|invalid_token)\b/;
/** Headers of one message that are told; more is no answer of a git host. */
const MOST_HEADERS = 80;

/** `origin`: scheme and host that were asked, to tell a redirect that stays there. */
export function headerShapes(headers: readonly (readonly [name: string, value: string])[], origin: URL): HeaderShape[] {
  return headers.slice(0, MOST_HEADERS).map(([name, value]) => headerShape(name.toLowerCase(), value, origin));
}

function headerShape(name: string, value: string, origin: URL): HeaderShape {
  if (name === 'location') return `${name}: ${locationShape(value, origin)}`;
  if (name === 'www-authenticate' || name === 'proxy-authenticate') return `${name}: ${challengeShape(value)}`;
  if (name === 'authorization') return `${name}: <${/^(?:Bearer|Basic)(?= )/.exec(value)?.[0] ?? 'other'}>`;
  const known = KNOWN.get(name);
  if (known === undefined) return `<header ${name.length}>: ${textShape(value)}`;
  if (known !== 'shape' && known.test(value)) return `${name}: ${value}`;
  return `${name}: ${textShape(plain(value))}`;
}

/** `<same host>`, `<other host, sign-in>`. */
function locationShape(value: string, origin: URL): string {
  const url = URL.canParse(value, origin.href) ? new URL(value, origin.href) : undefined;
  if (url === undefined) return textShape(value);
  return `<${url.origin === origin.origin ? 'same host' : 'other host'}${SIGN_IN.test(value) ? ', sign-in' : ''}>`;
}

/** The schemes, and what is wrong with the token where that is said: `Bearer insufficient_claims, Basic`. */
function challengeShape(value: string): string {
  const error = CHALLENGE_ERROR.exec(value)?.[1];
  const schemes = [...value.matchAll(SCHEMES)].map(([, scheme = '']) => scheme);
  if (schemes.length === 0) return textShape(value);
  return schemes.map((scheme) => (scheme === 'Bearer' && error !== undefined ? `Bearer ${error}` : scheme)).join(', ');
}

/** Azure encodes its words as a form does. */
function plain(value: string): string {
  try {
    return decodeURIComponent(value.replaceAll('+', ' '));
  } catch {
    return value;
  }
}
