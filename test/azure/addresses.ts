/**
 * Which repository a request line names. One listener plays many hosts: the host is taken from the Host header, or, when the client
 * could only reach 127.0.0.1, from the first part of the path. Knows nothing of files or credentials.
 */

/** How a host names repositories and asks for credentials. */
export type HostKind = 'azure' | 'visualstudio' | 'family' | 'server' | 'generic' | 'ntlm';

export type GitService = 'git-upload-pack' | 'git-receive-pack';

export type Step = 'advertisement' | 'exchange' | 'lfs' | 'other';

export interface Address {
  /** The host that is played, without a port. */
  readonly host: string;
  readonly kind: HostKind;
  /** Organisation (or collection); empty on generic hosts. */
  readonly organization: string;
  /** Canonical repository name as repositoryName() gives it; undefined when the path names no repository. */
  readonly repository: string | undefined;
  /** The last part of the repository's name, decoded, as the client wrote it. */
  readonly leaf: string;
  /** The path as sent, undecoded, up to and including the repository; without the `.git` that may stand before `/info/lfs`. */
  readonly base: string;
  /** The path after the repository, without query. */
  readonly rest: string;
  readonly step: Step;
  readonly service: GitService | undefined;
}

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);
const HTTPS_PORT = 443;
/** Services of an organisation that have hosts of their own: `vssps.dev.azure.com/contoso`, before that `contoso.vssps.visualstudio.com`. */
export const FAMILY: readonly string[] = [
  'vssps',
  'vsaex',
  'feeds',
  'pkgs',
  'vsrm',
  'almsearch',
  'auditservice',
  'analytics',
  'extmgmt',
  'vsblob',
  'advsec',
  'artifacts',
  'vstmr',
];
const FAMILY_HOST = new RegExp(`^(?:(?:${FAMILY.join('|')})\\.dev\\.azure\\.com|[^.]+\\.(?:${FAMILY.join('|')})\\.visualstudio\\.com)$`);
const LFS_REST = /^(.*?)(?:\.git)?(\/info\/lfs(?:\/.*)?)$/;
const GENERIC_REST = /^(.*?)(\/(?:info\/refs|git-upload-pack|git-receive-pack))$/;

/** The kind of a host name, undefined for one that the emulator does not play. */
export function hostKind(host: string): HostKind | undefined {
  const name = host.toLowerCase();
  if (name === 'dev.azure.com') return 'azure';
  if (/^[^.]+\.visualstudio\.com$/.test(name)) return 'visualstudio';
  if (FAMILY_HOST.test(name)) return 'family';
  if (name === 'tfs.example.com') return 'server';
  if (name === 'git.example.com' || name === 'other.example.com') return 'generic';
  if (name === 'ntlm.example.com') return 'ntlm';
  return undefined;
}

/**
 * Reads Host header and request target.
 *
 * @param guids names behind the GUIDs that clients may use for projects and repositories, keys in lower case
 * @returns undefined for a host that is not played or a path that cannot be decoded
 */
export function parseAddress(hostHeader: string, target: string, guids: ReadonlyMap<string, string>): Address | undefined {
  const [path = '/', query = ''] = target.split('?', 2);
  let host = hostHeader.replace(/:\d+$/, '').toLowerCase();
  // A name stands for https on its usual port; 127.0.0.1 is reached on whatever port this listener has.
  if (!LOOPBACK.has(host) && Number(/:(\d+)$/.exec(hostHeader)?.[1] ?? HTTPS_PORT) !== HTTPS_PORT) return undefined;
  let prefix = '';
  if (LOOPBACK.has(host)) {
    const first = /^\/([^/]+)/.exec(path)?.[1] ?? '';
    if (hostKind(first)) {
      host = first.toLowerCase();
      prefix = `/${first}`;
    } else {
      host = 'dev.azure.com';
    }
  }
  const kind = hostKind(host);
  if (!kind) return undefined;
  const raw = path.slice(prefix.length);
  const placeOf = (text: string): Place | undefined => placeOn(host, kind, text, guids);
  // git's own ends come first: a repository may be called anything, `info/lfs` too.
  const [, lfsBase, lfsRest] = GENERIC_REST.test(raw) ? [] : (LFS_REST.exec(raw) ?? []);
  const lfsPlace = lfsBase === undefined ? undefined : placeOf(lfsBase);
  if (lfsPlace?.repository !== undefined && lfsPlace.rest === '' && lfsRest !== undefined)
    return { host, kind, ...lfsPlace, base: prefix + lfsPlace.base, rest: lfsRest, step: 'lfs', service: undefined };
  const place = placeOf(raw);
  if (!place) return undefined;
  return { host, kind, ...place, base: prefix + place.base, ...stepOf(place.rest, query) };
}

/**
 * The canonical form of a repository's name, from any of the ways a test may write it: `contoso/Payments/web`, `contoso/web`,
 * `contoso.visualstudio.com/Payments/web`, `tfs.example.com/tfs/DefaultCollection/Payments/web`, `git.example.com/any/path.git`.
 */
