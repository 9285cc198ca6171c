/**
 * What the gate may never do, whatever is sent. The attacks: a spelling nobody thought of, and a lease that is worth more after it
 * was narrowed. Which repository a spelling leads to is told by the emulator's own router, which shares no code with the product.
 */
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { admit } from '../../../src/gate/admit.js';
import { Ledger } from '../../../src/gate/ledger.js';
import { refuseByRefs } from '../../../src/gate/ref-policy.js';
import { RouteTable } from '../../../src/gate/route-table.js';
import { readOperation } from '../../../src/http/read-operation.js';
import type { Caller, Peer, PeerUid } from '../../../src/model/caller.js';
import { systemClock } from '../../../src/model/clock.js';
import type { Decision } from '../../../src/model/decision.js';
import type { Caveat, Lease, RepoPattern } from '../../../src/model/lease.js';
import { type Permission, PERMISSIONS } from '../../../src/model/operation.js';
import { REF_CHANGES } from '../../../src/model/refs.js';
import { canonicalPattern } from '../../../src/model/route-pattern.js';
import { inferHostKind } from '../../../src/model/host-name.js';
import type { Route } from '../../../src/model/settings.js';
import { parseAddress } from '../../azure/addresses.js';
import { readLfsCall } from '../../azure/lfs-calls.js';
import { route } from '../route.js';

const NOW = Date.UTC(2026, 0, 1);
const PEER: Peer = { address: '127.0.0.1:50000', ip: '127.0.0.1', uid: { kind: 'known', uid: 1000 } };
const USER: Caller = { kind: 'user', uid: 1000, peer: PEER };

/** A repository: its name at the emulator, its pattern, and its addresses in every form, all names in small letters. */
interface Place {
  readonly name: string;
  readonly pattern: string;
  readonly forms: readonly string[];
}

const azure = (organisation: string, project: string, repository: string): Place => ({
  name: `${organisation}/${project}/${repository}`,
  pattern: `dev.azure.com/${organisation}/${project}/${repository}`,
  forms: [
    `dev.azure.com/${organisation}/${project}/_git/${repository}`,
    `dev.azure.com:443/${organisation}/${project}/_git/_optimized/${repository}`,
    `dev.azure.com/${organisation}/${project}/full/_git/${repository}`,
    `${organisation}.visualstudio.com/${project}/_git/${repository}`,
    `${organisation}.visualstudio.com/defaultcollection/${project}/_git/_full/${repository}`,
    ...(project === repository
      ? [`dev.azure.com/${organisation}/_git/${repository}`, `${organisation}.visualstudio.com/_git/${repository}`]
      : []),
  ],
});

const PLACES: readonly Place[] = [
  azure('contoso', 'fleet', 'app'),
  azure('contoso', 'fleet-infra', 'app'),
  azure('contoso', 'fleet', 'fleet'),
  azure('contoso', 'kiosk', 'istanbul'),
  azure('contoso', 'zahlungen', 'stra\u00dfe'),
  azure('contoso', 'caf\u00e9', 'a.b'),
  azure('fabrikam', 'fleet', 'app'),
  {
    name: 'tfs.example.com/tfs/main/fleet/app',
    pattern: 'tfs.example.com/tfs/main/fleet/app',
    forms: [
      'tfs.example.com/tfs/main/fleet/_git/app',
      'tfs.example.com:443/tfs/main/fleet/_git/_full/app',
      'tfs.example.com/tfs/main/fleet/optimized/_git/app',
    ],
  },
  {
    name: 'git.example.com/team/app',
    pattern: 'git.example.com/team/app',
    forms: ['git.example.com/team/app', 'git.example.com/team/app.git', 'git.example.com:443/team/app'],
  },
];

