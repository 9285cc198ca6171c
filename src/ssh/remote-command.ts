/**
 * One command that runs on an SSH host, as whoever started it sees it. It knows nothing of the connection below but that a stream of
 * ssh2 ends by calling `end`, says nothing more after `close`, and may throw when the connection has gone.
 */
import type { Readable, Writable } from 'node:stream';

/** The channel of a command: a stream in both directions, with what the host says beside it. */
export interface CommandChannel extends Readable, Pick<Writable, 'write' | 'end'> {
  readonly stderr: Readable;
  close(): void;
}

export type RemoteEnd =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'killed'; readonly signal: string }
  /** The channel or the connection was closed, and how the command ended was not told. */
  | { readonly kind: 'untold' };

export class RemoteCommand {
  readonly stdout: Readable;
  readonly stderr: Readable;
  /** Settles once stdout and stderr were read to their ends and the channel is closed; never rejects. */
  readonly ended: Promise<RemoteEnd>;
  /** Settles when the channel is closed on both sides, whatever was read of it. */
  readonly closed: Promise<void>;
  readonly #channel: CommandChannel;
  #isClosing = false;

  /** To be made in the callback that brings the channel: its end may come in the same packet. */
  constructor(channel: CommandChannel) {
    this.#channel = channel;
    this.stdout = channel;
    this.stderr = channel.stderr;
    let end: RemoteEnd = { kind: 'untold' };
    channel.on('exit', (code: number | null, signal?: string) => {
      end = code === null ? { kind: 'killed', signal: signal ?? 'SIGTERM' } : { kind: 'exited', code };
    });
    // A write into what the host has just closed is no fault of ours; how it ended is told by its end.
    channel.on('error', () => undefined);
    channel.stderr.on('error', () => undefined);
    const quiet = new Promise<void>((resolve) => {
      channel.stderr.once('end', resolve).once('close', resolve);
    });
    this.closed = new Promise<void>((resolve) => void channel.once('close', resolve));
    this.ended = Promise.all([this.closed, quiet]).then(() => end);
  }

  /** Whether what was written should be taken in before more is. */
  write(chunk: Buffer): boolean {
    try {
      return this.#channel.write(chunk);
    } catch {
      // The connection has gone; that is told by the end.
      return true;
    }
  }

  /** Calls back when more may be written; the returned function takes that back. */
  onceDrained(run: () => void): () => void {
    this.#channel.once('drain', run);
    return () => void this.#channel.off('drain', run);
  }

  /** Tells the command that nothing more comes. */
  endInput(): void {
    try {
      this.#channel.end();
    } catch {
      // As above.
    }
  }

  /** Lets go of the command at once: what it still says is dropped, and the host ends it. */
  close(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    try {
      this.#channel.close();
    } catch {
      // As above.
    }
    // Its close comes after what is still on the way, which must be read for that.
    this.stdout.resume();
    this.stderr.resume();
  }
}
