/**
 * The names that go into rules (organisations, user parts of addresses) and how an address is shown to a person.
 * A rule is text that git compares and that stands in a file others can read: what is not plainly a name is not
 * written, and what might be a secret is neither written nor shown.
 */
import { ProxyError } from '../../model/errors.js';

/** Letters, digits and hyphens, a letter or digit at both ends, at most 50 (Azure DevOps, "Naming restrictions"). */
const ORGANISATION = /^[A-Za-z0-9](?:[A-Za-z0-9-]{0,48}[A-Za-z0-9])?$/;

/** A user part as it stands in an address, percent signs and all. */
const USER = /^[A-Za-z0-9._~%+-]+$/;

/** Tokens have 52 and 84 characters (PAT) or many more (JWT); names of people and organisations are shorter. */
const LONGEST_USER = 40;

/** The organisation that a text names, percent-decoded once; undefined if it cannot be one. Keeps the caller's case. */
export function organisationIn(text: string): string | undefined {
  const decoded = percentDecoded(text);
  return decoded !== undefined && ORGANISATION.test(decoded) ? decoded : undefined;
}

/** Like `organisationIn`, for what a person typed. @throws ProxyError `usage` if it cannot be an organisation. */
export function parseOrganisation(text: string): string {
  const name = organisationIn(text);
  if (name !== undefined) return name;
  throw new ProxyError('usage', `Not the name of an organisation: ${JSON.stringify(hideCredentials(text))}`, {
    todo: 'Give the part after https://dev.azure.com/ : letters, digits and hyphens, at most 50',
  });
}

/** The user part of an address as rules need it (spelled as it stands), or undefined if it may be a secret. */
export function userIn(text: string): string | undefined {
  if (!USER.test(text) || text.startsWith('eyJ')) return undefined;
  return text.length <= LONGEST_USER || /%40|@/i.test(text) ? text : undefined;
}

/** Like `userIn`. @throws ProxyError `usage` for a text that is no plain user part, without showing it. */
export function parseUser(text: string): string {
  const user = userIn(text);
  if (user !== undefined) return user;
  throw new ProxyError('usage', 'The user part of an address may be a secret, or holds signs that cannot stand in one');
}

/**
 * A text made fit to be shown: the password of every address in it replaced, a user part too where it may itself be
 * a token, and control characters, which would speak to the terminal, turned into blanks.
 */
export function hideCredentials(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f]/g, ' ').replace(/(:\/\/)([^/?#\s]*)@/g, (whole, slashes: string, userinfo: string) => {
    const colon = userinfo.indexOf(':');
    if (colon === -1) return userIn(userinfo) === undefined ? `${slashes}[hidden]@` : whole;
    const user = userIn(userinfo.slice(0, colon)) ?? '[hidden]';
    return `${slashes}${user}:[hidden]@`;
  });
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // Not an encoding at all, so not a name either.
    return undefined;
  }
}
