/**
 * `postern setup` as a whole: asks what it has to know, shows what it will write, does it, and walks the road once. Nothing is written
 * before the last answer, and git is pointed at the door last of all: whoever stops halfway has a git that works as before.
 */
import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { askReload } from '../../daemon/life-actions.js';
import { ProxyError } from '../../model/errors.js';
import type { Settings } from '../../model/settings.js';
import { makeDirectory, writeFileAtomic } from '../../store/atomic-file.js';
import { canBeAsked } from '../colour.js';
import { walk } from '../commands/doctor.js';
import { login } from '../commands/login.js';
import { serviceInstall } from '../commands/service.js';
import { pointGit } from '../commands/point-git.js';
import { offerTls, settleAddresses } from '../commands/setup-address.js';
import { readyWithin } from '../commands/wait.js';
import { type Context, loadFor, type SettingsFlags } from '../context.js';
import { countText } from '../amounts.js';
import { rowLines } from '../doctor/print.js';
import { Systemctl } from '../service/systemctl.js';
import { unitNames } from '../service/unit-files.js';
import { visibleAll } from '../visible.js';
import { type Asker, Interrupted } from './asker.js';
import { nextStep } from './next-step.js';
import { editedFile, type Plan, planOf } from './plan.js';
import { serviceWork, type Standing, standingOf } from './standing.js';
import { askedWishes, flagWishes, unaskedWishes, type Wishes } from './wishes.js';

/** A start takes a fifth of a second; a machine that is busy starting may take more. */
const READY_MS = 30_000;
/** What a shell reports for a command that Ctrl-C ended. */
const EXIT_INTERRUPTED = 130;

/**
 * The exit code is 0 when all of it was done and the doctor found nothing that failed, 1 when the doctor did, 130 when it was interrupted.
 * @throws ProxyError `usage`, `git-config`, `service-failed`, `not-running`, `state-unusable`, and the faults of the configuration
 */
export async function firstRun(context: Context, flags: SettingsFlags): Promise<number> {
  const { printer } = context;
  const given = flagWishes(flags);
  const isAsking = flags['yes'] !== true && flags['dry-run'] !== true && canBeAsked();
  const asker = isAsking ? (await import('./terminal-asker.js')).terminalAsker() : undefined;
  const looking = printer.progress('Looking at what is on this machine');
  const standing = await standingOf(context, flags).finally(looking.end);
  try {
    const wishes = asker === undefined ? unaskedWishes(given, standing) : await askedWishes(given, standing, asker);
    await requireService(context, standing, wishes);
    const planning = printer.progress('Finding out what there is to write');
    const plan = await planOf(context, flags, standing, wishes).finally(planning.end);
    if (!(await isWanted(context, plan, flags, asker))) return 0;
    if (wishes.way?.before !== undefined && asker !== undefined) await beforehand(context, wishes.way.before, asker);
    return await carryOut(context, flags, { standing, wishes, plan });
  } catch (thrown) {
    if (!(thrown instanceof Interrupted)) throw thrown;
    printer.note('Interrupted: nothing was changed');
    return EXIT_INTERRUPTED;
  }
}

/** Said before anything is written, though it would be found out later too. */
async function requireService({ environment }: Context, standing: Standing, { isService }: Wishes): Promise<void> {
  const { service, daemon } = standing;
  if (isService && service.kind === 'impossible')
    throw new ProxyError('service-failed', service.why, {
      todo: 'leave --service out, and run `postern start` under whatever starts services here',
    });
  if (isService && daemon !== undefined && (service.kind === 'absent' || (service.kind === 'installed' && !service.isUp)))
    throw new ProxyError('already-running', `A postern that is no service is running (pid ${daemon.pid})`, {
      todo: 'end it with `postern stop`, then run setup again',
    });
  // One that is installed is started, and for that systemd has to answer.
  if (serviceWork(standing, isService) !== 'none') await new Systemctl('user', environment).version();
}

async function isWanted({ printer, home }: Context, plan: Plan, flags: SettingsFlags, asker: Asker | undefined): Promise<boolean> {
  if (flags['dry-run'] === true) {
    for (const line of plan.shown.whole) printer.line(line);
    printer.line('Nothing was changed');
    return false;
  }
  if (plan.isEmpty) {
    printer.line('Everything is set up already');
    return true;
  }
  if (asker !== undefined) printer.line('');
  for (const line of plan.shown.short) printer.line(shortened(line, home));
  if (asker === undefined) return true;
  const answer = await asker.choose('Do all of this?', [
    { value: 'yes', name: 'Yes' },
    { value: 'show', name: 'Show every line of it first' },
    { value: 'no', name: 'No, leave everything as it is' },
  ]);
  if (answer === 'yes') return true;
  if (answer === 'show') {
    for (const line of plan.shown.whole) printer.line(line);
    if (await asker.confirm('Do all of this?', true)) return true;
  }
  printer.line('Nothing was changed');
  return false;
}

/** With `~` for the home, as people write it: a line of the plan is to fit on a terminal. */
function shortened(line: string, home: string): string {
  return line.replaceAll(`${home}/`, '~/');
}

/** Signs in with the user's own tool, which speaks to the terminal itself. */
async function beforehand({ printer, environment }: Context, command: 'az login', asker: Asker): Promise<void> {
  if (!(await asker.confirm(`Run \`${command}\` now?`, true))) return;
  const [program = '', ...args] = command.split(' ');
  const code = await new Promise<number>((resolve) => {
    const child = spawn(program, args, { stdio: 'inherit', env: environment });
    child.on('error', () => resolve(1));
    child.on('close', (ended) => resolve(ended ?? 1));
  });
  if (code !== 0) printer.note(`\`${command}\` ended with ${code}; run it again when this is done`);
}

