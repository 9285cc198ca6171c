/**
 * Real git over OpenSSH through the door, on every road, beside doing it directly: what git prints, every ref, every object and
 * `git fsck` must be the same. `npm run test:ssh` tries every combination and 200 MB; the part that always runs is a cut through it.
 */
import { randomBytes } from 'node:crypto';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ran } from '../support/scene.js';
import { openSshStage, type Road, type SshStage } from '../support/ssh-stage.js';
import { drill, makeBare, type Protocol, REFUSED_STEPS, type Results } from './ssh-drill.js';

const isLong = process.env['POSTERN_TEST_SSH'] === 'long';
/** The long part moves 200 MB on each road, on a machine that may be busy. */
const LONG_MS = 600_000;
const MANY_REFS = 2_000;
/** Each that is pushed is a file and a lock. */
const MANY_PUSHED = isLong ? MANY_REFS : 200;
const LARGE_BYTES = 200 * 1024 * 1024;

type RoadName = 'bridge' | 'agent' | 'azure';
type Format = 'sha1' | 'sha256';

const ROADS: readonly RoadName[] = ['bridge', 'agent', 'azure'];
const SHORT: readonly (readonly [RoadName, Protocol, Format])[] = [
  ['bridge', 2, 'sha1'],
  ['bridge', 0, 'sha1'],
  ['bridge', 2, 'sha256'],
  ['agent', 2, 'sha1'],
  ['agent', 0, 'sha1'],
  ['azure', 2, 'sha1'],
];
const EVERYTHING = ROADS.flatMap((road) =>
  ([0, 1, 2] as const).flatMap((protocol) => (['sha1', 'sha256'] as const).map((format) => [road, protocol, format] as const)),
);

let stage: SshStage;
let close: (() => Promise<void>) | undefined;
const references = new Map<string, Promise<Results>>();

beforeAll(async () => {
  stage = await openSshStage({ isDirectShared: true, logLevel: 'info' });
  close = () => stage.close();
});
afterAll(() => close?.());

/** What doing it directly gives, once for each kind. */
function reference(protocol: Protocol, objectFormat: Format): Promise<Results> {
  const name = `v${protocol}-${objectFormat}`;
  const made = references.get(name) ?? drill({ scene: stage.scene, road: stage.roads.direct, name, protocol, objectFormat });
  references.set(name, made);
  return made;
}

function git(road: Road, args: readonly string[], cwd?: string): Promise<Ran> {
  return stage.scene.git(args, { env: road.environment, timeoutMs: LONG_MS, ...(cwd === undefined ? {} : { cwd }) });
}

async function succeed(running: Promise<Ran>): Promise<string> {
  const ran = await running;
  expect(ran.stderr).toBe('');
  expect(ran.code).toBe(0);
  return ran.stdout;
}

/** A place for a clone that is not there yet. */
async function fresh(road: Road, what: string): Promise<string> {
  const directory = join(stage.scene.directory, 'clones', road.name.replace(/\W+/g, '-'));
  await mkdir(directory, { recursive: true });
  return join(directory, what);
}

/** What fetches from a repository and its empty twin asked of the emulator; sshd does not tell. */
function protocolsSeen(road: 'bridge' | 'azure', name: string): string[] {
  const { git: https, ssh } = stage.scene.emulator;
  const asked =
    road === 'bridge'
      ? https.seen
          .filter(({ repository = '', url }) => repository.startsWith(`contoso/payments/${name}`) && url.includes('git-upload-pack'))
          .map(({ headers }) => headers['git-protocol'])
      : ssh.commands
          .filter(({ command }) => command.startsWith('git-upload-pack') && command.includes(`/${name}`))
          .map(({ environment }) => environment['GIT_PROTOCOL']);
  return Array.from(new Set(asked.map((value) => (typeof value === 'string' ? value : 'none'))));
}

describe('git through the door prints and leaves what it does directly', () => {
  for (const [name, protocol, format] of isLong ? EVERYTHING : SHORT) {
    it(
      `${name}, v${protocol}, ${format}`,
      async () => {
        const options = { scene: stage.scene, road: stage.roads[name], name: `v${protocol}-${format}`, protocol, objectFormat: format };
        const [direct, door] = await Promise.all([reference(protocol, format), drill(options)]);
        const codes = Object.fromEntries(Object.entries(direct).map(([what, { code }]) => [what, code]));
        expect(codes).toEqual({ ...Object.fromEntries(Object.keys(direct).map((what) => [what, 0])), ...REFUSED_STEPS });
        expect(door).toEqual(direct);
        if (name !== 'agent' && protocol !== 1) expect(protocolsSeen(name, options.name)).toEqual([protocol === 2 ? 'version=2' : 'none']);
      },
      LONG_MS,
    );
  }
});

