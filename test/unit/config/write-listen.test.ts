import { describe, expect, it } from 'vitest';
import { appendListen, listenLines, type WrittenDoors } from '../../../src/config/write-listen.js';
import { load } from './loading.js';

const BLOCK = '# Why.\nlisten:\n  http: localhost:8418\n';
const HTTP = { http: ['localhost:8418'] };
const edit = (text: string | undefined, doors: WrittenDoors = HTTP) =>
  appendListen(text === undefined ? undefined : Buffer.from(text, 'latin1'), doors, 'Why.');

describe('appendListen()', () => {
  it.each([
    ['no file', undefined, BLOCK],
    ['an empty file', '', BLOCK],
    ['a comment', '# mine\n', `# mine\n\n${BLOCK}`],
    ['a last line without its newline', 'log: { level: debug }', `log: { level: debug }\n\n${BLOCK}`],
    ['CRLF', 'log:\r\n  level: debug\r\n', `log:\r\n  level: debug\r\n\n${BLOCK}`],
    ['an anchor and blanks at the end', 'log: &x { level: debug }\n\n\n', `log: &x { level: debug }\n\n\n\n${BLOCK}`],
    ['a document that begins with ---', '---\nlog: { level: debug }\n', `---\nlog: { level: debug }\n\n${BLOCK}`],
  ])('adds lines to %s and keeps every byte before them', async (_, before, after) => {
    const found = edit(before);
    expect(found.kind === 'text' && found.bytes.toString('latin1')).toBe(after);
    const { settings } = await load(after);
    expect(settings.listen.http.map(({ port }) => port)).toEqual([8418, 8418]);
  });

  it.each([
    [
      'both doors',
      { http: ['localhost:8418'], ssh: ['127.0.0.1:8423'] },
      '  http: localhost:8418\n  ssh: 127.0.0.1:8423\n',
      [8418, 8418, 8423],
    ],
    ['the SSH door alone', { ssh: ['127.0.0.1:8423'] }, '  ssh: 127.0.0.1:8423\n', [8417, 8417, 8423]],
  ])('writes the addresses of %s as one block', async (_, doors, lines, ports) => {
    const found = edit('log: { level: debug }\n', doors);
    const after = `log: { level: debug }\n\n# Why.\nlisten:\n${lines}`;
    expect(found.kind === 'text' && found.bytes.toString('latin1')).toBe(after);
    const { listen } = (await load(after)).settings;
    expect([...listen.http, ...listen.ssh].map(({ port }) => port)).toEqual(ports);
  });

  it.each([
    ['names listen.http', 'listen: { http: 127.0.0.1:1 }\n'],
    ['names listen.ssh', 'listen:\n  ssh: off\n'],
    ['has a listen of its own', 'listen: {}\n'],
    ['has a listen without a value', 'listen:\n'],
  ])('does not touch a file that %s, and says that it has one', (_, before) => {
    expect(edit(before)).toEqual({ kind: 'by-hand', hasListen: true });
    expect(edit(before, { ssh: ['127.0.0.1:8423'] })).toEqual({ kind: 'by-hand', hasListen: true });
  });

  it.each([
    ['is one flow map', '{ log: { level: debug } }\n'],
    ['has its keys indented', '  log: { level: debug }\n'],
    ['ends in the end of its document', 'log: { level: debug }\n...\n'],
    ['ends in a block of text that would change', 'log: |+\n  a\n'],
    ['is a list', '- a\n'],
    ['is no YAML', 'log: [\n'],
    ['holds what is not UTF-8', 'log: \xff\n'],
  ])('does not touch a file that %s', (_, before) => {
    expect(edit(before)).toEqual({ kind: 'by-hand', hasListen: false });
  });
});

describe('listenLines()', () => {
  it.each([
    [['localhost:1'], 'auto', '  http: { address: localhost:1, tls: auto }'],
    [['[::1]:1'], 'auto', '  http: { address: "[::1]:1", tls: auto }'],
    [['127.0.0.1:1', '[::1]:1'], 'auto', '  http: { address: [127.0.0.1:1, "[::1]:1"], tls: auto }'],
    [['localhost:1'], undefined, '  http: localhost:1'],
  ] as const)('writes %j with TLS %s so that it is read back', async (http, tls, line) => {
    expect(listenLines({ http }, tls)).toEqual(['listen:', line]);
    const { settings } = await load(`${listenLines({ http }, tls).join('\n')}\n`);
    expect(settings.listen.tls.kind).toBe(tls ?? 'default');
  });

  it.each([
    [['off'], '  ssh: off', []],
    [['127.0.0.1:2', '[::1]:2'], '  ssh: [127.0.0.1:2, "[::1]:2"]', ['127.0.0.1', '::1']],
  ])('writes %j of the SSH door beside the TLS of the other so that it is read back', async (ssh, line, hosts) => {
    const lines = listenLines({ http: ['localhost:1'], ssh }, 'auto');
    expect(lines).toEqual(['listen:', '  http: { address: localhost:1, tls: auto }', line]);
    expect((await load(`${lines.join('\n')}\n`)).settings.listen.ssh.map(({ host }) => host)).toEqual(hosts);
  });
});
