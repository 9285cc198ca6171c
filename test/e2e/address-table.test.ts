/**
 * Invariant 6 by a table: however an address is spelled, it opens the repository that it leads to or none. The attacks: a spelling
 * that the gate takes for a repository that is allowed and the upstream for another one, and one that slips past a narrow route
 * into a wider one. Which repository a spelling leads to is told by the emulator's own router, which shares no code with the
 * product; each row says it by hand as well.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { assemble, type House } from '../../src/daemon/assemble.js';
import { readLeaseRepo } from '../../src/daemon/lease-repos.js';
import { narrowLease, newLeaseId } from '../../src/gate/lease-seal.js';
import { systemClock } from '../../src/model/clock.js';
import type { Caveat } from '../../src/model/lease.js';
import type { Permission } from '../../src/model/operation.js';
import { inferHostKind, parseHost } from '../../src/model/host-name.js';
import { Secret } from '../../src/model/secret.js';
import type { Route } from '../../src/model/settings.js';
import { Emulator } from '../azure/emulator.js';
import { CLOSE, NO_HOME, requestBytes, SHUT } from '../pair/door-rig.js';
import { type AddressRow, REPOSITORIES, ROWS } from './address-rows.js';

const PAT = 'x'.repeat(52);
/** A connection that is silent for so long hangs; a busy machine may need seconds. */
const QUIET_MS = 30_000;
/** A row is some forty requests, of which many run a git. */
const ROW_MS = 120_000;
/** A push of a commit that is nowhere: every repository says no to it, so that none is changed. */
const PUSH = ((): string => {
  const command = `${'0'.repeat(40)} ${'1'.repeat(40)} refs/heads/topic\0report-status`;
  const pack = Buffer.from('PACK\0\0\0\x02\0\0\0\0', 'latin1');
  const sum = createHash('sha1').update(pack).digest().toString('latin1');
  return `${(command.length + 4).toString(16).padStart(4, '0')}${command}0000${pack.toString('latin1')}${sum}`;
})();
const LS_REFS = '0014command=ls-refs\n0000';

interface Step {
  readonly method: 'GET' | 'POST';
  readonly suffix: string;
  readonly needs: Permission;
  readonly body: string;
}

const STEPS: readonly Step[] = [
  { method: 'GET', suffix: '/info/refs?service=git-upload-pack', needs: 'fetch', body: '' },
  { method: 'POST', suffix: '/git-upload-pack', needs: 'fetch', body: LS_REFS },
  { method: 'GET', suffix: '/info/refs?service=git-receive-pack', needs: 'push', body: '' },
  { method: 'POST', suffix: '/git-receive-pack', needs: 'push', body: PUSH },
];

/** Whether a repository (by the emulator's name) may be used for a direction: written by hand for each caller. */
type Rule = readonly [repositories: RegExp, ...permissions: Permission[]];

interface LeaseCase {
  /** Repositories as someone writes them for `lease create`. */
  readonly grant: readonly string[];
  readonly narrowings?: readonly (Partial<Omit<Caveat, 'repos'>> & { readonly repos?: readonly string[] })[];
}

interface CallerCase {
  readonly name: string;
  /** Routes in their order, with what they allow. Those that name a host of Azure's are sent on as the road says. */
  readonly routes: readonly (readonly [match: string, ...allow: Permission[]])[];
  readonly road: 'proxy' | 'upstream';
  readonly lease?: LeaseCase;
  /** The first that fits decides. */
  readonly may: readonly Rule[];
  /** Repositories that a route names in full before another one that opens more: what only looks like them stops there. */
  readonly guarded?: readonly string[];
}

const ANY = ['dev.azure.com/**', 'tfs.example.com/**', 'git.example.com/**', 'other.example.com/**'] as const;
const WIDE = ANY.map((match) => [match, 'fetch', 'push'] as const);
const kindOf = (match: string): Route['hostKind'] =>
  /^(?:git|other)\./i.test(match) ? 'generic' : inferHostKind(parseHost(match.split('/')[0] ?? '') ?? '');

