/**
 * What `postern setup` looks at before and after it points git at the doors' addresses: are they free, and who else could hold them.
 */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { SCALARS } from '../../config/scalar-settings.js';
import { settingsPath } from '../../config/settings-file.js';
import { appendListen, listenLines, type WrittenDoors } from '../../config/write-listen.js';
import { hasTls, hostInUrl } from '../../http/listener-tls.js';
import { ProxyError } from '../../model/errors.js';
import type { ListenAddress, Settings } from '../../model/settings.js';
import { makeDirectory, writeFileAtomic } from '../../store/atomic-file.js';
import { type Context, loadFor, type SettingsFlags, surroundingsOf } from '../context.js';
import { otherLoginUsers } from '../login-users.js';
import { baseOf } from './door-base.js';
import { freePort, holderOf } from './door-port.js';

/** The SSH door comes second: by then it is known which port the other one has. */
const DOORS = ['http', 'ssh'] as const;
type Door = (typeof DOORS)[number];

/** A door whose default port something else has, and the port that it gets instead. */
interface Move {
  readonly door: Door;
  readonly taken: number;
  readonly port: number;
}

/**
 * The settings to set git up for. Where something else has the default address of a door, and the configuration names none for
 * it, a free port is written into the configuration first, of both doors at once; a dry run only says so. An address that was
 * chosen is never changed.
 * @throws ProxyError `usage` when the file cannot be added to, or no port is free; the faults of the configuration
 */
export async function settleAddresses(context: Context, flags: SettingsFlags, isDry: boolean): Promise<Settings> {
  const loaded = await loadFor(context, flags);
  const moves: Move[] = [];
  let settings = loaded.settings;
  for (const door of DOORS) {
    const fixed = settings.listen[door].filter(({ port }) => port !== 0);
    if (fixed.length === 0 || (await holderOf(context, fixed, flags['system'] === true ? 'system' : 'user')) !== 'something-else') continue;
    const taken = fixed[0]?.port ?? 0;
    const key = `listen.${door}`;
    if (loaded.effective.find(({ path }) => path === key)?.origin !== 'default') {
      context.printer.line(`warning: something that is not this Postern listens on port ${taken}, which \`${key}\` names`);
      context.printer.line(`  what to do: stop it, or write another port into \`${key}\`, and run setup again`);
      continue;
    }
    const port = await freePort(
      key,
      fixed,
      settings.listen[door === 'http' ? 'ssh' : 'http'].map((other) => other.port),
    );
    moves.push({ door, taken, port });
    settings = { ...settings, listen: { ...settings.listen, [door]: settings.listen[door].map((each) => ({ ...each, port })) } };
  }
  if (moves.length === 0) return settings;
  await writeMoves(
    context,
    { file: settingsPath(surroundingsOf(context, flags))?.path, isThere: settings.file !== undefined, isDry },
    moves,
  );
  return isDry ? settings : (await loadFor(context, flags)).settings;
}

/**
 * Writes the new addresses at the end of the configuration, and says so.
 * @throws ProxyError `usage` when it cannot be added to
 */
async function writeMoves(
  context: Context,
  { file, isThere, isDry }: { file: string | undefined; isThere: boolean; isDry: boolean },
  moves: readonly Move[],
): Promise<void> {
  const doors = Object.fromEntries(moves.map(({ door, port }) => [door, [defaultAt(door, port)]]));
  const entries = moves.map(({ door, port }) => `${door}: ${defaultAt(door, port)}`);
  const block = `listen: { ${entries.join(', ')} }`;
  const ports = `${moves.length === 1 ? 'Port' : 'Ports'} ${moves.map(({ taken }) => taken).join(' and ')}`;
  const former = isThere && file !== undefined ? await readFile(file) : undefined;
  const edit = appendListen(former, doors, `${ports} ${moves.length === 1 ? 'was' : 'were'} in use when \`postern setup\` ran.`);
  if (file === undefined || edit.kind === 'by-hand') {
    const isUnder = edit.kind === 'by-hand' && edit.hasListen;
    const lines = isUnder ? `${entries.map((entry) => `\`${entry}\``).join(' and ')} under \`listen\` in` : `\`${block}\` into`;
    throw new ProxyError(
      'usage',
      moves.length === 1
        ? `${ports} is in use by something else, and lines at the end of the configuration would not set another`
        : `${ports} are in use by something else, and lines at the end of the configuration would not set others`,
      { todo: `write ${lines} ${file ?? 'a configuration'}` },
    );
  }
  const { line } = context.printer;
  for (const { door, taken } of moves)
    line(`Port ${taken} is in use by something else, and the configuration names none for the ${door.toUpperCase()} door`);
  line(`${isDry ? 'Would write' : 'Wrote'} \`${block}\` ${former === undefined ? 'to' : 'at the end of'} ${file}`);
  if (isDry) return;
  await makeDirectory(dirname(file));
  await writeFileAtomic(file, edit.bytes, { mode: 0o644 });
}

/** The default address of a door with another port. */
function defaultAt(door: Door, port: number): string {
  return SCALARS[`listen.${door}`].fallback.replace(/[0-9]+$/, String(port));
}

/** Where others can log in and the door is plain: says what could happen, and what to write against it. */
export async function offerTls(context: Context, settings: Settings): Promise<void> {
  if (settings.listen.http.every(({ host }) => hasTls(settings.listen.tls, host))) return;
  const others = await otherLoginUsers(context.environment['PATH']);
  if (others.length === 0) return;
  const shown = others.slice(0, 3).join(', ') + (others.length > 3 ? ` and ${others.length - 3} more` : '');
  const { line } = context.printer;
  const file = settings.file ?? settingsPath(surroundingsOf(context, {}))?.path ?? 'the configuration';
  line(`Others can log in on this machine: ${shown}. While the daemon is down, any of them could hold ${new URL(baseOf(settings)).host},`);
  line('collect the leases that git sends there, and serve forged code. TLS keeps them from both.');
  line(
    `  what to do: write this into ${file}${file === settings.file ? ', in place of any `listen` in it' : ''}, start the daemon again, and run setup again`,
  );
  for (const each of listenLines(writtenDoors(settings), 'auto')) line(`  | ${each}`);
}

/** The doors as they can stand in the file. The SSH door is named where it is not at its default, which would come back without. */
function writtenDoors({ listen }: Settings): WrittenDoors {
  const ssh = listen.ssh.length === 0 ? ['off'] : writtenAddresses(listen.ssh);
  const isDefault = ssh.join() === SCALARS['listen.ssh'].fallback;
  return { http: writtenAddresses(listen.http), ssh: isDefault ? undefined : ssh };
}

/** The addresses of one door: one, for the usual pair of loopback addresses. */
function writtenAddresses(addresses: readonly ListenAddress[]): string[] {
  const [first, second] = addresses;
  if (addresses.length === 2 && first !== undefined && second?.optional === true) return [`localhost:${first.port}`];
  return addresses.map(({ host, port }) => `${hostInUrl(host)}:${port}`);
}
