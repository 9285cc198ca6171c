/** What a check of `postern doctor` is, and what it is given. */
import type { LoadedSettings } from '../../config/load-settings.js';
import type { DaemonStatus } from '../../daemon/status.js';
import type { CheckClass, CheckOutcome } from '../../model/check.js';
import type { Context, SettingsFlags } from '../context.js';
import type { Git } from '../gitconfig/git.js';
import type { DoorTalk } from './door-talk.js';
import type { GitLook } from './look.js';

/** What checks find out for those behind them. */
export interface Found {
  /** Undefined until the configuration could be read. */
  loaded?: LoadedSettings;
  /** Undefined while no daemon has answered. */
  status?: DaemonStatus;
  /** What git's configuration does with addresses; undefined where the door's address is not known. Looked at once. */
  gitLook?: Promise<GitLook | undefined>;
  /** What the door said to git. Asked once. */
  doorTalk?: Promise<DoorTalk>;
}

/** Something that `doctor --fix` can mend. */
export interface Fix {
  /** What a person would type for it; shown before they are asked. */
  readonly commands: readonly string[];
  /** Does it, and gives lines that say what was done. @throws ProxyError */
  readonly mend: () => Promise<readonly string[]>;
}

export interface Walk {
  readonly context: Context;
  readonly flags: SettingsFlags;
  /** With the user's own environment, in the working directory: what it sees, the user's git sees. */
  readonly git: Git;
  /** The addresses that are walked after the general rows: the one that was typed, or those of the repository's remotes. */
  readonly addresses: readonly string[];
  /** Whether the addresses are those of remotes, and none was typed. */
  readonly areRemotes: boolean;
  /** Whether the address that was typed held a credential, which was left out of `addresses`. */
  readonly hadCredential: boolean;
  /** Fetching alone is meant: pushes are not looked at. */
  readonly isReadOnly: boolean;
  /** Organisations, SSH or not and the like are not known here; only what was found on the way. */
  readonly found: Found;
  /** By the name that an outcome's `fix` has. */
  readonly fixes: Map<string, Fix>;
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
