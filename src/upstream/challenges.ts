/**
 * The challenges of WWW-Authenticate, several of them in one text as they are joined from several lines.
 *
 *   challenges = challenge *( "," challenge )        challenge = scheme [ SP ( token68 / parameter *( "," parameter ) ) ]
 *   parameter  = token BWS "=" BWS ( token / quoted-string )
 *
 * Source: RFC 9110 sections 11.2 to 11.6.1. More is taken than it allows in one place: Azure DevOps writes a URL as a value without
 * quotes, so that such a value goes on to the next comma or blank.
 */

export interface Challenge {
  /** Lower case. */
  readonly scheme: string;
  /** By lower-case name, without quotes; of a name that comes twice the first. */
  readonly parameters: ReadonlyMap<string, string>;
}

const SEPARATORS = /[\s,]+/y;
const PARAMETER = /([\w!#$%&'*+.^`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))(?=[\s,]|$)/y;
const SCHEME = /([\w!#$%&'*+.^`|~-]+)(?:[ \t]+[\w.~+/-]+=*(?=[ \t]*(?:,|$)))?(?=[\s,]|$)/y;
const ODD = /[^,"]+/y;

/** Reads them in their order. Never throws; what cannot be read is passed over, and from an odd quote on everything. */
export function readChallenges(header: string): Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  let at = 0;
  const take = (what: RegExp): RegExpExecArray | null => {
    what.lastIndex = at;
    const found = what.exec(header);
    if (found !== null) at = what.lastIndex;
    return found;
  };
  while (at < header.length) {
    if (take(SEPARATORS) !== null) continue;
    const parameter = take(PARAMETER);
    if (parameter !== null) {
      const [, name = '', quoted, bare = ''] = parameter;
      const parameters = challenges.at(-1)?.parameters;
      const key = name.toLowerCase();
      if (parameters?.has(key) === false) parameters.set(key, quoted?.replace(/\\(.)/g, '$1') ?? bare);
      continue;
    }
    const scheme = take(SCHEME);
    if (scheme !== null) challenges.push({ scheme: (scheme[1] ?? '').toLowerCase(), parameters: new Map() });
    // Behind a quote that does not belong to anything, nobody can tell text from challenge.
    else if (take(ODD) === null) break;
  }
  return challenges;
}

/** The parameters of each Bearer challenge (RFC 6750 section 3). */
export function bearerChallenges(header: string): ReadonlyMap<string, string>[] {
  return readChallenges(header).flatMap(({ scheme, parameters }) => (scheme === 'bearer' ? [parameters] : []));
}
