/** How a bridged session ends: at once, and with nothing left, wherever the client goes away. The upstream is a script at the port. */
import { PassThrough, Readable, Writable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FLUSH_PACKET, writePacket } from '../../src/git/pkt-line.js';
import { ProxyError } from '../../src/model/errors.js';
import type { SessionOperation } from '../../src/model/operation.js';
import { bridge } from '../../src/ssh/bridge.js';
import type { GitLeg, LegAnswer, LegRequest } from '../../src/ssh/git-leg.js';
import type { Carried, GitSession } from '../../src/ssh/git-session.js';
import { cutAt, places } from '../support/chunks.js';
import { trapPack } from '../support/trap-pack.js';
import { refusalOf, sessionOf } from './bridge-rig.js';

const A = 'a'.repeat(40);
const NONE = '0'.repeat(40);

function packets(...lines: readonly string[]): Buffer {
  return Buffer.concat(lines.map((text) => (text === '' ? FLUSH_PACKET : writePacket(text))));
}

const V2 = packets('version 2\n', 'ls-refs\n', 'fetch=shallow\n', '');
const V0 = packets('# service=git-upload-pack\n', '', `${A} HEAD\0multi_ack_detailed side-band-64k no-done\n`, '');
const PUSH = packets('# service=git-receive-pack\n', '', `${A} refs/heads/a\0report-status side-band-64k\n`, '');
const COMMAND = packets('command=ls-refs\n', '');

type Reply = (request: LegRequest) => LegAnswer | Promise<LegAnswer>;

/** An upstream that answers request after request as it is told, and keeps what it gave and got. */
class ScriptedLeg implements GitLeg {
  readonly requests: LegRequest[] = [];
  readonly bodies: Readable[] = [];
  readonly #replies: Reply[];

  constructor(...replies: Reply[]) {
    this.#replies = replies;
  }

  async send(request: LegRequest): Promise<LegAnswer> {
    this.requests.push(request);
    const reply = this.#replies.shift();
    if (reply === undefined) throw new Error('one request too many');
    const answer = await reply(request);
    if (answer.kind === 'answer') this.bodies.push(answer.body);
    return answer;
  }

  refusalFor(thrown: unknown): ReturnType<typeof refusalOf> {
    return refusalOf(thrown);
  }
}

/** Bytes, and then the end. */
const whole =
  (...bytes: Buffer[]): Reply =>
  () => ({ kind: 'answer', body: Readable.from(bytes, { objectMode: false }) });
/** Bytes, and then nothing. */
const open =
  (...bytes: Buffer[]): Reply =>
  () => {
    const body = new PassThrough();
    for (const chunk of bytes) body.write(chunk);
    return { kind: 'answer', body };
  };
const never: Reply = () => new Promise(() => undefined);
const failing: Reply = () => ({
  kind: 'failure',
  verdict: 'failed',
  refusal: refusalOf(new ProxyError('upstream-forbidden', 'No', { todo: 'ask' })),
});

interface Scene {
  readonly session: GitSession;
  readonly input: PassThrough;
  readonly output: PassThrough;
  readonly over: AbortController;
  readonly leg: ScriptedLeg;
  readonly carried: Promise<Carried>;
}

function play(kind: SessionOperation['kind'], ...replies: Reply[]): Scene {
  const input = new PassThrough();
  const output = new PassThrough();
  const over = new AbortController();
  const leg = new ScriptedLeg(...replies);
  const session = sessionOf(kind, { input, output, over: over.signal });
  return { session, input, output, over, leg, carried: bridge(() => leg)(session) };
}

const listeners = (stream: Readable | Writable): number => stream.eventNames().reduce((sum, name) => sum + stream.listenerCount(name), 0);
const OWN = listeners(new PassThrough());

/** Everything is let go of. */
function expectNothingLeft({ input, output, leg }: Scene): void {
  expect(listeners(input)).toBe(OWN);
  expect(listeners(output)).toBe(OWN);
  for (const body of leg.bodies) expect(body.destroyed || body.readableEnded).toBe(true);
  for (const { body } of leg.requests) if (body instanceof Readable) expect(body.destroyed).toBe(true);
}

