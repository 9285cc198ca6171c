/** A word on a terminal about a row that takes long, in place, and gone when the row is there. */
import type { WriteStream } from 'node:tty';

/** What is faster needs no word. */
const PATIENCE_MS = 400;
/** From the beginning of the line to its end (ECMA-48, EL). */
const CLEAR_LINE = '\r\u001b[K';

export interface Progress {
  /** A row is being tried. */
  begin(name: string): void;
  /** It is there, or nothing more comes. */
  end(): void;
}

const NONE: Progress = { begin: () => undefined, end: () => undefined };

/** Says nothing where `stream` is no terminal, or one that cannot clear a line. */
export function progressOn(stream: Pick<WriteStream, 'write'> & { readonly isTTY?: boolean }, term: string | undefined): Progress {
  if (stream.isTTY !== true || term === 'dumb') return NONE;
  let timer: NodeJS.Timeout | undefined;
  let isShown = false;
  return {
    begin(name) {
      timer = setTimeout(() => {
        isShown = true;
        stream.write(`${CLEAR_LINE}  trying: ${name} ...`);
      }, PATIENCE_MS);
    },
    end() {
      clearTimeout(timer);
      if (isShown) stream.write(CLEAR_LINE);
      isShown = false;
    },
  };
}
