/**
 * The rewriting rules, as values. git's `url.<base>.insteadOf` is a case-sensitive prefix test on the text of an
 * address; the longest value wins, and it is applied once (git-config(1), measured in detail with git 2.39). So every
 * spelling that people have needs a rule of its own. Both sides end in `/`: without it `https://dev.azure.com` would
 * also catch `https://dev.azure.com.evil.example/`.
 *
 * A family is a list of spellings with the path behind the door that they lead to. SSH forms are in ssh-rules.ts; lease-rules.ts has
 * what environments need that have no ssh.
 */
import type { Route } from '../../model/settings.js';
import { ProxyError } from '../../model/errors.js';
import { parseOrganisation, parseUser, userIn } from './names.js';

/** One line of configuration: addresses that begin with `insteadOf` are read as beginning with `base`. */
export interface Rule {
  readonly insteadOf: string;
  readonly base: string;
}

export interface RulesInput {
  /** The door's own address: an origin such as `http://127.0.0.1:8417`, with or without a final slash. */
  readonly base: string;
  /** Names of organisations; each spelling gets rules as it stands and in lower case. */
  readonly organisations: readonly string[];
  /** Bases of other hosts, `https://tfs.example.com/tfs/`; http is allowed, credentials are not. */
  readonly onPrem: readonly string[];
  /** User parts other than organisations that stand in people's addresses: `jane` for `https://jane@dev.azure.com/`. */
  readonly users?: readonly string[];
}

/** Prefixes as they stand in addresses, and the host with path behind the door, which ends in `/`. */
export interface Family {
  readonly spellings: readonly string[];
  readonly behindDoor: string;
}

/**
 * The rules for everything that is to go through the door: dev.azure.com, each organisation's spellings, and the
 * other bases; sorted and without doubles, so that equal input in any order gives equal rules.
 *
 * @throws ProxyError `usage` for a name that cannot be an organisation, a base with credentials, query or fragment,
 *   one that is not http(s), or one that is the door itself.
 */
export function rulesFor(input: RulesInput): Rule[] {
  const door = doorBase(input.base);
  const organisations = spelledOnce(input.organisations.map(parseOrganisation));
  const users = spelledOnce((input.users ?? []).map(parseUser), false);
  const families = [
    devAzure(organisations, users),
    ...organisations.map(visualStudio),
    ...[...input.onPrem].sort().map((base) => otherHost(base, door)),
  ];
  return rulesOf(families, door);
}

/** The rules of families, in their order; a spelling that comes twice is the first one's. `door` ends in `/`. */
export function rulesOf(families: readonly Family[], door: string): Rule[] {
  const rules = new Map<string, Rule>();
  for (const family of families) {
    for (const insteadOf of family.spellings) {
      if (!rules.has(insteadOf)) rules.set(insteadOf, { insteadOf, base: door + family.behindDoor });
    }
  }
  return [...rules.values()];
}

/** The door's address with its final slash. @throws ProxyError `usage` unless it is a bare http(s) origin. */
export function doorBase(base: string): string {
  const url = URL.canParse(base) ? new URL(base) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || `${url.origin}/` !== url.href) {
    throw new ProxyError('usage', `Not an address of the door: ${JSON.stringify(base)}`, {
      todo: 'Give scheme, host and port: http://127.0.0.1:8417',
    });
  }
  return url.href;
}

/**
 * The names that rules of `rulesFor` were made from, so that a file of rules remembers them. An organisation is
 * known by its own host; what else stands before `@dev.azure.com` is a user.
 */
export function namesIn(insteadOfs: readonly string[]): { organisations: string[]; users: string[] } {
  const organisations = new Set<string>();
  const users = new Set<string>();
  for (const value of insteadOfs) {
    const own = /^https:\/\/([A-Za-z0-9-]+)\.visualstudio\.com\/$/.exec(value)?.[1];
    if (own !== undefined) organisations.add(own);
  }
  for (const value of insteadOfs) {
    const user = /^https:\/\/([^@/:]+)@dev\.azure\.com\/$/.exec(value)?.[1];
    if (user !== undefined && !organisations.has(user) && userIn(user) !== undefined) users.add(user);
  }
  return { organisations: [...organisations], users: [...users] };
}

