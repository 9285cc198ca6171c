/** How long a service asks to be left alone (RFC 9110 section 10.2.3). */

/** The two forms of HTTP dates that name their zone (RFC 9110, 5.6.7); the third is local time to a parser. */
const HTTP_DATE = /^[A-Z][a-z]{2,8}, [0-9]{2}[ -][A-Z][a-z]{2}[ -][0-9]{2,4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$/;
/** Longest Retry-After that is believed, in seconds: a day. */
const LONGEST_RETRY_AFTER = 86_400;

/**
 * Seconds of a Retry-After header: a number, or an HTTP date measured against the answer's own Date (RFC 9110,
 * 10.2.3). Undefined when absent or unreadable.
 */
export function readRetryAfter(value: string | undefined, date: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const text = value.trim();
  if (/^[0-9]+(\.[0-9]+)?$/.test(text)) return Math.min(Number(text), LONGEST_RETRY_AFTER);
  // A date parser takes nearly everything for a date: `-5` is one in 2001.
  if (!HTTP_DATE.test(text)) return undefined;
  const until = Date.parse(text);
  const from = date === undefined ? Number.NaN : Date.parse(date);
  if (Number.isNaN(until) || Number.isNaN(from)) return undefined;
  return Math.min(Math.max(0, (until - from) / 1000), LONGEST_RETRY_AFTER);
}
