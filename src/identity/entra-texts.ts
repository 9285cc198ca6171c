/**
 * Entra's error codes and what each means for the person who must act. The codes are Entra's (`AADSTSnnnnn: ...` in
 * error_description), the sentences are ours. docs/IDENTITIES.md has the same table, and a test holds the two together.
 *
 * Source: Microsoft identity platform, "Microsoft Entra authentication and authorization error codes".
 */

export interface EntraText {
  readonly what: string;
  /** What to do where a person signs in; `{sign in}` stands for the command that does so. */
  readonly person: string;
  /** What to do where an application does: signing in again is nothing that it could be told. */
  readonly application: string;
  /** Whether it may pass by itself. */
  readonly isTransient?: true;
  /** Whether a wrong clock is the most likely cause. */
  readonly isClock?: true;
  /** Whether a policy forbids it, which may be for the way of signing in. */
  readonly isPolicy?: true;
}

const ADMIN = 'ask the administrator of the tenant';
const NO_PERSON = 'check `kind`, `clientId` and `tenant` of the identity: this refusal is one of a person';
const SAME = (todo: string): Pick<EntraText, 'person' | 'application'> => ({ person: todo, application: todo });

/** The codes of each text, and the text. */
export const ENTRA_TEXTS: readonly (readonly [readonly number[], EntraText])[] = [
  [
    [50011],
    {
      what: 'The redirect address is not registered for the app',
      person: 'register `http://localhost` with the app as a mobile and desktop application, or leave `clientId` of the identity out',
      application: NO_PERSON,
    },
  ],
  [
    [50020, 90072],
    {
      what: 'The account does not belong to this tenant',
      person: 'set `tenant` of the identity to the right one, or {sign in} with another account',
      application: NO_PERSON,
    },
  ],
  [[50034, 50056, 50126], { what: 'User name or password is wrong', person: '{sign in}', application: NO_PERSON }],
  [
    [50053],
    { what: 'The account is locked after too many wrong passwords', person: 'wait some minutes, then {sign in}', application: ADMIN },
  ],
  [
    [50055, 50144],
    { what: 'The password of the account has expired', person: 'change the password, then {sign in}', application: NO_PERSON },
  ],
  [[50057], { what: 'The account is disabled', ...SAME(`${ADMIN} to enable it`) }],
  [
    [50058, 50072, 50074, 50076, 50078, 50079, 50097, 50158],
    {
      what: 'The sign-in needs a step by a person (such as multi-factor authentication)',
      person: '{sign in}; a machine without a person needs a service principal or managed identity',
      application: `${ADMIN} to take the application out of the policy: nobody can take that step for it`,
    },
  ],
  [
    [50005, 50131, 53000, 53001, 53002, 53003, 53004, 530032, 530033, 530035],
    {
      what: 'Conditional access blocks this sign-in',
      person: `{sign in} on a device, from a network and in a way that the policy allows, or ${ADMIN}`,
      application: `${ADMIN} to let the application through: policies for workload identities go by network and risk`,
      isPolicy: true,
    },
  ],
  [
    [50129, 50155],
    {
      what: 'The device is not registered with the tenant, or cannot prove it',
      person: 'register the device with the tenant, then {sign in}',
      application: NO_PERSON,
    },
  ],
  [[50105], { what: 'The account is not assigned to the app', ...SAME(`${ADMIN} to assign it`) }],
  [
    [50133, 50173, 70008, 70043, 700082, 700084],
    {
      what: 'The sign-in is too old or was revoked',
      person: '{sign in}',
      application: `${ADMIN} whether the application was revoked, and give it a new secret or certificate`,
    },
  ],
  [
    [50059, 50128, 50194],
    {
      what: 'The sign-in service needs to be told which tenant to sign in to',
      ...SAME('set `tenant` of the identity to the tenant of the Azure DevOps organisation'),
    },
  ],
  [
    [65001, 90094],
    {
      what: 'Consent for the app is missing',
      person: `${ADMIN} to consent to the app, then {sign in}`,
      application: `${ADMIN} to consent to the app`,
    },
  ],
  [[65004], { what: 'Consent for the app was declined', person: '{sign in} and accept', application: `${ADMIN} to consent to the app` }],
  [
    [70011, 500011, 650057],
    {
      what: 'The resource is unknown in this tenant',
      ...SAME('check `tenant` and `resource`: the tenant must be the one that the Azure DevOps organisation is connected to'),
    },
  ],
  [[70016], { what: 'The code has not been entered yet', person: 'enter it in the browser', application: NO_PERSON, isTransient: true }],
  [[70019, 70020], { what: 'The code has expired or was declined', person: '{sign in}', application: NO_PERSON }],
  [
    [700016, 7000229],
    { what: 'The app (client id) was not found in this tenant', ...SAME('check `clientId` and `tenant` of the identity') },
  ],
  [[7000112], { what: 'The app is disabled in this tenant', ...SAME(`${ADMIN} to enable it`) }],
  [
    [7000215],
    {
      what: 'The client secret is wrong',
      ...SAME('put the value of the secret (not its id) where `secret` of the identity points'),
    },
  ],
  [
    [7000218],
    {
      what: 'The app wants a secret or certificate',
      person: 'allow public client flows in the app registration, or leave `clientId` of the identity out',
      application: 'use the kind client-secret, client-certificate or workload-identity for this app',
    },
  ],
  [
    [7000222],
    {
      what: 'The client secret has expired',
      ...SAME('make a new secret for the app, and put it where `secret` of the identity points'),
    },
  ],
  [
    [700027, 700030],
    {
      what: 'The certificate is not accepted for the app',
      ...SAME('upload this certificate to the app registration, and check the clock of this machine'),
    },
  ],
  [
    [700023],
    {
      what: 'The assertion is meant for another sign-in service or tenant',
      ...SAME('check `authority` and `tenant` of the identity'),
    },
  ],
  [
    [50027],
    { what: 'The assertion is none that can be read', ...SAME('check that the token file holds the federated token and nothing else') },
  ],
  [
    [70021, 700211, 700212, 700213],
    {
      what: 'No federated credential of the app fits the token',
      ...SAME('compare issuer, subject and audience of the federated credential of the app with those of the token, letter by letter'),
    },
  ],
  [
    [700024, 500133],
    {
      what: 'The assertion is not in its time range',
      ...SAME('check the clock of this machine, and that the token file is being renewed'),
      isClock: true,
    },
  ],
  [
    [90002, 900023],
    { what: 'The tenant was not found', ...SAME('check `tenant` of the identity, and `authority` if it is in another cloud') },
  ],
  [
    [900382, 900439],
    {
      what: 'The tenant belongs to another cloud',
      ...SAME('set `authority` of the identity to the sign-in service of that cloud, such as https://login.microsoftonline.us'),
    },
  ],
  [[90033, 90036], { what: 'The sign-in service is in trouble at the moment', ...SAME('wait and try again'), isTransient: true }],
  [
    [50196],
    {
      what: 'The sign-in service was asked the same too often',
      ...SAME('wait some minutes; see the log for what asks again and again'),
      isTransient: true,
    },
  ],
];

