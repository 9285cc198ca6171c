import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadSettings } from '../../../src/config/load-settings.js';
import { settingsPath } from '../../../src/config/settings-file.js';
import { LARGEST_FILE_BYTES } from '../../../src/config/settings-source.js';
import { faultsOf, load, newFolder, request } from './loading.js';

const RESOURCE = '499b84ac-1321-427f-aa17-267ca6975798';

const ZERO = {
  file: undefined,
  listen: {
    http: [
      { host: '127.0.0.1', port: 8417, optional: false },
      { host: '::1', port: 8417, optional: true },
    ],
    ssh: [{ host: '127.0.0.1', port: 8422, optional: false }],
    names: [],
    tls: { kind: 'default' },
  },
  access: { local: 'uid', remote: 'lease', uids: [], keys: [], leaseKey: undefined, revocations: undefined },
  audit: { isOn: true, directory: undefined, onFailure: 'continue', maxSizeBytes: 64 * 1024 * 1024, maxAge: 90 * 86_400_000 },
  identities: [
    {
      name: 'azure-cli',
      kind: 'azure-cli',
      tenant: undefined,
      clientId: undefined,
      authority: undefined,
      resource: RESOURCE,
      ca: undefined,
    },
  ],
  routes: [
    {
      match: 'dev.azure.com/**',
      identity: 'azure-cli',
      allow: ['fetch', 'push', 'lfs'],
      hostKind: 'azure-services',
      upstream: undefined,
      ca: undefined,
      proxy: undefined,
      refs: undefined,
      ssh: { kind: 'bridge' },
    },
  ],
  drain: { min: 0, max: 30_000 },
  timeouts: { connect: 15_000, stall: 900_000, token: 30_000 },
  limits: { connections: 2048, operations: 1024 },
  lfs: { hosts: [] },
  telemetry: { listen: [] },
  log: { level: 'info', format: 'auto', operations: 'debug' },
};

describe('loadSettings() without a file', () => {
  it('gives every repository of Azure DevOps Services to the Azure CLI', async () => {
    const loaded = await loadSettings(request());
    expect(loaded.settings).toEqual(ZERO);
    expect(loaded.warnings).toEqual([]);
    expect(new Set(loaded.effective.map((value) => value.origin))).toEqual(new Set(['default']));
  });

  it.each(['', '# nothing\n', '---\n', '{}\n', '\ufeff# with a byte order mark\n'])(
    'gives the same for the empty file %j',
    async (text) => {
      const { settings } = await load(text);
      expect({ ...settings, file: undefined }).toEqual(ZERO);
    },
  );
});

describe('settingsPath()', () => {
  it.each([
    [
      '--config first',
      { file: 'a.yaml', environment: { POSTERN_CONFIG: '/b.yaml' }, workingDirectory: '/w' },
      { path: '/w/a.yaml', named: true },
    ],
    ['then POSTERN_CONFIG', { environment: { POSTERN_CONFIG: '/b.yaml', XDG_CONFIG_HOME: '/x' } }, { path: '/b.yaml', named: true }],
    ['also for a system service', { environment: { POSTERN_CONFIG: '~/b.yaml' }, system: true }, { path: '/nowhere/b.yaml', named: true }],
    [
      'an empty POSTERN_CONFIG is none',
      { environment: { POSTERN_CONFIG: '' }, system: true },
      { path: '/etc/postern/config.yaml', named: false },
    ],
    ['then XDG_CONFIG_HOME', { environment: { XDG_CONFIG_HOME: '/x' } }, { path: '/x/postern/config.yaml', named: false }],
    ['not a relative one', { environment: { XDG_CONFIG_HOME: 'x' } }, { path: '/nowhere/.config/postern/config.yaml', named: false }],
    ['then the home directory', {}, { path: '/nowhere/.config/postern/config.yaml', named: false }],
    ['and without one, nowhere', { home: undefined }, undefined],
  ])('%s', (_, over, found) => {
    expect(settingsPath(request(over))).toEqual(found);
  });
});

