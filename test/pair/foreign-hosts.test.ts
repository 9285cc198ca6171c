/**
 * Promise: no connection is made to an address in the network of the daemon because an upstream named its host, and none that is made for
 * such a host is ever used for anything else.
 */
import { request } from 'node:https';
import type { LookupAddress } from 'node:dns';
import { type AddressInfo, createServer, type LookupFunction, type Server } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { UpstreamConnections, type UpstreamTarget } from '../../src/upstream/connections.js';
import { dial } from '../../src/upstream/dial.js';
import { route } from '../unit/route.js';

let listener: Server;
let port = 0;
let visits = 0;
/** What a name leads to. */
let addresses: readonly string[] = [];
let looked: string[] = [];

const lookup: LookupFunction = (name, options, callback) => {
  looked.push(name);
  const found = addresses.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 }));
  const [first = { address: '', family: 4 }] = found;
  // As the system's own: also `localhost` and literals come here only where somebody asks.
  if (options.all === true) callback(null, found);
  else callback(null, first.address, first.family);
};

beforeAll(async () => {
  listener = createServer((socket) => {
    visits += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  port = (listener.address() as AddressInfo).port; // because a TCP server has such an address
});
afterAll(() => {
  listener.close();
});
beforeEach(() => {
  visits = 0;
  looked = [];
});

function connections(environment = {}): UpstreamConnections {
  return new UpstreamConnections({ environment, connectMs: 5_000, lookup });
}

/** The code of what a request on a pool ends with. */
function ask(pool: UpstreamConnections, target: Pick<UpstreamTarget, 'origin' | 'foreign'>, also = {}): Promise<unknown> {
  const agent = pool.agentFor({ ...target, route: route('dev.azure.com/**', also), identity: 'me' });
  return new Promise((resolve) => {
    request(target.origin, { agent })
      .on('response', () => resolve('an answer'))
      .on('error', (fault) => resolve('code' in fault ? fault.code : fault.message))
      .end();
  });
}

const at = (host: string): URL => new URL(`https://${host}:${port}`);

describe('a host that the upstream named', () => {
  it.each([['127.0.0.1'], ['127.0.0.1', '10.1.2.3'], ['169.254.169.254', '::1']])(
    'is not dialed when its name leads to %s',
    async (...found) => {
      addresses = found;
      const pool = connections();
      expect(await ask(pool, { origin: at('a.blob.core.windows.net'), foreign: { mayBePrivate: false } })).toBe('target-refused');
      expect(visits).toBe(0);
      expect(looked).toEqual(['a.blob.core.windows.net']);
      pool.close();
    },
  );

  it('is dialed where it may have such an address, as is the upstream of a route', async () => {
    addresses = ['127.0.0.1'];
    const pool = connections();
    // Who listens there hangs up, before the handshake or in it.
    const hungUp = expect.stringMatching(/^upstream-(?:tls|unreachable)$/) as unknown;
    expect(await ask(pool, { origin: at('a.example'), foreign: { mayBePrivate: true } })).toEqual(hungUp);
    expect(await ask(pool, { origin: at('a.example') })).toEqual(hungUp);
    expect(visits).toBe(2);
    pool.close();
  });

  it.each(['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', 'localhost', 'a.localhost', '169.254.169.254', '10.0.0.1'])(
    'is not dialed as %s, nor is an outgoing proxy asked for it',
    async (host) => {
      addresses = ['8.8.8.8'];
      const pool = connections();
      const foreign = { mayBePrivate: false };
      expect(await ask(pool, { origin: at(host), foreign })).toBe('target-refused');
      expect(await ask(pool, { origin: at(host), foreign }, { proxy: new URL(`http://127.0.0.1:${port}`) })).toBe('target-refused');
      expect(visits).toBe(0);
      expect(looked).toEqual([]);
      pool.close();
    },
  );

  it('has pools of its own, by whether it may have a private address', () => {
    const pool = connections();
    const target = { origin: new URL('https://a.example'), route: route('dev.azure.com/**'), identity: 'me' };
    const agents = [undefined, { mayBePrivate: false }, { mayBePrivate: true }].map((foreign) => pool.agentFor({ ...target, foreign }));
    expect(new Set(agents).size).toBe(3);
    expect(pool.agentFor({ ...target, foreign: { mayBePrivate: false } })).toBe(agents[1]);
    pool.close();
  });

  it('is told as what it is where it cannot be reached', async () => {
    addresses = ['127.0.0.1'];
    const origin = new URL('https://a.example:1');
    const plan = {
      origin,
      trust: undefined,
      proxy: undefined,
      timeoutMs: 5_000,
      session: undefined,
      onSession: () => undefined,
      lookup,
      isForeign: true,
    };
    const fault = await new Promise<Error | null>((resolve) => dial(plan, resolve));
    expect(fault).toMatchObject({ code: 'upstream-unreachable' });
    expect(fault?.message).toMatch(/^a\.example:1, which the upstream named, cannot be reached \(.*ECONNREFUSED/);
  });
});
