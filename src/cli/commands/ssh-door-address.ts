/** The address under which git reaches the SSH door, and the key by which it is known there. */
import { askStatus } from '../../daemon/admin.js';
import { isLoopbackAddress } from '../../gate/peers.js';
import type { ListenAddress, Settings } from '../../model/settings.js';
import { hostKey, publicHostKey } from '../../store/ssh-host-key.js';
import type { Context } from '../context.js';
import type { SshDoor } from '../gitconfig/ssh-setup.js';
import { reachedAs } from '../known-hosts/lines.js';

/** Shown by a dry run before there is a key. */
const NOT_MADE = 'ssh-ed25519 (the key that setup makes)';

/**
 * The door for setting git up; undefined when it is off, or cannot be known, which is printed. Its key is made here when the daemon
 * has never run, but not by a dry run, and not for the whole machine: root's would not be the service's.
 * @throws ProxyError `state-unusable`
 */
export async function setupSshDoor(
  context: Context,
  settings: Settings,
  { isSystem, isDry }: { isSystem: boolean; isDry: boolean },
): Promise<SshDoor | undefined> {
  if (settings.listen.ssh.length === 0) return undefined;
  const listen = await listeners(context, settings);
  const address = addressIn(listen);
  const { line } = context.printer;
  if (address === undefined) {
    line('warning: SSH remotes stay as they are: `listen.ssh` has port 0, so the address of the door is not known');
    line('  what to do: give it a port, or start the daemon first, and run setup again');
    return undefined;
  }
  const { stateDirectory } = context.places;
  const found = isSystem || isDry ? await publicHostKey(stateDirectory) : await hostKey(stateDirectory);
  if (found === undefined && isSystem) {
    line(`warning: SSH remotes stay as they are: the key of the SSH door is not known, there is none in ${stateDirectory}`);
    line("  what to do: start the service, set POSTERN_STATE_DIRECTORY to the service's, and run setup again");
    return undefined;
  }
  return { address, listen, publicLine: found?.publicLine ?? NOT_MADE, routes: settings.routes };
}

/** A port of 0 is known only to the running daemon, and changes with each start. */
async function listeners({ places }: Context, { listen: { ssh } }: Settings): Promise<ListenAddress[]> {
  const fixed = ssh.filter(({ port }) => port !== 0);
  if (fixed.length > 0) return fixed;
  const running = await askStatus(places.adminSocket);
  return (running?.listen.ssh ?? []).map((text) => {
    const { hostname, port } = new URL(text);
    return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port), optional: false };
  });
}

/** The listener that git on this machine uses: IPv4 on loopback if there is one, because git can write every form with it. */
function addressIn(listen: readonly ListenAddress[]): ListenAddress | undefined {
  const all = listen.map((each) => ({ ...each, host: reachedAs(each.host) }));
  const loopback = all.filter(({ host }) => isLoopbackAddress(host));
  return loopback.find(({ host }) => !host.includes(':')) ?? loopback[0] ?? all[0];
}
