/**
 * How many files this process may have open. Node.js raises the soft limit to the hard one when it starts, so what is found here is
 * what there is.
 *
 * Source: proc(5), "limits".
 */
import { readFileSync } from 'node:fs';
import type { Logger } from '../model/ports.js';
import type { Limits } from '../model/settings.js';

/** What a daemon without connections has open: its own files, listeners, the audit, and what Node.js needs. Measured: 25 to 30. */
const BASE_FILES = 40;
/** A connection takes one, and the one upstream of its operation another. */
const FILES_PER_CONNECTION = 2;

/** Undefined where the system does not tell, or there is no limit. */
export function mostFiles(): number | undefined {
  let text;
  try {
    text = readFileSync('/proc/self/limits', 'latin1');
  } catch {
    // Not Linux, or no /proc.
    return undefined;
  }
  const soft = /^Max open files +([0-9]+) /m.exec(text)?.[1];
  return soft === undefined ? undefined : Number(soft);
}

/** Says when the limit of connections promises more than there are files for. */
export function warnOfFiles({ connections }: Limits, logger: Logger, files: number | undefined = mostFiles()): void {
  const wanted = BASE_FILES + connections * FILES_PER_CONNECTION;
  if (files === undefined || files >= wanted) return;
  logger.log('warn', 'config-warning', {
    what: `limits.connections is ${connections}, for which up to ${wanted} files are needed, and this process may have ${files} open: raise that limit (\`ulimit -n\`, LimitNOFILE) or lower limits.connections; who comes when files run out is refused`,
  });
}
