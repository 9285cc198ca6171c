/**
 * What a push asks for: the command list at the beginning of its body, before push options and pack.
 *
 *   update-requests = *shallow ( command-list | push-cert ) flush
 *   shallow         = "shallow" SP oid
 *   command         = old-oid SP new-oid SP refname [NUL capability-list]      (capabilities on the first only)
 *   push-cert       = "push-cert" NUL capability-list LF certificate           (push-certificate.ts)
 *
 * What is judged by a list is judged by this reading of it, so that whatever git's own receive-pack would read in another way,
 * or could, is a fault: there is no list then.
 *
 * Source: gitprotocol-pack "Reference Update Request and Packfile Transfer"; receive-pack.c, read_head_info.
 */
import { isUtf8 } from 'node:buffer';
import type { RefCommand } from '../model/refs.js';
import { LARGEST_PACKET_BYTES } from './pkt-line.js';
import { PushCertificate } from './push-certificate.js';

export interface CommandList {
  readonly commands: readonly RefCommand[];
  readonly capabilities: ReadonlySet<string>;
}

/** Why there is no list; `what` goes on a sentence. */
export interface ListFault {
  readonly what: string;
  readonly isTooLong: boolean;
}

/**
 * Largest command list that is kept in memory while it is read: about 100,000 refs of usual length. A longer one
 * counts as unreadable.
 */
export const LARGEST_COMMAND_LIST_BYTES = 16 * 1024 * 1024;

const LENGTH_DIGITS = 4;
const NEWLINE = 10;
const SHALLOW = 'shallow ';
const CERTIFICATE = 'push-cert';
const OID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;
const COMMAND = /^([0-9a-f]{40}|[0-9a-f]{64}) ([0-9a-f]{40}|[0-9a-f]{64}) ([^\n]+)$/;
/** What capabilities are separated by (C's isspace). */
const BLANKS = /[ \t\n\v\f\r]+/;
const FORMAT = 'object-format=';
/** Hex digits of an object's id by the name of its format; sha1 when none is named. */
const OID_DIGITS: Readonly<Record<string, number>> = { sha1: 40, sha256: 64 };

/**
 * Reads a command list from chunks as they pass, cut anywhere. Every byte is looked at once and copied at most once: only a
 * packet that is cut is put together.
 */
export class CommandListReader {
  /** `empty` is a list of nothing: behind it the body must end, or there would be two opinions of what it asks for. */
  #state: 'reading' | 'empty' | 'done' | 'unreadable' = 'reading';
  #fault: ListFault | undefined;
  #readBytes = 0;
  #copiedBytes = 0;
  /** Digits of the length of a packet that has begun. */
  #digits = '';
  /** A packet that is cut, and how much of it is there. */
  #packet: { readonly bytes: Buffer; filled: number } | undefined;
  readonly #commands: RefCommand[] = [];
  #capabilities: ReadonlySet<string> | undefined;
  #certificate: PushCertificate | undefined;
  #oidDigits: number | undefined;

