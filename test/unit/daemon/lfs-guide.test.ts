import { X509Certificate } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { LFS_LEASE_MS, lfsGuide, type LfsGuideParts, TOLD_MS } from '../../../src/daemon/lfs-guide.js';
import { mintLease, narrowLease } from '../../../src/gate/lease-seal.js';
import { MOST_CAVEATS } from '../../../src/gate/lease-text.js';
import { readLease } from '../../../src/gate/lease-verifier.js';
import { parseSshAddress } from '../../../src/hosts/ssh-address.js';
import type { HostKind } from '../../../src/model/address.js';
import type { Caller, Peer } from '../../../src/model/caller.js';
import { ProxyError } from '../../../src/model/errors.js';
import type { Caveat } from '../../../src/model/lease.js';
import type { DoorCertificate } from '../../../src/model/ports.js';
import { Secret } from '../../../src/model/secret.js';
import type { Route } from '../../../src/model/settings.js';
import type { LfsAccess, LfsQuestion } from '../../../src/ssh/lfs-guide.js';
import { writeLfsAccess } from '../../../src/ssh/lfs-guide.js';
import { makeCertificates } from '../../azure/certificates.js';
import { FakeClock } from '../../fakes/clock.js';
import { route } from '../route.js';

const NOW = Date.UTC(2030, 0, 1, 12, 0, 0, 700);
const KEY = new Secret(Buffer.alloc(32, 7).toString('base64'));
const KEY_ID = '0123456789abcdef';
const PEER: Peer = { address: '127.0.0.1:4000', ip: '127.0.0.1', uid: { kind: 'known', uid: 1000 } };
const FAR: Peer = { address: '10.0.0.9:4000', ip: '10.0.0.9', uid: { kind: 'remote' } };
const USER: Extract<Caller, { kind: 'user' }> = { kind: 'user', peer: PEER, uid: 1000 };

const http = (host: string, port = 8417) => ({ scheme: 'http', host, port }) as const;
const https = (host: string, port = 8417) => ({ scheme: 'https', host, port }) as const;

function parts(
  more: Partial<Omit<LfsGuideParts, 'settings' | 'door'>> & { bound?: LfsGuideParts['door']['bound']; names?: string[] } = {},
): LfsGuideParts {
  const { bound = [http('127.0.0.1')], names = [], ...rest } = more;
  return {
    settings: {
      listen: { names },
      identities: [
        { name: 'me', kind: 'pat', secret: { kind: 'env', name: 'PAT' }, lifecycle: undefined },
        { name: 'nobody', kind: 'none' },
        { name: 'own', kind: 'passthrough' },
      ],
    },
    door: { bound },
    certificates: undefined,
    leases: { seal: (grant: Caveat) => Promise.resolve(mintLease(KEY_ID, KEY, grant)), isRevoked: () => false },
    clock: { now: () => NOW, after: () => () => undefined },
    ...rest,
  };
}

function question(
  more: Partial<LfsQuestion> & { path?: string; kind?: HostKind; step?: 'batch-download' | 'batch-upload' } = {},
): LfsQuestion {
  const { path = '/ssh.dev.azure.com/v3/contoso/Payments/web', kind, step = 'batch-download', ...rest } = more;
  const read = parseSshAddress(path, () => kind);
  if (read.kind === 'fault') throw new Error(read.what);
  return {
    operation: { kind: 'lfs', step, address: read.address, suffix: '' },
    route: route('dev.azure.com/**', { identity: 'me' }),
    caller: USER,
    isLocal: true,
    dialed: '127.0.0.1',
    ...rest,
  };
}

async function access(asked: LfsQuestion, given = parts()): Promise<LfsAccess> {
  const answer = await lfsGuide(given)(asked);
  if (answer.kind === 'refusal') throw new Error(answer.what);
  return answer;
}

const base = async (asked: LfsQuestion, given: LfsGuideParts): Promise<string> => {
  const answer = await lfsGuide(given)(asked);
  return answer.kind === 'refusal' ? answer.what : answer.href.replace(/(?<=[0-9])\/.*$/, '');
};

