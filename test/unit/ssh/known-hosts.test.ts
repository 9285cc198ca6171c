import { execFileSync, spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judgeHostKey, knownHostsName, knownKeyTypes, namesHost, parseKnownHosts } from '../../../src/ssh/known-hosts.js';
import { makeKeyPair, publicKey, type PublicKeyLine } from '../../support/ssh-keys.js';

/** As Azure DevOps shows it; its fingerprint stands in the documentation. */
const AZURE =
  'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7Hr1oTWqNqOlzGJOfGJ4NakVyIzf1rXYd4d7wo6jBlkLvCA4odBlL0mDUyZ0/QUfTTqeu+tm22gOsv+VrVTMk6vwRU75gY/y9ut5Mb3bR5BV58dKXyq9A9UeB5Cakehn5Zgm6x1mKoVyf+FFn26iYqXJRgzIZZcZ5V6hrE0Qg39kZm4az48o0AUbf6Sp4SLdvnuMa2sVNwHBboS7EJkm57XQPVU3/QpyNLHbWDdzwtrlS+ez30S3AdYhLKEOxAG8weOnyrtLJAUen9mTkol8oII1edf7mWWbWVf0nBmly21+nZcmCTISQBtdcyPaEno7fFQMDD26/s0lfKob4Kw8H';

/** Runs of ssh-keygen in the property: each is a child. */
const RUNS = 150;

let folder: string;
let ed: PublicKeyLine;
let rsa: PublicKeyLine;
let ec: PublicKeyLine;
let other: PublicKeyLine;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'known-hosts-'));
  ed = await makeKeyPair(join(folder, 'ed'), { type: 'ed25519', comment: 'one' });
  other = await makeKeyPair(join(folder, 'other'), { type: 'ed25519', comment: 'other' });
  rsa = await makeKeyPair(join(folder, 'rsa'), { type: 'rsa', bits: 2048, comment: 'two words' });
  ec = await makeKeyPair(join(folder, 'ec'), { type: 'ecdsa', comment: '' });
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const azure = publicKey(AZURE);

const blobOf = ({ blob }: PublicKeyLine): Buffer => Buffer.from(blob, 'base64');
const keyed = (hosts: string, key: PublicKeyLine, marker = ''): string => `${marker}${hosts} ${key.type} ${key.blob}`;
const judge = (text: string, host: string, port: number, key: PublicKeyLine): ReturnType<typeof judgeHostKey> =>
  judgeHostKey(parseKnownHosts(text, 'f'), host, port, blobOf(key));

function hashed(name: string): string {
  const salt = Buffer.from('01234567890123456789', 'latin1');
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
}

