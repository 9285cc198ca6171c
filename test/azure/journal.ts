/**
 * What the git hosts saw: one entry a request, never the credential itself.
 */
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { AuthorizationKind, RefusedFor } from './access.js';

export interface SeenRequest {
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** The host that was played, without a port. */
  readonly host: string;
  readonly method: string;
  /** The request target as sent. */
  readonly url: string;
  /** 0 until an answer begins, and for good when none ever does. */
  status: number;
  authorization: AuthorizationKind;
  /** Organisation or collection; empty on generic hosts. */
  readonly organization: string;
  /** Who was let in: the object id of a token. */
  user?: string;
  refusedFor?: RefusedFor;
  /** Lower-cased names; authorization left out. */
  readonly headers: Readonly<IncomingHttpHeaders>;
  /** Number of the TLS connection, from 1. */
  readonly connection: number;
  readonly viaProxy?: boolean;
  /** Canonical name of the repository that a request of git's smart protocol or of LFS leads to here, whether or not there is one of that name. */
  readonly repository?: string;
}

/** Properties that an entry must have; a function is asked instead. */
export type SeenFilter = Partial<
  Pick<SeenRequest, 'host' | 'method' | 'url' | 'status' | 'authorization' | 'organization' | 'refusedFor' | 'connection'>
>;

/** A request being answered, and its journal entry. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly entry: SeenRequest;

  constructor(request: IncomingMessage, response: ServerResponse, entry: SeenRequest) {
    this.request = request;
    this.response = response;
    this.entry = entry;
  }

  /** Sends status line and headers; the entry knows the status before the client can. */
  begin(status: number, headers: OutgoingHttpHeaders): void {
    this.entry.status = status;
    this.response.writeHead(status, headers);
  }

  /** Answers whole, with a Content-Length. */
  answer(status: number, headers: OutgoingHttpHeaders, body: string | Buffer = ''): void {
    this.begin(status, { ...headers, 'Content-Length': Buffer.byteLength(body) });
    this.response.end(body);
  }

  /** Breaks the connection off with whatever was sent so far. */
  cut(): void {
    this.request.socket.destroy();
  }
}