/** Waits until `isSo`, which happens within a few turns. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

const DELETION = Buffer.concat([writePacket(`${A} ${NONE} refs/heads/a\0report-status side-band-64k`), FLUSH_PACKET]);
const CREATION = Buffer.concat([writePacket(`${NONE} ${A} refs/heads/b\0report-status side-band-64k`), FLUSH_PACKET]);
const LARGE = Buffer.concat([CREATION, Buffer.from('PACK'), Buffer.alloc(1_200_000, 7)]);
const WANTS = packets(`want ${A} multi_ack_detailed side-band-64k\n`, '');
const DEEP = packets(`want ${A} multi_ack_detailed side-band-64k\n`, 'deepen 1', '');

/** Where a client can go away: what it has sent until then, and how far the upstream is. */
const STAGES: [name: string, kind: SessionOperation['kind'], sent: Buffer, replies: Reply[]][] = [
  ['before the advertisement', 'fetch', Buffer.alloc(0), [never]],
  ['in the advertisement', 'fetch', Buffer.alloc(0), [open(V0.subarray(0, 60))]],
  ['before it has asked, version 2', 'fetch', Buffer.alloc(0), [whole(V2)]],
  ['in a command, version 2', 'fetch', COMMAND.subarray(0, 9), [whole(V2)]],
  [
    'in a long command, version 2',
    'fetch',
    Buffer.concat([packets('command=fetch'), ...Array<Buffer>(30_000).fill(packets(`want ${A}\n`))]),
    [whole(V2), never],
  ],
  ['before an answer, version 2', 'fetch', COMMAND, [whole(V2), never]],
  ['in an answer, version 2', 'fetch', COMMAND, [whole(V2), open(packets('x'))]],
  ['in its wants', 'fetch', WANTS.subarray(0, 70), [whole(V0)]],
  ['behind its wants', 'fetch', WANTS, [whole(V0)]],
  ['waiting for the edge', 'fetch', DEEP, [whole(V0), open(packets(`shallow ${A}`))]],
  ['in its haves', 'fetch', Buffer.concat([WANTS, packets(`have ${A}\n`)]), [whole(V0)]],
  ['waiting for an ACK', 'fetch', Buffer.concat([WANTS, packets(`have ${A}\n`, '')]), [whole(V0), open(packets(`ACK ${A} common\n`))]],
  ['in the pack', 'fetch', Buffer.concat([WANTS, packets('done\n')]), [whole(V0), open(packets('NAK\n', '\u0001PACK'))]],
  ['before the advertisement of a push', 'push', Buffer.alloc(0), [never]],
  ['in its command list', 'push', DELETION.subarray(0, 20), [whole(PUSH)]],
  ['in its pack', 'push', Buffer.concat([CREATION, Buffer.from('PACK')]), [whole(PUSH)]],
  ['in a large pack', 'push', LARGE, [whole(PUSH), never]],
  [
    'in a large pack that is being read',
    'push',
    LARGE,
    [whole(PUSH), (request) => ((request.body as Readable).on('error', () => undefined).resume(), never(request))],
  ],
  ['before the report', 'push', DELETION, [whole(PUSH), never]],
  ['in the report', 'push', DELETION, [whole(PUSH), open(packets('\u0002working'))]],
  ['in a report while the pack goes up', 'push', LARGE, [whole(PUSH), open(packets('\u0002working'))]],
];

