/** The commands about personal access tokens. */
import { placed } from '../context.js';
import { type Run, several, type Tree, withJson, withSystem } from './words.js';

const withPlace = (builder: Tree): Tree =>
  withSystem(withJson(builder))
    .positional('organization', {
      type: 'string',
      describe: 'organisation at Azure DevOps; may be left out when the configuration names one alone',
    })
    .option('identity', {
      type: 'string',
      describe: "identity by which its owner signs in; by default that of the organisation's first route",
      requiresArg: true,
    });

export function addPat(tree: Tree, run: Run): Tree {
  return tree.command('pat', 'Make, list and revoke personal access tokens, for tools that take nothing else', (builder) =>
    builder
      .command(
        'create [organization]',
        'Make a token for one organisation and print it, once (asks the daemon)',
        (inner) =>
          withPlace(inner)
            .option('scope', {
              ...several('code-read, code-write, packaging-read ..., or as Azure DevOps has it (vso.code); with commas'),
              default: ['code-read'],
            })
            .option('for', { type: 'string', default: '7d', describe: 'how long it lives, 365d at most', requiresArg: true })
            .option('name', { type: 'string', describe: 'by which its owner knows it; by default that of this machine', requiresArg: true })
            .example('$0 pat create contoso --for 1d | docker secret create pat -', 'to clone with')
            .example('$0 pat create contoso --scope packaging-read --json', 'for a package manager'),
        (flags) => run(async (to) => (await import('../commands/pat.js')).patCreate(placed(to, flags), flags)),
      )
      .command(
        'list [organization]',
        'Show the tokens of the owner that have not ended',
        (inner) => withPlace(inner).example('$0 pat list contoso', 'never the tokens themselves'),
        (flags) => run(async (to) => (await import('../commands/pat.js')).patList(placed(to, flags), flags)),
      )
      .command(
        'revoke <id> [organization]',
        'End a token for good',
        (inner) =>
          withPlace(inner)
            .positional('id', { type: 'string', demandOption: true, describe: 'its id, as `pat list` shows it; never the token itself' })
            .example('$0 pat revoke 7d1f6f70-0a4c-4b0e-9d8f-6f0d2a6d2f11', ''),
        (flags) => run(async (to) => (await import('../commands/pat.js')).patRevoke(placed(to, flags), flags)),
      )
      .demandCommand(1, 'Say which: create, list or revoke')
      .strict(),
  );
}
