/**
 * The request of a fetch in versions 0 and 1, and the answers to it. On SSH it is one long talk, of which the server remembers
 * what was said; on HTTP every request has to say it again. This is the memory between the two.
 *
 *   request  = wants *( *have flush ) *have done
 *   wants    = want SP capabilities *( want | shallow | deepen | deepen-since | deepen-not | filter ) flush
 *   answer   = [ *( shallow | unshallow ) flush ] *( ACK SP oid [ SP ( "continue" | "common" | "ready" ) ] | NAK ) [ pack ]
 *
 * Source: gitprotocol-pack "Packfile Negotiation"; gitprotocol-http "Smart Service git-upload-pack"; gitprotocol-capabilities
 * "multi_ack", "multi_ack_detailed".
 */
import type { ObjectFormat } from './pack-end.js';
import { FLUSH_PACKET, writePacket } from './pkt-line.js';

/** How a client wants to be told what is common. */
export type AckMode = 'single' | 'multi_ack' | 'multi_ack_detailed';

const DETAILED = 'multi_ack_detailed';
const WANT = /^want [0-9a-f]{40,64}(?= |$)/;
const DEEPEN = /^deepen(?:-since|-not)? /;
const HAVE = /^have ([0-9a-f]{40}|[0-9a-f]{64})$/;
const ACK = /^ACK ([0-9a-f]{64}|[0-9a-f]{40})(?![0-9a-f])(.*)$/s;
const DONE_PACKET = writePacket('done\n');

/** The lines of a request before its first flush, as the client sent them. */
export class Wants {
  readonly #lines: string[] = [];
  readonly #capabilities = new Set<string>();
  #isDeepening = false;

  /** Takes one line: the payload of a packet. Lines that are not known are the server's to judge. */
  add(payload: Buffer): void {
    const line = chomped(payload);
    this.#lines.push(line);
    if (DEEPEN.test(line)) this.#isDeepening = true;
    const want = WANT.exec(line)?.[0];
    if (want === undefined) return;
    for (const name of line.slice(want.length).split(' ')) if (name !== '') this.#capabilities.add(name);
  }

  /** Whether the client asks for nothing. */
  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  /** Whether the server answers with what becomes shallow and what no more is, before anything else. */
  get isDeepening(): boolean {
    return this.#isDeepening;
  }

  get mode(): AckMode {
    return this.#capabilities.has(DETAILED) ? DETAILED : this.#capabilities.has('multi_ack') ? 'multi_ack' : 'single';
  }

  /** Whether the pack comes in packets, the last of which is a flush. */
  get isBanded(): boolean {
    return this.#capabilities.has('side-band') || this.#capabilities.has('side-band-64k');
  }

  /** What kind of hash the pack ends in. */
  get format(): ObjectFormat {
    return this.#lines.some((line) => /^want [0-9a-f]{64}/.test(line)) ? 'sha256' : 'sha1';
  }

  /**
   * The section for the server, flush packet included. With `offered`, what the server can do, the most detailed answers are asked
   * for whatever the client wants, because only they tell what has to be said again.
   */
  bytes(offered: ReadonlySet<string>): Buffer {
    const isRaised = this.mode !== DETAILED && offered.has(DETAILED);
    let isFirst = true;
    const lines = this.#lines.map((line) => {
      const want = isRaised ? WANT.exec(line)?.[0] : undefined;
      if (want === undefined) return line;
      const names = line
        .slice(want.length)
        .split(' ')
        .filter((name) => name !== '' && name !== 'multi_ack');
      if (isFirst) names.unshift(DETAILED);
      isFirst = false;
      return [want, ...names].join(' ');
    });
    return Buffer.concat([...lines.map((line) => writePacket(Buffer.from(`${line}\n`, 'latin1'))), FLUSH_PACKET]);
  }
}

/** One line behind the wants. */
export type HaveLine = { readonly kind: 'have'; readonly oid: string } | { readonly kind: 'done' };

/** @throws SyntaxError when it is neither */
export function parseHaveLine(payload: Buffer): HaveLine {
  const line = chomped(payload);
  if (line === 'done') return { kind: 'done' };
  const oid = HAVE.exec(line)?.[1];
  if (oid === undefined) throw new SyntaxError('a line is neither `have` nor `done`');
  return { kind: 'have', oid };
}

