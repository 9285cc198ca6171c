import { expect, it } from 'vitest';
import { showSettings, showSettingsJson } from '../../../src/config/show-settings.js';
import { load } from './loading.js';

const TEXT = `identities:
  a:
    kind: basic
    user: "b  c"
    secret: { command: [pass, show, "a b"] }
routes:
  - match: tfs.example.com/**
    identity: a
    refs: { allow: [refs/heads/agent/*], changes: [create, update] }
    upstream: https://tfs.example.com:8443
    proxy: http://me@proxy.example.com:3128
`;

const VALUES = [
  ['listen.http: [127.0.0.1:8417, [::1]:8417 (optional)]', 'default'],
  ['listen.http.tls: off', 'default'],
  ['listen.http.names: []', 'default'],
  ['listen.ssh: [127.0.0.1:8422]', 'default'],
  ['access.local: uid', 'default'],
  ['access.remote: lease', 'default'],
  ['access.uids: []', 'default'],
  ['access.keys: []', 'default'],
  ['drain.min: 0s', 'default'],
  ['drain.max: 30s', 'default'],
  ['log.level: debug', 'flag --log-level'],
  ['log.format: auto', 'default'],
  ['log.operations: debug', 'default'],
  ['limits.connections: 2048', 'default'],
  ['limits.operations: 1024', 'default'],
  ['telemetry.listen: off', 'default'],
  ['timeouts.connect: 15s', 'default'],
  ['timeouts.stall: 15m', 'default'],
  ['timeouts.token: 30s', 'default'],
  ['lfs.hosts: []', 'default'],
  ['audit.onFailure: continue', 'default'],
  ['audit.maxSize: 64MiB', 'default'],
  ['audit.maxAge: 90d', 'default'],
  ['identities.a.kind: basic', 'F:3:11'],
  ['identities.a.user: "b  c"', 'F:4:11'],
  ['identities.a.secret: { command: [pass, show, a b] }', 'F:5:13'],
  ['routes[0].match: tfs.example.com/**', 'F:7:12'],
  ['routes[0].identity: a', 'F:8:15'],
  ['routes[0].allow: [fetch, push, lfs]', 'default'],
  ['routes[0].refs: { allow: [refs/heads/agent/*], changes: [create, update] }', 'F:9:11'],
  ['routes[0].upstream: https://tfs.example.com:8443/', 'F:10:15'],
  ['routes[0].host: azure-server', 'default'],
  ['routes[0].proxy: http://[hidden]@proxy.example.com:3128', 'F:11:12'],
  ['routes[0].ssh: bridge', 'default'],
] as const;

it('showSettings() shows every value in force, and hides the user of a proxy', async () => {
  const loaded = await load(TEXT, { flags: { 'log.level': 'debug' } });
  expect(showSettings(loaded, { origins: false })).toEqual(VALUES.map(([line]) => line));
  expect(String(loaded.settings.routes[0]?.proxy)).toBe('http://me@proxy.example.com:3128/');
});

it('showSettings() says where each value came from', async () => {
  const loaded = await load(TEXT, { flags: { 'log.level': 'debug' } });
  expect(showSettings(loaded, { origins: true })).toEqual(VALUES.map(([line, origin]) => `${line.padEnd(55)} # ${origin}`));
});

it('showSettingsJson() keeps lists and references as they are', async () => {
  const loaded = await load(TEXT);
  const find = (origins: boolean) => showSettingsJson(loaded, { origins }).find((value) => value.path === 'identities.a.secret');
  expect(find(false)).toEqual({ path: 'identities.a.secret', value: { command: ['pass', 'show', 'a b'] } });
  expect(find(true)).toEqual({ path: 'identities.a.secret', value: { command: ['pass', 'show', 'a b'] }, origin: 'F:5:13' });
});
