/** An answer that has to be read whole before anything of it is passed on. */
import type { IncomingMessage } from 'node:http';

/** The body of an answer; undefined when it is longer than `most` bytes, and then it is cut. Rejects when it breaks off. */
export async function readAnswer(answer: IncomingMessage, most: number): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > most) {
      answer.destroy();
      return undefined;
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
