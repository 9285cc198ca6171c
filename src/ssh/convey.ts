/**
 * A session and the command that runs for it on the host, put together: what one says the other hears, no faster than it listens, until
 * the command has ended. Of a push nothing goes up before its command list was judged.
 */
import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { FetchEnd } from '../git/fetch-end.js';
import { FLUSH_PACKET } from '../git/pkt-line.js';
import type { CommandList } from '../git/receive-pack.js';
import type { Refusal } from '../model/refusal.js';
import { AdvertisementWatch } from './advertisement.js';
import type { Carried, GitSession } from './git-session.js';
import { type HeldPush, holdPush } from './held-push.js';
import type { Started } from './host-pool.js';
import type { RemoteEnd } from './remote-command.js';

/** What the words of the host and the end of its command mean. */
export interface Meaning {
  /** Why the command failed before it had said anything on stdout; undefined when its words are not known. */
  readonly ofWords: (stderr: string) => Refusal | undefined;
  /** The refusal for an answer that breaks off; `mayHaveArrived` for a push of which something went up. */
  readonly ofBreak: (end: Exclude<RemoteEnd, { kind: 'exited' }>, bytes: number, mayHaveArrived: boolean) => Refusal;
}

/** What is kept of stderr to be understood. */
const MOST_WORDS_BYTES = 4096;

/** How long a command that has nothing left to say may take to end. */
const LEFT_ALONE_MS = 10_000;

/** Brings the session to its end. Never rejects; nothing of ours listens to the session's streams afterwards. */
export function convey(session: GitSession, started: Started, meaning: Meaning): Promise<Carried> {
  return new Conveyance(session, started, meaning).run();
}

class Conveyance {
  readonly #session: GitSession;
  readonly #started: Started;
  readonly #meaning: Meaning;
  readonly #undo: (() => void)[] = [];
  readonly #stopped = new AbortController();
  readonly #advertisement = new AdvertisementWatch();
  #words = Buffer.alloc(0);
  #bytesDown = 0;
  /** Bytes that have come down since the advertisement was whole. */
  #bytesSince = 0;
  #bytesUp = 0;
  readonly #end: FetchEnd | undefined;
  #commands: CommandList | undefined;
  #refused: Carried | undefined;
  #resolve: (carried: Carried) => void = () => undefined;

  constructor(session: GitSession, started: Started, meaning: Meaning) {
    this.#session = session;
    this.#started = started;
    this.#meaning = meaning;
    this.#end = session.operation.kind === 'fetch' ? new FetchEnd() : undefined;
  }

