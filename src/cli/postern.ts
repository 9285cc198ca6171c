#!/usr/bin/env node
/**
 * The command line, on yargs (the only file that imports it). Commands are loaded when they are run: `start` must be
 * listening before a user notices, and `--help` needs none of them.
 *
 * Exit codes: 0 done; 1 failure; 2 usage or configuration; `start` also 130 (SIGINT) and 143 (SIGTERM that cut
 * running transfers); `exec` that of its command.
 */
import { readFileSync } from 'node:fs';
import yargs, { type Argv } from 'yargs';
import { messageOf, ProxyError, type ErrorCode } from '../model/errors.js';
import { type Context, createContext, settingsOptions, STANDARD_INPUT } from './context.js';
import { createPrinter } from './print.js';

const USAGE_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'usage',
  'config-invalid',
  'config-unreadable',
  'secret-unreadable',
  'lease-invalid',
]);
const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

const { own, command } = splitCommand(process.argv.slice(2));
const printer = createPrinter();
const context = createContext(printer, version());

/** Runs one command and sets the exit code; a failure is printed, not thrown. */
function run(work: (context: Context) => Promise<number> | number): Promise<void> {
  return Promise.resolve()
    .then(() => work(context))
    .then(
      (code) => {
        process.exitCode = code;
      },
      (thrown: unknown) => {
        const error =
          thrown instanceof ProxyError ? thrown : new ProxyError('internal', messageOf(thrown), { todo: 'report this', cause: thrown });
        printer.failure(error);
        process.exitCode = USAGE_CODES.has(error.code) ? EXIT_USAGE : EXIT_FAILURE;
      },
    );
}

const configurable = (builder: Argv): Argv =>
  builder
    .option('config', { type: 'string', describe: 'configuration file', requiresArg: true, group: 'Settings:' })
    .options(settingsOptions());
const withJson = (builder: Argv): Argv => builder.option('json', { type: 'boolean', describe: 'print as JSON' });
const withAudit = (builder: Argv): Argv =>
  withJson(configurable(builder)).option('system', { type: 'boolean', describe: 'by the configuration of the system service' });
const withOrganisations = (builder: Argv): Argv =>
  configurable(builder).option('org', {
    type: 'string',
    array: true,
    describe: 'organisation at Azure DevOps; may be given more than once',
    requiresArg: true,
  });
const several = (describe: string) => ({ type: 'string', array: true, describe, requiresArg: true }) as const;
const withRestrictions = (builder: Argv): Argv =>
  builder
    .option('repo', several('organisation/project/repository, host/path, a pattern with * and **, or an address to clone'))
    .option('allow', several('fetch, push, lfs, api; with commas'))
    .option('for', { type: 'string', describe: 'how long, such as 2h', requiresArg: true })
    .option('ref', several("refs that may be pushed, such as 'refs/heads/agent/*'"))
    .option('protect', several('refs that may not be pushed, whatever --ref says'))
    .option('changes', several('create, update, delete, tag; with commas (for a new lease: create,update)'))
    .option('from', several('address or block that it may be used from, such as 10.0.0.0/8'))
    .option('uid', several('local user who may use it'));
const withHandOut = (builder: Argv): Argv =>
  builder
    .option('format', {
      type: 'string',
      default: 'text',
      describe: 'text, env, dotenv, gitconfig, json, azure-pipelines or devcontainer',
      requiresArg: true,
    })
    .option('door', { type: 'string', describe: 'address of the door as the holder reaches it', requiresArg: true })
    .option('ca-path', {
      type: 'string',
      describe: "file, where the lease is used, of the door's certificate authority",
      requiresArg: true,
    })
    .option('output', { type: 'string', describe: 'write it to a file that only you can read', requiresArg: true });

