/**
 * From the head of a request to the operation that it asks for, or why there is none. Everything that could be read in two
 * ways, by us and by whoever stands behind us, ends here.
 */
import type { IncomingMessage } from 'node:http';
import type { RouteTable } from '../gate/route-table.js';
import { classifySmartRequest, type NotSmart } from '../git/smart-http.js';
import { type ParsedAddress, parseRepoAddress } from '../hosts/repo-address.js';
import type { HostKind } from '../model/address.js';
import { inferHostKind, parseHost } from '../model/host-name.js';
import type { HttpOperation } from '../model/operation.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import { readRequestTarget } from './request-target.js';

/**
 * Reads a request. What is understood on the way is noted in `record`, so that a refusal can be found again by what it was
 * about.
 */
export function readOperation(
  request: IncomingMessage,
  routes: RouteTable,
  record: OperationRecord,
): { readonly kind: 'operation'; readonly operation: HttpOperation } | Refusal {
  const framing = framingFault(request);
  if (framing !== undefined) return malformed(framing);
  const read = readRequestTarget(request.url ?? '');
  if (read.kind === 'fault') return malformed(read.what);
  const { host: hostSegment, path, query } = read.target;
  const host = parseHost(hostSegment);
  if (host === undefined) return malformed(`${printable(hostSegment)} is not a host name`);
  record.repository = `${host}${printable(path)}`;
  const smart = classifySmartRequest(request.method ?? '', path, query);
  if ('why' in smart) return notSmart(smart);
  const parsed = parseAddress(routes.kindOf(host), host, smart.repositoryPath);
  if (parsed.kind === 'fault') return malformed(`The address is not a repository's: ${printable(parsed.what)}`);
  const operation: HttpOperation = {
    kind: smart.service === 'git-upload-pack' ? 'fetch' : 'push',
    step: smart.step,
    address: parsed.address,
  };
  record.kind = operation.kind;
  record.step = operation.step;
  record.repository = parsed.address.display;
  record.address = parsed.address;
  return { kind: 'operation', operation };
}

/** A host that no route names is most likely no Azure DevOps Server: that there is no route says more than a wrong grammar. */
function parseAddress(kind: HostKind | undefined, host: string, path: string): ParsedAddress {
  const inferred = inferHostKind(host);
  const parsed = parseRepoAddress(kind ?? inferred, host, path);
  return parsed.kind === 'fault' && kind === undefined && inferred === 'azure-server' ? parseRepoAddress('generic', host, path) : parsed;
}

/** What could make this request's end a matter of opinion between us and the upstream (RFC 9112 section 6). */
function framingFault(request: IncomingMessage): string | undefined {
  if (request.httpVersion !== '1.1') return `HTTP/${request.httpVersion} is not spoken here, HTTP/1.1 is`;
  const coding = request.headersDistinct['transfer-encoding'];
  const length = request.headersDistinct['content-length'];
  if (coding !== undefined && (length !== undefined || coding.length !== 1 || coding[0]?.toLowerCase() !== 'chunked')) {
    return 'The request has a Transfer-Encoding other than chunked alone';
  }
  if (length !== undefined && length.length !== 1) return 'The request has more than one Content-Length';
  if (request.method === 'GET' && (coding !== undefined || (length !== undefined && length[0] !== '0'))) {
    return 'The request is a GET with a body';
  }
  return undefined;
}

function notSmart({ why }: NotSmart): Refusal {
  switch (why) {
    case 'dumb':
      return refusal(
        'operation-unknown',
        403,
        'The dumb HTTP protocol is not served',
        'use a git client with smart HTTP, which is every one since 2010',
      );
    case 'bad-service':
      return refusal('operation-unknown', 403, 'The service in the address is not git-upload-pack or git-receive-pack', 'use a git client');
    case 'bad-query':
      return malformed('The query of the address is not one of git');
    case 'bad-method':
      return refusal(
        'operation-unknown',
        405,
        'The method does not fit the address',
        'use GET for info/refs, POST for git-upload-pack and git-receive-pack',
      );
    case 'not-git':
      return refusal(
        'operation-unknown',
        404,
        'The address is none of git: only info/refs, git-upload-pack and git-receive-pack of a repository are served',
        'use the address with git; LFS and the REST API are not served by this version',
      );
  }
}

function malformed(what: string): Refusal {
  return refusal('request-malformed', 400, what, 'check the address; `postern route explain URL` shows how one is read');
}

function refusal(code: Refusal['code'], status: number, what: string, todo: string): Refusal {
  return { kind: 'refusal', code, status, what, todo };
}

/** Text of an address for a person: nothing that a terminal would act on. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?').slice(0, 300);
}
