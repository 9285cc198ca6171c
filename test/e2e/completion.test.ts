/** Completion in the shells themselves: a person types, presses Tab, and looks at the line. */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PROGRAM, type RunningDaemon, Scene } from '../support/scene.js';
import { KEYS, Terminal } from '../support/terminal.js';

let scene: Scene;
let daemon: RunningDaemon;
let lease: string;
let repository: string;
let env: Record<string, string>;
beforeAll(async () => {
  scene = await Scene.open();
  daemon = await scene.daemon();
  await daemon.postern(['lease', 'create', '--repo', 'contoso/web/app', '--allow', 'fetch', '--for', '1h']);
  const [listed] = JSON.parse((await daemon.postern(['lease', 'list', '--json'])).stdout) as { id: string }[];
  lease = listed?.id ?? '';
  const bin = join(scene.directory, 'bin');
  await mkdir(bin);
  await writeFile(join(bin, 'postern'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`);
  await chmod(join(bin, 'postern'), 0o755);
  repository = join(scene.directory, 'repository');
  await scene.git(['init', '--quiet', repository]);
  await scene.git(['remote', 'add', 'origin', 'https://dev.azure.com/contoso/Payments/_git/web'], { cwd: repository });
  await writeFile(join(repository, 'my settings.yaml'), '');
  const { environment } = scene;
  // That of the daemon, so that leases are its.
  const runtime = JSON.parse((await daemon.postern(['status', '--json'])).stdout) as { configuration: string };
  env = {
    ...environment,
    PATH: `${bin}:${environment['PATH'] ?? ''}`,
    POSTERN_CONFIG: runtime.configuration,
    XDG_RUNTIME_DIR: runtime.configuration.replace(/config-([0-9]+)\.yaml$/, 'run-$1'),
    SP_SECRET: 'x',
    PS1: '> ',
    ZDOTDIR: scene.directory,
  };
});
afterAll(() => scene.close());

/** How a shell is started without anything of the developer's, and made to know postern. */
const SHELLS = {
  bash: { args: ['--norc', '--noprofile', '-i'], load: 'source <(postern completion bash)' },
  zsh: { args: ['-f', '-i'], load: "PS1='> '; autoload -U compinit; compinit -u; source <(postern completion zsh)" },
  fish: { args: ['--no-config', '-i'], load: "function fish_prompt; echo -n '> '; end; postern completion fish | source" },
} as const;

describe.each(Object.entries(SHELLS))('%s', (shell, { args, load }) => {
  /** Types into a fresh shell, presses Tab, and gives the screen once it shows what is looked for. */
  async function completed(typed: string, seen: string | RegExp): Promise<string> {
    const terminal = new Terminal(shell, args, { env, cwd: repository, columns: 120 });
    try {
      await terminal.shows(/[>$#%] ?$/);
      terminal.press(`${load}; echo is-''loaded${KEYS.enter}`);
      await terminal.shows(/^is-loaded\n> ?$/m);
      terminal.press(`${typed}${KEYS.tab}`);
      return await terminal.shows(seen);
    } finally {
      await terminal.close();
    }
  }

  test.each([
    ['a command', 'postern lease cre', /postern lease create$/],
    ['an option', 'postern setup --no-serv', /postern setup --no-service$/],
    ['a value of an option', 'postern lease create --format azure', /--format azure-pipelines$/],
    ['a value behind an equals sign', 'postern env --format=gitc', /--format=gitconfig$/],
    ['one of a list with commas', 'postern lease create --allow fetch,pu', /--allow fetch,push$/],
    ['an identity of the configuration', 'postern pat create --identity ', /--identity sp$/],
    ['an address of a remote', 'postern doctor https://dev', /postern doctor https:\/\/dev\.azure\.com\/contoso\/Payments\/_git\/web$/],
    ['an organisation', 'postern repos con', /postern repos contoso$/],
    ['a file', 'postern start --config my', /--config ['"]?my\\? settings\.yaml/],
  ])('completes %s', async (_, typed, seen) => {
    await completed(typed, seen);
  });

  test('takes no command from an address of somebody else', async () => {
    const odd = join(scene.directory, `odd-${shell}`);
    const mark = join(scene.directory, `ran-${shell}`);
    await scene.git(['init', '--quiet', odd]);
    await scene.git(['remote', 'add', 'origin', `https://dev.azure.com/contoso/$(touch\${IFS}${mark})/_git/web;touch\${IFS}${mark}`], {
      cwd: odd,
    });
    const terminal = new Terminal(shell, args, { env, cwd: odd, columns: 200 });
    try {
      await terminal.shows(/[>$#%] ?$/);
      terminal.press(`${load}; echo is-''loaded${KEYS.enter}`);
      await terminal.shows(/^is-loaded\n> ?$/m);
      terminal.press(`postern route explain https://dev${KEYS.tab}`);
      await terminal.shows(/_git\/web/);
      terminal.press(`${KEYS.enter}echo is-''over${KEYS.enter}`);
      await terminal.shows(/^is-over$/m);
    } finally {
      await terminal.close();
    }
    expect(existsSync(mark)).toBe(false);
  });

  test('completes the id of a lease that the daemon has', async () => {
    await completed(`postern lease revoke ${lease.slice(0, 3)}`, `postern lease revoke ${lease}`);
  });
});
