/**
 * What ssh2 1.17 does wrong with a channel whose window is full, put right from outside. It keeps a piece that waited for the
 * window after it was sent, and sends it a second time when stderr has to wait later; and when both streams wait, it forgets
 * stderr. Either shows as a broken pack, or as words that are never seen (test/pair/ssh-streams.test.ts).
 */

type Done = (fault?: Error | null) => void;
type Write = (piece: Buffer, encoding: BufferEncoding | null, done: Done) => void;

/** The members of ssh2's Channel that hold what waits. */
interface Waiting {
  _chunk?: Buffer | undefined;
  _chunkcb?: Done | undefined;
  _chunkErr?: Buffer | undefined;
  _chunkcbErr?: Done | undefined;
  _write: Write;
  readonly stderr: { _write: Write };
}

/** Mends a channel that was just opened. */
export function mendChannel(channel: object): void {
  const waiting = channel as Waiting; // because ssh2's types do not name them
  const { stderr } = waiting;
  const write = waiting._write.bind(waiting);
  const writeErr = stderr._write.bind(stderr);
  stderr._write = (piece, encoding, done) => {
    waiting._chunkErr = undefined;
    waiting._chunkcbErr = undefined;
    writeErr(piece, encoding, done);
  };
  waiting._write = (piece, encoding, done) => {
    waiting._chunk = undefined;
    waiting._chunkcb = undefined;
    write(piece, encoding, (fault) => {
      done(fault);
      const { _chunkErr: words, _chunkcbErr: said } = waiting;
      // Nothing of stdout waits any more, so it is the turn of stderr, as far as the window goes.
      if (words !== undefined && said !== undefined) stderr._write(words, null, said);
    });
  };
}
