/** What the impostor (impostor.ts) serves and writes down: apart from it, because importing a program would run it. */

export interface Seen {
  readonly uid: number | undefined;
  readonly connections: number;
  /** All bytes, latin1. */
  readonly wire: string;
  /** Requests that could be read: line and headers. */
  readonly requests: readonly string[];
}

/** The name of the branch that it serves. */
export const FORGED_REF = 'refs/heads/forged';
