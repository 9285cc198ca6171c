/**
 * The stage of image.test.ts, a program of its own because it has to be started in a network namespace: the image is built by the
 * Dockerfile, and the services of config/compose/compose.yaml run in podman as that file says, one after another, beside an
 * emulated Azure under its real names. Prints what happened as one JSON value; the test judges.
 *
 *   unshare --net --mount node build/image-stage.mjs
 */
import { chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { Canaries, filesBelow } from '../support/canary.js';
import { type ComposeFile, type ComposeService, readComposeFile, runArguments } from '../support/compose-file.js';
import { DOOR_ADDRESS, HOST_ADDRESSES, IMAGE, ImageSpace, NODE_IMAGE } from '../support/image-space.js';
import { enterOuterSpace } from '../support/inner-space.js';
import { type Ran, run, Scene } from '../support/scene.js';

const COMPOSE = join(process.cwd(), 'config', 'compose');
/** A user that nothing in the image knows. */
const UID = '12345';
const LOOK_MS = 50;
const READY_MS = 20_000;
/** How late the answer comes that a clone waits for while the daemon is told to stop: long enough to tell it, many times over. */
const LATE_MS = 3_000;
const ME = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com'];

export type Shown = Pick<Ran, 'code' | 'stdout' | 'stderr'>;

export interface ImageReport {
  /** What each step printed and how it ended, by name. */
  readonly steps: Readonly<Record<string, Shown>>;
  /** As podman tells it of the image. */
  readonly image: {
    readonly config: Readonly<Record<string, unknown>>;
    readonly health: unknown;
    readonly baseBytes: number;
    readonly bytes: number;
  };
  /** Refs of the repository in the end. */
  readonly refs: readonly string[];
  /** What was looked through, bytes by place, and where something secret was found. */
  readonly searched: Readonly<Record<string, number>>;
  readonly finds: readonly string[];
  /** The same for leases; those that the job holds are among them. */
  readonly leases: readonly string[];
  /** How much was looked for: secrets of Azure, keys of Postern's own, and leases. */
  readonly known: { readonly secrets: number; readonly own: number; readonly leases: number };
}

class Stage {
  readonly steps: Record<string, Shown> = {};
  readonly space: ImageSpace;
  readonly scene: Scene;
  readonly compose: ComposeFile;
  readonly sources: Readonly<Record<string, string>>;

  constructor(parts: { space: ImageSpace; scene: Scene; compose: ComposeFile; sources: Readonly<Record<string, string>> }) {
    this.space = parts.space;
    this.scene = parts.scene;
    this.compose = parts.compose;
    this.sources = parts.sources;
  }

  keep(name: string, { code, stdout, stderr }: Ran): Ran {
    if (name in this.steps) throw new Error(`two steps are called ${name}`);
    this.steps[name] = { code, stdout, stderr };
    return { code, stdout, stderr, ms: 0 };
  }

  async podman(name: string, ...args: string[]): Promise<Ran> {
    return this.keep(name, await this.space.podman(args));
  }

  /** Arguments of a service of the compose file. */
  service(name: string): { service: ComposeService; args: string[] } {
    const service = this.compose.services[name];
    if (service === undefined) throw new Error(`the compose file has no ${name}`);
    return { service, args: runArguments(service, this.sources) };
  }

  /** Starts Postern as the compose file does, with Azure's names leading to the emulator, and waits until it is healthy. */
  async postern(container: string, ...more: string[]): Promise<void> {
    const { args } = this.service('postern');
    const azure = ['dev.azure.com', 'login.microsoftonline.com'].map((name, index) => `--add-host=${name}:${HOST_ADDRESSES[index] ?? ''}`);
    const ca = ['--volume', `${this.scene.emulator.caFile}:/etc/postern/azure-ca.pem:ro`];
    const place = ['--name', container, '--network', 'ns:/run/netns/postern', ...azure, ...ca];
    await this.space.must('run', '--detach', ...place, ...args, ...more, IMAGE);
    await this.healthy(container);
  }

  async healthy(container: string): Promise<void> {
    const until = performance.now() + READY_MS;
    while ((await this.space.podman(['healthcheck', 'run', container])).code !== 0) {
      if (performance.now() > until)
        throw new Error(`${container} is not healthy: ${(await this.space.podman(['logs', container])).stderr}`);
      await sleep(LOOK_MS);
    }
  }

  /** Something in the job's container. */
  job(name: string, ...command: string[]): Promise<Ran> {
    return this.podman(name, 'exec', 'job', ...command);
  }

  /** A clone that Azure answers late or never, and what happens to Postern when it is told to stop meanwhile. */
  async stopWhileCloning(name: string, container: string, fault: 'soft-throttle' | 'stall'): Promise<void> {
    const { git } = this.scene.emulator;
    // Of the two exchanges of a clone the second brings the pack.
    git.faults.set('contoso/Payments/web', { kind: fault, step: 'exchange', delayMs: LATE_MS, skip: 1 });
    const before = git.seen.length;
    const cloning = this.job(`${name}: clone`, 'git', 'clone', 'https://dev.azure.com/contoso/Payments/_git/web', `/tmp/${name}`);
    const until = performance.now() + READY_MS;
    while (git.seen.slice(before).filter(({ method }) => method === 'POST').length < 2) {
      if (performance.now() > until) throw new Error(`${name}: the clone did not reach Azure: ${JSON.stringify(this.steps)}`);
      await sleep(LOOK_MS);
    }
    await this.space.must('kill', '--signal', 'TERM', container);
    await cloning;
    await this.podman(`${name}: exit code`, 'wait', container);
    await this.podman(`${name}: log`, 'logs', container);
    git.faults.clear();
  }
}

async function play(scene: Scene, space: ImageSpace): Promise<ImageReport> {
  const web = await scene.emulator.createRepository('contoso/Payments/web', { commits: 2 });
  await scene.emulator.createRepository('contoso/Payments/secret', { commits: 1 });
  const [gitAddress, signInAddress] = HOST_ADDRESSES;
  const relays = [await relay(gitAddress, scene.emulator.git.port), await relay(signInAddress, scene.emulator.sts.port)];
  try {
    for (const volume of ['state', 'leases']) await space.must('volume', 'create', volume);
    const stage = new Stage({
      space,
      scene,
      compose: await readComposeFile(join(COMPOSE, 'compose.yaml'), { POSTERN_UID: UID, POSTERN_GID: UID }),
      sources: { ...(await inputs(scene)), state: 'state', leases: 'leases' },
    });
    await withoutPlace(stage);
    await stage.postern('postern');
    await stage.podman('health', 'inspect', '--format', '{{json .Config.Healthcheck}}', 'postern');
    await stage.podman('postern: write', 'exec', 'postern', 'node', '-p', TRY_TO_WRITE);
    await stage.podman('node is the first process', 'exec', 'postern', 'node', '-p', LOOK_AT_OWN_PROCESS);
    await lease(stage);
    await job(stage);
    // While both run, and before anything is known to be gone again.
    const places = await lookEverywhere(stage);
    await stage.stopWhileCloning('drained', 'postern', 'soft-throttle');
    await space.must('start', 'postern');
    await stage.healthy('postern');
    await stage.job('started again: fetch', 'git', '-C', '/tmp/web', 'fetch', 'origin');
    await space.must('stop', '--time', '10', 'postern');
    await stage.postern('short', '--env', 'POSTERN_DRAIN_MAX=1s', '--env', 'POSTERN_LISTEN_SSH=0.0.0.0:8422');
    await stage.job('the SSH door', 'ssh-keyscan', '-p', '8422', 'postern');
    await stage.stopWhileCloning('cut', 'short', 'stall');
    // What it left names it by its number, which the next one has too.
    await space.must('start', 'short');
    await stage.healthy('short');
    await space.must('kill', '--signal', 'KILL', 'short');
    await stage.podman('killed: exit code', 'wait', 'short');
    await space.must('start', 'short');
    await stage.healthy('short');
    await stage.job('started after a kill: fetch', 'git', '-C', '/tmp/web', 'fetch', 'origin');
    await stage.podman('started after a kill: log', 'logs', '--tail', '20', 'short');
    const refs = await scene.git(['-C', web, 'for-each-ref', '--format=%(refname)']);
    const [image, base] = await Promise.all([IMAGE, NODE_IMAGE].map((name) => inspectImage(space, name)));
    return {
      steps: stage.steps,
      image: { config: image?.Config ?? {}, health: image?.Healthcheck, bytes: image?.Size ?? 0, baseBytes: base?.Size ?? 0 },
      refs: refs.stdout.trim().split('\n'),
      ...search(scene, places),
    };
  } finally {
    for (const server of relays) server.close();
  }
}

/** Where nothing can be written at all, and with a place in memory alone. */
async function withoutPlace(stage: Stage): Promise<void> {
  const bare = ['run', '--rm', '--network', 'none', '--cap-drop', 'ALL', '--user', UID, '--read-only', '--read-only-tmpfs=false'];
  await stage.podman('no place', ...bare, '--image-volume', 'ignore', IMAGE);
  await stage.podman('no daemon', ...bare, IMAGE, 'wait', '--timeout', '1s');
  await endWhileWaiting(stage);
  // No volume is named: the engine makes one, for any user.
  await stage.podman('alone: run', ...bare.filter((word) => word !== '--rm'), '--detach', '--name', 'alone', IMAGE);
  const fault = await stage.healthy('alone').then(String, (thrown: unknown) => thrown);
  stage.steps['alone: health'] = { code: fault instanceof Error ? 1 : 0, stdout: '', stderr: fault instanceof Error ? fault.message : '' };
  await stage.podman('alone: status', 'exec', 'alone', 'node', '/app/dist/postern.js', 'status');
  await stage.podman('alone: write', 'exec', 'alone', 'node', '-p', TRY_TO_WRITE);
  await stage.podman('alone: stop', 'stop', '--time', '10', 'alone');
  await stage.podman('alone: exit code', 'wait', 'alone');
}

/** A command as the first process, told to end; again and again, because it cannot hear that before node runs it. */
async function endWhileWaiting({ space, steps }: Stage): Promise<void> {
  await space.must('run', '--detach', '--name', 'waiting', '--network', 'none', IMAGE, 'wait', '--timeout', '1h');
  const until = performance.now() + READY_MS;
  let state = '';
  while (!state.startsWith('exited') && performance.now() < until) {
    await space.podman(['kill', '--signal', 'TERM', 'waiting']);
    state = await space.must('inspect', '--format', '{{.State.Status}} {{.State.ExitCode}}', 'waiting');
  }
  steps['waiting: state'] = { code: 0, stdout: state, stderr: '' };
}

const LOOK_AT_OWN_PROCESS = `
const fs = require('node:fs');
const status = fs.readFileSync('/proc/1/status', 'utf8');
JSON.stringify({
  command: fs.readFileSync('/proc/1/cmdline', 'utf8').split('\\0').slice(0, 3),
  uid: /^Uid:\\s+(\\d+)/m.exec(status)[1],
  capabilities: /^CapEff:\\s+(\\S+)/m.exec(status)[1],
  bounding: /^CapBnd:\\s+(\\S+)/m.exec(status)[1],
  noNewPrivileges: /^NoNewPrivs:\\s+(\\d)/m.exec(status)[1],
  state: (fs.statSync('/var/lib/postern/state').mode & 0o7777).toString(8),
})`;

const TRY_TO_WRITE = `
const fs = require('node:fs');
JSON.stringify(Object.fromEntries(['/', '/app', '/tmp', '/etc/postern', '/leases', '/var/lib/postern'].map((place) => {
  try { fs.writeFileSync(place + '/new', ''); return [place, 'written']; } catch (fault) { return [place, fault.code]; }
})))`;

/** The one-shot service, with the command that stands in the compose file. */
async function lease(stage: Stage): Promise<void> {
  const { service, args } = stage.service('lease');
  // Its way to the daemon is the admin socket; it needs no network.
  await stage.podman('lease', 'run', '--rm', '--network', 'none', ...args, IMAGE, ...(service.command ?? []));
}

/** The job: its image and its settings, with nothing but a lease. */
async function job(stage: Stage): Promise<void> {
  const { space } = stage;
  const { service, args } = stage.service('agent');
  // The real address is known too, and of no use: there is no way to it.
  const hosts = [`--add-host=postern:${DOOR_ADDRESS}`, `--add-host=dev.azure.com:${HOST_ADDRESSES[0]}`];
  const place = ['--name', 'job', '--network', 'ns:/run/netns/job', ...hosts, '--volume', '/usr:/usr:ro'];
  await space.must('run', '--detach', ...place, ...args, await space.jobImage(), 'sleep', 'infinity');
  await stage.job('the compose file’s own command', ...(service.entrypoint ?? []), ...(service.command ?? []));
  const git = (name: string, ...words: string[]): Promise<Ran> => stage.job(name, 'git', '-C', '/tmp/web', ...ME, ...words);
  await git('commit', 'commit', '--quiet', '--allow-empty', '--message', 'A job');
  await git('push agent/x', 'push', 'origin', 'HEAD:refs/heads/agent/x');
  await git('push main', 'push', 'origin', 'HEAD:refs/heads/main');
  await git('another repository', 'ls-remote', 'https://dev.azure.com/contoso/Payments/_git/secret');
  await git('SSH form', 'ls-remote', '--heads', 'git@ssh.dev.azure.com:v3/contoso/Payments/web');
  await stage.job(
    'without the lease',
    'env',
    'GIT_CONFIG_GLOBAL=/dev/null',
    'git',
    'ls-remote',
    'https://dev.azure.com/contoso/Payments/_git/web',
  );
  await stage.job('the door without the lease', 'curl', '-sS', '--cacert', '/leases/ca.pem', '-w', '\n%{http_code}', REFS);
  await stage.job('change the lease', 'sh', '-c', 'echo >> /leases/gitconfig');
  await stage.job('modes', 'stat', '--format', '%a %u %n', '/leases', '/leases/gitconfig', '/leases/ca.pem');
}

const REFS = 'https://postern:8417/dev.azure.com/contoso/Payments/_git/web/info/refs?service=git-upload-pack';

/** Everything that a container shows of itself, to itself and to who may ask the engine. */
async function lookEverywhere({ space, steps }: Stage): Promise<Map<string, string>> {
  const places = new Map<string, string>([['what the steps printed', JSON.stringify(steps)]]);
  for (const container of ['postern', 'job']) {
    places.set(`inspect ${container}`, await space.must('inspect', container));
    const log = await space.podman(['logs', container]);
    places.set(`logs ${container}`, log.stdout + log.stderr);
    const file = join(await space.must('volume', 'inspect', '--format', '{{.Mountpoint}}', 'state'), '..', `${container}.tar`);
    await space.must('export', '--output', file, container);
    // Without node and its libraries, which are the machine's own.
    const kept = await run('tar', ['--extract', '--to-stdout', '--exclude=*/bin/node', '--exclude=*.so*', '--file', file], {
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
    });
    places.set(`export ${container}`, kept.stdout);
  }
  places.set('processes of postern', await space.must('exec', 'postern', 'node', '-p', PROCESSES));
  places.set(
    'processes of job',
    await space.must('exec', 'job', 'sh', '-c', 'cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr "\\0" "\\n"'),
  );
  // Volumes and files in memory too, which an export leaves out.
  places.set('files of job', await space.must('exec', 'job', 'sh', '-c', FILES));
  const state = await space.must('volume', 'inspect', '--format', '{{.Mountpoint}}', 'state');
  for (const [path, text] of await filesBelow(state)) places.set(`state ${path.slice(state.length)}`, text);
  return places;
}

const FILES = 'find / \\( -path /proc -o -path /sys -o -path /dev -o -path /usr \\) -prune -o -type f -print -exec cat {} + || true';

const PROCESSES = `
const fs = require('node:fs');
fs.readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))
  .flatMap((pid) => ['environ', 'cmdline'].map((file) => fs.readFileSync('/proc/' + pid + '/' + file, 'utf8').replaceAll('\\0', '\\n'))).join('\\n')`;

function search(scene: Scene, places: ReadonlyMap<string, string>): Pick<ImageReport, 'searched' | 'finds' | 'leases' | 'known'> {
  const { sts } = scene.emulator;
  const secrets = new Canaries();
  secrets.add('client secret', sts.samples.secretClient.secret);
  for (const [index, token] of sts.tokens().entries()) secrets.add(`token ${index}`, token);
  // What Postern keeps for itself lies in its state, and nowhere else.
  const own = new Canaries();
  for (const [place, text] of places) if (/^state .*(?:key|keys|key\.pem|leaf\.pem)$/.test(place)) own.add(place, privatePart(text));
  const elsewhere = new Map([...places].filter(([place]) => !place.startsWith('state ')));
  const leases = new Canaries();
  for (const [text] of [...places.values()].join('\n').matchAll(/ptl1_[\w-]{40,}/g)) leases.add('lease', text);
  return {
    searched: Object.fromEntries([...places].map(([place, text]) => [place, text.length])),
    finds: [...secrets.inAll(places), ...own.inAll(elsewhere)],
    leases: leases.inAll(places),
    known: { secrets: secrets.size, own: own.size, leases: leases.size },
  };
}

/** A file of a key without its name and its certificate. */
function privatePart(text: string): string {
  const [, ...lines] = text.split('\n');
  return lines.join('\n').replaceAll(/-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g, '');
}

/** The files that the compose file mounts, as somebody who follows its comments has them: the secret is theirs alone. */
async function inputs(scene: Scene): Promise<Record<string, string>> {
  const { tenant, secretClient } = scene.emulator.sts.samples;
  const directory = join(scene.directory, 'compose');
  await mkdir(directory);
  const secret = join(directory, 'azure-client-secret');
  await writeFile(secret, `${secretClient.secret}\n`);
  await chown(secret, Number(UID), Number(UID));
  await chmod(secret, 0o600);
  // The file as it is, but for what everybody has to change, and the emulator's authority.
  const settings = parse(await readFile(join(COMPOSE, 'postern.yaml'), 'utf8')) as Settings; // because it is ours
  const ca = '/etc/postern/azure-ca.pem';
  Object.assign(settings.identities.builder, { tenant, clientId: secretClient.clientId, ca });
  for (const route of settings.routes) Object.assign(route, { ca });
  await writeFile(join(directory, 'postern.yaml'), stringify({ ...settings, log: { level: 'debug', format: 'json' } }));
  return { 'azure-client-secret': secret, './postern.yaml': join(directory, 'postern.yaml') };
}

interface Settings {
  readonly identities: { readonly builder: object };
  readonly routes: readonly object[];
}

interface Inspected {
  readonly Config: Readonly<Record<string, unknown>>;
  readonly Healthcheck?: unknown;
  readonly Size: number;
}

async function inspectImage(space: ImageSpace, name: string): Promise<Inspected | undefined> {
  const all = JSON.parse(await space.must('image', 'inspect', name)) as Inspected[]; // because podman writes it so
  return all[0];
}

/** The emulator listens on loopback alone; here its servers have the port that Azure's have. */
async function relay(address: string, port: number): Promise<Server> {
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    near.pipe(far).pipe(near);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(443, address, resolve);
  });
  return server;
}

async function main(): Promise<void> {
  await enterOuterSpace();
  const scene = await Scene.open();
  try {
    const space = await ImageSpace.open(join(scene.directory, 'podman'));
    try {
      const built = await space.build();
      if (built.code !== 0) throw new Error(`the image cannot be built: ${built.stdout}${built.stderr}`);
      await space.connect();
      process.stdout.write(`${JSON.stringify(await play(scene, space))}\n`);
    } finally {
      await space.close();
    }
  } finally {
    await scene.close();
  }
}

await main();
