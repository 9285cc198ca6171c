/**
 * Another configuration while the daemon runs, with real git: all of it or nothing, and what runs is not disturbed. Told by
 * `postern reload`, by SIGHUP, and by the file itself.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { Agent, createServer, request } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RunningDaemon, Scene } from '../support/scene.js';

const MIB = 1024 * 1024;
const SETTLE_MS = 20_000;
const LOOK_MS = 50;
const WEB = 'contoso/Payments/web';
const MIDDLE = 'contoso/Payments/middle';

let scene: Scene;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository(WEB);
  await scene.emulator.createRepository(MIDDLE, { commits: 0 });
  const work = join(scene.directory, 'work');
  await mkdir(work);
  const door = await scene.daemon();
  await told(['init', '-q', '-b', 'main'], work);
  await writeFile(join(work, 'middle.bin'), randomBytes(4 * MIB));
  await told(['add', '.'], work);
  await told(['commit', '-q', '-m', 'middle'], work);
  await told(['push', '-q', door.url(`dev.azure.com/${pathOf(MIDDLE)}`), 'main'], work);
  await door.kill();
}, 120_000);

afterAll(() => scene.close());

describe('a running daemon', () => {
  test('goes over to other routes and identities while twenty clones run, and none of them notices', async () => {
    const { daemon, change } = await changeable();
    const { faults } = scene.emulator.git;
    let goOn: () => void = () => undefined;
    faults.set(MIDDLE, { kind: 'stall', step: 'exchange', afterBytes: MIB, until: new Promise((resolve) => (goOn = resolve)) });
    const clones = Array.from({ length: 20 }, (_, index) =>
      scene.git(['clone', '-q', daemon.url(`dev.azure.com/${pathOf(MIDDLE)}`), join(scene.directory, `clone-${index}`)]),
    );
    await until('all packs are under way', async () => {
      const { running } = await daemon.status();
      return running.filter(({ bytesDown }) => bytesDown >= MIB).length === 20;
    });
    await change(plain().replace('identity: sp', 'identity: other').replace('  sp:', '  other:'));
    const reloaded = await daemon.postern(['reload']);
    expect(reloaded).toMatchObject({ code: 0, stderr: '', stdout: 'Reloaded; what was running goes on as it began\n' });
    expect((await daemon.status()).running).toHaveLength(20);
    faults.clear();
    goOn();
    expect((await Promise.all(clones)).filter(({ code }) => code !== 0)).toEqual([]);
    const after = await scene.git(['ls-remote', daemon.url(`dev.azure.com/${pathOf(WEB)}`)]);
    expect(after).toMatchObject({ code: 0 });
    const status = await daemon.status();
    expect(status.identities.map(({ name }) => name)).toEqual(['other']);
    expect(status.operations).toMatchObject({ failed: 0, broken: 0, refused: 0, 'client-gone': 0 });
    await daemon.kill();
  });

  test('stays as it was when the file is broken, and says why in the command, the log and the status', async () => {
    const { daemon, change, file } = await changeable();
    await change(`${plain()}routs: []\nlog: { level: loud }\n`);
    const reloaded = await daemon.postern(['reload']);
    expect(reloaded.code).toBe(2);
    expect(reloaded.stdout).toBe('');
    expect(reloaded.stderr).toContain('postern: The old configuration stays in force: ');
    expect(reloaded.stderr).toMatch(/:[0-9]+:1: routs: unknown key `routs`; did you mean `routes`\?\n/);
    const line = await daemon.logged(({ event }) => event === 'reload-failed');
    expect(line).toMatchObject({ level: 'error', cause: 'admin' });
    expect(String(line['details'])).toContain('routs: unknown key');
    expect((await scene.git(['ls-remote', daemon.url(`dev.azure.com/${pathOf(WEB)}`)])).code).toBe(0);
    const shown = await daemon.postern(['status']);
    expect(shown.stdout).toContain('    NOT IN FORCE what was read at ');
    expect(shown.stdout).toContain('routs: unknown key');
    const asJson = await daemon.postern(['reload', '--json']);
    expect(asJson.code).toBe(2);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ kind: 'failed', cause: 'admin' });

    await change(plain());
    expect((await daemon.postern(['reload'])).code).toBe(0);
    expect((await daemon.postern(['status'])).stdout).toContain('    read again at ');
    await rm(file);
    const gone = await daemon.postern(['reload']);
    expect(gone.code).toBe(2);
    expect(gone.stderr).toContain('cannot be read');
    await daemon.kill();
  });

  test('takes none of a configuration of which one address cannot be had', async () => {
    const { daemon, change } = await changeable();
    const holder = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => holder.once('listening', resolve));
    const { port } = holder.address() as AddressInfo;
    const before = await daemon.status();
    await change(
      plain({ http: [`127.0.0.1:0`, `127.0.0.2:0`, `127.0.0.1:${port}`] }).replace('dev.azure.com/**', 'dev.azure.com/nobody/**'),
    );
    const reloaded = await daemon.postern(['reload']);
    expect(reloaded.code).toBe(2);
    expect(reloaded.stderr).toContain(`The old configuration stays in force: The HTTP door cannot listen on 127.0.0.1:${port} (in use by `);
    const after = await daemon.status();
    expect(after.listen).toEqual(before.listen);
    expect(after.routes).toEqual(before.routes);
    expect((await scene.git(['ls-remote', daemon.url(`dev.azure.com/${pathOf(WEB)}`)])).code).toBe(0);
    holder.close();
    await daemon.kill();
  });

  test('keeps the sockets of listeners that stay, opens new ones and leaves others; who is connected there is served on', async () => {
    const ports = [await freePort(), await freePort(), await freePort()] as const;
    const { daemon, change } = await changeable({ http: [`127.0.0.1:${ports[0]}`, `127.0.0.1:${ports[1]}`] });
    const [stays, goes] = [new Agent({ keepAlive: true, maxSockets: 1 }), new Agent({ keepAlive: true, maxSockets: 1 })];
    const [staysBefore, goesBefore] = [await knock(ports[0], stays), await knock(ports[1], goes)];
    await change(plain({ http: [`127.0.0.1:${ports[0]}`, `127.0.0.1:${ports[2]}`] }));
    expect((await daemon.postern(['reload'])).code).toBe(0);
    expect((await daemon.status()).listen.http).toEqual([`http://127.0.0.1:${ports[0]}`, `http://127.0.0.1:${ports[2]}`]);
    // The same connections, which no new listener could have.
    expect(await knock(ports[0], stays)).toEqual(staysBefore);
    expect(await knock(ports[1], goes)).toEqual(goesBefore);
    expect(await isOpen(ports[1])).toBe(false);
    expect(await isOpen(ports[2])).toBe(true);
    expect((await scene.git(['ls-remote', `http://127.0.0.1:${ports[2]}/dev.azure.com/${pathOf(WEB)}`])).code).toBe(0);
    stays.destroy();
    goes.destroy();
    await daemon.kill();
  });

  test('can listen on all addresses of a port of which it had one, and back, and lets go of it for the SSH door', async () => {
    const port = await freePort();
    const { daemon, change } = await changeable({ http: [`127.0.0.1:${port}`] });
    await change(plain({ http: [`0.0.0.0:${port}`], more: 'tls: off, ' }));
    expect((await daemon.postern(['reload'])).stderr).toBe('');
    expect((await daemon.status()).listen.http).toEqual([`http://0.0.0.0:${port}`]);
    // Not loopback any more: who has no lease gets nothing.
    const refused = await scene.git(['ls-remote', `http://127.0.0.1:${port}/dev.azure.com/${pathOf(WEB)}`]);
    expect(refused.code).not.toBe(0);
    await change(plain({ http: [`127.0.0.1:${port}`] }));
    expect((await daemon.postern(['reload'])).code).toBe(0);
    expect((await scene.git(['ls-remote', `http://127.0.0.1:${port}/dev.azure.com/${pathOf(WEB)}`])).code).toBe(0);
    await daemon.kill();
  });

  test('opens again what it had left for a new listener, when another one cannot be had', async () => {
    const port = await freePort();
    const { daemon, change } = await changeable({ http: [`127.0.0.1:${port}`] });
    const holder = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => holder.once('listening', resolve));
    const taken = (holder.address() as AddressInfo).port;
    await change(plain({ http: [`0.0.0.0:${port}`, `127.0.0.1:${taken}`], more: 'tls: off, ' }));
    expect((await daemon.postern(['reload'])).code).toBe(2);
    expect((await daemon.status()).listen.http).toEqual([`http://127.0.0.1:${port}`]);
    expect((await scene.git(['ls-remote', `http://127.0.0.1:${port}/dev.azure.com/${pathOf(WEB)}`])).code).toBe(0);
    holder.close();
    await daemon.kill();
  });

  test('speaks TLS on an address where it did not, and the other way round', async () => {
    const port = await freePort();
    const { daemon, change } = await changeable({ http: [`127.0.0.1:${port}`] });
    await change(plain({ http: [`127.0.0.1:${port}`], more: 'tls: auto, ' }));
    expect((await daemon.postern(['reload'])).stderr).toBe('');
    const { listen } = await daemon.status();
    expect(listen.http).toEqual([`https://127.0.0.1:${port}`]);
    const url = `https://127.0.0.1:${port}/dev.azure.com/${pathOf(WEB)}`;
    expect((await scene.git(['-c', `http.sslCAInfo=${listen.certificate?.ca ?? ''}`, 'ls-remote', url])).code).toBe(0);
    await change(plain({ http: [`127.0.0.1:${port}`] }));
    expect((await daemon.postern(['reload'])).code).toBe(0);
    expect((await scene.git(['ls-remote', `http://127.0.0.1:${port}/dev.azure.com/${pathOf(WEB)}`])).code).toBe(0);
    await daemon.kill();
  });

  test('opens and closes the SSH door', async () => {
    const port = await freePort();
    const env = await scene.sshEnvironment();
    const withSsh = plain().replace('listen: {', `listen: { ssh: 127.0.0.1:${port},`);
    const { daemon, change } = await changeable({ text: withSsh });
    const look = () => scene.git(['ls-remote', `ssh://git@127.0.0.1:${port}/ssh.dev.azure.com/v3/${WEB}`], { env });
    expect((await look()).code).toBe(0);
    await change(plain().replace('listen: {', 'listen: { ssh: off,'));
    expect((await daemon.postern(['reload'])).stderr).toBe('');
    expect(await isOpen(port)).toBe(false);
    expect((await daemon.status()).listen.ssh).toEqual([]);
    await change(withSsh);
    expect((await daemon.postern(['reload'])).stderr).toBe('');
    expect((await look()).code).toBe(0);
    await daemon.kill();
  });

  test('asks for no new token of an identity that is written as before, and reads a secret again', async () => {
    const secret = await scene.writeFile('pat-secret', 'first');
    const pat = `  pat: { kind: pat, secret: { file: ${secret} } }\n`;
    const upstream = await basicUpstream();
    const route = `  - { match: dev.azure.com/fabrikam/**, identity: pat, upstream: '${upstream.url}' }\n`;
    const text = plain().replace('routes:\n', `${pat}routes:\n${route}`);
    const { daemon } = await changeable({ text });
    const both = async (): Promise<void> => {
      expect((await scene.git(['ls-remote', daemon.url(`dev.azure.com/${pathOf(WEB)}`)])).code).toBe(0);
      await scene.git(['ls-remote', daemon.url('dev.azure.com/fabrikam/_git/app')]);
    };
    await both();
    const tokens = scene.emulator.sts.tokenRequests.length;
    expect(upstream.seen.at(-1)).toBe(`Basic ${Buffer.from('PAT:first').toString('base64')}`);
    await writeFile(secret, 'second');
    await both();
    expect(upstream.seen.at(-1)).toBe(`Basic ${Buffer.from('PAT:first').toString('base64')}`);
    expect((await daemon.postern(['reload'])).code).toBe(0);
    await both();
    expect(scene.emulator.sts.tokenRequests.length).toBe(tokens);
    expect(upstream.seen.at(-1)).toBe(`Basic ${Buffer.from('PAT:second').toString('base64')}`);
    upstream.close();
    await daemon.kill();
  });

  test('does not go on with the token of an identity that is written otherwise now', async () => {
    const { daemon, change } = await changeable();
    const look = () => scene.git(['ls-remote', daemon.url(`dev.azure.com/${pathOf(WEB)}`)]);
    expect((await look()).code).toBe(0);
    await change(plain().replace(/clientId: [^,]+/, 'clientId: 00000000-0000-0000-0000-000000000000'));
    expect((await daemon.postern(['reload'])).code).toBe(0);
    const refused = await look();
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('AADSTS');
    await daemon.kill();
  });

  test('has telemetry where it was, when a door cannot be opened', async () => {
    const [port, other] = [await freePort(), await freePort()];
    const { daemon, change } = await changeable({ text: `${plain()}telemetry: { listen: 127.0.0.1:${port} }\n` });
    const holder = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => holder.once('listening', resolve));
    const taken = (holder.address() as AddressInfo).port;
    await change(`${plain({ http: ['127.0.0.1:0', `127.0.0.1:${taken}`] })}telemetry: { listen: 127.0.0.1:${other} }\n`);
    expect((await daemon.postern(['reload'])).code).toBe(2);
    expect((await daemon.status()).listen.telemetry).toEqual([`http://127.0.0.1:${port}`]);
    expect([await isOpen(port), await isOpen(other)]).toEqual([true, false]);
    holder.close();
    await daemon.kill();
  });

  test('serves whom the new rules name, also on a connection that is open, and whom they do not it refuses', async () => {
    const port = await freePort();
    const { daemon, change } = await changeable({ http: [`127.0.0.1:${port}`] });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    expect((await knock(port, agent)).status).toBe(200);
    await change(`${plain({ http: [`127.0.0.1:${port}`] })}access: { local: lease }\n`);
    expect((await daemon.postern(['reload'])).code).toBe(0);
    const refused = await knock(port, agent);
    expect(refused.status).toBe(401);
    await change(plain({ http: [`127.0.0.1:${port}`] }));
    expect((await daemon.postern(['reload'])).code).toBe(0);
    expect((await knock(port, agent)).status).toBe(200);
    agent.destroy();
    await daemon.kill();
  });

  test('asks the new rules over SSH too, on a connection that was there before', async () => {
    const env = await scene.sshEnvironment({
      settings: ['ControlMaster auto', `ControlPath ${join(scene.directory, 'ssh-%C')}`, 'ControlPersist 60'],
    });
    const text = plain().replace('listen: {', 'listen: { ssh: 127.0.0.1:0,');
    const { daemon, change } = await changeable({ text });
    const look = () => scene.git(['ls-remote', daemon.sshUrl(`ssh.dev.azure.com/v3/${WEB}`)], { env });
    expect((await look()).code).toBe(0);
    await change(`${text}access: { local: lease }\n`);
    expect((await daemon.postern(['reload'])).code).toBe(0);
    const refused = await look();
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('lease');
    await daemon.kill();
  });

  test('lets go of the connections that the former configuration had opened upstream', async () => {
    const { daemon, change } = await changeable();
    const { connections } = scene.emulator.git;
    const before = connections.open;
    expect((await scene.git(['ls-remote', daemon.url(`dev.azure.com/${pathOf(WEB)}`)])).code).toBe(0);
    expect(connections.open).toBeGreaterThan(before);
    await change(`${plain()}audit: { maxAge: 4d }\n`);
    expect((await daemon.postern(['reload'])).code).toBe(0);
    await until('they are closed', () => Promise.resolve(connections.open === before));
    await daemon.kill();
  });

  test('goes on with its audit in another place, and with the leases that it has given', async () => {
    const { daemon, change } = await changeable();
    const created = await daemon.postern(['lease', 'create', '--repo', WEB, '--allow', 'fetch', '--for', '1h', '--format', 'json']);
    const directory = join(scene.directory, 'audit-elsewhere');
    await change(`${plain()}audit: { directory: ${directory} }\naccess: { local: lease }\n`);
    expect((await daemon.postern(['reload'])).code).toBe(0);
    const env = JSON.parse(created.stdout) as Record<string, string>;
    const fetched = await scene.git(['ls-remote', `https://dev.azure.com/${pathOf(WEB)}`], { env });
    expect(fetched).toMatchObject({ code: 0, stderr: '' });
    const status = await daemon.status();
    expect(status.audit).toMatchObject({ kind: 'on', directory, lost: 0 });
    const written = async () => {
      const { audit } = await daemon.status();
      return audit.kind === 'on' && audit.file?.startsWith(directory) === true ? readFile(audit.file, 'utf8') : '';
    };
    await until('the fetch stands there', async () => (await written()).includes('"fetch"'));
    await daemon.kill();
  });

  test('still takes leases that are sealed by a key from a variable, which was there at the start alone', async () => {
    const line = `00000000000000aa ${Buffer.alloc(32, 7).toString('base64')}`;
    const text = `${plain()}access: { leaseKey: { env: LEASE_KEYS } }\n`;
    const { daemon, change } = await changeable({ text, env: { LEASE_KEYS: line } });
    const created = await daemon.postern(['lease', 'create', '--repo', WEB, '--allow', 'fetch', '--for', '30m', '--format', 'json']);
    const env = JSON.parse(created.stdout) as Record<string, string>;
    await change(`${text}audit: { maxAge: 5d }\n`);
    expect((await daemon.postern(['reload'])).stderr).toBe('');
    expect(await scene.git(['ls-remote', `https://dev.azure.com/${pathOf(WEB)}`], { env })).toMatchObject({ code: 0, stderr: '' });
    await daemon.kill();
  });

  test('refuses a route that leads back to it, and goes on as before', async () => {
    const port = await freePort();
    const { daemon, change } = await changeable({ http: [`127.0.0.1:${port}`] });
    await change(plain({ http: [`127.0.0.1:${port}`] }).replace(scene.emulator.git.origin, `http://127.0.0.1:${port}`));
    const reloaded = await daemon.postern(['reload']);
    expect(reloaded.code).toBe(2);
    expect(reloaded.stderr).toContain('leads back to this daemon');
    expect((await scene.git(['ls-remote', daemon.url(`dev.azure.com/${pathOf(WEB)}`)])).code).toBe(0);
    // What was opened before that was found is closed again, what was left is open again, and the next one serves there.
    const other = await freePort();
    const wider = plain({ http: [`0.0.0.0:${port}`, `127.0.0.1:${other}`], more: 'tls: off, ' });
    await change(wider.replace(scene.emulator.git.origin, `http://127.0.0.1:${other}`));
    expect((await daemon.postern(['reload'])).stderr).toContain('leads back to this daemon');
    expect((await daemon.status()).listen.http).toEqual([`http://127.0.0.1:${port}`]);
    expect(await isOpen(other)).toBe(false);
    expect((await scene.git(['ls-remote', daemon.url(`dev.azure.com/${pathOf(WEB)}`)])).code).toBe(0);
    await change(plain({ http: [`127.0.0.1:${port}`, `127.0.0.1:${other}`] }));
    expect((await daemon.postern(['reload'])).code).toBe(0);
    expect((await scene.git(['ls-remote', `http://127.0.0.1:${other}/dev.azure.com/${pathOf(WEB)}`])).code).toBe(0);
    await daemon.kill();
  });

  test('ends an operation of the former configuration when it is stopped, and says so with its exit code', async () => {
    const { daemon, change } = await changeable();
    scene.emulator.git.faults.set(MIDDLE, { kind: 'stall', step: 'exchange', skip: 1, afterBytes: MIB });
    const cloning = scene.git(['clone', '-q', daemon.url(`dev.azure.com/${pathOf(MIDDLE)}`), join(scene.directory, 'never')]);
    await until('the pack is under way', async () => (await daemon.status()).running.some(({ bytesDown }) => bytesDown >= MIB));
    await change(`${plain()}drain: { max: 1s }\n`);
    expect((await daemon.postern(['reload'])).code).toBe(0);
    expect(await daemon.stop()).toBe(143);
    expect(daemon.log.find(({ event }) => event === 'transfer-cut')).toMatchObject({ repository: 'dev.azure.com/contoso/Payments/middle' });
    expect((await cloning).code).not.toBe(0);
    scene.emulator.git.faults.clear();
    scene.emulator.git.cutConnections();
  });
});

describe('is told by', () => {
  test('SIGHUP', async () => {
    const { daemon, change } = await changeable();
    await change(plain().replace('level: debug', 'level: info'));
    process.kill(daemon.pid, 'SIGHUP');
    await daemon.logged(({ event, cause }) => event === 'reloaded' && cause === 'SIGHUP');
    expect((await daemon.status()).logLevel).toBe('info');
    await daemon.kill();
  });

  test('the file, written over, replaced, or behind a link that is turned', async () => {
    const { daemon, file } = await changeable();
    const reloads = (): number => daemon.log.filter(({ event, cause }) => event === 'reloaded' && cause === 'file').length;
    const another = (days: number): string => `${plain()}audit: { maxAge: ${days}d }\n`;
    await writeFile(file, another(1));
    await until('the first is noticed', () => Promise.resolve(reloads() === 1));
    for (const version of ['v1', 'v2']) {
      await mkdir(join(scene.directory, version));
      await writeFile(join(scene.directory, version, 'config.yaml'), another(3));
    }
    await symlink('v1', join(scene.directory, '..data'));
    await symlink(join('..data', 'config.yaml'), `${file}.new`);
    await rename(`${file}.new`, file);
    await until('what it was replaced with is noticed', () => Promise.resolve(reloads() === 2));
    await symlink('v2', join(scene.directory, '..new'));
    await rename(join(scene.directory, '..new'), join(scene.directory, '..data'));
    await until('the turn of a link further up is noticed', () => Promise.resolve(reloads() === 3));
    await rm(file);
    await writeFile(`${file}.new`, 'routs: 1\n');
    await rename(`${file}.new`, file);
    await daemon.logged(({ event, cause }) => event === 'reload-failed' && cause === 'file');
    await daemon.kill();
  });
});

test('postern log-level changes what is logged, until the configuration says something else', async () => {
  const { daemon, change } = await changeable({ text: plain().replace('level: debug', 'level: info') });
  const lines = (): number => daemon.log.filter(({ event }) => event === 'request-finished').length;
  const look = async (): Promise<void> => {
    expect((await scene.git(['ls-remote', daemon.url(`dev.azure.com/${pathOf(WEB)}`)])).code).toBe(0);
  };
  await look();
  expect(lines()).toBe(0);
  const set = await daemon.postern(['log-level', 'debug']);
  expect(set.stdout).toBe('The daemon logs at debug now, until it is started anew or `log` of its configuration changes\n');
  await look();
  await daemon.logged(({ event }) => event === 'request-finished');
  const wrong = await daemon.postern(['log-level', 'loud']);
  expect(wrong).toMatchObject({
    code: 2,
    stderr: 'postern: This is no level of the log\n  what to do: give one of error, warn, info, debug\n',
  });
  // What says the same of the log as before leaves the level alone.
  await change(`${plain().replace('level: debug', 'level: info')}audit: { maxAge: 2d }\n`);
  expect((await daemon.postern(['reload'])).code).toBe(0);
  expect((await daemon.status()).logLevel).toBe('debug');
  await change(plain().replace('level: debug', 'level: error'));
  expect((await daemon.postern(['reload'])).code).toBe(0);
  expect((await daemon.status()).logLevel).toBe('error');
  await daemon.kill();
});

describe('postern wait', () => {
  test('ends when the daemon is ready', async () => {
    const { daemon } = await changeable();
    const waited = await daemon.postern(['wait']);
    expect(waited).toMatchObject({ code: 0, stdout: `Ready (pid ${daemon.pid}, ${daemon.base})\n`, stderr: '' });
    await daemon.kill();
  });

  test('waits for one that is yet to come', async () => {
    const directory = join(scene.directory, 'run-later');
    await mkdir(directory, { mode: 0o700 });
    const env = { XDG_RUNTIME_DIR: directory };
    const waiting = scene.postern(['wait', '--timeout', '60s'], { env });
    const daemon = await scene.daemon(plain(), { env });
    expect(await waiting).toMatchObject({ code: 0, stdout: `Ready (pid ${daemon.pid}, ${daemon.base})\n` });
    await daemon.kill();
  });

  test('gives up in time, and says what is missing', async () => {
    const none = await scene.postern(['wait', '--timeout', '100ms']);
    expect(none.code).toBe(1);
    expect(none.stderr).toMatch(
      /^postern: No postern is running after 100ms \(nothing answers on .*\)\n {2}what to do: start it with `postern start`/,
    );
    const wrong = await scene.postern(['wait', '--timeout', 'soon']);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('postern: --timeout: `soon`');
  });
});

/** The configuration of most of these, with other addresses or other text about the HTTP door. */
function plain({ http = ['127.0.0.1:0'], more = '' }: { readonly http?: readonly string[]; readonly more?: string } = {}): string {
  return scene.plainConfiguration.replace(
    '{ http: 127.0.0.1:0 }',
    `{ http: { ${more}address: [${http.map((each) => `'${each}'`).join(', ')}] } }`,
  );
}

