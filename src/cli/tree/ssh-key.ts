/** The commands about keys for SSH. */
import { configurable, withJson, several, type Run, type Tree } from './words.js';

export function addSshKey(tree: Tree, run: Run): Tree {
  return tree.command('ssh-key', 'Make and show keys for routes with `ssh: agent`', (builder) =>
    builder
      .command(
        'create',
        'Make a key and add it to the agent',
        (inner) =>
          withJson(inner)
            .option('name', { type: 'string', describe: 'the file is ~/.ssh/postern_NAME; default: azure', requiresArg: true })
            .option('file', { type: 'string', describe: 'another file', requiresArg: true })
            .option('type', { type: 'string', default: 'rsa', describe: 'rsa (all that Azure takes) or ed25519', requiresArg: true })
            .option('comment', { type: 'string', describe: 'what stands beside it in lists', requiresArg: true })
            .option('passphrase', { type: 'boolean', default: true, describe: 'ask for one; --no-passphrase leaves the file open' })
            .option('agent', { type: 'string', describe: 'socket of the agent; default: SSH_AUTH_SOCK', requiresArg: true })
            .option('org', several('organisation at Azure DevOps, for the address of its page'))
            .example('$0 ssh-key create --org contoso', 'asks for a passphrase, and says where the public half goes'),
        (flags) => run(async (to) => (await import('../commands/ssh-key.js')).sshKeyCreate(to, flags)),
      )
      .command(
        'show',
        'Show which keys the agents hold, and which routes offer them',
        (inner) =>
          withJson(configurable(inner))
            .option('agent', {
              type: 'string',
              describe: 'socket of an agent; default: those of the routes, and SSH_AUTH_SOCK',
              requiresArg: true,
            })
            .example('$0 ssh-key show', 'with the fingerprints for `key` of a route'),
        (flags) => run(async (to) => (await import('../commands/ssh-key.js')).sshKeyShow(to, flags)),
      )
      .demandCommand(1, 'Say which: create or show')
      .strict(),
  );
}
