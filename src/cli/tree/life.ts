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
      'Stop the daemon, and wait until it has ended; what has begun may finish',
      (builder) =>
        withSystem(builder)
          .option('wait', { type: 'boolean', default: true, describe: 'wait until it has ended' })
          .option('timeout', { type: 'string', describe: 'how long at most, such as 10s', requiresArg: true })
          .example('$0 stop --no-wait', 'only says so to the daemon')
          .example('$0 stop --timeout 1m', 'exit code 1 when it has not ended by then; it goes on stopping'),
      (flags) =>
        run(async (to) => (await import('../commands/stop.js')).stop(placed(to, flags), { isWaiting: flags.wait, timeout: flags.timeout })),
    )
    .command(
      'status',
      'Show what the daemon does, its identities and its latest failures',
      (builder) =>
        withSystem(withJson(builder))
          .option('all', { type: 'boolean', describe: 'show long lists to their end' })
          .option('watch', { type: 'boolean', describe: 'go on showing it, each second, until q or Ctrl-C' })
          .example('$0 status --watch', 'refreshed in place; arrows scroll')
          .example('$0 status --json', 'for programs')
          .example('$0 status --watch --json', 'one JSON object a line, each second'),
      (flags) =>
        run(async (to) =>
          (await import('../commands/status.js')).status(placed(to, flags), {
            json: flags['json'] === true,
            all: flags.all === true,
            watch: flags.watch === true,
          }),
        ),
    )
    .command(
      'dashboard',
      'Open the status page in a browser of this machine',
      (builder) =>
        withSystem(builder)
          .option('print', { type: 'boolean', describe: 'print the path of the file that opens it, and open nothing' })
          .option('file', {
            type: 'string',
            describe: 'write that file there; for a browser that may not read everywhere',
            requiresArg: true,
          })
          .example('$0 dashboard', 'ends when the page is open; `postern stop` closes it')
          .example('$0 dashboard --file ~/postern.html', 'for a browser from snap or flatpak'),
      (flags) =>
        run(async (to) =>
          (await import('../commands/dashboard.js')).dashboard(placed(to, flags), to.places, {
            isPrinting: flags.print === true,
            file: flags.file,
          }),
        ),
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
