/** The life of a daemon in this process: what only exact timing shows. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadSettings } from '../../src/config/load-settings.js';
import { Daemon } from '../../src/daemon/daemon.js';
import { placesFor } from '../../src/daemon/places.js';
import { systemClock } from '../../src/model/clock.js';
import { FakeLogger } from '../fakes/logger.js';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-life-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test('stop() during start() leaves no listener and no socket behind', async () => {
  const { settings } = await loadSettings({
    file: undefined,
    system: false,
    flags: { 'listen.http': '127.0.0.1:0', 'listen.ssh': '127.0.0.1:0' },
    environment: {},
    home: directory,
    workingDirectory: directory,
  });
  const places = placesFor({ XDG_RUNTIME_DIR: directory }, directory);
  const log = Object.assign(new FakeLogger(), { close: () => Promise.resolve(), level: 'info' as const, adjust: () => undefined });
  const daemon = new Daemon({ settings, environment: {}, places, log, clock: systemClock, version: 'test' });
  const starting = daemon.start();
  expect(await daemon.stop('SIGTERM')).toBe(0);
  await starting;
  expect(existsSync(places.adminSocket)).toBe(false);
  for (const line of log.lines.filter(({ event }) => event === 'listening')) {
    const { port, hostname } = new URL(String(line.fields['address']));
    const isOpen = await new Promise((resolve) => {
      const socket = connect(Number(port), hostname, () => resolve(true)).once('error', () => resolve(false));
      socket.once('connect', () => socket.destroy());
    });
    expect(isOpen).toBe(false);
  }
});