/** Numbers of the lines of `text` that ssh-keygen finds for a name. */
function foundByOpenSsh(text: string, name: string): number[] {
  const file = join(folder, 'oracle');
  writeFileSync(file, text);
  const { stdout } = spawnSync('ssh-keygen', ['-F', name, '-f', file], { encoding: 'utf8' });
  return Array.from(stdout.matchAll(/^# Host .* found: line (\d+)/gm), ([, line]) => Number(line));
}

describe('parseKnownHosts()', () => {
  it('finds for any name the lines that ssh-keygen -F finds', () => {
    const names = ['a.example', 'b.example', 'ab.example', '[a.example]:2222', '10.0.0.1', 'a.example.evil'];
    const patterns = [
      'a.example',
      'A.Example',
      '*.example',
      '?.example',
      '!b.example',
      '[a.example]:2222',
      '[*]:2222',
      '10.0.0.*',
      '*',
      '!*',
      'a*e',
      '',
      '**.e?ample',
    ];
    const hosts = fc.oneof(
      fc
        .array(fc.constantFrom(...patterns), { minLength: 1, maxLength: 4 })
        .map((each) => each.join(','))
        .filter((text) => text !== ''),
      fc.constantFrom(...names).map(hashed),
      fc.constantFrom('|1|bad|hash', '|2|x|y', '|1|', '|1|MDEyMzQ1Njc4OTAxMjM0NTY3ODk=|AAAA'),
    );
    const keyLine = fc
      .tuple(
        hosts,
        fc.constantFrom(0, 1, 2),
        fc.constantFrom('', '', '@revoked ', '@cert-authority ', '@odd ', '@revoked @revoked '),
        fc.constantFrom(' ', '\t', '  '),
        fc.constantFrom('', ' comment', ' # words'),
      )
      .map(([name, key, marker, gap, comment]) => {
        const { type, blob } = [ed, rsa, ec][key]!;
        return { text: `${marker}${name}${gap}${type}${gap}${blob}${comment}`, hasKey: true };
      });
    const odd = [
      '',
      '# a.example',
      '   ',
      'a.example',
      'a.example ssh-ed25519',
      'a.example # ssh-ed25519',
      'a.example ssh-ed25519 !!!',
      'a.example 1024 35 12',
    ];
    const oddLine = fc.constantFrom(...odd).map((text) => ({ text, hasKey: false }));
    const line = fc.oneof({ weight: 8, arbitrary: keyLine }, { weight: 2, arbitrary: oddLine });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), fc.constantFrom(...names), (lines, name) => {
        const text = lines.map((each) => `${each.text}\n`).join('');
        const ours = parseKnownHosts(text, 'f')
          .filter((each) => namesHost(each.hosts, name))
          .map(({ number }) => number);
        // ssh-keygen -F looks at names only and also finds lines whose keys no program could read.
        expect(ours).toEqual(foundByOpenSsh(text, name).filter((number) => lines[number - 1]?.hasKey));
      }),
      { numRuns: RUNS },
    );
  });

  it('reads a file that ssh-keygen -H has hashed as the file it was', () => {
    const file = join(folder, 'hash-me');
    const text = [keyed('a.example,10.0.0.1', ed), keyed('[a.example]:2222', rsa), keyed('b.example', ec)].join('\n') + '\n';
    writeFileSync(file, text);
    execFileSync('ssh-keygen', ['-H', '-f', file], { stdio: 'ignore' });
    const made = readFileSync(file, 'utf8');
    expect(made).not.toContain('example');
    for (const [host, port] of [
      ['a.example', 22],
      ['10.0.0.1', 22],
      ['a.example', 2222],
      ['b.example', 22],
    ] as const) {
      for (const key of [ed, rsa, ec])
        expect(judge(made, host, port, key).kind, `${host}:${String(port)}`).toBe(judge(text, host, port, key).kind);
    }
  });

  it('passes over what it cannot read and keeps the rest', () => {
    const bad = [
      'nonsense',
      'a.example ssh-ed25519',
      `a.example ssh-rsa ${ed.blob}`,
      `a.example ssh-ed25519 ${ed.blob.slice(0, 9)}*`,
      'a.example 2048 65537 1234',
      '@odd a.example x y',
    ];
    const lines = parseKnownHosts([...bad, keyed('a.example', ed), `${keyed('b.example', rsa)}\r`].join('\n'), '/etc/kh');
    expect(lines.map(({ number, hosts, type }) => [number, hosts, type])).toEqual([
      [7, 'a.example', 'ssh-ed25519'],
      [8, 'b.example', 'ssh-rsa'],
    ]);
  });

  it('takes no time over a pattern of many stars', () => {
    const started = performance.now();
    expect(namesHost('*a'.repeat(400), `${'a'.repeat(399)}b`)).toBe(false);
    expect(performance.now() - started).toBeLessThan(1000);
  });
});

