/**
 * The stage of container.test.ts, a program of its own because it has to be started in a network namespace: Azure, the real
 * daemon and a container-like space beside them. It does what a job in a container would do, with nothing but the variables of
 * a lease, and prints what happened as one JSON value; the test judges.
 *
 *   unshare --net --mount node build/container-stage.mjs tls|plain namespace|podman
 */
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ContainerSpace, enterOuterSpace, HOST_NAME, INNER_ROOT, InnerSpace } from '../support/inner-space.js';
import { PodmanSpace } from '../support/podman-space.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';
import { ODD_SPELLINGS, SPELLINGS } from './container-addresses.js';

const PORT = 8417;
const ME = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com'];
const ZERO = '0'.repeat(40);
/** A lease that ends while the stage plays: time enough to be used once, ten times over. */
const SHORT_SECONDS = 8;

export type Shown = Pick<Ran, 'code' | 'stdout' | 'stderr'>;

export interface StageReport {
  /** What each step printed and how it ended, by name. */
  readonly steps: Readonly<Record<string, Shown>>;
  /** Names of the leases as refusals give them: `lease 1f... (nightly)`. */
  readonly names: Readonly<Record<string, string>>;
  /** Requests that reached Azure while the container asked, by path without query; and what they carried. */
  readonly upstream: readonly { readonly path: string; readonly authorization: string; readonly headers: readonly string[] }[];
  /** Refs of the repository before and after. */
  readonly refs: { readonly before: Readonly<Record<string, string>>; readonly after: Readonly<Record<string, string>> };
  /** Where a lease was found though it should not be there. */
  readonly leaks: readonly string[];
  /** What was looked through for them: bytes by place. */
  readonly searched: Readonly<Record<string, number>>;
  /** The door's address as the container has it. */
  readonly base: string;
}

type Variables = Readonly<Record<string, string>>;

interface Minted {
  readonly text: string;
  readonly id: string;
  readonly endsAt: Date;
  readonly variables: Variables;
}

class Stage {
  readonly steps: Record<string, Shown> = {};
  readonly leases: Record<string, Minted> = {};
  readonly scene: Scene;
  readonly daemon: RunningDaemon;
  readonly inner: ContainerSpace;
  readonly isTls: boolean;
  readonly shared: string;

  constructor(parts: { scene: Scene; daemon: RunningDaemon; inner: ContainerSpace; isTls: boolean; shared: string }) {
    this.scene = parts.scene;
    this.daemon = parts.daemon;
    this.inner = parts.inner;
    this.isTls = parts.isTls;
    this.shared = parts.shared;
  }

  get base(): string {
    return `${this.isTls ? 'https' : 'http'}://${HOST_NAME}:${PORT}`;
  }

  /** Everything that a process of the container has in its environment beside a lease's variables. */
  get bare(): Variables {
    return { PATH: process.env['PATH'] ?? '', HOME: `${INNER_ROOT}/home` };
  }

  /** A program in the container; what it does is kept under `name`. */
  async run(name: string, program: string, args: readonly string[], env: Variables, cwd?: string, input?: string): Promise<Ran> {
    const ran = await this.inner.run(program, args, {
      env: { ...this.bare, ...env },
      ...(cwd === undefined ? {} : { cwd: join(INNER_ROOT, cwd) }),
      ...(input === undefined ? {} : { input }),
      timeoutMs: 60_000,
    });
    if (name in this.steps) throw new Error(`two steps are called ${name}`);
    this.steps[name] = { code: ran.code, stdout: ran.stdout, stderr: ran.stderr };
    return ran;
  }

  git(name: string, args: readonly string[], env: Variables, cwd?: string): Promise<Ran> {
    return this.run(name, 'git', args, env, cwd);
  }

  /** The step itself, for what the stage cannot go on without. */
  async must(name: string, args: readonly string[], env: Variables, cwd?: string): Promise<Ran> {
    const ran = await this.git(name, args, env, cwd);
    if (ran.code !== 0) throw new Error(`${name}: git ${args.join(' ')} ended with ${ran.code}: ${ran.stderr}`);
    return ran;
  }

