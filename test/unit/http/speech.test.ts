/** What goes over the wire, byte by byte: git shows nothing else. */
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { CommandList } from '../../../src/git/receive-pack.js';
import { sayIn, sayTo, sayPlain } from '../../../src/http/speech.js';
import type { HttpOperation } from '../../../src/model/operation.js';
import type { Refusal } from '../../../src/model/refusal.js';
import { addressOf } from '../route.js';

const REFUSAL: Refusal = {
  kind: 'refusal',
  code: 'upstream-throttled',
  status: 429,
  what: 'Wait for \u00e9',
  todo: 'try again',
  route: 'h/**',
  upstreamText: 'its words',
  activityId: 'a-1',
  retryAfterSeconds: 2.2,
};
const TEXT =
  'postern: Wait for \u00e9\n  upstream said: its words\n  route h/**, ActivityId a-1\n  what to do: try again\n  more: postern explain upstream-throttled\n';

/** The bytes that a response writes, without a connection. */
function spoken(say: (response: ServerResponse) => void): { head: string[]; body: string } {
  const response = new ServerResponse(new IncomingMessage(new Socket()));
  response.sendDate = false;
  const chunks: Buffer[] = [];
  const socket = new Socket();
  socket.write = (chunk: string | Uint8Array, encoding?: unknown): boolean => {
    chunks.push(typeof chunk === 'string' ? Buffer.from(chunk, encoding === 'latin1' ? 'latin1' : 'utf8') : Buffer.from(chunk));
    return true;
  };
  response.assignSocket(socket);
  say(response);
  response.detachSocket(socket);
  const text = Buffer.concat(chunks).toString('utf8');
  const end = text.indexOf('\r\n\r\n');
  return { head: text.slice(0, end).split('\r\n'), body: text.slice(end + 4) };
}

function operation(kind: HttpOperation['kind'], step: HttpOperation['step']): HttpOperation {
  return { kind, step, address: addressOf('dev.azure.com/contoso/web/_git/app')! };
}

function pushOf(...capabilities: string[]): CommandList {
  return { commands: [{ oldOid: '0'.repeat(40), newOid: 'a'.repeat(40), ref: 'refs/heads/main' }], capabilities: new Set(capabilities) };
}

describe('sayPlain()', () => {
  it('is exactly text/plain with the status, its length in bytes, and what helps a next try', () => {
    const { head, body } = spoken((response) => sayPlain(response, REFUSAL));
    expect(body).toBe(TEXT);
    expect(head).toEqual([
      'HTTP/1.1 429 Too Many Requests',
      'content-type: text/plain; charset=utf-8',
      `content-length: ${Buffer.byteLength(TEXT)}`,
      'cache-control: no-store',
      'x-content-type-options: nosniff',
      'retry-after: 3',
      'activityid: a-1',
      expect.stringMatching(/^Connection: /) as string,
      ...head.slice(8),
    ]);
  });

  it('says of a HEAD request the length alone, and closes when asked to', () => {
    const { head, body } = spoken((response) => sayPlain(response, REFUSAL, { isHead: true, close: true }));
    expect(body).toBe('');
    expect(head).toContain(`content-length: ${Buffer.byteLength(TEXT)}`);
    expect(head).toContain('connection: close');
  });

  it('leaves out what is not known', () => {
    const { head } = spoken((response) => sayPlain(response, { ...REFUSAL, activityId: undefined, retryAfterSeconds: undefined }));
    expect(head.join('\n')).not.toMatch(/activityid|retry-after/);
  });
});

