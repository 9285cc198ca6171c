/** `postern service`: Postern as a service of this user's systemd, or of the system's: installed, taken away, looked at. */
import { existsSync, realpathSync } from 'node:fs';
import { mkdir, unlink } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { askStatus } from '../../daemon/admin.js';
import { ProxyError, systemCodeOf } from '../../model/errors.js';
import { writeFileAtomic } from '../../store/atomic-file.js';
import { type Context, loadFor, placed, type SettingsFlags } from '../context.js';
import { runProgram, Systemctl } from '../service/systemctl.js';
import {
  type Found,
  installedPaths,
  lookAt,
  type Scope,
  SYSUSERS_FILE,
  unitDirectory,
  type UnitFile,
  unitFiles,
  unitNames,
} from '../service/unit-files.js';

/** Where logind notes who lingers (loginctl(1)). */
const LINGERING = '/var/lib/systemd/linger';
/** What ProtectHome= hides from a service of the system. */
const HIDDEN_FROM_SYSTEM = /^\/(?:home|root|run\/user)\//;

/**
 * Installs the units, has systemd read them, and opens the doors; with `--start` the service starts at once and with each login.
 * @throws ProxyError `usage`, `service-failed`, `config-invalid`, `already-running`
 */
export async function serviceInstall(context: Context, flags: SettingsFlags): Promise<number> {
  const { printer } = context;
  const scope = scopeOf(flags);
  const isDry = flags['dry-run'] === true;
  if (!isDry) requireRoot(scope);
  const systemctl = new Systemctl(scope, context.environment);
  if (!isDry) await systemctl.version();
  const files = await wantedFiles(context, scope, flags);
  const looked = await Promise.all(files.map(async (file) => ({ ...file, ...(await lookAt(file.path)), wanted: file.text })));
  const kept = looked.filter(({ found, text, wanted }) => (found === 'changed' || found === 'foreign') && text !== wanted);
  if (kept.length > 0 && flags['force'] !== true) {
    throw new ProxyError('usage', 'A file that would be written was changed, or is not of `postern service install`', {
      details: kept.map(({ path }) => path),
      todo: 'keep what you changed as a drop-in (`systemctl edit`), then `postern service install --force`: the file is replaced, and a copy stays as FILE.saved',
    });
  }
  const { service, socket } = unitNames(scope);
  const enable = ['enable', '--now', ...(flags['start'] === true ? [socket, service] : [socket])];
  if (isDry) {
    for (const { path, wanted, text } of looked) {
      printer.line(text === wanted ? `Would leave ${path} as it is` : `Would write ${path}:`);
      if (text !== wanted) for (const line of wanted.trimEnd().split('\n')) printer.line(`  ${line}`);
    }
    if (scope === 'system') printer.line(`Would run systemd-sysusers ${SYSUSERS_FILE}`);
    for (const words of [['daemon-reload'], enable]) printer.line(`Would run ${systemctl.line(...words)}`);
    return 0;
  }
  await refuseOther(context, scope, systemctl);
  const written = looked.filter(({ text, wanted }) => text !== wanted);
  for (const { path, text, wanted } of written) {
    await mkdir(dirname(path), { recursive: true });
    if (kept.some((each) => each.path === path)) await writeFileAtomic(`${path}.saved`, text, { mode: 0o644 });
    await writeFileAtomic(path, wanted, { mode: 0o644 });
    printer.line(`Wrote ${path}`);
  }
  if (written.length === 0) printer.line('The units are up to date');
  if (scope === 'system') await makeUser(context);
  // What runs goes on with what it was started with.
  const was = await systemctl.properties(service, ['ActiveState']);
  const isOld = written.length > 0 && was['ActiveState'] === 'active';
  await systemctl.must('daemon-reload');
  await systemctl.must(...enable);
  const { Listen: listen = '' } = await systemctl.properties(socket, ['Listen']);
  printer.line(
    `${socket} is open${listen === '' ? '' : ` (${listen.replaceAll(/ \(Stream\)/g, '').replaceAll('\n', ', ')})`}; the first request starts ${service}`,
  );
  // `restart` of both together is refused by the socket while the service runs.
  const anew = `${systemctl.line('stop', socket, service)} && ${systemctl.line('start', socket, service)}`;
  if (isOld) printer.note(`The new units count when both are started anew: ${anew}`);
  tellLingering(context, scope);
  return 0;
}

