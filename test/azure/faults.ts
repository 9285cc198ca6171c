/**
 * What can go wrong at a git host on purpose, and for which repository. A fault is set by switch, or comes with a repository's name:
 * `fault-<kind>` always shows it. How each looks on the wire is in fault-answers.ts.
 */
import { repositoryName, type Address } from './addresses.js';

export const FAULT_KINDS = [
  'unauthorized',
  'signin-302',
  'signin-203',
  'html-200',
  'html-200-oneline',
  'empty-200',
  'not-found-TF401019',
  'no-push-TF401027',
  'forbidden-TF400813',
  'throttled-429',
  'throttled-429-bare',
  'soft-throttle',
  'unavailable-503',
  'cae-challenge',
  'die-midbody',
  'die-before-answer',
  'stall',
  'stall-before-answer',
  'redirect-same-host',
  'redirect-other-host',
  'not-framed',
  'truncated-length',
  'policy-TF402455',
  'missing-org-404',
  'echo-authorization',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** Default `advertisement`; `exchange` for the policy fault, which exists nowhere else. */
  readonly step?: 'advertisement' | 'exchange' | 'any';
  /** How many requests meet it. Default: for ever. */
  readonly times?: number;
  /** How many requests that it fits pass unharmed first. Default none. */
  readonly skip?: number;
  readonly retryAfterSeconds?: number;
  /** How late a soft-throttled answer comes. Default 300. */
  readonly delayMs?: number;
  /** Bytes of the true body that get through. Default 64. */
  readonly afterBytes?: number;
  /** `stall`: goes on when this has resolved; a body that ends before `afterBytes` is not held back then. */
  readonly until?: Promise<void>;
  /** Redirects: a repository's name, a path or an absolute URL up to the repository. */
  readonly location?: string;
}

/** Faults that show before the credential is looked at. */
const BEFORE_ACCESS: ReadonlySet<FaultKind> = new Set(['unauthorized', 'signin-302', 'signin-203']);

const PREFIX = 'fault-';

export class FaultBook {
  readonly #faults = new Map<string, { fault: Fault; left: number; skip: number }>();

  /** Sets the one fault of a repository (any form of its name), or of all by `*`. */
  set(name: string, fault: Fault): void {
    this.#faults.set(name === '*' ? name : repositoryName(name), { fault, left: fault.times ?? Infinity, skip: fault.skip ?? 0 });
  }

  /** Takes away the switch of one repository, or all switches. Faults by name stay. */
  clear(name?: string): void {
    if (name === undefined) this.#faults.clear();
    else this.#faults.delete(name === '*' ? name : repositoryName(name));
  }

  /**
   * The fault that this request meets at this point, if any; it is then used up once.
   *
   * @param point before the credential is looked at, or after
   * @param applies a last say about the fault found; false leaves it unused
   */
  take(address: Address, point: 'before-access' | 'after-access', applies: (fault: Fault) => boolean = () => true): Fault | undefined {
    const fits = (fault: Fault): boolean =>
      BEFORE_ACCESS.has(fault.kind) === (point === 'before-access') && atStep(fault, address) && applies(fault);
    for (const name of [address.repository ?? '', '*']) {
      const entry = this.#faults.get(name);
      if (!entry || entry.left <= 0 || !fits(entry.fault)) continue;
      if (entry.skip > 0) {
        entry.skip -= 1;
        continue;
      }
      entry.left -= 1;
      return entry.fault;
    }
    const named = namedFault(address.leaf);
    return named && fits(named) ? named : undefined;
  }
}

/** True for a repository that is there without having been made. */
export function existsByName(leaf: string): boolean {
  return namedFault(leaf) !== undefined || leaf.toLowerCase() === MOVED;
}

/** The sibling to which `fault-redirect-same-host` points. */
export const MOVED = 'moved';

function namedFault(leaf: string): Fault | undefined {
  const wanted = leaf.toLowerCase();
  const kind = FAULT_KINDS.find((known) => PREFIX + known.toLowerCase() === wanted);
  return kind && { kind, step: 'any' };
}

function atStep(fault: Fault, address: Address): boolean {
  // LFS has a book of its own (lfs-faults.ts).
  if (address.step === 'other' || address.step === 'lfs') return false;
  if (fault.kind === 'policy-TF402455') return address.step === 'exchange' && address.service === 'git-receive-pack';
  if (fault.kind === 'no-push-TF401027' && address.service !== 'git-receive-pack') return false;
  const step = fault.step ?? 'advertisement';
  return step === 'any' || step === address.step;
}
