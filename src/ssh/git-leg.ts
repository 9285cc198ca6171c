/** The HTTPS half of a bridged session, as the bridge sees it: one smart-HTTP request after the other to one repository. */
import type { Readable } from 'node:stream';
import type { HttpStep } from '../model/operation.js';
import type { Refusal } from '../model/refusal.js';

export interface LegRequest {
  readonly service: 'git-upload-pack' | 'git-receive-pack';
  readonly step: HttpStep;
  /**
   * Body of an exchange: whole, so that it can be sent again after a renewed credential, or a stream, sent chunked as it comes
   * and once. Absent for an advertisement.
   */
  readonly body?: Buffer | Readable;
  /** Value of the Git-Protocol header; undefined sends none. */
  readonly gitProtocol?: string | undefined;
}

export type LegAnswer =
  /**
   * A genuine answer of git's, its head judged. The stream ends when the body is whole and errors, with a ProxyError
   * `upstream-broken`, when it breaks off: an end is never a break.
   */
  | { readonly kind: 'answer'; readonly body: Readable }
  /** `verdict` as in Carried; the request had no effect, or the refusal says that it may have had one. */
  | { readonly kind: 'failure'; readonly verdict: 'failed'; readonly refusal: Refusal };

export interface GitLeg {
  /** Never rejects; once `over` of the session is aborted what it gives no longer matters. */
  send(request: LegRequest): Promise<LegAnswer>;
  /** Anything thrown, as a refusal with route and identity. */
  refusalFor(thrown: unknown): Refusal;
}