async function carryOut(
  context: Context,
  flags: SettingsFlags,
  { standing, wishes, plan }: { readonly standing: Standing; readonly wishes: Wishes; readonly plan: Plan },
): Promise<number> {
  const { printer, places } = context;
  await settleAddresses(context, plan.flags, false);
  if (plan.additions.length > 0) {
    const { file, former, edited } = await editedFile(context, flags, plan.additions);
    await makeDirectory(dirname(file));
    await writeFileAtomic(file, edited, { mode: 0o644 });
    printer.line(`${former === undefined ? 'Wrote' : 'Added to'} ${file}`);
  }
  const { settings } = await loadFor(context, flags);
  const hasDaemon = await bringUp(context, flags, standing, wishes);
  if (hasDaemon) {
    const waiting = printer.progress('Waiting for the daemon to be ready');
    await readyWithin(places.adminSocket, READY_MS).finally(waiting.end);
  }
  const signedIn = await signIn(context, flags, settings, plan.identity);
  if (signedIn !== 0) {
    printer.note('git is not set up yet: run `postern setup` again, which goes on from here');
    return signedIn;
  }
  await pointGit(context, settings, { ...flags, org: wishes.organisations }, { isSystem: false, isDry: false });
  await offerTls(context, settings);
  const found = hasDaemon ? await walked(context, flags) : 0;
  for (const line of nextStep({ hasDaemon, hasFailed: found !== 0, organisations: [...standing.organisations, ...wishes.organisations] }))
    printer.line(line);
  return found === 0 ? 0 : 1;
}

/** Whether there is a daemon afterwards, with the configuration of now in force. */
async function bringUp(context: Context, flags: SettingsFlags, standing: Standing, { isService }: Wishes): Promise<boolean> {
  const { printer, places, environment } = context;
  const work = serviceWork(standing, isService);
  const systemctl = new Systemctl('user', environment);
  const { socket, service } = unitNames('user');
  if (work !== 'none') {
    const starting = printer.progress('Starting the service');
    const started = work === 'install' ? serviceInstall(context, { ...flags, start: true }) : systemctl.must('start', socket, service);
    await Promise.resolve<unknown>(started).finally(starting.end);
  }
  if (standing.daemon === undefined) return work !== 'none';
  const outcome = await askReload(places.adminSocket);
  if (outcome?.kind !== 'failed') return outcome !== undefined;
  // What systemd holds open changes when both are started anew, and not before. `restart` of both is refused while the service runs.
  if (work !== 'none' && outcome.code === 'listen-failed') {
    const restarting = printer.progress('Starting the service again, because its doors change');
    await systemctl
      .must('stop', socket, service)
      .then(() => systemctl.must('start', socket, service))
      .finally(restarting.end);
    printer.line('Started the service again, because its doors change');
    return true;
  }
  throw new ProxyError('config-invalid', `The daemon keeps its old configuration: ${outcome.what}`, {
    details: outcome.details,
    todo: outcome.todo ?? 'correct it, and run setup again',
  });
}

/** Signs a person in, where somebody is there and nobody is signed in. The exit code of `login`. */
async function signIn(context: Context, flags: SettingsFlags, settings: Settings, name: string | undefined): Promise<number> {
  const identity = settings.identities.find((each) => each.name === name);
  if (identity?.kind !== 'browser' && identity?.kind !== 'device-code') return 0;
  if (await isSignedIn(context, identity.name)) return 0;
  if (!canBeAsked()) {
    context.printer.note(`Somebody has to sign in: \`postern login ${identity.name}\``);
    return 0;
  }
  return login(context, flags, identity.name, { way: undefined, isOpening: true, json: false });
}

async function isSignedIn({ places }: Context, name: string): Promise<boolean> {
  const status = await readyWithin(places.adminSocket, 0).catch(() => undefined);
  return status?.logins.find(({ identity }) => identity === name)?.login !== undefined;
}

/** Walks the road as `postern doctor` does, of each remote of the repository that this is run in, and tells what is not as it should be. */
async function walked(context: Context, flags: SettingsFlags): Promise<number> {
  const { printer } = context;
  const walking = printer.progress('Walking the road from git to Azure DevOps');
  // Not what setup was told: the doctor has flags of the same names.
  const { config, ...rest } = flags;
  const own = Object.fromEntries(Object.entries(rest).filter(([name]) => name.includes('-') && name !== 'dry-run'));
  const { rows } = await walk(context, undefined, { ...own, config }, { isPrinting: false }).finally(walking.end);
  const odd = rows.filter(({ verdict }) => verdict === 'failed' || verdict === 'warning');
  printer.line('');
  for (const row of odd) for (const line of rowLines(visibleAll(row), printer)) printer.line(line);
  const fine = rows.filter(({ verdict }) => verdict === 'ok').length;
  const failed = odd.filter(({ verdict }) => verdict === 'failed').length;
  const verdict = failed > 0 ? printer.bad(`${failed} FAILED`) : printer.good('nothing failed');
  printer.line(`${printer.bold('The road from git to Azure DevOps')}: ${countText(fine, 'check')} ok, ${verdict}`);
  return failed === 0 ? 0 : 1;
}
