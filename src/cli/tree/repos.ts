/** The command that tells what there is to clone. */
import { placed } from '../context.js';
import { type Run, type Tree, withJson, withSystem } from './words.js';

export function addRepos(tree: Tree, run: Run): Tree {
  return tree.command(
    'repos <organization> [filter]',
    'List projects and repositories with the addresses to clone them by (asks the daemon)',
    (builder) =>
      withSystem(withJson(builder))
        .positional('organization', {
          type: 'string',
          demandOption: true,
          describe: 'organisation at Azure DevOps, or address of it or of a collection (https://tfs.example.com/tfs/DefaultCollection)',
        })
        .positional('filter', { type: 'string', describe: "text anywhere in project/repository, or a glob such as 'Payments/*'" })
        .option('project', { type: 'string', describe: 'of this project alone, by name or id', requiresArg: true })
        .option('identity', {
          type: 'string',
          describe: 'identity that asks; by default the one that a route gives all of it',
          requiresArg: true,
        })
        .example('$0 repos contoso', 'everything that the identity of the route may see')
        .example("$0 repos contoso 'web*' --json", 'for a tool that clones from a list')
        .example('$0 repos https://tfs.example.com/tfs/DefaultCollection --project Payments', ''),
    (flags) =>
      run(async (to) =>
        (await import('../commands/repos.js')).repos(placed(to, flags), { organization: flags.organization, filter: flags.filter }, flags),
      ),
  );
}
