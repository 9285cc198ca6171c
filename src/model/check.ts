/**
 * What `postern doctor` found at one place of the road: a row with a verdict. Rows come from the command line (git, the service, the
 * door as a caller sees it) and from the daemon (identity, network, upstream), and are one kind of thing.
 */
import type { ErrorCode } from './errors.js';
import { ProxyError } from './errors.js';

/** Parts of the road, in its order, with the exit code of `doctor` when the first failure is there. 1 is for doctor itself. */
export const CHECK_CLASSES = {
  configuration: 2,
  programs: 3,
  git: 4,
  daemon: 5,
  identity: 6,
  network: 7,
  repository: 8,
  lfs: 9,
  ssh: 10,
  rest: 11,
} as const;

export type CheckClass = keyof typeof CHECK_CLASSES;

interface Said {
  /** What was found: a sentence in plain words, no full stop, no secret. */
  readonly text: string;
  /** More lines for a reader. */
  readonly details?: readonly string[] | undefined;
}

/** What a reader can do, when something is wrong. */
interface Wrong extends Said {
  /** A command where one exists. */
  readonly todo: string;
  readonly code?: ErrorCode | undefined;
  /** Name of what `doctor --fix` can do about it. */
  readonly fix?: string | undefined;
}

export type CheckOutcome =
  /** As it should be. Also where there is nothing to look at, and the text says so. */
  | (Said & { readonly verdict: 'ok' })
  /** It works, and somebody will wish that it had been told. */
  | (Wrong & { readonly verdict: 'warning' })
  /** What was asked for does not work, or will not. */
  | (Wrong & { readonly verdict: 'failed' })
  /** It could not be looked at, mostly because of what failed before it. */
  | (Said & {
      readonly verdict: 'untried';
      /** The id of the row that has to be right first. */
      readonly waitsFor?: string | undefined;
    });

/** One row. */
export type CheckRow = CheckOutcome & {
  /** Stable; tests, `--json` and documentation name it. */
  readonly id: string;
  /** As a person reads it. */
  readonly name: string;
  readonly class: CheckClass;
  /** The address that it is about; undefined for what all addresses have in common. */
  readonly address?: string | undefined;
  /** How long it took. */
  readonly ms: number;
};

/** What was thrown in the middle of a check, as its outcome. */
export function failedBy(error: ProxyError): CheckOutcome {
  return {
    verdict: 'failed',
    text: error.message,
    details: error.details,
    todo: error.todo ?? 'see the text above',
    code: error.code,
  };
}
