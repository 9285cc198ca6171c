/** Real git pushes over the bridge; what the server holds afterwards is compared to what it holds without the bridge. */
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fastImport, line, openRig, type Rig } from './bridge-rig.js';

let rig: Rig;
let counter = 0;

function fresh(): string {
  counter += 1;
  return join(rig.folder, `copy-${String(counter)}`);
}

/** An empty bare repository that takes everything git can push. */
async function bare(...options: string[]): Promise<string> {
  const path = fresh();
  await rig.git('init', '-q', '--bare', ...options, path);
  for (const [key, value] of [
    ['receive.advertisePushOptions', 'true'],
    ['receive.shallowUpdate', 'true'],
    ['receive.certNonceSeed', 'seed'],
    ['receive.certNonceSlop', '100'],
  ] as const)
    await rig.git('-C', path, 'config', key, value);
  return path;
}

/** A repository to push from: 20 commits on main, 5 on topic, two tags. */
async function work(...options: string[]): Promise<string> {
  const path = fresh();
  await rig.git('init', '-q', ...options, path);
  await fastImport(
    rig,
    path,
    line('main', 20) +
      line('topic', 5, { from: ':10', time: 50, mark: 100 }) +
      'reset refs/tags/light\nfrom :5\n\ntag v1\nfrom :8\ntagger U <u@example.com> 1600000000 +0000\ndata 2\nx\n',
  );
  await rig.git('-C', path, 'reset', '-q', '--hard', 'main');
  return path;
}

async function holdings(repository: string): Promise<{ refs: string; objects: string }> {
  await rig.git('-C', repository, 'fsck', '--full', '--no-dangling');
  const objects = await rig.git('-C', repository, 'cat-file', '--batch-check', '--batch-all-objects', '--unordered');
  return { refs: await rig.git('-C', repository, 'for-each-ref'), objects: objects.split('\n').sort().join('\n') };
}

beforeAll(async () => {
  rig = await openRig();
});

afterAll(() => rig.close());

/** How the stage tells a git that a signal has ended. */
const BROKEN_PIPE = 255;
const MOST_TRIES = 20;