/**
 * The bases of the hosts that are not Azure DevOps Services, from the routes: the host and the literal parts of
 * the path before the first wildcard; a match without wildcards names a repository, whose parent is the base.
 * A route whose host is a pattern yields nothing: there is no text to compare.
 */
export function onPremBases(routes: readonly Pick<Route, 'match' | 'hostKind'>[]): string[] {
  const bases = new Set<string>();
  for (const route of routes) {
    if (route.hostKind === 'azure-services') continue;
    const [host = '', ...path] = route.match.split('/');
    if (host === '' || host.includes('*')) continue;
    const wild = path.findIndex((part) => part.includes('*'));
    const literal = path.slice(0, wild === -1 ? -1 : wild).filter((part) => part !== '');
    bases.add(`https://${[host, ...literal].join('/')}/`);
  }
  return [...bases];
}

/** dev.azure.com, by itself and after each user part. */
export function devAzure(organisations: readonly string[], users: readonly string[]): Family {
  const host = 'dev.azure.com';
  const spellings = [`https://${host}/`, `https://${host}:443/`, `http://${host}/`];
  for (const user of [...organisations, ...users]) {
    spellings.push(`https://${user}@${host}/`, `https://${user}@${host}:443/`);
  }
  return { spellings, behindDoor: `${host}/` };
}

/** The host of one organisation's own name. */
export function visualStudio(organisation: string): Family {
  const host = `${organisation}.visualstudio.com`;
  return {
    spellings: [
      `https://${host}/`,
      `https://${host}:443/`,
      `http://${host}/`,
      `https://${organisation}@${host}/`,
      `https://${organisation}@${host}:443/`,
    ],
    behindDoor: `${host.toLowerCase()}/`,
  };
}

/** Any other host, from its base. @throws ProxyError `usage` as `rulesFor` */
export function otherHost(base: string, door: string): Family {
  const { protocol, host, path } = baseParts(base);
  if (host === new URL(door).host) throw new ProxyError('usage', `The door cannot lead to itself: ${base}`);
  const origin = `${protocol}//${host}`;
  const spellings = [`${origin}${path}`];
  if (base.startsWith(protocol) && !base.startsWith(origin)) spellings.push(base.endsWith('/') ? base : `${base}/`);
  if (!/:\d+$/.test(host)) spellings.push(`${origin}:${protocol === 'https:' ? 443 : 80}${path}`);
  return { spellings, behindDoor: `${host}${path}` };
}

/** The parts of a base; `host` with its port unless it is the usual one, `path` with a slash at both ends. @throws ProxyError `usage` */
export function baseParts(base: string): { protocol: string; host: string; path: string } {
  const url = URL.canParse(base) ? new URL(base) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.host === '' || /[@?#\s"\\]/.test(base)) {
    throw new ProxyError('usage', 'Not the base of a git host: an http(s) address without user, password, query and fragment is needed', {
      todo: 'Write it like https://tfs.example.com/tfs/',
    });
  }
  // The path as it was written: URL would fold `..` and encode, and git compares text.
  const written = /^[a-z]+:\/\/[^/]*(\/.*)?$/i.exec(base)?.[1] ?? '/';
  return { protocol: url.protocol, host: url.host, path: written.endsWith('/') ? written : `${written}/` };
}

/** Sorted, without doubles, each also in lower case if asked; so that the same names give the same file. */
export function spelledOnce(names: readonly string[], lower = true): string[] {
  const all = new Set(names);
  if (lower) for (const name of names) all.add(name.toLowerCase());
  return [...all].sort();
}
