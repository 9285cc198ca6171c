/**
 * The second net under log lines. The first is that secrets are `Secret` and print as a placeholder; this one takes out
 * what looks like a credential in any text, whoever wrote it (an upstream's page, a library's message).
 *
 * Source: RFC 7519 (JWT); Microsoft Purview "Azure DevOps personal access token" entity definition; RFC 6750, RFC 7617.
 */
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?/g, '[jwt]'],
  [/\b[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}\b/g, '[pat]'],
  [/\b[a-z2-7]{52}\b/g, '[pat]'],
  [/\b(Bearer|Basic|Negotiate|NTLM)\s+[A-Za-z0-9+/=._~-]{8,}/gi, '$1 [credential]'],
  [/(:\/\/)[^/@\s]+@/g, '$1[userinfo]@'],
  [/\b((?:client_secret|client_assertion|refresh_token|access_token|password)["']?\s*[=:]\s*["']?)[^\s"'&,}]{4,}/gi, '$1[credential]'],
];

/** The text with everything that looks like a credential replaced. */
export function redact(text: string): string {
  return PATTERNS.reduce((clean, [pattern, replacement]) => clean.replace(pattern, replacement), text);
}
