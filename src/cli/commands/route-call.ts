/** What `route explain` tells of an address of the REST API: what may be done there, whoever asks. */
import type { ApiCall } from '../../hosts/api-call.js';
import { parseApiAddress } from '../../hosts/api-address.js';
import { stepOf } from '../../hosts/api-steps.js';
import { credentialOf } from '../../hosts/credential-calls.js';
import type { RepoAddress } from '../../model/address.js';

/** The last line of what is told of a call. */
export function callText(call: ApiCall, isOfAccount: boolean): string {
  const [read, write] = [credentialOf(call, false), credentialOf(call, true)];
  if (read !== undefined) return `refused to everybody: it is about ${read.what}`;
  const post = stepOf('POST', call, isOfAccount);
  if (write !== undefined) return `GET reads, with api; everything else is refused to everybody: it is about ${write.what}`;
  if (post === 'read') return 'GET and POST read, with api; everything else writes, with api and push';
  return `GET reads, with api; everything else writes, with api and push${post === 'write-beside-refs' ? ', and POST changes no ref' : ''}`;
}

/** Reads an address of the API as the door would; a query is left out. */
export function parseCall(kind: Parameters<typeof parseApiAddress>[0], host: string, path: string): ReturnType<typeof parseApiAddress> {
  return parseApiAddress(kind, host, path.replace(/\?.*$/s, ''));
}

/** What is told of GUIDs in an address; undefined for one that has none. */
export function guidText({ guids }: RepoAddress): string | undefined {
  return guids === undefined
    ? undefined
    : 'it names a project or a repository by its GUID: where rules differ by name, the upstream is asked for the names';
}