/** A daemon whose file can be changed. */
async function changeable(
  options: { readonly http?: readonly string[]; readonly text?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<{
  daemon: RunningDaemon;
  file: string;
  change: (text: string) => Promise<void>;
}> {
  const daemon = await scene.daemon(options.text ?? plain(options), { env: options.env ?? {} });
  const file = String((await daemon.status()).configuration);
  return { daemon, file, change: (text) => writeFile(file, text) };
}

/** One request on a connection of `agent`: its status, and which connection it was. */
function knock(port: number, agent: Agent): Promise<{ readonly status: number | undefined; readonly localPort: number | undefined }> {
  return new Promise((resolve, reject) => {
    const path = `/dev.azure.com/${pathOf(WEB)}/info/refs?service=git-upload-pack`;
    const asked = request({ host: '127.0.0.1', port, path, agent }, (answer) => {
      const { localPort } = answer.socket;
      answer.resume().once('end', () => resolve({ status: answer.statusCode, localPort }));
    });
    asked.once('error', reject).end();
  });
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    }).once('error', () => resolve(false));
  });
}

/** A host that takes any password and notes which it was. */
async function basicUpstream(): Promise<{ readonly url: string; readonly seen: string[]; close(): void }> {
  const seen: string[] = [];
  const server = createServer((asked, answer) => {
    seen.push(String(asked.headers.authorization));
    answer.writeHead(404).end();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, close: () => void server.close() };
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function pathOf(name: string): string {
  const [organisation = '', project = '', repository = ''] = name.split('/');
  return `${organisation}/${project}/_git/${repository}`;
}

async function told(args: readonly string[], cwd?: string): Promise<void> {
  const ran = await scene.git(args, cwd === undefined ? {} : { cwd });
  if (ran.code !== 0) throw new Error(ran.stderr);
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + SETTLE_MS;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`It did not come to be that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}
