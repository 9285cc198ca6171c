/**
 * The files in which the kernel tells of TCP connections, read so that a read of megabytes leaves no garbage: the kernel hands
 * over a page at a time, and a buffer for each would be many times what is read.
 *
 * Source: proc(5).
 */
import { open, type FileHandle, readFile } from 'node:fs/promises';

/** Where the kernel's tables come from. */
export interface TableFiles {
  /** Hands over a table from its beginning to its end, piece by piece; a piece is valid only during the call. */
  read(table: 'tcp' | 'tcp6', take: (piece: Buffer) => void): Promise<void>;
  /** The uid that stands for every user that cannot be told. */
  overflowUid(): Promise<number>;
}

/** More than the kernel gives at once, which is a page (seq_file). */
const PIECE_BYTES = 16 * 1024;

/** The tables of the network namespace of this process. */
export const procFiles: TableFiles = {
  async read(table, take) {
    const file = await open(`/proc/net/${table}`);
    try {
      await readPieces(file, take);
    } finally {
      await file.close();
    }
  },

  async overflowUid() {
    const text = (await readFile('/proc/sys/kernel/overflowuid', 'latin1')).trim();
    if (!/^[0-9]+$/.test(text)) throw new SyntaxError('The overflow uid is not a number');
    return Number(text);
  },
};

async function readPieces(file: FileHandle, take: (piece: Buffer) => void): Promise<void> {
  const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, PIECE_BYTES, null);
    if (bytesRead === 0) return;
    take(buffer.subarray(0, bytesRead));
  }
}
