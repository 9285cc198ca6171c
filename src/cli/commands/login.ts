/**
 * `postern login` and `postern logout`: people sign in for an identity, and are forgotten. Where a daemon runs it keeps the sign-in,
 * because it is who must be able to open it; else this process does.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { askStatus } from '../../daemon/admin.js';
import { askForget, askKeep, type Forgotten } from '../../daemon/identity-actions.js';
import type { DaemonStatus } from '../../daemon/status.js';
import { signInCommand } from '../../identity/entra-remedy.js';
import { signInPlace, signInWithBrowser, signInWithCode } from '../../identity/login-flow.js';
import { ANY_TENANT, type Login, type PersonIdentity, writeRecord } from '../../identity/login-record.js';
import { secretVariables } from '../../identity/sources.js';
import type { DevicePrompt } from '../../identity/person-client.js';
import { systemClock } from '../../model/clock.js';
import { ProxyError } from '../../model/errors.js';
import type { IdentitySettings, Settings } from '../../model/settings.js';
import type { LoginKeeper } from '../../model/sign-in.js';
import { loginStore } from '../../store/login-store.js';
import { signInHttp } from '../../upstream/sign-in-http.js';
import { type Context, loadFor, type SettingsFlags } from '../context.js';
import { accountText, keeperText } from '../login-text.js';
import { browserCommand, openBrowser } from '../open-browser.js';
import { unitDirectory, unitNames } from '../service/unit-files.js';
import { visible } from '../visible.js';

/** Somebody is there who may be asked for the password of their keyring. */
const KEYRING_MS = 20_000;
/** What a shell reports for a command that Ctrl-C ended. */
const EXIT_INTERRUPTED = 130;
/** Timers of the clock do not keep a process alive; this one does. */
const KEEP_ALIVE_MS = 60_000;

export interface LoginOptions {
  /** By `--device-code` or `--browser`; undefined is what the kind of the identity says. */
  readonly way: 'device-code' | 'browser' | undefined;
  /** Whether a browser may be started here. */
  readonly isOpening: boolean;
  readonly json: boolean;
}

/** @throws ProxyError `usage`, `login-failed`, `state-unusable`, `login-unreadable`, `not-running` for a daemon that does not answer */
export async function login(context: Context, flags: SettingsFlags, name: string | undefined, options: LoginOptions): Promise<number> {
  const { settings } = await loadFor(context, flags);
  const identity = personIdentity(settings, name);
  const { printer, places, environment } = context;
  // Before anybody is asked for a password: whether the daemon can be given what comes of it.
  const daemon = await askStatus(places.adminSocket);
  const wanted = wantedClaims(daemon, identity.name);
  const ended = new AbortController();
  const interrupt = (): void => ended.abort();
  process.once('SIGINT', interrupt);
  const alive = setInterval(() => undefined, KEEP_ALIVE_MS);
  try {
    const way = {
      identity,
      authority: signInPlace(identity, environment),
      now: () => systemClock.now(),
      tenant: identity.tenant ?? wanted?.tenant ?? ANY_TENANT,
      claims: wanted?.claims,
      send: signInHttp({ environment, connectMs: settings.timeouts.connect, timeoutMs: settings.timeouts.token }),
    };
    const helpers = { clock: systemClock, signal: ended.signal };
    const made =
      (options.way ?? identity.kind) === 'device-code'
        ? await signInWithCode(way, { ...helpers, show: (prompt) => showCode(context, identity.name, prompt) })
        : await byBrowser(context, way, settings, { ...helpers, isOpening: options.isOpening });
    const keptBy = await keep(context, identity.name, made);
    tell(context, identity.name, made, keptBy, options.json);
    if (daemon !== undefined && !daemon.identities.some((each) => each.name === identity.name))
      printer.note(`postern: the running daemon has no identity ${identity.name} yet; it uses the sign-in once its configuration has`);
    return 0;
  } catch (thrown) {
    if (!ended.signal.aborted || !(thrown instanceof ProxyError)) throw thrown;
    printer.failure(thrown);
    return EXIT_INTERRUPTED;
  } finally {
    clearInterval(alive);
    process.off('SIGINT', interrupt);
  }
}

/** @throws ProxyError `usage`, `state-unusable` */
export async function logout(
  context: Context,
  flags: SettingsFlags,
  name: string | undefined,
  { json }: { json: boolean },
): Promise<number> {
  const { printer, places } = context;
  // One that the configuration no longer has may still be kept.
  const identity = name ?? personIdentity((await loadFor(context, flags)).settings, undefined).name;
  const forgotten: Forgotten = (await askForget(places.adminSocket, identity)) ?? {
    login: await storeOf(context).forget(identity),
    tokens: 0,
  };
  if (json) {
    printer.json({ identity, ...forgotten.login?.label, wasSignedIn: forgotten.login !== undefined, tokens: forgotten.tokens });
    return 0;
  }
  const { login, tokens } = forgotten;
  const held = tokens === 0 ? '' : tokens === 1 ? ', and the token that the daemon held' : `, and ${tokens} tokens that the daemon held`;
  if (login === undefined)
    printer.line(`Nobody was signed in for identity ${visible(identity)}${held === '' ? '' : `; forgotten is${held.slice(5)}`}`);
  else if (login.label === undefined)
    printer.line(`Forgotten: what was kept for identity ${visible(identity)}, which did not tell whose it was${held}`);
  else printer.line(visible(`Forgotten: the sign-in of ${accountText(login.label)} for identity ${identity}${held}`));
  return 0;
}

