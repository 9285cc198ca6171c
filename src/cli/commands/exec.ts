/**
 * `postern exec -- COMMAND`: a daemon in this very process that lives as long as the command does. It has a private directory and a port
 * of its own, so that it runs beside a service and beside others like it, and git's rules for it are in the command's environment
 * alone. The command's exit code is ours.
 */
import type { LoadedSettings } from '../../config/load-settings.js';
import { Daemon } from '../../daemon/daemon.js';
import { guardProcess } from '../../daemon/guard-process.js';
import { type DaemonLog, openLog } from '../../daemon/log.js';
import { systemClock } from '../../model/clock.js';
import { ProxyError } from '../../model/errors.js';
import type { Settings } from '../../model/settings.js';
import { countText } from '../amounts.js';
import { type Context, loadFor, requireFiles, type SettingsFlags } from '../context.js';
import { type CommandEnd, exitCodeOf, runCommand, Signals } from '../exec/command.js';
import { commandEnvironment } from '../exec/command-environment.js';
import { commandLease } from '../exec/command-lease.js';
import { makePrivateDirectory, type PrivateDirectory } from '../exec/private-directory.js';
import { Git } from '../gitconfig/git.js';
import { placesFor } from '../gitconfig/places.js';
import { organisationsIn } from './point-git.js';

/** The chain of the audit that runs of `exec` write; those that run at once have one each. */
const AUDIT_CHAIN = 'exec';
/** A drain that takes longer than this is explained; one that a command has just left takes milliseconds. */
const SILENT_DRAIN_MS = 1_000;

/**
 * Runs the command beside a daemon of its own, and ends the process with the command's exit code: 128 and the number of the signal that
 * ended it, 127 when it was not found, 126 when it cannot be run.
 * @throws ProxyError when it cannot start; the command has not begun then, and nothing is left behind
 */
export async function exec(context: Context, flags: SettingsFlags, argv: readonly string[] | undefined): Promise<never> {
  if (argv === undefined || argv.length === 0) {
    throw new ProxyError('usage', 'No command was given', { todo: 'write it after `--`: `postern exec -- git clone URL`' });
  }
  const loaded = await loadFor(context, flags);
  await requireFiles(context, loaded);
  const settings = settingsFor(loaded);
  hideLeaseKey(loaded.settings, context.environment);
  const log = openLog({ level: settings.log.level, format: formatOf(settings) });
  guardProcess(log);
  for (const warning of loaded.warnings) log.log('warn', 'config-warning', { what: warning });
  const signals = new Signals();
  const directory = await makePrivateDirectory(context.environment);
  let end: CommandEnd;
  try {
    end = await runBeside(context, { argv, flags, settings, log, signals, directory });
  } catch (thrown) {
    signals.release();
    throw thrown;
  } finally {
    await directory.remove();
  }
  if (end.failure !== undefined) context.printer.failure(end.failure);
  await log.close();
  // Not by running out of work: a token request or an `az` that nobody waits for any more may go on for half a minute.
  process.exit(end.code);
}

interface Run {
  readonly argv: readonly string[];
  readonly flags: SettingsFlags;
  readonly settings: Settings;
  readonly log: DaemonLog;
  readonly signals: Signals;
  readonly directory: PrivateDirectory;
}

async function runBeside(context: Context, { argv, flags, settings, log, signals, directory }: Run): Promise<CommandEnd> {
  const { environment, version, workingDirectory, home, places } = context;
  // Takes the variables that hold secrets out of the environment, before any child could inherit them.
  const daemon = new Daemon({
    settings,
    environment,
    places: directory.places,
    log,
    clock: systemClock,
    version,
    // Not in the private directory: it is to last.
    audit: { stateDirectory: places.stateDirectory, chain: AUDIT_CHAIN },
  });
  await daemon.start();
  try {
    const git = new Git(environment, home, workingDirectory);
    await git.requireVersion();
    const { variables, lost } = await commandEnvironment({
      git,
      environment,
      workingDirectory,
      base: daemon.status().listen.http[0] ?? '',
      argv,
      organisations: organisationsIn(flags),
      routes: settings.routes,
      lease: await commandLease(settings, directory.places.adminSocket),
      owned: (await placesFor({ env: environment, home })).owned,
      directory: directory.path,
    });
    for (const { insteadOf, base } of lost) {
      log.log('warn', 'config-warning', {
        what: `git still takes ${insteadOf} to ${base}: a rule in its configuration wins over this command's; take it away (\`postern setup --undo\`), or use git 2.32 or newer`,
      });
    }
    if (signals.first !== undefined) return { code: exitCodeOf(signals.first) };
    return await runCommand(argv, { ...environment, ...Object.fromEntries(variables.map(({ name, value }) => [name, value])) }, signals);
  } finally {
    await drain(daemon, signals, context);
  }
}

/** Stops the daemon: new requests are refused, running ones may finish, and a signal cuts them short. */
async function drain(daemon: Daemon, signals: Signals, { printer }: Context): Promise<void> {
  signals.onOther(() => void daemon.stop('SIGINT'));
  const explaining = setTimeout(() => {
    const { running, betweenRequests } = daemon.status();
    printer.note(
      `postern: waiting for ${countText(running.length + betweenRequests.length, 'operation')} that the command left running; Ctrl-C cuts short`,
    );
  }, SILENT_DRAIN_MS);
  await daemon.stop('admin');
  clearTimeout(explaining);
}

/**
 * What the configuration says, but for what belongs to a service. Loopback and a free port, whatever `listen` says. No TLS: it
 * keeps others from taking the port of a daemon that is down, and this port is held from before the command begins until
 * after it ends (docs/decisions/0012-exec-has-a-door-of-its-own.md).
 */
function settingsFor({ settings, effective }: LoadedSettings): Settings {
  const isAsked = effective.some(({ path, origin }) => path === 'log.level' && origin !== 'default');
  return {
    ...settings,
    listen: { http: [{ host: '127.0.0.1', port: 0, optional: false }], ssh: [], names: [], tls: { kind: 'off' } },
    // A key that others share would seal a lease that is good for their doors too; their list of revoked ones goes with it.
    access: {
      ...settings.access,
      leaseKey: undefined,
      revocations: settings.access.leaseKey === undefined ? settings.access.revocations : undefined,
    },
    // Nobody has to be told first that it is going.
    drain: { min: 0, max: settings.drain.max },
    telemetry: { listen: [] },
    // The terminal is the command's.
    log: { ...settings.log, level: isAsked ? settings.log.level : 'warn' },
  };
}

/** The daemon takes the variables that it reads out of the environment; this one it does not read. */
function hideLeaseKey({ access: { leaseKey } }: Settings, environment: Record<string, string | undefined>): void {
  // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- because the variable's name comes from the configuration
  if (leaseKey?.kind === 'env') delete environment[leaseKey.name];
}

function formatOf({ log }: Settings): 'human' | 'json' {
  if (log.format !== 'auto') return log.format;
  return process.stderr.isTTY ? 'human' : 'json';
}
