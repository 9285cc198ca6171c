/** `postern pat create|list|revoke`: personal access tokens for tools that take nothing else, by way of the daemon. */
import { parseDuration } from '../../config/duration.js';
import { askCreatePat, askListPats, askRevokePat, type HandedPat, isPatId } from '../../daemon/pat-actions.js';
import type { PatWhere } from '../../daemon/pat-desk.js';
import { messageOf, ProxyError } from '../../model/errors.js';
import { LONGEST_PAT_LIFE_MS, PAT_SCOPE, PAT_SCOPES } from '../../model/pat.js';
import { columns } from '../amounts.js';
import type { Context, SettingsFlags } from '../context.js';
import { visible, visibleAll } from '../visible.js';
import { notRunning } from './stop.js';

/** The token is printed once, alone on stdout. @throws ProxyError `usage`, `not-running`, and what keeps it from being made */
export async function patCreate({ places, printer }: Context, flags: SettingsFlags): Promise<number> {
  const scopes = readScopes(flags['scope']);
  const wish = { ...readWhere(flags), name: textOf(flags, 'name'), scopes, forMs: readLife(textOf(flags, 'for') ?? '') };
  const made = await askCreatePat(places.adminSocket, wish);
  if (made === undefined) throw notRunning(places.adminSocket);
  for (const line of hintLines(made)) printer.note(line);
  if (flags['json'] === true) printer.json(made);
  else printer.line(made.token);
  return 0;
}

/** @throws ProxyError `usage`, `not-running`, and what keeps them from being told */
export async function patList({ places, printer }: Context, flags: SettingsFlags): Promise<number> {
  const all = await askListPats(places.adminSocket, readWhere(flags));
  if (all === undefined) throw notRunning(places.adminSocket);
  if (flags['json'] === true) printer.json(all);
  else if (all.length === 0) printer.line('There is no personal access token');
  else {
    const rows = visibleAll(all).map(({ id, expiresAt, scopes, name, isGlobal }) => [
      id,
      expiresAt,
      scopes.join(' '),
      isGlobal === true ? `${name} (every organisation)` : name,
    ]);
    for (const line of columns([['ID', 'ENDS', 'SCOPES', 'NAME'], ...rows])) printer.line(line);
  }
  return 0;
}

/** @throws ProxyError `usage`, `not-running`, `upstream-not-found`, and what keeps it from being revoked */
export async function patRevoke({ places, printer }: Context, flags: SettingsFlags): Promise<number> {
  const id = textOf(flags, 'id') ?? '';
  if (!isPatId(id)) {
    throw new ProxyError('usage', 'That is not the id of a personal access token', {
      todo: '`postern pat list` shows the ids; never give the token itself: other users can read the command line',
    });
  }
  const done = await askRevokePat(places.adminSocket, id, readWhere(flags));
  if (done === undefined) throw notRunning(places.adminSocket);
  printer.line(`Revoked ${id} in ${visible(done.organization)}`);
  return 0;
}

function hintLines(made: HandedPat): string[] {
  const { organization, identity, id, name, scopes, expiresAt } = visibleAll({ ...made, token: '' });
  return [
    `Token "${name}" for ${organization} alone, ${scopes.join(' ')}, ends ${expiresAt}; it is shown this once`,
    `\`postern pat revoke ${id}\` ends it before. For an identity of kind pat, so that \`postern status\` tells when it ends:`,
    `  lifecycle: { identity: ${identity}, organization: ${organization}, id: ${id} }`,
  ];
}

function readWhere(flags: SettingsFlags): PatWhere {
  return { organisation: textOf(flags, 'organization'), identity: textOf(flags, 'identity') };
}

/** Our words and Azure DevOps' own, each given by itself or with commas. */
function readScopes(given: unknown): string[] {
  const words = (Array.isArray(given) ? given : [given]).flatMap((each) => String(each).split(/[\s,]+/)).filter((word) => word !== '');
  const scopes = words.map((word) => {
    if (Object.hasOwn(PAT_SCOPES, word)) return PAT_SCOPES[word] ?? word;
    if (PAT_SCOPE.test(word)) return word;
    throw new ProxyError('usage', `--scope: \`${visible(word.slice(0, 40))}\` is not a scope that may be asked for`, {
      todo: `choose of ${Object.keys(PAT_SCOPES).join(', ')}, or write one as Azure DevOps lists it, such as \`vso.code\`; one for everything (app_token) is not made`,
    });
  });
  if (scopes.length === 0) throw new ProxyError('usage', '--scope names none', { todo: 'leave it out for `code-read`' });
  return [...new Set(scopes)];
}

function readLife(text: string): number {
  try {
    const ms = parseDuration(text, LONGEST_PAT_LIFE_MS);
    if (ms > 0) return ms;
  } catch (thrown) {
    throw new ProxyError('usage', `--for: ${messageOf(thrown)}`, {
      todo: 'give a time of a year at most, such as `--for 7d`',
      cause: thrown,
    });
  }
  throw new ProxyError('usage', '--for: a token that lives no time is of no use', { todo: 'give a time such as `--for 7d`' });
}

function textOf(flags: SettingsFlags, name: string): string | undefined {
  const value = flags[name];
  return typeof value === 'string' ? value : undefined;
}