/**
 * Ends the service and takes the installed files away; configuration and state stay.
 * @throws ProxyError `usage`, `service-failed`
 */
export async function serviceUninstall(context: Context, flags: SettingsFlags): Promise<number> {
  const { printer } = context;
  const scope = scopeOf(flags);
  const isDry = flags['dry-run'] === true;
  const { service, socket } = unitNames(scope);
  const files = await Promise.all(
    installedPaths(scope, unitDirectory(scope, context)).map(async (path) => ({ path, ...(await lookAt(path)) })),
  );
  const going = files.filter(({ found }) => found === 'ours' || (found === 'changed' && flags['force'] === true));
  const staying = files.filter((each) => each.found !== 'missing' && !going.includes(each));
  const isUnit = ({ path }: { path: string }): boolean => path !== SYSUSERS_FILE;
  const systemctl = new Systemctl(scope, context.environment);
  const disable = ['disable', '--now', socket, service];
  if (isDry) {
    if (going.some(isUnit)) printer.line(`Would run ${systemctl.line(...disable)}`);
    for (const { path } of going) printer.line(`Would remove ${path}`);
    if (going.some(isUnit)) printer.line(`Would run ${systemctl.line('daemon-reload')}`);
  } else if (going.length > 0) {
    requireRoot(scope);
    await systemctl.version();
    if (going.some(isUnit)) await systemctl.must(...disable);
    for (const { path } of going) {
      await unlink(path);
      printer.line(`Removed ${path}`);
    }
    await systemctl.must('daemon-reload');
    await systemctl.ask('reset-failed', socket, service);
  }
  for (const { path, found } of staying)
    printer.note(
      found === 'foreign'
        ? `${path} is not of \`postern service install\`, and stays`
        : `${path} was changed, and stays; --force removes it`,
    );
  if (files.every(({ found }) => found === 'missing')) printer.line('Nothing is installed');
  if (going.length > 0 && !isDry && scope === 'system')
    printer.line('The user postern and the group postern-admin stay, since files may belong to them');
  return staying.length > 0 ? 1 : 0;
}

/** Says what is installed and how it does; exit code 1 when it is not installed. */
export async function serviceStatus(context: Context, flags: SettingsFlags): Promise<number> {
  const { printer } = context;
  const scope = scopeOf(flags);
  const { service, socket } = unitNames(scope);
  const systemctl = new Systemctl(scope, context.environment);
  const version = await systemctl.version();
  const wanted = await wantedFiles(context, scope, flags).catch((): UnitFile[] => []);
  const files = await Promise.all(
    installedPaths(scope, unitDirectory(scope, context)).map(async (path) => {
      const { found, text } = await lookAt(path);
      const isOutdated = found === 'ours' && wanted.some((file) => file.path === path && file.text !== text);
      return { path, state: isOutdated ? ('outdated' as const) : found };
    }),
  );
  const unit = await systemctl.properties(service, [
    'ActiveState',
    'SubState',
    'StatusText',
    'MainPID',
    'UnitFileState',
    'Result',
    'NRestarts',
  ]);
  const door = await systemctl.properties(socket, ['ActiveState', 'UnitFileState']);
  const found = {
    scope,
    systemd: version,
    files,
    socket: { unit: socket, state: door['ActiveState'], enabled: door['UnitFileState'] === 'enabled' },
    service: {
      unit: service,
      state: unit['ActiveState'],
      detail: unit['SubState'],
      says: unit['StatusText'],
      pid: Number(unit['MainPID'] ?? 0) || undefined,
      enabled: unit['UnitFileState'] === 'enabled',
      result: unit['Result'],
      restarts: Number(unit['NRestarts'] ?? 0),
    },
    lingering: scope === 'user' ? isLingering() : undefined,
  };
  const isInstalled = files.every(({ state }) => state !== 'missing');
  if (flags['json'] === true) {
    printer.json({ installed: isInstalled, ...found });
    return isInstalled ? 0 : 1;
  }
  printer.line(`systemd ${version}, ${scope === 'user' ? 'services of this user' : 'services of the system'}`);
  for (const { path, state } of files) printer.line(`  ${path}  ${STATES[state]}`);
  printer.line(`  ${socket}  ${String(found.socket.state)}, ${found.socket.enabled ? 'enabled' : 'not enabled'}`);
  const restarts = found.service.restarts === 0 ? '' : `, restarted ${found.service.restarts} times`;
  printer.line(
    `  ${service}  ${String(found.service.state)} (${String(found.service.detail)}), ${found.service.result ?? 'unknown'}${restarts}`,
  );
  if (found.service.says !== undefined && found.service.says !== '') printer.line(`    ${found.service.says}`);
  tellLingering(context, scope);
  return isInstalled ? 0 : 1;
}