describe('the address', () => {
  it.each<[string, HostKind | undefined, string]>([
    ['/ssh.dev.azure.com/v3/contoso/Payments/web', undefined, 'dev.azure.com/contoso/Payments/_git/web.git/info/lfs'],
    ['vs-ssh.visualstudio.com/v3/contoso/My%20Project/web', undefined, 'dev.azure.com/contoso/My%20Project/_git/web.git/info/lfs'],
    ['/tfs.example.com/tfs/Default/Payments/_git/web', undefined, 'tfs.example.com/tfs/Default/Payments/_git/web.git/info/lfs'],
    ['/git.example.com/team/tools', 'generic', 'git.example.com/team/tools.git/info/lfs'],
    ['/git.example.com/team/tools.git', 'generic', 'git.example.com/team/tools.git/info/lfs'],
  ])('of %s is that of its HTTPS host', async (path, kind, expected) => {
    expect((await access(question({ path, ...(kind === undefined ? {} : { kind }) }))).href).toBe(`http://127.0.0.1:8417/${expected}`);
  });

  it.each([
    ['the loopback of the same family', [http('127.0.0.1'), http('::1')], { dialed: '::1' }, 'http://[::1]:8417'],
    ['the other loopback, where that is all', [http('127.0.0.1', 1)], { dialed: '::1' }, 'http://127.0.0.1:1'],
    ['a listener on all addresses, over loopback', [http('0.0.0.0', 2)], {}, 'http://127.0.0.1:2'],
    ['loopback rather than another', [http('10.0.0.1', 3), http('127.0.0.1', 4)], {}, 'http://127.0.0.1:4'],
    ['its own address, where it listens there alone', [http('10.0.0.1', 5)], {}, 'http://10.0.0.1:5'],
  ])('is, for who came over loopback, that of %s', async (_what, bound, more, expected) => {
    expect(await base(question(more), parts({ bound }))).toBe(expected);
  });

  it.each([
    ['the address that was reached', [http('127.0.0.1', 1), http('10.0.0.1', 2)], [], '10.0.0.1', 'http://10.0.0.1:2'],
    ['the same on a listener on all addresses', [http('0.0.0.0', 3)], [], '10.0.0.1', 'http://10.0.0.1:3'],
    ['the name of the configuration before it', [http('0.0.0.0', 4)], ['door.example.com'], '10.0.0.1', 'http://door.example.com:4'],
    ['an IPv6 address in brackets', [http('::', 5), http('0.0.0.0', 6)], [], 'fd00::1', 'http://[fd00::1]:5'],
  ])('is, for others, %s', async (_what, bound, names, dialed, expected) => {
    expect(await base(question({ isLocal: false, dialed }), parts({ bound, names }))).toBe(expected);
  });

  it.each([
    ['it listens on another address alone', [http('10.0.0.2')]],
    ['it listens on loopback alone', [http('127.0.0.1')]],
    ['it listens on the other family', [http('::')]],
    ['it is not open', []],
  ])('is none when %s', async (_what, bound) => {
    const answer = await lfsGuide(parts({ bound }))(question({ isLocal: false, dialed: '10.0.0.1' }));
    expect(answer).toMatchObject({ kind: 'refusal', code: 'operation-unknown', route: 'dev.azure.com/**' });
    expect(answer).toMatchObject({ what: expect.stringContaining('no listener of the HTTP door can be reached') as unknown });
  });

  describe('with TLS', () => {
    let shown: DoorCertificate;

    beforeAll(async () => {
      const { cert, key } = (await makeCertificates()).good;
      expect(new X509Certificate(cert).checkIP('10.0.0.1')).toBeUndefined();
      shown = { certificate: cert, key: new Secret(key) };
    });

    it.each([
      ['of the first name that the certificate is for', ['door.example.com', 'tfs.example.com'], 'https://tfs.example.com:8417'],
      ['none when it is for no name of the door', [], 'Git LFS goes over HTTP, and no listener'],
    ])('is that %s', async (_what, names, expected) => {
      const certificates = { current: () => Promise.resolve(shown), onRenewal: () => undefined, close: () => undefined };
      const given = parts({ bound: [https('0.0.0.0')], names, certificates });
      expect(await base(question({ isLocal: false, dialed: '10.0.0.1' }), given)).toContain(expected);
      expect(await base(question(), given)).toBe('https://127.0.0.1:8417');
    });
  });
});

