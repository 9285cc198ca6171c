/**
 * Rules for refs, with real git: what a user sees when a push may not touch a ref, and that nothing of it has arrived.
 */
import { randomBytes } from 'node:crypto';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';

const RULES = 'refs: { allow: [refs/heads/agent/*, refs/heads/main], protect: [refs/heads/MAIN], changes: [create, update] }';

let scene: Scene;
let daemon: RunningDaemon;

beforeAll(async () => {
  scene = await Scene.open();
  const upstream = `identity: sp, upstream: '${scene.emulator.git.origin}', ca: ${scene.emulator.caFile}`;
  daemon = await scene.daemon(
    [
      'listen: { http: 127.0.0.1:0 }',
      'log: { level: debug, format: json }',
      'identities:',
      `  sp: ${scene.servicePrincipal}`,
      'routes:',
      `  - { match: dev.azure.com/contoso/Agents/*, ${upstream}, ${RULES} }`,
      `  - { match: dev.azure.com/contoso/Reads/*, ${upstream}, allow: [fetch] }`,
      `  - { match: dev.azure.com/**, ${upstream} }`,
      '',
    ].join('\n'),
  );
});
afterAll(() => scene.close());

interface Work {
  readonly directory: string;
  /** Refs of the upstream's repository, a line each: id and name. */
  refs(): Promise<string>;
  git(...args: readonly string[]): Promise<Ran>;
  /** The same that has to work. */
  done(...args: readonly string[]): Promise<string>;
}

let count = 0;

/** A new repository at the upstream with `main` and `agent/old`, and a clone of it through the door with one commit more. */
async function work(
  options: { format?: 'sha1' | 'sha256'; clone?: readonly string[]; settings?: string; project?: string } = {},
): Promise<Work> {
  count += 1;
  const { format = 'sha1', clone = [], project = 'Agents' } = options;
  const server = await scene.emulator.createRepository(`contoso/${project}/r${count}`, { objectFormat: format });
  await appendFile(join(server, 'config'), `[receive]\n\tadvertiseAtomic = true\n\tadvertisePushOptions = true\n${options.settings ?? ''}`);
  await scene.git(['branch', 'agent/old', 'main'], { cwd: server });
  const directory = join(scene.directory, `clone-${count}`);
  const cloned = await scene.git(['clone', '-q', ...clone, daemon.url(`dev.azure.com/contoso/${project}/_git/r${count}`), directory]);
  expect(cloned).toMatchObject({ code: 0 });
  const git = (...args: readonly string[]): Promise<Ran> => scene.git(args, { cwd: directory });
  const made: Work = {
    directory,
    git,
    refs: async () => (await scene.git(['for-each-ref', '--format=%(objectname) %(refname)'], { cwd: server })).stdout,
    done: async (...args) => {
      const ran = await git(...args);
      expect(ran.code, `git ${args.join(' ')}: ${ran.stderr}`).toBe(0);
      return ran.stdout.trim();
    },
  };
  await writeFile(join(directory, 'note.txt'), 'from an agent\n');
  await made.done('add', '.');
  await made.done('commit', '-qm', 'note');
  return made;
}

/** Pushes, and expects that nothing of it arrived; gives what git printed. */
async function refused(at: Work, ...args: readonly string[]): Promise<string> {
  const before = await at.refs();
  const seen = posts();
  const ran = await at.git('push', ...args);
  expect(ran.code).toBe(1);
  expect(await at.refs()).toBe(before);
  expect(posts()).toBe(seen);
  return ran.stderr;
}

/** How many pushes with something in them the upstream has seen. */
function posts(): number {
  return scene.emulator.git.seen.filter(({ url, headers }) => url.endsWith('/git-receive-pack') && headers['content-length'] !== '4')
    .length;
}

const ROUTE = 'the route dev.azure.com/contoso/Agents/*';

