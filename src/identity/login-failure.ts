/**
 * Why a person's sign-in did not come about or gives no more tokens, and the command that mends it. What is not peculiar to
 * people is told by entra-failure.ts.
 */
import { ProxyError } from '../model/errors.js';
import { explainEntraFailure, type SeenExchange } from './entra-failure.js';
import { findEntraText } from './entra-texts.js';
import type { PersonIdentity } from './login-record.js';
import { TokenFailure } from './token-source.js';

/** The refresh token has ended: by time, by a sign-in frequency, by a changed password, or because it was taken back. */
const ENDED: readonly number[] = [50173, 70008, 70043, 700082, 700084];
/** A person has to take a step. */
const WANTS_PERSON: readonly number[] = [16000, 50058, 50072, 50074, 50076, 50078, 50079, 50097, 50125, 65001];
/** Conditional access that device code meets, because no device stands behind it. */
const NO_DEVICE_CODE: readonly number[] = [50005, 50097, 53000, 53001, 53003, 530031, 530032, 530033, 530034];
/** Words of OAuth and OpenID Connect for the same (Core 1.0 section 3.1.2.6). */
const WANTS_PERSON_WORDS = ['interaction_required', 'login_required', 'consent_required'];

/** The command that signs in. */
export function loginCommand(identity: string): string {
  return `\`postern login ${/^[\w.-]+$/.test(identity) ? identity : `'${identity}'`}\``;
}

/** Nobody is signed in, or what is kept is of no use: `why`. */
export function notSignedIn(identity: string, why = `Nobody is signed in for identity ${identity}`): TokenFailure {
  return new TokenFailure(why, { isDefinite: true, todo: `run ${loginCommand(identity)} as the user of the daemon` });
}

/** A token that was asked for without a person, with what `account` left. */
export function explainRenewal(identity: PersonIdentity, account: string, thrown: unknown, seen: SeenExchange): TokenFailure | ProxyError {
  const { name } = identity;
  const entra = findEntraText(seen.body);
  const code = entra === undefined ? '' : ` (AADSTS${entra.number})`;
  if (entra !== undefined && ENDED.includes(entra.number))
    return notSignedIn(name, `The sign-in of ${account} for identity ${name} has ended${code}`);
  const isWanted =
    entra === undefined
      ? WANTS_PERSON_WORDS.includes(errorOf(seen.body))
      : WANTS_PERSON.includes(entra.number) || (entra.known === undefined && WANTS_PERSON_WORDS.includes(errorOf(seen.body)));
  if (isWanted) return notSignedIn(name, `The sign-in service wants ${account} to sign in anew for identity ${name}${code}`);
  // The library says so when its cache has no refresh token.
  if (seen.status === undefined && seen.fault === undefined && /no_tokens_found|refresh_token_expired/.test(String(thrown)))
    return notSignedIn(name, `The sign-in of ${account} for identity ${name} has ended`);
  return explainEntraFailure(identity, thrown, seen);
}

/** A sign-in that a person was at. `isByCode`: with a device code. */
export function explainLogin(identity: PersonIdentity, isByCode: boolean, thrown: unknown, seen: SeenExchange): ProxyError {
  const named = namedFault(thrown) ?? namedFault(seen.fault);
  if (named !== undefined) return named;
  const entra = findEntraText(seen.body);
  const code = entra === undefined ? '' : ` (AADSTS${entra.number})`;
  if (isByCode) {
    if (entra?.number === 70020 || errorOf(seen.body) === 'authorization_declined')
      return failed(`The sign-in was declined${code}`, again(identity));
    if (entra?.number === 70019 || entra?.number === 70016 || /code_expired|expired_token/.test(`${String(thrown)} ${errorOf(seen.body)}`))
      return failed('The code has expired before somebody signed in with it', again(identity));
    if (entra !== undefined && NO_DEVICE_CODE.includes(entra.number))
      return failed(
        `The tenant blocks sign-ins with a device code${code}`,
        `run \`postern login ${identity.name} --browser\` where there is a browser`,
      );
  }
  const explained = explainEntraFailure(identity, thrown, seen);
  return failed(explained.message, explained.todo ?? again(identity), explained);
}

/** What the sign-in page sent back in the place of a code. Its text is shown without what a terminal would act on. */
export function explainRefusal(identity: PersonIdentity, error: string, description: string): ProxyError {
  const seen: SeenExchange = { status: 400, body: description, fault: undefined, proofs: new Set() };
  if (findEntraText(description) !== undefined) return explainLogin(identity, false, new Error(error), seen);
  if (error === 'access_denied') return failed('The sign-in was declined', again(identity));
  return failed(`The sign-in service refused (${error.replace(/[^\w.-]/g, ' ').slice(0, 100)})`, again(identity));
}

export function failed(message: string, todo: string, cause?: unknown): ProxyError {
  return new ProxyError('login-failed', message, { todo, ...(cause === undefined ? {} : { cause }) });
}

function again({ name }: PersonIdentity): string {
  return `run ${loginCommand(name)} once more`;
}

function namedFault(thrown: unknown): ProxyError | undefined {
  return thrown instanceof ProxyError && thrown.code === 'login-failed' ? thrown : undefined;
}

function errorOf(body: string): string {
  try {
    const { error } = JSON.parse(body) as { error?: unknown };
    return typeof error === 'string' ? error : '';
  } catch {
    return '';
  }
}