  /** The list, once its flush packet has passed; undefined before that and when it cannot be read. */
  get list(): CommandList | undefined {
    if (this.#state !== 'done' && this.#state !== 'empty') return undefined;
    return { commands: this.#commands, capabilities: this.#capabilities ?? new Set() };
  }

  /** Why it cannot be read. */
  get fault(): ListFault | undefined {
    return this.#fault;
  }

  /** Whether more of the body could change what is known. A list of nothing is sure only at the body's end. */
  get isReading(): boolean {
    return this.#state === 'reading' || this.#state === 'empty';
  }

  /** Bytes of the list so far, framing included. */
  get readBytes(): number {
    return this.#readBytes;
  }

  /** Bytes that had to be copied because a packet was cut. */
  get copiedBytes(): number {
    return this.#copiedBytes;
  }

  /** Takes the next bytes of the body; those behind the list are let be. */
  push(chunk: Buffer): void {
    try {
      for (let at = 0; at < chunk.length && this.isReading;) {
        if (this.#state === 'empty') throw new SyntaxError('something follows a list of nothing');
        at = this.#packet === undefined ? this.#readLength(chunk, at) : this.#fill(this.#packet, chunk, at);
      }
    } catch (thrown) {
      if (!(thrown instanceof SyntaxError)) throw thrown;
      this.#refuse(thrown.message);
    }
  }

  /** Tells that the body has ended. One without a byte asks for nothing, and is neither a list nor a fault. */
  end(): void {
    if (this.#state === 'empty') this.#state = 'done';
    if (this.#state === 'reading' && this.#readBytes > 0) this.#refuse('it ends before its flush packet');
  }

  #refuse(what: string, isTooLong = false): void {
    this.#state = 'unreadable';
    this.#fault = { what, isTooLong };
    this.#packet = undefined;
    this.#certificate = undefined;
    this.#commands.length = 0;
  }

  /** Whether `more` bytes are more than there may be; the list is given up then. */
  #isTooLong(more: number): boolean {
    if (this.#readBytes + more <= LARGEST_COMMAND_LIST_BYTES) return false;
    this.#refuse(`it is longer than ${LARGEST_COMMAND_LIST_BYTES / 1024 / 1024} MiB`, true);
    return true;
  }

  #readLength(chunk: Buffer, from: number): number {
    let at = from;
    while (at < chunk.length && this.#digits.length < LENGTH_DIGITS) {
      if (this.#isTooLong(1)) return at;
      this.#digits += String.fromCharCode(chunk[at] ?? 0);
      this.#readBytes += 1;
      at += 1;
    }
    if (this.#digits.length < LENGTH_DIGITS) return at;
    if (!/^[0-9a-fA-F]{4}$/.test(this.#digits)) throw new SyntaxError('the length of a packet is not four hex digits');
    const length = Number.parseInt(this.#digits, 16);
    this.#digits = '';
    if (length === 0) {
      this.#flush();
      return at;
    }
    if (length <= LENGTH_DIGITS || length > LARGEST_PACKET_BYTES) throw new SyntaxError(`a packet has the length ${length}`);
    const size = length - LENGTH_DIGITS;
    if (this.#isTooLong(size)) return at;
    if (chunk.length - at < size) {
      this.#packet = { bytes: Buffer.allocUnsafe(size), filled: 0 };
      return at;
    }
    this.#readBytes += size;
    this.#take(chunk.subarray(at, at + size));
    return at + size;
  }

  #fill(packet: { readonly bytes: Buffer; filled: number }, chunk: Buffer, at: number): number {
    const copied = chunk.copy(packet.bytes, packet.filled, at);
    packet.filled += copied;
    this.#readBytes += copied;
    this.#copiedBytes += copied;
    if (packet.filled === packet.bytes.length) {
      this.#packet = undefined;
      this.#take(packet.bytes);
    }
    return at + copied;
  }

  #take(payload: Buffer): void {
    if (this.#certificate !== undefined) {
      if (this.#certificate.isOver) throw new SyntaxError('something follows a push certificate');
      this.#certificate.push(payload);
      return;
    }
    const isFirst = this.#commands.length === 0;
    const nul = payload.indexOf(0);
    if (nul >= 0) {
      if (!isFirst) throw new SyntaxError('a line that is not the first holds a NUL');
      this.#readCapabilities(payload.subarray(nul + 1));
    }
    // Only the end of the packet is git's to drop, and with capabilities that is theirs.
    const isEnded = nul < 0 && payload.at(-1) === NEWLINE;
    const line = payload.subarray(0, nul >= 0 ? nul : payload.length - (isEnded ? 1 : 0));
    const text = line.toString('latin1', 0, SHALLOW.length + 1);
    if (isFirst && text === CERTIFICATE && line.length === CERTIFICATE.length)
      this.#certificate = new PushCertificate((command) => this.#command(command));
    else if (text.startsWith(SHALLOW)) this.#shallow(line, isFirst && nul < 0);
    else this.#command(line);
  }

  #readCapabilities(bytes: Buffer): void {
    if (bytes.includes(0)) throw new SyntaxError('a line holds two NULs');
    this.#capabilities = new Set(
      bytes
        .toString('utf8')
        .split(BLANKS)
        .filter((name) => name !== ''),
    );
  }

  #shallow(line: Buffer, isInPlace: boolean): void {
    const oid = line.toString('latin1', SHALLOW.length);
    if (!isInPlace || !OID.test(oid)) throw new SyntaxError('a shallow line is out of place or has no object id');
    this.#sameFormat(oid);
  }

  #command(line: Buffer): void {
    // Two names that are no UTF-8 must not become one text, and a report must name a ref by its own bytes.
    if (!isUtf8(line)) throw new SyntaxError('the name of a ref is no UTF-8');
    const [, oldOid, newOid, ref] = COMMAND.exec(line.toString('utf8')) ?? [];
    if (oldOid === undefined || newOid === undefined || ref === undefined) throw new SyntaxError('a line is no command');
    this.#sameFormat(oldOid);
    this.#sameFormat(newOid);
    this.#commands.push({ oldOid, newOid, ref });
  }

  #sameFormat(oid: string): void {
    this.#oidDigits ??= oid.length;
    if (oid.length !== this.#oidDigits) throw new SyntaxError('object ids differ in length');
  }

  #flush(): void {
    if (this.#certificate !== undefined && (!this.#certificate.isOver || this.#commands.length === 0)) {
      throw new SyntaxError('a push certificate is not whole, or has no commands');
    }
    const formats = [...(this.#capabilities ?? [])].filter((name) => name.startsWith(FORMAT)).map((name) => name.slice(FORMAT.length));
    if (formats.length > 1) throw new SyntaxError('it names several object formats');
    const [format = 'sha1'] = formats;
    const digits = Object.hasOwn(OID_DIGITS, format) ? OID_DIGITS[format] : undefined;
    if (this.#commands.length > 0 && digits !== this.#oidDigits) {
      throw new SyntaxError(`object ids are not those of the object format ${format.slice(0, 20)}`);
    }
    this.#certificate = undefined;
    this.#state = this.#commands.length === 0 ? 'empty' : 'done';
  }
}
