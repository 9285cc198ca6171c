/** `postern completion SHELL`: prints the script that has a shell ask us. */
import { ProxyError } from '../../model/errors.js';
import { SCRIPTS, SHELLS } from '../completion/scripts.js';
import type { Context } from '../context.js';

/** @throws ProxyError `usage` */
export function completion({ printer }: Context, name: string): number {
  const shell = SHELLS.find((known) => known === name);
  if (shell === undefined)
    throw new ProxyError('usage', 'There is no completion for that shell', { todo: `name one of ${SHELLS.join(', ')}` });
  printer.line(SCRIPTS[shell].trimEnd());
  return 0;
}
