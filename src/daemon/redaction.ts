/**
 * The second net under log lines. The first is that secrets are `Secret` and print as a placeholder; this one takes out
 * what looks like a credential in any text, whoever wrote it (an upstream's page, a library's message).
 *
 * Source: RFC 7519 (JWT); Microsoft Purview "Azure DevOps personal access token" entity definition; RFC 6750, RFC 7617.
 */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/\b((?:proxy-)?authorization|cookie|x-postern-lease)(["']?\s*[:=]\s*)\S[^\r\n]*/gi, '$1$2[credential]'],
  // A lease (gate/lease-text.ts), also as a user or a password in base64 by itself.
  [/(?:ptl1_|cHRsMV)[A-Za-z0-9_+/=-]*/g, '[lease]'],
  // No word boundaries: an underscore before a token would hide it.
  [/eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*){0,3}/g, '[jwt]'],
  [/(?<![A-Za-z0-9])[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}(?![A-Za-z0-9])/g, '[pat]'],
  [/(?<![A-Za-z0-9])[a-z2-7]{52}(?![A-Za-z0-9])/g, '[pat]'],
  [/\b(Bearer|Basic|Negotiate|NTLM|Digest)\s+[A-Za-z0-9+/=._~-]{8,}/gi, '$1 [credential]'],
  // Up to the last @ of the word: a password may hold slashes and more of them.
  [/(:\/\/)[^\s"'<>]*@/g, '$1[userinfo]@'],
  [/\b((?:client_secret|client_assertion|refresh_token|access_token|password)["']?\s*[=:]\s*["']?)[^\s"'&,}]{4,}/gi, '$1[credential]'],
];

/**
 * Longest text that is looked at: some patterns take time by the square of it. What is over is cut off, with the word
 * that the cut goes through, so that no half of a credential is left.
 */
export const LONGEST_TEXT = 8 * 1024;

/** The text with everything that looks like a credential replaced, and cut to a bound. */
export function redact(text: string): string {
  const bounded = text.length <= LONGEST_TEXT ? text : `${text.slice(0, LONGEST_TEXT).replace(/[^\s"'<>]+$/, '')} [cut]`;
  return PATTERNS.reduce((clean, [pattern, replacement]) => clean.replace(pattern, replacement), bounded);
}
