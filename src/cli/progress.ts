/**
 * One line that says what is being waited for, and for how long. It is replaced in place once a second and goes away when the wait is over;
 * it does not spin, so that a screen reader is not made to read it ten times a second.
 */
import { spanText } from './amounts.js';

/** A wait that is over sooner is not worth a line. */
const SILENT_MS = 300;
const RENEWED_MS = 1000;
/** A wait that takes longer is told with its time. */
const TIMED_MS = 2000;
/** ECMA-48: to the first column, and what stands behind it erased. */
const ERASED = '\r\u001b[K';

/** What a wait is told through. */
export interface Progress {
  /** What is being waited for now. */
  readonly say: (text: string) => void;
  /** It is over; the line goes away. Any number of times. */
  readonly end: () => void;
}

interface Wait {
  text: string;
  readonly began: number;
}

/** The last line of a terminal. One wait is shown at a time: of several the latest. */
export class ProgressLine {
  readonly #write: ((text: string) => void) | undefined;
  readonly #columns: () => number;
  #wait: Wait | undefined;
  #isShown = false;
  #timer: NodeJS.Timeout | undefined;

  /** `write` takes text as it is, undefined where nothing is to be shown; `columns` is asked each time: windows are made narrower. */
  constructor(write: ((text: string) => void) | undefined, columns: () => number) {
    this.#write = write;
    this.#columns = columns;
  }

  begin(text: string): Progress {
    if (this.#write === undefined) return { say: () => undefined, end: () => undefined };
    const wait: Wait = { text, began: performance.now() };
    this.#end();
    this.#wait = wait;
    this.#timer = setTimeout(() => this.#renew(wait), SILENT_MS).unref();
    return {
      say: (next) => {
        wait.text = next;
        if (this.#wait === wait && this.#isShown) this.#show(wait);
      },
      end: () => {
        if (this.#wait === wait) this.#end();
      },
    };
  }

  /** Takes the line away because something else is about to be printed; it comes again with the next second. */
  clear(): void {
    if (!this.#isShown) return;
    this.#write?.(ERASED);
    this.#isShown = false;
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.clear();
    this.#wait = undefined;
  }

  #renew(wait: Wait): void {
    this.#show(wait);
    this.#timer = setTimeout(() => this.#renew(wait), RENEWED_MS).unref();
  }

  #show({ text, began }: Wait): void {
    const ms = performance.now() - began;
    const whole = ms < TIMED_MS ? `${text} ...` : `${text} ... ${spanText(ms)}`;
    // A line that fills the last column would be two on some terminals, and only one of them could be erased.
    const most = Math.max(1, this.#columns() - 1);
    this.#write?.(`${ERASED}${whole.length > most ? whole.slice(0, most) : whole}`);
    this.#isShown = true;
  }
}
