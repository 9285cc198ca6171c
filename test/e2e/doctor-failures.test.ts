/**
 * Doctor never says green when a clone fails: every fault of the git host is run through it, and the first row that fails says what git
 * would have said, or could not. What is mended without a word is green.
 *
 * Every fault is met where a clone begins and where its objects come; `npm run test:doctor` meets each at every step, in both protocols.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Fault } from '../azure/faults.js';
import { doctor, isGreen } from '../support/doctor-run.js';
import { type FailureStage, openFailureStage } from '../support/failure-stage.js';
import { TOLD_FAULTS, type ToldFault, UNTOLD_FAULTS } from './failure-table.js';

let v2: FailureStage;
let v0: FailureStage;

beforeAll(async () => {
  [v2, v0] = await Promise.all([openFailureStage(), openFailureStage({ protocol: 'v0' })]);
});
afterAll(async () => {
  await v2.scene.close();
  await v0.scene.close();
});

/** Where a fault is met, and the row that meets it. */
const MEETINGS = {
  'at the first request': { protocol: 'v2', fault: { step: 'advertisement' }, row: 'fetch-refs' },
  'at the list of refs': { protocol: 'v2', fault: { step: 'exchange' }, row: 'fetch-refs' },
  'at the objects': { protocol: 'v2', fault: { step: 'exchange', skip: 1 }, row: 'fetch-objects' },
  'at the first request, protocol v0': { protocol: 'v0', fault: { step: 'advertisement' }, row: 'fetch-refs' },
  'at the objects, protocol v0': { protocol: 'v0', fault: { step: 'exchange' }, row: 'fetch-objects' },
} as const;
type Meeting = keyof typeof MEETINGS;
const ALL = Object.keys(MEETINGS) as Meeting[];
const IS_LONG = process.env['POSTERN_TEST_DOCTOR'] === 'long';
/** Those whose rows differ; at the others the daemon gives the same text by the same way, and git passes it on alike. */
const APART: ReadonlySet<Meeting> = new Set<Meeting>(['at the first request', 'at the objects']);
/** One of each way in which a fault comes to be told is met everywhere: an error's text, a page, an answer that breaks off, one that stalls. */
const EVERYWHERE: ReadonlySet<string> = new Set(['unauthorized', 'html-200-oneline', 'truncated-length', 'stall']);
const isMet = (kind: string, meeting: Meeting): boolean => IS_LONG || APART.has(meeting) || EVERYWHERE.has(kind);

/** The first failing row, of a clone that fails. `row`: which one it is where it is not the one that meets the fault. */
async function meet(
  kind: Fault['kind'],
  more: Partial<Fault>,
  meeting: Meeting,
  row: string = MEETINGS[meeting].row,
): Promise<{ text: string; todo: string; code: string | undefined; on: FailureStage }> {
  const { protocol, fault } = MEETINGS[meeting];
  const stage = protocol === 'v2' ? v2 : v0;
  const place = await stage.place('fresh');
  const { faults } = stage.scene.emulator.git;
  const set = (): void => faults.set(place.name, { kind, ...more, ...fault });
  set();
  const { first, todo, code } = await doctor(stage.daemon, place.url);
  expect(code).toBe(8);
  expect(first?.id).toBe(row);
  set();
  const cloned = await stage.clone(place, { kind, ...more, ...fault });
  expect(cloned.code).not.toBe(0);
  faults.clear(place.name);
  return { text: first?.text ?? '', todo, code: first?.verdict === 'failed' ? first.code : undefined, on: stage };
}

const title = (row: ToldFault): string => `${row.kind}${row.fault === undefined ? '' : ` ${JSON.stringify(row.fault)}`}`;
const ofFetch = TOLD_FAULTS.filter(({ of }) => of === undefined);
/** Enough of a host that speaks version 0: what git says of the others differs by their texts alone. */
const OLD: ReadonlySet<string> = new Set(['unauthorized', 'html-200-oneline', 'unavailable-503', 'not-found-TF401019']);
const told = ofFetch.flatMap((row) =>
  ALL.filter((meeting) => row.fault?.step !== 'advertisement' || MEETINGS[meeting].fault.step === 'advertisement')
    .filter((meeting) => MEETINGS[meeting].protocol === 'v2' || OLD.has(row.kind))
    .filter((meeting) => isMet(row.kind, meeting))
    .map((meeting) => [title(row), meeting, row] as const),
);

describe.concurrent('a fault that git can be told', () => {
  test.each(told)('%s, %s', async (_, meeting, { kind, fault = {}, what, todo }) => {
    const met = await meet(kind, fault, meeting);
    expect(met.text).toBe(what.replace('UPSTREAM', new URL(met.on.scene.emulator.git.origin).host));
    expect(met.todo).toBe(todo);
    expect(met.code).toMatch(/^(?:upstream-|redirect-elsewhere$)/);
  });
});

describe.concurrent('a fault that git has no words for', () => {
  const before = [
    { kind: 'die-before-answer', code: 'upstream-broken', what: /^The upstream closed the connection before it answered/ },
    { kind: 'stall-before-answer', code: 'upstream-timeout', what: /^The upstream sent nothing for 2 s$/ },
  ] as const;
  const untold = [...UNTOLD_FAULTS, ...before].flatMap((row) =>
    // An answer that was whole before it broke git may be content with.
    ALL.filter((meeting) => row.kind !== 'truncated-length' || meeting !== 'at the objects')
      .filter((meeting) => isMet(row.kind, meeting))
      .map((meeting) => [row.kind, meeting, row] as const),
  );
  test.each(untold)('%s, %s', async (kind, meeting, { code, what }) => {
    // `git ls-remote` does not mind what its list breaks off with, and a clone does.
    const row = kind === 'truncated-length' && meeting === 'at the list of refs' ? 'fetch-objects' : undefined;
    const met = await meet(kind, {}, meeting, row);
    expect(met.text).toMatch(what);
    expect(met.code).toBe(code);
    expect(met.todo).not.toBe('');
  });
});

describe.concurrent('a fault of pushing alone', () => {
  test.each(TOLD_FAULTS.filter(({ of }) => of === 'push').map((row) => [title(row), row] as const))(
    '%s',
    async (_, { kind, what, todo }) => {
      const place = await v2.place();
      v2.scene.emulator.git.faults.set(place.name, { kind, step: 'advertisement' });
      const found = await doctor(v2.daemon, place.url);
      expect(found.row('fetch-objects')?.verdict).toBe('ok');
      expect(found.first).toMatchObject({ id: 'push-refs', text: what, todo });
      expect((await doctor(v2.daemon, place.url, { flags: ['--read-only'] })).row('push-refs')?.verdict).toBe('untried');
    },
  );
});

describe.concurrent('a fault that is mended without a word', () => {
  const mended: readonly Fault[] = [
    { kind: 'cae-challenge' },
    { kind: 'soft-throttle' },
    { kind: 'throttled-429-bare', times: 1 },
    { kind: 'redirect-same-host' },
  ];
  test.each(mended.map((fault) => [fault.kind, fault] as const))('%s is green, and so is a clone', async (_, fault) => {
    const place = await v2.place();
    if (fault.kind === 'redirect-same-host') await v2.scene.emulator.createRepository(place.name.replace(/web$/, 'moved'), { commits: 1 });
    v2.scene.emulator.git.faults.set(place.name, fault);
    isGreen(await doctor(v2.daemon, place.url));
    expect((await v2.clone(place, fault)).code).toBe(0);
  });
});