  /** A POST without the advertisement before it, with the header alone; the answer's status stands in the last line. */
  async post(name: string, path: string, body: Buffer, lease: Minted | undefined): Promise<void> {
    await writeFile(join(this.shared, 'body'), body);
    const service = path.endsWith('upload-pack') ? 'git-upload-pack' : 'git-receive-pack';
    const settings = [
      `url = "${this.base}/${path}"`,
      `data-binary = "@${INNER_ROOT}/body"`,
      `header = "Content-Type: application/x-${service}-request"`,
      ...(lease === undefined ? [] : [`header = "X-Postern-Lease: ${lease.text}"`]),
      ...(this.isTls ? [`cacert = "${INNER_ROOT}/ca.pem"`] : []),
      'write-out = "\\n%{http_code} %{content_type}"',
      'silent',
      'show-error',
      'noproxy = "*"',
    ];
    await this.run(name, 'curl', ['--config', '-'], {}, undefined, `${settings.join('\n')}\n`);
  }

  /** Makes a lease on the host, as its user would, and reads what was printed as the container's tools would. */
  async mint(label: string, grant: readonly string[], format: 'dotenv' | 'env' = 'dotenv'): Promise<Minted> {
    const args = ['lease', 'create', '--label', label, ...grant, '--format', format, '--door', this.base];
    if (this.isTls) args.push('--ca-path', `${INNER_ROOT}/ca.pem`);
    const ran = await this.daemon.postern(args);
    if (ran.code !== 0) throw new Error(`postern ${args.join(' ')} ended with ${ran.code}: ${ran.stderr}`);
    const variables = format === 'dotenv' ? readEnvFile(ran.stdout) : await this.#evaluate(ran.stdout);
    const text = variables['POSTERN_LEASE'] ?? '';
    if (!text.startsWith('ptl1_')) throw new Error(`no lease in: ${Object.keys(variables).join(' ')}`);
    const [, id = '', ends = ''] = /^Lease ([0-9a-f]+) .*ends ([^;]+);/m.exec(ran.stderr) ?? [];
    if (id === '') throw new Error(`lease create does not say which lease it made: ${ran.stderr}`);
    const minted = { text, id, endsAt: new Date(ends), variables };
    this.leases[label] = minted;
    return minted;
  }

  /** What a shell of the container makes of the format env. */
  async #evaluate(script: string): Promise<Variables> {
    const ran = await this.inner.run('sh', ['-s'], { env: this.bare, input: `${script}\nenv -0\n` });
    const pairs = ran.stdout.split('\0').filter((line) => line !== '');
    const all = Object.fromEntries(pairs.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
    for (const name of ['PATH', 'HOME', 'PWD', 'OLDPWD', 'SHLVL', '_']) Reflect.deleteProperty(all, name);
    return all;
  }
}

async function play(scene: Scene, isTls: boolean, isPodman: boolean): Promise<StageReport> {
  const { emulator } = scene;
  const { web, lib } = await makeRepositories(scene);
  await addSubmodule(scene, web, lib);
  const shared = join(scene.directory, 'container');
  await mkdir(join(shared, 'home'), { recursive: true });
  const inner: ContainerSpace = isPodman
    ? await PodmanSpace.open({ directory: join(scene.directory, 'podman'), shared })
    : await InnerSpace.open({ shared, hidden: scene.directory });
  try {
    const state = join(scene.directory, 'state');
    const daemon = await scene.daemon(configuration(scene, inner.hostAddress, isTls), { env: { XDG_STATE_HOME: state } });
    if (isTls) await cp(await authorityOf(daemon), join(shared, 'ca.pem'));
    const stage = new Stage({ scene, daemon, inner, isTls, shared });
    const before = await refsOf(scene, web);
    const seenBefore = emulator.git.seen.length;
    await withoutLease(stage);
    await withLease(stage, before['refs/heads/main'] ?? ZERO);
    await withObjects(stage);
    await withEndedLeases(stage);
    const { leaks, searched } = await searchEverywhere(stage, state);
    return {
      steps: stage.steps,
      names: Object.fromEntries(Object.entries(stage.leases).map(([label, { id }]) => [label, `lease ${id} (${label})`])),
      upstream: emulator.git.seen.slice(seenBefore).map(({ url, authorization, headers }) => ({
        path: url.replace(/\?.*$/, ''),
        authorization,
        headers: Object.keys(headers),
      })),
      refs: { before, after: await refsOf(scene, web) },
      leaks,
      searched,
      base: stage.base,
    };
  } finally {
    inner.close();
  }
}