describe('many refs', () => {
  async function manyRefs(road: Road): Promise<{ listed: string; fetched: string; pushed: string }> {
    const bare = await makeBare(stage.scene, road.repository('many'), { isWithoutHooks: true });
    const head = (await stage.scene.git(['--git-dir', bare, 'rev-parse', 'main'])).stdout.trim();
    const refs = Array.from({ length: MANY_REFS }, (_, index) => `create refs/heads/team-${index % 7}/branch-${index} ${head}\n`).join('');
    await succeed(stage.scene.git(['--git-dir', bare, 'update-ref', '--stdin'], { input: refs }));
    const clone = await fresh(road, 'many');
    const listed = await succeed(git(road, ['ls-remote', road.url('many')]));
    await succeed(git(road, ['clone', '-q', road.url('many'), clone]));
    const fetched = await succeed(stage.scene.git(['for-each-ref', '--format=%(objectname) %(refname)'], { cwd: clone }));
    const wanted = Array.from({ length: MANY_PUSHED }, (_, index) => `main:refs/heads/mine/${index}`);
    await succeed(git(road, ['push', '-q', 'origin', ...wanted], clone));
    const pushed = await succeed(stage.scene.git(['--git-dir', bare, 'for-each-ref', '--format=%(objectname) %(refname)']));
    return { listed, fetched, pushed };
  }

  let direct: Promise<{ listed: string; fetched: string; pushed: string }> | undefined;

  for (const name of isLong ? ROADS : (['bridge', 'agent'] as const)) {
    it(
      `${MANY_REFS} are listed, fetched and pushed as they are directly: ${name}`,
      async () => {
        direct ??= manyRefs(stage.roads.direct);
        expect((await direct).pushed.trim().split('\n')).toHaveLength(MANY_REFS + MANY_PUSHED + 1);
        expect(await manyRefs(stage.roads[name])).toEqual(await direct);
      },
      LONG_MS,
    );
  }
});

describe('submodules', () => {
  async function withSubmodule(road: Road): Promise<{ status: string; inner: string }> {
    const inner = await makeBare(stage.scene, road.repository('inner'), {});
    await makeBare(stage.scene, road.repository('outer'), {});
    const head = (await stage.scene.git(['--git-dir', inner, 'rev-parse', 'main~1'])).stdout.trim();
    const work = await fresh(road, 'outer-work');
    await succeed(git(road, ['clone', '-q', road.url('outer'), work]));
    const suffix = /\.git$/.test(road.url('outer')) ? '.git' : '';
    await writeFile(join(work, '.gitmodules'), `[submodule "inner"]\n\tpath = inner\n\turl = ../inner${suffix}\n`);
    await succeed(stage.scene.git(['add', '.gitmodules'], { cwd: work }));
    await succeed(stage.scene.git(['update-index', '--add', '--cacheinfo', `160000,${head},inner`], { cwd: work }));
    await succeed(stage.scene.git(['commit', '-qm', 'a submodule'], { cwd: work }));
    await succeed(git(road, ['push', '-q'], work));
    const clone = await fresh(road, 'outer');
    expect((await git(road, ['clone', '-q', '--recurse-submodules', road.url('outer'), clone])).code).toBe(0);
    return {
      status: await succeed(stage.scene.git(['submodule', 'status'], { cwd: clone })),
      inner: await succeed(stage.scene.git(['rev-list', '--objects', 'HEAD'], { cwd: join(clone, 'inner') })),
    };
  }

  let direct: Promise<{ status: string; inner: string }> | undefined;

  for (const name of ROADS) {
    it(`with relative addresses come through the door, too: ${name}`, async () => {
      direct ??= withSubmodule(stage.roads.direct);
      expect((await direct).status).toMatch(/^ [0-9a-f]{40} inner /);
      expect(await withSubmodule(stage.roads[name])).toEqual(await direct);
    });
  }
});

describe.runIf(isLong)('200 MB', () => {
  let model: string;

  beforeAll(async () => {
    model = await makeBare(stage.scene, 'git.example.com/model/large', { commits: 1, largeFileBytes: LARGE_BYTES });
  }, LONG_MS);

  for (const name of ROADS) {
    it(
      `are cloned and pushed: ${name}`,
      async () => {
        const road = stage.roads[name];
        await cp(model, await makeBare(stage.scene, road.repository('large'), { commits: 0 }), { recursive: true });
        const clone = await fresh(road, 'large');
        await succeed(git(road, ['clone', '-q', road.url('large'), clone]));
        const ids = async (...at: string[]): Promise<string> => succeed(stage.scene.git([...at, 'rev-list', '--objects', '--all']));
        expect(await ids('-C', clone)).toBe(await ids('--git-dir', model));
        expect((await stage.scene.git(['-C', clone, 'fsck', '--full', '--no-progress'])).code).toBe(0);

        const inbox = await makeBare(stage.scene, road.repository('inbox'), { commits: 0 });
        await writeFile(join(clone, 'mine.bin'), randomBytes(1000));
        await succeed(stage.scene.git(['-C', clone, 'add', '.']));
        await succeed(stage.scene.git(['-C', clone, 'commit', '-qm', 'mine']));
        await succeed(git(road, ['push', '-q', road.url('inbox'), 'main'], clone));
        expect(await ids('--git-dir', inbox)).toBe(await ids('-C', clone));
        expect((await stage.scene.git(['--git-dir', inbox, 'fsck', '--full', '--no-progress'])).code).toBe(0);
      },
      LONG_MS,
    );
  }
});
