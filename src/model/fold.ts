/**
 * How two names are compared, in two forms. By the narrow one (caselessName) two spellings are one repository for every server
 * of Azure DevOps: only that grants something. By the wide one (foldName) some server may take them for one (full-width letters,
 * composed and decomposed accents, the Kelvin sign): that never grants, but it keeps a look-alike from slipping past a narrow
 * route to a broader one.
 */

const GIT_SUFFIX = '.git';

/**
 * The narrow form: each capital as the small letter whose one capital it is, whatever stands beside it and whatever the language;
 * everything else as it stands. Azure DevOps compares by the capitals of single letters, so \u0130 is no i, \u212a no k and \u1e9e no
 * \u00df; the two small sigmas have one capital and are one letter. Names equal in this form are equal in the wide one too.
 */
export function caselessName(name: string): string {
  return Array.from(name, (letter) => {
    const small = letter === '\u03c2' ? '\u03c3' : letter.toLowerCase();
    return small === letter || small.toUpperCase() === letter.toUpperCase() ? small : letter;
  }).join('');
}

/**
 * The wide form of a decoded name: NFKC, lower case. Folding it again changes nothing. The two small sigmas
 * have one capital, by which Azure DevOps compares, and are one letter here.
 */
export function foldName(name: string): string {
  return name.normalize('NFKC').toLowerCase().replaceAll('\u03c2', '\u03c3').normalize('NFKC');
}

/**
 * A name of a repository, as it is compared, without the `.git` that git hosts take and leave out as they like (GitHub, GitLab,
 * Bitbucket and most others; not Azure DevOps, for which it is another repository).
 */
export function withoutGitSuffix(name: string): string {
  return name.length > GIT_SUFFIX.length && name.endsWith(GIT_SUFFIX) ? name.slice(0, -GIT_SUFFIX.length) : name;
}
