/**
 * Why a person's sign-in did not come about or gives no more tokens, and the command that mends it. What is not peculiar to
 * people is told by entra-failure.ts.
 */
import { ProxyError } from '../model/errors.js';
import type { SeenExchange } from './authority-talk.js';
import { explainEntraFailure } from './entra-failure.js';
import { signInCommand } from './entra-remedy.js';
import { type EntraText, entraTextOf, findEntraText } from './entra-texts.js';
import type { PersonIdentity } from './login-record.js';
import { TokenFailure } from './token-source.js';

/** Codes whose row in the table tells what kind of failure it is: what a sign-in left has ended; a person has to take a step. */
const ENDED = 700082;
const WANTS_PERSON = 50076;
/** Of the device code flow, both in one row of the table. */
const EXPIRED = 70019;
const DECLINED = 70020;

/** Whose sign-in it is about, and where. */
export interface LoginPlace {
  readonly identity: PersonIdentity;
  /** The sign-in service, an https origin. */
  readonly authority: string;
}

/** Nobody is signed in, or what is kept is of no use: `why`. */
export function notSignedIn(identity: PersonIdentity, why = `Nobody is signed in for identity ${identity.name}`): TokenFailure {
  return new TokenFailure(why, { isDefinite: true, todo: `run \`${loginCommand(identity)}\` as the user of the daemon` });
}

/** A token that was asked for without a person, with what `account` left. */
export function explainRenewal(
  { identity, authority }: LoginPlace,
  account: string,
  thrown: unknown,
  seen: SeenExchange,
): TokenFailure | ProxyError {
  const entra = findEntraText(seen.answer?.body ?? '');
  const code = entra?.number === undefined ? '' : ` (AADSTS${entra.number})`;
  const text = entra?.known ?? entra?.hint;
  // Without an answer it is the library that finds no refresh token in what was kept.
  const isGone = seen.answer === undefined && seen.fault === undefined && /no_tokens_found|refresh_token_expired/.test(String(thrown));
  if (isGone || is(text, ENDED)) return notSignedIn(identity, `The sign-in of ${account} for identity ${identity.name} has ended${code}`);
  if (is(text, WANTS_PERSON))
    return notSignedIn(identity, `The sign-in service wants ${account} to sign in anew for identity ${identity.name}${code}`);
  return explainEntraFailure(identity, thrown, seen, authority);
}

/** A sign-in that a person was at. `isByCode`: with a device code. */
export function explainLogin({ identity, authority }: LoginPlace, isByCode: boolean, thrown: unknown, seen: SeenExchange): ProxyError {
  for (const each of [thrown, seen.fault]) if (each instanceof ProxyError && each.code === 'login-failed') return each;
  const again = `run \`${loginCommand(identity)}\` once more`;
  const entra = findEntraText(seen.answer?.body ?? '');
  const code = entra?.number === undefined ? '' : ` (AADSTS${entra.number})`;
  if (isByCode && (entra?.number === DECLINED || entra?.word === 'authorization_declined'))
    return failed(`The sign-in was declined${code}`, again);
  // The last answer before the end is that it was not entered yet.
  if (isByCode && (is(entra?.known, EXPIRED) || entra?.known?.isTransient === true || String(thrown).includes('code_expired')))
    return failed('The code has expired before somebody signed in with it', again);
  // What a policy forbids is told by the way that was tried, whatever the kind of the identity.
  const tried = { ...identity, kind: isByCode ? ('device-code' as const) : ('browser' as const) };
  const { message, todo } = explainEntraFailure(tried, thrown, seen, authority);
  return failed(message, todo ?? again, thrown);
}

/** What the sign-in page sent back in the place of a code. Its text is shown without what a terminal would act on. */
export function explainRefusal(place: LoginPlace, error: string, description: string): ProxyError {
  const body = JSON.stringify({ error, error_description: description });
  const answer = { url: place.authority, status: 400, body, isJson: true };
  if (findEntraText(body) !== undefined)
    return explainLogin(place, false, new Error(error), { answer, fault: undefined, aheadMs: undefined, proofs: new Set() });
  return failed(
    `The sign-in service refused (${error.replace(/[^\w.-]/g, ' ').slice(0, 100)})`,
    `run \`${loginCommand(place.identity)}\` once more`,
  );
}

export function failed(message: string, todo: string, cause?: unknown): ProxyError {
  return new ProxyError('login-failed', message, { todo, ...(cause === undefined ? {} : { cause }) });
}

/** The command that signs in. */
export function loginCommand(identity: PersonIdentity): string {
  return signInCommand(identity) ?? 'postern login';
}

/** Whether a text is that of a code. */
function is(text: EntraText | undefined, number: number): boolean {
  return text !== undefined && text === entraTextOf(number);
}
