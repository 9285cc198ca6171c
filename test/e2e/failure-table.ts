/**
 * Every fault of the git host that the daemon can tell in words: what a user must read for each. A row is the sentence,
 * the upstream's own words where it has any, and the remedy.
 */
import type { Fault, FaultKind } from '../azure/faults.js';

export interface ToldFault {
  readonly kind: FaultKind;
  readonly fault?: Partial<Fault>;
  readonly what: string;
  /** What stands behind `upstream said:`, ids as `ID`. */
  readonly said?: readonly string[];
  /** Status and ActivityId in the line of the route; undefined where there was no answer. */
  readonly status?: number | { readonly advertisement: number; readonly exchange: number };
  readonly todo: string;
  /** Default both. */
  readonly of?: 'push';
}

const SIGN_IN_PAGE = 'The upstream answered with its sign-in page instead of git data';
const SIGN_IN_TODO = 'run `postern status` to see the identity and its token; sign in again or renew its secret if it has changed';
const ANONYMOUS = ["TF400813: The user 'ID' is not authorized to access this resource.", 'Azure DevOps Services | Sign In'];
const BLOCKED = [
  "TF400733: The request has been canceled: Request was blocked due to exceeding usage of resource 'Concurrency' in namespace 'ID'.",
];
const THROTTLED = {
  what: 'Azure DevOps is throttling this identity',
  said: BLOCKED,
  status: 429,
  todo: 'wait and try again; spread work over several identities or fetch less often (usage is shown under Organization settings > Usage)',
} as const;

export const TOLD_FAULTS: readonly ToldFault[] = [
  { kind: 'unauthorized', what: 'The upstream did not accept the credential (401)', said: ANONYMOUS, status: 401, todo: SIGN_IN_TODO },
  { kind: 'signin-302', what: SIGN_IN_PAGE, status: 302, todo: SIGN_IN_TODO },
  { kind: 'signin-203', what: SIGN_IN_PAGE, status: 203, todo: SIGN_IN_TODO },
  { kind: 'html-200', what: SIGN_IN_PAGE, status: 200, todo: SIGN_IN_TODO },
  { kind: 'html-200-oneline', what: SIGN_IN_PAGE, status: 200, todo: SIGN_IN_TODO },
  {
    kind: 'empty-200',
    what: 'The upstream answered 200 with text/html; charset=utf-8, which is not git data',
    status: 200,
    todo: 'check that the address is a git repository and that nothing between here and the upstream (a proxy, a portal) answers in its place',
  },
  {
    kind: 'not-found-TF401019',
    what: 'The repository does not exist, or this identity may not read it',
    said: [
      'TF401019: The Git repository with name or identifier web does not exist or you do not have permissions for the operation you are attempting.',
    ],
    status: 404,
    todo: 'check the spelling of the address, and that the identity has Read on the repository; Azure DevOps does not tell the two apart',
  },
  {
    kind: 'no-push-TF401027',
    of: 'push',
    what: 'This identity lacks a permission on the repository',
    said: [
      "TF401027: You need the Git 'GenericContribute' permission to perform this action. Details: identity 'Build\\ID', scope 'repository'.",
    ],
    status: 403,
    todo: 'ask for the permission named above (Project settings > Repositories > Security); pushing needs Contribute',
  },
  {
    kind: 'forbidden-TF400813',
    what: 'Azure DevOps does not know this identity in the organisation',
    said: ["TF400813: The user 'ID' is not authorized to access this resource."],
    status: 403,
    todo: 'ask an administrator of the organisation to add this identity (Organization settings > Users) with access to the repository, then try again',
  },
  { kind: 'throttled-429', fault: { retryAfterSeconds: 0 }, ...THROTTLED },
  { kind: 'throttled-429', fault: { retryAfterSeconds: 120 }, ...THROTTLED },
  {
    kind: 'unavailable-503',
    fault: { retryAfterSeconds: 0 },
    what: 'The upstream is not available at the moment (503)',
    said: ['Service Unavailable'],
    status: 503,
    todo: 'wait and try again; see the status page of the service',
  },
  {
    kind: 'missing-org-404',
    what: 'The upstream has no such repository, or this identity may not see it (404)',
    said: ['The resource cannot be found.'],
    status: 404,
    todo: 'check the spelling of the address, and that the identity may read it',
  },
  {
    kind: 'redirect-other-host',
    what: 'The upstream redirects to another host, other.example.com, which is not followed: the credential is for UPSTREAM alone',
    status: { advertisement: 302, exchange: 307 },
    todo: 'if the repository has moved, change the address of the remote to other.example.com',
  },
  {
    kind: 'not-framed',
    what: 'The upstream answers without saying where its answer ends, so a broken answer could not be told from a whole one',
    status: 200,
    todo: 'let the upstream answer with HTTP/1.1 (Content-Length or chunked); a proxy in front of it may be the cause',
  },
  {
    kind: 'die-midbody',
    // Broken before the first byte of the body: at the advertisement this can still be told.
    fault: { afterBytes: 0, step: 'advertisement' },
    what: 'The upstream broke off its answer after 0 bytes (aborted)',
    todo: 'run the command again; if it stays, see whether something between here and the upstream cuts connections (a silence of 2 s also counts as a break)',
  },
];

/** Faults with which git shows nothing of ours, because an answer had begun: the log and `postern status` must. */
export const UNTOLD_FAULTS: readonly { readonly kind: FaultKind; readonly code: string; readonly what: RegExp }[] = [
  { kind: 'die-midbody', code: 'upstream-broken', what: /^The upstream broke off its answer after [0-9]+ bytes \(aborted\)$/ },
  { kind: 'truncated-length', code: 'upstream-broken', what: /^The upstream broke off its answer after [0-9]+ bytes \(aborted\)$/ },
  { kind: 'stall', code: 'upstream-timeout', what: /^The upstream sent nothing for 2 s$/ },
];
