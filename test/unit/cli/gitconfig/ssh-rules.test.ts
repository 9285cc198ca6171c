import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leaseRulesFor } from '../../../../src/cli/gitconfig/lease-rules.js';
import { rulesWithoutSsh } from '../../../../src/cli/gitconfig/rules-without-ssh.js';
import { azureSshHosts, otherSshHost, sshDoorRules, sshDoors } from '../../../../src/cli/gitconfig/ssh-rules.js';
import { parseSshAddress } from '../../../../src/hosts/ssh-address.js';
import type { ListenAddress, Route, RouteSsh } from '../../../../src/model/settings.js';

const at = (host: string, port = 8422): ListenAddress => ({ host, port, optional: false });
const agent = (upstream?: { user: string | undefined; host: string; port: number }): RouteSsh => ({
  kind: 'agent',
  key: undefined,
  socket: undefined,
  knownHosts: undefined,
  isLegacyAllowed: false,
  upstream,
});
const AZURE = 'ssh://git@127.0.0.1:8422/ssh.dev.azure.com/v3/';
const OLD = 'ssh://git@127.0.0.1:8422/vs-ssh.visualstudio.com/v3/';
const table = (rules: readonly { insteadOf: string; base: string }[]) => rules.map(({ insteadOf, base }) => `${insteadOf} -> ${base}`);

describe('sshDoorRules()', () => {
  it("leads every spelling of Azure's SSH hosts to the door", () => {
    expect(table(sshDoorRules(at('127.0.0.1'), azureSshHosts(['Contoso', 'contoso'])))).toEqual([
      `ssh://ssh.dev.azure.com/v3/ -> ${AZURE}`,
      `ssh://ssh.dev.azure.com:22/v3/ -> ${AZURE}`,
      `ssh://git@ssh.dev.azure.com/v3/ -> ${AZURE}`,
      `ssh://git@ssh.dev.azure.com:22/v3/ -> ${AZURE}`,
      `ssh.dev.azure.com:v3/ -> ${AZURE}`,
      `git@ssh.dev.azure.com:v3/ -> ${AZURE}`,
      `ssh.dev.azure.com:/v3/ -> ${AZURE}`,
      `git@ssh.dev.azure.com:/v3/ -> ${AZURE}`,
      ...['', 'Contoso@', 'contoso@'].flatMap((user) => [
        `ssh://${user}vs-ssh.visualstudio.com/v3/ -> ${OLD}`,
        `ssh://${user}vs-ssh.visualstudio.com:22/v3/ -> ${OLD}`,
      ]),
      ...['', 'Contoso@', 'contoso@'].map((user) => `${user}vs-ssh.visualstudio.com:v3/ -> ${OLD}`),
      ...['', 'Contoso@', 'contoso@'].map((user) => `${user}vs-ssh.visualstudio.com:/v3/ -> ${OLD}`),
    ]);
  });

  it('keeps the scp-like form of other hosts, and what is relative in it', () => {
    expect(table(sshDoorRules(at('127.0.0.1'), [otherSshHost('https://tfs.example.com/tfs/')]))).toEqual([
      'ssh://tfs.example.com/tfs/ -> ssh://git@127.0.0.1:8422/tfs.example.com/tfs/',
      'ssh://tfs.example.com:22/tfs/ -> ssh://git@127.0.0.1:8422/tfs.example.com/tfs/',
      'ssh://git@tfs.example.com/tfs/ -> ssh://git@127.0.0.1:8422/tfs.example.com/tfs/',
      'ssh://git@tfs.example.com:22/tfs/ -> ssh://git@127.0.0.1:8422/tfs.example.com/tfs/',
      'tfs.example.com:tfs/ -> [git@127.0.0.1:8422]:tfs.example.com/tfs/',
      'git@tfs.example.com:tfs/ -> [git@127.0.0.1:8422]:tfs.example.com/tfs/',
      'tfs.example.com:/tfs/ -> [git@127.0.0.1:8422]:/tfs.example.com/tfs/',
      'git@tfs.example.com:/tfs/ -> [git@127.0.0.1:8422]:/tfs.example.com/tfs/',
    ]);
  });

  it('has a whole host without a path', () => {
    const rules = table(sshDoorRules(at('127.0.0.1'), [otherSshHost('https://git.example.com/')]));
    expect(rules).toContain('git@git.example.com: -> [git@127.0.0.1:8422]:git.example.com/');
    expect(rules).toContain('git@git.example.com:/ -> [git@127.0.0.1:8422]:/git.example.com/');
    expect(rules).toContain('ssh://git.example.com/ -> ssh://git@127.0.0.1:8422/git.example.com/');
  });

  it('knows the user and port that a route connects with', () => {
    const routes = [
      { match: 'tfs.example.com/tfs/**', ssh: agent({ user: 'deploy', host: 'tfs.example.com', port: 2222 }) },
      { match: 'other.example.com/**', ssh: agent({ user: 'nobody', host: 'tfs.example.com', port: 99 }) },
      { match: 'tfs.example.com/tfs/**', ssh: agent({ user: 'elsewhere', host: 'backup.example.com', port: 98 }) },
    ];
    const spellings = sshDoorRules(at('127.0.0.1'), [otherSshHost('https://tfs.example.com/tfs/', routes)]).map(
      ({ insteadOf }) => insteadOf,
    );
    expect(spellings).toContain('ssh://deploy@tfs.example.com:2222/tfs/');
    expect(spellings).toContain('ssh://git@tfs.example.com:2222/tfs/');
    expect(spellings).toContain('deploy@tfs.example.com:tfs/');
    expect(spellings.join()).not.toMatch(/nobody|elsewhere|:9[89]/);
  });

  it.each([
    [at('127.0.0.1', 22), ['ssh://git@127.0.0.1/', 'git@127.0.0.1:']],
    [at('10.88.0.1', 2022), ['ssh://git@10.88.0.1:2022/', '[git@10.88.0.1:2022]:']],
    [at('::1', 22), ['ssh://git@[::1]/', 'git@[::1]:']],
    // git has no scp-like form for IPv6 with a port.
    [at('::1', 8422), ['ssh://git@[::1]:8422/', 'ssh://git@[::1]:8422/']],
  ])('writes the address %j', (address, doors) => {
    expect(sshDoors(address)).toEqual(doors);
    for (const { base } of sshDoorRules(address, [otherSshHost('https://h/')]))
      expect(doors.some((door) => base.startsWith(door))).toBe(true);
  });

  it('has no spelling twice, ends each where a name ends, and leads to what the door reads', () => {
    const organisation = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9-]{0,8}[A-Za-z0-9]$/);
    const host = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}[a-z0-9]\.example(:[1-9]\d{2,3})?$/);
    const path = fc.array(fc.stringMatching(/^[A-Za-z0-9._-]*[A-Za-z]$/), { maxLength: 2 });
    fc.assert(
      fc.property(fc.array(organisation, { maxLength: 3 }), fc.array(fc.tuple(host, path), { maxLength: 3 }), (organisations, others) => {
        const hosts = [
          ...azureSshHosts(organisations),
          ...others.map(([name, parts]) => otherSshHost(`https://${[name, ...parts].join('/')}/`)),
        ];
        const rules = sshDoorRules(at('127.0.0.1'), hosts);
        expect(new Set(rules.map(({ insteadOf }) => insteadOf)).size).toBe(rules.length);
        for (const { insteadOf, base } of rules) {
          expect(insteadOf).toMatch(/[:/]$/);
          const [door = ''] = sshDoors(at('127.0.0.1')).filter((each) => base.startsWith(each));
          const below = base.slice(door.length);
          const isAzure = /^(vs-)?ssh\./.test(below);
          const command = `${door.startsWith('ssh:') ? '/' : ''}${below}${isAzure ? 'o/p/r' : 'Coll/p/_git/r'}`;
          expect(parseSshAddress(command, () => (isAzure ? 'azure-services' : 'generic')).kind, command).toBe('address');
        }
      }),
    );
  });

  it('has the spellings that a lease has, so that a remote works alike on both sides of a container', () => {
    const lease = leaseRulesFor({
      base: 'http://127.0.0.1:8417',
      repos: [
        { hostKind: 'azure-services', text: '', parts: ['dev.azure.com', 'contoso', '**'] },
        { hostKind: 'generic', text: '', parts: ['git.example.com', '**'] },
      ] as unknown as Parameters<typeof leaseRulesFor>[0]['repos'], // only these two fields are looked at
    });
    const ssh = lease.map(({ insteadOf }) => insteadOf).filter((each) => !/^https?:/.test(each));
    const door = sshDoorRules(at('127.0.0.1'), [...azureSshHosts(['contoso']), otherSshHost('https://git.example.com/')]);
    expect(new Set(ssh)).toEqual(new Set(door.map(({ insteadOf }) => insteadOf)));
  });
});

