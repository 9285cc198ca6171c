/** What is done on the stage of the first run: each play gives the screens that were seen, and what is there at its end. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KEYS, type Terminal } from '../support/terminal.js';
import { CLONE, type FirstRunStage } from './first-run-stage.js';

export type Play = (stage: FirstRunStage) => Promise<Readonly<Record<string, unknown>>>;

/** The questions of a first run, by a text of each, with the keys that go on to the next. */
const QUESTIONS: readonly (readonly [seen: RegExp, keys: string])[] = [
  [/organisations\s+at\s+Azure/, `contoso${KEYS.enter}`],
  [/How do you sign in/, KEYS.enter],
  [/SSH remotes too/, KEYS.enter],
  [/Do all of this/, KEYS.enter],
];

/** Answers the questions and keeps the screen before each answer. */
async function answered(terminal: Terminal, questions = QUESTIONS): Promise<string[]> {
  const screens: string[] = [];
  for (const [seen, keys] of questions) {
    screens.push(await terminal.shows(seen));
    terminal.press(keys);
  }
  return screens;
}

async function ended(terminal: Terminal): Promise<{ code: number; whole: string; styles: string[]; isCursorShown: boolean }> {
  const code = await terminal.ended;
  const { everything: whole, styles, isCursorShown } = terminal.screen;
  return { code, whole, styles: [...styles], isCursorShown };
}

async function cloned(stage: FirstRunStage): Promise<string> {
  const ran = await stage.git(['clone', '--quiet', CLONE, 'web']);
  return `${ran.code} ${ran.stderr}`;
}

