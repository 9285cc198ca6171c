/** Whether the identity of a route gives a credential, and whose it is. */
import type { CheckOutcome } from '../../model/check.js';
import type { Credential, CredentialTarget } from '../../model/credential.js';
import { ProxyError } from '../../model/errors.js';
import { printableLine } from '../../model/printable.js';
import { isAzureDevOps } from '../../model/resource.js';
import { ANY_TENANT, readTenantId } from '../../model/tenant.js';
import type { TokenClaims } from '../../model/token-claims.js';
import { claimsOf } from '../../upstream/authorization.js';
import { placeOf } from '../../upstream/tenants.js';
import { type DaemonCheck, type DoctorParts, type Road, roadOf, SIGNED } from './doctor-parts.js';
import { patOutcome } from './pat-outcome.js';
import { leftText } from './times.js';

/** Longest claim that is shown, in characters: far above an id or a URI. */
const LONGEST_CLAIM = 200;
/** Answers of git's first request that are read when it is asked whether a token is taken: more than that is good enough. */
const ENOUGH_BYTES = 256 * 1024;

export const IDENTITY_CHECKS = {
  token: async (question, parts) => {
    const road = roadOf(question, parts);
    if (road.isSigned) return SIGNED;
    const { vault, clock } = parts;
    const { name } = road.identity;
    const target = await targetOf(road, parts);
    try {
      const { credential, claims } = await vault.askAnew(name, target);
      return describe(road, credential, claims, parts);
    } catch (thrown) {
      const held = await vault.credentialFor(name, { target }).catch(() => undefined);
      if (held?.kind !== 'bearer' || !(thrown instanceof ProxyError)) throw thrown;
      return {
        verdict: 'warning',
        text: `${thrown.message}; the token that is held is good for ${leftText(held.expiresAt.getTime() - clock.now())} more`,
        details: thrown.details,
        todo: thrown.todo ?? 'see `postern status`',
        code: thrown.code,
      };
    }
  },
  tenant: async (question, parts) => {
    const road = roadOf(question, parts);
    if (road.isSigned) return SIGNED;
    if (road.address.kind !== 'azure-services')
      return { verdict: 'ok', text: 'nothing to compare: only Azure DevOps Services has tenants' };
    const credential = await parts.vault.credentialFor(road.identity.name, { target: await targetOf(road, parts) });
    const token = readTenantId(claimsOf(credential)?.tenant ?? '');
    const organisation = await parts.tenants.tenantOf(placeOf({ ...road, operation: road }));
    if (organisation === undefined)
      return { verdict: 'ok', text: 'nothing to compare: the upstream does not tell the tenant of the organisation' };
    if (token === undefined) return { verdict: 'ok', text: `the organisation belongs to ${organisation}; the credential names no tenant` };
    if (organisation === ANY_TENANT) return { verdict: 'ok', text: 'the organisation belongs to no tenant: it is for personal accounts' };
    if (token === organisation) return { verdict: 'ok', text: `organisation and token are of ${token}` };
    return differing(road, parts, { token, organisation });
  },
} as const satisfies Readonly<Record<string, DaemonCheck>>;

/** What the credential is wanted for, as a request of git has it; the tenant is asked for anew. */
async function targetOf(road: Road, { vault, tenants }: DoctorParts): Promise<CredentialTarget> {
  const { address, origin, path, identity } = road;
  const url = new URL(path, origin);
  if (address.kind !== 'azure-services' || !vault.wantsTenant(identity.name)) return { url, hostKind: address.kind, tenant: undefined };
  const place = placeOf({ ...road, operation: road });
  tenants.forget(place);
  return { url, hostKind: address.kind, tenant: await tenants.tenantOf(place) };
}

function describe({ identity }: Road, credential: Credential, claims: TokenClaims | undefined, parts: DoctorParts): CheckOutcome {
  switch (credential.kind) {
    case 'none':
      return { verdict: 'ok', text: 'none is sent: anonymous' };
    case 'passthrough':
      return { verdict: 'ok', text: "none of ours is sent: the caller's own passes through" };
    case 'basic': {
      const state = parts.pats.states().find((each) => each.identity === identity.name);
      const known = state === undefined ? undefined : patOutcome(state, parts.clock.now());
      const ends = credential.expiresAt === undefined ? '' : `, for ${leftText(credential.expiresAt.getTime() - parts.clock.now())} more`;
      return (
        known ?? {
          verdict: 'ok',
          text: `${parts.pats.knownOf(identity.name)?.isPat === true ? 'a personal access token' : 'a password'} was read${ends}`,
        }
      );
    }
    case 'bearer': {
      const left = leftText(credential.expiresAt.getTime() - parts.clock.now());
      const text = `a new one came, good for ${left} (until ${credential.expiresAt.toISOString()})`;
      return { verdict: 'ok', text, details: claims === undefined ? ['it tells nothing of itself'] : claimLines(claims) };
    }
  }
}

/** What it says of itself; never the token or a part of it. */
function claimLines({ audience, tenant, account, application, isApplications, scopes }: TokenClaims): string[] {
  const shown = (text: string): string => printableLine(text, LONGEST_CLAIM);
  const who = isApplications || account === undefined ? `application ${shown(application ?? 'unnamed')}` : shown(account);
  const resource = audience === undefined ? 'no named service' : isAzureDevOps(audience) ? 'Azure DevOps' : shown(audience);
  const allowed = scopes.length === 0 ? '' : `, allowed ${shown(scopes.join(' '))}`;
  return [`for ${resource}, of ${who}, tenant ${shown(tenant ?? 'unnamed')}${allowed}`];
}

/** Guests bring a token of their own tenant, everybody else is refused with it: only the upstream can tell. */
async function differing(
  { address, identity, route, path, origin }: Road,
  { requests }: DoctorParts,
  tenants: { readonly token: string; readonly organisation: string },
): Promise<CheckOutcome> {
  const text = `The token is of tenant ${tenants.token}, the organisation belongs to tenant ${tenants.organisation}`;
  const hostKind = address.kind === 'generic' ? 'azure-services' : address.kind;
  const answer = await requests
    .ask(
      { identity: identity.name, route, hostKind, organisation: address.organisation },
      { method: 'GET', url: new URL(`${path}/info/refs?service=git-upload-pack`, origin), longestBytes: ENOUGH_BYTES },
    )
    // So much is no refusal, and whatever else is in the way has a row of its own.
    .catch(() => undefined);
  if (answer === undefined) return { verdict: 'ok', text: `${text}: right for a guest` };
  const failure = answer.status < 300 ? undefined : answer.failure();
  if (failure?.code !== 'upstream-unauthenticated')
    return { verdict: 'ok', text: `${text}, and takes it all the same: as that of a guest` };
  return { verdict: 'failed', text: failure.what, details: [text], todo: failure.todo, code: failure.code };
}
