/** How a person is asked: a port, so that the questions know no terminal. */

export interface TextQuestion {
  readonly message: string;
  /** What Enter alone means. */
  readonly otherwise: string;
  /** What is wrong with an answer, as a sentence; undefined when it will do. */
  readonly check: (answer: string) => string | undefined;
}

export interface Choice<T> {
  readonly value: T;
  /** Short: a choice that is longer than the line is hard to tell from two. */
  readonly name: string;
  /** Shown while it is the one that Enter would take. */
  readonly description?: string | undefined;
}

/** Each rejects with `Interrupted` when the person wants out. */
export interface Asker {
  text(question: TextQuestion): Promise<string>;
  /** The first choice is the one that Enter alone takes. */
  choose<T>(message: string, choices: readonly Choice<T>[]): Promise<T>;
  confirm(message: string, otherwise: boolean): Promise<boolean>;
}

/** The person pressed Ctrl-C, or the terminal went away. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}
