/** The state directory, for one daemon alone. */
import { ProxyError } from '../model/errors.js';
import { lockState } from '../store/state-lock.js';

/**
 * Takes it; gives the function that gives it back.
 * @throws ProxyError `already-running` when another daemon has it
 */
export async function takeState(directory: string): Promise<() => Promise<void>> {
  const lock = await lockState(directory);
  if (lock.kind === 'ours') return lock.release;
  const who = lock.pid === undefined ? 'which does not answer' : `pid ${lock.pid}`;
  throw new ProxyError('already-running', `A postern is already running with the state directory ${directory} (${who})`, {
    todo: 'stop it first; for another one beside it set POSTERN_STATE_DIRECTORY and XDG_RUNTIME_DIR to directories of its own',
  });
}
