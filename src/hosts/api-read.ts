/**
 * The one read of the REST API that tells whether it can be read at all: the entry of a repository. A name is as good as an id there.
 *
 * Source: Azure DevOps REST API, "Git - Repositories - Get Repository".
 */
import type { RepoAddress } from '../model/address.js';

/** The oldest version that servers in support have, and a current one of the service. */
const API_VERSIONS = { 'azure-services': '7.1', 'azure-server': '5.0' } as const;

/** Path behind the host, percent-encoded, with its query; undefined for hosts without the API. */
export function repositoryEntry({ kind, display }: Pick<RepoAddress, 'kind' | 'display'>): string | undefined {
  if (kind === 'generic') return undefined;
  const [, ...names] = display.split('/').map(encodeURIComponent);
  const repository = names.pop() ?? '';
  return `/${names.join('/')}/_apis/git/repositories/${repository}?api-version=${API_VERSIONS[kind]}`;
}
