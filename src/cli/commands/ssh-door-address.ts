/** The address under which git reaches the SSH door, and the key by which it is known there. */
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
  const listen = settings.listen.ssh.filter(({ port }) => port !== 0);
  const address = addressIn(listen);
  const { line } = context.printer;
  if (address === undefined) {
    if (settings.listen.ssh.length > 0) {
      line('warning: SSH remotes stay as they are: `listen.ssh` has port 0, which is another one at each start');
      line('  what to do: give it a port, and run setup again');
    }
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

/** The listener that git on this machine uses: IPv4 on loopback if there is one, because git can write every form with it. */
function addressIn(listen: readonly ListenAddress[]): ListenAddress | undefined {
  const all = listen.map((each) => ({ ...each, host: reachedAs(each.host) }));
  const loopback = all.filter(({ host }) => isLoopbackAddress(host));
  return loopback.find(({ host }) => !host.includes(':')) ?? loopback[0] ?? all[0];
}
