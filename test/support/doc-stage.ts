/**
 * The stage on which the `run` blocks of a page are executed: a machine whose only peculiarity is that Azure is the emulator. A program of
 * its own, because it has to be started in namespaces, in which the ports of the doors are free and /home is empty:
 *
 *   unshare --net --mount --pid --fork --kill-child --mount-proc node build/doc-stage.mjs DIRECTORY < steps.json
 *
 * DIRECTORY is an empty one. What the stage needs lies below it in memory, and is gone with the namespaces: nothing is ever removed here,
 * because the checkout is mounted there too.
 *
 * Real names reach the emulator by its proxy, as on a machine behind a company's (HTTPS_PROXY, NODE_EXTRA_CA_CERTS), so that what a
 * page says is run as it stands. Prints a JSON value, `Played`. docs/decisions/0033-documentation-that-runs.md says what pages find here.
 */
import { chown, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { Emulator } from '../azure/emulator.js';
import { addNpm } from '../azure/feed-npm.js';
import { enterOuterSpace, must } from './inner-space.js';
import { run } from './scene.js';

/** What is to be done with a block. */
export type Step =
  | { readonly kind: 'run'; readonly text: string; readonly exit: number }
  | { readonly kind: 'file'; readonly text: string; readonly path: string };

export interface Played {
  /** Of each step that was begun; output and errors together, as a terminal shows them. */
  readonly outputs: readonly string[];
  /** Of the shell: 0 when every step ended as it should. */
  readonly exit: number;
}

/** The user who follows the page, and their home. */
const USER = 'ada';
const UID = 12345;
const HOME = `/home/${USER}`;
/** Longest that all blocks of a page may take together. */
export const PAGE_MS = 120_000;

export const STAGE_REPOSITORIES = [
  'contoso/Payments/web',
  'contoso/Payments/api',
  'contoso/web/app',
  'contoso/Tools/cli',
  'fabrikam/Tools/app',
  'tfs.example.com/tfs/DefaultCollection/Payments/web',
  'git.example.com/team/tools',
] as const;
/** A personal access token that every host of the emulator takes, and a user with a password at git.example.com. */
const PAT = 'stagepataccesstokenforreposonlocalhostabc23456724567';
const BASIC = { user: 'ada', password: 'example-password' };

async function main(): Promise<void> {
  const steps = JSON.parse(await text(process.stdin)) as readonly Step[]; // written by the test
  const [directory = ''] = process.argv.slice(2);
  await must('mount', '-t', 'tmpfs', '-o', 'mode=755', 'tmpfs', directory);
  await enterOuterSpace();
  const emulator = await Emulator.start({ directory: join(directory, 'azure') });
  emulator.az.account = [...emulator.sts.users.people.keys()][0];
  try {
    for (const name of STAGE_REPOSITORIES) await emulator.createRepository(name, { commits: 2 });
    emulator.git.pats.add(PAT);
    emulator.git.basic.set(BASIC.user, BASIC.password);
    addNpm(emulator.git.feeds.add('contoso', 'tools', 'Payments'), 'left', '1.0.0');
    const programs = await layOut(directory, emulator);
    const played = await play(directory, steps, environment({ directory, programs, emulator }));
    process.stdout.write(JSON.stringify(played));
  } finally {
    await emulator.stop();
  }
}

/** Lays out the machine: the program on the PATH, an account, an empty home. Gives the directory of programs. */
async function layOut(directory: string, { az, azd, caFile }: Emulator): Promise<string> {
  const [programs, checkout] = [join(directory, 'bin'), join(directory, 'checkout')];
  await mkdir(programs);
  await mkdir(checkout);
  // By other paths than their own, which another user may not be able to walk: a checkout or a Node.js in somebody's home.
  const node = join(programs, 'node');
  await writeFile(node, '', { mode: 0o755 });
  await must('mount', '--bind', process.execPath, node);
  await must('mount', '--bind', process.cwd(), checkout);
  // No block may write to it. In a user namespace the kernel does not let this be changed where the mount has other restrictions.
  if (asUser().uid === UID) await must('mount', '-o', 'remount,bind,ro', checkout);
  await writeFile(join(programs, 'postern'), `#!/bin/sh\nexec '${node}' '${join(checkout, 'dist', 'postern.js')}' "$@"\n`, { mode: 0o755 });
  for (const tool of [az, azd]) {
    const name = tool === az ? 'az' : 'azd';
    await writeFile(join(programs, name), `#!/bin/sh\nexec '${node}' '${join(tool.directory, `${name}.mjs`)}' "$@"\n`, { mode: 0o755 });
  }
  // A person who opens a sign-in page of the emulator is signed in.
  const browser = `#!/bin/sh\nexec curl --silent --show-error --location --cacert '${caFile}' --output /dev/null "$1"\n`;
  await writeFile(join(programs, 'browser'), browser, { mode: 0o755 });
  await makeHome(directory);
  return programs;
}

/** An account and a home of its own, in this mount namespace alone. */
async function makeHome(directory: string): Promise<void> {
  await must('mount', '-t', 'tmpfs', 'tmpfs', '/home');
  const { uid } = asUser();
  const others = (await readFile('/etc/passwd', 'utf8')).split('\n').filter((line) => line !== '' && line.split(':')[2] !== String(uid));
  const passwd = join(directory, 'passwd');
  await writeFile(passwd, [`${USER}:x:${uid}:${uid}:Ada:${HOME}:/bin/bash`, ...others, ''].join('\n'));
  await must('mount', '--bind', passwd, '/etc/passwd');
  const runtime = join(directory, 'run');
  const gitconfig = join(HOME, '.gitconfig');
  await mkdir(HOME);
  await mkdir(runtime, { mode: 0o700 });
  await writeFile(gitconfig, '[user]\n\tname = Ada\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n');
  for (const path of [HOME, runtime, gitconfig]) await chown(path, uid, uid);
}

/**
 * Whom the blocks are run as. Root plays an ordinary user; anybody else stands in a user namespace with one user, who is root there and
 * nobody to the machine.
 */
function asUser(): { readonly uid: number; readonly become: readonly string[] } {
  const isRoot = process.env['STAGE_AS'] === 'root';
  const become = ['setpriv', `--reuid=${UID}`, `--regid=${UID}`, '--clear-groups', '--inh-caps=-all', '--bounding-set=-all'];
  return isRoot ? { uid: UID, become } : { uid: 0, become: [] };
}

function environment({
  directory,
  programs,
  emulator,
}: {
  directory: string;
  programs: string;
  emulator: Emulator;
}): Record<string, string> {
  const { proxy, sts, caFile } = emulator;
  return {
    PATH: `${programs}:${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
    HOME,
    USER,
    LOGNAME: USER,
    SHELL: '/bin/bash',
    LANG: 'C.UTF-8',
    XDG_RUNTIME_DIR: join(directory, 'run'),
    HTTPS_PROXY: proxy.origin,
    NO_PROXY: 'localhost,127.0.0.1,::1',
    NODE_EXTRA_CA_CERTS: caFile,
    BROWSER: 'browser',
    EDITOR: 'true',
    STAGE_TENANT: sts.samples.tenant,
    STAGE_CLIENT_ID: sts.samples.secretClient.clientId,
    STAGE_CLIENT_SECRET: sts.samples.secretClient.secret,
    STAGE_PAT: PAT,
    STAGE_PASSWORD: BASIC.password,
    STAGE_CA: caFile,
  };
}

/** Runs the steps in one shell, one after another, until one does not end as it should. */
async function play(directory: string, steps: readonly Step[], env: Record<string, string>): Promise<Played> {
  const scripts = join(directory, 'steps');
  const outputs = join(directory, 'outputs');
  const { uid, become } = asUser();
  await mkdir(scripts);
  await mkdir(outputs);
  await chown(outputs, uid, uid);
  const parts = ['set -eo pipefail', 'cd "$HOME"'];
  for (const [index, step] of steps.entries()) {
    const file = join(scripts, String(index));
    await writeFile(file, step.text);
    parts.push(`exec >'${join(outputs, String(index))}' 2>&1`);
    if (step.kind === 'file') {
      const path = step.path.replace(/^~\//, `${HOME}/`);
      parts.push(`mkdir -p '${dirname(path)}'`, `cp '${file}' '${path}'`);
    } else if (step.exit === 0) parts.push(`. '${file}'`);
    else
      parts.push(
        'set +e',
        `(set -e; . '${file}')`,
        'ended=$?',
        'set -e',
        `[ $ended -eq ${step.exit} ] || { echo "exit code $ended"; exit 1; }`,
      );
  }
  const script = join(scripts, 'all');
  await writeFile(script, `${parts.join('\n')}\n`);
  const [program = 'bash', ...args]: readonly string[] = [...become, 'bash', '--norc', '--noprofile', script];
  const ran = await run(program, args, { env, timeoutMs: PAGE_MS });
  const read: string[] = [];
  for (const index of steps.keys()) {
    const output = await readFile(join(outputs, String(index)), 'utf8').catch(() => undefined);
    if (output === undefined) break;
    read.push(output);
  }
  return { outputs: ran.stderr === '' ? read : [...read.slice(0, -1), `${read.at(-1) ?? ''}${ran.stderr}`], exit: ran.code };
}

await main();
