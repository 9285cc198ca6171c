/** What `postern status` is told, as plain data: the shape of its `--json`. */
import type { IdentityState } from '../identity/vault.js';
import type { OperationRecord } from '../model/record.js';
import type { AccessSettings } from '../model/settings.js';
import type { CertificateState } from '../store/door-certificates.js';
import type { PoolState } from '../upstream/connections.js';

export interface DaemonStatus {
  readonly pid: number;
  readonly version: string;
  readonly startedAt: string;
  /** Path of the configuration file, or undefined when the defaults are used. */
  readonly configuration: string | undefined;
  readonly state: 'ready' | 'draining';
  readonly listen: {
    readonly http: readonly string[];
    /** Of the listeners with TLS; undefined when there are none. */
    readonly certificate?: CertificateState | undefined;
  };
  /** Who may use the doors. */
  readonly access: Pick<AccessSettings, 'local' | 'remote' | 'uids'>;
  readonly identities: readonly IdentityState[];
  readonly routes: readonly {
    readonly match: string;
    readonly identity: string;
    readonly allow: readonly string[];
    readonly upstream: string | undefined;
  }[];
  readonly operations: Readonly<Record<string, number>>;
  readonly running: readonly OperationRecord[];
  readonly failures: readonly OperationRecord[];
  readonly upstreams: readonly PoolState[];
  readonly throttled: readonly { readonly key: string; readonly waitMs: number }[];
  /** Resident memory, bytes. */
  readonly memory: number;
}
