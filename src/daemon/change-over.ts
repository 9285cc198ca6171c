/**
 * From one configuration to the next while the daemon runs: all of it or nothing. What runs goes on with what it began with, to
 * its end; the next request meets the new house.
 */
import type { Clock, Logger } from '../model/ports.js';
import type { Settings } from '../model/settings.js';
import { isLoopback } from '../upstream/outgoing-proxy.js';
import type { House } from './assemble.js';
import { type ListenerMoves, moveListeners, refuseLoops } from './listeners.js';
import { checkCallers } from './self-check.js';

/** How often it is looked whether the last operation of a former house has ended. */
const LOOK_MS = 1_000;

export interface Step {
  readonly house: House;
  readonly settings: Settings;
}

/**
 * Goes over from one house to the next, which was assembled from the former one.
 * @throws ProxyError what keeps `next` from serving; then nothing has changed, and `next` is closed
 */
export async function changeOver(former: Step, next: Step, { logger }: { logger: Logger }): Promise<void> {
  const { house, settings } = next;
  let open: () => void = () => undefined;
  let giveUp: () => void = () => undefined;
  const when = new Promise<void>((resolve, reject) => {
    open = resolve;
    giveUp = () => reject(new Error('the configuration is not taken'));
  });
  // Also when nobody has come in meanwhile.
  when.catch(() => undefined);
  let moves: ListenerMoves | undefined;
  try {
    await house.leases?.load();
    if (house.audit !== former.house.audit) await house.audit.start();
    moves = await moveListeners(former.house, house, { wanted: settings.listen, had: former.settings.listen, when, logger });
    refuseLoops(house, settings);
    if (settings.access.local === 'uid' && former.settings.access.local !== 'uid') {
      await checkCallers(house.peers, house.door.bound.map(({ host }) => host).filter(isLoopback));
    }
    if (house.certificates !== undefined && house.certificates !== former.house.certificates) await house.door.show(house.certificates);
  } catch (thrown) {
    giveUp();
    await moves?.undo();
    await letGo(house, former.house);
    throw thrown;
  }
  house.door.change(house.doorParts);
  house.sshDoor.change(house.sshParts);
  house.ledger.useAudit(house.audit);
  house.audit.adjust(settings.audit);
  moves.commit();
  open();
}

/** Closes what a former house had for itself, when the operations that began in it have ended. Gives the function that does so at once. */
export function retire(
  former: House,
  next: House,
  { clock, onClosed }: { clock: Clock; onClosed: (close: () => void) => void },
): () => void {
  const begun = new Set(former.ledger.running());
  let isDone = false;
  const close = (): void => {
    if (isDone) return;
    isDone = true;
    onClosed(close);
    void letGo(former, next);
  };
  const look = (): void => {
    if (former.ledger.running().some((record) => begun.has(record))) clock.after(LOOK_MS, look);
    else close();
  };
  // Not at once: whoever asked has to have the function first.
  clock.after(0, look);
  return close;
}

/** Closes what `one` has and `other` has not, doors left out. */
export async function letGo(one: House, other?: House): Promise<void> {
  closeParts(one, other);
  if (one.audit !== other?.audit) await one.audit.close();
}

/** The same but for the audit, which has to outlast the last operation. */
export function closeParts(one: House, other?: House): void {
  one.vault.close();
  one.pats.close();
  one.connections.close();
  one.sshUpstreams.close();
  if (one.certificates !== other?.certificates) one.certificates?.close();
}
