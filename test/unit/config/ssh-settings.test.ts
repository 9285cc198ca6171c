import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseAccessKey, parseFingerprint, parseSshUpstream } from '../../../src/config/ssh-settings.js';
import { faultsOf, load } from './loading.js';

const KEY = 'SHA256:ohD8VZEXGWo6Ez8GSEJQ9WpafgLFsOfLOtGGQCQo6Og';
const ROUTE = 'match: git.example.com/**, identity: azure-cli, host: generic';

describe('listen.ssh', () => {
  it.each([
    ['listen: { ssh: off }\n', []],
    ['listen: { ssh: 127.0.0.1:9 }\n', ['127.0.0.1:9']],
    ['listen: { ssh: [127.0.0.1:9, "[::1]:9"] }\n', ['127.0.0.1:9', '::1:9']],
  ])('%j', async (text, expected) => {
    const { settings } = await load(text);
    expect(settings.listen.ssh.map(({ host, port }) => `${host}:${port}`)).toEqual(expected);
  });

  it.each([
    [
      'listen: { ssh: { address: 127.0.0.1:9 } }\n',
      'F:1:16: listen.ssh: is a map; write `127.0.0.1:8422`, a list of such addresses, or `off`',
    ],
    ['listen: { ssh: [off] }\n', 'F:1:17: listen.ssh[0]: `off` is not an address; write `127.0.0.1:8417` or `[::1]:8417`'],
  ])('refuses %j', async (text, line) => {
    expect(await faultsOf(text)).toEqual([line]);
  });
});

describe('ssh of a route', () => {
  it('is bridge when it says nothing, and agent with all that belongs to it', async () => {
    const plain = await load(`routes: [{ ${ROUTE} }]\n`);
    expect(plain.settings.routes[0]?.ssh).toEqual({ kind: 'bridge' });
    const { settings, effective } = await load(
      `routes: [{ ${ROUTE}, ssh: { mode: agent, socket: run/agent, legacy: true }, key: ${KEY}=, knownHosts: [~/a, /b], sshUpstream: 'ssh://[::1]:2222' }]\n`,
    );
    expect(settings.routes[0]?.ssh).toEqual({
      kind: 'agent',
      key: KEY,
      socket: expect.stringMatching(/\/run\/agent$/) as string,
      knownHosts: ['/nowhere/a', '/b'],
      isLegacyAllowed: true,
      upstream: { user: undefined, host: '::1', port: 2222 },
    });
    expect(effective.find(({ path }) => path === 'routes[0].sshUpstream')?.value).toBe('ssh://[::1]:2222');
  });

  it.each([
    ['ssh: tunnel', 'routes[0].ssh: `tunnel` is not a way to serve SSH; write `bridge`, `agent`, or `{ mode: agent, socket: FILE }`'],
    ['ssh: { socket: x }', 'routes[0].ssh.mode: is missing; write `bridge` or `agent`'],
    [
      'ssh: { mode: bridge, legacy: true }',
      'routes[0].ssh.legacy: has no effect on `bridge`, which uses no SSH; leave it out, or write `mode: agent`',
    ],
    [`key: '${KEY}'`, 'routes[0].key: has an effect with `ssh: agent` only; write that too, or leave it out'],
    ['ssh: agent, key: MD5:00', 'routes[0].key: is not a fingerprint; write it as `ssh-add -l` shows it: `SHA256:` and 43 characters'],
    ["ssh: agent, sshUpstream: 'ssh://git:pw@h'", 'routes[0].sshUpstream: is not `ssh://user@host:port`; leave out password and path'],
    [
      'ssh: agent, knownHosts: []',
      'routes[0].knownHosts: is an empty list; write the path of a known_hosts file, or a list of such paths, or leave the key out',
    ],
  ])('refuses %s', async (keys, line) => {
    expect((await faultsOf(`routes: [{ ${ROUTE}, ${keys} }]\n`)).map((each) => each.replace(/^F:\d+:\d+: /, ''))).toEqual([line]);
  });
});

describe('parseAccessKey()', () => {
  it('reads what ssh-keygen writes, with the fingerprint that it shows', () => {
    const directory = mkdtempSync(join(tmpdir(), 'postern-keys-'));
    try {
      for (const [type, bits] of [
        ['ed25519', '256'],
        ['ecdsa', '384'],
        ['rsa', '2048'],
      ] as const) {
        const file = join(directory, type);
        execFileSync('ssh-keygen', ['-q', '-t', type, '-b', bits, '-N', '', '-C', 'ada at work', '-f', file]);
        const shown = execFileSync('ssh-keygen', ['-lf', `${file}.pub`], { encoding: 'utf8' });
        const key = parseAccessKey(readFileSync(`${file}.pub`, 'utf8'));
        expect(shown).toContain(` ${key.fingerprint} `);
        expect(key.comment).toBe('ada at work');
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  it('refuses an RSA key that is too short', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const { n = '', e = '' } = publicKey.export({ format: 'jwk' });
    const field = (bytes: Buffer): Buffer => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(bytes.length);
      return Buffer.concat([length, bytes]);
    };
    const number = (text: string): Buffer => field(Buffer.concat([Buffer.from([0]), Buffer.from(text, 'base64url')]));
    const blob = Buffer.concat([field(Buffer.from('ssh-rsa')), number(e), number(n)]).toString('base64');
    expect(() => parseAccessKey(`ssh-rsa ${blob}`)).toThrow('is an RSA key of less than 2048 bits; use a longer one');
  });

  it.each([
    ['', 'is not a public key'],
    ['-----BEGIN OPENSSH PRIVATE KEY-----', 'is a private key, which nobody but an agent should hold'],
    ['sk-ssh-ed25519@openssh.com AAAA', 'is not a type of key that can be used here'],
    ['ssh-dss AAAAB3NzaC1kc3MAAACB', 'is not a type of key that can be used here'],
    ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAH5uQnkdK8Wcy', 'is a public key that was cut or changed'],
    ['ssh-ed25519 AAAAB3NzaC1yc2EAAAADAQAB', 'is a public key that was cut or changed'],
  ])('refuses %j', (text, fault) => {
    expect(() => parseAccessKey(text)).toThrow(fault);
  });
});

it('parseFingerprint() takes padding away', () => {
  expect(parseFingerprint(` ${KEY}= `)).toBe(KEY);
});

it.each([
  ['ssh://h', { user: undefined, host: 'h', port: 22 }],
  ['ssh://ada@H.example.com:2222/', { user: 'ada', host: 'h.example.com', port: 2222 }],
])('parseSshUpstream(%j)', (text, expected) => {
  expect(parseSshUpstream(text)).toEqual(expected);
});

it.each(['h', 'ssh://', 'ssh://h/path', 'ssh://h:0', 'ssh://h:99999', 'https://h', 'ssh://a b', 'ssh://-oProxyCommand=x'])(
  'parseSshUpstream() refuses %j',
  (text) => {
    expect(() => parseSshUpstream(text)).toThrow(SyntaxError);
  },
);
