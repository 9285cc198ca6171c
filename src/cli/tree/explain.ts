/** The command that explains a code. */
import { type Run, type Tree, withJson } from './words.js';

export function addExplain(tree: Tree, run: Run): Tree {
  return tree.command(
    'explain [code]',
    'Say what a code of a failure means, and what to do; without one, list all of them',
    (builder) =>
      withJson(builder)
        .positional('code', { type: 'string', describe: 'as the last line of a failure names it, or a code of Azure DevOps' })
        .example('$0 explain no-route', '')
        .example('$0 explain TF401019', 'whatever speaks of it'),
    (flags) => run(async (to) => (await import('../commands/explain.js')).explain(to, flags.code, { json: flags['json'] === true })),
  );
}
