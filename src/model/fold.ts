/**
 * How two names are compared. Hosts, organisations, projects and repositories are case-insensitive at Azure DevOps,
 * and compatibility forms (full-width letters and the like) are folded too, so that a look-alike spelling cannot
 * slip from a narrow route to a broader one.
 */

/** The form of a decoded name that is compared: NFKC, lower case. */
export function foldName(name: string): string {
  return name.normalize('NFKC').toLowerCase();
}
