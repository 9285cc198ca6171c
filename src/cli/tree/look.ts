/** The commands that look at configuration, audit and routes. */
import { placed } from '../context.js';
import { configurable, withJson, withAudit, type Run, type Tree } from './words.js';

export function addLook(tree: Tree, run: Run): Tree {
  return tree
    .command('config', 'Check or show the configuration', (builder) =>
      builder
        .command(
          'check',
          'Look for faults without starting anything',
          (inner) =>
            configurable(inner)
              .option('system', { type: 'boolean', describe: 'the configuration of the system service' })
              .example('$0 config check --config ./postern.yaml', 'before it is put in its place'),
          (flags) => run(async (to) => (await import('../commands/config.js')).configCheck(to, flags)),
        )
        .command(
          'show',
          'Show every value in force',
          (inner) =>
            withJson(configurable(inner))
              .option('system', { type: 'boolean', describe: 'the configuration of the system service' })
              .option('origin', { type: 'boolean', describe: 'say where each value comes from' })
              .example('$0 config show --origin', 'flag, variable, file with line, or default'),
          (flags) => run(async (to) => (await import('../commands/config.js')).configShow(to, flags)),
        )
        .command(
          'schema',
          'Print the JSON Schema, for editors',
          (inner) => inner.example('$0 config schema > postern.schema.json', ''),
          () => run(async (to) => (await import('../commands/config.js')).configSchema(to)),
        )
        .demandCommand(1, 'Say which: check, show or schema')
        .strict(),
    )
    .command(
      'audit',
      'Show what was done and refused',
      (builder) =>
        withAudit(builder)
          .command(
            'verify',
            'Say whether the audit is what was written',
            (inner) => withAudit(inner).example('$0 audit verify', 'exit code 1 when something was done to it'),
            (flags) => run(async (to) => (await import('../commands/audit-verify.js')).auditVerify(placed(to, flags), flags)),
          )
          .command(
            'why <id>',
            'Say what decided an operation then, and what would be decided now',
            (inner) =>
              withAudit(inner)
                .positional('id', { type: 'string', demandOption: true, describe: 'number of the record, or chain:number' })
                .example('$0 audit why daemon:17', ''),
            (flags) => run(async (to) => (await import('../commands/audit-why.js')).auditWhy(placed(to, flags), flags['id'], flags)),
          )
          .option('repo', { type: 'string', describe: 'repositories: host/part/part with * and **, or a name alone', requiresArg: true })
          .option('lease', { type: 'string', describe: 'id or label of a lease', requiresArg: true })
          .option('verdict', { type: 'string', describe: 'passed, refused, failed, broken, client-gone or killed', requiresArg: true })
          .option('since', { type: 'string', describe: 'from this time on, or so long ago: 2026-01-31T08:00:00Z, 2h', requiresArg: true })
          .option('until', { type: 'string', describe: 'up to this time, or so long ago', requiresArg: true })
          .option('limit', { type: 'string', describe: 'at most so many, the latest; default 50', requiresArg: true })
          .option('follow', { type: 'boolean', describe: 'go on with what comes' })
          .example('$0 audit --verdict refused --since 1d', 'what was refused since yesterday')
          .example('$0 audit --follow --json', 'every record as it is written, one JSON object a line'),
      (flags) => run(async (to) => (await import('../commands/audit.js')).audit(placed(to, flags), flags)),
    )
    .command('route', 'Look at routes', (builder) =>
      builder
        .command(
          'explain <url>',
          'Say how an address is read, which route and identity it gets, and why',
          (inner) =>
            withJson(configurable(inner))
              .positional('url', { type: 'string', demandOption: true, describe: 'the address as git clone is given it' })
              .example('$0 route explain https://dev.azure.com/contoso/web/_git/app', ''),
          (flags) => run(async (to) => (await import('../commands/route.js')).routeExplain(to, flags['url'], flags)),
        )
        .demandCommand(1, 'Say which: explain')
        .strict(),
    );
}
