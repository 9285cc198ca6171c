/**
 * Why a sign-in tool gave no token, and the command that mends it. The tools are known by their words: what each says when
 * nobody is signed in, when a person has to sign in again, and when it lacks a part.
 *
 * Sources: the messages of Azure CLI 2.7x, of the Azure Developer CLI 1.2x (which has them on stdout, as JSON, since 1.23), and of
 * Az.Accounts 2 to 5.
 */
import type { EntraIdentity } from '../model/settings.js';
import { quotedLine } from './outside-words.js';
import { TokenFailure } from './token-source.js';

/** Kinds that a tool serves. */
export type ToolIdentity = Extract<EntraIdentity, { kind: 'azure-cli' | 'azure-developer-cli' | 'azure-powershell' }>;

export type TroubleKind =
  | 'missing'
  | 'timeout'
  /** It ended with a failure. */
  | 'failed'
  /** It did well by its own account, and printed no token. */
  | 'unreadable'
  /** It gave the very token that was not enough. */
  | 'claims';

/** What went wrong with a tool; the message is what it said, as it said it. */
export class ToolTrouble extends Error {
  readonly kind: TroubleKind;
  /** Claims that were asked for, JSON. */
  readonly claims: string | undefined;

  constructor(kind: TroubleKind, words: string, claims?: string) {
    super(words);
    this.name = 'ToolTrouble';
    this.kind = kind;
    this.claims = claims;
  }
}

/** How a person signs in with a tool. */
interface Words {
  readonly name: string;
  /** The program, as one installs and runs it. */
  readonly program: string;
  readonly install: string;
  readonly signedOut: RegExp;
  /** A person has to sign in again, for this resource. */
  readonly again: RegExp;
  readonly login: (want: Want) => string;
  /** The command that shows the trouble to a person. */
  readonly show: (want: Want) => string;
  /** A part that is not there. */
  readonly lacks?: { readonly says: RegExp; readonly what: string; readonly todo: string };
}

interface Want {
  readonly tenant: string | undefined;
  /** Only where the sign-in has to be for it. */
  readonly scope?: string;
  /** JSON. */
  readonly claims?: string | undefined;
  readonly resource: string;
}

const WORDS: { readonly [K in ToolIdentity['kind']]: Words } = {
  'azure-cli': {
    name: 'The Azure CLI',
    program: 'az',
    install: 'the Azure CLI',
    again: /az login --(?:scope|claims-challenge|tenant)|Interactive authentication is needed/,
    signedOut: /az login/,
    login: ({ tenant, scope, claims }) =>
      joined('az login', flag('--tenant', tenant), flag('--claims-challenge', encoded(claims)), flag('--scope', scope)),
    show: ({ resource, tenant }) => joined('az account get-access-token', flag('--resource', resource), flag('--tenant', tenant)),
  },
  'azure-developer-cli': {
    name: 'The Azure Developer CLI',
    program: 'azd',
    install: 'the Azure Developer CLI',
    again: /reauthentication required|must use multi-factor authentication|must enroll in multi-factor/,
    signedOut: /not logged in|azd auth login/,
    // It keeps the claims that it was told of for its next sign-in.
    login: ({ tenant, scope }) => joined('azd auth login', flag('--tenant-id', tenant), flag('--scope', scope)),
    show: ({ resource, tenant }) =>
      joined('azd auth token --output json', flag('--scope', `${resource}/.default`), flag('--tenant-id', tenant)),
    lacks: {
      says: /unknown flag: --claims|not defined: -claims/,
      what: 'This version of the Azure Developer CLI cannot be told of what Azure DevOps asks for (a claims challenge)',
      todo: 'update it to 1.18.1 or later, as the user of the daemon',
    },
  },
  'azure-powershell': {
    name: 'Azure PowerShell',
    program: 'pwsh',
    install: 'PowerShell 7',
    again: /Please (?:re-?authenticate|rerun|run).*Connect-AzAccount.*(?:-AuthScope|-ClaimsChallenge)|user interaction is required/i,
    signedOut: /Connect-AzAccount/,
    login: ({ tenant, claims }) => joined('Connect-AzAccount', flag('-Tenant', tenant), flag('-ClaimsChallenge', encoded(claims))),
    show: ({ resource, tenant }) => joined('Get-AzAccessToken', flag('-ResourceUrl', resource), flag('-TenantId', tenant)),
    lacks: {
      says: /module 'Az\.Accounts'.* was not loaded/,
      what: 'PowerShell has no module Az.Accounts of version 2.2.0 or later',
      todo: 'run `Install-Module Az.Accounts -Scope CurrentUser` in pwsh, as the user of the daemon',
    },
  },
};

/** A tool as texts name it: `the Azure CLI (az)`. */
export function toolName(kind: ToolIdentity['kind']): string {
  const { name, program } = WORDS[kind];
  return `${name.replace(/^The/, 'the')} (${program})`;
}

/** Names the trouble. `identity.tenant` is the one that was asked for, whoever chose it. */
export function toolFailure(identity: ToolIdentity, { kind, message, claims }: ToolTrouble): TokenFailure {
  const { name, program, install, signedOut, again, login, show, lacks } = WORDS[identity.kind];
  const { tenant, resource } = identity;
  const failure = (what: string, todo: string, isDefinite = true): TokenFailure => new TokenFailure(what, { isDefinite, todo });
  const run = (command: string): string =>
    `run \`${command}\`${identity.kind === 'azure-powershell' ? ' in pwsh' : ''} as the user of the daemon`;
  const scope = `${resource}/.default`;
  if (kind === 'missing') {
    const isThere = message !== 'ENOENT';
    return failure(
      `${name} (${program}) ${isThere ? `cannot be run (${message})` : 'was not found on the PATH of the daemon'}`,
      isThere
        ? `check that the user of the daemon may run ${program}`
        : `install ${install}, or start the daemon with a PATH that includes it`,
    );
  }
  if (kind === 'failed' && lacks?.says.test(message) === true) return failure(lacks.what, lacks.todo);
  if (kind === 'claims' || (kind === 'failed' && claims !== undefined)) {
    return failure(
      `Azure DevOps asks for a new sign-in with more proof (a claims challenge), and ${name.replace(/^The/, 'the')} has no such sign-in`,
      `${run(login({ tenant, resource, scope, claims }))}, from an allowed network and device`,
    );
  }
  if (kind === 'failed' && again.test(message))
    return failure(`${name} wants a new sign-in (${quotedLine(message)})`, run(login({ tenant, resource, scope })));
  if (kind === 'failed' && signedOut.test(message)) return failure(`${name} is not signed in`, run(login({ tenant, resource })));
  const why = kind === 'unreadable' ? 'what it printed is no token in JSON' : quotedLine(message);
  return failure(
    `${name} gave no token${why === '' ? '' : ` (${why})`}`,
    `${run(show({ tenant, resource }))} to see why (its output holds a token: do not share it)`,
    false,
  );
}

function flag(name: string, value: string | undefined): string {
  return value === undefined ? '' : `${name} ${value}`;
}

function encoded(claims: string | undefined): string | undefined {
  return claims === undefined ? undefined : Buffer.from(claims, 'utf8').toString('base64');
}

function joined(...words: readonly string[]): string {
  return words.filter((word) => word !== '').join(' ');
}
