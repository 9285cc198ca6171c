/**
 * How two names are compared. Hosts, organisations, projects and repositories are case-insensitive at Azure DevOps,
 * and compatibility forms (full-width letters and the like) are folded too, so that a look-alike spelling cannot
 * slip from a narrow route to a broader one.
 */

const GIT_SUFFIX = '.git';

/**
 * The form of a decoded name that is compared: NFKC, lower case. Folding it again changes nothing. The two small sigmas
 * have one capital, by which Azure DevOps compares, and are one letter here.
 */
export function foldName(name: string): string {
  return name.normalize('NFKC').toLowerCase().replaceAll('\u03c2', '\u03c3').normalize('NFKC');
}

/**
 * A folded name of a repository without the `.git` that git hosts take and leave out as they like (GitHub, GitLab,
 * Bitbucket and most others; not Azure DevOps, for which it is another repository).
 */
export function withoutGitSuffix(folded: string): string {
  return folded.length > GIT_SUFFIX.length && folded.endsWith(GIT_SUFFIX) ? folded.slice(0, -GIT_SUFFIX.length) : folded;
}
