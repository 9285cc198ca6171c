#!/usr/bin/env node
/**
 * The command line, on yargs (tree/ holds the commands). Commands are loaded when they are run: `start` must be
 * listening before a user notices, and `--help` needs none of them.
 *
 * Exit codes: 0 done; 1 failure; 2 usage or configuration; `start` also 130 (SIGINT) and 143 (SIGTERM that cut
 * running transfers); `exec` that of its command.
 */
import { readFileSync } from 'node:fs';
import yargs from 'yargs';
import { redact } from '../daemon/redaction.js';
import { messageOf, ProxyError, type ErrorCode } from '../model/errors.js';
import { COMPLETE } from './completion/scripts.js';
import { type Context, createContext } from './context.js';
import { endOnSignals } from './first-process.js';
import { createPrinter, outliveReaders } from './print.js';
import { splitLine } from './tree/line.js';
import { addAll } from './tree/tree.js';

const USAGE_CODES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'usage',
  'config-invalid',
  'config-unreadable',
  'secret-unreadable',
  'lease-invalid',
]);
const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;

endOnSignals();
outliveReaders();
const { own, command } = splitLine(process.argv.slice(2));
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

const words = process.argv.slice(2);
if (words[0] === COMPLETE) await run(async (to) => (await import('./completion/complete-line.js')).completeLine(to, words.slice(1)));
else if (words.length === 0) await run(async (to) => (await import('./commands/overview.js')).overview(to));
else await parse();

async function parse(): Promise<void> {
  const tree = yargs(own);
  addAll(tree, run, command);
  await tree
    .demandCommand(1, 'Say what to do: one of the commands above')
    .strict()
    .version(context.version)
    .help()
    .wrap(Math.min(120, process.stdout.columns || 100))
    .fail((message, thrown, parser) => {
      // A failed command has printed its own failure; what comes here is what yargs itself has against the line.
      if ((thrown as Error | undefined) !== undefined && !message) throw thrown;
      parser.showHelp('error');
      printer.failure(new ProxyError('usage', redact(message), { todo: 'see `postern --help`' }));
      process.exit(EXIT_USAGE);
    })
    .parseAsync();
}

function version(): string {
  const found: unknown = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  return typeof found === 'object' && found !== null && 'version' in found && typeof found.version === 'string' ? found.version : 'unknown';
}
