/** Rows of the daemon that runs: whether it does, which one it is, and whether it has what the configuration says. */
import { askStatus } from '../../daemon/admin.js';
import { portHolder } from '../../daemon/port-holder.js';
import { type DaemonStatus, routeState } from '../../daemon/status.js';
import type { CheckOutcome } from '../../model/check.js';
import { ProxyError } from '../../model/errors.js';
import type { Settings } from '../../model/settings.js';
import { baseOf } from '../commands/door-base.js';
import { keeperText } from '../login-text.js';
import type { Check, Walk } from './check.js';
import { doorOf } from './door-checks.js';
import { connectFault, isPostern } from './door-talk.js';
import { serviceStart } from './service-checks.js';

export const DAEMON_CHECKS: readonly Check[] = [
  { id: 'daemon', name: 'daemon', class: 'daemon', needs: ['configuration'], run: daemon },
  { id: 'daemon-version', name: 'its version', class: 'daemon', needs: ['daemon'], run: version },
  { id: 'daemon-configuration', name: 'its configuration', class: 'daemon', needs: ['daemon'], run: inForce },
  { id: 'sign-in-keeping', name: 'kept sign-ins', class: 'daemon', needs: ['daemon'], run: keeping },
];

async function daemon(walk: Walk): Promise<CheckOutcome> {
  const { context, found } = walk;
  const { adminSocket } = context.places;
  let status = await askStatus(adminSocket).catch((thrown: unknown) => {
    if (thrown instanceof ProxyError) return thrown;
    throw thrown;
  });
  const base = doorOf(walk);
  const isOpen = base !== undefined && (status === undefined || status instanceof ProxyError) && (await connectFault(base)) === undefined;
  if (isOpen) {
    const isOurs = await isPostern(base);
    // A service that waits for its first request has just been started by that one.
    if (status === undefined) status = await askStatus(adminSocket).catch(() => undefined);
    if (status === undefined || status instanceof ProxyError) return isOurs ? ofSomebodyElse(base) : await heldByOther(base);
  }
  if (status instanceof ProxyError) throw status;
  if (status === undefined) {
    const start = await serviceStart(walk);
    return {
      verdict: 'failed',
      text: `No postern is running (nothing answers on ${adminSocket})`,
      todo: start?.command ?? 'start it with `postern start` in a terminal of its own, or for good with `postern service install --start`',
      code: 'not-running',
      fix: start?.fix,
    };
  }
  found.status = status;
  const text = `runs since ${status.startedAt} (pid ${status.pid})`;
  if (status.state === 'draining')
    return {
      verdict: 'warning',
      text: `${text}, and is about to end: it takes nothing new`,
      todo: 'wait until it has ended, then start it again',
    };
  return { verdict: 'ok', text: status.state === 'starting' ? `${text}, and is starting` : text };
}

/** As for users of a machine whose Postern is somebody else's: the door is what matters to them, and its rows follow. */
function ofSomebodyElse(base: string): CheckOutcome {
  return {
    verdict: 'untried',
    text: `not tried: the Postern at ${base} is not of this user, and tells only its owner how it does (\`--system\` for the one of the system)`,
  };
}

async function heldByOther(base: string): Promise<CheckOutcome> {
  const holder = await portHolder(Number(new URL(base).port)).catch(() => undefined);
  return {
    verdict: 'failed',
    text: `No postern is running, and ${holder ?? 'something else'} holds ${base}`,
    todo: 'end it and run `postern start`, or write another port as `listen.http` of the configuration, run `postern setup` and start Postern',
    code: 'listen-failed',
  };
}

function version({ context, found: { status } }: Walk): CheckOutcome {
  const running = status?.version ?? 'unknown';
  if (running === context.version) return { verdict: 'ok', text: running };
  return {
    verdict: 'warning',
    text: `version ${running} is running, and this is ${context.version}`,
    todo: 'start it anew: `postern stop`, then as it was started (`systemctl --user restart postern` where it is a service)',
  };
}

function inForce({ found: { status, loaded } }: Walk): CheckOutcome {
  if (status === undefined || loaded === undefined) return { verdict: 'untried', text: 'not tried: nothing to compare' };
  const { settings } = loaded;
  const { reload, configuration } = status;
  if (reload?.kind === 'failed')
    return {
      verdict: 'warning',
      text: `its latest reading of the configuration was refused, and the one before is in force: ${reload.what}`,
      details: reload.details,
      todo: reload.todo === undefined ? 'mend it, then `postern reload`' : `${reload.todo}; then \`postern reload\``,
      code: 'config-invalid',
    };
  if (configuration !== settings.file)
    return {
      verdict: 'warning',
      text: `the daemon runs with ${configuration ?? 'no file'}, and this looked at ${settings.file ?? 'none'}`,
      todo: `name the file: \`postern doctor --config ${configuration ?? 'FILE'}\`; or start the daemon with the other one`,
    };
  const different = differences(settings, status);
  if (different.length > 0)
    return {
      verdict: 'warning',
      text: `what is in force is not what the configuration says: ${different.join(', ')}`,
      todo: 'postern reload (flags and variables of the environment count from a restart on)',
    };
  return { verdict: 'ok', text: 'what the configuration says is in force' };
}

/** Parts in which the two differ, as far as the status tells them. */
function differences(settings: Settings, status: DaemonStatus): string[] {
  const isLike = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other);
  const { local, remote, uids } = settings.access;
  const names = settings.identities.map(({ name, kind }) => `${name} ${kind}`).sort();
  const { port } = new URL(baseOf(settings));
  const isAsked = port !== '0' && !status.listen.http.some((each) => new URL(each).port === port);
  return [
    ...(isAsked ? [`listen.http (it listens on ${status.listen.http.join(', ')})`] : []),
    ...(isLike({ local, remote, uids }, pick(status.access)) ? [] : ['access']),
    ...(isLike(names, status.identities.map(({ name, kind }) => `${name} ${kind}`).sort()) ? [] : ['identities']),
    ...(isLike(settings.routes.map(routeState), status.routes) ? [] : ['routes']),
  ];
}

function pick({ local, remote, uids }: DaemonStatus['access']): DaemonStatus['access'] {
  return { local, remote, uids };
}

/** A key in a plain file is there because somebody asked for it; it is named all the same. */
function keeping({ found: { status } }: Walk): CheckOutcome {
  const kept = (status?.logins ?? []).flatMap(({ identity, login }) =>
    login === undefined ? [] : [`${identity}: sealed with ${keeperText(login.keptBy)}`],
  );
  return { verdict: 'ok', text: kept.length === 0 ? 'none' : kept.join('; ') };
}
