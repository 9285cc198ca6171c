/**
 * The beginning of a push: its command list is read and judged before anything of the push goes up, whichever way up it takes.
 */
import { CROWDED, noteRefs, refuseByRefs, refuseUnreadable } from '../gate/ref-policy.js';
import { PacketWalk } from '../git/packet-walk.js';
import { type CommandList, CommandListReader } from '../git/receive-pack.js';
import type { Refusal } from '../model/refusal.js';
import type { GitSession } from './git-session.js';

/**
 * Lists of usual length (700 refs) are always read; of the longer ones there may be this much at once, two of the largest, and
 * who comes then is asked to come again.
 */
const LONG_LIST_BYTES = 64 * 1024;
const LISTS_ALTOGETHER_BYTES = 32 * 1024 * 1024;

/** What the long lists of all pushes hold at the moment: memory is one for the whole process. */
let longListBytes = 0;

export type HeldPush =
  /**
   * `list` is undefined when the client has gone without asking for anything, and empty for its lone flush. git sends its push
   * options behind one all the same: whatever follows it has not been judged and must not go up.
   */
  | { readonly kind: 'push'; readonly list: CommandList | undefined }
  /** `push-unreadable`, `ref-refused`; `commands` when the list was read. */
  | { readonly kind: 'refused'; readonly refusal: Refusal; readonly commands: CommandList | undefined }
  | { readonly kind: 'over' };

/**
 * Reads the input of a session up to the end of its command list, notes the refs in the record and judges them. The input is
 * paused afterwards and has back all that was read of it, so that it can be read from its beginning. Never rejects.
 */
export function holdPush({ input, over, record, pass }: Pick<GitSession, 'input' | 'over' | 'record' | 'pass'>): Promise<HeldPush> {
  const reader = new CommandListReader();
  const walk = new PacketWalk();
  const chunks: Buffer[] = [];
  let counted = 0;
  return new Promise((resolve) => {
    const stop = (held: HeldPush): void => {
      input.off('data', take).off('end', end).off('error', gone).off('close', gone);
      over.removeEventListener('abort', gone);
      longListBytes -= counted;
      if (held.kind === 'over' || input.readableEnded) {
        resolve(held);
        return;
      }
      input.pause();
      // At once, because in the next moment the stream may say that it is at its end.
      for (const chunk of chunks.reverse()) input.unshift(chunk);
      resolve(held);
    };
    const settle = (): void => {
      const { list, fault } = reader;
      if (fault !== undefined) {
        stop({ kind: 'refused', refusal: refuseUnreadable(fault.isTooLong ? 413 : 400, fault.what), commands: undefined });
        return;
      }
      if (list !== undefined) noteRefs(record, list.commands);
      const refusal = list === undefined ? undefined : refuseByRefs(list.commands, pass.refPolicies);
      stop(refusal === undefined ? { kind: 'push', list } : { kind: 'refused', refusal, commands: list });
    };
    const take = (chunk: Buffer): void => {
      chunks.push(chunk);
      reader.push(listPart(walk, chunk));
      // A list of nothing may be the last that comes from a client that waits for the other side to end.
      if (!reader.isReading || reader.list !== undefined) {
        settle();
        return;
      }
      if (reader.readBytes <= LONG_LIST_BYTES) return;
      longListBytes += reader.readBytes - counted;
      counted = reader.readBytes;
      if (longListBytes > LISTS_ALTOGETHER_BYTES) stop({ kind: 'refused', refusal: CROWDED, commands: undefined });
    };
    const end = (): void => {
      reader.end();
      settle();
    };
    const gone = (): void => stop({ kind: 'over' });
    if (over.aborted) {
      resolve({ kind: 'over' });
      return;
    }
    input.on('data', take).on('end', end).on('error', gone).on('close', gone);
    over.addEventListener('abort', gone);
    if (input.readableEnded) end();
    else input.resume();
  });
}

/** The part of `chunk` up to the flush packet that ends the list. */
function listPart(walk: PacketWalk, chunk: Buffer): Buffer {
  try {
    return chunk.subarray(0, walk.walk(chunk));
  } catch {
    // What is no packet is the reader's to refuse.
    return chunk;
  }
}