await yargs(own[0] === 'lease' ? own.map((word) => (word === '-' ? STANDARD_INPUT : word)) : own)
  .scriptName('postern')
  .usage('$0 <command>\n\nThe gate between git and Azure Repos: it adds the credential, so that git never holds one.')
  .command(
    'start',
    'Run the daemon in the foreground',
    (builder) =>
      configurable(builder)
        .option('system', { type: 'boolean', describe: 'read /etc/postern/config.yaml unless --config says otherwise' })
        .example('$0 start', 'with ~/.config/postern/config.yaml, or the Azure CLI for everything')
        .example('$0 start --log-level debug', 'one line for each request'),
    (flags) => run(async (to) => (await import('./commands/start.js')).start(to, flags)),
  )
  .command('stop', 'Stop the daemon; running transfers may finish', {}, () =>
    run(async (to) => (await import('./commands/stop.js')).stop(to)),
  )
  .command(
    'status',
    'Show what the daemon does, its identities and its latest failures',
    (builder) => withJson(builder).example('$0 status --json', 'for programs'),
    (flags) => run(async (to) => (await import('./commands/status.js')).status(to, { json: flags['json'] === true })),
  )
  .command(
    'kill <operation>',
    'End one running operation',
    (builder) =>
      withJson(builder)
        .positional('operation', { type: 'string', demandOption: true, describe: 'its number, as `postern status` shows it' })
        .example('$0 kill 17', 'its caller is told, its upstream let go; nothing else is disturbed'),
    (flags) => run(async (to) => (await import('./commands/kill.js')).kill(to, flags['operation'], { json: flags['json'] === true })),
  )
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
    (flags) => run(async (to) => (await import('./commands/setup.js')).setup(to, flags)),
  )
  .command(
    'env',
    'Print the same as environment variables, for one shell, job or container',
    (builder) =>
      withOrganisations(builder)
        .option('format', { type: 'string', default: 'sh', describe: 'sh, fish, powershell, dotenv, json or gitconfig', requiresArg: true })
        .example('eval "$($0 env)"', 'for this shell'),
    (flags) => run(async (to) => (await import('./commands/setup.js')).env(to, flags)),
  )
  .command(
    'exec',
    'Run a command beside a daemon of its own, which ends with it',
    (builder) =>
      withOrganisations(builder)
        .usage('$0 exec [options] -- COMMAND [ARGUMENTS]\n\nRun a command beside a daemon of its own, which ends with it')
        .example('$0 exec -- git clone https://dev.azure.com/contoso/web/_git/app', 'in a job, with nothing set up')
        .example("$0 exec -- sh -c 'git fetch && make'", 'for a whole script'),
    (flags) => run(async (to) => (await import('./commands/exec.js')).exec(to, flags, command)),
  )
  .command('config', 'Check or show the configuration', (builder) =>
    builder
      .command(
        'check',
        'Look for faults without starting anything',
        (inner) => configurable(inner).option('system', { type: 'boolean', describe: 'the configuration of the system service' }),
        (flags) => run(async (to) => (await import('./commands/config.js')).configCheck(to, flags)),
      )
      .command(
        'show',
        'Show every value in force',
        (inner) =>
          withJson(configurable(inner))
            .option('system', { type: 'boolean', describe: 'the configuration of the system service' })
            .option('origin', { type: 'boolean', describe: 'say where each value comes from' }),
        (flags) => run(async (to) => (await import('./commands/config.js')).configShow(to, flags)),
      )
      .command('schema', 'Print the JSON Schema, for editors', {}, () =>
        run(async (to) => (await import('./commands/config.js')).configSchema(to)),
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
          (flags) => run(async (to) => (await import('./commands/audit-verify.js')).auditVerify(to, flags)),
        )
        .command(
          'why <id>',
          'Say what decided an operation then, and what would be decided now',
          (inner) =>
            withAudit(inner)
              .positional('id', { type: 'string', demandOption: true, describe: 'number of the record, or chain:number' })
              .example('$0 audit why daemon:17', ''),
          (flags) => run(async (to) => (await import('./commands/audit-why.js')).auditWhy(to, flags['id'], flags)),
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
    (flags) => run(async (to) => (await import('./commands/audit.js')).audit(to, flags)),
  )
  .command('route', 'Look at routes', (builder) =>
    builder
      .command(
        'explain <url>',
        'Say how an address is read and which route it takes',
        (inner) =>
          withJson(configurable(inner))
            .positional('url', { type: 'string', demandOption: true, describe: 'the address as git clone is given it' })
            .example('$0 route explain https://dev.azure.com/contoso/web/_git/app', ''),
        (flags) => run(async (to) => (await import('./commands/route.js')).routeExplain(to, flags['url'], flags)),
      )
      .demandCommand(1, 'Say which: explain')
      .strict(),
  )
  .command('lease', 'Give out, narrow, list and end leases, by which others may use the door', (builder) =>
    builder
      .command(
        'create',
        'Give out a lease (asks the daemon)',
        (inner) =>
          withHandOut(withRestrictions(inner))
            .option('label', { type: 'string', describe: 'who holds it, for the audit', requiresArg: true })
            .example('$0 lease create --repo contoso/web/app --allow fetch --for 2h', 'for one job')
            .example('eval "$($0 lease create --repo contoso/web/app --allow fetch --for 2h --format env)"', 'for this shell')
            .example("$0 lease create --repo 'contoso/**' --allow fetch,push --ref 'refs/heads/agent/*' --for 1d", 'for an agent'),
        (flags) => run(async (to) => (await import('./commands/lease.js')).leaseCreate(to, flags)),
      )
      .command(
        'narrow [from-stdin]',
        'Make a smaller lease of the one in $POSTERN_LEASE or on standard input (needs no daemon)',
        (inner) =>
          withHandOut(withRestrictions(inner))
            .positional('from-stdin', { type: 'string', describe: '`-`: standard input, also when POSTERN_LEASE is set' })
            .example('$0 lease narrow --allow fetch --for 10m', 'of $POSTERN_LEASE, for a step of a job'),
        (flags) => run(async (to) => (await import('./commands/lease.js')).leaseNarrow(to, flags)),
      )
      .command(
        'list',
        'Show the leases that have not ended',
        (inner) => withJson(inner),
        (flags) => run(async (to) => (await import('./commands/lease.js')).leaseList(to, { json: flags['json'] === true })),
      )
      .command(
        'revoke <id...>',
        'End leases, and all that were narrowed from them',
        (inner) =>
          inner
            .positional('id', {
              type: 'string',
              array: true,
              demandOption: true,
              describe: 'id of a lease, or `-` for one on standard input',
            })
            .example('$0 lease revoke 3f2a9c0d11e8b764', ''),
        (flags) => run(async (to) => (await import('./commands/lease.js')).leaseRevoke(to, flags)),
      )
      .command(
        'explain [from-stdin]',
        'Say what the lease in $POSTERN_LEASE or on standard input is for, and whether it is valid',
        (inner) =>
          withJson(inner)
            .positional('from-stdin', { type: 'string', describe: '`-`: standard input, also when POSTERN_LEASE is set' })
            .example('$0 lease explain - < lease', ''),
        (flags) => run(async (to) => (await import('./commands/lease-explain.js')).leaseExplain(to, flags)),
      )
      .command(
        'rotate',
        'Seal new leases with a new key',
        (inner) => inner.option('forget-old', { type: 'boolean', describe: 'give up the older keys: ends every lease at once' }),
        (flags) => run(async (to) => (await import('./commands/lease.js')).leaseRotate(to, flags)),
      )
      .demandCommand(1, 'Say which: create, narrow, list, revoke, explain or rotate')
      .strict(),
  )
  .command('ssh-key', 'Make and show keys for routes with `ssh: agent`', (builder) =>
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
        (flags) => run(async (to) => (await import('./commands/ssh-key.js')).sshKeyCreate(to, flags)),
      )
      .command(
        'show',
        'Show which keys the agents hold, and which routes offer them',
        (inner) =>
          withJson(configurable(inner)).option('agent', {
            type: 'string',
            describe: 'socket of an agent; default: those of the routes, and SSH_AUTH_SOCK',
            requiresArg: true,
          }),
        (flags) => run(async (to) => (await import('./commands/ssh-key.js')).sshKeyShow(to, flags)),
      )
      .demandCommand(1, 'Say which: create or show')
      .strict(),
  )
  .demandCommand(1, 'Say what to do: one of the commands above')
  .strict()
  .version(context.version)
  .help()
  .wrap(Math.min(120, process.stdout.columns || 100))
  .fail((message, thrown, parser) => {
    // A failed command has printed its own failure; what comes here is what yargs itself has against the line.
    if ((thrown as Error | undefined) !== undefined && !message) throw thrown;
    parser.showHelp('error');
    printer.failure(new ProxyError('usage', message.replace(/ptl1_[\w-]*/g, '[lease]'), { todo: 'see `postern --help`' }));
    process.exit(EXIT_USAGE);
  })
  .parseAsync();

/** For `exec`, what stands after the first `--` is no business of ours. */
function splitCommand(words: readonly string[]): { own: string[]; command: string[] | undefined } {
  const at = words.indexOf('--');
  if (at < 0 || !words.slice(0, at).includes('exec')) return { own: [...words], command: undefined };
  return { own: words.slice(0, at), command: words.slice(at + 1) };
}

function version(): string {
  const found: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof found === 'object' && found !== null && 'version' in found && typeof found.version === 'string' ? found.version : 'unknown';
}
