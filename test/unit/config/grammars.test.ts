import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { parseDuration, parseTimeLimit, writeDuration } from '../../../src/config/duration.js';
import { quote, writeKeyPath } from '../../../src/config/fault.js';
import { parseListenName } from '../../../src/config/listen-names.js';
import { parseListenAddress, parseListenAddresses, writeListenAddress } from '../../../src/config/listen-address.js';
import { nearestName } from '../../../src/config/nearest-name.js';
import { parseAuthority, parseProxy, parseUpstream } from '../../../src/config/outside-url.js';

function messageOf(run: () => unknown): string {
  try {
    run();
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return thrown.message;
    throw thrown;
  }
  return 'accepted';
}

describe('parseDuration()', () => {
  it.each([
    ['0s', 0],
    ['500ms', 500],
    ['90s', 90_000],
    ['15m', 900_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['24d', 2_073_600_000],
  ])('reads %s as %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each([
    ['30', '`30` has no unit; write `30s` for seconds or `30m` for minutes'],
    ['25d', '`25d` is too long; at most `24d`'],
    ['1.5h', '`1.5h` is not a duration; write a whole number and one of ms, s, m, h, d, such as `90s`'],
    ['1h30m', '`1h30m` is not a duration; write a whole number and one of ms, s, m, h, d, such as `90s`'],
    ['-1s', '`-1s` is not a duration; write a whole number and one of ms, s, m, h, d, such as `90s`'],
    ['5 s', '`5 s` is not a duration; write a whole number and one of ms, s, m, h, d, such as `90s`'],
    ['5S', '`5S` is not a duration; write a whole number and one of ms, s, m, h, d, such as `90s`'],
    ['5s\n', '`5s\\u000a` is not a duration; write a whole number and one of ms, s, m, h, d, such as `90s`'],
  ])('refuses %j', (text, message) => {
    expect(messageOf(() => parseDuration(text))).toBe(message);
  });

  it('reads what writeDuration() writes', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (ms) => parseDuration(writeDuration(ms)) === ms));
  });
});

it('parseTimeLimit() refuses zero, which would end everything at once', () => {
  expect(messageOf(() => parseTimeLimit('0ms'))).toBe('`0ms` would end everything at once; write a duration longer than zero');
  expect(parseTimeLimit('1ms')).toBe(1);
});

describe('parseListenAddress()', () => {
  it.each([
    ['127.0.0.1:8417', [{ host: '127.0.0.1', port: 8417, optional: false }]],
    ['127.9.9.9:0', [{ host: '127.9.9.9', port: 0, optional: false }]],
    ['[::1]:8417', [{ host: '::1', port: 8417, optional: false }]],
    ['0.0.0.0:8417', [{ host: '0.0.0.0', port: 8417, optional: false }]],
    ['[::]:8417', [{ host: '::', port: 8417, optional: false }]],
    ['10.88.0.1:8417', [{ host: '10.88.0.1', port: 8417, optional: false }]],
    ['[FD00:0::1]:8417', [{ host: 'fd00::1', port: 8417, optional: false }]],
    ['[0:0:0:0:0:0:0:1]:65535', [{ host: '::1', port: 65535, optional: false }]],
    [
      'localhost:8417',
      [
        { host: '127.0.0.1', port: 8417, optional: false },
        { host: '::1', port: 8417, optional: true },
      ],
    ],
  ])('reads %s', (text, addresses) => {
    expect(parseListenAddress(text)).toEqual(addresses);
  });

  it.each([
    ['[::ffff:127.0.0.1]:1', '`[::ffff:127.0.0.1]:1` is an IPv4 address in the form of IPv6; write it as IPv4'],
    ['[fe80::1%eth0]:1', '`[fe80::1%eth0]:1` does not begin with an IP address; write `127.0.0.1:1` or `[::1]:1`'],
    ['127.0.0.1.example.com:1', '`127.0.0.1.example.com:1` does not begin with an IP address; write `127.0.0.1:1` or `[::1]:1`'],
    ['127.1:1', '`127.1:1` does not begin with an IP address; write `127.0.0.1:1` or `[::1]:1`'],
    ['[127.0.0.1]:1', '`[127.0.0.1]:1` does not begin with an IP address; write `127.0.0.1:1` or `[::1]:1`'],
    ['build-host:8417', '`build-host:8417` does not begin with an IP address; write `127.0.0.1:8417` or `[::1]:8417`'],
    [':8417', '`:8417` does not begin with an IP address; write `127.0.0.1:8417` or `[::1]:8417`'],
    ['127.0.0.1', '`127.0.0.1` is not an address; write `127.0.0.1:8417` or `[::1]:8417`'],
    ['::1:8417', '`::1:8417` is not an address; write `127.0.0.1:8417` or `[::1]:8417`'],
    ['127.0.0.1:65536', '`127.0.0.1:65536` has no valid port; write one from 0 to 65535'],
  ])('refuses %s', (text, message) => {
    expect(messageOf(() => parseListenAddress(text))).toBe(message);
  });
});