export function repositoryName(name: string): string {
  const [first = '', ...more] = name.split('/').filter((part) => part !== '');
  const kind = hostKind(first);
  switch (kind) {
    case 'generic':
    case 'ntlm':
      return [first.toLowerCase(), ...more].join('/').replace(/\.git$/, '');
    case 'server':
      return ignoreCase([first, ...more].join('/'));
    case 'visualstudio':
      return azureName(first.replace(/\.visualstudio\.com$/i, ''), more);
    case 'azure':
    case 'family':
      return azureName(more[0] ?? '', more.slice(1));
    case undefined:
      return azureName(first, more);
  }
}

function azureName(organization: string, names: readonly string[]): string {
  const project = names[0] ?? '';
  return ignoreCase([organization, project, names[1] ?? project].join('/'));
}

/**
 * As Azure DevOps' own program compares: letter by letter, by the one capital that a letter has, whatever the language and the
 * letters beside it (.NET, OrdinalIgnoreCase). So the Kelvin sign is no K, the dotted capital I no i, and both small sigmas are one.
 */
function ignoreCase(text: string): string {
  return Array.from(text, (letter) => {
    const capital = letter.toUpperCase();
    const isOwn = letter === '\u0131' || letter === '\u017f' || Array.from(capital).length > 1;
    const small = (isOwn ? letter : capital).toLowerCase();
    return Array.from(small).length === 1 && small.toUpperCase() === capital ? small : letter;
  }).join('');
}

type Place = Pick<Address, 'organization' | 'repository' | 'leaf' | 'base' | 'rest'>;

function placeOn(host: string, kind: HostKind, raw: string, guids: ReadonlyMap<string, string>): Place | undefined {
  switch (kind) {
    case 'generic':
    case 'ntlm':
      return placeOnGeneric(host, raw);
    case 'family': {
      const name = host.endsWith('.visualstudio.com') ? host.split('.')[0] : decode(raw.split('/')[1] ?? '');
      return name === undefined || decode(raw) === undefined
        ? undefined
        : { organization: name, repository: undefined, leaf: '', base: raw, rest: '' };
    }
    case 'azure':
    case 'visualstudio':
    case 'server':
      return placeOnAzure(host, kind, raw, guids);
  }
}

function placeOnGeneric(host: string, raw: string): Place | undefined {
  const match = GENERIC_REST.exec(raw);
  const base = match?.[1] ?? raw;
  const decoded = decode(base);
  if (decoded === undefined) return undefined;
  const parts = decoded.split('/').filter((part) => part !== '');
  if (parts.some((part) => part === '..' || part === '.')) return undefined;
  const name = parts.length > 0 ? repositoryName([host, ...parts].join('/')) : undefined;
  return { organization: '', repository: name, leaf: parts.at(-1)?.replace(/\.git$/, '') ?? '', base, rest: match?.[2] ?? '' };
}

function placeOnAzure(host: string, kind: HostKind, raw: string, guids: ReadonlyMap<string, string>): Place | undefined {
  const sent = raw.split('/').slice(1);
  const parts: string[] = [];
  for (const part of sent) {
    const text = decode(part);
    if (text === undefined || text === '..' || text.includes('/')) return undefined;
    parts.push(guids.get(text.toLowerCase()) ?? text);
  }
  const at = parts.findIndex((part) => part.toLowerCase() === '_git');
  const before = at < 0 ? parts : parts.slice(0, at);
  const organization = (kind === 'visualstudio' ? host.split('.')[0] : kind === 'server' ? before[1] : before[0]) ?? '';
  const nowhere: Place = { organization, repository: undefined, leaf: '', base: raw, rest: '' };
  if (at < 0) return nowhere;
  if (kind === 'server' && before.shift()?.toLowerCase() !== 'tfs') return nowhere;
  if (kind === 'visualstudio' && before[0]?.toLowerCase() === 'defaultcollection') before.shift();
  if (kind !== 'visualstudio') before.shift();
  if (/^(?:optimized|full)$/i.test(before[1] ?? '')) before.pop();
  let end = at + 1;
  if (/^_(?:optimized|full)$/i.test(parts[end] ?? '')) end += 1;
  const leaf = parts[end] ?? '';
  if (leaf === '' || before.length > 1 || organization === '') return nowhere;
  const project = before[0] ?? leaf;
  const repository =
    kind === 'server' ? repositoryName(`${host}/tfs/${organization}/${project}/${leaf}`) : azureName(organization, [project, leaf]);
  const base = `/${sent.slice(0, end + 1).join('/')}`;
  return { organization, repository, leaf, base, rest: raw.slice(base.length) };
}

function stepOf(rest: string, query: string): { step: Step; service: GitService | undefined } {
  if (rest === '/git-upload-pack' || rest === '/git-receive-pack') {
    return { step: 'exchange', service: rest === '/git-upload-pack' ? 'git-upload-pack' : 'git-receive-pack' };
  }
  const service = new URLSearchParams(query).get('service');
  if (rest === '/info/refs' && (service === 'git-upload-pack' || service === 'git-receive-pack')) return { step: 'advertisement', service };
  return { step: 'other', service: undefined };
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // A broken escape names nothing.
    return undefined;
  }
}
