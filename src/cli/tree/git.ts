/** The commands that point git at the daemon. */
import { withOrganisations, type Run, type Tree } from './words.js';

export function addGit(tree: Tree, run: Run, command: readonly string[] | undefined): Tree {
  return tree
    .command(
      'setup',
      'Point git at the daemon',
      (builder) =>
        withOrganisations(builder)
          .option('dry-run', { type: 'boolean', describe: 'only show what would be written' })
          .option('undo', { type: 'boolean', describe: 'take it back, byte for byte' })
          .option('system', { type: 'boolean', describe: 'for all users of this machine (as root)' })
          .example('$0 setup --org contoso', 'also for https://contoso@dev.azure.com/ and contoso.visualstudio.com')
          .example('$0 setup --undo', 'as if it had never been'),
      (flags) => run(async (to) => (await import('../commands/setup.js')).setup(to, flags)),
    )
    .command(
      'env',
      'Print the same as environment variables, for one shell, job or container',
      (builder) =>
        withOrganisations(builder)
          .option('format', {
            type: 'string',
            default: 'sh',
            describe: 'sh, fish, powershell, dotenv, json or gitconfig',
            requiresArg: true,
          })
          .example('eval "$($0 env)"', 'for this shell'),
      (flags) => run(async (to) => (await import('../commands/setup.js')).env(to, flags)),
    )
    .command(
      'exec',
      'Run a command beside a daemon of its own, which ends with it',
      (builder) =>
        withOrganisations(builder)
          .usage('$0 exec [options] -- COMMAND [ARGUMENTS]\n\nRun a command beside a daemon of its own, which ends with it')
          .example('$0 exec -- git clone https://dev.azure.com/contoso/web/_git/app', 'in a job, with nothing set up')
          .example("$0 exec -- sh -c 'git fetch && ./build.sh'", 'for a whole script'),
      (flags) => run(async (to) => (await import('../commands/exec.js')).exec(to, flags, command)),
    );
}
