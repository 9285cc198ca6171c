/** The address under which git reaches the HTTP door, and whom it has to trust there. */
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { askStatus } from '../../daemon/admin.js';
import { doorNames, hasTls, hostInUrl } from '../../http/listener-tls.js';
import { isLoopbackAddress } from '../../gate/peers.js';
import { ProxyError, systemCodeOf } from '../../model/errors.js';
import type { Settings } from '../../model/settings.js';
import { systemClock } from '../../model/clock.js';
import { makeDirectory, writeFileAtomic } from '../../store/atomic-file.js';
import { authorityFile, ensureAuthority } from '../../store/own-certificate.js';
import type { Context } from '../context.js';
import type { DoorAddress } from '../gitconfig/owned-file.js';
import { placesFor } from '../gitconfig/places.js';

/** `http://host:port` of the listener that git on this machine uses: the first on loopback, or else the first. */
export function baseOf({ listen }: Settings): string {
  const found = listen.http.find(({ host }) => isLoopbackAddress(host)) ?? listen.http[0];
  if (found === undefined) throw new ProxyError('internal', 'There is no HTTP listener');
  const isAll = found.host === '0.0.0.0' || found.host === '::';
  // A certificate that somebody else gave is for a name, and not for an address of this machine.
  const name = listen.tls.kind === 'files' ? listen.names[0] : undefined;
  return `${hasTls(listen.tls, found.host) ? 'https' : 'http'}://${name ?? (isAll ? 'localhost' : hostInUrl(found.host))}:${found.port}`;
}

/**
 * The same for setting git up. A port of 0 is known only to the running daemon, and changes with each start.
 * @throws ProxyError `usage` when it cannot be known
 */
export async function setupBase(context: Context, settings: Settings): Promise<string> {
  const base = baseOf(settings);
  if (!base.endsWith(':0')) return base;
  const running = await askStatus(context.places.adminSocket);
  const address = running?.listen.http[0];
  if (address === undefined) {
    throw new ProxyError('usage', '`listen.http` has port 0, so the address of the door is not known', {
      todo: 'give it a port, or start the daemon first',
    });
  }
  return address;
}

/**
 * The address with the file of our own authority, if the door shows a certificate of it. The authority is made here when the
 * daemon has never run, unless `isDry`: then its file is only named.
 * @throws ProxyError `usage` when the address or, for the whole machine, the authority cannot be known; `certificate-unusable`
 */
export async function setupDoor(
  context: Context,
  settings: Settings,
  options: { isSystem: boolean; isDry: boolean },
): Promise<DoorAddress> {
  const base = await setupBase(context, settings);
  if (!base.startsWith('https:') || settings.listen.tls.kind === 'files') return { base };
  const running = await askStatus(context.places.adminSocket);
  const { stateDirectory: directory } = context.places;
  const kept = running?.listen.certificate?.ca;
  if (options.isSystem) return { base, ca: await machineWide(context, kept ?? authorityFile(directory), options.isDry) };
  if (kept !== undefined) return { base, ca: kept };
  if (options.isDry) return { base, ca: authorityFile(directory) };
  return { base, ca: await ensureAuthority({ directory, names: doorNames(settings.listen), now: systemClock.now() }) };
}

/** Where the authority's certificate lies for all users: the state directory is closed to them. */
export async function machineWideAuthority(context: Context): Promise<string> {
  const { owned } = await placesFor({ env: context.environment, home: context.home, system: true });
  return join(dirname(owned), 'door-ca.pem');
}

/** Copies the authority's certificate to where all users can read it. It is not made here: root's would not be the service's. */
async function machineWide(context: Context, file: string, isDry: boolean): Promise<string> {
  const copy = await machineWideAuthority(context);
  if (isDry) return copy;
  const text = await readFile(file, 'utf8').catch((thrown: unknown) => {
    throw new ProxyError(
      'usage',
      `The authority of the door's certificate is not known: ${file} cannot be read (${systemCodeOf(thrown) ?? ''})`,
      {
        todo: 'start the service first, and set POSTERN_STATE_DIRECTORY and XDG_RUNTIME_DIR to those of the service',
        cause: thrown,
      },
    );
  });
  await makeDirectory(dirname(copy), 0o755);
  await writeFileAtomic(copy, text, { mode: 0o644, force: true });
  return copy;
}
