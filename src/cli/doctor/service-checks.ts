/** Rows of Postern as a service of systemd. Where there is no systemd they say so, and nothing is wrong. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { CheckOutcome } from '../../model/check.js';
import { ProxyError } from '../../model/errors.js';
import { isLingering } from '../commands/service.js';
import { runProgram, Systemctl } from '../service/systemctl.js';
import { type Scope, unitDirectory, unitNames } from '../service/unit-files.js';
import type { Check, Walk } from './check.js';

export const SERVICE_CHECKS: readonly Check[] = [
  { id: 'service', name: 'service', class: 'daemon', needs: [], run: service },
  { id: 'service-socket', name: 'socket of the service', class: 'daemon', needs: ['service'], run: serviceSocket },
  { id: 'lingering', name: 'lingering', class: 'daemon', needs: ['service'], run: lingering },
];

/** Restarts after which a service that runs now is worth a word. */
const MANY_RESTARTS = 3;

interface Unit {
  readonly systemctl: Systemctl;
  readonly scope: Scope;
  readonly service: string;
  readonly socket: string;
}

/** The units, if they are installed and systemd can be asked; else what is to be said. */
async function unitOf(walk: Walk): Promise<Unit | CheckOutcome> {
  const { context, flags } = walk;
  const scope: Scope = flags['system'] === true ? 'system' : 'user';
  const names = unitNames(scope);
  const systemctl = new Systemctl(scope, context.environment);
  const isInstalled = existsSync(join(unitDirectory(scope, context), names.service));
  try {
    await systemctl.version();
  } catch (thrown) {
    if (!(thrown instanceof ProxyError)) throw thrown;
    if (!isInstalled) return { verdict: 'ok', text: `none: ${thrown.message}` };
    return {
      verdict: 'warning',
      text: `it is installed, and systemd cannot be asked: ${thrown.message}`,
      todo: thrown.todo ?? 'see the text above',
      code: thrown.code,
    };
  }
  if (!isInstalled) return { verdict: 'ok', text: 'not installed: Postern is started by hand, or by something else' };
  return { systemctl, scope, ...names };
}

async function service(walk: Walk): Promise<CheckOutcome> {
  const unit = await unitOf(walk);
  if ('verdict' in unit) return unit;
  const names = ['ActiveState', 'SubState', 'Result', 'NRestarts', 'LoadState', 'UnitFileState'];
  const state = await unit.systemctl.properties(unit.service, names);
  const said = `${unit.service} is ${state['ActiveState'] ?? 'unknown'} (${state['SubState'] ?? 'unknown'})`;
  const restarts = Number(state['NRestarts'] ?? 0);
  if (state['LoadState'] === 'masked')
    return {
      verdict: 'failed',
      text: `${unit.service} is masked`,
      todo: unit.systemctl.line('unmask', unit.service),
      code: 'service-failed',
    };
  if (state['ActiveState'] === 'failed' || state['SubState'] === 'auto-restart') {
    return {
      verdict: 'failed',
      text: `${said}: ${state['Result'] ?? 'unknown'}${restarts === 0 ? '' : `, restarted ${restarts} times`}`,
      details: await lastLines(walk, unit),
      todo: `mend what its log says (\`journalctl ${unit.scope === 'user' ? '--user ' : ''}-u ${unit.service}\`), then \`${unit.systemctl.line('restart', unit.service)}\``,
      code: 'service-failed',
      fix: startFix(walk, unit, ['restart', unit.service]),
    };
  }
  if (restarts >= MANY_RESTARTS)
    return {
      verdict: 'warning',
      text: `${said}, and was restarted ${restarts} times`,
      details: await lastLines(walk, unit),
      todo: `see why: journalctl ${unit.scope === 'user' ? '--user ' : ''}-u ${unit.service}`,
      code: 'service-failed',
    };
  return { verdict: 'ok', text: said };
}

async function serviceSocket(walk: Walk): Promise<CheckOutcome> {
  const unit = await unitOf(walk);
  if ('verdict' in unit) return { verdict: 'ok', text: 'none' };
  const { systemctl, socket } = unit;
  const state = await systemctl.properties(socket, ['ActiveState', 'UnitFileState', 'Result']);
  const isEnabled = state['UnitFileState'] === 'enabled';
  if (state['ActiveState'] !== 'active')
    return {
      verdict: 'failed',
      text: `${socket} is ${state['ActiveState'] ?? 'unknown'}: nothing opens the doors before the service runs`,
      todo: systemctl.line('enable', '--now', socket),
      code: 'service-failed',
      fix: startFix(walk, unit, ['enable', '--now', socket]),
    };
  if (!isEnabled)
    return {
      verdict: 'warning',
      text: `${socket} is open, and is not enabled: it will not be after the next login or boot`,
      todo: systemctl.line('enable', socket),
      fix: startFix(walk, unit, ['enable', socket]),
    };
  return { verdict: 'ok', text: `${socket} is open` };
}

async function lingering(walk: Walk): Promise<CheckOutcome> {
  const unit = await unitOf(walk);
  if ('verdict' in unit) return { verdict: 'ok', text: 'no service of this user' };
  if (unit.scope === 'system') return { verdict: 'ok', text: 'a service of the system needs none' };
  if (isLingering()) return { verdict: 'ok', text: 'on: the service stays when you log out' };
  walk.fixes.set('lingering', {
    commands: ['loginctl enable-linger'],
    mend: async () => {
      const { code, stderr } = await runProgram('loginctl', ['enable-linger'], walk.context.environment);
      if (code !== 0) throw new ProxyError('service-failed', `\`loginctl enable-linger\` ended with ${code}`, { details: [stderr.trim()] });
      return ['The service stays when you log out'];
    },
  });
  return {
    verdict: 'warning',
    text: 'off: the service ends when you log out',
    todo: 'loginctl enable-linger',
    fix: 'lingering',
  };
}

/** How `--fix` starts a unit; gives the fix's name. */
function startFix({ fixes }: Walk, { systemctl, service: name }: Unit, words: readonly string[]): string {
  const fix = `systemctl-${words.join('-')}`;
  fixes.set(fix, {
    commands: [systemctl.line(...words)],
    mend: async () => {
      // A unit that failed too often is not started again before that is forgotten (systemctl(1), reset-failed).
      await systemctl.ask('reset-failed', name);
      await systemctl.must(...words);
      return [`${words.at(-1) ?? name} is started`];
    },
  });
  return fix;
}

/** The fix and the command for a service that does not run; undefined where there is none installed. */
export async function serviceStart(walk: Walk): Promise<{ readonly fix: string; readonly command: string } | undefined> {
  const unit = await unitOf(walk);
  if ('verdict' in unit) return undefined;
  const words = ['start', unit.service];
  return { fix: startFix(walk, unit, words), command: unit.systemctl.line(...words) };
}

const LINES = 6;

/** What the program itself said last: a line of the log holds no secret. systemd's own lines say only that it ended. */
async function lastLines({ context }: Walk, { scope, service: name }: Unit): Promise<string[]> {
  const own = scope === 'user' ? ['--user', `_SYSTEMD_USER_UNIT=${name}`] : [`_SYSTEMD_UNIT=${name}`];
  const words = ['--no-pager', '-o', 'cat', '-n', String(LINES), ...own];
  const { code, stdout } = await runProgram('journalctl', words, context.environment);
  return code === 0 ? stdout.split('\n').filter((line) => line.trim() !== '') : [];
}
