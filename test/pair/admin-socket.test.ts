/** One daemon for one user: of several that start at the same moment one has the socket, and the others hear of it. */
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type AdminSocket, askStatus, openAdmin } from '../../src/daemon/admin.js';
import type { DaemonStatus } from '../../src/daemon/status.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-admin-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function open(path: string, pid: number): Promise<AdminSocket> {
  const status = { pid, listen: { http: [], ssh: [], telemetry: [] } } as Partial<DaemonStatus> as DaemonStatus; // because nothing else of it is read
  return openAdmin(path, { status: () => status, stop: () => undefined, kill: () => undefined });
}

test('openAdmin() of several at once opens one', async () => {
  const path = join(directory, 'run', 'admin.sock');
  const all = await Promise.allSettled([1, 2, 3].map((pid) => open(path, pid)));
  const opened = all.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const refused = all.flatMap((each) => (each.status === 'rejected' ? [each.reason as unknown] : []));
  expect(opened).toHaveLength(1);
  for (const reason of refused) expect(reason).toMatchObject({ code: 'already-running' });
  expect(await askStatus(path)).toBeDefined();
  await opened[0]?.close();
  expect(await askStatus(path)).toBeUndefined();
});

test('openAdmin() takes over what a dead daemon left', async () => {
  const path = join(directory, 'admin.sock');
  await writeFile(path, '');
  const socket = await open(path, 1);
  expect(await askStatus(path)).toMatchObject({ pid: 1 });
  await socket.close();
});

test('openAdmin() does not use a directory that others can enter, and does not close it either', async () => {
  await chmod(directory, 0o755);
  await expect(open(join(directory, 'admin.sock'), 1)).rejects.toMatchObject({
    code: 'listen-failed',
    message: `The directory ${directory} for the admin socket cannot be used (other users can enter it: its mode is 755, not 700)`,
  });
  expect((await stat(directory)).mode & 0o777).toBe(0o755);
});
