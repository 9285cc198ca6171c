/**
 * Credentials in git's configuration, and the programs that git would ask for some. Names are told and never values: a header of
 * git's may be a token, and a helper may be a shell command with one in it.
 */
import type { CheckOutcome } from '../../model/check.js';
import { countText } from '../amounts.js';
import { type ConfigEntry, subsectionOf } from '../gitconfig/git.js';
import { quoteForSh } from '../gitconfig/environment.js';
import type { Walk } from './check.js';
import type { GitLook } from './look.js';
import { hostOf, shown } from './targets.js';

/** What leases are handed out with stands there by right. */
const OUR_HEADER = 'x-postern-lease';

/** Hosts for which a header would be left over from another way to Azure. */
const AZURE = /(?:^|\.)(?:dev\.azure\.com|visualstudio\.com)$/;

export function credentialsInGit({ found }: Walk, { entries, doors, rules }: GitLook): CheckOutcome {
  const hosts = new Set(rules.flatMap(({ insteadOf }) => hostOf(insteadOf) ?? []));
  const isReal = (url: string): boolean => AZURE.test(hostOf(url) ?? '') || hosts.has(hostOf(url) ?? '');
  const isAtDoor = (url: string): boolean => doors.some((door) => `${url}/`.startsWith(door) || door.startsWith(url));
  const details: string[] = [];
  const todos: string[] = [];
  for (const entry of entries) {
    const header = headerIn(entry);
    if (header === undefined || header.name.toLowerCase() === OUR_HEADER) continue;
    const { name, url } = header;
    if (url === undefined) details.push(`git adds a header ${name} to every request, to the door too: http.extraHeader in ${entry.origin}`);
    else if (isAtDoor(url)) details.push(`git adds a header ${name} to requests to the door: ${shown(entry.key)} in ${entry.origin}`);
    else if (isReal(url))
      details.push(`git adds a header ${name} where an address slips past the door: ${shown(entry.key)} in ${entry.origin}`);
    else continue;
    todos.push(headerRemoval(entry));
  }
  const isLeaseOnly = found.loaded?.settings.access.local === 'lease';
  for (const entry of entries) {
    const url = subsectionOf(entry.key, 'credential', 'helper');
    if (url === undefined || (entry.value ?? '') === '' || !isAtDoor(url) || isLeaseOnly) continue;
    details.push(`a credential helper is set for the door, which wants no password: ${shown(entry.key)} in ${entry.origin}`);
    todos.push(`remove it: ${removalLine(entry)}`);
  }
  const helpers = helperNames(entries);
  const [first, ...more] = details;
  if (first === undefined)
    return {
      verdict: 'ok',
      text:
        helpers.length === 0
          ? 'none, and no helper that git would ask'
          : `none; helpers (${helpers.join(', ')}) are asked only where an address slips past`,
    };
  return {
    verdict: 'warning',
    text: more.length === 0 ? first : `${countText(details.length, 'thing')} of git's configuration that may hold a credential`,
    details: more.length === 0 ? [] : details,
    todo: [...new Set(todos)].join('; '),
    code: 'git-config',
  };
}

function headerIn({ key, value = '' }: ConfigEntry): { readonly name: string; readonly url: string | undefined } | undefined {
  const match = /^http\.(?:(.*)\.)?extraheader$/is.exec(key);
  if (match === null || value === '') return undefined;
  // Without a colon it is no header, and may be anything.
  const name = /^[A-Za-z0-9-]+(?=\s*:)/.exec(value)?.[0] ?? '(unreadable)';
  return { name, url: match[1] };
}

function headerRemoval(entry: ConfigEntry): string {
  return `remove it, and revoke what it holds: ${removalLine(entry)}`;
}

/** The value is left out of the command: it may be the secret. */
function removalLine({ key, origin }: ConfigEntry): string {
  if (!origin.startsWith('file:')) return 'take it out of the environment or command line';
  return `git config --file ${quoteForSh(origin.slice('file:'.length))} --unset-all ${quoteForSh(key)}`;
}

/** Names of the helpers in force: an empty one takes back those before it. Of a shell command nothing is shown. */
function helperNames(entries: readonly ConfigEntry[]): string[] {
  let names: string[] = [];
  for (const { key, value = '' } of entries) {
    if (key !== 'credential.helper') continue;
    const name = value.startsWith('!') ? 'a shell command' : (/^\S+/.exec(value)?.[0].replace(/^.*\//, '') ?? '');
    names = value === '' ? [] : [...names, name];
  }
  return [...new Set(names)];
}
