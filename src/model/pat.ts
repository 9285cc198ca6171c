/**
 * Personal access tokens of Azure DevOps: what is known of one besides the token itself, and the names of what it may do.
 *
 * Source: Azure DevOps REST API, "Tokens - Pats" (PatToken); "OAuth scopes" of its authentication guidance.
 */
import type { Secret } from './secret.js';
import type { EntraIdentity, IdentitySettings } from './settings.js';

/** A token as its organisation tells of it. */
export interface PatFacts {
  /** The authorizationId, a GUID: names the token without being it. */
  readonly id: string;
  readonly name: string;
  /** As Azure DevOps writes them: `vso.code`; `app_token` is all that its owner may do. */
  readonly scopes: readonly string[];
  readonly expiresAt: Date;
  /** Whether it is good for every organisation of its owner; undefined when that is not told. */
  readonly isGlobal: boolean | undefined;
}

/** A token that was just made: the one time that it can be had. */
export interface NewPat extends PatFacts {
  readonly token: Secret;
}

/** What makes a text that stands for a token most likely none. Neither part repeats any of it. */
export interface PatOddity {
  /** Goes on after "what was read for it": `is a GUID, ...`. */
  readonly what: string;
  readonly todo: string;
}

/** What is known of the token behind an identity, when it was refused. */
export interface PatKnowledge {
  /** Whether it is written as one; a `basic` identity holds one at Azure DevOps Services, which takes no other password. */
  readonly isPat: boolean;
  readonly oddity: PatOddity | undefined;
  /** What has become of it, as its organisation told, after "the personal access token": `ended on ...`; undefined when nobody told. */
  readonly fate: string | undefined;
}

/** Whoever keeps an eye on the tokens behind identities. */
export interface PatWitness {
  /** Undefined for an identity that holds none. */
  knownOf(identity: string): PatKnowledge | undefined;
  /** Says that the upstream refused the token of an identity. Returns at once. */
  refused(identity: string): void;
}

/** Our words for scopes that tools beside git most often need. */
export const PAT_SCOPES: Readonly<Record<string, string>> = {
  'code-read': 'vso.code',
  'code-write': 'vso.code_write',
  'code-manage': 'vso.code_manage',
  'code-status': 'vso.code_status',
  'packaging-read': 'vso.packaging',
  'packaging-write': 'vso.packaging_write',
  'build-read': 'vso.build',
  'build-execute': 'vso.build_execute',
  'work-read': 'vso.work',
  'work-write': 'vso.work_write',
};

/** A scope in the spelling of Azure DevOps; `app_token`, which is everything, is none that may be asked for. */
export const PAT_SCOPE = /^vso\.[a-z]+(?:_[a-z]+)*$/;

/** A year: no token of Azure DevOps lives longer. */
export const LONGEST_PAT_LIFE_MS = 365 * 86_400_000;

/** When tokens for all organisations stop working: announced by Azure DevOps for all of them at once. */
export const GLOBAL_PATS_END = '2026-12-01';

/** Kinds by which a person signs in: only people have personal access tokens. */
export const PERSON_KINDS: readonly IdentitySettings['kind'][] = [
  'browser',
  'device-code',
  'azure-cli',
  'azure-developer-cli',
  'azure-powershell',
] satisfies readonly EntraIdentity['kind'][];
/** Kinds of Entra that are applications. */
export const APPLICATION_KINDS: readonly IdentitySettings['kind'][] = [
  'client-secret',
  'client-certificate',
  'workload-identity',
  'managed-identity',
  'azure-pipelines',
] satisfies readonly EntraIdentity['kind'][];
