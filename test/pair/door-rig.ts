/**
 * A real HTTP door in this process, in front of a real emulator, and raw connections to it: what the tests of the door's
 * own guards share.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type House, assemble } from '../../src/daemon/assemble.js';
import { systemClock } from '../../src/model/clock.js';
import type { Clock, Logger } from '../../src/model/ports.js';
import type { Route, Settings } from '../../src/model/settings.js';
import { Emulator } from '../azure/emulator.js';

export interface Door {
  readonly emulator: Emulator;
  readonly house: House;
  /** Where the door's certificate is kept when it speaks TLS. */
  readonly stateDirectory: string;
  readonly port: number;
  /** Sends bytes on a connection of its own and gives all that comes back until it closes; a served request must ask for that (`CLOSE`). */
  raw(bytes: string): Promise<string>;
  close(): Promise<void>;
}

/** Settings of a house that listens nowhere by itself, serves its own user, and writes nothing down. */
export const SHUT: Pick<Settings, 'listen' | 'access' | 'audit' | 'lfs' | 'limits' | 'telemetry'> = {
  lfs: { hosts: [] },
  limits: { connections: 2048, operations: 1024 },
  telemetry: { listen: [] },
  listen: { http: [], ssh: [], names: [], tls: { kind: 'off' } },
  access: { local: 'uid', remote: 'lease', uids: [], keys: [], leaseKey: undefined, revocations: undefined },
  audit: { isOn: false, directory: undefined, onFailure: 'continue', maxSizeBytes: 1024 * 1024, maxAge: 86_400_000 },
};

/** For houses whose audit is off: nothing is written there. */
export const NO_HOME = { stateDirectory: '/nowhere', chain: 'none' };

const TOKEN_MS = 5_000;
const QUIET_MS = 3_000;

/** Header of a request after which the door is to close the connection. */
export const CLOSE = 'Connection: close';

/** What a test may want otherwise than usual. */
export interface RigOptions {
  readonly listen?: Settings['listen'];
  readonly access?: Settings['access'];
  readonly clock?: Clock;
  readonly logger?: Logger;
}

export async function openDoor(
  routes: (emulator: Emulator) => readonly Partial<Route>[] = () => [],
  { listen = SHUT.listen, access = SHUT.access, clock = systemClock, logger = { log: () => undefined } }: RigOptions = {},
): Promise<Door> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-door-'));
  const emulator = await Emulator.start({ directory });
  await emulator.createRepository('contoso/Payments/web');
  const { tenant, secretClient } = emulator.sts.samples;
  const route: Route = {
    match: 'dev.azure.com/**',
    identity: 'sp',
    allow: ['fetch', 'push'],
    hostKind: 'azure-services',
    upstream: new URL(emulator.git.origin),
    ca: emulator.caFile,
    proxy: undefined,
    refs: undefined,
    ssh: { kind: 'bridge' },
  };
  const settings: Settings = {
    file: undefined,
    ...SHUT,
    listen,
    access,
    identities: [
      {
        name: 'sp',
        kind: 'client-secret',
        tenant,
        clientId: secretClient.clientId,
        secret: { kind: 'env', name: 'SP_SECRET' },
        authority: emulator.sts.origin,
        resource: '499b84ac-1321-427f-aa17-267ca6975798',
        ca: emulator.caFile,
        proxy: undefined,
      },
      { name: 'own', kind: 'passthrough' },
    ],
    routes: [...routes(emulator).map((more) => ({ ...route, ...more })), route],
    drain: { min: 0, max: 0 },
    timeouts: { connect: 5_000, stall: 10_000, token: TOKEN_MS },
    log: { level: 'debug', format: 'json', operations: 'debug' },
  };
  const house = assemble(settings, {
    environment: { SP_SECRET: secretClient.secret },
    clock,
    logger,
    stateDirectory: join(directory, 'state'),
    audit: NO_HOME,
  });
  await house.door.listen({ host: '127.0.0.1', port: 0, optional: false });
  const port = house.door.bound[0]?.port ?? 0;
  return {
    emulator,
    house,
    stateDirectory: join(directory, 'state'),
    port,
    raw: (bytes) => exchange(connect(port, '127.0.0.1'), bytes),
    async close() {
      await Promise.all([house.door.close(), house.sshDoor.close()]);
      house.certificates?.close();
      house.connections.close();
      house.sshUpstreams.close();
      house.vault.close();
      await emulator.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function exchange(socket: Socket, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    // A connection that is kept open by mistake must not stop the test.
    socket.setTimeout(QUIET_MS, () => socket.destroy());
    // A reset after an answer is an answer all the same.
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
    socket.write(Buffer.from(bytes, 'latin1'));
  });
}

/** A request as bytes: start line, headers (Host first unless given), empty line, body. */
export function requestBytes(port: number, line: string, headers: readonly string[] = [], body = ''): string {
  const host = headers.some((header) => /^host:/i.test(header)) ? [] : [`Host: 127.0.0.1:${port}`];
  return [line, ...host, ...headers.filter((header) => header !== 'host:none'), '', body].join('\r\n');
}