describe('sayTo()', () => {
  it.each(['fetch', 'push'] as const)('says a refused advertisement of a %s as plain text', (kind) => {
    const { head, body } = spoken((response) => sayTo(response, operation(kind, 'advertisement'), REFUSAL, undefined));
    expect([head[0], head[1], body]).toEqual(['HTTP/1.1 429 Too Many Requests', 'content-type: text/plain; charset=utf-8', TEXT]);
  });

  it('says a refused fetch as 200 and one ERR packet', () => {
    const { head, body } = spoken((response) => sayTo(response, operation('fetch', 'exchange'), REFUSAL, undefined));
    expect(head.slice(0, 2)).toEqual(['HTTP/1.1 200 OK', 'content-type: application/x-git-upload-pack-result']);
    expect(body).toBe(`${(Buffer.byteLength(TEXT) - 1 + 8).toString(16).padStart(4, '0')}ERR ${TEXT.slice(0, -1)}`);
  });

  it('says a refused push as 200 and a report', () => {
    const { head, body } = spoken((response) => sayTo(response, operation('push', 'exchange'), REFUSAL, pushOf('report-status')));
    expect(head.slice(0, 2)).toEqual(['HTTP/1.1 200 OK', 'content-type: application/x-git-receive-pack-result']);
    const line = 'ng refs/heads/main postern: Wait for \u00e9 | route h/**, ActivityId a-1 | what to do: try again\n';
    expect(body).toBe(`000eunpack ok\n${(Buffer.byteLength(line) + 4).toString(16).padStart(4, '0')}${line}0000`);
  });

  it('shows the whole text of a refused push beside the report, where there is a side band', () => {
    const { body } = spoken((response) =>
      sayTo(response, operation('push', 'exchange'), REFUSAL, pushOf('report-status', 'side-band-64k')),
    );
    for (const line of TEXT.trimEnd().split('\n')) expect(body).toContain(`\u0002${line}\n`);
    expect(body).toContain('\u0001000eunpack ok\n');
  });

  it.each<[what: string, commands: CommandList | undefined]>([
    ['whose list was not read', undefined],
    ['of a client that wants no report', pushOf('side-band-64k')],
  ])("says a push %s as plain text, and closes: the rest of its body is nobody's", (_what, commands) => {
    const { head, body } = spoken((response) => sayTo(response, operation('push', 'exchange'), REFUSAL, commands));
    expect([head[0], body]).toEqual(['HTTP/1.1 429 Too Many Requests', TEXT]);
    expect(head).toContain('connection: close');
  });

  it('answers the probe before a large push with nothing: git would lose the text', () => {
    const { head, body } = spoken((response) =>
      sayTo(response, operation('push', 'exchange'), REFUSAL, { commands: [], capabilities: new Set() }),
    );
    expect([head[0], body]).toEqual(['HTTP/1.1 200 OK', '']);
  });

  it('never says 401', () => {
    for (const kind of ['fetch', 'push'] as const)
      for (const step of ['advertisement', 'exchange'] as const)
        expect(spoken((response) => sayTo(response, operation(kind, step), REFUSAL, pushOf('report-status'))).head[0]).not.toContain('401');
  });
});

describe('sayIn()', () => {
  it('never says 429 to git-lfs, which shows no word of it and may fall over', () => {
    const { head, body } = spoken((response) => sayIn('lfs', response, { ...REFUSAL, upstreamStatus: 429 }));
    expect(head[0]).toBe('HTTP/1.1 503 Service Unavailable');
    expect(head).toContain('retry-after: 3');
    expect(JSON.parse(body)).toMatchObject({ message: expect.stringContaining('postern: Wait for') as string });
    expect(spoken((response) => sayIn('lfs', response, REFUSAL)).head[0]).toBe('HTTP/1.1 503 Service Unavailable');
    expect(spoken((response) => sayIn('api', response, REFUSAL)).head[0]).toBe('HTTP/1.1 429 Too Many Requests');
  });

  it('never says 401 to git-lfs, which would write into the configuration that it has to sign in', () => {
    const refusal: Refusal = { kind: 'refusal', code: 'lease-required', status: 403, what: 'no', todo: 'ask', asksForLease: true };
    expect(spoken((response) => sayIn('lfs', response, refusal)).head[0]).toBe('HTTP/1.1 403 Forbidden');
    expect(spoken((response) => sayIn('lfs', response, { ...refusal, upstreamStatus: 401 })).head[0]).toBe('HTTP/1.1 403 Forbidden');
  });
});
