/**
 * Whether a push may touch the refs that its command list names. One refused ref refuses the whole push, because git's own
 * report would otherwise say that part of it went through.
 */
import { type RefChange, type RefCommand, type RefPolicy } from '../model/refs.js';
import type { Refusal } from '../model/refusal.js';

const TAGS = 'refs/tags/';
const ZERO = /^0+$/;

/** What a command does to its ref. */
export function changeOf({ oldOid, newOid }: RefCommand): Exclude<RefChange, 'tag'> {
  if (ZERO.test(newOid)) return 'delete';
  return ZERO.test(oldOid) ? 'create' : 'update';
}

/** The refusal of a push, with a reason for each of its refs, or undefined when all may be touched. */
export function refuseByRefs(commands: readonly RefCommand[], policies: readonly RefPolicy[]): Refusal | undefined {
  if (policies.length === 0) return undefined;
  const reasons = commands.map((command) => reasonAgainst(command, policies));
  const first = reasons.findIndex((reason) => reason !== undefined);
  if (first < 0) return undefined;
  const firstRef = commands[first]?.ref ?? '';
  return {
    kind: 'refusal',
    code: 'ref-refused',
    status: 403,
    what: `The push was refused because of ${firstRef}: ${reasons[first] ?? ''}`,
    todo: 'push what is allowed, or ask whoever set the rule',
    refs: commands.map(({ ref }, index) => ({ ref, reason: reasons[index] ?? `not pushed because ${firstRef} was refused` })),
  };
}

function reasonAgainst(command: RefCommand, policies: readonly RefPolicy[]): string | undefined {
  const change = changeOf(command);
  for (const { source, allow, protect, changes } of policies) {
    if (protect.includes(command.ref)) return `${source} protects ${command.ref}`;
    if (allow !== undefined && !allow.includes(command.ref)) return `${source} does not allow ${command.ref}`;
    if (changes !== undefined && !changes.includes(change)) return `${source} does not allow to ${change} refs`;
    if (changes !== undefined && command.ref.startsWith(TAGS) && !changes.includes('tag')) return `${source} does not allow tags`;
  }
  return undefined;
}
