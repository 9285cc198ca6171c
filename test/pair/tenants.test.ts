/** How long a tenant is remembered, and what comes of upstreams that are slow, silent, gone or in doubt: real sockets, a clock moved by hand. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { UpstreamConnections } from '../../src/upstream/connections.js';
import { type OrganisationPlace, Tenants } from '../../src/upstream/tenants.js';
import { FakeClock } from '../fakes/clock.js';
import { FakeLogger } from '../fakes/logger.js';
import { route } from '../unit/route.js';

const DAY = 24 * 60 * 60 * 1000;
const ONE = '7e57ab1e-0000-4000-8000-000000000001';
const TWO = '7e57ab1e-0000-4000-8000-000000000002';

let server: Server;
let asked: IncomingMessage[];
let answer: (response: ServerResponse, request: IncomingMessage) => void;
let clock: FakeClock;
let logger: FakeLogger;
let connections: UpstreamConnections;
let tenants: Tenants;

const tells = (tenant: string) => (response: ServerResponse) => void response.writeHead(401, { 'x-vss-resourcetenant': tenant }).end();
const cuts = (response: ServerResponse): void => void response.destroy();

beforeEach(async () => {
  asked = [];
  answer = tells(ONE);
  server = createServer((request, response) => {
    asked.push(request);
    answer(response, request);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  clock = new FakeClock();
  logger = new FakeLogger();
  connections = new UpstreamConnections({ environment: {}, connectMs: 5_000 });
  tenants = new Tenants({ connections, clock, logger });
});
afterEach(async () => {
  connections.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function place(organisation = 'contoso'): OrganisationPlace {
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return { origin: new URL(`http://127.0.0.1:${port}`), path: `/${organisation}`, organisation, route: route('dev.azure.com/**') };
}

describe('tenantOf()', () => {
  test('asks with no header that tells of anyone, and leaves no connection behind', async () => {
    expect(await Promise.all([tenants.tenantOf(place()), tenants.tenantOf(place())])).toEqual([ONE, ONE]);
    expect(asked.map(({ method, url }) => `${method} ${url}`)).toEqual(['HEAD /contoso']);
    expect(Object.keys(asked[0]?.headers ?? {}).sort()).toEqual(['accept', 'connection', 'host', 'user-agent', 'x-tfs-fedauthredirect']);
    await expect.poll(() => new Promise((resolve) => server.getConnections((_, count) => resolve(count)))).toBe(0);
    expect(connections.states()).toEqual([]);
  });

  test('remembers for a day, and what it was not told for ten seconds', async () => {
    await tenants.tenantOf(place());
    clock.jump(DAY - 1);
    answer = tells(TWO);
    expect(await tenants.tenantOf(place())).toBe(ONE);
    clock.jump(1);
    expect(await tenants.tenantOf(place())).toBe(TWO);
    answer = (response) => void response.writeHead(404).end();
    expect(await tenants.tenantOf(place('other'))).toBeUndefined();
    expect(await tenants.tenantOf(place('other'))).toBeUndefined();
    expect(asked).toHaveLength(3);
    clock.jump(10_000);
    answer = tells(ONE);
    expect(await tenants.tenantOf(place('other'))).toBe(ONE);
    // A clock that was set back makes nothing last longer.
    clock.jump(-DAY);
    await tenants.tenantOf(place('other'));
    expect(asked).toHaveLength(5);
  });

  test('goes on with what it knew when the upstream does not tell after a day, and asks again soon', async () => {
    await tenants.tenantOf(place());
    clock.jump(DAY);
    answer = cuts;
    expect(await tenants.tenantOf(place())).toBe(ONE);
    expect(await tenants.tenantOf(place())).toBe(ONE);
    expect(asked).toHaveLength(2);
    clock.jump(10_000);
    answer = tells(TWO);
    expect(await tenants.tenantOf(place())).toBe(TWO);
  });

  test('waits ten seconds for a silent upstream and no longer, with one request for all', async () => {
    answer = () => undefined;
    const waiting = Promise.all([tenants.tenantOf(place()), tenants.tenantOf(place())]);
    await expect.poll(() => asked.length).toBe(1);
    await clock.advance(10_000);
    expect(await waiting).toEqual([undefined, undefined]);
    expect(asked).toHaveLength(1);
    expect(logger.lines).toEqual([
      {
        level: 'warn',
        event: 'tenant-unknown',
        fields: { organisation: 'contoso', upstream: place().origin.host, what: 'no answer within 10 s' },
      },
    ]);
  });

  test('tells the cause where there is no upstream', async () => {
    const gone = place();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    expect(await tenants.tenantOf(gone)).toBeUndefined();
    expect(logger.lines[0]?.fields['what']).toMatch(/ECONNREFUSED/);
    server.listen(0, '127.0.0.1');
  });

  test('keeps organisations of one name at two upstreams apart, and asks anew for what is forgotten', async () => {
    await tenants.tenantOf(place());
    await tenants.tenantOf({ ...place(), path: '/base/contoso' });
    expect(asked).toHaveLength(2);
    tenants.forget(place());
    answer = tells(TWO);
    expect(await tenants.tenantOf(place())).toBe(TWO);
    expect(tenants.states().map(({ tenant }) => tenant)).toEqual([ONE, TWO]);
  });

  test('remembers a thousand organisations at most', async () => {
    for (let number = 0; number < 1_020; number += 20)
      await Promise.all(Array.from({ length: 20 }, (_, index) => tenants.tenantOf(place(`o${number + index}`))));
    expect(tenants.states()).toHaveLength(1_000);
    await tenants.tenantOf(place('o1019'));
    expect(asked).toHaveLength(1_020);
    await tenants.tenantOf(place('o0'));
    expect(asked).toHaveLength(1_021);
  });

  test('hands on what was found to who takes its place, and not what was not', async () => {
    await tenants.tenantOf(place());
    answer = cuts;
    await tenants.tenantOf(place('other'));
    answer = tells(TWO);
    const next = new Tenants({ connections, clock, logger, previous: tenants });
    expect(await next.tenantOf(place())).toBe(ONE);
    expect(await next.tenantOf(place('other'))).toBe(TWO);
    expect(asked).toHaveLength(3);
  });
});
