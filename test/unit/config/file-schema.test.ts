import { describe, expect, it } from 'vitest';
import { faultsOf, load } from './loading.js';

describe('loadSettings() tells faults of keys', () => {
  it.each([
    ['idenitties: {}\n', ['F:1:1: idenitties: unknown key `idenitties`; did you mean `identities`?']],
    [
      'colour: red\n',
      [
        'F:1:1: colour: unknown key `colour`; the keys here are listen, identities, routes, access, audit, drain, log, lfs, limits, telemetry, timeouts',
      ],
    ],
    ['log: { levle: info }\n', ['F:1:8: log.levle: unknown key `levle`; did you mean `level`?']],
    ['? [a, b]\n: 1\n', ['F:1:3: a key is not text; put it in quotes']],
    [
      'constructor: 1\n__proto__: 2\n',
      [
        'F:1:1: constructor: unknown key `constructor`; the keys here are listen, identities, routes, access, audit, drain, log, lfs, limits, telemetry, timeouts',
        'F:2:1: __proto__: unknown key `__proto__`; the keys here are listen, identities, routes, access, audit, drain, log, lfs, limits, telemetry, timeouts',
      ],
    ],
    ['log:\n  level: info\n  level: warn\n', ['F:3:3: log.level: the key comes twice; keep one of them']],
    [
      'log:\n  level: info\n  level: loud\n',
      [
        'F:3:3: log.level: the key comes twice; keep one of them',
        'F:3:10: log.level: `loud` is not one of error, warn, info, debug; write one of them',
      ],
    ],
    ['log:\n', ['F:1:1: log: has no value; write a map such as `{ level: info }`']],
    ['log: info\n', ['F:1:6: log: is text; write a map such as `{ level: info }`']],
    ['- routes\n', ['F:1:1: is a list; write a map of keys such as `routes:`']],
    ['routes\n', ['F:1:1: is text; write a map of keys such as `routes:`']],
    ['routes: {}\n', ['F:1:9: routes: is a map; write a list of routes, each beginning with `- match:`']],
    ['routes: []\n', ['F:1:9: routes: is an empty list; write a list of routes, each beginning with `- match:`, or leave the key out']],
    ['routes: [x]\n', ['F:1:10: routes[0]: is text; write a map such as `{ match: dev.azure.com/**, identity: azure-cli }`']],
    [
      'routes:\n  - allow: fetch\n',
      [
        'F:2:5: routes[0].match: is missing; write host/part/part, such as `dev.azure.com/contoso/**`',
        'F:2:5: routes[0].identity: is missing; write the name of an identity',
        'F:2:12: routes[0].allow: is text; write a list such as `[fetch, push, lfs]`',
      ],
    ],
    ['identities: []\n', ['F:1:13: identities: is a list; write a map of names and identities']],
    [
      'limits: { connections: 0, operations: "7" }\ntelemetry: { listen: [on, 7] }\n',
      [
        'F:1:24: limits.connections: `0` is not a whole number from 1 to 1000000',
        'F:1:39: limits.operations: is text; write a whole number from 1 to 1000000',
        'F:2:22: telemetry.listen: is not an address such as `127.0.0.1:9417`, `on` or `off`; write one of them',
      ],
    ],
    [
      'telemetry: { listen: here }\nlog: { operations: all }\n',
      [
        'F:1:22: telemetry.listen: `here` is not an address; write `127.0.0.1:9417` or `[::1]:9417`',
        'F:2:20: log.operations: `all` is not one of info, debug; write one of them',
      ],
    ],
  ])('%j', async (text, lines) => {
    expect(await faultsOf(text)).toEqual(lines);
  });

  it.each([['cache: x\n', ['F:1:1: cache']]])('of features to come: %j', async (text, places) => {
    expect(await faultsOf(text)).toEqual(places.map((place) => `${place}: is not available in this version; leave it out`));
  });
});

