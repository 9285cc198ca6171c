/**
 * The advertisement of refs or capabilities, from how HTTP has it to how SSH has it.
 *
 *   over HTTP  = [ "# service=" name LF, flush ] over SSH                 (git's own server leaves the brackets out for version 2)
 *   over SSH   = [ "version 1" LF ] ref NUL capabilities LF *( ref LF ) *( shallow LF ) flush
 *              | "version 2" LF *( capability LF ) flush
 *
 * `no-done` goes out of the capabilities of a fetch: it is only for transports on which every request stands alone.
 *
 * Source: gitprotocol-http "Smart Server Response"; gitprotocol-pack "Reference Discovery"; gitprotocol-v2 "Initial Client
 * Request"; gitprotocol-capabilities "no-done".
 */
import type { GitService } from '../model/operation.js';
import { PacketReader } from './packet-reader.js';
import { FLUSH_PACKET, type Packet, writePacket } from './pkt-line.js';

const SERVICE = '# service=';
const DELIMITER_PACKET = Buffer.from('0001');

export interface Advertised {
  /** What the server speaks, which need not be what it was asked for. */
  readonly version: 0 | 1 | 2;
  /** Names, with their values where they have one; empty for version 2. */
  readonly capabilities: ReadonlySet<string>;
}

/** Reads an advertisement that comes in chunks cut anywhere, and gives what the client is to get. */
export class AdvertisementReader {
  readonly #service: GitService;
  readonly #packets = new PacketReader();
  #state: 'first' | 'after-service' | 'version' | 'refs' | 'whole' | 'error' = 'first';
  #version: 0 | 1 | 2 = 0;
  #capabilities: ReadonlySet<string> = new Set();

  constructor(service: GitService) {
    this.#service = service;
  }

  /** `whole` behind its last flush, `error` behind an ERR packet; an answer that ends while it is `open` was cut. */
  get state(): 'open' | 'whole' | 'error' {
    return this.#state === 'whole' || this.#state === 'error' ? this.#state : 'open';
  }

  get advertised(): Advertised {
    return { version: this.#version, capabilities: this.#capabilities };
  }

  /**
   * Takes the next bytes and gives those for the client. What follows the end is dropped.
   * @throws SyntaxError when it is no advertisement of this service
   */
  push(chunk: Buffer): Buffer {
    this.#packets.push(chunk);
    const out: Buffer[] = [];
    while (this.state === 'open') {
      const packet = this.#packets.next();
      if (packet === undefined) break;
      const bytes = this.#take(packet);
      if (bytes !== undefined) out.push(bytes);
    }
    if (this.state !== 'open') this.#packets.rest();
    return Buffer.concat(out);
  }

  #take(packet: Packet): Buffer | undefined {
    if (packet.kind === 'data') return this.#line(packet.payload);
    if (packet.kind === 'flush') {
      if (this.#state === 'after-service') {
        this.#state = 'version';
        return undefined;
      }
      this.#state = 'whole';
      return FLUSH_PACKET;
    }
    if (packet.kind === 'delimiter' && this.#version === 2) return DELIMITER_PACKET;
    throw new SyntaxError(`a ${packet.kind} packet is in the advertisement`);
  }

  #line(payload: Buffer): Buffer | undefined {
    const text = payload.toString('latin1');
    if (this.#state === 'first' && text.startsWith(SERVICE)) {
      if (text.slice(SERVICE.length).trimEnd() !== this.#service) throw new SyntaxError('the advertisement is one of another service');
      this.#state = 'after-service';
      return undefined;
    }
    if (this.#state === 'after-service') throw new SyntaxError('no flush packet follows the name of the service');
    if (text.startsWith('ERR ')) {
      this.#state = 'error';
      return writePacket(payload);
    }
    if (this.#state === 'first' || this.#state === 'version') {
      const [, digit] = /^version ([12])\n?$/.exec(text) ?? [];
      this.#state = 'refs';
      if (digit === '1' && this.#version === 0) {
        this.#version = 1;
        this.#state = 'version';
      } else if (digit === '2') this.#version = 2;
      else return this.#firstRef(payload, text);
    }
    return writePacket(payload);
  }

  #firstRef(payload: Buffer, text: string): Buffer {
    const nul = text.indexOf('\0');
    if (nul < 0) return writePacket(payload);
    const names = text
      .slice(nul + 1)
      .trimEnd()
      .split(' ')
      .filter((name) => name !== '');
    this.#capabilities = new Set(names);
    if (this.#service !== 'git-upload-pack' || !this.#capabilities.has('no-done')) return writePacket(payload);
    const kept = names.filter((name) => name !== 'no-done').join(' ');
    return writePacket(Buffer.from(`${text.slice(0, nul)}\0${kept}\n`, 'latin1'));
  }
}
