/** What all addresses have in common: programs, configuration, the daemon. */
import { askStatus } from '../../daemon/admin.js';
import { loadFor } from '../context.js';
import { notRunning } from '../commands/stop.js';
import type { Check } from './check.js';

/** In the order of the road. */
export const GENERAL_CHECKS: readonly Check[] = [
  {
    id: 'node',
    name: 'Node.js',
    class: 'programs',
    needs: [],
    run: () => ({ verdict: 'ok', text: process.versions.node }),
  },
  {
    id: 'git',
    name: 'git',
    class: 'programs',
    needs: [],
    run: async ({ git }) => ({ verdict: 'ok', text: await git.requireVersion() }),
  },
  {
    id: 'configuration',
    name: 'configuration',
    class: 'configuration',
    needs: [],
    run: async ({ context, flags, found }) => {
      found.loaded = await loadFor(context, flags);
      return { verdict: 'ok', text: 'without a fault' };
    },
  },
  {
    id: 'daemon',
    name: 'daemon',
    class: 'daemon',
    needs: ['configuration'],
    run: async ({ context: { places }, found }) => {
      const status = await askStatus(places.adminSocket);
      if (status === undefined) throw notRunning(places.adminSocket);
      found.status = status;
      return { verdict: 'ok', text: `runs since ${status.startedAt} (pid ${status.pid})` };
    },
  },
];