describe('bridge(), push', () => {
  /** Runs the same pushes over the bridge and beside it; each may fail, but in the same way. */
  async function both(from: string, steps: readonly (readonly string[])[], ...options: string[]): Promise<void> {
    const there = await bare(...options);
    const beside = await bare(...options);
    for (const step of steps) {
      const results = [];
      for (const url of [rig.url(there), `file://${beside}`]) {
        const push = ['-C', from, ...step.slice(0, step.indexOf('URL')), url, ...step.slice(step.indexOf('URL') + 1)];
        let ran = await rig.run(...push);
        // Beside the bridge git may be killed by a broken pipe: its own other end does not wait for the options of a push of nothing.
        for (let again = 0; ran.code === BROKEN_PIPE && !url.startsWith('ssh:') && again < MOST_TRIES; again++)
          ran = await rig.run(...push);
        results.push({ code: ran.code, out: ran.out.replace(/^To .*$/m, '') });
      }
      expect(results[0], step.join(' ')).toEqual(results[1]);
    }
    expect(await holdings(there)).toEqual(await holdings(beside));
    expect(rig.carried.at(-1)).toEqual({ kind: 'passed', exitCode: 0 });
  }

  it('creates, updates, forces, deletes, and tags', async () => {
    const from = await work();
    await both(from, [
      ['push', '--porcelain', 'URL', 'main~5:refs/heads/main', 'topic'],
      ['push', '--porcelain', 'URL', 'main'],
      ['push', '--porcelain', 'URL', 'topic:main'],
      ['push', '--porcelain', '--force', 'URL', 'topic:main'],
      ['push', '--porcelain', '--tags', 'URL'],
      ['push', '--porcelain', 'URL', ':topic', ':v1'],
      ['push', '--porcelain', 'URL', 'main:again', ':light'],
      ['push', '--porcelain', '--mirror', 'URL'],
    ]);
  });

  it.each(['0', '1', '2'])('pushes with protocol version %s configured', async (version) => {
    const from = await work();
    await both(from, [['-c', `protocol.version=${version}`, 'push', '--porcelain', 'URL', '--all']]);
    expect(rig.legs.at(-1)!.sent.map(({ gitProtocol }) => gitProtocol)).toEqual(
      version === '1' ? ['version=1', 'version=1'] : [undefined, undefined],
    );
  });

  it('pushes when there is nothing to push, also with options and dry', async () => {
    const from = await work();
    await both(from, [
      ['push', '--porcelain', 'URL', 'main'],
      ['push', '--porcelain', 'URL', 'main'],
      ['push', '--porcelain', '-o', 'ci.skip', 'URL', 'main'],
      ['push', '--porcelain', '--dry-run', 'URL', 'main', 'topic'],
      ['push', '--porcelain', '--dry-run', '-o', 'ci.skip', 'URL', 'main', 'topic'],
    ]);
    expect(rig.legs.at(-1)!.sent.map(({ step }) => step)).toEqual(['advertisement']);
  });

  it('pushes all or nothing', async () => {
    const from = await work();
    await both(from, [
      ['push', '--porcelain', 'URL', 'main'],
      ['push', '--porcelain', '--atomic', 'URL', 'topic:main', 'topic'],
      ['push', '--porcelain', '--atomic', '--force', 'URL', 'topic:main', 'topic'],
    ]);
  });

  it('pushes with options, also when it only deletes', async () => {
    const from = await work();
    const there = await bare();
    const note = join(rig.folder, 'options');
    writeFileSync(
      join(there, 'hooks/pre-receive'),
      `#!/bin/sh\necho "$GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0" > '${note}'\necho heard >&2\n`,
    );
    chmodSync(join(there, 'hooks/pre-receive'), 0o755);
    const pushed = await rig.run('-C', from, 'push', '-o', 'reviewer=a b', rig.url(there), 'main', 'topic');
    expect(pushed.err).toContain('remote: heard');
    expect(readFileSync(note, 'utf8')).toBe('1 reviewer=a b\n');
    rmSync(note);
    await rig.git('-C', from, 'push', '-o', 'why=old', rig.url(there), ':topic');
    expect(readFileSync(note, 'utf8')).toBe('1 why=old\n');
    expect(await rig.git('-C', there, 'for-each-ref', '--format=%(refname)')).toBe('refs/heads/main\n');
  });

  it('passes on what a hook says while it refuses', async () => {
    const from = await work();
    const there = await bare();
    writeFileSync(join(there, 'hooks/update'), '#!/bin/sh\necho "not $1" >&2\nexit 1\n');
    chmodSync(join(there, 'hooks/update'), 0o755);
    const { code, err } = await rig.run('-C', from, 'push', rig.url(there), 'main');
    expect(code).toBe(1);
    expect(err).toContain('remote: not refs/heads/main');
    expect(err).toContain('! [remote rejected] main -> main (hook declined)');
  });

  it('pushes SHA-256', async () => {
    const from = await work('--object-format=sha256');
    await both(
      from,
      [
        ['push', '--porcelain', 'URL', 'main', 'topic'],
        ['push', '--porcelain', 'URL', ':topic'],
      ],
      '--object-format=sha256',
    );
  });

  it('pushes from a shallow clone', async () => {
    const from = await work();
    const shallow = fresh();
    await rig.git('clone', '-q', '--depth=3', `file://${from}`, shallow);
    await rig.git('-C', shallow, 'commit', '-q', '--allow-empty', '-m', 'x');
    await both(shallow, [
      ['push', '--porcelain', 'URL', 'main'],
      // Says what is shallow, and then asks for nothing.
      ['push', '--porcelain', 'URL', 'main'],
      ['push', '--porcelain', '-o', 'ci.skip', 'URL', 'main'],
    ]);
  });

  it('pushes what is signed', async () => {
    const from = await work();
    const there = await bare();
    // Any program that says what gpg would say signs for git.
    const gpg = join(rig.folder, 'gpg');
    writeFileSync(
      gpg,
      '#!/bin/sh\ncat >/dev/null\necho "[GNUPG:] SIG_CREATED x" >&2\nprintf -- "-----BEGIN PGP SIGNATURE-----\\n\\nx\\n-----END PGP SIGNATURE-----\\n"\n',
    );
    chmodSync(gpg, 0o755);
    await rig.git('-C', from, '-c', `gpg.program=${gpg}`, 'push', '--signed', '-o', 'a=b', rig.url(there), 'main');
    expect((await holdings(there)).refs).toContain('refs/heads/main');
    const [, exchange] = rig.legs.at(-1)!.sent;
    expect(exchange!.bytes.toString('latin1')).toContain('push-cert-end');
  });

  it('sends a small push whole and a large one as it comes', async () => {
    const from = await work();
    const there = await bare();
    await rig.git('-C', from, 'push', rig.url(there), 'main');
    expect(rig.legs.at(-1)!.sent.map(({ body }) => body)).toEqual(['none', 'whole']);
    const noise = Buffer.alloc(8 * 1024 * 1024);
    for (let at = 0, seed = 1; at < noise.length; at += 4) noise.writeUInt32LE((seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0), at);
    writeFileSync(join(from, 'large'), noise);
    await rig.git('-C', from, 'add', 'large');
    await rig.git('-C', from, 'commit', '-q', '-m', 'large');
    await rig.git('-C', from, 'push', rig.url(there), 'main');
    expect(rig.legs.at(-1)!.sent.map(({ body }) => body)).toEqual(['none', 'stream']);
    expect((await rig.git('-C', there, 'rev-parse', 'main')).trim()).toBe((await rig.git('-C', from, 'rev-parse', 'main')).trim());
    await holdings(there);
  });

  it('refuses an archive with what to do instead', async () => {
    const there = await bare();
    const { code, err } = await rig.run('archive', `--remote=${rig.url(there)}`, 'main');
    expect(code).not.toBe(0);
    expect(err).toContain('This route is served over HTTPS, which has no service for `git archive --remote`');
    expect(err).toContain('git clone --depth=1');
    expect(rig.legs.at(-1)!.sent).toEqual([]);
  });
});
