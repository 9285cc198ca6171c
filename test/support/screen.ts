/**
 * The screen of a terminal, as far as our own output and that of a prompt library need one: text, line feeds, moves of the cursor, erasing,
 * colours (which are only noted) and the alternate screen. Source: ECMA-48; xterm's "Control Sequences" for the private modes.
 */

// What comes over the line, in pieces: a control sequence, a title or the like, another escape, or one character.
const PIECE = /\u001b\[([?>=]?[0-9;]*)([@-~])|\u001b(\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[()][A-Z0-9]|[@-Z\\^_78=>])|([\s\S])/gu;

export class Screen {
  rows: number;
  columns: number;
  /** Colours and other attributes that were asked for since the start: the numbers of SGR. */
  readonly styles = new Set<string>();
  isCursorShown = true;
  isAlternate = false;
  #lines: string[][] = [[]];
  #row = 0;
  #column = 0;
  /** Lines that have left at the top. */
  #gone: string[] = [];
  #saved: { lines: string[][]; row: number; column: number } | undefined;
  #rest = '';

  constructor(rows: number, columns: number) {
    this.rows = rows;
    this.columns = columns;
  }

  /** What is on the screen: lines without blanks at their ends, and none that are empty at the end. */
  get text(): string {
    return this.#lines
      .map((line) => Array.from(line, blankIfNone).join('').trimEnd())
      .join('\n')
      .trimEnd();
  }

  /** The same, with what has been scrolled away before it. */
  get everything(): string {
    return [...this.#gone, this.text].join('\n');
  }

  write(chunk: string): void {
    const text = this.#rest + chunk;
    // A sequence may be cut in two.
    const cut = /\u001b(?:\[[?>=]?[0-9;]*|\][^\u0007]*|[()])?$/.exec(text)?.index ?? text.length;
    this.#rest = text.slice(cut);
    for (const [, parameters, final, escape, character] of text.slice(0, cut).matchAll(PIECE)) {
      if (final !== undefined) this.#control(parameters ?? '', final);
      else if (escape === undefined && character !== undefined) this.#put(character);
    }
  }

  #put(character: string): void {
    switch (character) {
      case '\n':
        this.#down();
        return;
      case '\r':
        this.#column = 0;
        return;
      case '\b':
        this.#column = Math.max(0, this.#column - 1);
        return;
      case '\u0007':
        return;
      default:
        // Like xterm: the cursor stays in the last column until one character more comes.
        if (this.#column >= this.columns) {
          this.#column = 0;
          this.#down();
        }
        this.#line[this.#column] = character;
        this.#column += 1;
    }
  }

  #control(parameters: string, final: string): void {
    const [asked = '', second = ''] = parameters.replace(/^[?>=]/, '').split(';');
    const first = asked === '' ? '0' : asked;
    const count = Math.max(1, Number(first));
    switch (final) {
      case 'A':
        this.#row = Math.max(0, this.#row - count);
        return;
      case 'B':
        this.#row = Math.min(this.rows - 1, this.#row + count);
        return;
      case 'C':
        this.#column = Math.min(this.columns - 1, this.#column + count);
        return;
      case 'D':
        this.#column = Math.max(0, this.#column - count);
        return;
      case 'E':
        this.#row = Math.min(this.rows - 1, this.#row + count);
        this.#column = 0;
        return;
      case 'G':
        this.#column = count - 1;
        return;
      case 'H':
        this.#row = count - 1;
        this.#column = Math.max(1, Number(second)) - 1;
        return;
      case 'J':
        this.#eraseScreen(first);
        return;
      case 'K':
        if (first === '2') this.#lines[this.#row] = [];
        else if (first === '0') this.#line.length = Math.min(this.#line.length, this.#column);
        return;
      case 'm':
        for (const style of parameters.split(';')) this.styles.add(style === '' ? '0' : style);
        return;
      case 'h':
      case 'l':
        this.#mode(parameters, final === 'h');
    }
  }

  #mode(parameters: string, isOn: boolean): void {
    if (parameters === '?25') this.isCursorShown = isOn;
    if (parameters !== '?1049' || isOn === this.isAlternate) return;
    this.isAlternate = isOn;
    if (isOn) {
      this.#saved = { lines: this.#lines, row: this.#row, column: this.#column };
      this.#lines = [[]];
      this.#row = 0;
      this.#column = 0;
    } else if (this.#saved !== undefined) {
      ({ lines: this.#lines, row: this.#row, column: this.#column } = this.#saved);
    }
  }

  #eraseScreen(which: string): void {
    if (which === '0') {
      this.#line.length = Math.min(this.#line.length, this.#column);
      this.#lines.length = Math.min(this.#lines.length, this.#row + 1);
    } else if (which === '2' || which === '3') {
      this.#lines = [[]];
    }
  }

  #down(): void {
    if (this.#row < this.rows - 1) {
      this.#row += 1;
      return;
    }
    while (this.#lines.length < this.rows) this.#lines.push([]);
    const top = this.#lines.shift() ?? [];
    if (!this.isAlternate) this.#gone.push(Array.from(top, blankIfNone).join('').trimEnd());
    this.#lines.push([]);
  }

  get #line(): string[] {
    while (this.#lines.length <= this.#row) this.#lines.push([]);
    return this.#lines[this.#row] ?? [];
  }
}

/** What the cursor has jumped over has no character. */
function blankIfNone(cell: string | undefined): string {
  return cell ?? ' ';
}