const BY_NUMBER: ReadonlyMap<number, EntraText> = new Map(
  ENTRA_TEXTS.flatMap(([codes, text]) => codes.map((code) => [code, text] as const)),
);

/** The text of a code; undefined for one that is not in the table. */
export function entraTextOf(number: number): EntraText | undefined {
  return BY_NUMBER.get(number);
}

/**
 * Codes that stand for what an answer says without one: `suberror` first, which is finer, then `error`.
 * Source: Microsoft identity platform, "Handle errors and exceptions in MSAL" (suberror), OpenID Connect Core 1.0 section 3.1.2.6, RFC 8628
 * section 3.5 (error).
 */
const STAND_INS: Readonly<Record<string, number>> = {
  basic_action: 50076,
  additional_action: 50076,
  message_only: 53003,
  protection_policy_required: 53003,
  device_authentication_failed: 50155,
  user_password_expired: 50055,
  bad_token: 50173,
  token_expired: 50173,
  consent_required: 65001,
  authorization_pending: 70016,
  expired_token: 70019,
  authorization_declined: 70020,
  access_denied: 65004,
  interaction_required: 50058,
  login_required: 50058,
  temporarily_unavailable: 90033,
};

/** The number, and the sentence behind it: in a text of its own, and in one that may be a piece of JSON. */
const PLAIN = /\bAADSTS([0-9]{4,8})\b(?::\s*([^.\n]*))?/;
const QUOTED = /\bAADSTS([0-9]{4,8})\b(?::\s*([^."\n\\]*))?/;

/** What an answer of Entra, or a text that quotes one, says went wrong. */
export interface EntraError {
  /** AADSTS number; undefined when it names none. */
  readonly number: number | undefined;
  /** What it says instead of a number. */
  readonly word: string | undefined;
  /** Its row; for an answer without a number that of the word. */
  readonly known: EntraText | undefined;
  /** What the word stands for, which is less than a row says of a number. */
  readonly hint: EntraText | undefined;
  /** Entra's own first sentence; empty when there is none. */
  readonly sentence: string;
}

/**
 * Reads an error out of the JSON of an answer, or out of any text that has an AADSTS number; undefined when there is none in it.
 * @param clean Takes out of what was said what must not be repeated: before a sentence is cut out of it, and after it is no JSON any more.
 */
export function findEntraText(text: string, clean: (said: string) => string = (said) => said): EntraError | undefined {
  const answer = answerIn(text);
  const said = clean(typeof answer?.['error_description'] === 'string' ? answer['error_description'] : text);
  const match = (answer === undefined ? QUOTED : PLAIN).exec(said);
  const listed: unknown = Array.isArray(answer?.['error_codes']) ? answer['error_codes'][0] : undefined;
  const number = match?.[1] !== undefined ? Number(match[1]) : typeof listed === 'number' && Number.isInteger(listed) ? listed : undefined;
  const word = [answer?.['suberror'], answer?.['error']].find((each) => typeof each === 'string' && Object.hasOwn(STAND_INS, each));
  const standIn = typeof word === 'string' ? STAND_INS[word] : undefined;
  const hint = standIn === undefined ? undefined : BY_NUMBER.get(standIn);
  const known = number === undefined ? hint : BY_NUMBER.get(number);
  if (number === undefined && known === undefined) return undefined;
  const sentence = (match?.[2] ?? (match === null && answer !== undefined ? firstSentence(said) : '')).trim().slice(0, 300);
  return { number, word: number === undefined && typeof word === 'string' ? word : undefined, known, hint, sentence };
}

function firstSentence(text: string): string {
  return text.startsWith('{') ? '' : (/^[^.\n]*/.exec(text)?.[0] ?? '');
}

function answerIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text.split('\n', 1)[0] ?? '');
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    // Any other text: it is searched as it is.
    return undefined;
  }
}