/** Somebody in the container who has no lease. */
async function withoutLease(stage: Stage): Promise<void> {
  const tls: Variables = stage.isTls ? { GIT_SSL_CAINFO: `${INNER_ROOT}/ca.pem` } : {};
  await stage.git('bare: the door', ['ls-remote', `${stage.base}/dev.azure.com/contoso/Payments/_git/web`], tls);
  await stage.git('bare: the real address', ['ls-remote', 'https://dev.azure.com/contoso/Payments/_git/web'], tls);
  await stage.git('bare: loopback', ['ls-remote', `http://127.0.0.1:${PORT}/dev.azure.com/contoso/Payments/_git/web`], tls);
  await stage.post('bare: fetch exchange', 'dev.azure.com/contoso/Payments/_git/web/git-upload-pack', LS_REFS, undefined);
  await stage.post(
    'bare: push exchange',
    'dev.azure.com/contoso/Payments/_git/web/git-receive-pack',
    commands([ZERO, 'agent/z']),
    undefined,
  );
}

/** The work that the lease is for, and what it is not for. */
async function withLease(stage: Stage, main: string): Promise<void> {
  const repos = ['web', 'lib'].flatMap((name) => ['--repo', `dev.azure.com/contoso/Payments/${name}`]);
  const work = await stage.mint('nightly', [
    ...[...repos, '--repo', 'dev.azure.com/contoso/My%20Caf%C3%A9/web%20app'],
    ...['--allow', 'fetch,push', '--ref', 'refs/heads/agent/*', '--changes', 'create,update', '--for', '1h'],
  ]);
  const env = work.variables;
  for (const url of [...SPELLINGS, ...ODD_SPELLINGS]) await stage.git(`fetch ${url}`, ['ls-remote', '--heads', url], env);
  // GIT_TRACE shows the arguments of everything that git runs.
  await stage.must('clone', ['clone', '--recurse-submodules', SPELLINGS[1] ?? '', 'web'], { ...env, GIT_TRACE: '1' });
  await stage.git('remote', ['remote', '-v'], env, 'web');
  await stage.git('submodule remote', ['remote', '-v'], env, 'web/lib');
  await stage.git('local configuration', ['config', '--local', '--list', '--show-origin'], env, 'web');
  await stage.must('commit', [...ME, 'commit', '--quiet', '--allow-empty', '-m', 'by the job'], env, 'web');
  await stage.git('push agent/x', ['push', 'origin', 'HEAD:refs/heads/agent/x'], { ...env, GIT_TRACE: '1' }, 'web');
  await stage.must('commit again', [...ME, 'commit', '--quiet', '--allow-empty', '-m', 'more'], env, 'web');
  await stage.git('push agent/x again, over its SSH form', ['push', SPELLINGS[4] ?? '', 'HEAD:refs/heads/agent/x'], env, 'web');
  await stage.git('fetch after the push', ['fetch', '--prune', 'origin'], env, 'web');

  await stage.git('push main', ['push', 'origin', 'HEAD:refs/heads/main'], env, 'web');
  await stage.git('push agent/y and main', ['push', 'origin', 'HEAD:refs/heads/agent/y', 'HEAD:refs/heads/main'], env, 'web');
  await stage.git('push deeper than the glob', ['push', 'origin', 'HEAD:refs/heads/agent/x/y'], env, 'web');
  await stage.git('delete agent/x', ['push', 'origin', ':refs/heads/agent/x'], env, 'web');
  await stage.git('push a tag', ['push', 'origin', 'HEAD:refs/tags/v1'], env, 'web');
  await stage.git('fetch another repository', ['ls-remote', 'https://dev.azure.com/contoso/Payments/_git/secret'], env);
  await stage.git('fetch another repository over SSH', ['ls-remote', 'git@ssh.dev.azure.com:v3/contoso/Payments/secret'], env);
  const elsewhere = 'https://dev.azure.com/contoso/Payments/_git/secret';
  await stage.git('push to another repository', ['push', elsewhere, 'HEAD:refs/heads/agent/x'], env, 'web');

  const at = 'dev.azure.com/contoso/Payments/_git';
  await stage.post('exchange: push main', `${at}/web/git-receive-pack`, commands([main, 'main']), work);
  await stage.post('exchange: delete', `${at}/web/git-receive-pack`, commands([main, 'agent/x', true]), work);
  await stage.post('exchange: fetch another repository', `${at}/secret/git-upload-pack`, LS_REFS, work);
  await stage.post('exchange: push to another repository', `${at}/secret/git-receive-pack`, commands([ZERO, 'agent/z']), work);

  const reader = await stage.mint('reader', ['--repo', 'dev.azure.com/contoso/Payments/web', '--allow', 'fetch', '--for', '1h'], 'env');
  await stage.git('reader: fetch', ['ls-remote', '--heads', SPELLINGS[0] ?? ''], reader.variables);
  await stage.git('reader: push', ['push', 'origin', 'HEAD:refs/heads/agent/r'], reader.variables, 'web');
  await stage.post('reader: push exchange', `${at}/web/git-receive-pack`, commands([ZERO, 'agent/z']), reader);

  const wide = await stage.mint('wide', [
    ...['--repo', 'dev.azure.com/contoso/**', '--allow', 'fetch,push', '--ref', 'refs/**', '--protect', 'refs/heads/main'],
    ...['--changes', 'create,update', '--for', '1h'],
  ]);
  await stage.git('wide: push main', ['push', 'origin', 'HEAD:refs/heads/main'], wide.variables, 'web');
  await stage.git('wide: push a tag', ['push', 'origin', 'HEAD:refs/tags/v1'], wide.variables, 'web');
  await stage.git('wide: another organisation', ['ls-remote', 'https://dev.azure.com/fabrikam/Payments/_git/web'], wide.variables);

  const forged = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, value.replace(work.text, forge(work.text))]));
  await stage.git('forged', ['ls-remote', SPELLINGS[0] ?? ''], forged);
}

