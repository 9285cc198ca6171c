/** Whom to ask about personal access tokens of an organisation, and by which route: as the configuration has it. */
import type { RouteTable } from '../gate/route-table.js';
import { isOrganisation } from '../hosts/account-address.js';
import { ProxyError } from '../model/errors.js';
import { APPLICATION_KINDS, PERSON_KINDS } from '../model/pat.js';
import { canonicalPattern } from '../model/route-pattern.js';
import type { IdentitySettings, Route } from '../model/settings.js';
import { notOfEntra, ofApplication, type PatAsk } from '../upstream/pat-api.js';

export interface PatRoads {
  readonly routes: RouteTable;
  readonly identities: readonly IdentitySettings[];
}

/** The pattern of a whole organisation, or of all of them. */
const WHOLE = /^[^/]+\/(?:[^/]+\/)?\*\*$/;

/**
 * Who asks, and how. Without `identity` it is the person to whom a route gives the whole organisation, else the only one.
 * @throws ProxyError `usage` when no route is for the organisation, several people may be meant, or the identity can have no tokens
 */
export function askFor({ routes, identities }: PatRoads, organisation: string, identity?: string): PatAsk {
  if (!isOrganisation(organisation)) {
    throw new ProxyError('usage', 'That is not the name of an organisation', {
      todo: 'write it as in its address: `contoso` of https://dev.azure.com/contoso',
    });
  }
  const own = routes.ofOrganisation(organisation);
  const [first] = own;
  if (first === undefined) {
    throw new ProxyError('usage', `No route of the configuration is for the organisation ${organisation}`, {
      todo: `add a route for dev.azure.com/${organisation}/**, with an identity by which a person signs in`,
    });
  }
  const kindOf = (name: string): IdentitySettings['kind'] | undefined => identities.find((each) => each.name === name)?.kind;
  const name = identity ?? personOf(own.filter((route) => PERSON_KINDS.some((kind) => kind === kindOf(route.identity)))) ?? first.identity;
  const kind = kindOf(name);
  if (kind === undefined) {
    throw new ProxyError('usage', `There is no identity ${name}`, {
      todo: `name one of the configuration: ${identities.map((each) => each.name).join(', ')}`,
    });
  }
  if (APPLICATION_KINDS.includes(kind)) throw ofApplication(name);
  if (!PERSON_KINDS.includes(kind)) throw notOfEntra(name);
  return { identity: name, organisation, route: own.find((route) => route.identity === name) ?? first };
}

/** The one person of these routes; undefined when there is none. @throws ProxyError `usage` for several of whom none has it all */
function personOf(routes: readonly Route[]): string | undefined {
  const whole = routes.find(({ match, hostKind }) => WHOLE.test(canonicalPattern(match, hostKind).join('/')));
  const names = [...new Set(routes.map(({ identity }) => identity))];
  if (whole === undefined && names.length > 1) {
    throw new ProxyError('usage', 'It is not clear who is to ask: several people sign in for repositories of this organisation', {
      todo: `name one of them with --identity: ${names.join(', ')}`,
    });
  }
  return (whole ?? routes[0])?.identity;
}

/**
 * The organisation that is meant when none is named: the only one that the configuration names.
 * @throws ProxyError `usage` when it names none, or several
 */
export function onlyOrganisation({ routes, identities }: PatRoads): string {
  const named = routes.routes.flatMap(({ match, hostKind }) => {
    const organisation = hostKind === 'azure-services' ? canonicalPattern(match, hostKind)[1] : undefined;
    return organisation === undefined || organisation.startsWith('*') ? [] : [organisation];
  });
  const lifecycles = identities.flatMap((identity) =>
    identity.kind === 'pat' && identity.lifecycle !== undefined ? [identity.lifecycle.organization.toLowerCase()] : [],
  );
  const [only, ...more] = new Set([...named, ...lifecycles]);
  if (only !== undefined && more.length === 0) return only;
  throw new ProxyError('usage', 'It is not clear which organisation is meant', {
    todo: only === undefined ? 'name it: `postern pat ... ORGANIZATION`' : `name one of them: ${[only, ...more].join(', ')}`,
  });
}