describe('through a route with `refs`', () => {
  test('a push to agent/x goes through: new, changed, rewritten', async () => {
    const at = await work();
    await at.done('push', 'origin', 'HEAD:agent/x');
    await at.done('commit', '-q', '--allow-empty', '-m', 'more');
    await at.done('push', 'origin', 'HEAD:agent/x');
    await at.done('commit', '-q', '--amend', '--allow-empty', '-m', 'other');
    await at.done('push', '--force', 'origin', 'HEAD:agent/x');
    expect(await at.refs()).toContain(`${await at.done('rev-parse', 'HEAD')} refs/heads/agent/x\n`);
  });

  test.each<[what: string, args: string[], line: string]>([
    ['to main', ['HEAD:main'], ` ! [remote rejected] HEAD -> main (postern: ${ROUTE} protects refs/heads/MAIN)`],
    ['to main by force', ['--force', 'HEAD:main'], ` ! [remote rejected] HEAD -> main (postern: ${ROUTE} protects refs/heads/MAIN)`],
    ['of a delete', [':agent/old'], ` ! [remote rejected] agent/old (postern: ${ROUTE} does not allow to delete refs)`],
    [
      'of a tag',
      ['HEAD:refs/tags/v1'],
      ` ! [remote rejected] HEAD -> v1 (postern: ${ROUTE} allows only refs/heads/agent/*, refs/heads/main)`,
    ],
    [
      'to a nested branch',
      ['HEAD:refs/heads/agent/x/y'],
      ` ! [remote rejected] HEAD -> agent/x/y (postern: ${ROUTE} allows only refs/heads/agent/*, refs/heads/main)`,
    ],
  ])('a push %s is refused with its reason', async (_, args, line) => {
    const at = await work();
    const text = await refused(at, 'origin', ...args);
    expect(text.split('\n')).toContain(line);
    expect(text).toContain('remote: postern: The push was refused because of refs/');
    expect(text).toContain('remote:   route dev.azure.com/contoso/Agents/*, identity sp');
    expect(text).toContain('remote:   what to do: push only what is allowed');
  });

  test.each([[['--atomic']], [[]]])('a push of several refs is refused as a whole, each with its own reason %j', async (options) => {
    const at = await work();
    const text = await refused(at, ...options, 'origin', 'HEAD:agent/a', 'HEAD:main', ':agent/old', 'HEAD:agent/b');
    const lines = text.split('\n').filter((line) => line.includes('rejected'));
    expect(lines.sort()).toEqual(
      [
        ' ! [remote rejected] HEAD -> agent/a (postern: not pushed, because refs/heads/main was refused)',
        ' ! [remote rejected] HEAD -> agent/b (postern: not pushed, because refs/heads/main was refused)',
        ` ! [remote rejected] HEAD -> main (postern: ${ROUTE} protects refs/heads/MAIN)`,
        ` ! [remote rejected] agent/old (postern: ${ROUTE} does not allow to delete refs)`,
      ]
        .sort()
        .map((line) => line.replace('refs/heads/main was', `${firstOf(text)} was`)),
    );
  });

  /** The ref that the refusal names first; git sorts its commands as it likes. */
  function firstOf(text: string): string {
    return /refused because of (\S+):/.exec(text)?.[1] ?? 'none';
  }

  test('push options go through untouched, and change nothing about a refusal', async () => {
    const at = await work();
    await at.done('push', '-o', 'reviewer=jane', '-o', 'draft', 'origin', 'HEAD:agent/x');
    expect(await at.refs()).toContain('refs/heads/agent/x');
    expect(await refused(at, '-o', 'reviewer=jane', 'origin', 'HEAD:main')).toContain('[remote rejected] HEAD -> main (postern: ');
  });

  test('a signed push is judged by the commands that are signed', async () => {
    const at = await work({ settings: '\tcertNonceSeed = seed\n\tcertNonceSlop = 3600\n' });
    // Stands for gpg, which would need a keyring: the upstream here takes every signature, and it is not what is judged.
    const signer = join(scene.directory, `signer-${count}`);
    const signature = "printf -- '-----BEGIN PGP SIGNATURE-----\\n\\nbm8=\\n-----END PGP SIGNATURE-----\\n'";
    await writeFile(signer, `#!/bin/sh\ncat >/dev/null\nprintf '[GNUPG:] SIG_CREATED ' >&2\n${signature}\n`, { mode: 0o755 });
    const signed = ['-c', `gpg.program=${signer}`, 'push', '--signed'];
    await at.done(...signed, 'origin', 'HEAD:agent/x');
    const before = await at.refs();
    expect(before).toContain('refs/heads/agent/x');
    const ran = await at.git(...signed, 'origin', 'HEAD:agent/y', 'HEAD:main');
    expect(ran.code).toBe(1);
    expect(ran.stderr).toContain(`[remote rejected] HEAD -> main (postern: ${ROUTE} protects refs/heads/MAIN)`);
    expect(await at.refs()).toBe(before);
  });

  test('SHA-256, a shallow clone, and a body that is probed and chunked are judged alike', async () => {
    // git raises what is less than one packet.
    const probed = ['-c', 'http.postBuffer=1'];
    const probes = (): number => scene.emulator.git.seen.filter(({ headers }) => headers['content-length'] === '4').length;
    const before = probes();
    for (const at of [await work({ format: 'sha256' }), await work({ clone: ['--depth', '1'] }), await work()]) {
      await writeFile(join(at.directory, 'random.bin'), randomBytes(200_000));
      await at.done('add', '.');
      await at.done('commit', '-qm', 'random');
      for (const options of [probed, []]) {
        const refs = await at.refs();
        const ran = await at.git(...options, 'push', 'origin', 'HEAD:agent/y', 'HEAD:main');
        expect(ran.code).toBe(1);
        expect(ran.stderr).toContain(`[remote rejected] HEAD -> main (postern: ${ROUTE} protects refs/heads/MAIN)`);
        expect(await at.refs()).toBe(refs);
        await at.done(...options, 'push', 'origin', `HEAD:agent/x${options.length}`);
        expect(await at.refs()).toContain(`refs/heads/agent/x${options.length}`);
      }
    }
    // One before each push that was probed, refused or not.
    expect(probes() - before).toBe(6);
  });

  test('a shallow clone with nothing to push is up to date', async () => {
    const at = await work({ clone: ['--depth', '1'] });
    await at.done('push', 'origin', 'HEAD:agent/x');
    const again = await at.git('push', 'origin', 'HEAD:agent/x');
    expect(again).toMatchObject({ code: 0 });
    expect(again.stderr).toContain('Everything up-to-date');
  });

  test('a large refused push is read to its end, so that git shows the reason', { timeout: 60_000 }, async () => {
    const at = await work();
    await writeFile(join(at.directory, 'large.bin'), randomBytes(30_000_000));
    await at.done('add', '.');
    await at.done('-c', 'core.compression=0', 'commit', '-qm', 'large');
    const text = await refused(at, '--quiet', 'origin', 'HEAD:main');
    expect(text).toContain(`[remote rejected] HEAD -> main (postern: ${ROUTE} protects refs/heads/MAIN)`);
    expect((await daemon.logged(({ bytesUp }) => Number(bytesUp) > 30_000_000))['event']).toBe('request-refused');
  });

  test('the log and status name the refusal', async () => {
    const at = await work();
    await refused(at, 'origin', 'HEAD:main');
    const line = await daemon.logged(
      ({ repository, code }) => repository === `dev.azure.com/contoso/Agents/r${count}` && code === 'ref-refused',
    );
    expect(line).toMatchObject({
      event: 'request-refused',
      what: `The push was refused because of refs/heads/main: ${ROUTE} protects refs/heads/MAIN`,
    });
    expect((await daemon.status()).failures.at(-1)).toMatchObject({ verdict: 'refused', failure: { code: 'ref-refused' } });
  });

  test('route explain shows the rules', async () => {
    const ran = await daemon.postern([
      'route',
      'explain',
      'https://dev.azure.com/contoso/Agents/_git/web',
      '--config',
      join(scene.directory, 'config-1.yaml'),
    ]);
    expect(ran.stdout).toContain(
      [
        'refs       allow refs/heads/agent/*, refs/heads/main',
        '           protect refs/heads/MAIN',
        '           changes create, update',
        '',
      ].join('\n'),
    );
    const json = await daemon.postern([
      'route',
      'explain',
      'https://dev.azure.com/contoso/Agents/_git/web',
      '--json',
      '--config',
      join(scene.directory, 'config-1.yaml'),
    ]);
    expect((JSON.parse(json.stdout) as { refs: unknown }).refs).toEqual({
      allow: ['refs/heads/agent/*', 'refs/heads/main'],
      protect: ['refs/heads/MAIN'],
      changes: ['create', 'update'],
    });
  });
});

