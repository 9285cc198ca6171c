/** The command that finds out what is wrong. */
import { placed } from '../context.js';
import { configurable, type Run, type Tree, withJson, withSystem } from './words.js';

export function addDoctor(tree: Tree, run: Run): Tree {
  return tree.command(
    'doctor [url]',
    'Walk the road of an address, from git to the answer of the upstream, and say what is wrong',
    (builder) =>
      withSystem(withJson(configurable(builder)))
        .command(
          'record [url]',
          'Write what the upstream answers there to a file for a report: shapes alone, without names or secrets',
          (inner) =>
            configurable(inner)
              .positional('url', { type: 'string', describe: 'the address as git clone is given it; by default the remote `origin` here' })
              .option('output', {
                alias: 'o',
                type: 'string',
                describe: 'file to write, or - for the terminal; by default postern-record-DAY.json',
                requiresArg: true,
              })
              .option('dry-run', { type: 'boolean', describe: 'ask and say what would be written, and write nothing' })
              .option('force', { type: 'boolean', describe: 'also over a file that is there' })
              .example('$0 doctor record https://dev.azure.com/contoso/web/_git/app', ''),
          (flags) => run(async (to) => (await import('../commands/doctor-record.js')).doctorRecord(placed(to, flags), flags.url, flags)),
        )
        .positional('url', {
          type: 'string',
          describe: 'the address as git clone is given it; without it, those of the remotes of the repository here',
        })
        .option('read-only', { type: 'boolean', describe: 'only fetching is meant: pushes are not tried' })
        .option('fix', { type: 'boolean', describe: 'mend what can be mended safely; asks before each' })
        .option('yes', { type: 'boolean', describe: 'with --fix: do not ask', implies: 'fix' })
        .example('$0 doctor https://dev.azure.com/contoso/web/_git/app', '')
        .example('$0 doctor', 'in a repository: all its remotes; elsewhere: what all addresses have in common')
        .example('$0 doctor --fix', 'shows the command for each thing, and asks'),
    (flags) => run(async (to) => (await import('../commands/doctor.js')).doctor(placed(to, flags), flags.url, flags)),
  );
}
