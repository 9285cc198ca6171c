/**
 * What a personal access token looks like, and what people put in its place by mistake. Knows forms alone: whether a token is good
 * only Azure DevOps can tell.
 *
 * Source: Microsoft Purview, "Azure DevOps personal access token" entity definition; Azure DevOps release notes, sprint 241 (the
 * longer form).
 */
import type { PatOddity } from '../model/pat.js';
import type { Secret } from '../model/secret.js';

/** 52 letters and digits as base32 has them. */
const OLD_FORM = /^[a-z2-7]{52}$/;
/** 84 letters and digits, a fixed mark before the last four. */
const NEW_FORM = /^[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}$/;

const ALONE = 'put the token alone there, as Azure DevOps showed it when it was made';

/** First match first. */
const ODD_FORMS: readonly (readonly [form: RegExp, what: string, todo: string])[] = [
  [/^(["'`]).*\1$/, 'stands in quotation marks', `${ALONE}, without quotation marks`],
  [
    /^\{?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\}?$/i,
    'is a GUID, as ids are, and not a token',
    `${ALONE}; the id of a token (authorizationId) belongs into \`lifecycle.id\``,
  ],
  [/^[[{]/, 'is a JSON document', `${ALONE}; \`jq -r .token\` takes it out of the answer of \`postern pat create --json\``],
  [/^(?:authorization:\s*)?(?:basic|bearer)\s/i, 'is an Authorization header', ALONE],
  [/^\s|\s$/, 'has blanks around it', ALONE],
  [/\s/, 'has blanks in it', ALONE],
  [
    /^(?:\$\{?\w+\}?|\$\([\w.]+\)|%\w+%|<[^>]*>)$/,
    'is the name of a variable or a placeholder, which nobody has replaced',
    'look at the place that `secret` of the identity names; a variable is read with {env: NAME}',
  ],
  [
    /^eyJ[\w-]+\./,
    'is an Entra token, which ends within hours',
    'use an identity of a kind of Entra (browser, azure-cli, workload-identity ...), which renews it',
  ],
  [/^ptl1_/, 'is a lease of Postern', ALONE],
  [/^(?:gh[a-z]_|github_pat_|glpat-|ATBB)/, 'is a token of another git host', ALONE],
  [/^[\w.~-]{3}\dQ~/, 'is the secret of an app registration', 'use an identity of kind client-secret, with `tenant` and `clientId`'],
  [/^https?:\/\//i, 'is a URL', ALONE],
];

/** What makes the text read for a token most likely none; undefined when it has the form of one. */
export function oddityOf(token: Secret): PatOddity | undefined {
  const text = token.reveal();
  if (OLD_FORM.test(text) || NEW_FORM.test(text)) return undefined;
  for (const [form, what, todo] of ODD_FORMS) if (form.test(text)) return { what, todo };
  // As it stands in a header: base64 of a user name, a colon and the token.
  const inner = Buffer.from(text, 'base64').toString('latin1').split(':')[1] ?? '';
  if (OLD_FORM.test(inner) || NEW_FORM.test(inner)) return { what: 'is a token in base64', todo: ALONE };
  return {
    what: `has not the form of a personal access token (52 or 84 letters and digits; it has ${text.length} characters)`,
    todo: ALONE,
  };
}
