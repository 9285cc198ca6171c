/**
 * Azure DevOps' own error codes, and what each means for the person at the keyboard. Codes are those the service
 * prints (`TF401019: ...`); the sentences are ours.
 *
 * Source: texts seen in answers of Azure DevOps Services and Server; the "error codes" pages of its documentation.
 */
import type { ErrorCode } from '../model/errors.js';

export interface KnownText {
  readonly code: ErrorCode;
  readonly status: number;
  readonly what: string;
  readonly todo: string;
}

const ADD_TO_ORGANISATION =
  'ask an administrator of the organisation to add this identity (Organization settings > Users) with access to the repository, then try again';

export const AZURE_TEXTS: ReadonlyMap<string, KnownText> = new Map<string, KnownText>([
  [
    'TF401019',
    {
      code: 'upstream-not-found',
      status: 404,
      what: 'The repository does not exist, or this identity may not read it',
      todo: 'check the spelling of the address, and that the identity has Read on the repository; Azure DevOps does not tell the two apart',
    },
  ],
  [
    'TF200016',
    {
      code: 'upstream-not-found',
      status: 404,
      what: 'The project does not exist, or this identity may not see it',
      todo: 'check the project name in the address',
    },
  ],
  [
    'VS800075',
    {
      code: 'upstream-not-found',
      status: 404,
      what: 'The project does not exist, or this identity may not see it',
      todo: 'check the project name in the address',
    },
  ],
  [
    'TF401027',
    {
      code: 'upstream-forbidden',
      status: 403,
      what: 'This identity lacks a permission on the repository',
      todo: 'ask for the permission named above (Project settings > Repositories > Security); pushing needs Contribute',
    },
  ],
  [
    'TF400813',
    {
      code: 'upstream-forbidden',
      status: 403,
      what: 'Azure DevOps does not know this identity in the organisation',
      todo: ADD_TO_ORGANISATION,
    },
  ],
  [
    'TF401444',
    {
      code: 'upstream-forbidden',
      status: 403,
      what: 'The account has never signed in to this organisation',
      todo: 'open the organisation once in a web browser with that account, then try again',
    },
  ],
  [
    'VS403463',
    {
      code: 'upstream-forbidden',
      status: 403,
      what: "A conditional access policy of the organisation's tenant refused the request",
      todo: 'work from an allowed network or device, or ask the administrator of the tenant',
    },
  ],
  [
    'TF400733',
    {
      code: 'upstream-throttled',
      status: 429,
      what: 'Azure DevOps is throttling this identity',
      todo: 'wait and try again; spread work over several identities or fetch less often (usage is shown under Organization settings > Usage)',
    },
  ],
  [
    'TF401041',
    {
      code: 'upstream-error',
      status: 502,
      what: 'Azure DevOps refused the client as too old (it must support multi_ack)',
      todo: 'use a current git client',
    },
  ],
  [
    'TF402455',
    {
      code: 'upstream-forbidden',
      status: 403,
      what: 'A branch policy refuses direct pushes',
      todo: 'push to another branch and open a pull request',
    },
  ],
]);

/** The first known code in `text`, with its row. */
export function findAzureText(text: string): KnownText | undefined {
  for (const match of text.matchAll(/\b(?:TF|VS)[0-9]{5,7}\b/g)) {
    const known = AZURE_TEXTS.get(match[0]);
    if (known !== undefined) return known;
  }
  return undefined;
}
