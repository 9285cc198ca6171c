/**
 * Why Azure DevOps makes no personal access token, and what to use instead.
 *
 * Source: Azure DevOps REST API, "Tokens - Pats" (SessionTokenError); the policies of "Manage PATs with policies for
 * administrators".
 */
import type { ErrorCode } from '../model/errors.js';

export interface PatText {
  readonly code: ErrorCode;
  readonly what: string;
  readonly todo: string;
}

const INSTEAD =
  'use what needs no token: an identity of kind browser, device-code or azure-cli for a person, workload-identity, managed-identity or client-certificate for a machine; or let an administrator put you on the allow list of the policy';
const POLICY = 'upstream-forbidden';

/** By the name of the error in lower case: one API writes `patLifespanPolicyViolation`, another `PatLifespanPolicyViolation`. */
const TEXTS: Readonly<Record<string, PatText>> = {
  disablepatcreationpolicyviolation: {
    code: POLICY,
    what: 'A policy of the organisation forbids personal access tokens',
    todo: INSTEAD,
  },
  failedtoreadtenantpolicy: {
    code: POLICY,
    what: "Azure DevOps could not read the policies of the organisation's tenant, and makes no personal access token without them",
    todo: `try again later, and make sure that the identity signs in to the tenant of the organisation; or ${INSTEAD}`,
  },
  failedtoreadorgpolicy: {
    code: POLICY,
    what: 'Azure DevOps could not read the policies of the organisation, and makes no personal access token without them',
    todo: `try again later; or ${INSTEAD}`,
  },
  globalpatpolicyviolation: {
    code: POLICY,
    what: 'A policy of the tenant forbids personal access tokens for all organisations',
    todo: 'make one for each organisation: `postern pat create ORGANIZATION`',
  },
  globalpatcreationblocked: {
    code: POLICY,
    what: 'Azure DevOps makes no personal access tokens for all organisations any more',
    todo: 'make one for each organisation: `postern pat create ORGANIZATION`',
  },
  fullscopepatpolicyviolation: {
    code: POLICY,
    what: 'A policy of the tenant forbids these scopes in a personal access token',
    todo: `ask for less with --scope (\`code-read\` is enough to clone); or ${INSTEAD}`,
  },
  patlifespanpolicyviolation: {
    code: POLICY,
    what: 'A policy of the tenant forbids personal access tokens that live so long',
    todo: `ask for a shorter life with --for, such as \`--for 1d\`; or ${INSTEAD}`,
  },
  accessdenied: {
    code: POLICY,
    what: 'Azure DevOps does not let this identity have personal access tokens in the organisation',
    todo: `make sure that the account is a member of the organisation; or ${INSTEAD}`,
  },
  invalidusertype: {
    code: POLICY,
    what: 'Only people can have personal access tokens, and this identity is an application',
    todo: 'name an identity by which a person signs in with --identity; what an application does needs no token: let it come to the door of Postern',
  },
  invalidscope: {
    code: 'usage',
    what: 'Azure DevOps does not know the scope',
    todo: 'write one as `code-read`, or as Azure DevOps lists it: `vso.code`',
  },
  invalidvalidto: {
    code: 'usage',
    what: 'Azure DevOps does not take the end of the token',
    todo: 'ask for a shorter life with --for, and check the clock of this machine',
  },
  invaliddisplayname: { code: 'usage', what: 'Azure DevOps does not take the name', todo: 'choose another one with --name' },
};
/** What says that there is no token of that id, of this owner, in this organisation. */
const NOT_THERE = ['tokennotfound', 'authorizationnotfound', 'invalidauthorizationid', 'hostauthorizationnotfound'];

/** What the name of an error means; undefined when it is none that is known. */
export function findPatText(name: string): PatText | undefined {
  const key = name.toLowerCase();
  return Object.hasOwn(TEXTS, key) ? TEXTS[key] : undefined;
}

/** Whether the name of an error says that there is no such token. */
export function saysNotThere(name: string): boolean {
  return NOT_THERE.includes(name.toLowerCase());
}
