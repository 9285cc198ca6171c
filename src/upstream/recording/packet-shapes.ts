/**
 * Packets of git's in a record: which kinds, in which order, with which capabilities. No ref and no id of an object is told.
 *
 * Source: gitprotocol-common, gitprotocol-pack "Reference Discovery", gitprotocol-v2 "Capability Advertisement", gitprotocol-capabilities.
 */
import { parsePacket } from '../../git/pkt-line.js';
import type { PacketShape } from '../../model/exchange-record.js';
import { textShape } from './text-shapes.js';

/** Capabilities of git's own, and words among their values. */
const CAPABILITIES: ReadonlySet<string> = new Set(
  (
    'multi_ack multi_ack_detailed no-done thin-pack side-band side-band-64k ofs-delta agent object-format symref shallow deepen-since deepen-not ' +
    'deepen-relative no-progress include-tag report-status report-status-v2 delete-refs quiet atomic push-options allow-tip-sha1-in-want ' +
    'allow-reachable-sha1-in-want push-cert filter session-id ls-refs fetch server-option object-info bundle-uri unborn sideband-all ref-in-want ' +
    'wait-for-done packfile-uris sha1 sha256 promisor-remote'
  ).split(' '),
);
/** Software of Git's own; others may name whose they are. */
const AGENT = /^git\/[0-9.]{1,12}$/;
const COMMANDS: ReadonlySet<string> = new Set(['ls-refs', 'fetch', 'object-info', 'bundle-uri']);
/** More is the list of refs, which is counted, or the pack. */
const MOST_SHAPES = 200;
/** `ID NAME`, with capabilities behind a NUL in the first of all (version 0), or attributes (the answer of ls-refs). */
const REF = /^(?:[0-9a-f]{40}|[0-9a-f]{64}|unborn) [^\0]+/;

/** Reads as far as it can be read; what is left is counted. */
export function packetShapes(body: Buffer): PacketShape[] {
  const shapes: PacketShape[] = [];
  let at = 0;
  while (at < body.length && shapes.length < MOST_SHAPES) {
    const read = nextPacket(body, at);
    if (read === undefined) break;
    at = read.next;
    add(shapes, read.packet.kind === 'data' ? shapeOf(read.packet.payload) : { kind: read.packet.kind });
  }
  if (at < body.length) add(shapes, { kind: 'other', count: 1, bytes: body.length - at });
  return shapes;
}

function nextPacket(body: Buffer, at: number): ReturnType<typeof parsePacket> {
  try {
    return parsePacket(body, at);
  } catch {
    // No packet: whatever it is, it is counted.
    return undefined;
  }
}

/** Refs in a row are one entry, and so is what nobody knows. */
function add(shapes: PacketShape[], shape: PacketShape): void {
  const last = shapes.at(-1);
  if (last?.kind === 'refs' && shape.kind === 'refs') shapes[shapes.length - 1] = { ...last, count: last.count + 1 };
  else if (last?.kind === 'other' && shape.kind === 'other')
    shapes[shapes.length - 1] = { kind: 'other', count: last.count + shape.count, bytes: last.bytes + shape.bytes };
  else shapes.push(shape);
}

function shapeOf(payload: Buffer): PacketShape {
  const text = payload.toString('latin1').replace(/\n$/, '');
  const service = /^# service=(git-(?:upload|receive)-pack)$/.exec(text)?.[1];
  if (service !== undefined) return { kind: 'service', name: service };
  const version = /^version ([0-2])$/.exec(text)?.[1];
  if (version !== undefined) return { kind: 'version', version: Number(version) };
  if (text.startsWith('ERR ')) return { kind: 'error', text: textShape(text.slice(4)) };
  if (REF.test(text)) {
    const listed =
      text
        .split('\0')[1]
        ?.split(' ')
        .filter((each) => each !== '') ?? [];
    return { kind: 'refs', count: 1, capabilities: listed.map(capability) };
  }
  const [, name = '', value] = /^([a-z0-9-]{1,40})(?:=(.*))?$/s.exec(text) ?? [];
  if (name === 'command') return { kind: 'command', name: COMMANDS.has(value ?? '') ? (value ?? '') : textShape(value ?? '') };
  if (CAPABILITIES.has(name)) return { kind: 'capability', name, ...(value === undefined ? {} : { value: valueOf(name, value) }) };
  return { kind: 'other', count: 1, bytes: payload.length };
}

/** As it stands in a list: `side-band-64k`, `agent=git/2.39.5`, `symref=<text 24>`. */
function capability(text: string): string {
  const [, name = text, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (!CAPABILITIES.has(name)) return textShape(text);
  return value === undefined ? name : `${name}=${valueOf(name, value)}`;
}

function valueOf(name: string, value: string): string {
  if (name === 'agent') return AGENT.test(value) ? value : textShape(value);
  if (name === 'symref' || name === 'session-id' || name === 'push-cert') return textShape(value);
  return value
    .split(' ')
    .map((word) => (CAPABILITIES.has(word) ? word : textShape(word)))
    .join(' ');
}
