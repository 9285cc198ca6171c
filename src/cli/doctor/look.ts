/** What git's configuration does with addresses, as rows are given it; found by git-look.ts. */
import type { Discovery } from '../gitconfig/discovery.js';
import type { ConfigEntry } from '../gitconfig/git.js';
import type { Places } from '../gitconfig/places.js';
import type { Proof } from '../gitconfig/proof.js';
import type { Rule } from '../gitconfig/rules.js';

/** Said of rows that need the door's address where only a daemon would know it. */
export const NO_ADDRESS = "not tried: `listen.http` has port 0, so that the door's address is known while the daemon runs, and only then";

export interface GitLook {
  /** The HTTP door as git reaches it, with its final slash. */
  readonly door: string;
  /** What addresses at the doors begin with; the HTTP door's first. */
  readonly doors: readonly [string, ...string[]];
  /** What `setup` would write if it ran here. */
  readonly rules: readonly Rule[];
  readonly proof: Proof;
  readonly discovery: Discovery;
  /** All of git's configuration that holds here. Values may be secret. */
  readonly entries: readonly ConfigEntry[];
  readonly places: Places;
  /** Whether the file of rules is there, and whether something that git reads includes it. */
  readonly owned: { readonly isThere: boolean; readonly isIncluded: boolean };
  /** Where the addresses of the walk lead: to a door, or past it. */
  readonly leads: ReadonlyMap<string, { readonly to: string; readonly isAtDoor: boolean }>;
}