describe('loadSettings() and its file', () => {
  it('reads the default file when it is there', async () => {
    const home = newFolder();
    mkdirSync(join(home, '.config/postern'), { recursive: true });
    writeFileSync(join(home, '.config/postern/config.yaml'), 'log: { level: warn }\n');
    const { settings } = await loadSettings(request({ home }));
    expect([settings.file, settings.log.level]).toEqual([join(home, '.config/postern/config.yaml'), 'warn']);
  });

  it.each([
    [
      'an absent file that was named',
      'gone.yaml',
      'Create it, name another with --config or POSTERN_CONFIG, or name none to run without a file',
    ],
    ['a directory', '.', 'It is a directory; name the file in it'],
  ])('says what to do about %s', async (_, name, todo) => {
    const workingDirectory = newFolder();
    const expected = { code: 'config-unreadable', todo };
    await expect(loadSettings(request({ file: name, workingDirectory }))).rejects.toMatchObject(expected);
    await expect(loadSettings(request({ environment: { POSTERN_CONFIG: name }, workingDirectory }))).rejects.toMatchObject(expected);
  });

  it('refuses a default file that is there and cannot be read', async () => {
    const home = newFolder();
    mkdirSync(join(home, '.config/postern/config.yaml'), { recursive: true });
    await expect(loadSettings(request({ home }))).rejects.toMatchObject({ code: 'config-unreadable' });
  });

  it('takes a file of 1 MiB and refuses one that is larger', async () => {
    await load('#'.repeat(LARGEST_FILE_BYTES));
    expect(await faultsOf('#'.repeat(LARGEST_FILE_BYTES + 1))).toEqual([
      'F:1:1: the file is larger than 1 MiB; name the configuration file itself',
    ]);
  });

  it('tells the line that is not UTF-8', async () => {
    expect(await faultsOf(Buffer.from('log:\n  # caf\xe9\n', 'latin1'))).toEqual(['F:2:1: the line is not UTF-8; save the file in UTF-8']);
  });

  it('makes paths absolute: ~/ is home, others begin at the folder of the file', async () => {
    const loaded = await load(
      `identities:
  c: { kind: client-certificate, tenant: t, clientId: c, certificate: ~/c.pem, ca: sub/ca.pem }
  f: { kind: pat, secret: { file: f } }
  r: { kind: pat, secret: { command: [./run, ./arg] } }
  p: { kind: pat, secret: { command: [pass, show] } }
routes:
  - { match: a/**, identity: c, ca: /abs.pem }
  - { match: b/**, identity: f }
  - { match: c/**, identity: r }
  - { match: d/**, identity: p }
`,
      { home: '/home/me' },
    );
    const folder = loaded.settings.file?.replace('/config.yaml', '') ?? '';
    expect(loaded.settings.identities).toMatchObject([
      { certificate: '/home/me/c.pem', ca: `${folder}/sub/ca.pem` },
      { secret: { kind: 'file', path: `${folder}/f` } },
      { secret: { kind: 'command', argv: [`${folder}/run`, './arg'] } },
      { secret: { kind: 'command', argv: ['pass', 'show'] } },
    ]);
    expect(loaded.settings.routes[0]?.ca).toBe('/abs.pem');
  });

  it('refuses ~/ for a user without home directory', async () => {
    const text = 'routes: [{ match: a/**, identity: azure-cli, ca: ~/ca.pem }]\n';
    await expect(load(text, { home: undefined })).rejects.toMatchObject({ code: 'config-invalid', todo: 'Write the whole path' });
  });
});

describe('loadSettings() and who may use the doors', () => {
  it('reads addresses that others can reach, names, proof and uids', async () => {
    const { settings, warnings, effective } = await load(
      'listen: { http: { address: [localhost:1, 10.88.0.1:1], names: [Host.Containers.Internal] } }\naccess: { local: uid, remote: lease, uids: [1001, 0] }\n',
    );
    expect(settings.listen).toMatchObject({
      http: [{ host: '127.0.0.1' }, { host: '::1' }, { host: '10.88.0.1', port: 1, optional: false }],
      names: ['host.containers.internal'],
    });
    expect(settings.access).toEqual({
      local: 'uid',
      remote: 'lease',
      uids: [1001, 0],
      keys: [],
      leaseKey: undefined,
      revocations: undefined,
    });
    expect(warnings).toEqual([]);
    expect(effective.filter(({ path }) => /names|uids/.test(path))).toEqual([
      { path: 'listen.http.names', value: ['host.containers.internal'], origin: 'F:1:63' },
      { path: 'access.uids', value: ['1001', '0'], origin: 'F:2:44' },
    ]);
  });

  it('takes names for the default addresses', async () => {
    const { settings } = await load('listen: { http: { names: [a.example] } }\n');
    expect(settings.listen).toMatchObject({ http: [{ host: '127.0.0.1', port: 8417 }, { host: '::1' }], names: ['a.example'] });
  });

  it('warns of doors that stand open, wherever that was said, and of uids that have no effect', async () => {
    const { warnings } = await load('access: { local: anyone, uids: [1000, 65534] }\n', {
      environment: { POSTERN_ACCESS_REMOTE: 'anyone' },
    });
    expect(warnings).toEqual([
      'F:1:18: access.local: EVERY user and program of this machine may use the identities of the routes; write `uid` or `lease`',
      'F:1:32: access.uids: has no effect, because `access.local` is `anyone`; leave it out',
      'F:1:32: access.uids: 65534 also stands for every user that the kernel cannot tell, so it is served nowhere',
      'environment POSTERN_ACCESS_REMOTE: access.remote: EVERYONE who can reach a listener may use the identities of the routes; write `lease`',
    ]);
  });
});

