/** The ways to sign in that are offered, from what is on this machine, and what each is in the configuration. */
import type { IdentitySettings } from '../../model/settings.js';
import { visible } from '../visible.js';
import type { Choice } from './asker.js';
import type { Machine } from './machine.js';

/** An identity as it stands in the configuration: `kind` first, keys of identity-schema.ts. */
export interface WrittenIdentity {
  readonly kind: IdentitySettings['kind'];
  readonly [key: string]: unknown;
}

/** A way to sign in. */
export interface Way {
  readonly identity: WrittenIdentity;
  /** The command that has to be run before it works; undefined where there is nothing to do, or `postern login` does it. */
  readonly before?: 'az login' | undefined;
}

interface Offer extends Choice<Way> {
  /** Whether it works without anybody doing anything. */
  readonly isReady: boolean;
}

/** In the order in which they are offered: what works as it is comes first. There is always one. */
export function waysOn(machine: Machine): readonly Choice<Way>[] {
  const offers = [...jobs(machine), ...tools(machine), ...people(machine), ...kept(machine)];
  return [...offers.filter(({ isReady }) => isReady), ...offers.filter(({ isReady }) => !isReady)];
}

/** Who a job is, by its variables. */
function jobs({ variables, ids }: Machine): Offer[] {
  const has = (...names: string[]): boolean => names.every((name) => variables.has(name));
  const offers: Offer[] = [];
  if (has('AZURE_FEDERATED_TOKEN_FILE', 'AZURE_CLIENT_ID'))
    offers.push(ready('Workload identity of this pod', { kind: 'workload-identity' }, 'from AZURE_FEDERATED_TOKEN_FILE'));
  if (has('AZURE_CLIENT_SECRET', 'AZURE_CLIENT_ID', 'AZURE_TENANT_ID')) {
    const identity: WrittenIdentity = { kind: 'client-secret', ...ids, secret: { env: 'AZURE_CLIENT_SECRET' } };
    offers.push(ready('Service principal of AZURE_CLIENT_ID', identity, 'its secret stays in AZURE_CLIENT_SECRET'));
  }
  if (has('SYSTEM_ACCESSTOKEN')) offers.push(ready('Token of this pipeline job', { kind: 'azure-pipelines' }, 'from SYSTEM_ACCESSTOKEN'));
  return offers;
}

function tools({ azureCli, azureDeveloperCli }: Machine): Offer[] {
  const offers: Offer[] = [];
  if (azureCli.kind === 'signed-in')
    offers.push(ready(`Azure CLI${asWhom(azureCli.account)}`, { kind: 'azure-cli' }, 'az gives the tokens; nothing is kept here'));
  if (azureDeveloperCli.kind === 'signed-in')
    offers.push(ready('Azure Developer CLI (azd)', { kind: 'azure-developer-cli' }, 'azd gives the tokens; nothing is kept here'));
  if (azureCli.kind === 'signed-out')
    offers.push({
      name: 'Azure CLI, after `az login`',
      value: { identity: { kind: 'azure-cli' }, before: 'az login' },
      description: 'az is here, and nobody is signed in',
      isReady: false,
    });
  return offers;
}

function asWhom(account: string | undefined): string {
  return account === undefined ? '' : `, signed in as ${visible(account)}`;
}

/** Who signs in by `postern login`. Without a browser here the code comes first. */
function people({ hasBrowser }: Machine): Offer[] {
  const browser: Offer = {
    name: hasBrowser ? 'A browser on this machine' : 'A browser, by an address to open',
    value: { identity: { kind: 'browser' } },
    description: 'you sign in once; it is kept sealed',
    isReady: false,
  };
  const code: Offer = {
    name: 'A code, in a browser anywhere',
    value: { identity: { kind: 'device-code' } },
    description: 'for machines without a browser; some tenants forbid it',
    isReady: false,
  };
  return hasBrowser ? [browser, code] : [code, browser];
}

/** Secrets that are there already. They work, and an Entra sign-in is better: so they stand last. */
function kept({ variables, credentialHelpers }: Machine): Offer[] {
  const offers: Offer[] = [];
  const [helper] = credentialHelpers;
  const last = { isReady: false };
  if (helper !== undefined)
    offers.push({
      ...ready(`git's credential helper (${visible(helper)})`, { kind: 'git-credential' }, 'it is asked for what it holds'),
      ...last,
    });
  if (variables.has('AZURE_DEVOPS_EXT_PAT')) {
    const identity: WrittenIdentity = { kind: 'pat', secret: { env: 'AZURE_DEVOPS_EXT_PAT' } };
    offers.push({ ...ready('Personal access token', identity, 'in AZURE_DEVOPS_EXT_PAT, where it stays'), ...last });
  }
  return offers;
}

function ready(name: string, identity: WrittenIdentity, description: string): Offer {
  return { name, value: { identity }, description, isReady: true };
}

/** The environment variable without which an identity does not work; undefined when it needs none. A service has its own environment. */
export function variableOf({ kind, secret }: WrittenIdentity): string | undefined {
  if (kind === 'workload-identity') return 'AZURE_FEDERATED_TOKEN_FILE';
  if (typeof secret === 'object' && secret !== null && 'env' in secret && typeof secret.env === 'string') return secret.env;
  return kind === 'azure-pipelines' ? 'SYSTEM_ACCESSTOKEN' : undefined;
}

/** The name that a new identity gets: one that the file does not have. */
export function identityName({ kind }: WrittenIdentity, taken: readonly string[]): string {
  const base = APPLICATIONS.has(kind) ? 'app' : kind === 'pat' ? 'pat' : 'me';
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? base : `${base}-${count}`;
    if (!taken.includes(name)) return name;
  }
}

const APPLICATIONS: ReadonlySet<string> = new Set([
  'client-secret',
  'client-certificate',
  'workload-identity',
  'managed-identity',
  'azure-pipelines',
]);
