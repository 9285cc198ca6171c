/** What a service manager is told, through a `systemd-notify` that writes down what it is given. A real one: test/e2e/systemd.test.ts. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ServiceManager } from '../../src/daemon/service-manager.js';

let directory: string;
let events: { readonly event: string; readonly what: unknown }[];
const logger = {
  log: (_level: string, event: string, fields: Readonly<Record<string, unknown>> = {}) => void events.push({ event, what: fields['what'] }),
};
const watched = { look: () => ({ doors: ['http://127.0.0.1:8417'], running: 2 }), callSelf: () => Promise.resolve() };

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-'));
  events = [];
});
afterEach(() => rm(directory, { recursive: true }));

test('take() wants nothing where nobody asks to be told, and leaves no variable for children either way', () => {
  const environment = { NOTIFY_SOCKET: '', WATCHDOG_USEC: '1000000', WATCHDOG_PID: '1', PATH: '/usr/bin' };
  expect(ServiceManager.take(environment, logger)).toBeUndefined();
  expect(environment).toEqual({ PATH: '/usr/bin' });
  const asked = { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '1000000', PATH: '/usr/bin' };
  expect(ServiceManager.take(asked, logger)).toBeInstanceOf(ServiceManager);
  expect(asked).toEqual({ PATH: '/usr/bin' });
});

test('its life is told in order, each message whole, with nothing but the socket in the environment', async () => {
  const told = join(directory, 'told');
  await writeFile(
    join(directory, 'systemd-notify'),
    `#!/bin/sh\nprintf '%s|' "$NOTIFY_SOCKET" "\${SECRET-none}" "$@" >>${told}\necho >>${told}\n`,
    { mode: 0o755 },
  );
  process.env['SECRET'] = 'x';
  const manager = ServiceManager.take({ NOTIFY_SOCKET: '/run/notify', PATH: `${directory}:/usr/bin:/bin` }, logger);
  manager?.ready(watched);
  manager?.reloading();
  manager?.reloaded('a name\nthat is * not known');
  manager?.stopping();
  await manager?.close();
  delete process.env['SECRET'];
  const lines = (await readFile(told, 'utf8')).split('\n').map((line) => line.replace(/[0-9]{6,}|[0-9-]{10} [0-9:]{8}/g, 'N'));
  expect(lines).toEqual([
    '/run/notify|none|READY=1|STATUS=http://127.0.0.1:8417; 2 operations running|',
    '/run/notify|none|RELOADING=1|MONOTONIC_USEC=N|STATUS=Reloading the configuration|',
    '/run/notify|none|READY=1|STATUS=http://127.0.0.1:8417; 2 operations running; reload failed N UTC: a name that is * not known|',
    '/run/notify|none|STOPPING=1|EXTEND_TIMEOUT_USEC=N|STATUS=Stopping; 2 operations may finish|',
    '',
  ]);
  expect(events).toEqual([]);
});

test('a systemd-notify that is not there is told once', async () => {
  const manager = ServiceManager.take({ NOTIFY_SOCKET: '/run/notify', PATH: directory }, logger);
  manager?.ready(watched);
  await manager?.close();
  manager?.stopping();
  await manager?.close();
  expect(events).toEqual([{ event: 'notify-failed', what: 'systemd-notify was not found' }]);
});
