/**
 * Blob storage as Azure keeps packages in: a server of its own with names of its own, to which other hosts send clients by an address
 * that carries its permission in the query (a shared access signature). Such an address works without Authorization, and with one it
 * does not: the service refuses a credential that is not its own.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KeyPairPem } from './certificates.js';
import { Loopback } from './loopback.js';

export interface StoredBlob {
  readonly bytes: Buffer;
  readonly type: string;
}

export interface BlobRequest {
  readonly host: string;
  readonly method: string;
  /** As sent. */
  readonly url: string;
  readonly status: number;
  /** Lower-cased names; the value of Authorization is left out. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly hasAuthorization: boolean;
}

export type BlobFault = 'die-midbody' | 'unavailable-503';

export class BlobStorage {
  readonly seen: BlobRequest[] = [];
  /** What every request meets. */
  fault: BlobFault | undefined;
  /** Host and port of the addresses that are given out. */
  host = 'contosoeastus.blob.core.windows.net';
  /** How long an address lasts, seconds. */
  lifeSeconds = 3600;
  readonly #blobs = new Map<string, StoredBlob>();
  readonly #key = randomBytes(32);
  readonly #loopback: Loopback;

  constructor(certificate: KeyPairPem) {
    this.#loopback = new Loopback(createServer({ ...certificate }, (request, response) => this.#answer(request, response)));
  }

  get port(): number {
    return this.#loopback.port;
  }

  listen(port: number): Promise<void> {
    return this.#loopback.listen(port);
  }

  close(): Promise<void> {
    return this.#loopback.close();
  }

  /** Whether a host, without port, is one of storage. */
  static isOne(host: string): boolean {
    return /^[^.]+\.(?:blob\.core\.windows\.net|vsblob\.vsassets\.io)$/i.test(host);
  }

  /** Keeps a blob and gives an address at which it can be read for a while. */
  put(path: string, blob: StoredBlob): string {
    this.#blobs.set(path, blob);
    const expiry = new Date(Date.now() + this.lifeSeconds * 1000).toISOString();
    const query = new URLSearchParams({ sv: '2019-07-07', sr: 'b', sig: this.#sign(path, expiry), se: expiry, sp: 'r' });
    return `https://${this.host}/${path}?${query.toString()}`;
  }

  #sign(path: string, expiry: string): string {
    return createHmac('sha256', this.#key).update(`${path}\n${expiry}`).digest('base64');
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { authorization, ...headers } = request.headers;
    const url = new URL(request.url ?? '/', 'https://storage.invalid');
    const path = decodeURIComponent(url.pathname.slice(1));
    const blob = this.#blobs.get(path);
    const expiry = url.searchParams.get('se') ?? '';
    const note = (status: number): void => {
      const { host = '' } = request.headers;
      const { method = '', url: sent = '' } = request;
      this.seen.push({ host, method, url: sent, status, headers, hasAuthorization: authorization !== undefined });
    };
    const refuse = (status: number, code: string): void => {
      note(status);
      const text = `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>Refused</Message></Error>`;
      response.writeHead(status, { 'Content-Type': 'application/xml', 'x-ms-error-code': code }).end(text);
    };
    if (authorization !== undefined) refuse(400, 'InvalidAuthenticationInfo');
    else if (url.searchParams.get('sig') !== this.#sign(path, expiry)) refuse(403, 'AuthenticationFailed');
    else if (!(Date.parse(expiry) > Date.now())) refuse(403, 'AuthenticationFailed');
    else if (this.fault === 'unavailable-503') refuse(503, 'ServerBusy');
    else if (request.method !== 'GET' && request.method !== 'HEAD') refuse(405, 'UnsupportedHttpVerb');
    else if (blob === undefined) refuse(404, 'BlobNotFound');
    else this.#send(request, response, blob, note, refuse);
  }

  #send(
    request: IncomingMessage,
    response: ServerResponse,
    { bytes, type }: StoredBlob,
    note: (status: number) => void,
    refuse: (status: number, code: string) => void,
  ): void {
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const from = Number(range?.[1] ?? 0);
    const to = Math.min(range?.[2] ? Number(range[2]) + 1 : bytes.length, bytes.length);
    if (range && from >= bytes.length) {
      refuse(416, 'InvalidRange');
      return;
    }
    const status = range ? 206 : 200;
    note(status);
    const part = bytes.subarray(from, to);
    response.writeHead(status, {
      'Content-Type': type,
      'Content-Length': part.length,
      'Accept-Ranges': 'bytes',
      'x-ms-blob-type': 'BlockBlob',
      ...(range ? { 'Content-Range': `bytes ${from}-${to - 1}/${bytes.length}` } : {}),
    });
    if (request.method === 'HEAD') response.end();
    else if (this.fault === 'die-midbody') response.write(part.subarray(0, part.length >> 1), () => request.socket.destroy());
    else response.end(part);
  }
}
