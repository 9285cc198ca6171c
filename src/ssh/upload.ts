/** What goes up as it comes: a stream over something that is pulled, of which some has been pulled already. */
import { Readable } from 'node:stream';
import type { ClientLine } from './client-line.js';

/**
 * A body of `first`, and then of what `next` gives until it gives undefined. The line keeps it; what `next` throws stops the line,
 * and the body breaks off.
 */
export function uploadOf(line: ClientLine, first: readonly Buffer[], next: () => Promise<Buffer | undefined>): Readable {
  const waiting = [...first];
  const upload: Readable = new Readable({
    read() {
      const chunk = waiting.shift();
      if (chunk !== undefined) {
        upload.push(chunk);
        return;
      }
      next().then(
        (more) => {
          if (!upload.destroyed) upload.push(more ?? null);
        },
        (thrown: unknown) => {
          const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
          line.stop(cause);
          upload.destroy(cause);
        },
      );
    },
  });
  line.keep(upload);
  return upload;
}
