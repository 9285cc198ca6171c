/**
 * What an upstream's answer to a request of git's is: git's, a redirect, a challenge for a caller that signs in by itself, or a
 * failure with its text.
 */
import type { IncomingMessage } from 'node:http';
import { answerMediaType } from '../git/smart-http.js';
import { isSignInPage, readActivityId } from '../hosts/failure.js';
import { ProxyError } from '../model/errors.js';
import { type HttpOperation, serviceOf } from '../model/operation.js';
import type { Refusal } from '../model/refusal.js';
import { beginsWithPacket, discard, failureText, hasGitHead, headerOf, isFramed } from './git-answer.js';
import type { Judgement, JudgeOptions } from './judgement.js';
import { isRedirect, readRedirect } from './redirect.js';
import { type Journey, refusalFor, unsure } from './journey.js';
import { brokenOff } from '../model/send-faults.js';

/** Reads an answer's head and, where it is none of git's, its text. */
export async function judgeGit(
  journey: Journey,
  operation: HttpOperation,
  answer: IncomingMessage,
  options: JudgeOptions,
): Promise<Judgement> {
  const { record } = journey;
  if (hasGitHead(answer, answerMediaType(serviceOf(operation), operation.step))) {
    if (!isFramed(answer)) {
      answer.destroy();
      return { kind: 'failure', refusal: unsure(journey, { ...refusalFor(journey, unframed()), ...about(answer) }) };
    }
    if (operation.step === 'exchange') return { kind: 'relay', answer };
    const first = beginsWithPacket(answer).catch((thrown: unknown) => broken(thrown, options.stallMs));
    if (await record.spent.during('upstream', first)) return { kind: 'relay', answer };
    discard(answer);
    return {
      kind: 'failed',
      failed: { status: 200, header: (name) => (name === 'content-type' ? 'an empty or foreign body' : undefined), text: '' },
    };
  }
  const isSignIn = isSignInPage({ status: answer.statusCode ?? 0, header: headerOf(answer), text: '' });
  if (isRedirect(answer.statusCode) && !isSignIn) return redirected(journey, operation, answer, options.doorBase);
  if (answer.statusCode === 401 && options.isPassthrough) return { kind: 'challenge', answer };
  const text = await record.spent.during('upstream', failureText(answer));
  return { kind: 'failed', failed: { status: answer.statusCode ?? 0, header: headerOf(answer), text } };
}

function redirected(journey: Journey, operation: HttpOperation, answer: IncomingMessage, doorBase: string): Judgement {
  const { route } = journey;
  const isMapped = route.upstream !== undefined;
  const redirect = readRedirect(answer.headers.location, {
    origin: journey.origin,
    basePath: journey.basePath,
    path: `${journey.path}${journey.suffix}`,
    suffix: journey.suffix,
    address: operation.address,
    localHost: isMapped && operation.address.kind === 'azure-services' ? 'dev.azure.com' : operation.address.upstreamHost,
    doorBase,
  });
  if (redirect.kind === 'here' && operation.step === 'advertisement') return { kind: 'redirect', answer, location: redirect.location };
  discard(answer);
  const common = {
    kind: 'refusal',
    code: 'redirect-elsewhere',
    status: 502,
    route: route.match,
    identity: route.identity,
    ...about(answer),
  } as const;
  if (redirect.kind === 'here') {
    return {
      kind: 'failure',
      refusal: { ...common, what: 'The upstream moved the repository while it was in use', todo: 'run the command again' },
    };
  }
  if (redirect.kind === 'elsewhere') {
    return {
      kind: 'failure',
      refusal: {
        ...common,
        what: `The upstream redirects to another host, ${redirect.host}, which is not followed: the credential is for ${journey.origin.host} alone`,
        todo: `if the repository has moved, change the address of the remote to ${redirect.host}`,
      },
    };
  }
  return {
    kind: 'failure',
    refusal: { ...common, what: `The upstream answered with ${redirect.what}`, todo: 'check the address of the remote' },
  };
}

/** What every text about an answer names. */
export function about(answer: IncomingMessage): Pick<Refusal, 'upstreamStatus' | 'activityId'> {
  return { upstreamStatus: answer.statusCode, activityId: readActivityId(headerOf(answer)) };
}

/** Nothing of the answer had been looked at when it broke. @throws ProxyError always */
function broken(thrown: unknown, stallMs: number): never {
  throw brokenOff(thrown, 0, stallMs);
}

export function unframed(): ProxyError {
  return new ProxyError(
    'upstream-not-git',
    'The upstream answers without saying where its answer ends, so a broken answer could not be told from a whole one',
    {
      todo: 'let the upstream answer with HTTP/1.1 (Content-Length or chunked); a proxy in front of it may be the cause',
    },
  );
}
