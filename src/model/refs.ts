/**
 * Refs as a push names them, and the rules that decide which of them it may touch.
 *
 *   glob = ref name in which `*` stands for any run of characters without `/`, and `**` for any run
 *
 * As in git-for-each-ref(1), and unlike a refspec, `*` ends at a slash: `refs/heads/agent/*` is one level.
 */
export interface RefCommand {
  /** Hex, 40 or 64 digits; all zero when the ref is new. */
  readonly oldOid: string;
  /** All zero when the ref is to go. */
  readonly newOid: string;
  readonly ref: string;
}

/**
 * What a push does to a ref. `update` includes a rewrite, which a command list does not tell from a fast-forward. `tag` is
 * needed besides for whatever happens under refs/tags/.
 */
export const REF_CHANGES = ['create', 'update', 'delete', 'tag'] as const;
export type RefChange = (typeof REF_CHANGES)[number];

export interface RefRules {
  /** Globs of the refs that may be touched; undefined is every ref, empty none. */
  readonly allow: readonly string[] | undefined;
  /** Globs of the refs that may not be touched, compared without case; they win over `allow`. */
  readonly protect: readonly string[];
  /** Undefined is every change, empty none. */
  readonly changes: readonly RefChange[] | undefined;
}

/** Rules and who made them, for the text of a refusal: `the route dev.azure.com/**`, `lease 3f2a (nightly)`. */
export interface RefPolicy extends RefRules {
  readonly source: string;
}