const STATES: Record<Found | 'outdated', string> = {
  ours: 'installed',
  changed: 'changed since it was installed',
  foreign: 'not of `postern service install`',
  missing: 'not installed',
  outdated: 'of another version or configuration; `postern service install` brings it up to date',
};

async function wantedFiles(context: Context, scope: Scope, flags: SettingsFlags): Promise<UnitFile[]> {
  const { settings } = await loadFor(context, flags);
  const node = realpathSync(process.execPath);
  const program = realpathSync(process.argv[1] ?? '');
  if (scope === 'system') {
    const hidden = [node, program].find((path) => HIDDEN_FROM_SYSTEM.test(path));
    if (hidden !== undefined)
      throw new ProxyError('usage', `${hidden} is in a home, where a service of the system does not look`, {
        todo: 'install Node.js and Postern for everyone, such as with `npm install --global`',
      });
  }
  const { stateDirectory } = placed(context, flags).places;
  return unitFiles({
    scope,
    templates: join(dirname(program), '..', 'systemd'),
    directory: unitDirectory(scope, context),
    node,
    program,
    configuration: typeof flags['config'] === 'string' ? settings.file : undefined,
    stateDirectory,
    auditDirectory: settings.audit.directory,
    listen: {
      http: await openable(settings.listen.http),
      ssh: settings.listen.ssh,
    },
  });
}

/** Without the optional ones that this system does not have. */
async function openable<T extends { readonly host: string; readonly optional: boolean }>(addresses: readonly T[]): Promise<readonly T[]> {
  const hasIPv6 = existsSync('/proc/net/if_inet6');
  return Promise.resolve(addresses.filter(({ host, optional }) => hasIPv6 || !optional || !host.includes(':')));
}

function scopeOf(flags: SettingsFlags): Scope {
  return flags['system'] === true ? 'system' : 'user';
}

function requireRoot(scope: Scope): void {
  if (scope === 'user' || process.getuid?.() === 0) return;
  throw new ProxyError('usage', 'A service of the system is installed by root', {
    todo: 'run it with sudo, or without --system for a service of your own',
  });
}

/** A daemon that someone started by hand holds the ports that the socket unit is to open. */
async function refuseOther(context: Context, scope: Scope, systemctl: Systemctl): Promise<void> {
  const { ActiveState: state } = await systemctl.properties(unitNames(scope).socket, ['ActiveState']);
  if (state === 'active') return;
  const running = await askStatus(placed(context, { system: scope === 'system' }).places.adminSocket).catch(() => undefined);
  if (running === undefined) return;
  throw new ProxyError(
    'already-running',
    `A postern that is no service is running (pid ${running.pid}, ${running.listen.http.join(', ')})`,
    {
      todo: 'end it with `postern stop`, then install again',
    },
  );
}

async function makeUser({ environment, printer }: Context): Promise<void> {
  const { code, stderr } = await runProgram('systemd-sysusers', [SYSUSERS_FILE], environment);
  if (code !== 0)
    throw new ProxyError('service-failed', `\`systemd-sysusers ${SYSUSERS_FILE}\` ended with ${code}`, {
      details: [stderr.trim()],
      todo: 'make the user postern and the group postern-admin by hand (useradd, groupadd), then install again',
    });
  printer.line('The service runs as the user postern; who is in the group postern-admin may use its admin socket');
}

/** Whether the services of this user stay when it logs out. */
export function isLingering(): boolean {
  try {
    return existsSync(join(LINGERING, userInfo().username));
  } catch (thrown) {
    // A uid without a name has nothing that could linger.
    if (systemCodeOf(thrown) !== undefined) return false;
    throw thrown;
  }
}

function tellLingering({ printer }: Context, scope: Scope): void {
  if (scope === 'system') return;
  if (isLingering()) printer.line('Lingering is on: the service stays when you log out');
  else printer.note('Lingering is off: the service ends when you log out; `loginctl enable-linger` keeps it, and opens the doors at boot');
}
