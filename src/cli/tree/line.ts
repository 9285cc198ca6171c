/** What of a command line is for the tree of commands, and how it gets it. */
import { STANDARD_INPUT } from '../context.js';

export interface Line {
  /** For the tree. */
  readonly own: readonly string[];
  /** What `exec` is to run; undefined where nothing of the kind was given. */
  readonly command: readonly string[] | undefined;
}

/** Takes the words behind `postern` apart. For `exec`, what stands after the first `--` is no business of ours. */
export function splitLine(words: readonly string[]): Line {
  const at = words.indexOf('--');
  const isExec = at >= 0 && words.slice(0, at).includes('exec');
  const own = isExec ? words.slice(0, at) : [...words];
  // yargs takes a lone `-` for an option without a name.
  return {
    own: own[0] === 'lease' ? own.map((word) => (word === '-' ? STANDARD_INPUT : word)) : own,
    command: isExec ? words.slice(at + 1) : undefined,
  };
}