describe('parseListenAddresses()', () => {
  it('refuses an address that comes twice, also by another name', () => {
    expect(messageOf(() => parseListenAddresses('[::1]:1, localhost:1'))).toBe(
      '[::1]:1 comes twice; write it once (`localhost` stands for 127.0.0.1 and ::1)',
    );
  });
  it.each([
    ['0.0.0.0:1,127.0.0.1:1', '0.0.0.0:1 listens on 127.0.0.1:1 as well; write one of the two, or another port'],
    ['[fd00::1]:1,[::]:1', '[::]:1 listens on [fd00::1]:1 as well; write one of the two, or another port'],
    ['localhost:1,[::]:1', '[::]:1 listens on [::1]:1 as well; write one of the two, or another port'],
  ])('refuses %s, which cannot be opened both', (text, message) => {
    expect(messageOf(() => parseListenAddresses(text))).toBe(message);
  });
  it.each(['0.0.0.0:1,[::]:1', '0.0.0.0:1,127.0.0.1:2', '127.0.0.1:8417,10.88.0.1:8417,[fd00::1]:8417', '0.0.0.0:0,127.0.0.1:0'])(
    'takes %s',
    (text) => {
      expect(parseListenAddresses(text).map(writeListenAddress).join(',')).toBe(text);
    },
  );
  it('takes port 0 twice, which is two ports', () => {
    expect(parseListenAddresses('127.0.0.1:0,127.0.0.1:0').map(writeListenAddress)).toEqual(['127.0.0.1:0', '127.0.0.1:0']);
  });
});

describe('parseListenName()', () => {
  it.each([
    ['host.containers.internal', 'host.containers.internal'],
    ['Host.Docker.Internal', 'host.docker.internal'],
    ['buildhost', 'buildhost'],
    ['win_host-7', 'win_host-7'],
  ])('reads %s', (text, name) => {
    expect(parseListenName(text)).toBe(name);
  });

  const address = 'is an address, and those of the listeners are known; leave it out';
  const noName = 'is not a host name; write it as `host.example.com`';
  it.each([
    ['host.example.com:8417', '`host.example.com:8417` has a port; write the name alone, it is taken with the port of each listener'],
    ['10.0.0.1', `\`10.0.0.1\` ${address}`],
    ['127.1', `\`127.1\` ${address}`],
    ['0x7f.1', `\`0x7f.1\` ${address}`],
    ['[::1]', `\`[::1]\` ${address}`],
    ['::1', `\`::1\` ${address}`],
    ['*.example.com', `\`*.example.com\` ${noName}`],
    ['host.', `\`host.\` ${noName}`],
    ['', `\`\` ${noName}`],
    ['h\u00f6st', `\`h\u00f6st\` ${noName}`],
    ['http://host', `\`http://host\` ${noName}`],
    [`${'a.'.repeat(127)}a`, `\`${'a.'.repeat(40)}...\` ${noName}`],
  ])('refuses %s', (text, message) => {
    expect(messageOf(() => parseListenName(text))).toBe(message);
  });
});

