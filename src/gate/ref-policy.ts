/**
 * Whether a push may touch the refs that its command list names. One refused ref refuses the whole push, because git's own
 * report would otherwise say that part of it went through.
 *
 * What a command list says is all that is judged here. That a `create` is one is the upstream's to see (it compares the old id
 * under its lock), and so is a ref that it keeps as another name of a protected one.
 */
import type { OperationRecord } from '../model/record.js';
import { type RefChange, type RefCommand, refNameFault, type RefPolicy } from '../model/refs.js';
import type { Refusal } from '../model/refusal.js';
import { type RefGlob, refGlob, type Work } from './ref-glob.js';

const ZERO = /^0+$/;
/** Characters of a ref's name in a text. */
const LONGEST_SHOWN = 200;
/** Most refs of one push that are remembered, and characters of their names: a record of the audit is one line. */
const MOST_RECORDED = 1000;
const LONGEST_RECORDED = 128 * 1024;
/** Globs that a text names. */
const MOST_SHOWN = 4;

/** What a command does to its ref. */
export function changeOf({ oldOid, newOid }: RefCommand): Exclude<RefChange, 'tag'> {
  if (ZERO.test(newOid)) return 'delete';
  return ZERO.test(oldOid) ? 'create' : 'update';
}

/**
 * The form in which names are compared with `protect`: a server on a file system without case, or one that composes letters,
 * would take the other spelling for the protected ref. Upper case comes last because one capital can have two small letters.
 */
export function foldRef(name: string): string {
  if (/^[\u0020-\u007e]*$/.test(name)) return name.toUpperCase();
  return name.normalize('NFC').toLowerCase().toUpperCase().normalize('NFC');
}

const TAGS = foldRef('refs/tags/');

/**
 * The refusal of a push, `ref-refused`, with a reason for each of its refs in their order, or undefined when all may be touched.
 * No policies permit everything, also names that are none. `work` counts what it cost.
 */
export function refuseByRefs(
  commands: readonly RefCommand[],
  policies: readonly RefPolicy[],
  work: Work = { steps: 0 },
): Refusal | undefined {
  if (policies.length === 0) return undefined;
  const rules = policies.map(readyRule);
  const reasons = commands.map((command) => reasonAgainst(command, rules, work));
  const first = reasons.findIndex((reason) => reason !== undefined);
  if (first < 0) return undefined;
  const firstRef = shown(commands[first]?.ref ?? '');
  const others = `not pushed, because ${firstRef} was refused`;
  return {
    kind: 'refusal',
    code: 'ref-refused',
    status: 403,
    what: `The push was refused because of ${firstRef}: ${reasons[first] ?? ''}`,
    todo: 'push only what is allowed, or ask whoever set the rule',
    refs: commands.map(({ ref }, index) => ({ ref, reason: reasons[index] ?? others })),
  };
}

/** The refusal of a push whose command list cannot be judged, `push-unreadable`; 413 when it is too long. */
export function refuseUnreadable(status: number, what: string): Refusal {
  return {
    kind: 'refusal',
    code: 'push-unreadable',
    status,
    what: `The command list of the push cannot be read, so it was not passed on: ${what}`,
    todo: status === 413 ? 'push fewer refs at a time' : 'push with a git client; if it was one, report this with its version',
  };
}

/** The refusal of a push for whose long list there is no room now. */
export const CROWDED: Refusal = {
  kind: 'refusal',
  code: 'push-unreadable',
  status: 503,
  what: 'Too many pushes with very long lists of refs are under way at the same time',
  todo: 'try again in a moment, or push fewer refs at a time',
};

/** Notes in a record what a push asks for, as much of it as a line of the audit holds. */
export function noteRefs(record: OperationRecord, commands: readonly RefCommand[]): void {
  let length = 0;
  let count = 0;
  for (const { ref } of commands) {
    length += ref.length;
    if (count === MOST_RECORDED || length > LONGEST_RECORDED) break;
    count += 1;
  }
  record.refs = commands.slice(0, count);
  record.refsLeftOut = commands.length - count;
}

/** A policy, ready for many names. */
interface Rule {
  readonly policy: RefPolicy;
  readonly allow: readonly RefGlob[] | undefined;
  readonly protect: readonly (readonly [glob: string, folded: RefGlob])[];
}

function readyRule(policy: RefPolicy): Rule {
  return {
    policy,
    allow: policy.allow?.map(refGlob),
    protect: policy.protect.map((glob) => [glob, refGlob(foldRef(glob))]),
  };
}

function reasonAgainst(command: RefCommand, rules: readonly Rule[], work: Work): string | undefined {
  const { ref } = command;
  const fault = refNameFault(ref);
  if (fault !== undefined) return `the name ${fault}`;
  const change = changeOf(command);
  const folded = foldRef(ref);
  for (const { policy, allow, protect } of rules) {
    const { source, changes } = policy;
    const protecting = protect.find(([, glob]) => glob.matches(folded, work));
    if (protecting !== undefined) return `${source} protects ${protecting[0]}`;
    if (allow !== undefined && !allow.some((glob) => glob.matches(ref, work))) {
      return `${source} allows ${allow.length === 0 ? 'no refs' : `only ${listed(allow.map(({ text }) => text))}`}`;
    }
    if (changes === undefined) continue;
    if (!changes.includes(change)) return `${source} does not allow to ${change} refs`;
    if (folded.startsWith(TAGS) && !changes.includes('tag')) return `${source} does not allow to ${change} tags`;
  }
  return undefined;
}

function listed(globs: readonly string[]): string {
  const rest = globs.length - MOST_SHOWN;
  return globs.slice(0, MOST_SHOWN).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/** A ref's name for a person: nothing that a terminal would act on, and not pages of it. */
function shown(ref: string): string {
  const text = ref.replace(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g, '?');
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}...` : text;
}
