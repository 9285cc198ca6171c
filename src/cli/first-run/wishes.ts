/** What a person wants of the first run: from flags, from answers, and from what is there already, which is not asked again. */
import { keysOf } from '../../config/identity-schema.js';
import { ProxyError } from '../../model/errors.js';
import type { SettingsFlags } from '../context.js';
import { organisationIn, parseOrganisation } from '../gitconfig/names.js';
import type { Asker } from './asker.js';
import { type Standing, canBeService } from './standing.js';
import { variableOf, type Way, waysOn, type WrittenIdentity } from './ways.js';

export interface Wishes {
  /** Besides those that are found. */
  readonly organisations: readonly string[];
  /** Undefined where the configuration says already who signs in. */
  readonly way: Way | undefined;
  /** Whether SSH remotes go through the door; undefined leaves it as it is. */
  readonly hasSsh: boolean | undefined;
  /** Whether it is to become a service of this user. */
  readonly isService: boolean;
}

/** What the flags say; undefined where they say nothing. */
export interface FlagWishes {
  readonly organisations: readonly string[] | undefined;
  readonly identity: WrittenIdentity | undefined;
  readonly hasSsh: boolean | undefined;
  readonly isService: boolean | undefined;
}

/** @throws ProxyError `usage` for a name that is none, and for `--with` that does not fit */
export function flagWishes(flags: SettingsFlags): FlagWishes {
  const { org, identity, ssh, service } = flags;
  const named = (Array.isArray(org) ? org : org === undefined ? [] : [org]).filter((name): name is string => typeof name === 'string');
  const pairs = (Array.isArray(flags['with']) ? flags['with'] : []).filter((pair): pair is string => typeof pair === 'string');
  if (pairs.length > 0 && typeof identity !== 'string')
    throw new ProxyError('usage', '`--with` is about the identity of `--identity`', {
      todo: 'give both, such as `--identity azure-cli --with tenant=contoso.com`',
    });
  return {
    organisations: named.length === 0 ? undefined : named.map(parseOrganisation),
    identity: typeof identity === 'string' ? writtenIdentity(identity, pairs) : undefined,
    hasSsh: typeof ssh === 'boolean' ? ssh : undefined,
    isService: typeof service === 'boolean' ? service : undefined,
  };
}

const SECRET_FORMS = /^(env|file|credential):(.+)$/;

/** What is wrong with the values themselves is said by the configuration's own checks, later. */
function writtenIdentity(kind: string, pairs: readonly string[]): WrittenIdentity {
  const known = keysOf(kind).filter((key) => key !== 'kind' && key !== 'lifecycle');
  const entries = pairs.map((pair): [string, unknown] => {
    const at = pair.indexOf('=');
    const key = at < 0 ? '' : pair.slice(0, at);
    const value = pair.slice(at + 1);
    // The pair may hold a secret that somebody meant to give: it is not repeated.
    if (at < 0) throw new ProxyError('usage', 'A `--with` is no KEY=VALUE', { todo: `give one such as \`--with tenant=contoso.com\`` });
    if (key !== 'secret') return [key, value];
    const [, form, what] = SECRET_FORMS.exec(value) ?? [];
    if (form === undefined)
      throw new ProxyError('usage', '`--with secret=` takes where the secret is, and not the secret itself', {
        todo: 'write env:NAME, file:PATH or credential:NAME; if that was a secret, it is in the history of the shell now: revoke it',
      });
    return [key, { [form]: what }];
  });
  const odd = entries.find(([key]) => known.length > 0 && !known.includes(key));
  if (odd !== undefined)
    throw new ProxyError('usage', `An identity of kind ${kind} has no such key as \`--with\` names`, {
      todo: known.length === 0 ? 'leave it out' : `name one of ${known.join(', ')}`,
    });
  return { kind: kind as WrittenIdentity['kind'], ...Object.fromEntries(entries) }; // a kind that is none is told with its place in the file
}

/** Without anybody to ask: flags, and else what Enter would take. */
export function unaskedWishes(given: FlagWishes, standing: Standing): Wishes {
  const way = givenWay(given, standing);
  return {
    organisations: given.organisations ?? [],
    way,
    hasSsh: given.hasSsh,
    isService: given.isService ?? (canBeService(standing) && isServiceUsual(way)),
  };
}

/** Asks what neither flags nor the machine say. @throws `Interrupted` */
export async function askedWishes(given: FlagWishes, standing: Standing, asker: Asker): Promise<Wishes> {
  const organisations = given.organisations ?? (standing.isSetUp ? [] : await askOrganisations(standing, asker));
  const way =
    given.identity !== undefined || standing.hasRoutes
      ? givenWay(given, standing)
      : await asker.choose('How do you sign in to Azure DevOps?', waysOn(standing.machine));
  const isSshOpen = given.hasSsh === undefined && !standing.isSshSettled && !standing.isSetUp;
  const hasSsh = isSshOpen ? await asker.confirm('SSH remotes too (git@ssh.dev.azure.com:...), without an SSH key?', true) : given.hasSsh;
  const isService =
    given.isService ??
    (canBeService(standing) && (await asker.confirm('Run as a service of yours, from each login on?', isServiceUsual(way))));
  return { organisations, way, hasSsh: isSshOpen && hasSsh === true ? undefined : hasSsh, isService };
}

/** A service does not see the variables of the shell that setup runs in. */
function isServiceUsual(way: Way | undefined): boolean {
  return way === undefined || variableOf(way.identity) === undefined;
}

function givenWay({ identity }: FlagWishes, standing: Standing): Way | undefined {
  if (identity !== undefined) {
    const isSignedOut = identity.kind === 'azure-cli' && standing.machine.azureCli.kind === 'signed-out';
    return { identity, ...(isSignedOut ? { before: 'az login' as const } : {}) };
  }
  return standing.hasRoutes ? undefined : waysOn(standing.machine)[0]?.value;
}

async function askOrganisations({ organisations }: Standing, asker: Asker): Promise<readonly string[]> {
  const found = organisations.length === 0 ? '' : `Found: ${organisations.join(', ')}. `;
  const message =
    organisations.length === 0 ? 'Your organisations at Azure DevOps, with commas:' : `${found}More organisations, with commas:`;
  const answer = await asker.text({ message, otherwise: '', check: (text) => namesIn(text).fault });
  return namesIn(answer).names;
}

/** Names with commas or blanks between, or the addresses that people have at hand. */
export function namesIn(text: string): { readonly names: readonly string[]; readonly fault: string | undefined } {
  const words = text.split(/[\s,;]+/).filter((word) => word !== '');
  const names = words.map(organisationOf);
  const wrong = words.find((_, index) => names[index] === undefined);
  const fault =
    wrong === undefined
      ? undefined
      : /^https?:/i.test(wrong)
        ? 'That is no address at Azure DevOps Services; a server of your own is written into the configuration, as a route'
        : 'An organisation is what follows https://dev.azure.com/ : letters, digits and hyphens';
  return { names: names.filter((name) => name !== undefined), fault };
}

function organisationOf(word: string): string | undefined {
  const path = /^https?:\/\/(?:[^@/]*@)?dev\.azure\.com\/([^/]+)/i.exec(word)?.[1];
  const host = /^https?:\/\/(?:[^@/]*@)?([^./]+)\.visualstudio\.com(?:\/|$)/i.exec(word)?.[1];
  const ssh = /^git@ssh\.dev\.azure\.com:v3\/([^/]+)/i.exec(word)?.[1];
  const bare = word.replace(/^dev\.azure\.com\//i, '').replace(/\/$/, '');
  return organisationIn(path ?? host ?? ssh ?? bare);
}
