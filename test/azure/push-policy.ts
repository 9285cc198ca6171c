/**
 * A branch policy that refuses every ref of a push in band: 200 with a report-status. Pack protocol: gitprotocol-pack(5), "Pushing Data
 * To a Server". The pack is read and thrown away, however large.
 *
 *   request  = *pkt-line(old SP new SP ref [NUL capabilities] [LF]) flush [pack]
 *   report   = pkt-line("unpack ok" LF) *pkt-line("ng" SP ref SP reason LF) flush
 */
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { createGunzip } from 'node:zlib';
import type { Exchange } from './journal.js';

const REASON = 'TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch.';
const SIDE_BAND_DATA = 1;

interface Commands {
  readonly refs: readonly string[];
  readonly capabilities: readonly string[];
}

/** Refuses all refs; a request without commands (git's probe before a large push) gets an empty result. */
export async function refusePush(exchange: Exchange, headers: OutgoingHttpHeaders): Promise<void> {
  const { refs, capabilities } = await readCommands(exchange.request);
  const type = { ...headers, 'Content-Type': 'application/x-git-receive-pack-result', 'Cache-Control': 'private' };
  if (refs.length === 0) {
    exchange.answer(200, type);
    return;
  }
  const report = Buffer.concat([packet('unpack ok\n'), ...refs.map((ref) => packet(`ng ${ref} ${REASON}\n`)), FLUSH]);
  exchange.answer(200, type, capabilities.includes('side-band-64k') ? sideBand(report) : report);
}

const FLUSH = Buffer.from('0000');

function packet(payload: string | Buffer): Buffer {
  const length = Buffer.byteLength(payload) + 4;
  return Buffer.concat([Buffer.from(length.toString(16).padStart(4, '0')), Buffer.from(payload)]);
}

function sideBand(report: Buffer): Buffer {
  return Buffer.concat([packet(Buffer.concat([Buffer.from([SIDE_BAND_DATA]), report])), FLUSH]);
}

async function readCommands(request: IncomingMessage): Promise<Commands> {
  const refs: string[] = [];
  let capabilities: readonly string[] = [];
  let held = Buffer.alloc(0);
  let done = false;
  const body = request.headers['content-encoding'] === 'gzip' ? request.pipe(createGunzip()) : request;
  for await (const chunk of body) {
    if (done) continue;
    held = Buffer.concat([held, chunk as Buffer]); // no encoding is set
    while (held.length >= 4) {
      const length = Number.parseInt(held.subarray(0, 4).toString('latin1'), 16);
      if (!(length >= 4)) {
        done = true;
        break;
      }
      if (held.length < length) break;
      const [command = '', list = ''] = held.subarray(4, length).toString('utf8').trimEnd().split('\0');
      const ref = command.split(' ')[2];
      if (ref !== undefined) refs.push(ref);
      if (list !== '') capabilities = list.trim().split(' ');
      held = held.subarray(length);
    }
  }
  return { refs, capabilities };
}