describe('loadSettings() precedence', () => {
  const file = 'log:\n  level: warn\n';
  const environment = { POSTERN_LOG_LEVEL: 'error' };
  const flags = { 'log.level': 'debug' };
  it.each([
    ['flag', { environment, flags }, 'debug', 'flag --log-level'],
    ['environment', { environment }, 'error', 'environment POSTERN_LOG_LEVEL'],
    ['file', {}, 'warn', 'F:2:10'],
    ['file, when the variable is empty', { environment: { POSTERN_LOG_LEVEL: '' } }, 'warn', 'F:2:10'],
  ])('%s', async (_, over, value, origin) => {
    const loaded = await load(file, over);
    expect(loaded.settings.log.level).toBe(value);
    expect(loaded.effective.find((each) => each.path === 'log.level')).toEqual({ path: 'log.level', value, origin });
  });

  it('is for each value by itself', async () => {
    const loaded = await load('timeouts: { connect: 1s, stall: 2s }\n', {
      environment: {
        POSTERN_TIMEOUTS_STALL: '3s',
        POSTERN_LISTEN_HTTP: '127.0.0.1:0, [::1]:1',
        POSTERN_DRAIN_MAX: '2h',
        POSTERN_LOG_FORMAT: 'json',
        POSTERN_ACCESS_LOCAL: 'lease',
      },
      flags: { 'drain.min': '1h' },
    });
    expect(loaded.settings).toMatchObject({
      timeouts: { connect: 1000, stall: 3000, token: 30_000 },
      drain: { min: 3_600_000, max: 7_200_000 },
      log: { level: 'info', format: 'json' },
      listen: {
        http: [
          { host: '127.0.0.1', port: 0, optional: false },
          { host: '::1', port: 1, optional: false },
        ],
      },
    });
    expect(loaded.effective.slice(0, 19)).toEqual([
      { path: 'listen.http', value: ['127.0.0.1:0', '[::1]:1'], origin: 'environment POSTERN_LISTEN_HTTP' },
      { path: 'listen.http.tls', value: 'off', origin: 'default' },
      { path: 'listen.http.names', value: [], origin: 'default' },
      { path: 'listen.ssh', value: ['127.0.0.1:8422'], origin: 'default' },
      { path: 'access.local', value: 'lease', origin: 'environment POSTERN_ACCESS_LOCAL' },
      { path: 'access.remote', value: 'lease', origin: 'default' },
      { path: 'access.uids', value: [], origin: 'default' },
      { path: 'access.keys', value: [], origin: 'default' },
      { path: 'drain.min', value: '1h', origin: 'flag --drain-min' },
      { path: 'drain.max', value: '2h', origin: 'environment POSTERN_DRAIN_MAX' },
      { path: 'log.level', value: 'info', origin: 'default' },
      { path: 'log.format', value: 'json', origin: 'environment POSTERN_LOG_FORMAT' },
      { path: 'log.operations', value: 'debug', origin: 'default' },
      { path: 'limits.connections', value: '2048', origin: 'default' },
      { path: 'limits.operations', value: '1024', origin: 'default' },
      { path: 'telemetry.listen', value: 'off', origin: 'default' },
      { path: 'timeouts.connect', value: '1s', origin: 'F:1:22' },
      { path: 'timeouts.stall', value: '3s', origin: 'environment POSTERN_TIMEOUTS_STALL' },
      { path: 'timeouts.token', value: '30s', origin: 'default' },
    ]);
  });

  it('still tells the fault of a value that is overridden', async () => {
    expect(await faultsOf('log: { level: loud }\n', { flags })).toEqual([
      'F:1:15: log.level: `loud` is not one of error, warn, info, debug; write one of them',
    ]);
  });
});

