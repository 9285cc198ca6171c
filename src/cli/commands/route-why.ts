/** Why an address takes its route and is served as it is: what earlier routes miss, where the tenant comes from, who is signed in. */
import type { DaemonStatus } from '../../daemon/status.js';
import type { Mismatch } from '../../gate/route-mismatch.js';
import { TENANT_VARIABLES } from '../../identity/purpose.js';
import type { RepoAddress } from '../../model/address.js';
import type { IdentitySettings, Route } from '../../model/settings.js';
import { ANY_TENANT } from '../../model/tenant.js';

/** Earlier routes that a person is shown; `--json` has all. */
const ROWS_SHOWN = 10;

/** Where the tenant of an identity comes from, for one address. */
export interface TenantOrigin {
  readonly from: 'identity' | 'environment' | 'machine' | 'organisation' | 'default';
  /** An id, a domain or `organizations`; undefined as long as nobody knows. */
  readonly tenant: string | undefined;
  readonly text: string;
}

/** Undefined for identities without any tenant. `status`: of the daemon that runs, if one does. */
export function tenantOrigin(
  identity: IdentitySettings | undefined,
  address: RepoAddress,
  upstreamHost: string,
  status: DaemonStatus | undefined,
): TenantOrigin | undefined {
  if (identity === undefined || !('tenant' in identity)) return undefined;
  const { kind, tenant } = identity;
  if (kind === 'managed-identity') return { from: 'machine', tenant: undefined, text: 'that of the identity of the machine' };
  if (kind === 'azure-pipelines' && identity.serviceConnection === undefined) return undefined;
  if (tenant !== undefined) return { from: 'identity', tenant, text: `${tenant}, as the identity is written` };
  const variable = TENANT_VARIABLES[kind];
  const isLookedUp = address.kind === 'azure-services';
  const organisation = address.canonical[1] ?? '';
  const found = isLookedUp
    ? status?.tenants.find((each) => each.organisation === organisation && each.upstream === upstreamHost)
    : undefined;
  const whose = `that of the organisation ${address.organisation ?? ''}, which the upstream is asked for`;
  if (variable !== undefined) {
    const text = isLookedUp ? `${variable} of the daemon; without it ${whose}` : `${variable} of the daemon`;
    return { from: 'environment', tenant: found?.tenant, text: found === undefined ? text : `${text} (${found.tenant})` };
  }
  if (!isLookedUp)
    return { from: 'default', tenant: undefined, text: 'none is named, and this host tells none: the default of the sign-in' };
  if (found === undefined) return { from: 'organisation', tenant: undefined, text: whose };
  if (found.tenant === ANY_TENANT)
    return {
      from: 'organisation',
      tenant: found.tenant,
      text: `none: ${organisation} is an organisation of personal accounts, as its upstream says`,
    };
  return { from: 'organisation', tenant: found.tenant, text: `${found.tenant}, to which ${organisation} belongs, as its upstream says` };
}

/** Who is signed in for the address, as far as the running daemon has a token; undefined when nobody knows. */
export function accountOf(
  status: DaemonStatus | undefined,
  route: Route,
  tenant: string | undefined,
): { account: string; tenant: string | undefined } | undefined {
  const identity = status?.identities.find(({ name }) => name === route.identity);
  const variant = identity?.variants.find(({ variant: name }) => name === '' || name === tenant);
  return variant?.account === undefined ? undefined : { account: variant.account, tenant: variant.tenant };
}

/** One line for each earlier route. */
export function mismatchLines(mismatches: readonly Mismatch[]): string[] {
  const lines = mismatches.slice(0, ROWS_SHOWN).map(({ match, ...mismatch }) => `  not      ${match}: ${mismatchText(mismatch)}`);
  return mismatches.length > ROWS_SHOWN ? [...lines, `  and ${mismatches.length - ROWS_SHOWN} more, which --json lists`] : lines;
}

function mismatchText({ part, wanted, found }: Omit<Mismatch, 'match'>): string {
  if (wanted === undefined) return `it ends before the ${part} ${found ?? ''}`;
  if (found === undefined) return `the address has no ${wanted} at its end`;
  return `the ${part} is ${found}, not ${wanted}`;
}
