/**
 * What `postern setup` looks at before and after it points git at the door's address: is it free, and who else could hold it.
 */
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { settingsPath } from '../../config/settings-file.js';
import { appendListen, listenLines } from '../../config/write-listen.js';
import { hasTls, hostInUrl } from '../../http/listener-tls.js';
import { ProxyError } from '../../model/errors.js';
import type { Settings } from '../../model/settings.js';
import { makeDirectory, writeFileAtomic } from '../../store/atomic-file.js';
import { type Context, loadFor, type SettingsFlags, surroundingsOf } from '../context.js';
import { otherLoginUsers } from '../login-users.js';
import { baseOf } from './door-base.js';
import { freePort, holderOf } from './door-port.js';

/**
 * The settings to set git up for. Where the configuration names no address and something else has the default one, a free port
 * is written into the configuration first; a dry run only says so. An address that was chosen is never changed.
 * @throws ProxyError `usage` when the file cannot be added to, or no port is free; the faults of the configuration
 */
export async function settleAddress(context: Context, flags: SettingsFlags, isDry: boolean): Promise<Settings> {
  const { settings, effective } = await loadFor(context, flags);
  const { http } = settings.listen;
  const fixed = http.filter(({ port }) => port !== 0);
  if (fixed.length === 0 || (await holderOf(context, fixed)) !== 'something-else') return settings;
  const { line } = context.printer;
  const taken = fixed[0]?.port ?? 0;
  if (effective.find(({ path }) => path === 'listen.http')?.origin !== 'default') {
    line(`warning: something that is not this Postern listens on port ${taken}, which \`listen.http\` names`);
    line('  what to do: stop it, or write another port into `listen.http`, and run setup again');
    return settings;
  }
  const port = await freePort(fixed);
  const address = `localhost:${port}`;
  const file = settingsPath(surroundingsOf(context, flags))?.path;
  const former = settings.file === undefined ? undefined : await readFile(settings.file);
  const edit = appendListen(former, address, `Port ${taken} was in use when \`postern setup\` ran.`);
  if (file === undefined || edit.kind === 'by-hand') {
    throw new ProxyError(
      'usage',
      `Port ${taken} is in use by something else, and lines at the end of the configuration would not set another`,
      {
        todo: `write \`listen: { http: ${address} }\` into ${file ?? 'a configuration'}`,
      },
    );
  }
  line(`Port ${taken} is in use by something else, and the configuration names none`);
  line(`${isDry ? 'Would write' : 'Wrote'} \`listen: { http: ${address} }\` ${former === undefined ? 'to' : 'at the end of'} ${file}`);
  if (isDry) return { ...settings, listen: { ...settings.listen, http: http.map((each) => ({ ...each, port })) } };
  await makeDirectory(dirname(file));
  await writeFileAtomic(file, edit.bytes, { mode: 0o644 });
  return (await loadFor(context, flags)).settings;
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
  for (const each of listenLines(writtenAddresses(settings), 'auto')) line(`  | ${each}`);
}

/** The addresses as they can stand in the file: one, for the usual pair of loopback addresses. */
function writtenAddresses({ listen: { http } }: Settings): string[] {
  const [first, second] = http;
  if (http.length === 2 && first !== undefined && second?.optional === true) return [`localhost:${first.port}`];
  return http.map(({ host, port }) => `${hostInUrl(host)}:${port}`);
}