describe('the lease', () => {
  it.each(['batch-download', 'batch-upload'] as const)(
    'for %s is for that and that repository, soon ends, and is the user’s',
    async (step) => {
      const { lease, expiresAt } = await access(question({ step }));
      const isUpload = step === 'batch-upload';
      const second = (ms: number): Date => new Date(Math.floor((NOW + ms) / 1000) * 1000);
      expect(expiresAt).toEqual(second(TOLD_MS));
      expect(readLease(lease).caveats).toEqual([
        {
          id: expect.stringMatching(/^[0-9a-f]{16}$/) as unknown,
          label: 'git-lfs over SSH, uid 1000',
          repos: [{ hostKind: 'azure-services', parts: ['dev.azure.com', 'contoso', 'payments', 'web'] }],
          allow: isUpload ? ['push', 'lfs'] : ['fetch', 'lfs'],
          expiresAt: second(LFS_LEASE_MS),
          uids: [1000],
        },
      ]);
    },
  );

  it('of a caller by key names the key, and no user where the door is told none', async () => {
    const caller: Caller = { kind: 'key', peer: FAR, fingerprint: `SHA256:${'a'.repeat(43)}` };
    const { lease } = await access(question({ caller, isLocal: false, dialed: '10.0.0.1' }), parts({ bound: [http('0.0.0.0')] }));
    expect(readLease(lease).caveats).toMatchObject([{ label: `git-lfs, SHA256:${'a'.repeat(43)}`, uids: undefined }]);
    const near: Caller = { ...caller, peer: PEER };
    const beside = await access(question({ caller: near }), parts({ bound: [http('10.0.0.1')] }));
    expect(readLease(beside.lease).caveats[0]?.uids).toBeUndefined();
    expect(readLease((await access(question({ caller: near }))).lease).caveats[0]?.uids).toEqual([1000]);
  });

  it('has one id for each caller while it lasts, and another after it was revoked', async () => {
    const clock = new FakeClock(NOW);
    const revoked = new Set<string>();
    const leases = { seal: (grant: Caveat) => Promise.resolve(mintLease(KEY_ID, KEY, grant)), isRevoked: (id: string) => revoked.has(id) };
    const guide = lfsGuide(parts({ clock, leases }));
    const idFor = async (asked: LfsQuestion): Promise<string> => {
      const answer = await guide(asked);
      return answer.kind === 'refusal' ? answer.what : (readLease(answer.lease).caveats[0]?.id ?? '');
    };
    const first = await idFor(question());
    expect(await idFor(question({ step: 'batch-upload' }))).toBe(first);
    expect(await idFor(question({ caller: { ...USER, uid: 1001 } }))).not.toBe(first);
    revoked.add(first);
    const second = await idFor(question());
    expect(second).not.toBe(first);
    expect(await idFor(question())).toBe(second);
    await clock.advance(LFS_LEASE_MS);
    expect(await idFor(question())).not.toBe(second);
  });

  const own = (caveats: readonly Omit<Caveat, 'id'>[]): Caller => {
    const [grant = {}, ...more] = caveats;
    const id = (at: number): string => at.toString(16).padStart(16, '0');
    const text = more.reduce(
      (held, caveat, at) => narrowLease(held, { ...caveat, id: id(at + 1) }),
      mintLease(KEY_ID, KEY, { ...grant, id: id(0) }),
    );
    return { kind: 'lease', peer: FAR, lease: readLease(text), text };
  };

  it('of a caller by lease is narrowed from that, moves no ref, and ends no later', async () => {
    const end = new Date(NOW - 700 + 60_000);
    const caller = own([
      { repos: [{ hostKind: 'azure-services', parts: ['dev.azure.com', '**'] }], allow: ['fetch', 'push', 'lfs'], expiresAt: end },
    ]);
    const { lease, expiresAt } = await access(question({ caller, step: 'batch-upload' }), parts({ leases: undefined }));
    expect(expiresAt).toEqual(end);
    const { caveats } = readLease(lease);
    expect(caveats.slice(0, 1)).toEqual(caller.kind === 'lease' ? caller.lease.caveats : []);
    expect(caveats.slice(1)).toMatchObject([{ allow: ['push', 'lfs'], protect: ['refs/**'], expiresAt: end }]);
  });

  it('of a caller whose lease can be narrowed no more is that lease', async () => {
    const caller = own(Array.from({ length: MOST_CAVEATS }, () => ({ allow: ['fetch', 'lfs'] as const })));
    const { lease } = await access(question({ caller }));
    expect(caller.kind === 'lease' && caller.text?.equals(lease)).toBe(true);
  });
});

