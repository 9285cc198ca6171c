/**
 * What it costs to learn who opened a connection, beside the bare cost of reading the kernel's table: the read that finds one
 * caller, and the one or two that find a hundred who came together. All sockets are of this process.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { KernelPeerTable } from '../src/gate/peer-table.js';
import type { ConnectionEnds } from '../src/model/ports.js';
import { type Spread, spread } from './spread.js';

/** Connections that are open while it is measured; each is two rows. */
const CONNECTIONS = [10, 5_000] as const;
const TOGETHER = 100;
/** Fewer than a listener may have waiting to be accepted. */
const DIALED_AT_ONCE = 100;
/** Before anything is counted, for what is compiled and allocated once. */
const WARM_UPS = 3;
const PIECE_BYTES = 16 * 1024;

/** Milliseconds. */
export interface LookUpRow {
  readonly connections: number;
  /** The table read to its end, without waiting between the pieces, and nothing done with it. */
  readonly bare: Spread;
  readonly one: Spread;
  /** All of `TOGETHER`, from the first question to the last answer. */
  readonly together: Spread;
}

export async function measureLookUps(runs: number): Promise<LookUpRow[]> {
  const rows: LookUpRow[] = [];
  for (const connections of CONNECTIONS) rows.push(await measure(connections, runs));
  return rows;
}

/** The rows as lines of text, with ratios to the bare cost. */
export function lookUpLines(rows: readonly LookUpRow[]): string[] {
  const text = (figures: Spread): string => `${figures.median.toFixed(1)} (${figures.least.toFixed(1)} - ${figures.most.toFixed(1)})`;
  const ratio = (over: Spread, under: Spread): string => (over.median / under.median).toFixed(2);
  return [
    `${'who opened it, ms'.padEnd(22)}${'bare read'.padStart(22)}${'one caller'.padStart(22)}${'x bare'.padStart(8)}${`${TOGETHER} together`.padStart(22)}${'x bare'.padStart(8)}`,
    ...rows.map(({ connections, bare, one, together }) =>
      [
        `${connections} connections open`.padEnd(22),
        text(bare).padStart(22),
        text(one).padStart(22),
        ratio(one, bare).padStart(8),
        text(together).padStart(22),
        ratio(together, bare).padStart(8),
      ].join(''),
    ),
  ];
}

async function measure(connections: number, runs: number): Promise<LookUpRow> {
  const sockets: Socket[] = [];
  const accepted: Socket[] = [];
  const server = createServer((socket) => void accepted.push(socket));
  try {
    const port = await listen(server);
    for (let left = connections; left > 0; left -= DIALED_AT_ONCE)
      sockets.push(...(await Promise.all(Array.from({ length: Math.min(left, DIALED_AT_ONCE) }, () => dial(port)))));
    while (accepted.length < connections) await new Promise((resume) => setImmediate(resume));
    const all = accepted.map(endsOf);
    const [first] = all;
    if (first === undefined) throw new Error('nothing was accepted');
    const table = new KernelPeerTable();
    const known = async (ends: ConnectionEnds): Promise<void> => {
      const uid = await table.uidOf(ends);
      if (uid.kind !== 'known') throw new Error(`a caller was not found: ${JSON.stringify(uid)}`);
    };
    const crowd = Array.from({ length: TOGETHER }, (_, index) => all[index % all.length] ?? first);
    return {
      connections,
      bare: await timed(runs, readBare),
      one: await timed(runs, () => known(first)),
      together: await timed(runs, () => Promise.all(crowd.map(known)).then(() => undefined)),
    };
  } finally {
    for (const socket of [...sockets, ...accepted]) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
}

async function timed(runs: number, work: () => Promise<void> | void): Promise<Spread> {
  const times: number[] = [];
  for (let index = -WARM_UPS; index < runs; index++) {
    const startedAt = performance.now();
    await work();
    if (index >= 0) times.push(performance.now() - startedAt);
  }
  return spread(times);
}

function readBare(): void {
  const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  const file = openSync('/proc/net/tcp', 'r');
  while (readSync(file, buffer, 0, PIECE_BYTES, null) > 0);
  closeSync(file);
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: 0 }, () => resolve((server.address() as AddressInfo).port));
  });
}

function dial(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('error', reject);
    socket.once('connect', () => resolve(socket));
  });
}

function endsOf({ remoteAddress = '', remotePort = 0, localAddress = '', localPort = 0 }: Socket): ConnectionEnds {
  return { remoteAddress, remotePort, localAddress, localPort };
}
