/**
 * A terminal's other screen: drawn on in place, and left so that the first one is as it was, however the process ends but by SIGKILL.
 *
 * Source: xterm control sequences (ctlseqs), "DECSET 1049, 25", "ED", "EL"; ECMA-48 for SGR.
 */
const ENTER = '\u001b[?1049h\u001b[?25l';
const LEAVE = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const REST_OF_LINE = '\u001b[K';
const REST_OF_SCREEN = '\u001b[J';
/** A terminal that does not tell its size. */
const USUAL = { columns: 80, rows: 24 } as const;

/** A key that means something to who draws. */
export type Key = 'end' | 'up' | 'down' | 'page-up' | 'page-down' | 'top';

/** What terminals send for keys, in normal and in application mode, and letters for those who like them. */
const KEYS: ReadonlyMap<string, Key | 'suspend'> = new Map<string, Key | 'suspend'>([
  ['q', 'end'],
  ['\u0003', 'end'],
  ['\u001a', 'suspend'],
  ['\u001b[A', 'up'],
  ['\u001bOA', 'up'],
  ['k', 'up'],
  ['\u001b[B', 'down'],
  ['\u001bOB', 'down'],
  ['j', 'down'],
  ['\u001b[5~', 'page-up'],
  ['\u001b[6~', 'page-down'],
  [' ', 'page-down'],
  ['\u001b[H', 'top'],
  ['\u001bOH', 'top'],
  ['g', 'top'],
]);

/** What one key sends. */
const SEQUENCE = /\u001b\[[0-9;]*[A-Za-z~]|\u001bO[A-Z]|[^]/g;
/** A sequence that colours and takes no room. */
const COLOUR = /^\u001b\[[0-9;]*m/;

export interface Screen {
  readonly columns: number;
  readonly rows: number;
  /** Shows these lines from the top on; what is too long is cut, what is too many is left out. */
  draw(lines: readonly string[]): void;
  close(): void;
}

/** Whether this process has a terminal to draw on. */
export function hasScreen(): boolean {
  return process.stdout.isTTY && process.env['TERM'] !== 'dumb';
}

/** Opens it. `onKey`: keys that mean something here; also `end` for signals that end the process. `onResize`: it is to be drawn anew. */
export function openScreen({ onKey, onResize }: { readonly onKey: (key: Key) => void; readonly onResize: () => void }): Screen {
  const { stdout, stdin } = process;
  const isRaw = stdin.isTTY;
  let isOpen = false;
  const enter = (): void => {
    isOpen = true;
    // Without this what is typed would be written over what is drawn.
    if (isRaw) stdin.setRawMode(true);
    stdout.write(ENTER);
  };
  const leave = (): void => {
    if (!isOpen) return;
    isOpen = false;
    stdout.write(LEAVE);
    if (isRaw) stdin.setRawMode(false);
  };
  const end = (): void => onKey('end');
  const typed = (chunk: Buffer): void => {
    // Who types fast has several in one piece.
    for (const [sequence] of chunk.toString('latin1').matchAll(SEQUENCE)) {
      const key = KEYS.get(sequence);
      if (key === 'suspend') {
        leave();
        process.kill(process.pid, 'SIGTSTP');
      } else if (key !== undefined) onKey(key);
    }
  };
  const resumed = (): void => {
    enter();
    onResize();
  };
  enter();
  process.on('exit', leave);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, end);
  process.on('SIGCONT', resumed);
  stdout.on('resize', onResize);
  // A terminal that is gone.
  stdout.on('error', end);
  if (isRaw) stdin.on('data', typed).resume();
  return {
    get columns() {
      return stdout.columns || USUAL.columns;
    },
    get rows() {
      return stdout.rows || USUAL.rows;
    },
    draw(lines) {
      if (!isOpen) return;
      const { columns, rows } = this;
      const drawn = lines.slice(0, rows).map((line) => `${clip(line, columns)}${REST_OF_LINE}`);
      stdout.write(`${HOME}${drawn.join('\r\n')}${REST_OF_SCREEN}`);
    },
    close() {
      leave();
      process.off('exit', leave).off('SIGCONT', resumed);
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, end);
      stdout.off('resize', onResize).off('error', end);
      if (isRaw) stdin.off('data', typed).pause();
    },
  };
}

/** Has `onGone` called when nobody reads what is printed any more. */
export function whenOutputEnds(onGone: () => void): void {
  process.stdout.on('error', onGone);
}

/** The beginning of a line that has so many columns; colours take none, and are ended with it. */
export function clip(line: string, columns: number): string {
  let shown = '';
  let width = 0;
  let isColoured = false;
  for (let at = 0; at < line.length;) {
    const [colour] = COLOUR.exec(line.slice(at)) ?? [];
    if (colour !== undefined) {
      shown += colour;
      at += colour.length;
      isColoured = true;
      continue;
    }
    const character = String.fromCodePoint(line.codePointAt(at) ?? 0);
    width += widthOf(character);
    if (width > columns) return isColoured ? `${shown}\u001b[0m` : shown;
    shown += character;
    at += character.length;
  }
  return shown;
}

/** Columns that a character takes: marks none, East Asian wide ones and pictures two. */
function widthOf(character: string): number {
  if (/^\p{M}$|^\u200d$|^[\ufe00-\ufe0f]$/u.test(character)) return 0;
  return /^[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]$|^\p{Emoji_Presentation}$|^[\u{20000}-\u{3fffd}]$/u.test(
    character,
  )
    ? 2
    : 1;
}
