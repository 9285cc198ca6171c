/** The commands that start the daemon, end it, and look at what it does. */
import { placed } from '../context.js';
import { configurable, withJson, withSystem, type Run, type Tree } from './words.js';

export function addLife(tree: Tree, run: Run): Tree {
  return tree
    .command(
      'start',
      'Run the daemon in the foreground',
      (builder) =>
        withSystem(configurable(builder))
          .example('$0 start', 'with ~/.config/postern/config.yaml, or the Azure CLI for everything')
          .example('$0 start --log-level debug', 'one line for each request'),
      (flags) => run(async (to) => (await import('../commands/start.js')).start(placed(to, flags), flags)),
    )
    .command(
      'stop',
      'Stop the daemon; running transfers may finish',
      (builder) => withSystem(builder),
      (flags) => run(async (to) => (await import('../commands/stop.js')).stop(placed(to, flags))),
    )
    .command(
      'status',
      'Show what the daemon does, its identities and its latest failures',
      (builder) => withSystem(withJson(builder)).example('$0 status --json', 'for programs'),
      (flags) => run(async (to) => (await import('../commands/status.js')).status(placed(to, flags), { json: flags['json'] === true })),
    )
    .command(
      'kill <operation>',
      'End one running operation',
      (builder) =>
        withSystem(withJson(builder))
          .positional('operation', { type: 'string', demandOption: true, describe: 'its number, as `postern status` shows it' })
          .example('$0 kill 17', 'its caller is told, its upstream let go; nothing else is disturbed'),
      (flags) =>
        run(async (to) =>
          (await import('../commands/kill.js')).kill(placed(to, flags), flags['operation'], { json: flags['json'] === true }),
        ),
    )
    .command(
      'wait',
      'Wait until the daemon is ready',
      (builder) =>
        withSystem(builder)
          .option('timeout', { type: 'string', default: '30s', describe: 'how long at most, such as 10s', requiresArg: true })
          .example('$0 wait --timeout 10s && git fetch', 'in a script that has just started it'),
      (flags) => run(async (to) => (await import('../commands/wait.js')).wait(placed(to, flags), { timeout: flags.timeout })),
    )
    .command(
      'reload',
      'Read the configuration again; what runs is not disturbed',
      (builder) =>
        withSystem(withJson(builder)).example('$0 reload', 'exit code 2, and the old configuration stays, when the new one cannot be used'),
      (flags) => run(async (to) => (await import('../commands/reload.js')).reload(placed(to, flags), { json: flags['json'] === true })),
    )
    .command(
      'log-level <level>',
      'Log more or less from now on: error, warn, info or debug',
      (builder) =>
        withSystem(builder)
          .positional('level', { type: 'string', demandOption: true, describe: 'error, warn, info or debug' })
          .example('$0 log-level debug', 'until it is started anew, or `log` of the configuration changes'),
      (flags) => run(async (to) => (await import('../commands/log-level.js')).logLevel(placed(to, flags), flags['level'])),
    );
}
