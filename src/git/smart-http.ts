/**
 * The smart HTTP protocol as far as paths, methods and media types go. Which operation a request is follows from
 * the end of its path; `service=` only says which of two advertisements is wanted.
 *
 *   GET  $GIT_URL/info/refs?service=git-upload-pack | git-receive-pack
 *   POST $GIT_URL/git-upload-pack
 *   POST $GIT_URL/git-receive-pack
 *
 * Source: gitprotocol-http "Smart Clients", "Smart Service git-upload-pack", "Smart Service git-receive-pack".
 */
import type { GitService, HttpStep } from '../model/operation.js';

export interface SmartRequest {
  readonly service: GitService;
  readonly step: HttpStep;
  /** Path of the repository, as it came, without git's own suffix. */
  readonly repositoryPath: string;
}

/** Why a request is none of git's; the text is for the person who sent it. */
export interface NotSmart {
  readonly why: 'not-git' | 'dumb' | 'bad-service' | 'bad-method' | 'bad-query';
}

const ADVERTISEMENT_SUFFIX = '/info/refs';
const SERVICES: readonly GitService[] = ['git-upload-pack', 'git-receive-pack'];

/**
 * Classifies a request. `path` and `query` are as they came (percent-encoded, query without `?`, undefined if none).
 */
export function classifySmartRequest(method: string, path: string, query: string | undefined): SmartRequest | NotSmart {
  if (path.endsWith(ADVERTISEMENT_SUFFIX)) {
    if (method !== 'GET') return { why: 'bad-method' };
    if (query === undefined || query === '') return { why: 'dumb' };
    const service = SERVICES.find((known) => query === `service=${known}`);
    if (service === undefined) return { why: query.startsWith('service=') && !query.includes('&') ? 'bad-service' : 'bad-query' };
    return { service, step: 'advertisement', repositoryPath: path.slice(0, -ADVERTISEMENT_SUFFIX.length) };
  }
  for (const service of SERVICES) {
    if (path.endsWith(`/${service}`)) {
      if (method !== 'POST') return { why: 'bad-method' };
      if (query !== undefined) return { why: 'bad-query' };
      return { service, step: 'exchange', repositoryPath: path.slice(0, -(service.length + 1)) };
    }
  }
  return { why: 'not-git' };
}

/** git's own end of the path for a step of a service, with the query: what follows the repository's path. */
export function smartSuffix(service: GitService, step: HttpStep): string {
  return step === 'advertisement' ? `${ADVERTISEMENT_SUFFIX}?service=${service}` : `/${service}`;
}

/** The media type of a genuine answer. */
export function answerMediaType(service: GitService, step: HttpStep): string {
  return step === 'advertisement' ? `application/x-${service}-advertisement` : `application/x-${service}-result`;
}

/** The body that git posts before a push larger than http.postBuffer: one flush packet. */
export const PROBE_BYTES = 4;
