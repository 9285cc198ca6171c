/** What can come of an answer of an upstream. */
import type { IncomingMessage } from 'node:http';
import type { FailedAnswer } from '../hosts/failure.js';
import type { Refusal } from '../model/refusal.js';

export type Outcome =
  | { readonly kind: 'relay'; readonly answer: IncomingMessage }
  /** To another address of this door. */
  | { readonly kind: 'redirect'; readonly answer: IncomingMessage; readonly location: string }
  /** To an address that is for the carrier to judge; never for git. */
  | { readonly kind: 'moved'; readonly answer: IncomingMessage; readonly to: URL }
  | { readonly kind: 'challenge'; readonly answer: IncomingMessage }
  | { readonly kind: 'failure'; readonly refusal: Refusal };

/** An outcome, or an answer that may still be mended by another try. */
export type Judgement = Outcome | { readonly kind: 'failed'; readonly failed: FailedAnswer };

export interface JudgeOptions {
  readonly isPassthrough: boolean;
  /** ms of silence after which an exchange counts as dead. */
  readonly stallMs: number;
  /** Address of the door as the caller used it. */
  readonly doorBase: string;
  /** Only the head was asked for, and the answer has no body. */
  readonly isHead?: boolean | undefined;
}