/** One line of the server's answer; `final` is an ACK that says nothing more. */
export type AckLine =
  { readonly kind: 'nak' } | { readonly kind: 'ack'; readonly oid: string; readonly status: 'common' | 'ready' | 'continue' | 'final' };

/** The line, or undefined when it is none of these; read as leniently as git's own client does. */
export function parseAckLine(payload: Buffer): AckLine | undefined {
  const line = chomped(payload);
  if (line === 'NAK') return { kind: 'nak' };
  const [, oid, rest = ''] = ACK.exec(line) ?? [];
  if (oid === undefined) return undefined;
  const status = (['continue', 'common', 'ready'] as const).find((word) => rest.includes(word)) ?? 'final';
  return { kind: 'ack', oid, status };
}

/** Whether a line belongs to the section that answers a deepening. */
export function isShallowLine(payload: Buffer): boolean {
  return /^(?:un)?shallow [0-9a-f]/.test(payload.toString('latin1', 0, 64));
}

/** The talk about what is common: what is said again, and what of the answers is new to the client. */
export class FetchTalk {
  readonly #wants: Buffer;
  readonly #mode: AckMode;
  /** What the server is known to have of what the client named. */
  readonly #common = new Set<string>();
  /** What the client named since its last flush. */
  #window = new Set<string>();
  /** Whether a client that takes one ACK has had it. */
  #isTold = false;

  /** `wants` as the server is to get them. */
  constructor(wants: Buffer, mode: AckMode) {
    this.#wants = wants;
    this.#mode = mode;
  }

  have(oid: string): void {
    this.#window.add(oid);
  }

  get hasCommon(): boolean {
    return this.#common.size > 0;
  }

  /** Bytes that the next request has, about. */
  get bytes(): number {
    return this.#wants.length + (this.#common.size + this.#window.size) * 74;
  }

  /** The request that stands for everything the client has said up to its flush, or its `done`. */
  request(end: 'flush' | 'done'): Buffer {
    const again = [...this.#common].filter((oid) => !this.#window.has(oid));
    const haves = [...again, ...this.#window].map((oid) => `0${(oid.length + 10).toString(16).padStart(3, '0')}have ${oid}\n`);
    return Buffer.concat([this.#wants, Buffer.from(haves.join(''), 'latin1'), end === 'done' ? DONE_PACKET : FLUSH_PACKET]);
  }

  /** Takes an ACK that is not the last word, and gives what the client is told of it; undefined when it knows already. */
  acknowledge(oid: string, status: 'common' | 'ready' | 'continue' | 'final'): Buffer | undefined {
    const isNew = this.#window.has(oid) || status === 'ready';
    if (status !== 'ready') this.#common.add(oid);
    if (!isNew) return undefined;
    switch (this.#mode) {
      case 'multi_ack_detailed':
        return writeAck(oid, status === 'ready' ? 'ready' : 'common');
      case 'multi_ack':
        return writeAck(oid, 'continue');
      case 'single':
        if (this.#isTold || status === 'ready') return undefined;
        this.#isTold = true;
        return writeAck(oid);
    }
  }

  /** The answer to the client's flush is complete: gives its last line, where there is one. */
  closeWindow(): Buffer | undefined {
    this.#window = new Set();
    return this.#mode === 'single' && this.#isTold ? undefined : writePacket('NAK\n');
  }

  /** The server's last word before the pack, as the client is to get it. */
  conclude(line: AckLine): Buffer | undefined {
    if (this.#mode === 'single' && this.#isTold) return undefined;
    return line.kind === 'nak' ? writePacket('NAK\n') : writeAck(line.oid);
  }
}

function writeAck(oid: string, status?: string): Buffer {
  return writePacket(`ACK ${oid}${status === undefined ? '' : ` ${status}`}\n`);
}

/** A line without its newline; its bytes as latin1. */
function chomped(payload: Buffer): string {
  const text = payload.toString('latin1');
  return text.endsWith('\n') ? text.slice(0, -1) : text;
}