describe('bridge(), a client that goes away', () => {
  it.each(STAGES)('%s', async (_, kind, sent, replies) => {
    for (const how of ['over', 'output', 'input'] as const) {
      const scene = play(kind, ...replies);
      const { input, output, over, leg, carried } = scene;
      output.resume();
      for (let at = 0; at < sent.length; at += 16_000) input.write(sent.subarray(at, at + 16_000));
      await until(() => leg.requests.length === replies.length);
      // A few turns, so that what can go on has gone on.
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      if (how === 'over') over.abort();
      else if (how === 'output') output.destroy();
      else input.destroy();
      expect(await carried).toEqual({ kind: 'over' });
      await until(() => (how === 'output' ? output.closed : how === 'input' ? input.closed : true));
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      expectNothingLeft(scene);
    }
  });

  it('before it came', async () => {
    const input = new PassThrough();
    const leg = new ScriptedLeg(never);
    const carried = await bridge(() => leg)(sessionOf('fetch', { input, output: new PassThrough(), over: AbortSignal.abort() }));
    expect(carried).toEqual({ kind: 'over' });
  });

  it('lets go of an answer that comes after it', async () => {
    let give: (answer: LegAnswer) => void = () => undefined;
    const { over, carried } = play('fetch', () => new Promise<LegAnswer>((resolve) => (give = resolve)));
    await until(() => true);
    over.abort();
    expect(await carried).toEqual({ kind: 'over' });
    const body = new PassThrough();
    give({ kind: 'answer', body });
    await until(() => body.destroyed);
  });

  it('breaks its upload off with a fault, so that it never looks finished', async () => {
    const { input, over, leg, carried } = play('push', whole(PUSH), never);
    input.write(LARGE);
    await until(() => leg.requests.length === 2);
    const upload = leg.requests[1]!.body as Readable;
    const ends: string[] = [];
    upload.on('end', () => ends.push('end')).on('error', (fault: Error) => ends.push(fault.message));
    const closed = new Promise((resolve) => upload.once('close', resolve));
    upload.resume();
    over.abort();
    await carried;
    await closed;
    expect(ends).toEqual(['the client is gone']);
  });
});

