import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Installation, lookAt, quoted, unitFiles } from '../../../src/cli/service/unit-files.js';

const USER: Installation = {
  scope: 'user',
  templates: join(process.cwd(), 'systemd'),
  directory: '/home/ada/.config/systemd/user',
  node: '/home/ada/my node/bin/node',
  program: '/opt/100%/postern.js',
  configuration: undefined,
  stateDirectory: '/home/ada/.local/state/postern',
  auditDirectory: undefined,
  listen: {
    http: [
      { host: '127.0.0.1', port: 9417, optional: false },
      { host: '::1', port: 9417, optional: true },
    ],
    ssh: [],
  },
};

test('unitFiles() fills in paths in the quoting of systemd, and the addresses of the configuration', async () => {
  const [socket, service] = await unitFiles(USER);
  expect(socket?.path).toBe('/home/ada/.config/systemd/user/postern.socket');
  expect(socket?.text.match(/^ListenStream=.*$/gm)).toEqual(['ListenStream=127.0.0.1:9417', 'ListenStream=[::1]:9417']);
  expect(service?.text).toContain('\nExecStart="/home/ada/my node/bin/node" /opt/100%%/postern.js start\n');
  expect(service?.text).toContain('\nExecReload="/home/ada/my node/bin/node" /opt/100%%/postern.js reload\n');
  expect(service?.text).toContain('\nReadWritePaths=/home/ada/.local/state/postern %h/.azure\n');
});

test('unitFiles() opens the directory of the audit where that is somewhere else, and takes a configuration that was named', async () => {
  const [, , service] = await unitFiles({
    ...USER,
    scope: 'system',
    configuration: '/srv/postern.yaml',
    auditDirectory: '/srv/audit of git',
  });
  expect(service?.text).toMatch(/^ExecStart=.* start --system --config \/srv\/postern\.yaml$/m);
  expect(service?.text).toContain(
    'ProtectSystem=strict\nExecStartPre=+/usr/bin/install -d -m 0700 -o postern -g postern "/srv/audit of git"\nReadWritePaths="/srv/audit of git"\n',
  );
});

test('unitFiles() refuses a port that is another one each time', async () => {
  const listen = { http: [{ host: '127.0.0.1', port: 0, optional: false }], ssh: [] };
  await expect(unitFiles({ ...USER, listen })).rejects.toMatchObject({ code: 'usage', message: /127\.0\.0\.1:0 is another port/ });
});

test('lookAt() knows its own file, one that was changed, and one of somebody else', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-'));
  const path = join(directory, 'postern.socket');
  try {
    expect((await lookAt(path)).found).toBe('missing');
    const [socket] = await unitFiles(USER);
    const text = socket?.text ?? '';
    for (const [content, found] of [
      [text, 'ours'],
      [text.replace('Backlog=4096', 'Backlog=1'), 'changed'],
      [`${text}# mine\n`, 'changed'],
      ['[Socket]\n', 'foreign'],
    ] as const) {
      await writeFile(path, content);
      expect((await lookAt(path)).found).toBe(found);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
});

test.each([
  ['/usr/bin/node', '/usr/bin/node'],
  ['/a b', '"/a b"'],
  ['/a"b\\c', '"/a\\"b\\\\c"'],
  ['/100%', '/100%%'],
  ['/$HOME', '"/$$HOME"'],
])('quoted(%s) is %s', (word, text) => {
  expect(quoted(word)).toBe(text);
});