  run(): Promise<Carried> {
    const { input, output, errors, over, operation } = this.#session;
    const { remote } = this.#started;
    return new Promise((resolve) => {
      this.#resolve = resolve;
      const gone = (): void => this.#letGo({ kind: 'over' });
      if (over.aborted) {
        gone();
        return;
      }
      over.addEventListener('abort', gone);
      this.#undo.push(() => over.removeEventListener('abort', gone));
      for (const stream of [output, errors]) this.#on(stream, 'error', gone);
      this.#on(output, 'close', gone);
      this.#down(remote.stdout, output, (chunk) => this.#heard(chunk));
      this.#down(remote.stderr, errors, (chunk) => this.#noted(chunk));
      void remote.ended.then((end) => this.#ended(end));
      if (operation.kind !== 'push') {
        this.#up();
        return;
      }
      this.#undo.push(() => this.#stopped.abort());
      void holdPush({ ...this.#session, input, over: this.#stopped.signal }).then((held) => this.#judged(held));
    });
  }

  #judged(held: HeldPush): void {
    if (this.#stopped.signal.aborted) return;
    switch (held.kind) {
      case 'over':
        this.#letGo({ kind: 'over' });
        return;
      case 'refused':
        this.#refused = { kind: 'failed', verdict: 'refused', where: 'between', refusal: held.refusal, commands: held.commands };
        // A client that does not wait for the list of refs still has to get all of it before it is told.
        if (this.#advertisement.isWhole) this.#letGo(this.#refused);
        return;
      case 'push':
        this.#commands = held.list;
        if (held.list?.commands.length === 0) this.#upNothing();
        else this.#up();
    }
  }

  /**
   * A push of nothing: the command is told so, and hears no more. git sends what is shallow before it and its push options behind
   * it; of those nothing was judged.
   */
  #upNothing(): void {
    const { remote } = this.#started;
    remote.write(FLUSH_PACKET);
    remote.endInput();
    this.#on(this.#session.input, 'data', () => undefined);
    this.#session.input.resume();
  }

  /** What the client says, to the command. */
  #up(): void {
    const { input } = this.#session;
    const { remote } = this.#started;
    let hasEnded = false;
    const gone = (): void => {
      if (!hasEnded) this.#letGo({ kind: 'over' });
    };
    this.#on(input, 'data', (chunk: Buffer) => {
      this.#bytesUp += chunk.length;
      this.#end?.up(chunk);
      const hasRoom = remote.write(chunk);
      if (this.#hasSaidAll()) return;
      if (hasRoom) return;
      input.pause();
      this.#undo.push(remote.onceDrained(() => void input.resume()));
    });
    this.#on(input, 'end', () => {
      hasEnded = true;
      remote.endInput();
    });
    this.#on(input, 'error', gone);
    this.#on(input, 'close', gone);
    if (input.readableEnded) {
      hasEnded = true;
      remote.endInput();
    } else if (input.destroyed) gone();
    else input.resume();
  }

  #down(from: Readable, to: Writable, look: (chunk: Buffer) => void): void {
    const go = (): void => void from.resume();
    this.#on(from, 'data', (chunk: Buffer) => {
      const hasRoom = to.write(chunk);
      look(chunk);
      if (!hasRoom) from.pause();
    });
    this.#on(to, 'drain', go);
  }

  #heard(chunk: Buffer): void {
    if (this.#bytesDown === 0) this.#session.record.spent.enter('transfer');
    this.#bytesDown += chunk.length;
    this.#end?.down(chunk);
    if (this.#hasSaidAll()) return;
    if (this.#advertisement.isWhole) this.#bytesSince += chunk.length;
    else this.#advertisement.push(chunk);
    if (this.#refused !== undefined && this.#advertisement.isWhole) this.#letGo(this.#refused);
  }

  /** A fetch that is over does not wait for the host to say so, which would cost the way there and back once more. */
  #hasSaidAll(): boolean {
    if (this.#end?.isOver !== true) return false;
    this.#finish({ kind: 'passed', exitCode: 0 });
    this.#leave();
    return true;
  }

  /** Lets the command end by itself, with nobody there. */
  #leave(): void {
    const { remote, end } = this.#started;
    remote.endInput();
    remote.stdout.resume();
    remote.stderr.resume();
    const late = setTimeout(end, LEFT_ALONE_MS);
    late.unref();
    void remote.ended.then(() => clearTimeout(late));
  }

  #noted(chunk: Buffer): void {
    const room = MOST_WORDS_BYTES - this.#words.length;
    if (room > 0) this.#words = Buffer.concat([this.#words, chunk.subarray(0, room)]);
  }

  #ended(told: RemoteEnd): void {
    const end = this.#bytesDown > 0 ? asKilled(told) : told;
    if (end.kind === 'exited') {
      const isDumb = end.code !== 0 && this.#bytesDown === 0;
      const refusal = isDumb ? this.#meaning.ofWords(this.#words.toString('utf8')) : undefined;
      if (refusal === undefined) this.#finish(this.#refused ?? { kind: 'passed', exitCode: end.code });
      else this.#finish({ kind: 'failed', verdict: 'failed', where: 'between', refusal, commands: this.#commands });
      return;
    }
    const refusal = this.#meaning.ofBreak(end, this.#bytesDown, this.#session.operation.kind === 'push' && this.#bytesUp > 0);
    this.#finish({ kind: 'failed', verdict: 'broken', where: this.#where(), refusal, commands: this.#commands });
  }

  /** Where the client stands: before any answer, and behind a list of refs that it pushes to, it reads a packet next. */
  #where(): 'between' | 'inside' {
    if (this.#bytesDown === 0) return 'between';
    const isPush = this.#session.operation.kind === 'push';
    return isPush && this.#advertisement.isWhole && this.#bytesSince === 0 ? 'between' : 'inside';
  }

  #letGo(carried: Carried): void {
    this.#finish(carried);
    this.#started.end();
  }

  #finish(carried: Carried): void {
    for (const undo of this.#undo.splice(0)) undo();
    this.#session.input.pause();
    this.#resolve(carried);
  }

  #on(stream: Readable | Writable, event: string, run: (...values: never[]) => void): void {
    const listener = run as (...values: unknown[]) => void; // each event has the values that its listener names
    stream.on(event, listener);
    this.#undo.push(() => void stream.off(event, listener));
  }
}

/**
 * A shell that has waited for a command tells of the signal that ended it as 128 and its number (POSIX, sh, "Exit Status for
 * Commands"). 129 is not read so: git ends with it when it is used wrongly.
 */
function asKilled(end: RemoteEnd): RemoteEnd {
  if (end.kind !== 'exited' || end.code <= 129) return end;
  const found = Object.entries(constants.signals).find(([, number]) => number === end.code - 128);
  return found === undefined ? end : { kind: 'killed', signal: found[0] };
}