/** Objects of Git LFS, with a lease for them and with one that only reads. */
async function withObjects(stage: Stage): Promise<void> {
  const repo = ['--repo', 'dev.azure.com/contoso/Payments/web', '--for', '1h'];
  const writes = ['--allow', 'fetch,push,lfs', '--ref', 'refs/heads/agent/*', '--changes', 'create,update'];
  const { variables: writer } = await stage.mint('object-writer', [...repo, ...writes]);
  const { variables: reader } = await stage.mint('object-reader', [...repo, '--allow', 'fetch,lfs']);
  const url = SPELLINGS[0] ?? '';
  await stage.must('lfs: install', ['lfs', 'install', '--skip-repo'], {});
  await stage.must('lfs: clone', ['clone', '--quiet', url, 'objects'], writer);
  await stage.must('lfs: track', ['lfs', 'track', '*.bin'], writer, 'objects');
  await stage.run('lfs: write', 'sh', ['-c', 'head -c 300000 /dev/urandom > large.bin && sha256sum large.bin'], {}, 'objects');
  await stage.must('lfs: add', ['add', '.'], writer, 'objects');
  await stage.must('lfs: commit', [...ME, 'commit', '--quiet', '-m', 'A large file'], writer, 'objects');
  await stage.git('lfs: push', ['push', 'origin', 'HEAD:refs/heads/agent/objects'], writer, 'objects');
  await stage.git('lfs: lock', ['lfs', 'lock', 'large.bin'], writer, 'objects');
  await stage.git('lfs: unlock', ['lfs', 'unlock', 'large.bin'], writer, 'objects');

  await stage.git('lfs reader: clone', ['clone', '--quiet', '-b', 'agent/objects', url, 'objects-read'], reader);
  await stage.run('lfs reader: sum', 'sha256sum', ['large.bin'], {}, 'objects-read');
  await stage.git('lfs reader: lock', ['lfs', 'lock', 'large.bin'], reader, 'objects-read');
  await stage.git('lfs reader: push', ['lfs', 'push', '--all', 'origin'], reader, 'objects-read');
}

