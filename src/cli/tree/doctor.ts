/** The command that finds out what is wrong. */
import { configurable, type Run, type Tree, withJson } from './words.js';

export function addDoctor(tree: Tree, run: Run): Tree {
  return tree.command(
    'doctor [url]',
    'Walk the road of an address, from git to the answer of the upstream, and say what is wrong',
    (builder) =>
      withJson(configurable(builder))
        .positional('url', { type: 'string', describe: 'the address as git clone is given it' })
        .option('read-only', { type: 'boolean', describe: 'only fetching is meant: nothing of a push is asked for' })
        .example('$0 doctor https://dev.azure.com/contoso/web/_git/app', ''),
    (flags) => run(async (to) => (await import('../commands/doctor.js')).doctor(to, flags.url, flags)),
  );
}
