/** Promise: a variable that holds the keys of leases is taken out of the environment, so that no child process inherits it. */
import { expect, test } from 'vitest';
import { assemble } from '../../src/daemon/assemble.js';
import { systemClock } from '../../src/model/clock.js';
import { NO_HOME, SHUT } from './door-rig.js';

test('assemble() takes the keys of leases out of the environment', () => {
  const environment: Record<string, string | undefined> = { LEASE_KEYS: 'x', OTHER: 'y' };
  const house = assemble(
    {
      file: undefined,
      ...SHUT,
      access: { ...SHUT.access, leaseKey: { kind: 'env', name: 'LEASE_KEYS' } },
      identities: [],
      routes: [],
      drain: { min: 0, max: 0 },
      timeouts: { connect: 1000, stall: 1000, token: 1000 },
      log: { level: 'info', format: 'json', operations: 'debug' },
    },
    { environment, clock: systemClock, logger: { log: () => undefined }, audit: NO_HOME },
  );
  expect(environment).toEqual({ OTHER: 'y' });
  house.connections.close();
  house.vault.close();
});