describe('bridge(), a session that ends otherwise', () => {
  it.each<[name: string, kind: SessionOperation['kind'], sent: Buffer, replies: Reply[], expected: Carried]>([
    ['with nothing wanted', 'fetch', FLUSH_PACKET, [whole(V2)], { kind: 'passed', exitCode: 0 }],
    ['with nothing wanted, version 0', 'fetch', FLUSH_PACKET, [whole(V0)], { kind: 'passed', exitCode: 0 }],
    [
      'with two commands',
      'fetch',
      Buffer.concat([COMMAND, COMMAND, FLUSH_PACKET]),
      [whole(V2), whole(packets('')), whole(packets('a', ''))],
      { kind: 'passed', exitCode: 0 },
    ],
    [
      'with a pack',
      'fetch',
      Buffer.concat([WANTS, packets('done\n')]),
      [whole(V0), whole(packets('NAK\n', '\u0001PACK', ''))],
      { kind: 'passed', exitCode: 0 },
    ],
    ['with a report', 'push', DELETION, [whole(PUSH), whole(packets('\u0001000eunpack ok\n0000', ''))], { kind: 'passed', exitCode: 0 }],
    [
      'with a fatal message in the side-band',
      'fetch',
      COMMAND,
      [whole(V2), whole(packets('\u0003died\n'))],
      { kind: 'passed', exitCode: 128 },
    ],
  ])('%s leaves nothing', async (_, kind, sent, replies, expected) => {
    const scene = play(kind, ...replies);
    scene.output.resume();
    scene.input.write(sent);
    expect(await scene.carried).toEqual(expected);
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    expectNothingLeft(scene);
  });

  it.each<[name: string, kind: SessionOperation['kind'], sent: Buffer, replies: Reply[]]>([
    ['the advertisement', 'fetch', Buffer.alloc(0), [failing]],
    ['a command', 'fetch', COMMAND, [whole(V2), failing]],
    ['an edge', 'fetch', DEEP, [whole(V0), failing]],
    ['haves', 'fetch', Buffer.concat([WANTS, packets(`have ${A}\n`, '')]), [whole(V0), failing]],
    ['a pack', 'fetch', Buffer.concat([WANTS, packets('done\n')]), [whole(V0), failing]],
    ['the advertisement of a push', 'push', Buffer.alloc(0), [failing]],
    ['a push', 'push', DELETION, [whole(PUSH), failing]],
    ['a large push', 'push', LARGE, [whole(PUSH), failing]],
  ])('because the upstream refuses %s: the client is between answers, and can be told', async (name, kind, sent, replies) => {
    const scene = play(kind, ...replies);
    scene.output.resume();
    scene.input.write(sent);
    const carried = await scene.carried;
    expect(carried).toMatchObject({ kind: 'failed', verdict: 'failed', where: 'between', refusal: { code: 'upstream-forbidden' } });
    expect(carried.kind === 'failed' && carried.commands?.commands.length).toBe(
      name.endsWith(' push') && !name.startsWith('the') ? 1 : undefined,
    );
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    expectNothingLeft(scene);
  });

  it.each<[name: string, sent: Buffer, adv: Buffer]>([
    ['no packets, version 2', Buffer.from('GET / HTTP/1.1\r\n'), V2],
    ['no packets, version 0', Buffer.from('GET / HTTP/1.1\r\n'), V0],
    ['no haves', Buffer.concat([WANTS, packets('hello\n')]), V0],
    ['a delimiter among the wants', Buffer.from('0001'), V0],
  ])('because the client sends %s', async (_, sent, adv) => {
    const scene = play('fetch', whole(adv));
    scene.output.resume();
    scene.input.write(sent);
    expect(await scene.carried).toMatchObject({
      kind: 'failed',
      verdict: 'refused',
      where: 'between',
      refusal: { code: 'request-malformed' },
    });
    expectNothingLeft(scene);
  });

  it('with a pack that is not in packets: whole it has passed, cut it is broken', async () => {
    const pack = trapPack('sha1').bytes;
    for (const [size, expected] of [
      [pack.length, { kind: 'passed', exitCode: 0 }],
      [pack.length - 1, { kind: 'failed', verdict: 'broken', where: 'inside', refusal: { code: 'upstream-broken' } }],
      [0, { kind: 'failed', verdict: 'broken', where: 'inside' }],
    ] as const) {
      const scene = play('fetch', whole(V0), whole(packets('NAK\n'), pack.subarray(0, size)));
      scene.output.resume();
      scene.input.write(packets(`want ${A} multi_ack_detailed\n`, '', 'done\n'));
      expect(await scene.carried).toMatchObject(expected);
    }
  });

  it('because a fetch of version 0 has no end', async () => {
    const scene = play('fetch', whole(V0));
    scene.output.resume();
    const many = Buffer.concat(Array<Buffer>(1000).fill(packets(`want ${A}\n`)));
    const state = { isOver: false };
    void scene.carried.then(() => (state.isOver = true));
    for (let sent = 0; sent < 20e6 && !state.isOver; sent += many.length) {
      if (!scene.input.write(many)) await Promise.race([new Promise((resolve) => scene.input.once('drain', resolve)), scene.carried]);
    }
    expect(await scene.carried).toMatchObject({ kind: 'failed', verdict: 'refused', refusal: { code: 'request-malformed' } });
  });
});