describe('rulesWithoutSsh()', () => {
  const route = (match: string, hostKind: Route['hostKind'], ssh: RouteSsh = { kind: 'bridge' }) => ({ match, hostKind, ssh });
  const sshForms = (routes: readonly ReturnType<typeof route>[]) =>
    rulesWithoutSsh({ base: 'http://127.0.0.1:8417', organisations: ['contoso'], routes }).filter(
      ({ insteadOf }) => !/^https?:/.test(insteadOf),
    );

  it('leads SSH forms to the HTTP door', () => {
    const rules = table(sshForms([route('dev.azure.com/**', 'azure-services'), route('git.example.com/team/**', 'generic')]));
    expect(rules).toContain('git@ssh.dev.azure.com:v3/ -> http://127.0.0.1:8417/ssh.dev.azure.com/v3/');
    expect(rules).toContain('contoso@vs-ssh.visualstudio.com:v3/ -> http://127.0.0.1:8417/vs-ssh.visualstudio.com/v3/');
    expect(rules).toContain('ssh://git.example.com:22/team/ -> http://127.0.0.1:8417/git.example.com/team/');
    expect(rules).toContain('git@git.example.com:team/ -> http://127.0.0.1:8417/git.example.com/team/');
    expect(rules.join()).not.toContain('8422');
  });

  it('leaves those of a host alone that has no route, or only such with an agent', () => {
    expect(sshForms([])).toEqual([]);
    const all = [route('dev.azure.com/**', 'azure-services', agent()), route('git.example.com/**', 'generic', agent())];
    expect(sshForms(all)).toEqual([]);
    const mixed = sshForms([...all, route('dev.azure.com/contoso/**', 'azure-services')]).map(({ insteadOf }) => insteadOf);
    expect(mixed).toContain('git@ssh.dev.azure.com:v3/');
    expect(mixed.join()).not.toContain('git.example.com');
  });

  it('has no spelling twice', () => {
    const rules = rulesWithoutSsh({
      base: 'http://127.0.0.1:8417',
      organisations: ['Contoso'],
      users: ['jane'],
      routes: [
        route('dev.azure.com/**', 'azure-services'),
        route('git.example.com/a/**', 'generic'),
        route('git.example.com/a/b/**', 'generic'),
      ],
    });
    expect(new Set(rules.map(({ insteadOf }) => insteadOf)).size).toBe(rules.length);
  });
});
