/**
 * A credential helper of git that holds what it is told to hold and writes down each call, with what it was given and what it could
 * have done. A program of its own, as git runs it; what it holds is in a file.
 */
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface HelperCall {
  readonly action: string;
  /** The lines that it was given, in their order. */
  readonly lines: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Whether it had a terminal on which it could have asked a person. */
  readonly hasTerminal: boolean;
}

/** What it does when it is asked. */
export type HelperMode =
  /** Gives what fits best: host and path, else host. */
  'hold' | 'quit' | 'hang' | 'fail' | 'other-host' | 'other-user' | 'carriage-return';

export class CredentialHelper {
  /** What git's `credential.helper` is set to. */
  readonly program: string;
  readonly #directory: string;

  static async make(directory: string, name: string): Promise<CredentialHelper> {
    await mkdir(directory, { recursive: true });
    const helper = new CredentialHelper(directory, name);
    const script = join(directory, `${name}.mjs`);
    await writeFile(script, PROGRAM);
    await writeFile(helper.program, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`);
    await chmod(helper.program, 0o755);
    await helper.reset();
    return helper;
  }

  private constructor(directory: string, name: string) {
    this.program = join(directory, name);
    this.#directory = join(directory, `${name}-files`);
  }

  /** Holds nothing, has seen nothing, does what it should. */
  async reset(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
    await mkdir(this.#directory);
    await writeFile(join(this.#directory, 'held.json'), '[]');
    await writeFile(join(this.#directory, 'mode'), 'hold');
    await writeFile(join(this.#directory, 'calls'), '');
  }

  /** Holds these and nothing else. */
  async hold(...held: readonly { host: string; path?: string; username: string; password: string }[]): Promise<void> {
    await writeFile(join(this.#directory, 'held.json'), JSON.stringify(held));
  }

  async held(): Promise<unknown> {
    return JSON.parse(await readFile(join(this.#directory, 'held.json'), 'utf8'));
  }

  async behave(mode: HelperMode): Promise<void> {
    await writeFile(join(this.#directory, 'mode'), mode);
  }

  async calls(action?: 'get' | 'store' | 'erase'): Promise<HelperCall[]> {
    const calls = (await readFile(join(this.#directory, 'calls'), 'utf8'))
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as HelperCall); // written by the program below
    return calls.filter((call) => action === undefined || call.action === action);
  }

  /** The process that hung, if it did. */
  async hangingPid(): Promise<number> {
    return Number(await readFile(join(this.#directory, 'pid'), 'utf8'));
  }
}

const PROGRAM = `import { appendFileSync, closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
const files = process.argv[1].replace(/\\.mjs$/, '-files/');
const action = process.argv[2];
const lines = readFileSync(0, 'utf8').split('\\n').filter((line) => line !== '');
const asked = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
let hasTerminal = true;
try {
  closeSync(openSync('/dev/tty', 'r+'));
} catch {
  hasTerminal = false;
}
appendFileSync(files + 'calls', JSON.stringify({ action, lines, environment: process.env, cwd: process.cwd(), hasTerminal }) + '\\n');
const held = JSON.parse(readFileSync(files + 'held.json', 'utf8'));
const mode = readFileSync(files + 'mode', 'utf8');
const isSame = (a, b) => a.host === b.host && (a.path ?? '') === (b.path ?? '') && a.username === b.username && a.password === b.password;
if (action === 'store' && !held.some((one) => isSame(one, asked))) {
  const { host, path, username, password } = asked;
  writeFileSync(files + 'held.json', JSON.stringify([...held, { host, path, username, password }]));
}
if (action === 'erase') {
  const kept = held.filter((one) => !(one.host === asked.host && one.username === asked.username && one.password === asked.password));
  writeFileSync(files + 'held.json', JSON.stringify(kept));
}
if (action === 'get') {
  const fits = held.filter(
    (one) =>
      one.host === asked.host &&
      (one.path === undefined || one.path === asked.path) &&
      (asked.username === undefined || one.username === asked.username),
  );
  const best = fits.sort((a, b) => (b.path ?? '').length - (a.path ?? '').length)[0];
  const give = (more = '') => {
    if (best !== undefined) process.stdout.write('username=' + best.username + '\\npassword=' + best.password + '\\n' + more);
  };
  if (mode === 'hold') give();
  if (mode === 'quit') process.stdout.write('quit=1\\n');
  if (mode === 'fail') {
    process.stderr.write('the password is hunter2\\nfatal: Cannot prompt because user interactivity has been disabled.\\n');
    process.exitCode = 1;
  }
  if (mode === 'other-host') give('host=evil.example.com\\n');
  if (mode === 'other-user') process.stdout.write('username=mallory\\npassword=' + best.password + '\\n');
  if (mode === 'carriage-return') process.stdout.write('username=dana\\npassword=a\\rb\\n');
  if (mode === 'hang') {
    writeFileSync(files + 'pid', String(process.pid));
    setInterval(() => undefined, 1000);
  }
}
`;
