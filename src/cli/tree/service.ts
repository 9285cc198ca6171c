/** The commands about Postern as a service of systemd. */
import { withJson, withSystem, type Run, type Tree } from './words.js';

const withService = (builder: Tree): Tree =>
  withSystem(builder).option('config', { type: 'string', describe: 'configuration file, if it is not the usual one', requiresArg: true });
const withDry = (builder: Tree): Tree =>
  withService(builder)
    .option('dry-run', { type: 'boolean', describe: 'say what would be done, and do nothing' })
    .option('force', { type: 'boolean', describe: 'also where a file was changed since; a copy stays as FILE.saved' });

export function addService(tree: Tree, run: Run): Tree {
  return tree.command('service', 'Run Postern as a service of systemd', (builder) =>
    builder
      .command(
        'install',
        'Install its units and open its doors; the first request starts it',
        (inner) =>
          withDry(inner)
            .option('start', { type: 'boolean', describe: 'start it at once, and with each login (or boot)' })
            .example('$0 service install', 'for you alone')
            .example('sudo $0 service install --system', 'for a build host, as the user postern'),
        (flags) => run(async (to) => (await import('../commands/service.js')).serviceInstall(to, flags)),
      )
      .command(
        'uninstall',
        'End it and take its units away; configuration and state stay',
        (inner) => withDry(inner).example('$0 service uninstall --dry-run', 'says what it would do'),
        (flags) => run(async (to) => (await import('../commands/service.js')).serviceUninstall(to, flags)),
      )
      .command(
        'status',
        'Say what is installed, and how it does',
        (inner) => withJson(withService(inner)).example('$0 service status', 'exit code 1 when it is not installed'),
        (flags) => run(async (to) => (await import('../commands/service.js')).serviceStatus(to, flags)),
      )
      .demandCommand(1, 'Say which: install, uninstall or status')
      .strict(),
  );
}
