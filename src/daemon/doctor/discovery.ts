/**
 * Whether a sign-in service can be reached and is one: its discovery document is asked for, because what the token library says of every
 * fault on the way to it is the same.
 *
 * Source: OpenID Connect Discovery 1.0, section 4.
 */
import { authorityTalk } from '../../identity/authority-talk.js';
import { explainEntraFailure } from '../../identity/entra-failure.js';
import { nameFailure } from '../../identity/obtain.js';
import type { CheckOutcome } from '../../model/check.js';
import type { EntraIdentity } from '../../model/settings.js';
import type { SendSignIn } from '../../model/sign-in.js';
import { ANY_TENANT } from '../../model/tenant.js';
import { skewOutcome } from './times.js';

/** @throws ProxyError `identity-rejected`, `identity-unavailable`, in the words that a request for a token would have */
export async function judgeDiscovery(
  identity: EntraIdentity,
  authority: string,
  { send, now }: { readonly send: SendSignIn; readonly now: () => number },
): Promise<CheckOutcome> {
  const talk = authorityTalk({ send, way: identity, authority, now });
  const tenant = identity.tenant ?? ANY_TENANT;
  const url = new URL(`/${encodeURIComponent(tenant)}/v2.0/.well-known/openid-configuration`, authority);
  let date: string | undefined;
  try {
    const answer = await talk.exchange({ method: 'GET', url, headers: { accept: 'application/json' } });
    date = answer.headers['date'];
    if (answer.status !== 200 || !isDiscovery(answer.body)) throw new Error(`status ${answer.status}`);
  } catch (thrown) {
    throw nameFailure(identity.name, explainEntraFailure(identity, thrown, talk.seen, authority));
  }
  const clock = skewOutcome(date, now(), authority);
  return clock.verdict === 'ok' ? { verdict: 'ok', text: `${authority} answers for ${tenant}` } : clock;
}

function isDiscovery(body: string): boolean {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && 'token_endpoint' in value;
  } catch {
    // A page of somebody else.
    return false;
  }
}
