/** Whom to ask for the repositories of an organisation or a collection, and by which route: as the configuration has it. */
import type { RouteTable } from '../gate/route-table.js';
import { type AccountAddress, parseAccount } from '../hosts/account-address.js';
import { ProxyError } from '../model/errors.js';
import { isGuidLike } from '../model/guid.js';
import { inferHostKind } from '../model/host-name.js';
import { canonicalNames } from '../model/route-pattern.js';
import type { IdentitySettings } from '../model/settings.js';
import type { ReposAsk } from '../upstream/repos-api.js';

export interface ReposRoads {
  readonly routes: RouteTable;
  readonly identities: readonly IdentitySettings[];
}

/** What a person asks for; undefined what the configuration leaves no choice in. */
export interface ReposWish {
  /** Name of an organisation, or address of one or of a collection. */
  readonly account: string;
  /** Name or GUID. */
  readonly project: string | undefined;
  readonly identity: string | undefined;
}

/**
 * Who asks, and how. Without `identity` it is the one that a route gives all of it, else the only one.
 * @throws ProxyError `usage` for what is no organisation, when no route is for it, several identities may be meant, or the one that is
 *   meant holds no credential
 */
export function reposAsk({ routes, identities }: ReposRoads, { account: text, project, identity }: ReposWish): ReposAsk {
  const parsed = parseAccount(text, (host) => routes.kindOf(host) ?? inferHostKind(host));
  if (parsed.kind === 'fault') {
    throw new ProxyError('usage', `That is not an organisation or a collection: ${parsed.what}`, {
      todo: 'write the name of an organisation (`contoso` of https://dev.azure.com/contoso), or the address of a collection (https://tfs.example.com/tfs/DefaultCollection); a project is named with --project',
    });
  }
  const { account } = parsed;
  if (project !== undefined && !canBeProject(project)) {
    throw new ProxyError('usage', 'That is not the name of a project', { todo: 'write it as it is shown, without its organisation' });
  }
  const own = routesFor(routes, account, project);
  if (own.length === 0) {
    throw new ProxyError('usage', `No route of the configuration is for ${account.display}`, {
      todo: `add a route for ${account.canonical.join('/')}/**, with an identity that may read there`,
    });
  }
  const name = identity ?? identityOf(own);
  const settings = identities.find((each) => each.name === name);
  if (settings === undefined) {
    throw new ProxyError('usage', `There is no identity ${name}`, {
      todo: `name one of the configuration: ${identities.map((each) => each.name).join(', ')}`,
    });
  }
  if (settings.kind === 'passthrough') {
    throw new ProxyError('usage', `Identity ${name} holds no credential: it passes on those of its callers`, {
      todo: 'name another one with --identity, or add one to the configuration',
    });
  }
  // The road of another identity's route would take this one's credential to a host that it is not for.
  const route = own.find((each) => each.route.identity === name)?.route;
  if (route === undefined) {
    throw new ProxyError('usage', `No route for ${account.display} has the identity ${name}`, {
      todo: `name one of theirs: ${namesOf(own).join(', ')}`,
    });
  }
  return { identity: name, account, project, route };
}

type Candidate = ReturnType<RouteTable['below']>[number];

/** The routes below the project if it is named, and as far as its GUID tells no name, below the organisation. */
function routesFor(routes: RouteTable, account: AccountAddress, project: string | undefined): readonly Candidate[] {
  const named = project === undefined || isGuidLike(project) ? [] : canonicalNames(account.kind, account.host, [project]);
  return routes.below(account.kind, [...account.canonical, ...named], account.length);
}

/** @throws ProxyError `usage` for several of which none has it all */
function identityOf(candidates: readonly Candidate[]): string {
  const whole = candidates.find(({ isWhole }) => isWhole)?.route;
  const names = namesOf(candidates);
  if (whole === undefined && names.length > 1) {
    throw new ProxyError('usage', 'It is not clear who is to ask: several identities serve parts of it, and none all of it', {
      todo: `name one of them with --identity: ${names.join(', ')}; or a project with --project`,
    });
  }
  return whole?.identity ?? names[0] ?? '';
}

function namesOf(candidates: readonly Candidate[]): string[] {
  return [...new Set(candidates.map(({ route }) => route.identity))];
}

/** Longest name of a project (Azure DevOps, "Naming restrictions"), in characters. */
const LONGEST_PROJECT = 64;

/** What would lead elsewhere in an address, or can be in none. */
function canBeProject(name: string): boolean {
  return name !== '' && name.length <= LONGEST_PROJECT && !/^\.+$/.test(name) && !/^_/.test(name) && !/[\p{Cc}\\/]/u.test(name);
}
