/**
 * The rules for remotes in SSH form: which spellings there are, and where they lead. To the SSH door, or, where there is to be no
 * ssh at all (`env`, `exec`, leases), to the HTTP door, which serves the same repositories.
 *
 * The forms are those of git-clone(1), "GIT URLS": `ssh://[user@]host[:port]/path`, whose path git sends percent-decoded and with
 * its slash, and scp-like `[user@]host:path`, whose path it sends as it stands, relative or not. Azure reads both alike. Other
 * hosts may not, so their scp-like form is kept on the way to the SSH door: `[git@127.0.0.1:8422]:host/path`.
 */
import type { ListenAddress, Route } from '../../model/settings.js';
import { baseParts, type Family, type Rule, rulesOf } from './rules.js';

const SSH_PORT = 22;
/** Whoever is named before the `@` of the door: it does not go by names, and Azure's own addresses have this one. */
const USER = 'git';
const AZURE_HOST = 'ssh.dev.azure.com';
const OLD_AZURE_HOST = 'vs-ssh.visualstudio.com';
/** What every path on Azure's SSH hosts begins with. */
const AZURE_PATH = 'v3/';

/** A host, or a part of one, that people reach over SSH. */
export interface SshHost {
  /** As it stands behind the door; with the port of HTTP, if that is not the usual one. */
  readonly host: string;
  /** Empty, or ends in `/`. */
  readonly path: string;
  /** Who may stand before the `@`; nobody may always. */
  readonly users: readonly string[];
  /** Ports that may stand in an address. */
  readonly ports: readonly number[];
  /** Whether a path means another repository when it is decoded or gets a slash. */
  readonly isVerbatim: boolean;
}

/** Azure's SSH hosts; the old one has the organisation before the `@`. */
export function azureSshHosts(organisations: readonly string[]): SshHost[] {
  const common = { path: AZURE_PATH, ports: [SSH_PORT], isVerbatim: false };
  return [
    { ...common, host: AZURE_HOST, users: [USER] },
    { ...common, host: OLD_AZURE_HOST, users: organisations },
  ];
}

/**
 * The other host of a base such as `https://tfs.example.com/tfs/`. The path is the same over SSH and HTTP; the port is the one of
 * HTTP. `routes` may name another user and port.
 * @throws ProxyError `usage` for what is no base
 */
export function otherSshHost(base: string, routes: readonly Pick<Route, 'match' | 'ssh'>[] = []): SshHost {
  const { host, path } = baseParts(base);
  const name = host.replace(/:\d+$/, '');
  const upstreams = routes.flatMap(({ match, ssh }) =>
    `https://${match}`.startsWith(base) && ssh.kind === 'agent' && ssh.upstream?.host === name ? [ssh.upstream] : [],
  );
  return {
    host,
    path: path.replace(/^\//, ''),
    users: unique([USER, ...upstreams.flatMap(({ user }) => user ?? [])]),
    ports: unique([SSH_PORT, ...upstreams.map(({ port }) => port)]),
    isVerbatim: true,
  };
}

/** The families of SSH hosts that are to be served by the HTTP door. */
export function sshOverHttp(hosts: readonly SshHost[]): Family[] {
  return hosts.map((each) => {
    const { urls, relative, absolute } = formsOf(each);
    return { spellings: [...urls, ...relative, ...absolute], behindDoor: each.host + `/${each.path}` };
  });
}

/** The rules that lead to the SSH door at `address`, in the order of `hosts`. */
export function sshDoorRules(address: ListenAddress, hosts: readonly SshHost[]): Rule[] {
  const rules = new Map<string, Rule>();
  for (const each of hosts) {
    const { urls, relative, absolute } = formsOf(each);
    const behindDoor = `${each.host}/${each.path}`;
    const add = (spellings: readonly string[], door: string): void => {
      for (const rule of rulesOf([{ spellings, behindDoor }], door)) if (!rules.has(rule.insteadOf)) rules.set(rule.insteadOf, rule);
    };
    const scp = each.isVerbatim ? scpDoor(address) : undefined;
    add(urls, sshDoor(address));
    add(relative, scp ?? sshDoor(address));
    add(absolute, scp === undefined ? sshDoor(address) : `${scp}/`);
  }
  return [...rules.values()];
}

/** `ssh://git@127.0.0.1:8422/`. */
function sshDoor({ host, port }: ListenAddress): string {
  return `ssh://${USER}@${host.includes(':') ? `[${host}]` : host}${port === SSH_PORT ? '' : `:${port}`}/`;
}

/** What the bases of the door's rules begin with. */
export function sshDoors(address: ListenAddress): string[] {
  return [sshDoor(address), scpDoor(address) ?? sshDoor(address)];
}

/** The scp-like beginning of the door's addresses; undefined where git has no such form: IPv6 with a port (measured with 2.39). */
function scpDoor({ host, port }: ListenAddress): string | undefined {
  if (host.includes(':')) return port === SSH_PORT ? `${USER}@[${host}]:` : undefined;
  return port === SSH_PORT ? `${USER}@${host}:` : `[${USER}@${host}:${port}]:`;
}

interface Forms {
  readonly urls: readonly string[];
  /** scp-like, without and with a slash before the path. */
  readonly relative: readonly string[];
  readonly absolute: readonly string[];
}

function formsOf({ host, path, users, ports }: SshHost): Forms {
  const name = host.replace(/:\d+$/, '');
  const names = ['', ...users.map((user) => `${user}@`)].map((user) => user + name);
  return {
    urls: names.flatMap((each) => [`ssh://${each}/${path}`, ...ports.map((port) => `ssh://${each}:${port}/${path}`)]),
    relative: names.map((each) => `${each}:${path}`),
    absolute: names.map((each) => `${each}:/${path}`),
  };
}

function unique<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}
