/** A store of sign-ins in memory. */
import type { Secret } from '../../src/model/secret.js';
import type { KeptLogin, LoginLabel, LoginStore, StoredLogin } from '../../src/model/sign-in.js';

export class FakeLoginStore implements LoginStore {
  readonly logins = new Map<string, StoredLogin>();
  /** Thrown by the next writes. */
  fault: Error | undefined;
  /** Runs after each reading: what another process does then. */
  onRead: (identity: string) => unknown = () => undefined;

  read(identity: string): Promise<StoredLogin | undefined> {
    const found = this.logins.get(identity);
    this.onRead(identity);
    return Promise.resolve(found);
  }

  write(identity: string, login: { text: Secret; label: LoginLabel }, after: number | undefined): Promise<KeptLogin | undefined> {
    if (this.fault !== undefined) return Promise.reject(this.fault);
    const version = this.logins.get(identity)?.version ?? 0;
    if (after !== undefined && after !== version) return Promise.resolve(undefined);
    const kept = { ...login, keptBy: { kind: 'keyring' } as const, version: version + 1 };
    this.logins.set(identity, kept);
    return Promise.resolve(kept);
  }

  forget(identity: string): Promise<Partial<KeptLogin> | undefined> {
    const known = this.logins.get(identity);
    this.logins.delete(identity);
    return Promise.resolve(known);
  }

  look(identity: string): KeptLogin | undefined {
    return this.logins.get(identity);
  }
}
