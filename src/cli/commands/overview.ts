/** `postern` with nothing behind it: in what state things are, and the one next step. */
import { askStatus } from '../../daemon/admin.js';
import type { DaemonStatus } from '../../daemon/status.js';
import { ProxyError } from '../../model/errors.js';
import { spanText } from '../amounts.js';
import { type Context, loadFor } from '../context.js';
import { serviceState, type ServiceState } from '../first-run/standing.js';
import { Git } from '../gitconfig/git.js';
import { readJournal } from '../gitconfig/journal.js';
import { placesFor } from '../gitconfig/places.js';
import { accountText } from '../login-text.js';
import type { Palette } from '../print.js';
import { visible, visibleAll } from '../visible.js';

/** What went wrong longer ago is no news, and mostly mended. */
const RECENT_MS = 60 * 60 * 1000;

/** Everything that the lines are made of. */
export interface Overview {
  readonly version: string;
  /** Path, none at all, or what is wrong with it. */
  readonly configuration:
    { readonly kind: 'file'; readonly path: string } | { readonly kind: 'none' } | { readonly kind: 'faulty'; readonly what: string };
  /** `elsewhere`: set up, and git goes another way all the same. */
  readonly git:
    | { readonly kind: 'set-up'; readonly base: string }
    | { readonly kind: 'not-set-up' }
    | { readonly kind: 'elsewhere' }
    | { readonly kind: 'fault'; readonly what: string };
  readonly service: ServiceState;
  readonly daemon: DaemonStatus | undefined;
}

/** Always 0: there is nothing that could have been asked for in vain. */
export async function overview(context: Context): Promise<number> {
  const [configuration, git, service, daemon] = await Promise.all([
    configurationOf(context),
    gitOf(context),
    serviceState(context),
    askStatus(context.places.adminSocket).catch(() => undefined),
  ]);
  for (const line of overviewLines(
    { version: context.version, configuration, git, service, daemon: visibleAll(daemon) },
    Date.now(),
    context.printer,
  ))
    context.printer.line(line);
  return 0;
}