/** Leases that are over: by time, and by the word of whoever gave them. */
async function withEndedLeases(stage: Stage): Promise<void> {
  const grant = [
    ...['--repo', 'dev.azure.com/contoso/Payments/web', '--allow', 'fetch,push', '--ref', 'refs/heads/**'],
    ...['--changes', 'create,update,delete'],
  ];
  const at = 'dev.azure.com/contoso/Payments/_git/web';
  const ended = async (label: string, lease: Minted): Promise<void> => {
    await stage.git(`${label}: fetch`, ['ls-remote', SPELLINGS[0] ?? ''], lease.variables);
    await stage.git(`${label}: push`, ['push', 'origin', 'HEAD:refs/heads/agent/e'], lease.variables, 'web');
    await stage.post(`${label}: fetch exchange`, `${at}/git-upload-pack`, LS_REFS, lease);
    await stage.post(`${label}: push exchange`, `${at}/git-receive-pack`, commands([ZERO, 'agent/z']), lease);
  };

  const revoked = await stage.mint('withdrawn', [...grant, '--for', '1h']);
  await stage.git('withdrawn: before', ['ls-remote', '--heads', SPELLINGS[0] ?? ''], revoked.variables);
  const said = await stage.daemon.postern(['lease', 'revoke', revoked.id]);
  stage.steps['withdrawn: revoke'] = { code: said.code, stdout: said.stdout, stderr: said.stderr };
  await ended('withdrawn', revoked);

  const short = await stage.mint('short', [...grant, '--for', `${SHORT_SECONDS}s`]);
  await stage.git('short: before', ['ls-remote', '--heads', SPELLINGS[0] ?? ''], short.variables);
  await sleep(Math.max(0, short.endsAt.getTime() - Date.now()) + 1);
  await ended('short', short);
}

/** Looks for every lease wherever one could be left, but where it was printed on demand. */
async function searchEverywhere(stage: Stage, state: string): Promise<Pick<StageReport, 'leaks' | 'searched'>> {
  const places: Record<string, Buffer> = {
    'the daemon’s output': Buffer.from(stage.daemon.output),
    'what the steps printed': Buffer.from(JSON.stringify(stage.steps)),
  };
  const roots = [state, ...['web', 'objects', 'objects-read', 'home'].map((name) => join(stage.shared, name))];
  for (const root of roots) {
    for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      if (entry.isFile()) places[path.slice(stage.scene.directory.length)] = await readFile(path);
    }
  }
  const texts = Object.entries(stage.leases).flatMap(([label, { text }]) => [
    { label, text },
    { label: `${label} in base64`, text: Buffer.from(text).toString('base64').slice(4, -4) },
  ]);
  const leaks = Object.entries(places).flatMap(([place, bytes]) =>
    texts.filter(({ text }) => bytes.includes(text)).map(({ label }) => `${label} in ${place}`),
  );
  return { leaks, searched: Object.fromEntries(Object.entries(places).map(([place, bytes]) => [place, bytes.length])) };
}

async function makeRepositories(scene: Scene): Promise<{ web: string; lib: string }> {
  const web = await scene.emulator.createRepository('contoso/Payments/web', { commits: 2 });
  const lib = await scene.emulator.createRepository('contoso/Payments/lib', { commits: 1 });
  await scene.emulator.createRepository('contoso/Payments/secret', { commits: 1 });
  await scene.emulator.createRepository('contoso/My Café/web app', { commits: 1 });
  return { web, lib };
}

