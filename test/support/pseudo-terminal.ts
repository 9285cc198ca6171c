/**
 * A program on a pseudo-terminal, and the screen that a person sees there: as much of one as drawing in place needs (moves to the corner,
 * clearing of lines and of what follows, the other screen, colours).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Writable } from 'node:stream';

const LOOK_MS = 20;
const PATIENCE_MS = 30_000;
/** A control sequence, or what is shown. */
const PIECE = /\u001b\[([?0-9;]*)([A-Za-z])|\r|\n|[^\u001b\r\n]+|\u001b/gu;

export class PseudoTerminal {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number>;
  #rows: number;
  #columns: number;
  #raw = '';
  #stderr = '';

  constructor(words: readonly string[], { rows, columns, env }: { rows: number; columns: number; env: Readonly<Record<string, string>> }) {
    this.#rows = rows;
    this.#columns = columns;
    const script = join(import.meta.dirname, 'pseudo-terminal.py');
    this.#child = spawn('python3', [script, String(rows), String(columns), ...words], {
      env: { TERM: 'xterm-256color', ...env },
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    });
    this.#child.stdout?.on('data', (chunk: Buffer) => (this.#raw += chunk.toString('utf8')));
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.#stderr += chunk.toString('utf8')));
    this.#ended = new Promise((resolve) => this.#child.once('close', (code) => resolve(code ?? 1)));
  }

  /** All that was written to it. */
  get raw(): string {
    return this.#raw;
  }

  /** Whether the settings of the terminal are what they were before the program; known when it has ended. */
  get isAsBefore(): boolean {
    return this.#stderr.includes('settings as before');
  }

  /** Exit code, when it has ended. */
  get ended(): Promise<number> {
    return this.#ended;
  }

  type(text: string): void {
    this.#child.stdin?.write(text);
  }

  resize(rows: number, columns: number): void {
    this.#rows = rows;
    this.#columns = columns;
    (this.#child.stdio[3] as Writable).write(`${rows} ${columns}\n`); // because it was asked for as a pipe
  }

  /** What the screen shows, line by line. */
  lines(): string[] {
    let shown: string[] = [];
    let other: string[] | undefined;
    let row = 0;
    let column = 0;
    for (const [piece, parameters = '', final] of this.#raw.matchAll(PIECE)) {
      if (piece === '\r') column = 0;
      else if (piece === '\n') row += 1;
      else if (final === 'H') row = column = 0;
      else if (final === 'K') shown[row] = (shown[row] ?? '').slice(0, column);
      else if (final === 'J') {
        shown = shown.slice(0, row + 1);
        shown[row] = (shown[row] ?? '').slice(0, column);
      } else if (parameters === '?1049') {
        if (final === 'h') [other, shown] = [shown, []];
        else [other, shown] = [undefined, other ?? []];
      } else if (final === undefined) {
        const line = (shown[row] ?? '').padEnd(column);
        shown[row] = line.slice(0, column) + piece + line.slice(column + piece.length);
        column += piece.length;
      }
    }
    return Array.from(shown, (line: string | undefined) => line ?? '');
  }

  /** Waits until the screen shows what fits, and gives its lines. A line that is too long for it fails. */
  async until(fits: (lines: readonly string[]) => boolean): Promise<string[]> {
    const endsAt = performance.now() + PATIENCE_MS;
    for (;;) {
      const lines = this.lines();
      if (fits(lines)) return lines;
      if (performance.now() > endsAt) throw new Error(`the screen does not come to it:\n${lines.join('\n')}\n${this.#stderr}`);
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }

  get size(): { readonly rows: number; readonly columns: number } {
    return { rows: this.#rows, columns: this.#columns };
  }

  /** Ends the program if it has not ended. */
  async close(): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill('SIGTERM');
    await this.#ended;
  }
}