describe('loadSettings() tells faults of values', () => {
  it.each([
    [
      'listen: { http: [127.0.0.1:1, 127.0.0.1:1] }\n',
      ['F:1:31: listen.http[1]: 127.0.0.1:1 comes twice; write it once (`localhost` stands for 127.0.0.1 and ::1)'],
    ],
    ['listen: { http: 8417 }\n', ['F:1:17: listen.http: is a number; write host and port, such as `127.0.0.1:8417` or `"[::1]:8417"`']],
    ['listen: { http: [] }\n', ['F:1:17: listen.http: is an empty list; write at least one address, such as `127.0.0.1:8417`']],
    [
      'listen: { http: }\n',
      ['F:1:11: listen.http: holds no address; write `127.0.0.1:8417`, a list of such addresses, or `{ address: 127.0.0.1:8417 }`'],
    ],
    [
      'listen: { http: { address: ["0.0.0.0"], adress: x } }\n',
      [
        'F:1:29: listen.http.address[0]: `0.0.0.0` is not an address; write `127.0.0.1:8417` or `[::1]:8417`',
        'F:1:41: listen.http.adress: unknown key `adress`; did you mean `address`?',
      ],
    ],
    [
      'listen: { http: { names: [ok.example.com, "a:1", 5, OK.example.com] } }\n',
      [
        'F:1:43: listen.http.names[1]: `a:1` has a port; write the name alone, it is taken with the port of each listener',
        'F:1:50: listen.http.names[2]: is a number; write a host name',
        'F:1:53: listen.http.names[3]: `ok.example.com` comes twice; write it once',
      ],
    ],
    [
      'listen: { http: { names: x } }\n',
      ['F:1:26: listen.http.names: is text; write a list of host names, such as `[host.containers.internal]`'],
    ],
    [
      'access: { local: uids, remote: uid, uids: [1000, "1001", 1.5, -1, 1000, 4294967295] }\n',
      [
        'F:1:18: access.local: `uids` is not one of uid, lease, anyone; did you mean `uid`?',
        'F:1:32: access.remote: `uid` is not one of lease, anyone; write one of them',
        'F:1:50: access.uids[1]: is text; write the number of a user (`id -u NAME` tells it)',
        'F:1:58: access.uids[2]: 1.5 is no uid; write a whole number from 0 to 4294967294',
        'F:1:63: access.uids[3]: -1 is no uid; write a whole number from 0 to 4294967294',
        'F:1:67: access.uids[4]: 1000 comes twice; write it once',
        'F:1:73: access.uids[5]: 4294967295 is no uid; write a whole number from 0 to 4294967294',
      ],
    ],
    ['access: { uids: 1000 }\n', ['F:1:17: access.uids: is a number; write a list of numbers, such as `[1001]`']],
    ['access: { uids: [] }\n', ['F:1:17: access.uids: is an empty list; write a list of numbers, such as `[1001]`, or leave the key out']],
    ['access: x\n', ['F:1:9: access: is text; write a map such as `{ local: lease }`']],
    [
      'timeouts: { connect: 5, stall: 0s, token: 5 s }\n',
      [
        'F:1:22: timeouts.connect: is a number; write a duration with its unit, such as `15s`',
        'F:1:32: timeouts.stall: `0s` would end everything at once; write a duration longer than zero',
        'F:1:43: timeouts.token: `5 s` is not a duration; write a whole number and one of ms, s, m, h, d, such as `90s`',
      ],
    ],
    [
      'log: { level: debgu, format: yes }\n',
      [
        'F:1:15: log.level: `debgu` is not one of error, warn, info, debug; did you mean `debug`?',
        'F:1:30: log.format: `yes` is not one of auto, human, json; write one of them',
      ],
    ],
    ['log: { level: "" }\n', ['F:1:15: log.level: `` is not one of error, warn, info, debug; write one of them']],
  ])('%j', async (text, lines) => {
    expect(await faultsOf(text)).toEqual(lines);
  });

  it.each(['127.0.0.1:1', '[127.0.0.1:1]', '{ address: 127.0.0.1:1 }', '{ address: [127.0.0.1:1] }'])(
    'and takes listen.http: %s',
    async (http) => {
      expect((await load(`listen: { http: ${http} }\n`)).settings.listen.http).toEqual([{ host: '127.0.0.1', port: 1, optional: false }]);
    },
  );
});
