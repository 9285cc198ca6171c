/**
 * A fetch of protocol version 0 or 1 over the bridge: over SSH it is one long talk, over HTTP each request stands alone and says
 * again what was found to be common (git/upload-request.ts). Each flush of the client's is one request upstream.
 */
import type { Readable } from 'node:stream';
import { PackEnd } from '../git/pack-end.js';
import { PacketReader } from '../git/packet-reader.js';
import { FLUSH_PACKET, type Packet, writePacket } from '../git/pkt-line.js';
import type { Advertised } from '../git/advertisement.js';
import { isShallowLine, FetchTalk, parseAckLine, parseHaveLine, Wants } from '../git/upload-request.js';
import { ProxyError } from '../model/errors.js';
import {
  ask,
  brokenOff,
  chunksOf,
  FAILED_UPSTREAM,
  passPackets,
  PASSED,
  readAnswer,
  readRequest,
  type Trip,
  writeInside,
} from './bridge-trip.js';
import { ClientGone, type ClientLine } from './client-line.js';
import type { Carried } from './git-session.js';

/**
 * Largest request of a fetch: 300,000 refs that are wanted, or commits that are common. It is kept, because every request upstream
 * says it again. An answer to a deepening, which names the commits at the new edge, has the same bound.
 */
export const LARGEST_FETCH_BYTES = 16 * 1024 * 1024;

/** How much is read of what follows an answer that is complete, so that its connection can be used again. */
const LONGEST_REST_BYTES = 64 * 1024;

/**
 * Serves the fetch whose advertisement has been passed on.
 * @throws ProxyError `request-malformed`, `upstream-broken`, `upstream-not-git`; and as ask()
 */
export async function carryFetch(trip: Trip, { version, capabilities }: Advertised): Promise<Carried> {
  return new Fetch(trip, capabilities, version === 1 ? 'version=1' : undefined).carry();
}

class Fetch {
  readonly #trip: Trip;
  readonly #offered: ReadonlySet<string>;
  readonly #gitProtocol: string | undefined;
  readonly #client: ClientPackets;
  readonly #wants = new Wants();

  constructor(trip: Trip, offered: ReadonlySet<string>, gitProtocol: string | undefined) {
    this.#trip = trip;
    this.#offered = offered;
    this.#gitProtocol = gitProtocol;
    this.#client = new ClientPackets(trip.line);
  }

