/** The command that finds out what is wrong. */
import { configurable, type Run, type Tree, withJson } from './words.js';

export function addDoctor(tree: Tree, run: Run): Tree {
  return tree.command(
    'doctor [url]',
    'Walk the road of an address, from git to the answer of the upstream, and say what is wrong',
    (builder) =>
      withJson(configurable(builder))
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
          (flags) => run(async (to) => (await import('../commands/doctor-record.js')).doctorRecord(to, flags.url, flags)),
        )
        .positional('url', { type: 'string', describe: 'the address as git clone is given it' })
        .option('read-only', { type: 'boolean', describe: 'only fetching is meant: nothing of a push is asked for' })
        .example('$0 doctor https://dev.azure.com/contoso/web/_git/app', ''),
    (flags) => run(async (to) => (await import('../commands/doctor.js')).doctor(to, flags.url, flags)),
  );
}