test('through a route without push, git is told at the advertisement', async () => {
  const at = await work({ project: 'Reads' });
  const before = await at.refs();
  const ran = await at.git('push', 'origin', 'HEAD:agent/x');
  expect(ran.code).toBe(128);
  expect(ran.stderr).toContain('remote: postern: The route allows fetch, not push');
  expect(await at.refs()).toBe(before);
});

test('through a route without `refs` everything goes: delete, tag, main, names in any alphabet', async () => {
  const at = await work({ project: 'Open' });
  await at.done('push', 'origin', 'HEAD:main', ':agent/old', 'HEAD:refs/tags/v1', 'HEAD:refs/heads/topic/\u00e4\u4e2d');
  const refs = await at.refs();
  expect(refs.match(/refs\/\S+/g)).toEqual(['refs/heads/main', 'refs/heads/topic/\u00e4\u4e2d', 'refs/tags/v1']);
});

test('many refs in one push are judged, and taken', { timeout: 60_000 }, async () => {
  const at = await work();
  const oid = await at.done('rev-parse', 'HEAD');
  const input = Array.from({ length: 300 }, (_, index) => `create refs/heads/agent/n${index} ${oid}\n`).join('');
  expect((await scene.git(['update-ref', '--stdin'], { cwd: at.directory, input })).code).toBe(0);
  await at.done('push', '--quiet', 'origin', 'refs/heads/agent/*:refs/heads/agent/*');
  expect((await at.refs()).match(/refs\/heads\/agent\/n/g)).toHaveLength(300);
  const text = await refused(at, 'origin', ...['HEAD:main', ...Array.from({ length: 500 }, (_, index) => `HEAD:agent/m${index}`)]);
  expect(text.match(/\[remote rejected\]/g)).toHaveLength(501);
});
