/**
 * What can be done on a terminal, and whether what is printed has colours: on terminals, unless somebody said otherwise. Sources: no-color.org, force-color.org; of the
 * two the latter wins, as in Node's own `getColorDepth`.
 */

type Environment = Readonly<Record<string, string | undefined>>;

/** `isTerminal`: whether the stream in question is one. */
export function isColoured(environment: Environment, isTerminal: boolean): boolean {
  const force = environment['FORCE_COLOR'];
  if (force !== undefined) return force !== '0' && force !== 'false';
  if ((environment['NO_COLOR'] ?? '') !== '') return false;
  return isTerminal && !isDumb(environment);
}

/** Whether a terminal can put text in the place of other text. */
export function isDumb(environment: Environment): boolean {
  return environment['TERM'] === 'dumb';
}

/** Whether somebody sits at a terminal on which questions can be put. */
export function canBeAsked(): boolean {
  return process.stdin.isTTY && process.stdout.isTTY && !isDumb(process.env);
}