describe('loadSettings() faults of flags and environment', () => {
  it('come after those of the file, flags first', async () => {
    const given = {
      flags: { 'log.levle': 'x', 'timeouts.token': '5', 'log.format': '' },
      environment: {
        POSTERN_LOG_LEVLE: 'hunter2',
        POSTERN_DRAIN_MAX: '3',
        POSTERN_WHATEVER: 'hunter2',
        POSTERN_TELEMETRY_LISTEN: 'x',
        POSTERN_CACHE_SIZE: 'x',
        POSTERN_LISTEN_SSH: 'x',
      },
    };
    expect(await faultsOf('cache: {}\n', given)).toEqual([
      'F:1:1: cache: is not available in this version; leave it out',
      'flag --log-format: log.format: is empty; write one of auto, human, json',
      'flag --log-levle: log.levle: is not a setting that a flag can give; did you mean `log.level`?',
      'flag --timeouts-token: timeouts.token: `5` has no unit; write `5s` for seconds or `5m` for minutes',
      'environment POSTERN_CACHE_SIZE: is not available in this version; unset it',
      'environment POSTERN_DRAIN_MAX: drain.max: `3` has no unit; write `3s` for seconds or `3m` for minutes',
      'environment POSTERN_LISTEN_SSH: listen.ssh: `x` is not an address; write `127.0.0.1:8422`, `[::1]:8422`, or `off`',
      'environment POSTERN_LOG_LEVLE: is not a variable of Postern; did you mean `POSTERN_LOG_LEVEL`?',
      'environment POSTERN_TELEMETRY_LISTEN: telemetry.listen: `x` is not an address; write `127.0.0.1:9417` or `[::1]:9417`',
      'environment POSTERN_WHATEVER: is not a variable of Postern; unset it, or write the setting in the file',
    ]);
  });

  it('know what Kubernetes sets for a Service called postern', async () => {
    expect(await faultsOf('', { environment: { POSTERN_PORT_8417_TCP_ADDR: '10.0.0.1' } })).toEqual([
      'environment POSTERN_PORT_8417_TCP_ADDR: is set by Kubernetes for a Service called postern; set `enableServiceLinks: false` in the pod, or rename the Service',
    ]);
  });

  it('leave alone the variables that are no settings, and those that hold a secret', async () => {
    const text = 'identities: { a: { kind: pat, secret: { env: POSTERN_TFS_PAT } } }\nroutes: [{ match: a/**, identity: a }]\n';
    const environment = { POSTERN_TFS_PAT: 'x', POSTERN_LEASE: 'x', POSTERN_STATE_DIRECTORY: '/x', PATH: '/bin' };
    expect((await load(text, { environment })).warnings).toEqual([]);
  });

  it('do not guess which variables hold secrets when the file cannot be read as YAML', async () => {
    expect(await faultsOf('log: [\n', { environment: { POSTERN_TFS_PAT: 'x', POSTERN_DRAIN_MAX: 'x' } })).toEqual([
      'F:2:1: the indentation does not fit, or a bracket is not closed; line keys up with their neighbours and close every `[` and `{`',
      'environment POSTERN_DRAIN_MAX: drain.max: `x` is not a duration; write a whole number and one of ms, s, m, h, d, such as `90s`',
    ]);
  });

  it('tell a drain that ends before it begins where it was asked for', async () => {
    const text = 'the drain ends before it begins; make `drain.min` at most `drain.max`';
    expect(await faultsOf('drain: { min: 40s }\n')).toEqual([`F:1:15: drain.min: ${text}`]);
    expect(await faultsOf('drain: { min: 20s }\n', { flags: { 'drain.max': '10s' } })).toEqual([`F:1:15: drain.min: ${text}`]);
    expect(await faultsOf('', { environment: { POSTERN_DRAIN_MIN: '40s' } })).toEqual([
      `environment POSTERN_DRAIN_MIN: drain.min: ${text}`,
    ]);
  });
});
