/**
 * What the status page is told, and its script reads: the one thing that the daemon and a browser agree on. It imports nothing, so that
 * the page can be checked without the house.
 */

/** Something that is wrong, or will be. */
export interface Attention {
  readonly what: string;
  readonly todo: string | undefined;
}

/** How much happened in one second. */
export interface Second {
  /** When it ended, ms since the epoch. */
  readonly at: number;
  /** How long it really was, ms: a machine that was busy or asleep makes it longer. */
  readonly ms: number;
  /** Bytes of bodies from callers and to them. */
  readonly up: number;
  readonly down: number;
  /** Operations that ran at its end. */
  readonly running: number;
  /** That ended in it, and how many of those were refused, failed, or broke off. */
  readonly ended: number;
  readonly bad: number;
  /** How long those waited before bytes could pass, ms: the middle one, and the longest. Undefined when none ended. */
  readonly waitMiddle: number | undefined;
  readonly waitLongest: number | undefined;
}

/** Times in ms since the epoch. A list with `more` leaves so many out. */
export interface PageView {
  readonly now: number;
  readonly version: string;
  readonly pid: number;
  readonly state: 'starting' | 'ready' | 'draining';
  readonly startedAt: number;
  readonly configuration: string | undefined;
  readonly attention: readonly Attention[];
  readonly doors: readonly { readonly name: string; readonly address: string }[];
  readonly certificateEndsAt: number | undefined;
  readonly identities: readonly PageIdentity[];
  readonly running: { readonly rows: readonly PageOperation[]; readonly more: number; readonly between: number };
  readonly failures: readonly PageFailure[];
  readonly leases: { readonly rows: readonly PageLease[]; readonly more: number };
  readonly throttled: { readonly rows: readonly { readonly key: string; readonly waitMs: number }[]; readonly more: number };
  readonly counts: Readonly<Record<string, number>>;
  readonly pace: { readonly spanSeconds: number; readonly seconds: readonly Second[] };
}

export interface PageIdentity {
  readonly name: string;
  readonly kind: string;
  readonly state: string;
  readonly failure: string | undefined;
  readonly todo: string | undefined;
  /** One for each credential that it has. */
  readonly tokens: readonly PageToken[];
}

export interface PageToken {
  /** What it is for, where an identity has several; else empty. */
  readonly variant: string;
  readonly account: string | undefined;
  readonly obtainedAt: number;
  readonly renewsAt: number | undefined;
  readonly expiresAt: number;
}

export interface PageOperation {
  readonly id: number;
  readonly kind: string;
  readonly step: string;
  readonly repository: string;
  readonly door: 'http' | 'ssh';
  readonly ageMs: number;
  /** Bytes of body from the caller, and to the caller. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** A lease, a local user, or an address. */
  readonly who: string;
}

export interface PageFailure {
  readonly id: number;
  readonly at: number;
  readonly kind: string;
  readonly repository: string;
  readonly code: string;
  readonly what: string;
  readonly todo: string;
  readonly route: string | undefined;
  readonly identity: string | undefined;
  readonly activityId: string | undefined;
}

export interface PageLease {
  readonly id: string;
  readonly label: string | undefined;
  readonly endsAt: number | undefined;
  readonly running: number;
  readonly lastSeenAt: number;
}
