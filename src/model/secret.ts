/**
 * A value that must not be seen. It prints as a placeholder wherever it is turned into text by accident
 * (templates, JSON, util.inspect), so a leak needs a call of `reveal()`, and a test lists who may make one.
 */
import { inspect } from 'node:util';

const PLACEHOLDER = '[secret]';

/** Holds one secret text; only `reveal()` gives it out. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The secret itself. To be called at the last line before the wire, and nowhere else. */
  reveal(): string {
    return this.#value;
  }

  /** Whether two secrets hold the same text; for caches, not for judging callers. */
  equals(other: Secret): boolean {
    return this.#value === other.#value;
  }

  toString(): string {
    return PLACEHOLDER;
  }

  toJSON(): string {
    return PLACEHOLDER;
  }

  [inspect.custom](): string {
    return PLACEHOLDER;
  }
}