const kindOf = (match: string): Route['hostKind'] => (match.startsWith('git.') ? 'generic' : inferHostKind(match.split('/')[0] ?? ''));
const opening = (match: string, ...allow: Permission[]): Route => route(match, { hostKind: kindOf(match), allow });
const EVERYTHING = ['dev.azure.com/**', 'tfs.example.com/**', 'git.example.com/**'].map((match) => opening(match, 'fetch', 'push', 'lfs'));

function patternOf(match: string): RepoPattern {
  return { hostKind: kindOf(match), parts: canonicalPattern(match, kindOf(match)) };
}

function holder(...caveats: readonly Omit<Caveat, 'id'>[]): Caller {
  return { kind: 'lease', peer: PEER, lease: { keyId: 'k', caveats: caveats.map((each, at) => ({ ...each, id: `c${at}` })) } };
}

const grantFor = (...matches: readonly string[]): Omit<Caveat, 'id'> => ({
  repos: matches.map(patternOf),
  allow: ['fetch', 'push', 'lfs'],
  refs: ['refs/**'],
  changes: REF_CHANGES,
  expiresAt: new Date(NOW + 1000),
});

/** A fetch or a push of git's, or a lock of LFS's: each with an end of the path of its own. */
type Wanted = 'git-upload-pack' | 'git-receive-pack' | 'lfs-lock';
const endOf = (wanted: Wanted): string => (wanted === 'lfs-lock' ? '/info/lfs/locks' : `/info/refs?service=${wanted}`);

/** The target as it goes over the wire: what is beyond ASCII as escapes. */
function wire(spelled: string): string {
  return spelled.replace(/[^\0-\x7f]+/g, (text) => encodeURIComponent(text));
}

const LEDGER = new Ledger({
  clock: systemClock,
  logger: { log: () => undefined },
  audit: { write: () => undefined, refusal: () => undefined },
});

/** What the door and its gate say to a request for `spelled` (host and path). */
function decide(spelled: string, wanted: Wanted, caller: Caller, routes: RouteTable): Decision {
  const request = new IncomingMessage(new Socket());
  request.method = wanted === 'lfs-lock' ? 'POST' : 'GET';
  request.url = `/${wire(spelled)}${endOf(wanted)}`;
  request.httpVersion = '1.1';
  const record = LEDGER.begin('test');
  const read = readOperation(request, routes, record);
  LEDGER.finish(record, { verdict: 'passed' });
  return read.kind === 'refusal' ? read : admit(read.operation, caller, routes, NOW);
}

/** The repository that the emulator's router finds; undefined when none. */
function leadsTo(spelled: string, wanted: Wanted): string | undefined {
  const [, host = '', path = ''] = /^([^/]*)(.*)$/s.exec(`${wire(spelled)}${endOf(wanted)}`) ?? [];
  const address = parseAddress(host, path, new Map());
  const isKnown = address?.step !== 'lfs' || readLfsCall('POST', address.rest) !== undefined;
  return address === undefined || address.step === 'other' || !isKnown ? undefined : address.repository;
}

/** One change to a text, at a place told by a number. */
type Change = (text: string, at: number) => string;