/** A real lease: minted by the house, narrowed as its holder would. */
async function leaseOf(house: House, { grant, narrowings = [] }: LeaseCase): Promise<Secret> {
  const desk = house.leases;
  if (desk === undefined) throw new Error('the house has no state directory');
  await desk.load();
  const { lease } = await desk.create({
    repos: grant,
    allow: ['fetch', 'push'],
    refs: ['refs/**'],
    changes: ['create', 'update'],
    label: 'table',
    forMs: 3_600_000,
  });
  const kindOf = (host: string): Route['hostKind'] | undefined => house.routes.kindOf(host);
  return narrowings.reduce((text, { repos, ...more }) => {
    const patterns = repos === undefined ? {} : { repos: repos.map((each) => readLeaseRepo(each, kindOf)) };
    return narrowLease(text, { ...more, ...patterns, id: newLeaseId() });
  }, new Secret(lease));
}

const BOTH = ['fetch', 'push'] as const;

const CALLERS: readonly CallerCase[] = [
  {
    name: 'the own user, routes for a whole organisation, server and group',
    road: 'proxy',
    routes: [
      ['dev.azure.com/contoso/**', ...BOTH],
      ['tfs.example.com/tfs/**', ...BOTH],
      ['git.example.com/team/**', ...BOTH],
    ],
    // What ends in `**` stands for what is before it, too.
    may: [[/^(?:contoso\/|tfs\.example\.com\/tfs\/|git\.example\.com\/team(?:\/|$))/, ...BOTH]],
  },
  {
    name: 'the own user, routes for one repository or project each',
    road: 'proxy',
    routes: [
      ['dev.azure.com/Contoso/Fleet/App', ...BOTH],
      ['contoso.visualstudio.com/My%20Project/*', 'fetch'],
      ['tfs.example.com/tfs/DefaultCollection/fleet/app', ...BOTH],
      ['git.example.com/team/app.git', ...BOTH],
    ],
    may: [
      [/^contoso\/fleet\/app$/, ...BOTH],
      [/^contoso\/my project\/[^/]+$/, 'fetch'],
      [/^tfs\.example\.com\/tfs\/defaultcollection\/fleet\/app$/, ...BOTH],
      [/^git\.example\.com\/team\/app$/, ...BOTH],
    ],
  },
  {
    name: 'the own user, a repository that may only be fetched before everything, by way of another upstream',
    road: 'upstream',
    routes: [
      ['dev.azure.com/contoso/fleet/app', 'fetch'],
      ['dev.azure.com/contoso/kiosk/kit', 'fetch'],
      ['dev.azure.com/contoso/caf%C3%A9/straße', 'fetch'],
      ['dev.azure.com/contoso/My%20Project/my.repo', 'fetch'],
      ['git.example.com/team/app', 'fetch'],
      ['dev.azure.com/**', ...BOTH],
      ['git.example.com/**', ...BOTH],
    ],
    may: [
      [/^(?:contoso\/(?:fleet\/app|kiosk\/kit|café\/straße|my project\/my\.repo)|git\.example\.com\/team\/app)$/, 'fetch'],
      [/^(?!tfs\.|other\.)/, ...BOTH],
    ],
    guarded: ['contoso/fleet/app', 'contoso/kiosk/kit', 'contoso/café/straße', 'contoso/my project/my.repo', 'git.example.com/team/app'],
  },
  {
    name: 'a lease for one repository',
    road: 'proxy',
    routes: WIDE,
    lease: { grant: ['dev.azure.com/contoso/fleet/app'] },
    may: [[/^contoso\/fleet\/app$/, ...BOTH]],
  },
  {
    name: 'a lease for a project, to fetch',
    road: 'upstream',
    routes: WIDE,
    lease: { grant: ['contoso.visualstudio.com/fleet/*'], narrowings: [{ allow: ['fetch'] }] },
    may: [[/^contoso\/fleet\/[^/]+$/, 'fetch']],
  },
  {
    name: 'a lease for an organisation, narrowed to two repositories of it',
    road: 'proxy',
    routes: WIDE,
    lease: {
      grant: ['dev.azure.com/contoso/**'],
      narrowings: [{ repos: ['dev.azure.com/contoso/fleet-infra/app', 'dev.azure.com/fabrikam/**', 'dev.azure.com/contoso/app/app'] }, {}],
    },
    may: [[/^contoso\/(?:fleet-infra|app)\/app$/, ...BOTH]],
  },
  {
    name: 'a lease for a repository of a server and one of another host, of which a route takes the push',
    road: 'upstream',
    routes: [
      ['tfs.example.com/tfs/**', ...BOTH],
      ['git.example.com/**', 'fetch'],
    ],
    lease: { grant: ['tfs.example.com/tfs/DefaultCollection/fleet/app', 'https://git.example.com/team/app.git'] },
    may: [
      [/^tfs\.example\.com\/tfs\/defaultcollection\/fleet\/app$/, ...BOTH],
      [/^git\.example\.com\/team\/app$/, 'fetch'],
    ],
  },
  {
    name: 'a lease for repositories with letters beyond ASCII',
    road: 'upstream',
    routes: WIDE,
    lease: { grant: ['dev.azure.com/contoso/CAF%C3%89/straße', 'dev.azure.com/contoso/ｆｌｅｅｔ/app', 'dev.azure.com/contoso/ΟΔΟΣ/app'] },
    may: [[/^contoso\/(?:café\/straße|ｆｌｅｅｔ\/app|οδοσ\/app)$/, ...BOTH]],
  },
];

