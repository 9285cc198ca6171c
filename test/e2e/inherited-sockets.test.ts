/**
 * Sockets that somebody else opened and hands over, as systemd does: this process plays the service manager. Each is recognised by
 * its address, whatever its place among them.
 */
import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { PROGRAM, RunningDaemon, Scene } from '../support/scene.js';

const WEB = 'dev.azure.com/contoso/Payments/_git/web';

let scene: Scene;
const sockets: Server[] = [];
const daemons: RunningDaemon[] = [];
let count = 0;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
});
afterEach(async () => {
  for (const daemon of daemons.splice(0)) await daemon.kill();
  for (const socket of sockets.splice(0)) socket.close();
});
afterAll(() => scene.close());

/** A socket that listens. */
async function open(host: string): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer();
  sockets.push(server);
  await new Promise<void>((resolve) => server.listen({ host, port: 0 }, resolve));
  return { server, port: (server.address() as { port: number }).port }; // because a TCP server has such an address
}

/** Node tells the descriptor of a server to nobody else. */
function descriptorOf(server: Server): number {
  return (server as unknown as { readonly _handle: { readonly fd: number } })._handle.fd;
}

/** Starts a daemon with these sockets from descriptor 3 on. `forPid`: what LISTEN_PID is, its own pid by default. */
async function start(listen: string, servers: readonly Server[], { forPid = '$$' }: { forPid?: string } = {}): Promise<RunningDaemon> {
  count += 1;
  const runtime = join(scene.directory, `inherited-${count}`);
  await mkdir(runtime, { mode: 0o700 });
  const configuration = scene.plainConfiguration.replace('listen: { http: 127.0.0.1:0 }', `listen: ${listen}`);
  const file = await scene.writeFile(`inherited-${count}.yaml`, configuration);
  const all = {
    ...scene.environment,
    XDG_RUNTIME_DIR: runtime,
    SP_SECRET: scene.emulator.sts.samples.secretClient.secret,
    LISTEN_FDS: String(servers.length),
    LISTEN_FDNAMES: servers.map((_, at) => `door-${at}`).join(':'),
  };
  const words = ['-c', `LISTEN_PID=${forPid} exec "$@"`, 'sh', process.execPath, PROGRAM, 'start', '--config', file];
  const daemon = new RunningDaemon(
    spawn('/bin/sh', words, { env: all, stdio: ['ignore', 'pipe', 'pipe', ...servers.map(descriptorOf)] }),
    all,
    scene,
  );
  daemons.push(daemon);
  // The daemon has them by now, and this process must not be who accepts.
  for (const socket of sockets.splice(0)) socket.close();
  return daemon;
}

it('both doors and both versions of IP take theirs, in any order; what nobody wants is closed, and both sides are named', async () => {
  const [ssh, v6, stray, v4] = [await open('127.0.0.1'), await open('::1'), await open('127.0.0.1'), await open('127.0.0.1')];
  const listen = `{ http: ['127.0.0.1:${v4.port}', '[::1]:${v6.port}'], ssh: '127.0.0.1:${ssh.port}' }`;
  const ours = await readlink(`/proc/self/fd/${descriptorOf(stray.server)}`);
  const daemon = await start(listen, [ssh.server, v6.server, stray.server, v4.server]);
  // It came before there was a daemon, and waits in the queue of the socket.
  const early = scene.git(['ls-remote', `http://127.0.0.1:${v4.port}/${WEB}`]);
  await daemon.ready();
  expect((await early).stdout).toContain('refs/heads/main');
  expect(daemon.log.filter(({ event }) => event === 'listening').map(({ address }) => address)).toEqual([
    `http://127.0.0.1:${v4.port}`,
    `http://[::1]:${v6.port}`,
    `ssh://127.0.0.1:${ssh.port}`,
  ]);
  expect((await scene.git(['ls-remote', `http://[::1]:${v6.port}/${WEB}`])).stdout).toContain('refs/heads/main');
  const over = await scene.git(['ls-remote', daemon.sshUrl('ssh.dev.azure.com/v3/contoso/Payments/web')], {
    env: await scene.sshEnvironment(),
  });
  expect(over.stdout, over.stderr).toContain('refs/heads/main');
  expect(daemon.log.filter(({ event }) => event === 'socket-unused')).toEqual([
    {
      time: expect.any(String) as string,
      level: 'warn',
      event: 'socket-unused',
      socket: `127.0.0.1:${stray.port}`,
      unit: 'door-2',
      configured: `127.0.0.1:${v4.port}, [::1]:${v6.port}, 127.0.0.1:${ssh.port}`,
      todo: 'write the same address as `ListenStream=` of the socket unit and as `listen.http` or `listen.ssh` of the configuration, then restart both',
    },
  ]);
  // Descriptor 5 is free again, or something else's.
  const links = await Promise.all(
    (await readdir(`/proc/${daemon.pid}/fd`)).map((fd) => readlink(`/proc/${daemon.pid}/fd/${fd}`).catch(() => '')),
  );
  expect(links).not.toContain(ours);
});

it('a door that speaks TLS does so on an inherited socket', async () => {
  const { server, port } = await open('127.0.0.1');
  const daemon = await start(`{ http: { address: '127.0.0.1:${port}', tls: auto }, ssh: off }`, [server]);
  await daemon.ready();
  const ca = join(scene.home, '.local', 'state', 'postern', 'door-ca.pem');
  const ran = await scene.git(['-c', `http.sslCAInfo=${ca}`, 'ls-remote', `https://127.0.0.1:${port}/${WEB}`]);
  expect(ran.stdout, ran.stderr).toContain('refs/heads/main');
});

it('what is handed to another process is not taken', async () => {
  const { server, port } = await open('127.0.0.1');
  const daemon = await start(`{ http: '127.0.0.1:${port}', ssh: off }`, [server], { forPid: '1' });
  expect(await daemon.ended()).toBe(1);
  expect(daemon.output).toContain(`The HTTP door cannot listen on 127.0.0.1:${port} (in use by`);
});

it('a reload cannot change TLS on an inherited socket, says so, and everything stays as it was', async () => {
  const { server, port } = await open('127.0.0.1');
  const daemon = await start(`{ http: '127.0.0.1:${port}', ssh: off }`, [server]);
  await daemon.ready();
  const file = String((await daemon.status()).configuration);
  const before = await readFile(file, 'utf8');
  await writeFile(file, before.replace(`http: '127.0.0.1:${port}'`, `http: { address: '127.0.0.1:${port}', tls: auto }`));
  const reloaded = await daemon.postern(['reload']);
  expect(reloaded.code).toBe(2);
  expect(reloaded.stderr).toContain(`127.0.0.1:${port} is held by the service manager, and cannot change while the daemon runs`);
  expect(reloaded.stderr).toContain('what to do: restart the service');
  expect((await scene.git(['ls-remote', `http://127.0.0.1:${port}/${WEB}`])).stdout).toContain('refs/heads/main');
  await writeFile(file, `${before}audit: { maxAge: 1d }\n`);
  expect((await daemon.postern(['reload'])).code).toBe(0);
  expect((await scene.git(['ls-remote', `http://127.0.0.1:${port}/${WEB}`])).stdout).toContain('refs/heads/main');
});
