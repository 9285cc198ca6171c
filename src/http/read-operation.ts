/**
 * From the head of a request to the operation that it asks for, or why there is none. Everything that could be read in two
 * ways, by us and by whoever stands behind us, ends here.
 */
import type { IncomingMessage } from 'node:http';
import type { RouteTable } from '../gate/route-table.js';
import { classifyLfsRequest, isLfsPath, type NotLfs } from '../git/lfs-request.js';
import { classifySmartRequest, type NotSmart } from '../git/smart-http.js';
import { isApiPath, parseApiAddress } from '../hosts/api-address.js';
import { overrideOf } from '../hosts/api-override.js';
import { stepOf } from '../hosts/api-steps.js';
import { credentialOf } from '../hosts/credential-calls.js';
import { type ParsedAddress, parseRepoAddress } from '../hosts/repo-address.js';
import type { HostKind } from '../model/address.js';
import { inferHostKind, parseHost } from '../model/host-name.js';
import { type ApiOperation, type DoorOperation, isReading } from '../model/operation.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import { readRequestTarget } from './request-target.js';
import type { Dialect } from './speech.js';

/**
 * Reads a request. What is understood on the way is noted in `record`, so that a refusal can be found again by what it was
 * about.
 */
export function readOperation(
  request: IncomingMessage,
  routes: RouteTable,
  record: OperationRecord,
): { readonly kind: 'operation'; readonly operation: DoorOperation } | Refusal {
  const framing = framingFault(request);
  if (framing !== undefined) return malformed(framing);
  const target = readRequestTarget(request.url ?? '');
  if (target.kind === 'fault') return malformed(target.what);
  const { host: hostSegment, path, query } = target.target;
  const host = parseHost(hostSegment);
  if (host === undefined) return malformed(`${printable(hostSegment)} is not a host name`);
  record.repository = `${host}${printable(path)}`;
  const headers = Object.keys(request.headersDistinct);
  const read = { method: request.method ?? '', host, path, query, headers, kind: routes.kindOf(host) };
  const dialect = dialectOfPath(read.method, path, query);
  // Of git that is the direction, which is known when the whole is.
  if (dialect !== 'git') record.kind = dialect;
  const operation = { git: gitOperation, lfs: lfsOperation, api: apiOperation }[dialect](read);
  if (operation.kind === 'refusal') return operation;
  record.kind = operation.kind;
  record.step = operation.step;
  record.repository = operation.address.display;
  record.address = operation.address;
  return { kind: 'operation', operation };
}

/** Whose errors the client of a request reads, from its address alone: also where nothing else of it can be read. */
export function dialectOf({ method = '', url = '' }: IncomingMessage): Dialect {
  const read = readRequestTarget(url);
  if (read.kind === 'fault') return 'git';
  return dialectOfPath(method, read.target.path, read.target.query);
}

function dialectOfPath(method: string, path: string, query: string | undefined): Dialect {
  const smart = classifySmartRequest(method, path, query);
  // git's own addresses come first: no other service ends its paths so.
  if (!('why' in smart) || smart.why !== 'not-git') return 'git';
  return isLfsPath(path) ? 'lfs' : isApiPath(path) ? 'api' : 'git';
}

/** A request as far as its head goes. */
interface Read {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly query: string | undefined;
  /** Names of the headers, lower case. */
  readonly headers: readonly string[];
  /** What a route says of the host. */
  readonly kind: HostKind | undefined;
}

function gitOperation({ method, host, path, query, kind }: Read): DoorOperation | Refusal {
  const smart = classifySmartRequest(method, path, query);
  if ('why' in smart) return notSmart(smart);
  const parsed = parseAddress(kind, host, smart.repositoryPath);
  if (parsed.kind === 'fault') return malformed(`The address is not a repository's: ${printable(parsed.what)}`);
  return { kind: smart.service === 'git-upload-pack' ? 'fetch' : 'push', step: smart.step, address: parsed.address };
}

function lfsOperation({ method, host, path, query, kind }: Read): DoorOperation | Refusal {
  const lfs = classifyLfsRequest(method, path);
  if ('why' in lfs) return notLfs(lfs);
  const parsed = parseAddress(kind, host, lfs.repositoryPath);
  if (parsed.kind === 'fault') return malformed(`The address is not a repository's: ${printable(parsed.what)}`);
  const suffix = `${lfs.suffix}${query === undefined ? '' : `?${query}`}`;
  return { kind: 'lfs', step: lfs.step, address: parsed.address, suffix, oid: lfs.oid };
}

function apiOperation({ method, host, path, query, headers, kind }: Read): DoorOperation | Refusal {
  const parsed = parseApiAddress(kind ?? inferHostKind(host), host, path);
  if (parsed.kind === 'fault') return malformed(`The address is not one of the REST API: ${printable(parsed.what)}`);
  const { address, call, isOfAccount } = parsed;
  const override = overrideOf(call, query, headers);
  if (override !== undefined) {
    const what = `The call would be judged by one method or address and carried out by another, because of ${printable(override)}`;
    return refusal('call-refused', 403, what, 'send each call by itself, with its own method');
  }
  const step = stepOf(method, call, isOfAccount);
  const operation: ApiOperation = { kind: 'api', step, address, query: query === undefined ? '' : `?${query}` };
  const credential = credentialOf(call, !isReading(operation));
  if (credential !== undefined)
    return refusal('call-refused', 403, `The call is about ${credential.what}, and gives nobody a credential here`, credential.todo);
  return operation;
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

function notLfs({ why }: NotLfs): Refusal {
  if (why === 'bad-method') return refusal('operation-unknown', 405, 'The method does not fit the address', 'use git-lfs');
  return refusal(
    'operation-unknown',
    404,
    'The address is none of Git LFS: batch, objects and locks of a repository are served',
    'use git-lfs, which finds the addresses by itself',
  );
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
        'The address is none of git, LFS or the REST API',
        'use the address with git; calls of the REST API have `_apis` in their path',
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
