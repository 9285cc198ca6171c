/**
 * The life of the door's certificate while the daemon runs: it is looked at on start and then from time to time, because a timer
 * for months does not outlast a suspended laptop. What comes of a look is handed to the listeners; what goes wrong is logged, and
 * the certificate that is in use stays in use.
 */
import { messageOf, ProxyError } from '../model/errors.js';
import type { CertificateSource, Clock, DoorCertificate, Logger } from '../model/ports.js';
import type { DoorTls } from '../model/settings.js';
import { fileCertificate } from './file-certificate.js';
import { authorityFile, ownCertificate } from './own-certificate.js';

/** Two small files: read as often as someone who has just replaced them would wait. Also what a renewal of our own is late at most. */
const LOOK_MS = 60_000;

export interface DoorCertificatesOptions {
  readonly tls: Exclude<DoorTls, { kind: 'off' }>;
  /** Where our own authority lives; undefined where nothing may be kept. */
  readonly stateDirectory: string | undefined;
  /** Names and addresses that our own certificate is for. */
  readonly names: readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What `postern status` tells of the certificate. */
export interface CertificateState {
  /** PEM file that a client has to trust; undefined when the certificate is not our own. */
  readonly ca: string | undefined;
  readonly expiresAt: string;
}

interface Kept extends DoorCertificate {
  readonly expiresAt: Date;
  readonly ca: string | undefined;
  /** What was made for it just now: `leaf`, `authority`; undefined when it is as it was kept, or somebody else's. */
  readonly made: string | undefined;
}

export class DoorCertificates implements CertificateSource {
  readonly #options: DoorCertificatesOptions;
  readonly #users: ((certificate: DoorCertificate) => void)[] = [];
  #kept: Promise<Kept> | undefined;
  #state: CertificateState | undefined;
  #cancel: (() => void) | undefined;
  /** What was wrong at the last look, so that it is said once. */
  #fault: string | undefined;
  #isClosed = false;

  constructor(options: DoorCertificatesOptions) {
    this.#options = options;
  }

  /** This one, if it is for the same TLS settings and names. */
  like(tls: DoorTls, names: readonly string[]): this | undefined {
    const { tls: ownTls, names: ownNames } = this.#options;
    return JSON.stringify([tls, names]) === JSON.stringify([ownTls, ownNames]) ? this : undefined;
  }

  /** Undefined until there is one. */
  get state(): CertificateState | undefined {
    return this.#state;
  }

  current(): Promise<DoorCertificate> {
    this.#kept ??= this.#begin();
    return this.#kept;
  }

  onRenewal(use: (certificate: DoorCertificate) => void): void {
    this.#users.push(use);
  }

  close(): void {
    this.#isClosed = true;
    this.#cancel?.();
  }

  async #begin(): Promise<Kept> {
    const first = await this.#load();
    if (first.made !== undefined) this.#tell(first);
    this.#use(first);
    return first;
  }

  #use(kept: Kept): void {
    this.#state = { ca: kept.ca, expiresAt: kept.expiresAt.toISOString() };
    if (!this.#isClosed) this.#cancel = this.#options.clock.after(LOOK_MS, () => void this.#look(kept).then((next) => this.#use(next)));
  }

  /** The certificate from now on. Never rejects. */
  async #look(kept: Kept): Promise<Kept> {
    try {
      const found = await this.#load();
      this.#fault = undefined;
      const isSame = found.certificate === kept.certificate && found.key.equals(kept.key);
      if (!isSame || found.made !== undefined) this.#tell(found);
      if (isSame || this.#isClosed) return found;
      for (const use of this.#users) use(found);
      this.#kept = Promise.resolve(found);
      return found;
    } catch (thrown) {
      const what = messageOf(thrown);
      const todo = thrown instanceof ProxyError ? thrown.todo : undefined;
      if (what !== this.#fault)
        this.#options.logger.log('error', 'certificate-failed', { what, todo, validUntil: kept.expiresAt.toISOString() });
      this.#fault = what;
      return kept;
    }
  }

  #tell({ made, ca, expiresAt }: Kept): void {
    this.#options.logger.log('info', 'certificate-renewed', { made: made ?? 'files', ca, validUntil: expiresAt.toISOString() });
  }

  async #load(): Promise<Kept> {
    const { tls, stateDirectory: directory, names, clock } = this.#options;
    if (tls.kind === 'files') return { ...(await fileCertificate(tls, clock.now())), ca: undefined, made: undefined };
    if (directory === undefined) throw new ProxyError('internal', "There is no directory to keep the door's certificate in");
    const found = await ownCertificate({ directory, names, now: clock.now() });
    return { ...found, ca: authorityFile(directory), made: found.made === 'nothing' ? undefined : found.made };
  }
}