/** The identity that is meant, if it is one that people sign in for. */
function personIdentity({ identities }: Settings, name: string | undefined): PersonIdentity {
  const people = identities.filter(isPersonIdentity);
  const names = people.map((each) => each.name).join(', ');
  if (name === undefined) {
    const [only, ...more] = people;
    if (only === undefined)
      throw new ProxyError('usage', 'The configuration has no identity that people sign in for', {
        todo: 'add one to `identities`, such as `me: { kind: browser }`, and a route that names it',
      });
    if (more.length > 0)
      throw new ProxyError('usage', 'There are several identities that people sign in for', { todo: `name one of them: ${names}` });
    return only;
  }
  const found = identities.find((each) => each.name === name);
  if (found === undefined)
    throw new ProxyError('usage', `The configuration has no identity ${visible(name)}`, {
      todo: names === '' ? 'add it to `identities`' : `name one of ${names}`,
    });
  if (!isPersonIdentity(found))
    throw new ProxyError('usage', `Identity ${name} is of kind ${found.kind}, which signs in elsewhere`, { todo: elsewhere(found) });
  return found;
}

function isPersonIdentity(identity: IdentitySettings): identity is PersonIdentity {
  return identity.kind === 'browser' || identity.kind === 'device-code';
}

/** What to do for an identity whose sign-in is not ours. */
function elsewhere(identity: Exclude<IdentitySettings, PersonIdentity>): string {
  switch (identity.kind) {
    case 'azure-cli':
    case 'azure-developer-cli':
    case 'azure-powershell':
      return `run \`${signInCommand(identity) ?? ''}\` as the user of the daemon`;
    case 'git-credential':
      return 'sign in as the credential helper of git wants it, such as by a `git fetch` that goes past Postern';
    case 'pat':
    case 'basic':
      return 'put the new secret where `secret` of the identity points';
    case 'none':
    case 'passthrough':
      return 'nothing: it holds no credential of its own';
    case 'client-secret':
    case 'client-certificate':
    case 'workload-identity':
    case 'managed-identity':
    case 'azure-pipelines':
      return 'nothing: it is no person, and signs in by itself';
  }
}

/** Claims that the daemon waits for, and the tenant that wants them. */
function wantedClaims(daemon: DaemonStatus | undefined, name: string): { claims: string; tenant: string | undefined } | undefined {
  const waiting = daemon?.identities.find((each) => each.name === name)?.variants.find(({ claims }) => claims !== undefined);
  if (waiting?.claims === undefined) return undefined;
  return { claims: waiting.claims, tenant: waiting.variant === '' ? undefined : waiting.variant };
}

async function byBrowser(
  { printer, environment }: Context,
  way: Parameters<typeof signInWithBrowser>[0],
  { identities }: Settings,
  { isOpening, ...helpers }: Pick<LoginOptions, 'isOpening'> & { readonly clock: typeof systemClock; readonly signal: AbortSignal },
): Promise<Login> {
  const lines = createInterface({ input: process.stdin, terminal: false });
  const hidden = secretVariables(identities);
  const passedOn = Object.fromEntries(Object.entries(environment).filter(([key]) => !hidden.includes(key) && !key.startsWith('POSTERN_')));
  try {
    return await signInWithBrowser(way, {
      ...helpers,
      pasted: lines,
      complain: (text) => printer.note(text),
      show: (address) => {
        const command = isOpening ? browserCommand(address, environment) : undefined;
        printer.note(
          `Sign in for identity ${way.identity.name} in ${command === undefined ? 'a' : 'the'} browser${command === undefined ? '' : ' that opens'}:`,
        );
        printer.note(`  ${visible(address)}`);
        printer.note(
          'If the browser is on another machine, it ends at an address that begins with http://localhost and cannot be opened there: paste that address here.',
        );
        if (command !== undefined)
          openBrowser(command, passedOn, (program) => printer.note(`${visible(program)} could not be started: open the address yourself`));
      },
    });
  } finally {
    lines.close();
    process.stdin.destroy();
  }
}

function showCode({ printer }: Context, identity: string, { address, code, expiresInSeconds }: DevicePrompt): void {
  printer.note(visible(`Open ${address} in a browser on any machine, and enter the code ${code} to sign in for identity ${identity}`));
  printer.note(`The code is good for ${Math.round(expiresInSeconds / 60)} minutes; Ctrl-C gives up`);
}

async function keep(context: Context, identity: string, { record, label }: Login): Promise<LoginKeeper | undefined> {
  const what = { text: writeRecord(record), label };
  const byDaemon = await askKeep(context.places.adminSocket, identity, what);
  return byDaemon === undefined ? (await storeOf(context).write(identity, what, undefined))?.keptBy : byDaemon.keptBy;
}

/** The store when no daemon is there to do it. The unit of the service hides the session bus: it could not open what the keyring seals. */
function storeOf(context: Context) {
  const { places, environment } = context;
  const isService = existsSync(join(unitDirectory('user', context), unitNames('user').service));
  return loginStore({ stateDirectory: places.stateDirectory, environment, keyringMs: isService ? undefined : KEYRING_MS });
}

function tell({ printer }: Context, identity: string, { label }: Login, keptBy: LoginKeeper | undefined, json: boolean): void {
  if (json) {
    printer.json({ identity, ...label, keptBy });
    return;
  }
  printer.line(visible(`Signed in as ${accountText(label)} for identity ${identity}`));
  if (keptBy !== undefined) printer.line(visible(`  sealed with ${keeperText(keptBy)}`));
}