describe('parseUpstream()', () => {
  it.each([
    ['https://tfs.example.com:8443', 'https://tfs.example.com:8443/'],
    ['https://example.com/a/b', 'https://example.com/a/b'],
    ['http://127.0.0.1:3000', 'http://127.0.0.1:3000/'],
    ['http://localhost:3000', 'http://localhost:3000/'],
    ['http://[::1]:3000', 'http://[::1]:3000/'],
  ])('reads %s', (text, href) => {
    expect(parseUpstream(text).href).toBe(href);
  });

  const plain = 'is plain http to another machine, which would show the credential to the network; write an `https://` URL';
  it.each([
    ['http://tfs.example.com', plain],
    ['http://127.0.0.1.example.com', plain],
    ['ftp://example.com', 'is not an https URL; write `https://` and the host'],
    ['example.com', 'is not a URL; write it as `https://tfs.example.com:8443`'],
    ['https:/example.com', 'is not a URL; write it as `https://tfs.example.com:8443`'],
    ['https://exa mple.com', 'is not a URL; write it as `https://tfs.example.com:8443`'],
    ['https://example.com\\@evil.example', 'is not a URL; write it as `https://tfs.example.com:8443`'],
    ['https://example.com/?', 'has a query or fragment; leave out everything from the `?` or `#` on'],
    ['https://example.com/#x', 'has a query or fragment; leave out everything from the `?` or `#` on'],
    ['https://me@example.com', 'holds a user name or password; leave out everything up to the `@`: credentials belong to an identity'],
    [
      'https://:hunter2@example.com',
      'holds a user name or password; leave out everything up to the `@`: credentials belong to an identity',
    ],
  ])('refuses %s', (text, message) => {
    expect(messageOf(() => parseUpstream(text))).toBe(message);
  });
});

describe('parseProxy()', () => {
  it('reads a URL, a user name alone, and none', () => {
    expect([parseProxy('http://proxy:3128'), parseProxy('https://me@proxy'), parseProxy('none')].map(String)).toEqual([
      'http://proxy:3128/',
      'https://me@proxy/',
      'none',
    ]);
  });
  it.each([
    ['http://me:hunter2@proxy', 'holds a password; leave `proxy` out and set HTTPS_PROXY in the environment of the service instead'],
    ['socks5://proxy:1080', 'is not an http or https URL; write `http://host:port`, or `none`'],
    ['http://proxy:3128/path', 'has more than scheme, host and port; write `http://host:port`'],
    ['proxy:3128', 'is not a URL; write it as `http://proxy.example.com:3128`'],
  ])('refuses %s', (text, message) => {
    expect(messageOf(() => parseProxy(text))).toBe(message);
  });
});

describe('parseAuthority()', () => {
  it('gives an origin', () => {
    expect(parseAuthority('https://Login.Example.com:443/')).toBe('https://login.example.com');
  });
  it.each([
    ['http://127.0.0.1:1', 'is not an https URL; write `https://` and the host'],
    ['https://login.example.com/tenant', 'has more than scheme, host and port; the tenant has a key of its own, `tenant`'],
    [
      'https://a:b@login.example.com',
      'holds a user name or password; leave out everything up to the `@`: credentials belong to the identity',
    ],
  ])('refuses %s', (text, message) => {
    expect(messageOf(() => parseAuthority(text))).toBe(message);
  });
});

it.each([
  ['idenity', 'identity'],
  ['mathc', 'match'],
  ['alow', 'allow'],
  ['LISTEN', 'listen'],
  ['xyz', undefined],
  ['me', undefined],
])('nearestName() finds for %s: %s', (word, found) => {
  expect(nearestName(word, ['match', 'identity', 'allow', 'listen'])).toBe(found);
});

it('quote() hides userinfo, escapes what could forge a line, and cuts', () => {
  expect(quote('a:hunter2@host')).toBe('`[hidden]@host`');
  expect(quote('a\n\u001b[2K\u202eb')).toBe('`a\\u000a\\u001b[2K\\u202eb`');
  expect(quote('x'.repeat(100))).toBe(`\`${'x'.repeat(80)}...\``);
});

it('writeKeyPath() ends at secret, and does not take an identity of that name for it', () => {
  expect(writeKeyPath(['identities', 'a b', 'secret', 'hunter2'])).toBe('identities["a b"].secret');
  expect(writeKeyPath(['identities', 'secret', 'kind'])).toBe('identities.secret.kind');
  expect(writeKeyPath(['routes', 0, 'allow', 1])).toBe('routes[0].allow[1]');
});