describe('refuses', () => {
  const agent: Partial<Route> = {
    ssh: { kind: 'agent', key: undefined, socket: undefined, knownHosts: undefined, isLegacyAllowed: false, upstream: undefined },
  };

  it.each<[string, Partial<LfsQuestion> & { path?: string; kind?: HostKind }, string]>([
    [
      'a route of an agent without a credential for HTTPS',
      { route: route('dev.azure.com/**', { ...agent, identity: 'nobody' }) },
      'has no identity for that: it asks without',
    ],
    [
      'a route that passes on what the client sends',
      { route: route('dev.azure.com/**', { identity: 'own' }) },
      'has no identity for that: it passes on',
    ],
    [
      'a port that is of SSH',
      { path: '/git.example.com:2222/team/tools', kind: 'generic', route: route('git.example.com:2222/**', { ...agent, identity: 'me' }) },
      'and the port in git.example.com:2222 is that of SSH',
    ],
    ['a name with a star, which a lease would take for any', { path: '/git.example.com/team/*', kind: 'generic' }, 'has a `*`'],
  ])('%s', async (_what, more, what) => {
    expect(await lfsGuide(parts())(question(more))).toMatchObject({ kind: 'refusal', what: expect.stringContaining(what) as unknown });
  });

  it.each<[string, Partial<LfsQuestion> & { path?: string; kind?: HostKind }]>([
    ['an agent and an identity', { route: route('dev.azure.com/**', { ...agent, identity: 'me' }) }],
    ['a bridge and no credential: the host may serve anyone', { route: route('dev.azure.com/**', { identity: 'nobody' }) }],
    [
      'a port of SSH and an address for HTTPS',
      {
        path: '/git.example.com:2222/team/tools',
        kind: 'generic',
        route: route('git.example.com:2222/**', { ...agent, identity: 'me', upstream: new URL('https://git.example.com') }),
      },
    ],
  ])('not %s', async (_what, more) => {
    expect(await lfsGuide(parts())(question(more))).toMatchObject({ kind: 'access' });
  });

  it('when no lease can be made, with the reason', async () => {
    const seal = (): Promise<Secret> => Promise.reject(new ProxyError('state-unusable', 'The disk is full', { todo: 'make room' }));
    expect(await lfsGuide(parts({ leases: { seal, isRevoked: () => false } }))(question())).toMatchObject({
      code: 'state-unusable',
      what: 'The disk is full',
      todo: 'make room',
      status: 503,
    });
    expect(await lfsGuide(parts({ leases: undefined }))(question())).toMatchObject({ code: 'state-unusable' });
  });
});

describe('writeLfsAccess()', () => {
  it('is what git-lfs reads; 0 seconds would be for ever', () => {
    const given: LfsAccess = {
      kind: 'access',
      href: 'http://127.0.0.1:1/h/a.git/info/lfs',
      lease: new Secret('ptl1_x'),
      expiresAt: new Date(NOW + 90_500),
    };
    expect(JSON.parse(writeLfsAccess(given, NOW))).toEqual({
      href: 'http://127.0.0.1:1/h/a.git/info/lfs',
      header: { 'X-Postern-Lease': 'ptl1_x' },
      expires_in: 90,
      expires_at: given.expiresAt.toISOString(),
    });
    expect(JSON.parse(writeLfsAccess(given, NOW + 90_400))).toMatchObject({ expires_in: 1 });
  });
});
