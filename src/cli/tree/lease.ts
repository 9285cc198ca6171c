/** The commands about leases. */
import { placed } from '../context.js';
import { withJson, withRestrictions, withHandOut, withSystem, type Run, type Tree } from './words.js';

export function addLease(tree: Tree, run: Run): Tree {
  return tree.command('lease', 'Give out, narrow, list and end leases, by which others may use the door', (builder) =>
    builder
      .command(
        'create',
        'Give out a lease (asks the daemon)',
        (inner) =>
          withSystem(withHandOut(withRestrictions(inner)))
            .option('label', { type: 'string', describe: 'who holds it, for the audit', requiresArg: true })
            .example('$0 lease create --repo contoso/web/app --allow fetch --for 2h', 'for one job')
            .example('eval "$($0 lease create --repo contoso/web/app --allow fetch --for 2h --format env)"', 'for this shell')
            .example("$0 lease create --repo 'contoso/**' --allow fetch,push --ref 'refs/heads/agent/*' --for 1d", 'for an agent'),
        (flags) => run(async (to) => (await import('../commands/lease.js')).leaseCreate(placed(to, flags), flags)),
      )
      .command(
        'narrow [from-stdin]',
        'Make a smaller lease of the one in $POSTERN_LEASE or on standard input (needs no daemon)',
        (inner) =>
          withHandOut(withRestrictions(inner))
            .positional('from-stdin', { type: 'string', describe: '`-`: standard input, also when POSTERN_LEASE is set' })
            .example('$0 lease narrow --allow fetch --for 10m', 'of $POSTERN_LEASE, for a step of a job'),
        (flags) => run(async (to) => (await import('../commands/lease.js')).leaseNarrow(to, flags)),
      )
      .command(
        'list',
        'Show the leases that have not ended',
        (inner) => withSystem(withJson(inner)).example('$0 lease list', 'who may do what until when'),
        (flags) => run(async (to) => (await import('../commands/lease.js')).leaseList(placed(to, flags), { json: flags['json'] === true })),
      )
      .command(
        'revoke <id...>',
        'End leases, and all that were narrowed from them',
        (inner) =>
          withSystem(inner)
            .positional('id', {
              type: 'string',
              array: true,
              demandOption: true,
              describe: 'id of a lease, or `-` for one on standard input',
            })
            .example('$0 lease revoke 3f2a9c0d11e8b764', ''),
        (flags) => run(async (to) => (await import('../commands/lease.js')).leaseRevoke(placed(to, flags), flags)),
      )
      .command(
        'explain [from-stdin]',
        'Say what the lease in $POSTERN_LEASE or on standard input is for, and whether it is valid',
        (inner) =>
          withSystem(withJson(inner))
            .positional('from-stdin', { type: 'string', describe: '`-`: standard input, also when POSTERN_LEASE is set' })
            .example('$0 lease explain - < lease', ''),
        (flags) => run(async (to) => (await import('../commands/lease-explain.js')).leaseExplain(placed(to, flags), flags)),
      )
      .command(
        'rotate',
        'Seal new leases with a new key',
        (inner) =>
          withSystem(inner)
            .option('forget-old', { type: 'boolean', describe: 'give up the older keys: ends every lease at once' })
            .example('$0 lease rotate', 'leases given out before stay good'),
        (flags) => run(async (to) => (await import('../commands/lease.js')).leaseRotate(placed(to, flags), flags)),
      )
      .demandCommand(1, 'Say which: create, narrow, list, revoke, explain or rotate')
      .strict(),
  );
}
