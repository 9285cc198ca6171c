/**
 * Root keys that come from elsewhere once and for all: a systemd credential, a variable, a command. The lines are those of
 * lease-keys.ts; whoever gives them out changes them, and the daemon is started anew.
 */
import { ProxyError } from '../model/errors.js';
import type { Secret } from '../model/secret.js';
import { type LeaseKey, notOurs, parseLeaseKeys } from './lease-keys.js';

export class GivenLeaseKeys {
  readonly #read: () => Promise<Secret>;
  #keys: readonly LeaseKey[] = [];

  constructor(read: () => Promise<Secret>) {
    this.#read = read;
  }

  get ids(): readonly string[] {
    return this.#keys.map(({ id }) => id);
  }

  /** @throws ProxyError `secret-unreadable` */
  async load(): Promise<void> {
    const text = await this.#read();
    try {
      this.#keys = parseLeaseKeys(text.reveal());
    } catch (thrown) {
      if (!(thrown instanceof SyntaxError)) throw thrown;
      throw new ProxyError('secret-unreadable', `The keys of leases that \`access.leaseKey\` names cannot be used (${thrown.message})`, {
        todo: 'write a line `KEYID BASE64KEY` for each key: 16 hex digits, and 32 bytes in base64',
      });
    }
  }

  keyOf(id: string): Secret | undefined {
    return this.#keys.find((each) => each.id === id)?.key;
  }

  newest(): Promise<LeaseKey> {
    const [newest] = this.#keys;
    // `load` leaves at least one.
    return newest === undefined ? Promise.reject(new ProxyError('internal', 'The keys of leases were not read')) : Promise.resolve(newest);
  }

  /** @throws ProxyError `usage`, always */
  rotate(): Promise<string> {
    return Promise.reject(notOurs());
  }
}
