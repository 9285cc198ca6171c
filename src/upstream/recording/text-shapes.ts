/**
 * What stands in a record for a text: its kind and its length. A text that nobody knows is never repeated, in part neither; all that is taken
 * out of it are the codes that Azure itself gives out.
 */

/** Codes of Azure DevOps and Entra, as they stand in their texts. */
const CODE = /\b(?:TF|VS|VSS|VSSF|AADSTS)[0-9]{5,8}\b/g;
/** Codes that are told of one text. */
const MOST_CODES = 4;
const GUID = /^\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?$/i;
/** The id of nobody, which says something: an organisation without a tenant. */
const NO_GUID = /^[0-]+$/;
const DATE = /^(?:[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]{5,6})?)$/;
const BASE64 = /^[A-Za-z0-9+/_-]{24,}={0,2}$/;

/** `<guid>`, `<date>`, `<url>`, `<base64 44>`, `<text 120: TF401019>`; the text itself is not in it. */
export function textShape(text: string): string {
  if (GUID.test(text)) return NO_GUID.test(text) ? text : '<guid>';
  if (DATE.test(text)) return '<date>';
  const codes = codesIn(text);
  if (codes.length > 0) return `<text ${text.length}: ${codes.join(' ')}>`;
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return '<url>';
  if (BASE64.test(text)) return `<base64 ${text.length}>`;
  return `<text ${text.length}>`;
}

/** The codes in a text, each once, in their order. */
export function codesIn(text: string): string[] {
  return [...new Set([...text.matchAll(CODE)].map(([code]) => code))].slice(0, MOST_CODES);
}
