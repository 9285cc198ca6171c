/** A person signs in: in a browser that comes back to this machine, or with a code that is entered in a browser anywhere. */
import { createHash, randomBytes } from 'node:crypto';
import { messageOf, ProxyError } from '../model/errors.js';
import type { Clock } from '../model/ports.js';
import { authorityOf } from './authority.js';
import { explainRefusal, failed, loginCommand } from './login-failure.js';
import { isAccount, type Login, type PersonIdentity } from './login-record.js';
import { RedirectListener } from './login-redirect.js';
import { type CodeRequest, type DevicePrompt, PersonClient, type PersonWay } from './person-client.js';
import { TokenFailure } from './token-source.js';

/** As long as Entra itself lets somebody take for its pages. */
const LONGEST_MS = 15 * 60 * 1000;
/** 256 bits for what nobody may guess (RFC 7636 section 7.1 asks for as many). */
const RANDOM_BYTES = 32;

export interface LoginHelpers {
  readonly clock: Clock;
  /** Aborted when the person gives up. */
  readonly signal: AbortSignal;
}

export interface BrowserHelpers extends LoginHelpers {
  /** Takes the address of the sign-in page to the person. */
  readonly show: (address: string) => void;
  /** Lines that the person types: the address that a browser elsewhere was sent to. */
  readonly pasted: AsyncIterable<string>;
  /** Says what was wrong with such a line. */
  readonly complain: (text: string) => void;
}

/**
 * Which sign-in service a person is sent to.
 * @throws ProxyError `login-failed` when the environment names one that cannot be
 */
export function signInPlace(identity: PersonIdentity, environment: Readonly<Record<string, string | undefined>>): string {
  try {
    return authorityOf(identity, environment);
  } catch (thrown) {
    throw thrown instanceof TokenFailure ? failed(thrown.message, thrown.todo, thrown) : thrown;
  }
}

/**
 * By the authorization code flow with PKCE (RFC 6749 section 4.1, RFC 7636, RFC 8252).
 * @throws ProxyError `login-failed`
 */
export async function signInWithBrowser(way: PersonWay, { show, pasted, complain, ...helpers }: BrowserHelpers): Promise<Login> {
  const { identity } = way;
  const client = await PersonClient.open(way);
  const [state, nonce, verifier] = [random(), random(), random()];
  const listener = await RedirectListener.open(state).catch((thrown: unknown) => {
    throw failed(
      `No port on 127.0.0.1 can be opened for the browser to come back to (${messageOf(thrown)})`,
      `run \`${loginCommand(identity)} --device-code\``,
      thrown,
    );
  });
  let closing = { isGood: false, text: 'The sign-in has failed; the terminal says why. You can close this page.' };
  try {
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    const request: CodeRequest = { redirectUri: listener.address, state, nonce, challenge };
    show(await client.pageFor(request));
    void takePasted(listener, pasted, complain);
    const answer = await within(helpers, identity, listener.arrived);
    if (answer.kind === 'refused') throw explainRefusal(way, answer.error, answer.description);
    const login = await within(helpers, identity, client.redeem(answer.code, verifier, request));
    requireAccount(way, login);
    closing = { isGood: true, text: `Signed in as ${login.label.account}. You can close this page.` };
    return login;
  } catch (thrown) {
    if (thrown instanceof ProxyError) closing = { isGood: false, text: `${thrown.message}. You can close this page.` };
    throw thrown;
  } finally {
    await listener.close(closing);
  }
}

/**
 * By the device code flow (RFC 8628).
 * @throws ProxyError `login-failed`
 */
export async function signInWithCode(
  way: PersonWay,
  { show, clock, signal }: LoginHelpers & { readonly show: (prompt: DevicePrompt) => void },
): Promise<Login> {
  const client = await PersonClient.open(way);
  const wait = (ms: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const end = (): void => {
        cancel();
        reject(givenUp(way.identity));
      };
      const cancel = clock.after(ms, () => {
        signal.removeEventListener('abort', end);
        resolve();
      });
      if (signal.aborted) end();
      else signal.addEventListener('abort', end, { once: true });
    });
  const login = await client.byDeviceCode(show, wait);
  requireAccount(way, login);
  return login;
}

/** Whoever signs in as somebody else has chosen another account in the browser, most likely unseen. */
function requireAccount({ identity: { name, user } }: PersonWay, { label: { account } }: Login): void {
  if (user === undefined || isAccount(user, account)) return;
  throw failed(
    `The browser signed in as ${account}, and identity ${name} is for ${user}; nothing was kept`,
    `sign in as ${user} (a private window of the browser knows no other account), or change \`user\` of the identity`,
  );
}

async function takePasted(listener: RedirectListener, pasted: AsyncIterable<string>, complain: (text: string) => void): Promise<void> {
  for await (const line of pasted) {
    if (line.trim() === '') continue;
    try {
      listener.take(line);
      return;
    } catch (thrown) {
      complain(messageOf(thrown));
    }
  }
}

/** What comes first: the result, the end of patience, or the end of time. */
function within<T>({ clock, signal }: LoginHelpers, identity: PersonIdentity, result: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (): void => reject(givenUp(identity));
    const cancel = clock.after(LONGEST_MS, () =>
      reject(failed(`Nobody has signed in within ${LONGEST_MS / 60_000} minutes`, `run \`${loginCommand(identity)}\` once more`)),
    );
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    result.then(resolve, reject).finally(() => {
      cancel();
      signal.removeEventListener('abort', end);
    });
  });
}

function givenUp(identity: PersonIdentity): ProxyError {
  return failed('The sign-in was given up; nothing was kept', `run \`${loginCommand(identity)}\` once more`);
}

function random(): string {
  return randomBytes(RANDOM_BYTES).toString('base64url');
}
