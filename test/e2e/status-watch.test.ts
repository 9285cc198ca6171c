/** `postern status --watch` as a person sees it, on a real pseudo-terminal: in place, scrolled, resized, and gone without a trace. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { PROGRAM, type RunningDaemon, Scene } from '../support/scene.js';
import { KEYS, Terminal } from '../support/terminal.js';

const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';

let scene: Scene;
let daemon: RunningDaemon;
let environment: Record<string, string>;
let terminal: Terminal | undefined;

beforeAll(async () => {
  scene = await Scene.open();
  daemon = await scene.daemon();
  environment = { ...scene.environment, XDG_RUNTIME_DIR: join(scene.directory, 'run-1') };
});
afterEach(async () => {
  await terminal?.close();
  terminal = undefined;
});
afterAll(() => scene.close());

function watch({ rows = 24, columns = 80, args = [] as readonly string[] } = {}): Terminal {
  terminal = new Terminal(process.execPath, [PROGRAM, 'status', '--watch', ...args], { rows, columns, env: environment });
  return terminal;
}

test('is refreshed in place, scrolled and resized, and ends with q as if it had never been', async () => {
  const shown = watch({ rows: 14, columns: 60 });
  const ready = await shown.shows(
    (lines) => lines.some((line) => line.includes(' is ready (pid')) && lines.at(-1)?.startsWith('q ends') === true,
  );
  const first = ready.split('\n');
  expect(first.length).toBeLessThanOrEqual(14);
  for (const line of first) expect(line.length).toBeLessThanOrEqual(60);
  expect(first.at(-1)).toMatch(/^q ends, arrows scroll: lines 1 to 13 of [0-9]+$/);
  shown.press(KEYS.down);
  await shown.shows((lines) => lines.at(-1)?.includes('lines 2 to 14') === true);
  shown.press(`${KEYS.up}\u001b[6~`);
  await shown.shows((lines) => /lines ([0-9]+) to ([0-9]+) of \2$/.test(lines.at(-1) ?? ''));
  // Faster than it draws.
  shown.press('kkkjg');
  await shown.shows((lines) => lines.at(-1)?.includes('lines 1 to 13') === true && lines[0]?.includes(' is ready (pid') === true);
  shown.resize(60, 160);
  const large = await shown.shows((lines) => lines.at(-1) === 'q ends');
  expect(large.split('\n')).toHaveLength(60);
  expect(large).toContain(`http door      ${daemon.base}`);
  // A round later something has changed in place: memory, ages.
  await scene.git(['ls-remote', daemon.url('github.com/contoso/none')]);
  await shown.shows((lines) => lines[1] === 'needs attention' && lines[2] === '  1 operation was refused or failed in the last 15 minutes');
  shown.press('q');
  expect(await shown.ended).toBe(0);
  expect(shown.isAsBefore).toBe(true);
  expect(shown.raw.split(ENTER)).toHaveLength(2);
  expect(shown.raw.endsWith(LEAVE)).toBe(true);
  expect(shown.screen.text).toBe('');
});

test.each([
  ['Ctrl-C', KEYS.interrupt],
  ['q', 'q'],
])('ends with %s while it waits', async (_name, key) => {
  const shown = watch();
  await shown.shows((lines) => lines.at(-1)?.startsWith('q ends') === true);
  shown.press(key);
  expect(await shown.ended).toBe(0);
  expect(shown.raw.endsWith(LEAVE)).toBe(true);
  expect(shown.isAsBefore).toBe(true);
});

test('says so when the daemon goes away, and goes on when it comes back', async () => {
  const other = await scene.daemon();
  environment = { ...environment, XDG_RUNTIME_DIR: join(scene.directory, 'run-2') };
  const shown = watch({ columns: 120 });
  await shown.shows((lines) => lines[0]?.includes(`is ready (pid ${other.pid}`) === true);
  await other.stop();
  const gone = await shown.shows((lines) => lines[0]?.startsWith('postern is not running') === true);
  expect(gone.split('\n')[1]).toBe('  what to do: start it with `postern start`; this goes on when it is there');
  const child = spawn(process.execPath, [PROGRAM, 'start', '--config', join(scene.directory, 'config-2.yaml')], {
    env: { ...environment, XDG_STATE_HOME: join(scene.directory, 'again'), POSTERN_LISTEN_SSH: 'off', SP_SECRET: 'x' },
    stdio: 'ignore',
  });
  await shown.shows((lines) => lines[0]?.includes(`is ready (pid ${child.pid ?? 0}`) === true);
  shown.press('q');
  expect(await shown.ended).toBe(0);
  child.kill();
  await new Promise((resolve) => child.once('close', resolve));
  environment = { ...environment, XDG_RUNTIME_DIR: join(scene.directory, 'run-1') };
});

test('without a terminal it says what to use', async () => {
  const ran = await daemon.postern(['status', '--watch']);
  expect(ran.code).toBe(2);
  expect(ran.stdout).toBe('');
  expect(ran.stderr).toContain('postern: There is no terminal to refresh the status on\n');
  expect(ran.stderr).toContain('what to do: use `postern status --watch --json`');
});

test('with --json it prints one object a line, also when the daemon is not there, and ends when nobody reads', async () => {
  const lines = async (env: Record<string, string>): Promise<Record<string, unknown>[]> => {
    const child = spawn(process.execPath, [PROGRAM, 'status', '--watch', '--json'], {
      env: { ...environment, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise((resolve) => child.once('close', resolve));
    let text = '';
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      text += chunk.toString('utf8');
      if (text.split('\n').length > 2) break;
    }
    // Leaving the loop has closed the pipe.
    expect(await ended).toBe(0);
    return text
      .split('\n')
      .slice(0, 2)
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  expect(await lines({})).toMatchObject([
    { state: 'ready', pid: daemon.pid },
    { state: 'ready', pid: daemon.pid },
  ]);
  expect(await lines({ XDG_RUNTIME_DIR: join(scene.directory, 'run') })).toMatchObject([
    { state: 'not-running' },
    { state: 'not-running' },
  ]);
});