/** Gives `web` a submodule with an absolute address, as a person on the host would; Azure's side is written directly. */
async function addSubmodule(scene: Scene, web: string, lib: string): Promise<void> {
  const work = join(scene.directory, 'authoring');
  const git = async (...args: string[]): Promise<string> => {
    const ran = await scene.git(args);
    if (ran.code !== 0) throw new Error(`git ${args.join(' ')}: ${ran.stderr}`);
    return ran.stdout.trim();
  };
  await git('clone', '--quiet', web, work);
  const oid = await git('-C', lib, 'rev-parse', 'main');
  await writeFile(
    join(work, '.gitmodules'),
    '[submodule "lib"]\n\tpath = lib\n\turl = https://contoso@dev.azure.com/contoso/Payments/_git/lib\n',
  );
  await git('-C', work, 'add', '.gitmodules');
  await git('-C', work, 'update-index', '--add', '--cacheinfo', `160000,${oid},lib`);
  await git('-C', work, 'commit', '--quiet', '-m', 'Add lib');
  await git('-C', work, 'push', '--quiet', 'origin', 'main');
}

function configuration(scene: Scene, hostAddress: string, isTls: boolean): string {
  const { emulator } = scene;
  return [
    'listen:',
    '  http:',
    `    address: ['127.0.0.1:${PORT}', '${hostAddress}:${PORT}']`,
    `    names: [${HOST_NAME}]`,
    ...(isTls ? [] : ['    tls: off']),
    'log: { level: debug, format: json }',
    'identities:',
    `  sp: ${scene.servicePrincipal}`,
    'routes:',
    `  - { match: dev.azure.com/**, identity: sp, upstream: '${emulator.git.origin}', ca: ${emulator.caFile} }`,
    '',
  ].join('\n');
}

/** The certificate that whoever comes to the door has to trust, where the daemon says that it lies. */
async function authorityOf(daemon: RunningDaemon): Promise<string> {
  const file = (await daemon.status()).listen.certificate?.ca;
  if (file === undefined) throw new Error(`the daemon shows no certificate of its own: ${daemon.output}`);
  return file;
}

async function refsOf(scene: Scene, repository: string): Promise<Record<string, string>> {
  const ran = await scene.git(['-C', repository, 'for-each-ref', '--format=%(refname) %(objectname)']);
  const lines = ran.stdout.split('\n').filter((line) => line !== '');
  return Object.fromEntries(lines.map((line) => line.split(' ', 2) as [string, string])); // each line is two words
}

/** An env-file as Docker reads it: a line is a variable, and nothing is quoted. */
export function readEnvFile(text: string): Variables {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

function packet(text: string): string {
  return (Buffer.byteLength(text) + 4).toString(16).padStart(4, '0') + text;
}

/** The question of `git ls-remote` in protocol v2 (gitprotocol-v2, "ls-refs"). */
const LS_REFS = Buffer.from(`${packet('command=ls-refs\n')}0001${packet('peel\n')}0000`);

/** A command list without a pack (gitprotocol-pack, "Reference Update Request"): a change of a branch from `oid`, or its end. */
function commands([oid, branch, isDelete = false]: readonly [string, string, boolean?]): Buffer {
  const to = isDelete ? ZERO : 'a'.repeat(40);
  return Buffer.from(`${packet(`${oid} ${to} refs/heads/${branch}\0 report-status side-band-64k delete-refs\n`)}0000`);
}

/** The same lease with one sign changed in the middle. */
function forge(text: string): string {
  const at = Math.floor(text.length / 2);
  return text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1);
}

async function main(): Promise<void> {
  const isTls = process.argv[2] !== 'plain';
  await enterOuterSpace();
  const scene = await Scene.open();
  try {
    process.stdout.write(`${JSON.stringify(await play(scene, isTls, process.argv[3] === 'podman'))}\n`);
  } finally {
    await scene.close();
  }
}

await main();
