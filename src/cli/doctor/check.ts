/** What a check of `postern doctor` is, and what it is given. */
import type { LoadedSettings } from '../../config/load-settings.js';
import type { DaemonStatus } from '../../daemon/status.js';
import type { CheckClass, CheckOutcome } from '../../model/check.js';
import type { Context, SettingsFlags } from '../context.js';
import type { Git } from '../gitconfig/git.js';

/** What checks find out for those behind them. */
export interface Found {
  /** Undefined until the configuration could be read. */
  loaded?: LoadedSettings;
  /** Undefined while no daemon has answered. */
  status?: DaemonStatus;
}

export interface Walk {
  readonly context: Context;
  readonly flags: SettingsFlags;
  /** With the user's own environment, in the working directory: what it sees, the user's git sees. */
  readonly git: Git;
  /** Organisations, SSH or not and the like are not known here; only what was found on the way. */
  readonly found: Found;
}

/** A walk to one address. */
export interface AddressWalk extends Walk {
  /** As it was typed, or as a remote has it. It holds no credential. */
  readonly address: string;
}

/** A row of the list: rows are tried in the order of the list. */
export interface Check<W extends Walk = Walk> {
  /** Stable; `--json` and documentation name it. */
  readonly id: string;
  readonly name: string;
  readonly class: CheckClass;
  /** Those without which it makes no sense: when one of them failed or was not tried, this one is not tried. */
  readonly needs: readonly string[];
  /** What it throws as ProxyError is a failure of the row. */
  readonly run: (walk: W) => Promise<CheckOutcome> | CheckOutcome;
}

export type AddressCheck = Check<AddressWalk>;