describe('judgeHostKey()', () => {
  it('knows a key by name, pattern, hash, port, and any of several keys', () => {
    expect(judge(keyed('a.example', ed), 'a.example', 22, ed).kind).toBe('known');
    expect(judge(keyed('*.example,!b.example', ed), 'a.example', 22, ed).kind).toBe('known');
    expect(judge(keyed('*.example,!b.example', ed), 'b.example', 22, ed).kind).toBe('unknown');
    expect(judge(keyed(hashed('a.example'), ed), 'a.example', 22, ed).kind).toBe('known');
    expect(judge(keyed('[a.example]:2222', ed), 'a.example', 2222, ed).kind).toBe('known');
    expect(judge(keyed('[a.example]:2222', ed), 'a.example', 22, ed).kind).toBe('unknown');
    expect(judge([keyed('a.example', rsa), keyed('a.example', ed)].join('\n'), 'a.example', 22, ed).kind).toBe('known');
  });

  it('takes on another port the key that the host has on its own, as ssh does, and nothing that is revoked there', () => {
    expect(judge(keyed('a.example', ed), 'a.example', 2222, ed).kind).toBe('known');
    expect(judge(keyed('a.example', ed), 'a.example', 2222, other).kind).toBe('unknown');
    expect(judge([keyed('a.example', ed, '@revoked '), keyed('[a.example]:2222', ed)].join('\n'), 'a.example', 2222, ed).kind).toBe(
      'revoked',
    );
  });

  it('calls a key changed when the host is known by another, of whatever type', () => {
    const verdict = judge(['# x', keyed('a.example', rsa)].join('\n'), 'a.example', 22, ed);
    expect(verdict).toMatchObject({ kind: 'changed', lines: [{ file: 'f', number: 2 }], published: undefined });
  });

  it('lets a revoked line win over one that knows the key', () => {
    expect(judge([keyed('a.example', ed), keyed('*', ed, '@revoked ')].join('\n'), 'a.example', 22, ed)).toMatchObject({
      kind: 'revoked',
      line: { number: 2 },
    });
  });

  it('never takes the key of an authority for that of a host, nor a host for known because it trusts one', () => {
    expect(judge(keyed('*.example', ed, '@cert-authority '), 'a.example', 22, ed)).toMatchObject({
      kind: 'unknown',
      authority: { number: 1 },
    });
    expect(judge(keyed('*.example', ed, '@cert-authority '), 'a.example', 22, other)).toMatchObject({ kind: 'unknown' });
  });

  describe.each(['ssh.dev.azure.com', 'vs-ssh.visualstudio.com'])('of %s', (host) => {
    it('takes the published key without a file, unless a line revokes it', () => {
      expect(judge('', host, 22, azure)).toEqual({ kind: 'known' });
      expect(judge(keyed('*', azure, '@revoked '), host, 22, azure).kind).toBe('revoked');
    });

    it('refuses another key than the published one, unless a line names it', () => {
      expect(judge('', host, 22, rsa)).toEqual({
        kind: 'changed',
        lines: [],
        published: 'SHA256:ohD8VZEXGWo6Ez8GSEJQ9WpafgLFsOfLOtGGQCQo6Og',
      });
      expect(judge(keyed(host, rsa), host, 22, rsa).kind).toBe('known');
      expect(judge('', host, 2222, rsa).kind).toBe('unknown');
      expect(knownKeyTypes([], host, 22)).toEqual(['ssh-rsa']);
    });
  });
});

describe('knownKeyTypes()', () => {
  it('gives the types of the plain lines of the host in their order', () => {
    const lines = parseKnownHosts(
      [keyed('a.example', rsa), keyed('a.example', ed, '@revoked '), keyed('*', ec), keyed('a.example', rsa)].join('\n'),
      'f',
    );
    expect(knownKeyTypes(lines, 'a.example', 22)).toEqual(['ssh-rsa', 'ecdsa-sha2-nistp256']);
  });
});

describe('knownHostsName()', () => {
  it('names the port when it is not 22', () => {
    expect([knownHostsName('h', 22), knownHostsName('h', 2222), knownHostsName('::1', 22)]).toEqual(['h', '[h]:2222', '::1']);
  });
});
