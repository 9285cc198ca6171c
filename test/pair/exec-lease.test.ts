/** The lease of an `exec` whose configuration takes nothing else on loopback: it is in the command's environment, and nothing gets in without it. */
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { commandEnvironment } from '../../src/cli/exec/command-environment.js';
import { commandLease } from '../../src/cli/exec/command-lease.js';
import { Git } from '../../src/cli/gitconfig/git.js';
import { loadSettings } from '../../src/config/load-settings.js';
import { Daemon } from '../../src/daemon/daemon.js';
import { placesFor } from '../../src/daemon/places.js';
import { systemClock } from '../../src/model/clock.js';
import type { Settings } from '../../src/model/settings.js';
import { FakeLogger } from '../fakes/logger.js';
import { Scene } from '../support/scene.js';

const WEB = 'https://dev.azure.com/contoso/Payments/_git/web';

let scene: Scene;
let settings: Settings;
let daemon: Daemon;
let log: FakeLogger;
let socket: string;

beforeEach(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  const loaded = await loadSettings({
    file: await scene.writeConfiguration(scene.plainConfiguration),
    system: false,
    flags: {},
    environment: { POSTERN_LISTEN_SSH: 'off' },
    home: scene.home,
    workingDirectory: scene.directory,
  });
  settings = { ...loaded.settings, access: { ...loaded.settings.access, local: 'lease' } };
  const places = placesFor(
    { XDG_RUNTIME_DIR: join(scene.directory, 'run'), POSTERN_STATE_DIRECTORY: join(scene.directory, 'state') },
    scene.home,
  );
  socket = places.adminSocket;
  log = new FakeLogger();
  daemon = new Daemon({
    settings,
    environment: { SP_SECRET: scene.emulator.sts.samples.secretClient.secret },
    places,
    log: Object.assign(log, { close: () => Promise.resolve(), level: 'info' as const, adjust: () => undefined }),
    clock: systemClock,
    version: 'test',
  });
  await daemon.start();
});

afterEach(async () => {
  await daemon.stop('admin');
  await scene.close();
});

async function variables(lease: string | undefined): Promise<Record<string, string>> {
  const { variables: all, lost } = await commandEnvironment({
    git: new Git(scene.environment, scene.home, scene.directory),
    environment: scene.environment,
    workingDirectory: scene.directory,
    base: daemon.status().listen.http[0] ?? '',
    argv: ['git', 'clone', WEB],
    organisations: [],
    routes: settings.routes,
    lease,
    owned: join(scene.directory, 'none'),
    directory: scene.directory,
  });
  expect(lost).toEqual([]);
  return Object.fromEntries(all.map(({ name, value }) => [name, value]));
}

test('a command with its lease fetches and pushes, one without it gets nothing', async () => {
  const lease = await commandLease(settings, socket);
  expect(lease).toMatch(/^ptl1_/);
  const env = await variables(lease);
  const clone = join(scene.directory, 'clone');
  expect(await scene.git(['clone', '-q', WEB, clone], { env })).toMatchObject({ code: 0, stderr: '' });
  const push = ['push', '-q', 'origin', 'HEAD:refs/heads/from-exec', 'HEAD:refs/tags/v1', ':refs/heads/none'];
  expect((await scene.git([...push.slice(0, 5)], { cwd: clone, env })).code).toBe(0);
  expect(daemon.status().callers).toMatchObject([{ who: { kind: 'lease', label: 'exec' } }]);

  const refused = await scene.git(['ls-remote', WEB], { env: await variables(undefined) });
  expect(refused.code).not.toBe(0);
  expect(refused.stdout).toBe('');
  // Neither in a remote, nor in what is logged.
  expect((await scene.git(['remote', '-v'], { cwd: clone, env })).stdout).not.toContain('ptl1_');
  expect(JSON.stringify(log.lines)).not.toContain(lease);
  expect(JSON.stringify(daemon.status())).not.toContain(lease);
});

test('a header that is meant for every address is not sent beside the lease', async () => {
  const env = await variables(await commandLease(settings, socket));
  expect(await scene.git(['config', '--global', 'http.extraHeader', 'X-Postern-Lease: ptl1_other'])).toMatchObject({ code: 0 });
  expect(await scene.git(['ls-remote', '-q', WEB], { env })).toMatchObject({ code: 0 });
});

test('a command gets no lease where the door needs none', async () => {
  expect(await commandLease({ ...settings, access: { ...settings.access, local: 'uid' } }, socket)).toBeUndefined();
  expect(Object.values(await variables(undefined)).join('\n')).not.toMatch(/X-Postern-Lease|extraHeader/);
});
