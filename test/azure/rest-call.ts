/**
 * One call of a REST API: where it is for, what it says, and the shapes in which Azure DevOps answers, errors too. Compressed when
 * the client says it can read that, as the service does.
 */
import { createHash } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { hostKind, type Address } from './addresses.js';
import { azureHeaders } from './azure-answers.js';
import type { Exchange } from './journal.js';
import type { Collection } from './rest-catalog.js';

/** Part of a path that begins what is no project any more. */
const AREA = /^_(?:apis|packaging)$/i;

export class RestCall {
  readonly exchange: Exchange;
  readonly address: Address;
  readonly collection: Collection;
  readonly method: string;
  /** Name or GUID, as sent; undefined at the level of the organisation. */
  readonly project: string | undefined;
  /** Decoded, from `_apis` or `_packaging` on. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;

  constructor(exchange: Exchange, address: Address, collection: Collection) {
    this.exchange = exchange;
    this.address = address;
    this.collection = collection;
    this.method = exchange.request.method ?? '';
    const { project, path } = placeOf(address) ?? { project: undefined, path: [] };
    this.project = project;
    this.path = path;
    this.query = new URL(exchange.request.url ?? '/', 'https://localhost').searchParams;
  }

  /** Where the organisation (or collection) is on a host of its family, with a slash at the end; `dev` is its own. */
  base(service = 'dev'): string {
    const { kind, host, organization } = this.address;
    const name = encodeURIComponent(organization);
    if (kind === 'server') return `https://${host}/tfs/${name}/`;
    if (host.endsWith('.visualstudio.com')) return `https://${name}.${service === 'dev' ? '' : `${service}.`}visualstudio.com/`;
    return `https://${service === 'dev' ? '' : `${service}.`}dev.azure.com/${name}/`;
  }

  body(): Promise<Buffer> {
    return buffer(this.exchange.request);
  }

  /** @throws SyntaxError when the body is no JSON object */
  async object(): Promise<Readonly<Record<string, unknown>>> {
    const value: unknown = JSON.parse((await this.body()).toString('utf8'));
    if (typeof value !== 'object' || value === null) throw new SyntaxError('the body is no object');
    return value as Record<string, unknown>; // of JSON, so its keys are texts
  }

  json(value: unknown, options: { status?: number; headers?: OutgoingHttpHeaders } = {}): void {
    const { 'api-version': version = '7.1' } = Object.fromEntries(this.query);
    const type = `application/json; charset=utf-8; api-version=${version}`;
    this.send(JSON.stringify(value), type, options);
  }

  list(values: readonly unknown[], headers: OutgoingHttpHeaders = {}): void {
    this.json({ count: values.length, value: values }, { headers });
  }

  /** An error in Azure's own shape. */
  error(status: number, message: string, typeKey: string, headers: OutgoingHttpHeaders = {}): void {
    const type = `Microsoft.TeamFoundation.${typeKey}`;
    const body = {
      $id: '1',
      innerException: null,
      message,
      typeName: `${type}, Microsoft.TeamFoundation`,
      typeKey,
      errorCode: 0,
      eventId: 3000,
    };
    this.json(body, { status, headers });
  }

  /** With an ETag, by which a client may ask again; compressed when it takes that. */
  send(body: string | Buffer, type: string, { status = 200, headers = {} }: { status?: number; headers?: OutgoingHttpHeaders } = {}): void {
    const { exchange, method } = this;
    const asked = exchange.request.headers;
    const tag = `"${createHash('sha1').update(body).digest('hex').slice(0, 16)}"`;
    const isRead = status === 200 && (method === 'GET' || method === 'HEAD');
    if (isRead && asked['if-none-match'] === tag) {
      exchange.answer(304, { ...azureHeaders(), ETag: tag });
      return;
    }
    const isGzip = /\bgzip\b/.test(asked['accept-encoding']?.toString() ?? '');
    const bytes = isGzip ? gzipSync(body) : Buffer.from(body);
    exchange.begin(status, {
      ...azureHeaders(),
      'Content-Type': type,
      'Cache-Control': 'no-cache',
      ...(isRead ? { ETag: tag } : {}),
      ...(isGzip ? { 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' } : { 'Content-Length': bytes.length }),
      ...headers,
    });
    exchange.response.end(method === 'HEAD' ? undefined : bytes);
  }
}

/** Whether an address is one of the REST API or of a package feed. */
export function areaOf(address: Address): '_apis' | '_packaging' | undefined {
  const area = placeOf(address)?.path[0]?.toLowerCase();
  return area === '_apis' || area === '_packaging' ? area : undefined;
}

function placeOf(address: Address): { readonly project: string | undefined; readonly path: readonly string[] } | undefined {
  const { kind, base, host } = address;
  if (address.repository !== undefined || kind === 'generic' || kind === 'ntlm') return undefined;
  const sent = base.split('/').slice(1);
  if (hostKind(sent[0] ?? '') !== undefined) sent.shift();
  if (kind === 'server') sent.splice(0, 2);
  else if (!host.endsWith('.visualstudio.com')) sent.shift();
  else if (sent[0]?.toLowerCase() === 'defaultcollection') sent.shift();
  const at = sent.findIndex((part) => AREA.test(part));
  if (at < 0 || at > 1) return undefined;
  const [project, path] = [sent.slice(0, at).map(decodeURIComponent)[0], sent.slice(at).map(decodeURIComponent)];
  return { project, path: path.filter((part, index) => part !== '' || index === 0) };
}
