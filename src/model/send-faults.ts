/** What can come of sending a request besides an answer; whether it may be sent again depends on which it is. */
import { messageOf, ProxyError, systemCodeOf } from './errors.js';

/** A kept connection that the upstream had already closed; nothing of the request was answered. */
export class StaleConnection extends Error {
  constructor(cause: unknown) {
    super('a kept connection was closed by the upstream', { cause });
    this.name = 'StaleConnection';
  }

  /** For a request that cannot be sent again. */
  asUnanswered(): Unanswered {
    return new Unanswered('upstream-broken', 'The upstream closed the connection before it answered', {
      todo: 'run the command again',
      cause: this,
    });
  }
}

/** No answer came to a request that was on its way: it may have been carried out all the same. */
export class Unanswered extends ProxyError {}

/** The caller went away, or somebody ended its operation; nobody waits for the answer. */
export class CallerGone extends Error {
  constructor() {
    super('the caller closed its connection');
    this.name = 'CallerGone';
  }
}

/** An upstream that was silent for longer than it may. */
export function silent(stallMs: number): Unanswered {
  return new Unanswered('upstream-timeout', `The upstream sent nothing for ${stallMs / 1000} s`, {
    todo: 'try again; if the upstream needs longer, raise timeouts.stall',
  });
}

/** An upstream that closed before it answered. `isSent`: whether the request may have reached it. */
export function closedEarly(cause: unknown, isSent: boolean): ProxyError {
  const Broken = isSent ? Unanswered : ProxyError;
  return new Broken(
    'upstream-broken',
    `The upstream closed the connection before it answered (${systemCodeOf(cause) ?? messageOf(cause)})`,
    {
      todo: 'try again; if it stays, see whether something between here and the upstream cuts connections',
      cause,
    },
  );
}

/** An answer that ended before its end. */
export function brokenOff(thrown: unknown, bytes: number, stallMs: number): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  return new ProxyError('upstream-broken', `The upstream broke off its answer after ${bytes} bytes (${messageOf(thrown)})`, {
    todo: `run the command again; if it stays, see whether something between here and the upstream cuts connections (a silence of ${stallMs / 1000} s also counts as a break)`,
    cause: thrown,
  });
}

/** A connection that could not be opened because no file was left for it; undefined for every other fault. `where` is the host. */
export function outOfFiles(thrown: unknown, where: string): ProxyError | undefined {
  const code = systemCodeOf(thrown);
  if (code !== 'EMFILE' && code !== 'ENFILE') return undefined;
  return new ProxyError('overloaded', `Postern has no file left to open for a connection to ${where} (${code})`, {
    todo: 'try again in a few seconds; whoever looks after Postern raises its limit of open files (`ulimit -n`, LimitNOFILE) or lowers `limits`',
    cause: thrown,
  });
}