let directory: string;
let emulator: Emulator;
let ca: string;
interface Opened {
  readonly house: House;
  readonly port: number;
  readonly lease: Secret | undefined;
}

const opened: Opened[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-table-'));
  emulator = await Emulator.start({ directory });
  ca = await readFile(emulator.caFile, 'utf8');
  emulator.git.pats.add(PAT);
  emulator.git.basic.set('ada', 'lovelace');
  for (const [at, name] of REPOSITORIES.entries()) {
    const path = await emulator.createRepository(name, { commits: 1 });
    await promisify(execFile)('git', ['--git-dir', path, 'update-ref', `refs/heads/${mark(at)}`, 'main']);
  }
  for (const each of CALLERS) opened.push(await open(each));
});

afterAll(async () => {
  for (const { house } of opened) {
    await house.door.close();
    house.connections.close();
    house.vault.close();
  }
  await emulator.stop();
  await rm(directory, { recursive: true, force: true });
});

/** A ref that only the repository of that number has: what a caller reads tells where it has come. */
function mark(at: number): string {
  return `mark-${at}-end`;
}

async function open({ routes, road, lease: held }: CallerCase): Promise<Opened> {
  const { tenant, secretClient } = emulator.sts.samples;
  const route = ([match, ...allow]: readonly [string, ...Permission[]]): Route => {
    const host = match.split('/')[0] ?? '';
    const main = host.endsWith('.visualstudio.com') ? 'dev.azure.com' : host;
    return {
      match,
      identity: host.startsWith('tfs.') ? 'onprem' : kindOf(match) === 'generic' ? 'ada' : 'sp',
      allow,
      hostKind: kindOf(match),
      upstream: road === 'upstream' ? new URL(`${emulator.git.origin}/${main}`) : undefined,
      ca: emulator.caFile,
      proxy: road === 'proxy' ? new URL(emulator.proxy.origin) : undefined,
      refs: undefined,
      ssh: { kind: 'bridge' },
    };
  };
  const house = assemble(
    {
      file: undefined,
      ...SHUT,
      identities: [
        {
          name: 'sp',
          kind: 'client-secret',
          tenant,
          clientId: secretClient.clientId,
          secret: { kind: 'env', name: 'SP_SECRET' },
          authority: emulator.sts.origin,
          resource: '499b84ac-1321-427f-aa17-267ca6975798',
          ca: emulator.caFile,
          proxy: undefined,
        },
        { name: 'onprem', kind: 'pat', secret: { kind: 'env', name: 'TFS_PAT' }, lifecycle: undefined },
        { name: 'ada', kind: 'basic', user: 'ada', secret: { kind: 'env', name: 'ADA' } },
      ],
      routes: routes.map(route),
      drain: { min: 0, max: 0 },
      timeouts: { connect: 5_000, stall: 10_000, token: 5_000 },
      log: { level: 'error', format: 'json', operations: 'debug' },
    },
    {
      environment: { SP_SECRET: secretClient.secret, TFS_PAT: PAT, ADA: 'lovelace' },
      clock: systemClock,
      logger: { log: () => undefined },
      stateDirectory: await mkdtemp(join(directory, 'state-')),
      audit: NO_HOME,
    },
  );
  const text = held === undefined ? undefined : await leaseOf(house, held);
  const { door } = house;
  await door.listen({ host: '127.0.0.1', port: 0, optional: false });
  return { house, port: door.bound[0]?.port ?? 0, lease: text };
}

