/**
 * Values that the shell is offered. Only what is at hand is looked at: the configuration, git's, and a daemon that runs; nothing is asked of the
 * network, and what cannot be had is not offered.
 */
import { askList } from '../../daemon/lease-actions.js';
import { askStatus } from '../../daemon/admin.js';
import { ERROR_CODES } from '../../model/errors.js';
import { PERMISSIONS } from '../../model/operation.js';
import { LOG_LEVELS } from '../../model/ports.js';
import { REF_CHANGES } from '../../model/refs.js';
import type { IdentitySettings } from '../../model/settings.js';
import { type Context, loadFor, placed, type SettingsFlags } from '../context.js';
import { discover } from '../gitconfig/discovery.js';
import { ENVIRONMENT_FORMATS } from '../gitconfig/environment.js';
import { Git, subsectionOf } from '../gitconfig/git.js';
import { hideCredentials } from '../gitconfig/names.js';
import { placesFor } from '../gitconfig/places.js';
import { LEASE_FORMATS } from '../lease-formats.js';
import type { Candidate, Completion, ValuePlace, Values } from './complete.js';
import { SHELLS } from './scripts.js';

const FILES: Completion = { kind: 'files' };
/** Names of options and of words behind a command whose value is a file. */
const FILE_NAMES: ReadonlySet<string> = new Set(['config', 'output', 'ca-output', 'ca-path', 'file', 'agent']);
/** Kinds that `setup --identity` is given; each is told what else it wants. */
const KINDS = [
  'azure-cli',
  'azure-developer-cli',
  'azure-powershell',
  'browser',
  'device-code',
  'client-secret',
  'client-certificate',
  'workload-identity',
  'managed-identity',
  'azure-pipelines',
  'pat',
  'basic',
  'git-credential',
  'none',
] as const satisfies readonly IdentitySettings['kind'][];
const VERDICTS = ['passed', 'refused', 'failed', 'broken', 'client-gone', 'killed'] as const;

/** `flags`: of the line that is being typed, as far as they say which daemon and configuration are meant. */
export function valuesOf(context: Context, flags: SettingsFlags): Values {
  return async (place) => {
    if (FILE_NAMES.has(place.name)) return FILES;
    try {
      return words(await found(placed(context, flags), flags, place));
    } catch {
      return undefined; // a configuration with faults, or no git: nobody who types wants to read about it now
    }
  };
}

async function found(
  context: Context,
  flags: SettingsFlags,
  { command, name, isOption, begun }: ValuePlace,
): Promise<readonly Candidate[]> {
  switch (name) {
    case 'format':
      return plain(command === 'env' ? ENVIRONMENT_FORMATS : LEASE_FORMATS);
    case 'identity':
      return command === 'setup' ? plain(KINDS) : identities(context, flags, command);
    case 'shell':
      return plain(SHELLS);
    case 'level':
    case 'log-level':
      return plain(LOG_LEVELS);
    case 'allow':
      return listed(PERMISSIONS, begun);
    case 'changes':
      return listed(REF_CHANGES, begun);
    case 'code':
      return plain(ERROR_CODES);
    case 'verdict':
      return plain(VERDICTS);
    case 'type':
      return plain(['rsa', 'ed25519']);
    case 'org':
    case 'organization':
      return plain(await organisations(context));
    case 'url':
    case 'repo':
      return isOption && name === 'url' ? [] : remotes(context);
    case 'operation':
      return ((await askStatus(context.places.adminSocket))?.running ?? []).map(({ id, kind, repository }) => ({
        value: String(id),
        about: `${kind} ${repository}`,
      }));
    case 'lease':
    case 'id':
      return command === 'lease revoke' || name === 'lease' ? leases(context) : [];
    default:
      return [];
  }
}

async function identities(context: Context, flags: SettingsFlags, command: string): Promise<Candidate[]> {
  const all = (await loadFor(context, flags)).settings.identities.map(({ name, kind }) => ({ value: name, about: kind }));
  return command === 'login' ? all.filter(({ about }) => about === 'browser' || about === 'device-code') : all;
}

async function leases({ places }: Context): Promise<Candidate[]> {
  return ((await askList(places.adminSocket)) ?? []).map(({ id, label }) => ({ value: id, about: label ?? '' }));
}

async function organisations({ environment, home, workingDirectory }: Context): Promise<readonly string[]> {
  const { owned } = await placesFor({ env: environment, home });
  const git = new Git(environment, home, workingDirectory);
  return (await discover({ git, named: [], repositories: [workingDirectory], owned })).organisations;
}

/** Addresses of the repository that this is typed in; one with a credential in it is left out. */
async function remotes({ environment, home, workingDirectory }: Context): Promise<Candidate[]> {
  const entries = await new Git(environment, home, workingDirectory).at(workingDirectory).entries();
  return entries.flatMap(({ key, value = '' }) => {
    const remote = subsectionOf(key, 'remote', 'url');
    return remote === undefined || value === '' || hideCredentials(value) !== value ? [] : [{ value, about: remote }];
  });
}

/** A list with commas: what stands before the last one stays. */
function listed(all: readonly string[], begun: string): Candidate[] {
  const before = begun.slice(0, begun.lastIndexOf(',') + 1);
  const given = before.split(',');
  return all.filter((word) => !given.includes(word)).map((word) => ({ value: before + word, about: '' }));
}

function plain(all: readonly string[]): Candidate[] {
  return all.map((value) => ({ value, about: '' }));
}

function words(all: readonly Candidate[]): Completion {
  return { kind: 'words', words: all };
}
