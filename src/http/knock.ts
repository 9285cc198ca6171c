/**
 * How `postern doctor` has git ask the door whether it serves the user: for a repository that nobody has. The request walks as every
 * other does until it is known who asks, and ends there. Git shows the text of the answer because it is no success.
 */
import type { IncomingMessage } from 'node:http';
import type { Refusal } from '../model/refusal.js';

/** What stands in the place of a repository. No host name begins with `-`. */
export const KNOCK_REPOSITORY = '-/doctor';

/** Whether a request is such a knock. */
export function isKnock({ url, method }: IncomingMessage): boolean {
  return method === 'GET' && url === `/${KNOCK_REPOSITORY}/info/refs?service=git-upload-pack`;
}

/** What whoever is served is told. */
export const KNOCKED: Refusal = {
  kind: 'refusal',
  code: 'operation-unknown',
  status: 404,
  what: 'This door serves you; there is no repository at this address',
  todo: 'nothing: `postern doctor` asks for it to see that the door answers',
};
