/** A program on a pseudo-terminal of its own, with a screen that can be looked at, and keys that can be pressed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { Screen } from './screen.js';

/**
 * Makes the pseudo-terminal, and carries bytes both ways until the program has ended. Its own input is `D` and a length for bytes, `S`, rows and
 * columns for another size, each on a line. Whether the program left the terminal's settings as they were is told on descriptor 3. pty(7); Python
 * has it, Node does not.
 */
const RELAY = `
import fcntl, os, pty, select, struct, sys, termios
def resize(rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', int(rows), int(columns), 0, 0))
gate, opened = os.pipe()
pid, fd = pty.fork()
if pid == 0:
    os.close(3)
    # Until its window has a size and its settings are known.
    os.read(gate, 1)
    os.execvp(sys.argv[3], sys.argv[3:])
resize(sys.argv[1], sys.argv[2])
before = termios.tcgetattr(fd)
os.write(opened, b'g')
open_input = True
while True:
    ready, _, _ = select.select([fd] + ([0] if open_input else []), [], [])
    if fd in ready:
        try:
            chunk = os.read(fd, 65536)
        except OSError:
            chunk = b''
        if not chunk:
            break
        os.write(1, chunk)
    if 0 in ready:
        line = b''
        while not line.endswith(b'\\n'):
            byte = os.read(0, 1)
            if not byte:
                break
            line += byte
        if not line:
            open_input = False
            continue
        words = line.split()
        if words[0] == b'S':
            resize(words[1], words[2])
        else:
            left = int(words[1])
            while left > 0:
                chunk = os.read(0, left)
                if not chunk:
                    break
                left -= len(chunk)
                os.write(fd, chunk)
if termios.tcgetattr(fd)[:4] == before[:4]:
    os.write(3, b'as before')
_, status = os.waitpid(pid, 0)
sys.exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))
`;

export const KEYS = {
  enter: '\r',
  up: '\u001b[A',
  down: '\u001b[B',
  interrupt: '\u0003',
  end: '\u0004',
  erase: '\u007f',
  tab: '\t',
} as const;

export interface TerminalOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  readonly rows?: number;
  readonly columns?: number;
}

/** Looked for in a text of the screen, or said of its lines. */
export type Seen = string | RegExp | ((lines: readonly string[]) => boolean);

const PATIENCE_MS = 30_000;

export class Terminal {
  readonly screen: Screen;
  /** Every byte that came, as text. */
  raw = '';
  /** Whether the program left the settings of the terminal as they were; known when it has ended. */
  isAsBefore = false;
  readonly ended: Promise<number>;
  readonly #child: ChildProcess;
  readonly #watchers = new Set<() => void>();
  #isOver = false;

  constructor(program: string, args: readonly string[], { env, cwd, rows = 24, columns = 80 }: TerminalOptions) {
    this.screen = new Screen(rows, columns);
    this.#child = spawn('/usr/bin/python3', ['-c', RELAY, String(rows), String(columns), program, ...args], {
      cwd,
      env: { TERM: 'xterm-256color', ...env },
      stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
    });
    this.#child.stdio[3]?.on('data', () => (this.isAsBefore = true));
    this.#child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.raw += chunk;
      this.screen.write(chunk);
      for (const look of this.#watchers) look();
    });
    this.#child.stdin?.on('error', () => undefined); // it may have ended
    this.ended = new Promise((resolve) => {
      this.#child.once('close', (code) => {
        this.#isOver = true;
        resolve(code ?? 1);
        for (const look of this.#watchers) look();
      });
    });
  }

  /** Presses keys: a text, or names of KEYS. */
  press(keys: string): void {
    this.#child.stdin?.write(`D ${Buffer.byteLength(keys)}\n${keys}`);
  }

  /** Makes the window another size. */
  resize(rows: number, columns: number): void {
    this.screen.rows = rows;
    this.screen.columns = columns;
    this.#child.stdin?.write(`S ${rows} ${columns}\n`);
  }

  /** Resolves when the screen shows it. @throws Error with the screen when it does not in time, or the program has ended without */
  async shows(seen: Seen): Promise<string> {
    const holds = (): boolean => isSeen(seen, this.screen.text);
    await this.#until(() => holds() || this.#isOver);
    if (!holds()) throw new Error(`the terminal does not show ${String(seen)}:\n${this.screen.everything}`);
    return this.screen.text;
  }

  /** Waits for something, and then presses keys. */
  async answer(seen: Seen, keys: string): Promise<void> {
    await this.shows(seen);
    this.press(keys);
  }

  /** Ends it, if it runs. */
  async close(): Promise<void> {
    if (!this.#isOver) this.#child.kill('SIGKILL');
    await this.ended;
  }

  #until(isTrue: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#watchers.delete(look);
        resolve();
      };
      const look = (): void => {
        if (isTrue()) done();
      };
      const timer = setTimeout(done, PATIENCE_MS);
      this.#watchers.add(look);
      look();
    });
  }
}

function isSeen(seen: Seen, text: string): boolean {
  if (typeof seen === 'string') return text.includes(seen);
  return typeof seen === 'function' ? seen(text.split('\n')) : seen.test(text);
}
