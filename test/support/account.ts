/** Whether the user of this process has an account. OpenSSH's programs do not run for a uid that has none, whatever they are asked. */
import { userInfo } from 'node:os';

export function hasAccount(): boolean {
  try {
    return userInfo().username !== '';
  } catch {
    return false;
  }
}