/** Escapes for what is beyond ASCII; every other character as it stands. */
function asTarget(at: string): string {
  return at.replace(/[^\0-\x7f]+/g, (text) => encodeURIComponent(text));
}

function exchange(
  socket: NodeJS.ReadWriteStream & { setTimeout(ms: number, done: () => void): unknown; destroy(): unknown },
  bytes: string,
): Promise<string> {
  return new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.setTimeout(QUIET_MS, () => socket.destroy());
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
    socket.write(Buffer.from(bytes, 'latin1'));
  });
}

interface Outcome {
  readonly answer: string;
  /** The repository of each request that reached the emulator. */
  readonly reached: readonly (string | undefined)[];
}

async function watch(send: () => Promise<string>): Promise<Outcome> {
  emulator.git.seen.length = 0;
  const answer = await send();
  return { answer, reached: emulator.git.seen.map(({ repository }) => repository) };
}

/** Headers besides Host. */
function headersFor({ suffix, method, body }: Step, ...more: readonly string[]): string[] {
  const service = suffix.includes('receive-pack') ? 'git-receive-pack' : 'git-upload-pack';
  const type = method === 'POST' ? [`Content-Type: application/x-${service}-request`, `Content-Length: ${body.length}`] : [];
  return [CLOSE, ...(service === 'git-upload-pack' ? ['Git-Protocol: version=2'] : []).filter(() => method === 'POST'), ...type, ...more];
}

/** The spelling as a client of the real host would send it, with a credential that opens everything. */
function straight(row: AddressRow, step: Step): Promise<Outcome> {
  const [, host = '', path = ''] = /^([^/]*)(.*)$/s.exec(asTarget(row.twin ?? row.at)) ?? [];
  const isGeneric = /^(?:git|other)\.example\.com(?::|$)/i.test(host);
  const credential = Buffer.from(isGeneric ? 'ada:lovelace' : `any:${PAT}`).toString('base64');
  const line = `${step.method} ${path}${row.whole === undefined ? step.suffix : ''} HTTP/1.1`;
  const bytes = requestBytes(0, line, [`Host: ${host}`, ...headersFor(step, `Authorization: Basic ${credential}`)], step.body);
  return watch(() => exchange(connectTls({ host: '127.0.0.1', port: emulator.git.port, ca }), bytes));
}

function throughDoor(at: number, row: AddressRow, step: Step): Promise<Outcome> {
  const port = opened[at]?.port ?? 0;
  const line = `${step.method} /${asTarget(row.at)}${row.whole === undefined ? step.suffix : ''} HTTP/1.1`;
  const lease = opened[at]?.lease;
  const held = lease === undefined ? [] : [`X-Postern-Lease: ${lease.reveal()}`];
  return watch(() => exchange(connect(port, '127.0.0.1'), requestBytes(port, line, headersFor(step, ...held), step.body)));
}

