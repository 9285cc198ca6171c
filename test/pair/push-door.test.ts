/**
 * Pushes over raw sockets, against the rules for refs. The attacks: a command list that is cut so that its end is overlooked,
 * that is written so that git reads other commands than we do, that is hidden in a coding, that has no end, that is posted
 * without asking for the advertisement first. What is refused never reaches the upstream, and costs no token.
 */
import { connect, type Socket } from 'node:net';
import { deflateSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { CLOSE, type Door, openDoor, requestBytes } from './door-rig.js';

const NONE = '0'.repeat(40);
const ONE = '1'.repeat(40);
const TYPE = 'Content-Type: application/x-git-receive-pack-request';
const MIB = 1024 * 1024;

let door: Door;

beforeAll(async () => {
  door = await openDoor((emulator) => [
    { match: 'dev.azure.com/contoso/Payments/web', refs: { allow: ['refs/heads/agent/*'], protect: [], changes: ['create', 'update'] } },
    { match: 'dev.azure.com/contoso/Reads/**', allow: ['fetch'] },
    { match: 'git.example.com/**', identity: 'own', hostKind: 'generic', upstream: new URL(`${emulator.git.origin}/git.example.com`) },
  ]);
  await door.emulator.createRepository('contoso/Reads/web');
  await door.emulator.createRepository('contoso/Open/web');
});
beforeEach(() => {
  door.emulator.git.seen.length = 0;
});
afterAll(() => door.close());

function packet(payload: string): string {
  return (Buffer.byteLength(payload, 'latin1') + 4).toString(16).padStart(4, '0') + payload;
}

function listOf(refs: readonly string[], capabilities = 'report-status'): string {
  return `${refs.map((ref, index) => packet(`${NONE} ${ONE} ${ref}${index === 0 ? `\0${capabilities}` : ''}`)).join('')}0000`;
}

const MAIN = listOf(['refs/heads/agent/x', 'refs/heads/main']);
const AGENT = listOf(['refs/heads/agent/x']);

const post = (repository = 'Payments/_git/web'): string => `POST /dev.azure.com/contoso/${repository}/git-receive-pack HTTP/1.1`;

function sized(body: string | Buffer, headers: readonly string[] = [], line = post()): string {
  const text = typeof body === 'string' ? body : body.toString('latin1');
  return requestBytes(door.port, line, [TYPE, CLOSE, `Content-Length: ${text.length}`, ...headers], text);
}

function chunked(pieces: readonly string[], headers: readonly string[] = [], line = post()): string {
  const body = [...pieces, ''].map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('');
  return requestBytes(door.port, line, [TYPE, CLOSE, 'Transfer-Encoding: chunked', ...headers], body);
}

/** Nothing was asked of the upstream. */
function unseen(): void {
  expect(door.emulator.git.seen).toEqual([]);
}

const REFUSED = [
  packet('unpack ok\n'),
  packet('ng refs/heads/agent/x postern: not pushed, because refs/heads/main was refused\n'),
  packet('ng refs/heads/main postern: the route dev.azure.com/contoso/Payments/web allows only refs/heads/agent/*\n'),
  '0000',
].join('');

describe('a command list is read to its end before anything goes upstream', () => {
  test('control: an allowed one goes up, as it came', async () => {
    expect(await door.raw(sized(AGENT))).toMatch(/^HTTP\/1\.1 200 /);
    expect(door.emulator.git.seen.map(({ method, authorization }) => [method, authorization])).toEqual([['POST', 'bearer']]);
  });

  test('cut at every byte across two chunks of one body, it is refused each time', { timeout: 60_000 }, async () => {
    for (let cut = 1; cut < MAIN.length; cut++) {
      const answer = await door.raw(chunked([MAIN.slice(0, cut), MAIN.slice(cut)]));
      expect(answer.endsWith(`\r\n\r\n${REFUSED}`), `${cut}: ${answer}`).toBe(true);
    }
    unseen();
  });

  test.each([1, 5, 100, AGENT.length - 1, AGENT.length + 3])('cut after %i bytes by time, with a pack behind it', async (cut) => {
    for (const [list, isAllowed] of [
      [AGENT, true],
      [MAIN, false],
    ] as const) {
      door.emulator.git.seen.length = 0;
      const bytes = sized(`${list}PACK${'x'.repeat(3 * MIB)}`);
      const at = bytes.indexOf('\r\n\r\n') + 4 + cut;
      const answer = await inTwo(bytes.slice(0, at), bytes.slice(at));
      expect(door.emulator.git.seen.length).toBe(isAllowed ? 1 : 0);
      if (isAllowed) expect(answer).toMatch(/^HTTP\/1\.1 200 /);
      else expect(answer.endsWith(REFUSED), answer).toBe(true);
    }
  });

  test('20,000 refs in one push', async () => {
    const refs = Array.from({ length: 20_000 }, (_, index) => `refs/heads/agent/${index}`);
    expect(await door.raw(sized(listOf(refs)))).toMatch(/^HTTP\/1\.1 200 /);
    expect(door.emulator.git.seen).toHaveLength(1);
    door.emulator.git.seen.length = 0;
    const answer = await door.raw(sized(listOf([...refs, 'refs/heads/main'])));
    expect(answer.match(/ng refs\/heads\//g)).toHaveLength(20_001);
    unseen();
  });

  test('a list that has no end is refused at 16 MiB', async () => {
    const refs = Array.from({ length: 300 }, (_, index) => `refs/heads/agent/${index}${'x'.repeat(60_000)}`);
    const answer = await door.raw(sized(listOf(refs)));
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toContain('longer than 16 MiB');
    unseen();
  });

  test('a caller that leaves in the middle of it leaves nothing behind', async () => {
    const socket = connect(door.port, '127.0.0.1');
    const before = door.house.ledger.counts()['client-gone'];
    socket.write(chunked([MAIN]).slice(0, -40));
    await until(() => door.house.ledger.running().length === 1);
    socket.destroy();
    await until(() => door.house.ledger.running().length === 0);
    expect(door.house.ledger.counts()['client-gone']).toBe(before + 1);
    unseen();
  });

  test('long lists share a bound: who comes when it is reached is told so, short ones pass, and it is free again afterwards', async () => {
    const line = (index: number): string => packet(`${NONE} ${ONE} refs/heads/agent/${index}${'x'.repeat(60_000)}`);
    const long = Array.from({ length: 260 }, (_, index) => line(index)).join('');
    const slow = await Promise.all(
      [0, 1].map(async () => {
        const socket = connect(door.port, '127.0.0.1').on('error', () => undefined);
        socket.write(requestBytes(door.port, post(), [TYPE, `Content-Length: ${20 * MIB}`]));
        await new Promise<void>((resolve) => socket.write(long, 'latin1', () => resolve()));
        return socket;
      }),
    );
    const third = sized(listOf(Array.from({ length: 100 }, (_, index) => `refs/heads/agent/${index}${'x'.repeat(60_000)}`)));
    await until(async () => /^HTTP\/1\.1 503 /.test(await door.raw(third)));
    unseen();
    expect(await door.raw(sized(AGENT))).toMatch(/^HTTP\/1\.1 200 /);
    for (const socket of slow) socket.destroy();
    await until(() => door.house.ledger.running().length === 0);
    expect(await door.raw(third)).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('malformed pkt-lines are refused, never forwarded', () => {
  const command = `${NONE} ${ONE} refs/heads/agent/x`;
  const cases: readonly (readonly [string, string])[] = [
    ['no packets', 'PACK\0\0\0\u0002'],
    ['a length that is no number', 'zzzz'],
    ['a length of 3', '0003'],
    ['an empty packet', '0004'],
    ['a delimiter', `${packet(`${command}\0report-status`)}0001`],
    ['a length beyond the body', `00ff${command}\0report-status`],
    ['no flush', packet(`${command}\0report-status`)],
    ['half a length', `${packet(`${command}\0report-status`)}00`],
    ['capitals in an id', `${packet(`${NONE} ${'A'.repeat(40)} refs/heads/agent/x\0report-status`)}0000`],
    ['two commands in a packet', `${packet(`${command}\n${NONE} ${ONE} refs/heads/main\n`)}0000`],
    ['a second NUL', `${packet(`${command}\0report-status`)}${packet(`${command}y\0x`)}0000`],
    ['a name that is not UTF-8', `${packet(`${command}\xff\0report-status`)}0000`],
    ['commands behind the probe', `0000${AGENT}`],
    ['one byte behind the probe', '0000P'],
  ];
  test.each(cases)('%s', async (_, body) => {
    for (const bytes of [sized(body), chunked([body]), chunked(body.split('')), sized(body, [], post('Open/_git/web'))]) {
      const answer = await door.raw(bytes);
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(answer).toContain('\r\ncontent-type: text/plain; charset=utf-8\r\n');
      expect(answer).toContain('postern: The command list of the push cannot be read, so it was not passed on: ');
    }
    unseen();
    expect(door.house.ledger.failures().at(-1)?.failure?.code).toBe('push-unreadable');
  });

  test('the probe, and a body of nothing (which NTLM sends first), go up', async () => {
    expect(await door.raw(sized('0000'))).toMatch(/^HTTP\/1\.1 200 /);
    expect(await door.raw(chunked(['00', '00']))).toMatch(/^HTTP\/1\.1 200 /);
    const own = 'POST /git.example.com/team/web/git-receive-pack HTTP/1.1';
    await door.raw(sized('', [], own));
    await door.raw(requestBytes(door.port, own, [TYPE, CLOSE]));
    expect(door.emulator.git.seen).toHaveLength(4);
  });
});

describe('a coded body is read, and goes up as it came', () => {
  const PACK = `PACK${'x'.repeat(2 * MIB)}`;

  test.each(['gzip', 'x-gzip'])('%s', async (coding) => {
    const header = [`Content-Encoding: ${coding}`];
    expect(await door.raw(sized(gzipSync(Buffer.from(AGENT, 'latin1')), header))).toMatch(/^HTTP\/1\.1 200 /);
    expect(await door.raw(chunked(gzipSync(Buffer.from(AGENT, 'latin1')).toString('latin1').split(''), header))).toMatch(
      /^HTTP\/1\.1 200 /,
    );
    const seen = door.emulator.git.seen.map(({ headers }) => headers['content-encoding']);
    expect(seen).toEqual([coding, coding]);
    door.emulator.git.seen.length = 0;
    for (const list of [MAIN, MAIN + PACK]) {
      const answer = await door.raw(sized(gzipSync(Buffer.from(list, 'latin1'), { level: 0 }), header));
      expect(answer.endsWith(REFUSED), answer).toBe(true);
    }
    unseen();
  });

  test('an empty body with the header goes up', async () => {
    expect(await door.raw(sized('', ['Content-Encoding: gzip']))).toMatch(/^HTTP\/1\.1 /);
    expect(door.emulator.git.seen).toHaveLength(1);
  });

  test.each(['deflate', 'br', 'identity', 'GZIP', 'gzip, gzip', ''])('the coding %j is refused', async (coding) => {
    const body = coding === 'deflate' ? deflateSync(Buffer.from(AGENT)) : gzipSync(Buffer.from(AGENT));
    expect(await door.raw(sized(body, [`Content-Encoding: ${coding}`]))).toMatch(/^HTTP\/1\.1 415 /);
    expect(await door.raw(sized(AGENT, [`Content-Encoding: ${coding}`]))).toMatch(/^HTTP\/1\.1 415 /);
    unseen();
  });

  const gz = (text: string | Buffer): Buffer => gzipSync(typeof text === 'string' ? Buffer.from(text, 'latin1') : text);
  const shallow = packet(`shallow ${ONE}`);
  test.each<[string, () => Buffer, number]>([
    ['what is none', () => Buffer.from(AGENT, 'latin1'), 400],
    ['one that is cut', () => gz(AGENT).subarray(0, -12), 400],
    ['one that is cut before its list', () => gz(`${shallow.repeat(5000)}${AGENT}`).subarray(0, 40), 400],
    ['one whose list has no end', () => gz(AGENT.slice(0, -4)), 400],
    ['commands behind the probe, in a second member', () => Buffer.concat([gz('0000'), gz(AGENT)]), 400],
    ['something behind the probe', () => Buffer.concat([gz('0000'), Buffer.alloc(1000)]), 400],
    ['something without end behind the probe', () => Buffer.concat([gz('0000'), Buffer.alloc(20 * MIB)]), 400],
    ['a list that grows a thousandfold', () => gz(shallow.repeat((40 * MIB) / shallow.length)), 413],
    ['members that hold nothing', () => Buffer.alloc(17 * MIB, gz('')), 413],
  ])('%s is refused', { timeout: 60_000 }, async (_, body, status) => {
    const answer = await door.raw(sized(body(), ['Content-Encoding: gzip']));
    expect(answer.slice(0, 13)).toBe(`HTTP/1.1 ${status} `);
    expect(answer).toContain('postern: The command list of the push cannot be read');
    unseen();
  });
});

describe('what is refused before its body is told in the way that git shows', () => {
  test('a read-only route refuses the POST alone, as strictly as the advertisement', async () => {
    const tokens = door.emulator.sts.tokenRequests.length;
    const advertisement = await door.raw(
      requestBytes(door.port, 'GET /dev.azure.com/contoso/Reads/_git/web/info/refs?service=git-receive-pack HTTP/1.1', [CLOSE]),
    );
    expect(advertisement).toMatch(/^HTTP\/1\.1 403 /);
    const line = post('Reads/_git/web');
    for (const bytes of [
      sized(MAIN, [], line),
      chunked([`${MAIN}PACK`], [], line),
      sized(gzipSync(Buffer.from(MAIN, 'latin1')), ['Content-Encoding: gzip'], line),
    ]) {
      const answer = await door.raw(bytes);
      expect(answer).toMatch(/^HTTP\/1\.1 200 /);
      expect(answer).toContain('\r\ncontent-type: application/x-git-receive-pack-result\r\n');
      expect(answer).toMatch(
        /ng refs\/heads\/agent\/x postern: The route allows fetch, not push \| .*\n.{4}ng refs\/heads\/main postern: The route allows fetch, not push/,
      );
    }
    const record = door.house.ledger.failures().at(-1);
    expect(record).toMatchObject({ verdict: 'refused', failure: { code: 'not-allowed' }, refsLeftOut: 0 });
    expect(record?.refs.map(({ ref }) => ref)).toEqual(['refs/heads/agent/x', 'refs/heads/main']);
    unseen();
    expect(door.emulator.sts.tokenRequests).toHaveLength(tokens);
  });

  test.each([
    ['a list that cannot be read', 'PACK'],
    ['no list', ''],
    ['a client that asks for no report', listOf(['refs/heads/main'], 'atomic')],
  ])('and in plain text where git could not: %s', async (_, body) => {
    const answer = await door.raw(sized(body, [], post('Reads/_git/web')));
    expect(answer).toMatch(/^HTTP\/1\.1 403 /);
    expect(answer).toContain('postern: The route allows fetch, not push');
    unseen();
  });

  test('a fetch too', async () => {
    const body = packet('command=fetch');
    const bytes = requestBytes(
      door.port,
      'POST /elsewhere.example.com/a/b/git-upload-pack HTTP/1.1',
      ['Content-Type: application/x-git-upload-pack-request', `Content-Length: ${body.length}`],
      body,
    );
    const answer = await door.raw(
      bytes + requestBytes(door.port, 'GET /dev.azure.com/contoso/Payments/_git/web/info/refs?service=git-upload-pack HTTP/1.1', [CLOSE]),
    );
    expect(answer).toMatch(/^HTTP\/1\.1 200 /);
    expect(answer).toContain('ERR postern: No route matches');
    expect(answer.toLowerCase()).toContain('\r\nconnection: close\r\n');
    expect(answer.match(/HTTP\/1\.1 /g)).toHaveLength(1);
    unseen();
  });
});

test('the rest of a refused push is read, and the connection serves the next request', async () => {
  const rest = `PACK${'x'.repeat(5 * MIB)}`;
  const first = sized(MAIN + rest).replace(`${CLOSE}\r\n`, '');
  const answer = await door.raw(first + sized(AGENT));
  expect(answer.match(/HTTP\/1\.1 200 /g)).toHaveLength(2);
  expect(door.emulator.git.seen).toHaveLength(1);
  const record = door.house.ledger.failures().at(-1);
  expect(record?.bytesUp).toBe(MAIN.length + rest.length);
});

test('a record holds so many refs and says how many more there were', async () => {
  const refs = Array.from({ length: 1500 }, (_, index) => `refs/heads/${index}`);
  await door.raw(sized(listOf(refs)));
  const record = door.house.ledger.failures().at(-1);
  expect([record?.refs.length, record?.refsLeftOut]).toEqual([1000, 500]);
});

/** Sends the second part when the first has surely been read on its own. */
function inTwo(first: string, second: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    const socket: Socket = connect(door.port, '127.0.0.1');
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1'))).on('error', () => undefined);
    socket.on('close', () => resolve(text));
    socket.write(first, 'latin1', () => {
      void until(() => door.house.ledger.running().length === 1).then(() => socket.write(second, 'latin1'));
    });
  });
}

async function until(isTrue: () => boolean | Promise<boolean>, withinMs = 10_000): Promise<void> {
  const end = Date.now() + withinMs;
  while (!(await isTrue())) {
    if (Date.now() > end) throw new Error('it never came true');
    await new Promise((resume) => setTimeout(resume, 10));
  }
}
