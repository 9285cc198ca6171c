/**
 * Whatever keeps a token from coming: the text that git shows, `postern status`, exit codes, and that it gets well once it is mended.
 * The cases are in identity-failure-table.ts.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DaemonStatus } from '../../src/daemon/status.js';
import { closedPort } from '../support/closed-port.js';
import { told } from '../support/failure-stage.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';
import { type FailureCase, type FailureWorld, ownCases, sharedCases } from './identity-failure-table.js';

let scene: Scene;
let daemon: RunningDaemon;
let world: FailureWorld;
let own: readonly FailureCase[];
let shared: readonly FailureCase[];
/** Cases that are brought about at the same time. */
const AT_ONCE = 8;
/** ms for the cases that come one after another. */
const ALL_MS = 180_000;
/** What git said to the first command of each case. */
const said = new Map<string, Ran>();

beforeAll(async () => {
  scene = await Scene.open();
  const { emulator } = scene;
  emulator.proxy.credentials = { user: 'corp', password: 'p@ss' };
  const directory = join(scene.directory, 'cases');
  await mkdir(directory);
  world = { emulator, directory, closedPort: await closedPort() };
  own = await ownCases(world);
  shared = sharedCases(world);
  for (const { name } of [...own, ...shared]) await emulator.createRepository(`${name}/Payments/web`);
  const { port } = new URL(emulator.proxy.origin);
  daemon = await scene.daemon(
    configuration(({ identity }) => identity),
    {
      env: {
        PATH: `${emulator.az.directory}:${process.env['PATH'] ?? ''}`,
        HTTPS_PROXY: `http://corp:p%40ss@127.0.0.1:${port}`,
        NO_PROXY: '',
        AZURE_AUTHORITY_HOST: 'http://login.example.com',
        AZURE_POD_IDENTITY_AUTHORITY_HOST: emulator.imds.origin,
      },
    },
  );
});
afterAll(() => scene.close());

function configuration(write: (one: FailureCase) => string): string {
  const all = [...own, ...shared];
  const { origin } = scene.emulator.git;
  return [
    'listen: { http: 127.0.0.1:0 }',
    'log: { level: debug, format: json }',
    'timeouts: { connect: 2s, token: 5s }',
    'identities:',
    ...all.map((one) => `  ${one.name}: ${write(one)}`),
    'routes:',
    ...all.map(
      ({ name }) => `  - { match: dev.azure.com/${name}/**, identity: ${name}, upstream: '${origin}', ca: ${scene.emulator.caFile} }`,
    ),
    '',
  ].join('\n');
}

const ask = ({ name }: FailureCase): Promise<Ran> => scene.git(['ls-remote', daemon.url(`dev.azure.com/${name}/Payments/_git/web`)]);

/** Asserts what a user sees of cases, none of which was asked again since; softly, so that each case is told. */
async function areTold(cases: readonly FailureCase[]): Promise<void> {
  const { identities } = await daemon.status();
  for (const one of cases)
    isTold(
      one,
      identities.find(({ name }) => name === one.name),
    );
}

function isTold(one: FailureCase, identity: DaemonStatus['identities'][number] | undefined): void {
  const { name } = one;
  const ran = said.get(name) ?? { code: 0, stderr: '' };
  expect.soft(ran.code, name).toBe(128);
  const [what = '', where, todo = '', more, last] = told(ran.stderr);
  const inner = what.replace(/^postern: /, '');
  const advice = todo.replace(/^ {2}what to do: /, '');
  expect.soft(inner, name).toEqual(exactly(one.what));
  expect.soft(advice, name).toEqual(exactly(one.todo));
  expect.soft(where, name).toBe(`  route dev.azure.com/${name}/**, identity ${name}`);
  expect.soft(more, name).toBe(`  more: postern explain ${one.code}`);
  expect.soft(last, name).toMatch(/^fatal: unable to access .* The requested URL returned error: 503$/);

  expect.soft(identity?.state, name).toBe('failing');
  expect.soft(told(identity?.failure ?? '')[0], name).toBe(inner);
  expect.soft(told(identity?.todo ?? '')[0], name).toBe(advice);
  const logged = daemon.log.find(({ event, identity: of }) => event === 'token-failed' && of === name);
  expect.soft(logged?.['code'], name).toBe(one.code);
}

function exactly(expected: string | RegExp): unknown {
  return typeof expected === 'string' ? expected : expect.stringMatching(expected);
}

async function isWell(one: FailureCase): Promise<void> {
  const until = performance.now() + 20_000;
  for (;;) {
    const ran = await ask(one);
    if (ran.code === 0) return;
    if (performance.now() > until) throw new Error(`${one.name} did not get well: ${ran.stderr}`);
    // Longer than a try, and far below the hold of a failure.
    await sleep(300);
  }
}

test('of the configuration: each case is told by its cause, with what to do, in git and in `postern status`', async () => {
  for (const { arrange } of own) await arrange?.();
  // Not all at once: a busy machine would be slower than the limits.
  for (let from = 0; from < own.length; from += AT_ONCE)
    await Promise.all(own.slice(from, from + AT_ONCE).map(async (one) => said.set(one.name, await ask(one))));
  await areTold(own);
});

test(
  'of the sign-in service and of az: likewise, one after another, and none is asked more than it helps',
  async () => {
    for (const one of shared) {
      await one.arrange?.();
      const { tokenRequests } = scene.emulator.sts;
      tokenRequests.length = 0;
      const ran = await ask(one);
      said.set(one.name, ran);
      if (one.asked !== undefined) {
        expect.soft((await ask(one)).stderr, one.name).toBe(ran.stderr);
        expect.soft(tokenRequests, one.name).toHaveLength(one.asked);
      }
      await one.mend?.();
    }
    await areTold(shared);
  },
  ALL_MS,
);

test('`postern status` says it to a person, and ends with 0', async () => {
  const ran = await daemon.postern(['status']);
  expect(ran.code).toBe(0);
  expect(ran.stdout).toContain(
    '  wrong-secret  client-secret  failing\n    The client secret is wrong (AADSTS7000215)\n    what to do: put the value of the secret (not its id) where `secret` of the identity points\n',
  );
});

test('each gets well by itself once what was wrong is mended', async () => {
  for (const one of own) await one.mend?.();
  await Promise.all([...own, ...shared].filter(({ good }) => good === undefined).map(isWell));
  const { identities } = await daemon.status();
  for (const { name } of [...own, ...shared].filter(({ good }) => good === undefined))
    expect
      .soft(
        identities.find((each) => each.name === name),
        name,
      )
      .toMatchObject({ state: 'ready' });
});

test('no proof of who asks, and no password of the proxy, is in any text or log', () => {
  const all = [...said.values()].map(({ stderr }) => stderr).join('') + daemon.output;
  expect(all).not.toContain(scene.emulator.sts.samples.secretClient.secret);
  expect(all).not.toMatch(/p@ss|p%40ss|of-the-portal/);
  expect(all).not.toMatch(/eyJ[\w-]{8,}/);
});

test('what was wrong in the configuration is mended by a reload', async () => {
  const wrong = own.filter(({ good }) => good !== undefined);
  const file = (await daemon.status()).configuration ?? '';
  await writeFile(
    file,
    configuration(({ identity, good }) => good ?? identity),
  );
  const reloaded = await daemon.postern(['reload']);
  expect(reloaded).toMatchObject({ code: 0 });
  await Promise.all(wrong.map(isWell));
});