function stepsOf(row: AddressRow): readonly Step[] {
  if (row.whole === undefined) return STEPS;
  return STEPS.filter(({ method, needs }) => method === row.whole && needs === 'fetch');
}

function mayPass(caller: CallerCase, row: AddressRow, { needs }: Step): boolean {
  const { leads, looksLike } = row;
  if (leads === undefined || row.refused !== undefined) return false;
  if (looksLike !== undefined && caller.guarded?.includes(looksLike) === true) return false;
  const rule = caller.may.find(([repositories]) => repositories.test(leads));
  return rule?.slice(1).includes(needs) ?? false;
}

test('the table is as long as promised, and no address stands in it twice', () => {
  expect(ROWS.length).toBeGreaterThanOrEqual(120);
  expect(new Set(ROWS.map(({ at }) => at)).size).toBe(ROWS.length);
  // The rows of one repository are many, or the table would be about nothing.
  expect(ROWS.filter(({ leads }) => leads === 'contoso/fleet/app').length).toBeGreaterThan(30);
});

describe('each spelling', () => {
  test.each(ROWS.map((row) => [row.at, row] as const))(
    '%s',
    async (_, row) => {
      const faults: string[] = [];
      for (const step of stepsOf(row)) {
        const oracle = await straight(row, step);
        const named = oracle.reached[0];
        if (named !== row.leads)
          faults.push(`straight ${step.method} ${step.suffix}: leads to ${named ?? 'nowhere'}, the row says ${row.leads ?? 'nowhere'}`);
        faults.push(...faultsOfAnswer('straight', row, step, oracle.answer));
        for (const [at, caller] of CALLERS.entries()) {
          const { answer, reached } = await throughDoor(at, row, step);
          const where = `${caller.name}: ${step.method} ${step.suffix}`;
          if (mayPass(caller, row, step)) {
            if (reached.length === 0 || reached.some((repository) => repository !== row.leads))
              faults.push(`${where}: should reach ${row.leads ?? ''}, reached ${JSON.stringify(reached)}: ${answer.slice(0, 600)}`);
            faults.push(...faultsOfAnswer(where, row, step, answer));
          } else if (reached.length > 0 || !isRefusal(answer)) {
            faults.push(`${where}: should be refused, reached ${JSON.stringify(reached)}: ${answer.slice(0, 600)}`);
          }
        }
      }
      expect(faults).toEqual([]);
    },
    ROW_MS,
  );
});

/** Of an answer that tells refs: they are those of the repository that the row names, and there are none where there is none. */
function faultsOfAnswer(where: string, row: AddressRow, step: Step, answer: string): string[] {
  if (step.suffix === '/git-receive-pack') return [];
  const told = Array.from(answer.matchAll(/mark-([0-9]+)-end/g), ([, at]) => REPOSITORIES[Number(at)]);
  const wanted = row.leads !== undefined && REPOSITORIES.includes(row.leads) && !row.leads.endsWith('.git') ? row.leads : undefined;
  const fits = wanted === undefined ? told.length === 0 : told.length > 0 && told.every((name) => name === wanted);
  return fits ? [] : [`${where} ${step.method} ${step.suffix}: shows refs of ${JSON.stringify(told)}: ${answer.slice(0, 300)}`];
}

/** Said by the door itself, in one of its ways. */
function isRefusal(answer: string): boolean {
  return /^HTTP\/1\.1 (?:200|400|403|404|405) /.test(answer) && answer.includes('postern: ') && !/mark-[0-9]+-end/.test(answer);
}

describe('control', () => {
  test('every caller gets something, and something is kept from each', () => {
    for (const caller of CALLERS) {
      const passing = ROWS.filter((row) => row.whole === undefined && STEPS.some((step) => mayPass(caller, row, step)));
      expect(passing.length, caller.name).toBeGreaterThan(3);
      expect(passing.length, caller.name).toBeLessThan(ROWS.length / 1.5);
    }
  });
});
