/** `postern reload`: asks the daemon to read its configuration again, and says what came of it. */
import { askReload } from '../../daemon/life-actions.js';
import { ProxyError } from '../../model/errors.js';
import type { Context } from '../context.js';
import { notRunning } from './stop.js';

/** @throws ProxyError `not-running`; `config-invalid` with what keeps the daemon at its old configuration */
export async function reload({ places, printer }: Context, { json }: { readonly json: boolean }): Promise<number> {
  const outcome = await askReload(places.adminSocket);
  if (outcome === undefined) throw notRunning(places.adminSocket);
  if (json) printer.json(outcome);
  if (outcome.kind === 'failed') {
    if (json) return EXIT_REFUSED;
    const { what, details, todo } = outcome;
    throw new ProxyError('config-invalid', `The old configuration stays in force: ${what}`, { details, todo });
  }
  if (json) return 0;
  for (const warning of outcome.warnings) printer.note(`warning: ${warning}`);
  printer.line('Reloaded; what was running goes on as it began');
  return 0;
}

/** That of a configuration that cannot be used. */
const EXIT_REFUSED = 2;