export const PLAYS: Readonly<Record<string, Play>> = {
  /** Every question answered with Enter, beside a daemon that somebody has started. */
  async enter(stage) {
    await stage.daemon();
    const before = await stage.postern([]);
    const terminal = stage.terminal(['setup']);
    const screens = await answered(terminal);
    const outcome = await ended(terminal);
    const clone = await cloned(stage);
    const again = stage.terminal(['setup']);
    const second = await ended(again);
    const after = await stage.postern([]);
    const files = await stage.files();
    return { ...outcome, screens, clone, second, before: before.stdout, after: after.stdout, files };
  },

  /** Ctrl-C at each question. */
  async interrupted(stage) {
    const before = await stage.files();
    const outcomes = [];
    for (let count = 0; count < QUESTIONS.length; count += 1) {
      const terminal = stage.terminal(['setup']);
      await answered(terminal, QUESTIONS.slice(0, count));
      await terminal.answer(QUESTIONS[count]?.[0] ?? '', KEYS.interrupt);
      const outcome = await ended(terminal);
      outcomes.push({ code: outcome.code, last: outcome.whole.trimEnd().split('\n').at(-1), isCursorShown: outcome.isCursorShown });
    }
    return { before, outcomes, after: await stage.files() };
  },

  /** What is no organisation, another way to sign in by the arrows, every line, and then no. */
  async declined(stage) {
    const before = await stage.files();
    const terminal = stage.terminal(['setup'], { rows: 12, columns: 40 });
    await terminal.answer(/organisations\s+at/, `no_name${KEYS.enter}`);
    const refusal = await terminal.shows(/letters, digits/);
    terminal.press(`${KEYS.erase.repeat(7)}https://dev.azure.com/contoso/x${KEYS.enter}`);
    await terminal.answer(/How do you sign in/, KEYS.down);
    const second = await terminal.shows(/❯ A code/);
    terminal.press(KEYS.enter);
    await terminal.answer(/SSH remotes/, `n${KEYS.enter}`);
    await terminal.shows(/Do all of this/);
    terminal.press(KEYS.down);
    await terminal.shows(/❯ Show/);
    terminal.press(KEYS.enter);
    const everything = await terminal.shows(/Do all of this\? \(Y/);
    terminal.press(`n${KEYS.enter}`);
    return { ...(await ended(terminal)), refusal, second, everything, before, after: await stage.files() };
  },

  /** A person who signs in with a browser, on top of a configuration of theirs, with SSH off; nobody has started a daemon. */
  async browser(stage) {
    const own = '# Mine.\nlog: { level: info } # and this stays\n';
    const file = join(stage.home, '.config', 'postern', 'config.yaml');
    await mkdir(join(stage.home, '.config', 'postern'), { recursive: true });
    await writeFile(file, own);
    stage.emulator.az.mode = 'not-signed-in';
    const terminal = stage.terminal(['setup', '--org', 'contoso', '--no-ssh'], { env: { BROWSER: 'browser' } });
    await terminal.answer(/❯ Azure CLI, after `az login`/, KEYS.down);
    const way = await terminal.shows(/❯ A browser on this machine/);
    terminal.press(KEYS.enter);
    const plan = await terminal.shows(/Do all of this/);
    terminal.press(KEYS.enter);
    const outcome = await ended(terminal);
    const idle = await stage.postern([]);
    await stage.daemon();
    const doctor = await stage.postern(['doctor']);
    return {
      ...outcome,
      way,
      plan,
      file: await readFile(file, 'utf8'),
      idle: idle.stdout,
      doctor: doctor.stdout,
      clone: await cloned(stage),
    };
  },

  /** The Azure CLI is there and nobody is signed in: it is run. */
  async azureCli(stage) {
    stage.emulator.az.mode = 'not-signed-in';
    await stage.daemon();
    const terminal = stage.terminal(['setup', '--org', 'contoso', '--identity', 'azure-cli', '--ssh', '--no-service']);
    await terminal.answer(/Do all of this/, KEYS.enter);
    const asked = await terminal.shows(/Run `az login` now/);
    terminal.press(KEYS.enter);
    const outcome = await ended(terminal);
    const login = stage.emulator.az.calls.find(({ args }) => args[0] === 'login');
    return { ...outcome, asked, hadTerminal: login?.hasTerminal, clone: await cloned(stage) };
  },

  /** Without a terminal: by flags, as before, and what is refused. */
  async flags(stage) {
    const { tenant, secretClient } = stage.emulator.sts.samples;
    const withSecret = { env: { SP_SECRET: secretClient.secret } };
    const pairs = [`tenant=${tenant}`, `clientId=${secretClient.clientId}`, 'secret=env:SP_SECRET'].flatMap((pair) => ['--with', pair]);
    const identity = ['--identity', 'client-secret', ...pairs];
    const refused: Record<string, unknown> = {};
    for (const [name, words] of Object.entries({
      literal: ['--identity', 'client-secret', '--with', 'secret=hunter2-canary'],
      key: ['--identity', 'azure-cli', '--with', 'clientId=x'],
      kind: ['--identity', 'azure-clj'],
      incomplete: ['--identity', 'client-secret', '--with', `tenant=${tenant}`],
      alone: ['--with', 'tenant=x'],
      service: ['--service'],
      system: ['--system', '--yes'],
    })) {
      const ran = await stage.postern(['setup', ...words]);
      refused[name] = { code: ran.code, stderr: ran.stderr };
    }
    const untouched = await stage.files();
    const dry = await stage.postern(['setup', '--dry-run', ...identity, '--org', 'contoso', '--no-ssh', '--no-service'], withSecret);
    const stillUntouched = await stage.files();
    await stage.daemon(withSecret.env);
    const ran = await stage.postern(['setup', '--yes', ...identity, '--org', 'contoso', '--no-ssh', '--no-service'], withSecret);
    const config = (await stage.files())['.config/postern/config.yaml'];
    const clone = await cloned(stage);
    const doctor = await stage.postern(['doctor', CLONE], withSecret);
    const again = await stage.postern(['setup', '--yes', '--identity', 'client-secret'], withSecret);
    const other = await stage.postern(['setup', '--yes', '--identity', 'browser'], withSecret);
    return { refused, untouched, dry, stillUntouched, ran, config, clone, doctor, again, other };
  },

  /** No flags and no terminal, or one that cannot move its cursor: git's part alone, as it has always been. */
  async asBefore(stage) {
    const ran = await stage.postern(['setup', '--org', 'contoso']);
    const files = Object.keys(await stage.files());
    const undone = await stage.postern(['setup', '--undo']);
    const dumb = stage.terminal(['setup', '--org', 'contoso'], { env: { TERM: 'dumb' } });
    return { ran, files, undone, dumb: await ended(dumb), dumbFiles: Object.keys(await stage.files()) };
  },

  /** Colours and progress, by what the environment says. */
  async colours(stage) {
    const styles: Record<string, unknown> = {};
    for (const [name, env] of Object.entries({ plain: {}, NO_COLOR: { NO_COLOR: '1' }, dumb: { TERM: 'dumb' } })) {
      const terminal = stage.terminal(['wait', '--timeout', '1s'], { env });
      const { styles: seen, whole, code } = await ended(terminal);
      styles[name] = { styles: seen, whole, code, hasProgress: terminal.raw.includes('Waiting for the daemon to be ready ...') };
    }
    const piped = await stage.postern(['wait', '--timeout', '1s']);
    const forced = await stage.postern(['wait', '--timeout', '1s'], { env: { FORCE_COLOR: '1' } });
    return { styles, piped: piped.stderr, forced: forced.stderr };
  },
};
