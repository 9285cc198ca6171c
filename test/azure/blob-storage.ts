/**
 * A storage account as Azure DevOps keeps large things in: a server of its own name, where the query's signature is the whole right
 * (Azure Storage's shared access signatures) and a request with Authorization besides is refused. Blobs are files below one directory.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { authorizationKind, type AuthorizationKind } from './access.js';
import type { CertificateSet } from './certificates.js';
import { answerRange, counted, firstBytes, readRange, receiveFile, sizeOf } from './file-bodies.js';
import { type Doorkeeper, Loopback } from './loopback.js';

/** Whether a host name is one by which a storage account goes; the certificate holds these, and the proxy leads them here. */
export function isStorageName(host: string): boolean {
  return /^[^.]+\.(?:blob\.core\.windows\.net|vsblob\.vsassets\.io)$/i.test(host);
}

/** `r` reads a blob, `w` writes one. */
export type Permission = 'r' | 'w';

export interface BlobRequest {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly method: string;
  /** As the client named it, without a port. */
  readonly host: string;
  /** Decoded, without query and first slash. */
  readonly blob: string;
  /** Any kind but `none` is a credential that had no business here. */
  readonly authorization: AuthorizationKind;
  /** Lower-cased names; authorization left out. */
  readonly headers: Readonly<IncomingHttpHeaders>;
  /** 0 until an answer begins. */
  status: number;
  /** Of the body that carries the blob. */
  bytes: number;
}

const DEFAULT_LIFE_MS = 3_600_000;

export class BlobStorage {
  readonly seen: BlobRequest[] = [];
  /** Where the addresses that it gives out begin; the server's own `origin` is the other choice. */
  base = 'https://vsblobprodweu1.blob.core.windows.net';
  /** How long a signature is good; negative: no longer. */
  lifeMs = DEFAULT_LIFE_MS;
  /** The next download breaks off after so many bytes. */
  cutAfterBytes: number | undefined;
  /** Where every request to read leads instead: a storage that is somebody else's. */
  leadsTo: string | undefined;
  readonly #root: string;
  readonly #key = randomBytes(32);
  readonly #loopback: Loopback;

  constructor(root: string, certificates: CertificateSet, doorkeeper: Doorkeeper) {
    this.#root = root;
    const server = createServer(certificates.good, (request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
    server.requestTimeout = 0;
    this.#loopback = new Loopback(server, doorkeeper);
  }

  get origin(): string {
    return `https://127.0.0.1:${this.port}`;
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

  /** The file of a blob, such as `packages/left-pad-1.0.0.tgz`. */
  fileOf(blob: string): string {
    return join(this.#root, blob);
  }

  async put(blob: string, content: Buffer | string): Promise<void> {
    await mkdir(dirname(this.fileOf(blob)), { recursive: true });
    await writeFile(this.fileOf(blob), content);
  }

  /** A signed address of a blob, there or not. */
  href(blob: string, permission: Permission): string {
    const expiry = new Date(Date.now() + this.lifeMs).toISOString();
    const query = new URLSearchParams({ sv: '2021-08-06', sr: 'b', sp: permission, se: expiry, sig: this.#sign(blob, permission, expiry) });
    return `${this.base}/${blob.split('/').map(encodeURIComponent).join('/')}?${query.toString()}`;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { authorization, ...headers } = request.headers;
    const url = new URL(request.url ?? '/', 'https://storage');
    const entry: BlobRequest = {
      at: Date.now(),
      method: request.method ?? '',
      host: (request.headers.host ?? '').replace(/:\d+$/, ''),
      blob: decodeURIComponent(url.pathname).slice(1),
      authorization:
        authorization !== undefined && authorizationKind(authorization) === 'none' ? 'basic' : authorizationKind(authorization),
      headers,
      status: 0,
      bytes: 0,
    };
    this.seen.push(entry);
    const refuse = (status: number, code: string, message: string): void => {
      // The body of an upload is not wanted, and the connection can be used no further.
      begin(status, { 'Content-Type': 'application/xml', 'x-ms-error-code': code, Connection: 'close' });
      response.end(`\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`);
    };
    const begin = (status: number, more: OutgoingHttpHeaders): void => {
      entry.status = status;
      response.writeHead(status, { Server: 'Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0', 'x-ms-version': '2021-08-06', ...more });
    };
    const count = (bytes: number): void => {
      entry.bytes += bytes;
    };
    if (authorization !== undefined) {
      refuse(400, 'InvalidAuthenticationInfo', 'Authentication information is not given in the correct format.');
      return;
    }
    const permission = entry.method === 'PUT' ? 'w' : 'r';
    if (entry.blob.split('/').includes('..') || !this.#isSigned(entry.blob, permission, url.searchParams)) {
      refuse(
        403,
        'AuthenticationFailed',
        'Server failed to authenticate the request. Make sure the value of the signature is formed correctly.',
      );
      return;
    }
    const file = this.fileOf(entry.blob);
    if (entry.method === 'PUT') {
      if (headers['x-ms-blob-type'] !== 'BlockBlob') {
        refuse(400, 'MissingRequiredHeader', 'An HTTP header that is mandatory for this request is not specified.');
      } else if (headers['content-length'] === undefined) {
        refuse(411, 'MissingContentLengthHeader', 'The Content-Length header was not specified.');
      } else {
        await receiveFile(file, request, () => true, count);
        begin(201, { 'Content-Length': 0 });
        response.end();
      }
      return;
    }
    if (this.leadsTo !== undefined) {
      begin(302, { Location: this.leadsTo, 'Content-Length': 0 });
      response.end();
      return;
    }
    const size = await sizeOf(file);
    if ((entry.method !== 'GET' && entry.method !== 'HEAD') || size === undefined) {
      refuse(404, 'BlobNotFound', 'The specified blob does not exist.');
      return;
    }
    const answer = answerRange(size, headers.range);
    begin(answer.status, { 'Content-Type': 'application/octet-stream', ...answer.headers });
    if (entry.method === 'HEAD') {
      response.end();
      return;
    }
    const { cutAfterBytes } = this;
    this.cutAfterBytes = undefined;
    await pipeline(readRange(file, answer), firstBytes(cutAfterBytes ?? Infinity), counted(count), response, {
      end: cutAfterBytes === undefined,
    });
    // What was written must have gone out, or the cut would come sooner than was asked for.
    if (cutAfterBytes !== undefined) response.write('', () => request.socket.destroy());
  }

  #isSigned(blob: string, permission: Permission, query: URLSearchParams): boolean {
    const expiry = query.get('se') ?? '';
    const wanted = Buffer.from(this.#sign(blob, permission, expiry));
    const given = Buffer.from(query.get('sig') ?? '');
    if (query.get('sp') !== permission || given.length !== wanted.length || !timingSafeEqual(given, wanted)) return false;
    return Date.parse(expiry) > Date.now();
  }

  #sign(blob: string, permission: Permission, expiry: string): string {
    return createHmac('sha256', this.#key).update([permission, expiry, blob].join('\n')).digest('base64');
  }
}
