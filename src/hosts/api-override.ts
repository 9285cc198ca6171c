/**
 * Ways to have a request be another one than its method and path say: a header or a part of the query that names another method, and
 * `$batch`, whose body holds requests. What is judged must be what is done, so they are refused.
 *
 * Source: Azure DevOps reads `X-HTTP-Method-Override` of a POST; the other names are those that servers and frameworks are known to take
 * besides. OData 4.01 section 11.7 and Azure DevOps' "Batch" of work items (`$batch`).
 */
import { type ApiCall, wideWord } from './api-call.js';

/** Lower case, without `-` and `_`. */
const OVERRIDES: ReadonlySet<string> = new Set(['xhttpmethodoverride', 'xhttpmethod', 'xmethodoverride', 'methodoverride', 'httpmethod']);
/** Of forms: `_method`. */
const OF_FORMS = /^[_$]+method$/;

/** What makes the request another one; undefined when nothing does. `headers`: their names, lower case. */
export function overrideOf(call: ApiCall, query: string | undefined, headers: readonly string[]): string | undefined {
  const header = headers.find(isOverride);
  if (header !== undefined) return `the header ${header}`;
  if (call.some((name) => wideWord(name) === '$batch')) return '`$batch`';
  for (const part of (query ?? '').split(/[&;]/)) {
    const name = queryName(part);
    if (name === undefined) return 'a query that cannot be read';
    const plain = wideWord(name);
    if (plain === '$batch') return '`$batch`';
    if (isOverride(plain)) return `\`${plain}\` in the query`;
  }
  return undefined;
}

function isOverride(name: string): boolean {
  return OF_FORMS.test(name) || OVERRIDES.has(name.replace(/[-_$]/g, ''));
}

/** Name of one parameter, decoded as forms are; undefined when that cannot be done. */
function queryName(part: string): string | undefined {
  const [name = ''] = part.split('=', 1);
  try {
    return decodeURIComponent(name.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}
