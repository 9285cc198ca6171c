/**
 * Finds out for whom rules are needed: from what a person names, from the remotes of repositories, and from what
 * git's configuration says already. Only names leave this place; an address that may hold a secret is shown hidden.
 */
import { stat } from 'node:fs/promises';

import { ProxyError, systemCodeOf } from '../../model/errors.js';
import { subsectionOf, type ConfigEntry, type Git } from './git.js';
import { hideCredentials, organisationIn, parseOrganisation, userIn } from './names.js';
import { namesIn } from './rules.js';

export interface Discovery {
  readonly organisations: readonly string[];
  /** User parts of remotes that are no organisations. */
  readonly users: readonly string[];
  /** Addresses of Azure Repos over http(s) in remotes, as they stand; those of `withSecrets` are not among them. */
  readonly remotes: readonly string[];
  /** The same in SSH form. */
  readonly sshRemotes: readonly string[];
  /** Addresses of Azure Repos that hold a password or token and therefore get no rule; credentials hidden. */
  readonly withSecrets: readonly string[];
}

export interface DiscoveryInput {
  readonly git: Git;
  /** Names as typed (`--org`). */
  readonly named: readonly string[];
  /** Addresses that somebody is about to use. */
  readonly addresses?: readonly string[];
  /** Repositories to look at: the one at the working directory and those that the caller names. */
  readonly repositories: readonly string[];
  /** Our own file, whose rules tell the names of earlier runs. */
  readonly owned: string;
}

/**
 * Collects the names. A directory that is no repository yields what the user's configuration says.
 *
 * @throws ProxyError `usage` for a name that cannot be an organisation, or a directory that is not there;
 *   `git-config` when git cannot read its configuration.
 */
export async function discover({ git, named, addresses = [], repositories, owned }: DiscoveryInput): Promise<Discovery> {
  const found: Found = {
    organisations: new Set(named.map(parseOrganisation)),
    users: new Set(),
    remotes: new Set(),
    sshRemotes: new Set(),
    withSecrets: new Set(),
  };
  for (const address of addresses) addAddress(address, false, found);
  const earlier = await insteadOfsIn(git, owned);
  const names = namesIn(earlier);
  for (const name of names.organisations) found.organisations.add(name);
  for (const name of names.users) found.users.add(name);

  const places = [git.neutral()];
  for (const directory of repositories) {
    await requireDirectory(directory);
    places.push(git.at(directory));
  }
  for (const place of places) {
    for (const entry of await place.entries()) {
      if (entry.origin !== `file:${owned}`)
        for (const address of addressesIn(entry)) addAddress(address, entry.key.startsWith('remote.'), found);
    }
  }
  const isOrganisation = new Set([...found.organisations].map((name) => name.toLowerCase()));
  return {
    organisations: withoutLowerDoubles(found.organisations),
    users: [...found.users].filter((user) => !isOrganisation.has(user.toLowerCase())).sort(),
    remotes: [...found.remotes].sort(),
    sshRemotes: [...found.sshRemotes].sort(),
    withSecrets: [...found.withSecrets].sort(),
  };
}

interface Found {
  readonly organisations: Set<string>;
  readonly users: Set<string>;
  readonly remotes: Set<string>;
  readonly sshRemotes: Set<string>;
  readonly withSecrets: Set<string>;
}

/** Everything in an entry that may be an address of a repository or the beginning of one. */
function addressesIn({ key, value }: ConfigEntry): string[] {
  if (/^(?:remote|submodule)\..*\.(?:url|pushurl)$/s.test(key)) return [value ?? ''];
  for (const variable of ['insteadof', 'pushinsteadof']) {
    const base = subsectionOf(key, 'url', variable);
    if (base !== undefined) return [base, value ?? ''];
  }
  const other = /^(?:credential|http)\.(.+)\.[a-z0-9-]+$/is.exec(key)?.[1];
  return other === undefined ? [] : [other];
}

/**
 * The forms of azure-services addresses: `https://[user[:password]@]dev.azure.com[:443]/ORG/...`,
 * `https://[user@]ORG.visualstudio.com/...`, `git@ssh.dev.azure.com:v3/ORG/...`, `ORG@vs-ssh.visualstudio.com:v3/ORG/...`
 * and the last two with `ssh://`.
 */
function addAddress(address: string, isRemote: boolean, found: Found): void {
  const ssh = /^(?:ssh:\/\/)?(?:[^@/]+@)?(?:ssh\.dev\.azure\.com|vs-ssh\.visualstudio\.com)(?::\d+)?[:/]\/?v3\/([^/]+)/i.exec(address);
  if (ssh !== null) {
    addOrganisation(ssh[1], found);
    if (isRemote) found.sshRemotes.add(address);
    return;
  }
  const web = /^https?:\/\/(?:([^@/]*)@)?([^/:@]+)(?::\d+)?(?:\/([^/]*))?/i.exec(address);
  if (web === null) return;
  const [, userinfo, host = '', first] = web;
  const own = /^([^.]+)\.visualstudio\.com$/i.exec(host)?.[1];
  if (own === undefined && host.toLowerCase() !== 'dev.azure.com') return;
  addOrganisation(own ?? first, found);
  const user = userinfo === undefined || userinfo === '' ? undefined : userIn(userinfo);
  if (user === undefined && userinfo !== undefined && userinfo !== '') {
    if (isRemote) found.withSecrets.add(hideCredentials(address));
    return;
  }
  if (isRemote) found.remotes.add(address);
  if (user === undefined || own !== undefined) return;
  // The portal's clone addresses have the organisation there; without a path nothing else can be meant.
  const organisation = first === undefined || first === '' ? user : organisationIn(first);
  if (organisation?.toLowerCase() === user.toLowerCase()) addOrganisation(user, found);
  else found.users.add(user);
}

function addOrganisation(text: string | undefined, found: Found): void {
  const name = text === undefined ? undefined : organisationIn(text);
  // The SSH host of the old names is no organisation.
  if (name !== undefined && name.toLowerCase() !== 'vs-ssh') found.organisations.add(name);
}

async function insteadOfsIn(git: Git, owned: string): Promise<string[]> {
  if ((await stat(owned).catch(absent)) === undefined) return [];
  const answer = await git.neutral().run(['config', '--file', owned, '--no-includes', '-z', '--get-regexp', '^url\\..*\\.insteadof$']);
  // 1: none. Anything else: a file that git cannot read, which setup is about to write anew.
  if (answer.status !== 0) return [];
  return answer.stdout
    .toString()
    .split('\0')
    .slice(0, -1)
    .map((field) => field.slice(field.indexOf('\n') + 1));
}

async function requireDirectory(directory: string): Promise<void> {
  if ((await stat(directory).catch(absent))?.isDirectory() === true) return;
  throw new ProxyError('usage', `No such directory: ${directory}`, { todo: 'Name a repository, or leave it out' });
}

/** `contoso` is left out where `Contoso` stands: rules are made for both spellings of it anyway. */
function withoutLowerDoubles(names: ReadonlySet<string>): string[] {
  const raised = new Set([...names].filter((name) => name !== name.toLowerCase()).map((name) => name.toLowerCase()));
  return [...names].filter((name) => !raised.has(name)).sort();
}

function absent(error: unknown): undefined {
  if (systemCodeOf(error) === 'ENOENT' || systemCodeOf(error) === 'ENOTDIR') return undefined;
  throw error;
}
