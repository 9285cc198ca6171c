import { describe, expect, it } from 'vitest';
import { pageActions } from '../../../src/daemon/page-actions.js';
import { PageSessions } from '../../../src/gate/page-sessions.js';
import type { BoundAddress } from '../../../src/http/door-listeners.js';
import { ProxyError } from '../../../src/model/errors.js';
import { FakeClock } from '../../fakes/clock.js';

const at = (scheme: BoundAddress['scheme'], host: string, port = 8417): BoundAddress => ({ scheme, host, port });

function give(bound: readonly BoundAddress[], body: unknown = { uid: 1000 }): unknown {
  const action = pageActions({ pageSessions: new PageSessions(new FakeClock()), door: { bound } }).get('/page/code');
  return action?.(body);
}

describe('the page that a code is for', () => {
  it.each<[what: string, bound: readonly BoundAddress[], address: string]>([
    ['the first loopback address', [at('http', '127.0.0.1'), at('http', '::1')], 'http://127.0.0.1:8417/-/'],
    ['an IPv6 one where there is no other', [at('http', '::1')], 'http://[::1]:8417/-/'],
    ['not one that others reach', [at('https', '10.0.0.7'), at('http', '127.0.0.1', 9000)], 'http://127.0.0.1:9000/-/'],
    ['without TLS where there is a choice', [at('https', '0.0.0.0'), at('http', '127.0.0.1', 9000)], 'http://127.0.0.1:9000/-/'],
    ['with TLS where there is none', [at('https', '0.0.0.0')], 'https://127.0.0.1:8417/-/'],
    ['of a listener on all IPv6 addresses', [at('https', '::')], 'https://[::1]:8417/-/'],
  ])('is at %s', (_what, bound, address) => {
    expect(give(bound)).toMatchObject({ address });
  });

  it('is refused where none is of this machine alone, with what to do', () => {
    expect(() => give([at('https', '10.0.0.7')])).toThrow(ProxyError);
    expect(() => give([at('https', '10.0.0.7')])).toThrow('The HTTP door listens on no address of this machine alone');
  });

  it.each([[{}], [{ uid: -1 }], [{ uid: '1000' }], [{ uid: 1.5 }], [null]])('is refused for what is no user: %j', (body) => {
    expect(() => give([at('http', '127.0.0.1')], body)).toThrow('The daemon does not understand what was asked');
  });
});
