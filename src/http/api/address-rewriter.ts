/**
 * Puts this door in place of real hosts, in a text as it streams by: every address that begins a quoted string, of a host that the
 * door serves. JSON, HTML and XML alike quote the addresses that a client follows. What is held back is at most the beginning of one
 * such address, however long the text.
 *
 *   "https://pkgs.dev.azure.com/contoso/...   becomes   "http://127.0.0.1:8417/pkgs.dev.azure.com/contoso/...
 */
import { Transform, type TransformCallback } from 'node:stream';
import { parseHost } from '../../model/host-name.js';

/** Longest host with a port that is looked at (RFC 1035 section 2.3.4: a name has at most 253 characters). */
const LONGEST_HOST = 260;
/** A quote, the scheme, the host; JSON may escape slashes (RFC 8259 section 7). What ends the host must have been seen. */
const ADDRESS = /(["'])https:(?:\/\/|\\\/\\\/)([^"'/\\<>\s?#@]{1,260})(?=["'/\\])/gi;
const LONGEST_ADDRESS = LONGEST_HOST + '"https:\\/\\/'.length;

export class AddressRewriter extends Transform {
  readonly #isOurs: (host: string) => boolean;
  readonly #doorBase: string;
  #held = '';

  /**
   * @param isOurs whether this door serves a host, as parseHost() gives it
   * @param doorBase address of the door as the caller used it, no slash at its end
   */
  constructor(isOurs: (host: string) => boolean, doorBase: string) {
    super();
    this.#isOurs = isOurs;
    this.#doorBase = doorBase;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    // Bytes as latin1: what is put in and looked for is ASCII, and everything else comes out as it went in.
    const text = this.#held + chunk.toString('latin1');
    const { rewritten, rest } = this.#rewrite(text);
    const quote = Math.max(rest.lastIndexOf('"'), rest.lastIndexOf("'"));
    const isOpen = quote >= 0 && rest.length - quote <= LONGEST_ADDRESS;
    this.#held = isOpen ? rest.slice(quote) : '';
    const passed = rewritten + (isOpen ? rest.slice(0, quote) : rest);
    done(null, passed === '' ? undefined : Buffer.from(passed, 'latin1'));
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#held === '' ? undefined : Buffer.from(this.#held, 'latin1'));
  }

  /** What is settled, and what comes after the last address in it. */
  #rewrite(text: string): { rewritten: string; rest: string } {
    let rewritten = '';
    let from = 0;
    for (const match of text.matchAll(ADDRESS)) {
      const [whole, quote = '', name = ''] = match;
      const host = parseHost(name);
      rewritten += text.slice(from, match.index);
      rewritten += host !== undefined && this.#isOurs(host) ? `${quote}${this.#doorBase}/${host}` : whole;
      from = match.index + whole.length;
    }
    return { rewritten, rest: text.slice(from) };
  }
}
