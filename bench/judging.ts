/** What it costs to read and judge the command list of a push, in this process: no door, no git. */
import { refuseByRefs } from '../src/gate/ref-policy.js';
import { CommandListReader } from '../src/git/receive-pack.js';
import type { RefPolicy } from '../src/model/refs.js';

export const FEW_REFS = 2_000;
export const MANY_REFS = 20_000;

/** As they come from a socket. */
const CHUNK_BYTES = 64 * 1024;
/** Before it counts: what is compiled once is no cost of a ref. */
const WARM_UPS = 20;

const POLICY: RefPolicy = {
  source: 'the route h/**',
  allow: ['refs/heads/agent/**', 'refs/heads/topic/*'],
  protect: ['refs/heads/main', 'refs/heads/release/**'],
  changes: ['create', 'update'],
};

/** Processor ms for each run, for few refs and for many: what others do on the machine meanwhile is not in it. */
export function measureJudging(runs: number): { readonly few: readonly number[]; readonly many: readonly number[] } {
  const [few, many] = [listOf(FEW_REFS), listOf(MANY_REFS)];
  for (let index = 0; index < WARM_UPS; index++) judge(few);
  const times = { few: [] as number[], many: [] as number[] };
  for (let index = 0; index < runs; index++) {
    times.few.push(judge(few));
    times.many.push(judge(many));
  }
  return times;
}

function judge(list: Buffer): number {
  const before = process.cpuUsage();
  const reader = new CommandListReader();
  for (let at = 0; at < list.length; at += CHUNK_BYTES) reader.push(list.subarray(at, at + CHUNK_BYTES));
  const commands = reader.list?.commands ?? [];
  if (commands.length === 0 || refuseByRefs(commands, [POLICY]) !== undefined) throw new Error('The bench cannot judge its own list');
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

function listOf(count: number): Buffer {
  const lines = Array.from({ length: count }, (_, index) => {
    const line = `${'0'.repeat(40)} ${'1'.repeat(40)} refs/heads/agent/task-${100_000 + index}${index === 0 ? '\0 report-status' : ''}`;
    return (line.length + 4).toString(16).padStart(4, '0') + line;
  });
  return Buffer.from(`${lines.join('')}0000`);
}