describe('bridge(), bytes', () => {
  const B = 'b'.repeat(40);
  const EDGE = packets(`shallow ${B}`, '');
  const PACK = packets('\u0002Counting\n', '\u0001PACK...', '');
  /** What the client says, what the upstream answers to each request, what the client gets, and the bodies that go up. */
  const TALKS: [name: string, kind: SessionOperation['kind'], said: Buffer, answers: Buffer[], got: Buffer, bodies: Buffer[]][] = [
    [
      'a fetch of version 0 that deepens',
      'fetch',
      Buffer.concat([DEEP, packets(`have ${A}\n`, `have ${B}\n`, '', `have ${A.replace('a', 'c')}\n`, 'done\n')]),
      [
        V0,
        Buffer.concat([EDGE, packets('NAK\n')]),
        Buffer.concat([EDGE, packets(`ACK ${A} common\n`, 'NAK\n')]),
        Buffer.concat([EDGE, packets(`ACK ${A} common\n`, `ACK ${A}\n`), PACK]),
      ],
      Buffer.concat([
        packets(`${A} HEAD\0multi_ack_detailed side-band-64k\n`, ''),
        EDGE,
        packets(`ACK ${A} common\n`, 'NAK\n', `ACK ${A}\n`),
        PACK,
      ]),
      [
        packets(`want ${A} multi_ack_detailed side-band-64k\n`, 'deepen 1\n', ''),
        packets(`want ${A} multi_ack_detailed side-band-64k\n`, 'deepen 1\n', '', `have ${A}\n`, `have ${B}\n`, ''),
        packets(`want ${A} multi_ack_detailed side-band-64k\n`, 'deepen 1\n', '', `have ${A}\n`, `have ${A.replace('a', 'c')}\n`, 'done\n'),
      ],
    ],
    [
      'a fetch of version 2',
      'fetch',
      Buffer.concat([
        COMMAND,
        packets('command=fetch', 'object-format=sha1'),
        Buffer.from('0001'),
        packets(`want ${A}\n`, 'done\n', '', ''),
      ]),
      [V2, packets(`${A} HEAD\n`, ''), PACK],
      Buffer.concat([V2, packets(`${A} HEAD\n`, ''), PACK]),
      [COMMAND, Buffer.concat([packets('command=fetch', 'object-format=sha1'), Buffer.from('0001'), packets(`want ${A}\n`, 'done\n', '')])],
    ],
    [
      'a push',
      'push',
      DELETION,
      [PUSH, packets('\u0002hook\n', '\u0001000eunpack ok\n0000', '')],
      Buffer.concat([
        PUSH.subarray(packets('# service=git-receive-pack\n', '').length),
        packets('\u0002hook\n', '\u0001000eunpack ok\n0000', ''),
      ]),
      [DELETION],
    ],
  ];

  it.each(TALKS)('of %s do not depend on where they are cut', async (_, kind, said, answers, got, bodies) => {
    await fc.assert(
      fc.asyncProperty(places, places, async (saidCuts, answerCuts) => {
        const scene = play(kind, ...answers.map((answer) => whole(...cutAt(answer, answerCuts))));
        const out: Buffer[] = [];
        scene.output.on('data', (chunk: Buffer) => out.push(chunk));
        for (const chunk of cutAt(said, saidCuts)) {
          scene.input.write(chunk);
          await new Promise((resolve) => setImmediate(resolve));
        }
        expect(await scene.carried).toEqual({ kind: 'passed', exitCode: 0 });
        expect(Buffer.concat(out).toString('latin1')).toBe(got.toString('latin1'));
        expect(scene.leg.requests.slice(1).map(({ body }) => (body as Buffer).toString('latin1'))).toEqual(
          bodies.map((body) => body.toString('latin1')),
        );
      }),
      { numRuns: 50 },
    );
  });
});

describe('bridge(), memory', () => {
  it('asks the upstream for no more than the client takes', async () => {
    let given = 0;
    const chunk = packets('\u0001'.padEnd(60_000, 'x'));
    const endless: Reply = () => ({
      kind: 'answer',
      body: new Readable({
        read() {
          // As from a socket: never twice in one turn.
          setImmediate(() => {
            given += chunk.length;
            this.push(chunk);
          });
        },
      }),
    });
    const scene = play('fetch', whole(V2), endless);
    scene.input.write(COMMAND);
    await until(() => given > 0);
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    const stopped = given;
    expect(stopped).toBeLessThan(1e6);
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(given).toBe(stopped);
    scene.output.on('data', () => undefined);
    await until(() => given > stopped + 1e6);
    scene.over.abort();
    expect(await scene.carried).toEqual({ kind: 'over' });
  });

  it('takes no more of the client than the upstream does', async () => {
    const scene = play('push', whole(PUSH), never);
    scene.output.resume();
    let sent = 0;
    scene.input.write(CREATION);
    const chunk = Buffer.alloc(60_000, 7);
    const pump = (): void => {
      while (sent < 50e6) {
        sent += chunk.length;
        if (!scene.input.write(chunk)) {
          scene.input.once('drain', pump);
          return;
        }
      }
    };
    pump();
    await until(() => scene.leg.requests.length === 2);
    for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(sent).toBeLessThan(3e6);
    scene.over.abort();
    expect(await scene.carried).toEqual({ kind: 'over' });
  });
});
