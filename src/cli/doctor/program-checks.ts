/** Rows of the programs that everything else stands on. */
import type { Check } from './check.js';

/** As `engines` of package.json has it. */
const OLDEST_NODE: readonly [number, number] = [20, 19];

/** Where git cannot read its configuration it does not even tell its version; that has a row of its own. */
const NO_CONFIGURATION = [
  { name: 'GIT_CONFIG_GLOBAL', value: '/dev/null' },
  { name: 'GIT_CONFIG_NOSYSTEM', value: '1' },
];

export const PROGRAM_CHECKS: readonly Check[] = [
  {
    id: 'node',
    name: 'Node.js',
    class: 'programs',
    needs: [],
    run: () => {
      const version = process.versions.node;
      const [major = 0, minor = 0] = version.split('.').map(Number);
      if (major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])) return { verdict: 'ok', text: version };
      return {
        verdict: 'failed',
        text: `Node.js ${version} is too old`,
        details: [`this is ${process.execPath}`],
        todo: `install Node.js ${OLDEST_NODE.join('.')} or newer, and see that it comes first on the PATH`,
      };
    },
  },
  {
    id: 'git',
    name: 'git',
    class: 'programs',
    needs: [],
    run: async ({ git }) => ({ verdict: 'ok', text: await git.neutral().with(NO_CONFIGURATION).requireVersion() }),
  },
];
