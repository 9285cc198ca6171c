/** `postern lease explain`: what a lease says, in words, and whether the daemon would take it. */
import { askJudge } from '../../daemon/lease-actions.js';
import { type CaveatLine, caveatLines, endOf, patternText } from '../../gate/lease-words.js';
import { messageOf } from '../../model/errors.js';
import { type Lease, leaseName } from '../../model/lease.js';
import type { Context, SettingsFlags } from '../context.js';
import { readLeaseInput } from '../lease-input.js';
import { parsed } from './lease.js';

/** Why `update` cannot be read more narrowly. */
const REWRITES =
  "update includes a rewrite (force push): what git sends does not tell the two apart, and the upstream's own force-push permission decides";

const TITLES: Readonly<Record<CaveatLine['about'], string>> = {
  repositories: 'for',
  operations: 'allows',
  refs: 'pushes to',
  never: 'never to',
  changes: 'changes',
  ends: 'ends',
  from: 'used from',
  users: 'used by',
};

interface Standing {
  readonly isValid: boolean | undefined;
  readonly text: string;
}

/**
 * 0 when it is valid or nothing speaks against it, 1 when it has ended or the daemon would refuse it.
 * @throws ProxyError `usage`, `lease-invalid`
 */
export async function leaseExplain(context: Context, flags: SettingsFlags): Promise<number> {
  const text = await readLeaseInput(context, flags['from-stdin']);
  const lease = parsed(text);
  const now = Date.now();
  const end = endOf(lease);
  const judged = await askJudge(context.places.adminSocket, text).catch((thrown: unknown) => messageOf(thrown));
  const standing = standingOf(judged, end, now);
  if (flags['json'] === true) context.printer.json(asJson(lease, end, standing));
  else for (const line of explanation(lease, end, standing, now)) context.printer.line(line);
  return standing.isValid === false ? 1 : 0;
}

function standingOf(judged: Awaited<ReturnType<typeof askJudge>> | string, end: Date | undefined, now: number): Standing {
  if (end === undefined || now >= end.getTime())
    return { isValid: false, text: end === undefined ? 'no: it names no end' : 'no: it has ended' };
  if (judged === undefined) return { isValid: undefined, text: 'not known: no daemon answers here' };
  if (typeof judged === 'string') return { isValid: undefined, text: `not known: ${judged}` };
  return judged.isValid ? { isValid: true, text: 'yes, says the daemon' } : { isValid: false, text: `no: ${judged.what}` };
}

function explanation(lease: Lease, end: Date | undefined, standing: Standing, now: number): string[] {
  const row = (title: string, said: string): string => `  ${title.padEnd(10)} ${said}`;
  const lines = [leaseName(lease), row('valid', standing.text), row('key', lease.keyId)];
  if (end !== undefined) lines.push(row('ends', `${end.toISOString()} (${distance(end.getTime() - now)})`));
  for (const [index, caveat] of lease.caveats.entries()) {
    lines.push(index === 0 ? `granted as ${caveat.id}` : `narrowed as ${caveat.id} to`);
    for (const { about, text } of caveatLines(caveat, index === 0)) lines.push(row(TITLES[about], text));
  }
  if (lease.caveats.length > 1) lines.push('All of these have to hold.');
  if (canUpdate(lease)) lines.push(`Note: ${REWRITES}.`);
  return lines;
}

function canUpdate({ caveats }: Lease): boolean {
  return caveats.every(
    ({ allow, changes }, index) =>
      (allow === undefined ? index > 0 : allow.includes('push')) && (changes === undefined ? index > 0 : changes.includes('update')),
  );
}

/** ms as the two largest units that say something. */
function distance(ms: number): string {
  const seconds = Math.round(Math.abs(ms) / 1000);
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  const text =
    first < 0
      ? '0 s'
      : parts
          .slice(first, first + 2)
          .filter(([count]) => count > 0)
          .map(([count, unit]) => `${count} ${unit}`)
          .join(' ');
  return ms < 0 ? `${text} ago` : `in ${text}`;
}

function asJson(lease: Lease, end: Date | undefined, standing: Standing): unknown {
  return {
    id: lease.caveats.at(-1)?.id,
    label: lease.caveats[0]?.label,
    keyId: lease.keyId,
    endsAt: end?.toISOString(),
    isValid: standing.isValid,
    standing: standing.text,
    caveats: lease.caveats.map(({ expiresAt, repos, ...rest }) => ({
      ...rest,
      repos: repos?.map(patternText),
      endsAt: expiresAt?.toISOString(),
    })),
    notes: canUpdate(lease) ? [REWRITES] : [],
  };
}
