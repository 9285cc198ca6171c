/**
 * The shapes in which Azure Repos answers git-lfs: media type, batch objects, refusals. Formats: git-lfs' docs/api/batch.md.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import type { Address } from './addresses.js';
import { answerHtml, answerText, azureHeaders, SIGN_IN_PAGE } from './azure-answers.js';
import { noPush } from './fault-answers.js';
import type { Exchange } from './journal.js';
import type { LfsFault } from './lfs-faults.js';

export const LFS_TYPE = 'application/vnd.git-lfs+json';

export type LfsActionName = 'upload' | 'download' | 'verify';

export interface LfsAction {
  href: string;
  header?: Record<string, string>;
  expires_in?: number;
  expires_at?: string;
}

/** What a batch answer says of one object. */
export interface LfsBatchObject {
  readonly oid: string;
  readonly size: number;
  actions?: Partial<Record<LfsActionName, LfsAction>>;
  error?: { readonly code: number; readonly message: string };
}

export function answerLfs(exchange: Exchange, status: number, body: object, headers: OutgoingHttpHeaders = {}): void {
  exchange.answer(status, { ...azureHeaders(), 'Content-Type': `${LFS_TYPE}; charset=utf-8`, ...headers }, JSON.stringify(body));
}

/** A refusal, said before an unwanted body has been read; what comes of that is read and dropped. */
export function refuseLfs(exchange: Exchange, status: number, message: string, headers: OutgoingHttpHeaders = {}): void {
  answerLfs(exchange, status, { message }, headers);
}

/** What an upload over the limit with a Content-Length meets: it never gets as far as Azure DevOps' own program. */
export function refuseLength(exchange: Exchange): void {
  const page = '<html><head><title>413 Request Entity Too Large</title></head><body><h1>Request Entity Too Large</h1></body></html>\n';
  exchange.answer(413, { 'Content-Type': 'text/html' }, page);
}

/** Answers in the way of a fault. Kinds that spoil an object's bytes are not answers, and are left to the transfer. */
export function answerLfsFault(exchange: Exchange, fault: LfsFault, unauthorized: () => void): boolean {
  if (fault.kind === 'sign-in') {
    answerHtml(exchange, 203, SIGN_IN_PAGE);
    return true;
  }
  if (fault.kind !== 'status') return false;
  const { status } = fault;
  const retry = fault.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(fault.retryAfterSeconds) };
  const message = fault.message ?? messageOf(status);
  if (status === 401) unauthorized();
  else if (status === 413) refuseLength(exchange);
  else if (status === 429) answerText(exchange, 429, message, retry);
  else if (status === 503) answerHtml(exchange, 503, `<html><body><h2>Service Unavailable</h2></body></html>\n`, retry);
  else refuseLfs(exchange, status, message, retry);
  return true;
}

/** Azure DevOps' words for a status where an object is refused. */
export function messageOf(status: number): string {
  switch (status) {
    case 401:
      return 'TF400813: Resource not available for anonymous access. Client authentication required.';
    case 403:
      return noPush().split('\n').at(-1) ?? '';
    case 404:
      return 'Object does not exist';
    case 412:
      return 'The object does not match what was announced';
    case 413:
      return 'The object is too large';
    case 429:
      return "TF400733: The request has been canceled: Request was blocked due to exceeding usage of resource 'Concurrency'.";
    case 503:
      return 'The service is unavailable';
    default:
      return `The object was refused with ${status}`;
  }
}

/** The address of an object on the host that is played, as a client out in the world would reach it. */
export function objectHref(address: Address, oid: string): string {
  const prefix = `/${address.host}`;
  const path = address.base.toLowerCase().startsWith(`${prefix}/`) ? address.base.slice(prefix.length) : address.base;
  return `https://${address.host}${path}/info/lfs/objects/${oid}`;
}