  async carry(): Promise<Carried> {
    if (!(await this.#readWants())) return PASSED;
    const wants = this.#wants.bytes(this.#offered);
    if (this.#wants.isDeepening) {
      const ended = await this.#deepen(wants);
      if (ended !== undefined) return ended;
    }
    const talk = new FetchTalk(wants, this.#wants.mode);
    for (;;) {
      const packet = await this.#client.next();
      // A client that has all it wants, or none it can use, leaves like this as well as one that has died.
      if (packet === 'end') throw new ClientGone();
      const said = packet.kind === 'flush' ? 'flush' : readRequest(() => parseHaveLine(payloadOf(packet)));
      if (said !== 'flush' && said.kind === 'have') {
        talk.have(said.oid);
        if (talk.bytes > LARGEST_FETCH_BYTES) throw tooLong();
        continue;
      }
      const ended = await this.#answer(talk, said === 'flush' ? 'flush' : 'done');
      if (ended !== undefined) return ended;
    }
  }

  /** False when the client wants nothing. */
  async #readWants(): Promise<boolean> {
    let size = 0;
    for (;;) {
      const packet = await this.#client.next();
      if (packet === 'end') {
        if (this.#wants.isEmpty) return false;
        throw new ClientGone();
      }
      if (packet.kind === 'flush') return !this.#wants.isEmpty;
      const payload = readRequest(() => payloadOf(packet));
      size += payload.length;
      if (size > LARGEST_FETCH_BYTES) throw tooLong();
      this.#wants.add(payload);
    }
  }

  /** Asks for the new edge alone, which the client waits for before it says what it has. Gives how the session ends, if it does. */
  async #deepen(wants: Buffer): Promise<Carried | undefined> {
    const answer = await this.#ask(wants);
    if (answer.kind === 'failed') return answer;
    const edge: Buffer[] = [];
    let size = 0;
    for (;;) {
      const packet = await answer.next();
      if (packet?.kind === 'flush') break;
      const payload = readAnswer(() => payloadOf(packet ?? cut()));
      if (isError(payload)) return this.#fail(payload);
      readAnswer(() => shallowOnly(payload));
      size += payload.length;
      if (size > LARGEST_FETCH_BYTES) throw new ProxyError('upstream-not-git', 'The upstream names too many shallow commits');
      edge.push(writePacket(payload));
    }
    await this.#trip.line.write(Buffer.concat([...edge, FLUSH_PACKET]));
    // Some servers end with a NAK here, which on SSH none would.
    await answer.drop();
    return undefined;
  }

  /** Answers the client's flush or `done`. Gives how the session ends, if it does. */
  async #answer(talk: FetchTalk, end: 'flush' | 'done'): Promise<Carried | undefined> {
    const answer = await this.#ask(talk.request(end));
    if (answer.kind === 'failed') return answer;
    if (this.#wants.isDeepening) {
      const fault = await this.#skipEdge(answer);
      if (fault !== undefined) return this.#fail(fault);
    }
    const lines: Buffer[] = [];
    let isClosed = false;
    for (;;) {
      const packet = await answer.next();
      if (packet === undefined) {
        if (!isClosed && (end === 'done' || !this.#mayLackNak(talk))) throw brokenOff();
        await this.#trip.line.write(Buffer.concat([...lines, ...(isClosed ? [] : some(talk.closeWindow()))]));
        return undefined;
      }
      const payload = readAnswer(() => payloadOf(packet));
      if (isError(payload)) return this.#fail(payload);
      const line = readAnswer(() => parseAckLine(payload) ?? noAck());
      if (line.kind === 'ack' && (line.status !== 'final' || (end === 'flush' && !isClosed))) {
        lines.push(...some(talk.acknowledge(line.oid, line.status)));
      } else if (end === 'flush' && !isClosed) {
        lines.push(...some(talk.closeWindow()));
        isClosed = true;
      } else {
        // The pack is next: asked for by `done`, or sent at once by a server that was ready (`no-done`).
        lines.push(...some(talk.conclude(line)));
        await writeInside(this.#trip, Buffer.concat(lines));
        return this.#passPack(answer);
      }
    }
  }

  /** Only a server that says one ACK and no more has nothing to say after it. */
  #mayLackNak(talk: FetchTalk): boolean {
    return talk.hasCommon && !this.#offered.has('multi_ack_detailed') && this.#wants.mode === 'single';
  }

  /** Takes out the edge that the client knows already; gives the payload of an error that stands there. */
  async #skipEdge(answer: Answer): Promise<Buffer | undefined> {
    for (;;) {
      const packet = await answer.next();
      if (packet?.kind === 'flush') return undefined;
      const payload = readAnswer(() => payloadOf(packet ?? cut()));
      if (isError(payload)) return payload;
      readAnswer(() => shallowOnly(payload));
    }
  }

  async #passPack(answer: Answer): Promise<Carried> {
    const { line } = this.#trip;
    line.isInside = true;
    if (this.#wants.isBanded) return (await passPackets(this.#trip, answer.rest())) === 'error' ? FAILED_UPSTREAM : PASSED;
    const end = new PackEnd(this.#wants.format);
    for await (const chunk of answer.rest()) {
      end.push(chunk);
      await line.write(chunk);
    }
    if (!end.isPossible) throw brokenOff();
    line.isInside = false;
    return PASSED;
  }

  async #fail(payload: Buffer): Promise<Carried> {
    await this.#trip.line.write(writePacket(payload));
    return FAILED_UPSTREAM;
  }

  async #ask(body: Buffer): Promise<Answer | Extract<Carried, { kind: 'failed' }>> {
    const asked = await ask(this.#trip, { service: 'git-upload-pack', step: 'exchange', body, gitProtocol: this.#gitProtocol });
    return asked.kind === 'failed' ? asked : new Answer(asked.body);
  }
}

/** The packets of the client. */
class ClientPackets {
  readonly #line: ClientLine;
  readonly #packets = new PacketReader();

  constructor(line: ClientLine) {
    this.#line = line;
  }

  async next(): Promise<Packet | 'end'> {
    for (;;) {
      const packet = readRequest(() => this.#packets.next());
      if (packet !== undefined) return packet;
      const chunk = await this.#line.read();
      if (!Buffer.isBuffer(chunk)) {
        if (this.#packets.isEmpty) return 'end';
        throw new ClientGone();
      }
      this.#packets.push(chunk);
    }
  }
}

/** An answer that begins with packets. */
class Answer {
  readonly kind = 'answer';
  readonly #body: Readable;
  readonly #chunks: AsyncIterator<Buffer, undefined>;
  readonly #packets = new PacketReader();

  constructor(body: Readable) {
    this.#body = body;
    this.#chunks = chunksOf(body)[Symbol.asyncIterator]();
  }

  /** Undefined at the answer's end. */
  async next(): Promise<Packet | undefined> {
    for (;;) {
      const packet = readAnswer(() => this.#packets.next());
      if (packet !== undefined) return packet;
      const chunk = await this.#next();
      if (chunk !== undefined) this.#packets.push(chunk);
      else if (this.#packets.isEmpty) return undefined;
      else throw brokenOff();
    }
  }

  /** Everything that was not read as packets. */
  async *rest(): AsyncGenerator<Buffer> {
    const first = this.#packets.rest();
    if (first.length > 0) yield first;
    for (let chunk = await this.#next(); chunk !== undefined; chunk = await this.#next()) yield chunk;
  }

  async #next(): Promise<Buffer | undefined> {
    const next: IteratorResult<Buffer, undefined> = await this.#chunks.next();
    return next.value;
  }

  /** Lets go of it, read to its end if that is near. */
  async drop(): Promise<void> {
    let size = 0;
    for await (const chunk of this.rest()) {
      size += chunk.length;
      if (size > LONGEST_REST_BYTES) break;
    }
    this.#body.destroy();
  }
}

function payloadOf(packet: Packet): Buffer {
  if (packet.kind !== 'data') throw new SyntaxError(`a ${packet.kind} packet stands where a line is due`);
  return packet.payload;
}

function isError(payload: Buffer): boolean {
  return payload.toString('latin1', 0, 4) === 'ERR ';
}

function shallowOnly(payload: Buffer): void {
  if (!isShallowLine(payload)) throw new SyntaxError('the shallow commits are missing');
}

function noAck(): never {
  throw new SyntaxError('a line is neither ACK nor NAK');
}

function cut(): never {
  throw brokenOff();
}

function some(bytes: Buffer | undefined): Buffer[] {
  return bytes === undefined ? [] : [bytes];
}

function tooLong(): ProxyError {
  return new ProxyError('request-malformed', `The request of the fetch is longer than ${LARGEST_FETCH_BYTES / 1024 / 1024} MiB`, {
    todo: 'fetch fewer refs at a time, or use protocol version 2, which has no such bound (git config protocol.version 2)',
  });
}