/** `now` in ms since the epoch. */
export function overviewLines(found: Overview, now: number, palette: Palette): string[] {
  const { version, daemon, service } = found;
  const rows: [name: string, text: string][] = [
    ['configuration', configurationText(found, palette)],
    ['git', gitText(found, palette)],
    ['service', service.kind === 'installed' ? 'installed' : service.kind === 'absent' ? 'not installed' : `none: ${visible(service.why)}`],
    ['daemon', daemonText(daemon, now, palette)],
    ...(daemon === undefined ? [] : daemon.identities.map((each): [string, string] => ['identity', identityText(each, daemon, palette)])),
    ...latestFailure(daemon, now, palette),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return [
    `${palette.bold('postern')} ${version}`,
    ...rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`),
    '',
    `Next: ${stepOf(found, now)}`,
    'All commands: postern --help',
  ];
}

async function configurationOf(context: Context): Promise<Overview['configuration']> {
  try {
    const { file } = (await loadFor(context, {})).settings;
    return file === undefined ? { kind: 'none' } : { kind: 'file', path: file };
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown;
    return { kind: 'faulty', what: thrown.message };
  }
}

/** Asked of git itself, with an address that every set-up has a rule for. */
async function gitOf({ environment, home, workingDirectory }: Context): Promise<Overview['git']> {
  try {
    const git = new Git(environment, home, workingDirectory);
    await git.requireVersion();
    const { journal } = await placesFor({ env: environment, home });
    const asked = 'https://dev.azure.com/-/';
    const answer = (await git.run(['ls-remote', '--get-url', asked])).stdout.toString().trim();
    const base = /^(https?:\/\/[^/]+\/)dev\.azure\.com\//.exec(answer)?.[1];
    if (base !== undefined) return { kind: 'set-up', base };
    return (await readJournal(journal)) === undefined ? { kind: 'not-set-up' } : { kind: 'elsewhere' };
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown;
    return { kind: 'fault', what: thrown.message };
  }
}

function configurationText({ configuration }: Overview, { bad }: Palette): string {
  switch (configuration.kind) {
    case 'file':
      return visible(configuration.path);
    case 'none':
      return 'none: built-in defaults';
    case 'faulty':
      return bad(visible(configuration.what));
  }
}

function gitText({ git }: Overview, { good, bad }: Palette): string {
  switch (git.kind) {
    case 'set-up':
      return good(`goes to Azure DevOps by ${visible(git.base)}`);
    case 'not-set-up':
      return 'goes to Azure DevOps by itself: it is not set up';
    case 'elsewhere':
      return bad('is set up, and does not go by Postern');
    case 'fault':
      return bad(visible(git.what));
  }
}

function daemonText(daemon: DaemonStatus | undefined, now: number, { good, wary }: Palette): string {
  if (daemon === undefined) return 'not running';
  const { state, pid, startedAt, reload } = daemon;
  const text = `${state} (pid ${pid}, for ${spanText(now - new Date(startedAt).getTime())})`;
  if (reload?.kind === 'failed') return wary(`${text}; the configuration of now is NOT in force`);
  return state === 'ready' ? good(text) : wary(text);
}

function identityText(
  { name, kind, state, failure, variants }: DaemonStatus['identities'][number],
  { logins }: DaemonStatus,
  { good, bad, wary }: Palette,
): string {
  if (state === 'failing') return bad(`${name} (${kind}): ${failure ?? 'failing'}`);
  const login = logins.find(({ identity }) => identity === name);
  if (login !== undefined)
    return login.login === undefined
      ? wary(`${name} (${kind}): nobody is signed in`)
      : good(`${name} (${kind}): ${accountText(login.login.label)}`);
  const account = variants.find((each) => each.account !== undefined)?.account;
  return state === 'ready'
    ? good(`${name} (${kind})${account === undefined ? '' : `: ${account}`}`)
    : `${name} (${kind}): not asked for a token yet`;
}

function latestFailure(daemon: DaemonStatus | undefined, now: number, { wary }: Palette): [string, string][] {
  const record = daemon === undefined ? undefined : daemon.failures.at(-1);
  if (record?.failure === undefined || !isRecent(record, now)) return [];
  const ago = spanText(now - new Date(record.startedAt).getTime());
  return [['latest failure', wary(`${ago} ago, ${record.kind} ${record.repository}: ${record.failure.what}`)]];
}

/** The one thing to do next, by what stands first in the way. */
function stepOf({ configuration, git, service, daemon }: Overview, now: number): string {
  if (configuration.kind === 'faulty') return '`postern config check` says what is wrong with the configuration';
  if (git.kind === 'fault') return '`postern doctor` says what git lacks';
  if (git.kind === 'not-set-up') return '`postern setup` asks what it has to know, and sets all of it up';
  if (daemon === undefined)
    return service.kind === 'installed' ? 'start it with `systemctl --user start postern`' : 'start it with `postern start`';
  if (daemon.reload?.kind === 'failed') return '`postern reload` says what is wrong with the configuration';
  const nobody = daemon.logins.find(({ login }) => login === undefined);
  if (nobody !== undefined) return `sign in with \`postern login ${nobody.identity}\``;
  const failing = daemon.identities.find(({ state }) => state === 'failing');
  if (git.kind === 'elsewhere' || failing !== undefined) return '`postern doctor` says what is wrong, and what to do';
  const latest = daemon.failures.at(-1);
  if (latest !== undefined && isRecent(latest, now)) return '`postern status` tells the latest failures, and what to do about each';
  return 'nothing: clone, fetch and push as always';
}

/** A date is text once it has been through JSON. */
function isRecent({ startedAt }: { readonly startedAt: Date | string }, now: number): boolean {
  return now - new Date(startedAt).getTime() < RECENT_MS;
}
