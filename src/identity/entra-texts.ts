/**
 * Entra's error codes and what each means for the person who must act. The codes are Entra's
 * (`AADSTSnnnnn: ...` in error_description), the sentences are ours.
 *
 * Source: Microsoft identity platform, "Microsoft Entra authentication and authorization error codes".
 */

export interface EntraText {
  readonly what: string;
  readonly todo: string;
  /** Whether it may pass by itself. */
  readonly isTransient?: true;
}

const SIGN_IN_AGAIN = 'sign in again (for the Azure CLI: `az login`)';
const ASK_ADMIN = 'ask the administrator of the tenant';

const ROWS: readonly (readonly [readonly number[], EntraText])[] = [
  [[50011], { what: 'The redirect address is not registered for the app', todo: 'add it to the app registration' }],
  [[50020, 90072], { what: 'The account does not belong to this tenant', todo: 'set `tenant` to the right one, or use another account' }],
  [[50034, 50126], { what: 'User name or password is wrong', todo: SIGN_IN_AGAIN }],
  [[50055], { what: 'The password of the account has expired', todo: 'change it, then sign in again' }],
  [[50057], { what: 'The account is disabled', todo: ASK_ADMIN }],
  [
    [50058, 50074, 50076, 50078, 50079, 50097],
    {
      what: 'The sign-in needs a step by a person (such as multi-factor authentication)',
      todo: `${SIGN_IN_AGAIN}; an unattended machine needs a service principal or managed identity`,
    },
  ],
  [
    [50005, 53000, 53001, 53003, 530033],
    {
      what: 'Conditional access blocks this sign-in',
      todo: `use a device and a way of signing in that the policy allows, or ${ASK_ADMIN}`,
    },
  ],
  [[50105], { what: 'The user is not assigned to the app', todo: ASK_ADMIN }],
  [[50173, 70008, 70043, 700082, 700084], { what: 'The sign-in is too old or was revoked', todo: SIGN_IN_AGAIN }],
  [[65001], { what: 'Consent for the app is missing', todo: `${ASK_ADMIN} for consent` }],
  [
    [70011, 500011, 650057],
    {
      what: 'The resource is unknown in this tenant',
      todo: 'check `tenant` and `resource`: the tenant must be the one that the Azure DevOps organisation is connected to',
    },
  ],
  [[70019, 70020], { what: 'The code has expired or was declined', todo: 'start the sign-in again' }],
  [[700016], { what: 'The app (client id) was not found in this tenant', todo: 'check `clientId` and `tenant` of the identity' }],
  [
    [7000215],
    { what: 'The client secret is wrong', todo: 'put the value of the secret (not its id) where `secret` of the identity points' },
  ],
  [
    [7000222],
    { what: 'The client secret has expired', todo: 'make a new secret for the app and put it where `secret` of the identity points' },
  ],
  [
    [700027],
    {
      what: 'The certificate is not accepted for the app',
      todo: 'upload this certificate to the app registration, and check the clock of this machine',
    },
  ],
  [
    [70021, 700211, 700212, 700213],
    {
      what: 'No federated credential of the app fits the token',
      todo: 'compare issuer, subject and audience of the federated credential with those of the token, letter by letter',
    },
  ],
  [
    [700024],
    { what: 'The assertion is not in its time range', todo: 'check the clock of this machine, and that the token file is being renewed' },
  ],
  [[90002, 900023], { what: 'The tenant was not found', todo: 'check `tenant` of the identity' }],
  [[90033, 90036, 50196], { what: 'The sign-in service is in trouble at the moment', todo: 'wait and try again', isTransient: true }],
];

const TEXTS: ReadonlyMap<number, EntraText> = new Map(ROWS.flatMap(([codes, text]) => codes.map((code) => [code, text] as const)));

/** The first AADSTS number in a text, and its row if there is one. */
export function findEntraText(text: string): { readonly number: number; readonly known: EntraText | undefined } | undefined {
  const match = /\bAADSTS([0-9]{4,8})\b/.exec(text);
  if (match?.[1] === undefined) return undefined;
  const number = Number(match[1]);
  return { number, known: TEXTS.get(number) };
}
