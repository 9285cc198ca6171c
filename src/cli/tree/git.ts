/** The commands that point git at the daemon. */
import { several, withOrganisations, type Run, type Tree } from './words.js';

export function addGit(tree: Tree, run: Run, command: readonly string[] | undefined): Tree {
  return tree
    .command(
      'setup',
      'Set everything up, asking on a terminal what it has to know; by flags or without a terminal it asks nothing',
      (builder) =>
        withOrganisations(builder)
          .option('yes', { type: 'boolean', describe: 'ask nothing, and take what a question would offer first' })
          .option('identity', {
            type: 'string',
            describe: 'how to sign in: a kind of identity, such as azure-cli, browser or device-code',
            requiresArg: true,
          })
          .option('with', several('KEY=VALUE of that identity, such as tenant=contoso.com or secret=env:NAME; may be given more than once'))
          .option('ssh', { type: 'boolean', describe: 'SSH remotes too; --no-ssh leaves them as they are' })
          .option('service', { type: 'boolean', describe: 'as a service of systemd, for this user; --no-service does not' })
          .option('dry-run', { type: 'boolean', describe: 'only show what would be written' })
          .option('undo', { type: 'boolean', describe: "take git's part back, byte for byte" })
          .option('system', { type: 'boolean', describe: "git's part, for all users of this machine (as root)" })
          .conflicts('system', ['yes', 'identity', 'with', 'ssh', 'service'])
          .conflicts('undo', ['yes', 'identity', 'with', 'ssh', 'service'])
          .example('$0 setup', 'asks, shows what it will write, does it, and walks the road once')
          .example('$0 setup --yes --identity azure-cli --org contoso', 'the same in a script')
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