const at = (text: string, place: number, change: (char: string) => string): string => {
  const chars = Array.from(text);
  const index = place % Math.max(1, chars.length);
  return chars.map((char, each) => (each === index ? change(char) : char)).join('');
};
const hex = (char: string): string => Array.from(Buffer.from(char), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
const ALIKE: Readonly<Record<string, string>> = {
  k: '\u212a',
  i: '\u0130',
  s: '\u017f',
  a: '\uff41',
  e: '\u0435',
  o: '\u043e',
  f: '\uff46',
  '/': '\uff0f',
  '.': '\uff0e',
  _: '\uff3f',
  '\u00e9': 'e\u0301',
  '\u00df': '\u1e9e',
};
const PIECES = [
  ...[
    '/',
    '//',
    '.',
    '..',
    '/../',
    '/./',
    '/..',
    '%2e',
    '%2e%2e',
    '%2f',
    '%5c',
    '\\',
    '%00',
    '%20',
    '%',
    '%25',
    ';',
    '+',
    '@',
    '#',
    '*',
    '**',
    '?',
    '&',
    ':443',
    ':80',
    ':',
  ],
  ...[
    '_git/',
    '/_git',
    '_full/',
    '_optimized/',
    'optimized/',
    'full/',
    '/optimized',
    'DefaultCollection/',
    'defaultcollection/',
    'tfs/',
    'v3/',
    '_apis/',
    '.git',
    '.GIT',
    '-infra',
    'contoso/',
    'fleet/',
    '/app',
    'dev.azure.com/',
    'info/refs',
    '/info/lfs',
  ],
  ...['\u0130', '\u0131', '\u200b', '\u00ad', '\u0301', '\u212a', '\ufb02', '\uff0f', '\uff0e\uff0e', '\u202e', '\u3002'],
];

/** How many of the changes below are of one letter. */
const LETTER_CHANGES = 5;

const CHANGES: readonly Change[] = [
  (text, place) => at(text, place, (char) => char.toUpperCase()),
  (text, place) => at(text, place, hex),
  (text, place) => at(text, place, (char) => hex(char).toUpperCase()),
  (text, place) => at(text, place, (char) => hex(char).replaceAll('%', '%25')),
  (text, place) => at(text, place, (char) => ALIKE[char.toLowerCase()] ?? char),
  (text, place) => at(text, place, () => ''),
  (text, place) => at(text, place, (char) => char + char),
  ...PIECES.map(
    (piece): Change =>
      (text, place) =>
        at(text, place, (char) => piece + char),
  ),
  ...PIECES.map(
    (piece): Change =>
      (text) =>
        text + piece,
  ),
];

const place = fc.constantFrom(...PLACES);
/** Half of the changes are of single letters: what looks like a name and is another one is rare among the rest. */
const change = fc.oneof(fc.nat(LETTER_CHANGES - 1), fc.nat(CHANGES.length - 1));
const spelledFrom = (of: Place): fc.Arbitrary<string> =>
  fc
    .tuple(fc.nat(20), fc.array(fc.tuple(change, fc.nat(80)), { maxLength: 4 }))
    .map(([form, changes]) =>
      changes.reduce((text, [which, where]) => CHANGES[which]?.(text, where) ?? text, of.forms[form % of.forms.length] ?? ''),
    );
/** A spelling, and a repository: mostly the one that it was made from. */
const attempt = place.chain((of) => fc.tuple(spelledFrom(of), fc.oneof({ weight: 3, arbitrary: fc.constant(of) }, place)));
const service = fc.constantFrom<Wanted>('git-upload-pack', 'git-receive-pack', 'lfs-lock');

/** Spellings of one repository that change nothing but case (where it does not count) and escapes. */
function respelled(of: Place): fc.Arbitrary<string> {
  return fc.tuple(fc.nat(20), fc.array(fc.nat(5), { minLength: 5, maxLength: 17 })).map(([form, choices]) => {
    const text = of.forms[form % of.forms.length] ?? '';
    const slash = text.indexOf('/');
    return Array.from(text, (char, index) => {
      const choice = choices[index % choices.length] ?? 0;
      const isHost = index < slash;
      const cased = choice % 2 === 1 && char !== '\u00df' && (isHost || !of.name.startsWith('git.')) ? char.toUpperCase() : char;
      return choice > 3 && !isHost && char !== '/' ? hex(cased) : cased;
    }).join('');
  });
}

describe('an address, however it is spelled', () => {
  it('is never admitted by a lease or a route for one repository when it leads to another one, or to none', () => {
    let admitted = 0;
    let elsewhere = 0;
    fc.assert(
      fc.property(attempt, service, ([spelled, only], wanted) => {
        const led = leadsTo(spelled, wanted);
        if (led !== only.name) elsewhere += 1;
        for (const decision of [
          decide(spelled, wanted, holder(grantFor(only.pattern)), new RouteTable(EVERYTHING)),
          decide(
            spelled,
            wanted,
            holder(grantFor('dev.azure.com/**', 'tfs.example.com/**', 'git.example.com/**'), { repos: [patternOf(only.pattern)] }),
            new RouteTable(EVERYTHING),
          ),
          decide(spelled, wanted, USER, new RouteTable([opening(only.pattern, 'fetch', 'push', 'lfs')])),
        ]) {
          if (decision.kind !== 'pass') continue;
          admitted += 1;
          expect(led, spelled).toBe(only.name);
        }
      }),
      { numRuns: 6000 },
    );
    // Or it would say nothing.
    expect(admitted).toBeGreaterThan(100);
    expect(elsewhere).toBeGreaterThan(1000);
  });

  it('never gets by a wider route what a narrower one before it keeps back', () => {
    let kept = 0;
    fc.assert(
      fc.property(attempt, fc.constantFrom<Wanted>('git-receive-pack', 'lfs-lock'), ([spelled, guarded], wanted) => {
        if (leadsTo(spelled, wanted) !== guarded.name) return;
        kept += 1;
        const routes = new RouteTable([opening(guarded.pattern, 'fetch'), ...EVERYTHING]);
        expect(decide(spelled, wanted, USER, routes).kind, spelled).toBe('refusal');
      }),
      { numRuns: 6000 },
    );
    expect(kept).toBeGreaterThan(50);
  });

  it('is, where it leads to the repository of a lease, admitted or not understood, and never taken for another one', () => {
    fc.assert(
      fc.property(attempt, service, ([spelled, only], wanted) => {
        if (leadsTo(spelled, wanted) !== only.name) return;
        const decision = decide(spelled, wanted, holder(grantFor(only.pattern)), new RouteTable(EVERYTHING));
        if (decision.kind === 'refusal') expect(['request-malformed', 'operation-unknown'], spelled).toContain(decision.code);
      }),
      { numRuns: 6000 },
    );
  });

  it('gets the decision that the repository gets in its plain form', () => {
    const told = (decision: Decision): string => (decision.kind === 'pass' ? `pass by ${decision.route.match}` : decision.code);
    const tables = [
      new RouteTable(EVERYTHING),
      new RouteTable([opening('dev.azure.com/contoso/fleet/*', 'fetch'), opening('dev.azure.com/contoso/**', 'fetch', 'push')]),
      new RouteTable([opening('tfs.example.com/tfs/main/**', 'fetch'), opening('git.example.com/team/app.git', 'push')]),
    ];
    const callers = [
      USER,
      ...PLACES.map(({ pattern }) => holder(grantFor(pattern))),
      holder(grantFor('dev.azure.com/contoso/**'), { allow: ['fetch'] }),
    ];
    fc.assert(
      fc.property(
        place.chain((of) => fc.tuple(fc.constant(of), respelled(of))),
        service,
        fc.constantFrom(...callers),
        fc.constantFrom(...tables),
        ([of, spelled], wanted, caller, table) => {
          expect(leadsTo(spelled, wanted), spelled).toBe(of.name);
          expect(told(decide(spelled, wanted, caller, table)), spelled).toBe(told(decide(of.forms[0] ?? '', wanted, caller, table)));
        },
      ),
      { numRuns: 3000 },
    );
  });
});

describe('a lease that is narrowed', () => {
  const PATTERNS = [
    'dev.azure.com/**',
    'dev.azure.com/contoso/**',
    'dev.azure.com/contoso/*/app',
    ...PLACES.map(({ pattern }) => pattern),
  ].map(patternOf);
  const GLOBS = ['refs/**', 'refs/heads/*', 'refs/heads/agent/*', 'refs/heads/main', 'refs/tags/**'];
  const some = <T>(values: readonly T[]): fc.Arbitrary<readonly T[] | undefined> =>
    fc.option(fc.subarray([...values]), { nil: undefined, freq: 2 });
  const caveat: fc.Arbitrary<Caveat> = fc.record({
    id: fc.constantFrom('a', 'b', 'c'),
    repos: some(PATTERNS),
    allow: some(PERMISSIONS),
    refs: some(GLOBS),
    protect: some(GLOBS.slice(1)),
    changes: some(REF_CHANGES),
    expiresAt: fc.option(fc.constantFrom(new Date(NOW - 1), new Date(NOW), new Date(NOW + 1)), { nil: undefined, freq: 2 }),
    from: fc.option(fc.subarray(['127.0.0.0/8', '10.1.2.3', '::1', 'fd00::/8'], { minLength: 1 }), { nil: undefined, freq: 2 }),
    uids: fc.option(fc.subarray([0, 1000, 1001], { minLength: 1 }), { nil: undefined, freq: 2 }),
  });
  /** Often enough one that grants something. */
  const grant: fc.Arbitrary<Caveat> = fc.oneof(
    caveat,
    fc.record({
      id: fc.constant('g'),
      repos: fc.constant(PATTERNS),
      allow: fc.constant(PERMISSIONS),
      refs: fc.constant(['refs/**']),
      changes: fc.constant(REF_CHANGES),
      expiresAt: fc.constant(new Date(NOW + 1)),
    }),
  );
  const peer: fc.Arbitrary<Peer> = fc
    .tuple(
      fc.constantFrom('127.0.0.1', '10.1.2.3', '10.1.2.4', '::1', 'fd00::7'),
      fc.constantFrom<PeerUid>(
        { kind: 'known', uid: 1000 },
        { kind: 'known', uid: 0 },
        { kind: 'remote' },
        { kind: 'unknown', why: 'test' },
      ),
    )
    .map(([ip, uid]) => ({ address: `${ip}:1`, ip, uid }));
  const command = fc
    .tuple(
      fc.constantFrom('refs/heads/main', 'refs/heads/agent/x', 'refs/heads/agent/x/y', 'refs/tags/v1', 'refs/notes/n'),
      fc.constantFrom('0', 'a'),
      fc.constantFrom('0', 'b'),
    )
    .map(([ref, from, to]) => ({ ref, oldOid: from.repeat(40), newOid: to.repeat(40) }));

  it('admits no operation and no ref that it did not admit before', () => {
    let passed = 0;
    let refused = 0;
    fc.assert(
      fc.property(
        fc.array(caveat, { maxLength: 3 }).chain((rest) => fc.tuple(grant, fc.constant(rest))),
        caveat,
        fc.nat(3),
        peer,
        place,
        service,
        fc.array(command, { minLength: 1, maxLength: 3 }),
        ([first, rest], added, cut, from, where, wanted, commands) => {
          const routes = new RouteTable(EVERYTHING);
          const judge = (caveats: readonly Caveat[]): 'pass' | 'refused' => {
            const lease: Lease = { keyId: 'k', caveats };
            const decision = decide(where.forms[0] ?? '', wanted, { kind: 'lease', peer: from, lease }, routes);
            if (decision.kind !== 'pass') return 'refused';
            return wanted === 'git-upload-pack' || refuseByRefs(commands, decision.refPolicies) === undefined ? 'pass' : 'refused';
          };
          // Wherever a holder on the way could have narrowed it: those after it came later, and stay.
          const before = [first, ...rest.slice(0, cut)];
          const verdicts = [judge(before), judge([...before, added]), judge([...before, added, ...rest.slice(cut)])];
          if (verdicts[0] === 'pass') passed += 1;
          else refused += 1;
          for (const [index, verdict] of verdicts.entries()) {
            if (verdict === 'pass') expect(verdicts.slice(0, index).every((earlier) => earlier === 'pass')).toBe(true);
          }
        },
      ),
      { numRuns: 6000 },
    );
    expect(passed).toBeGreaterThan(300);
    expect(refused).toBeGreaterThan(300);
  });
});
