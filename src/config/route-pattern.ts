/**
 * The grammar of a route's `match`: which repositories it is about.
 *
 *   pattern = host *( "/" part ) [ "/" "**" ]
 *   host    = ( name | "*." name | "[" IPv6 "]" ) [ ":" port ]
 *   part    = literal | "*"            ; "*" is exactly one part, "**" any rest, also none
 *
 * Literals are percent-decoded once and compared whole, without case. For Azure DevOps Services every spelling is
 * brought to dev.azure.com/ORGANISATION/PROJECT/REPOSITORY, the form of `RepoAddress.canonical`. Pure: knows only the model.
 */
import type { HostKind } from '../model/address.js';
import { quote } from './fault.js';

export interface RoutePattern {
  readonly hostKind: HostKind;
  /** Host as written, lower case, with port; may begin with `*.`, which stands for exactly one label. */
  readonly host: string;
  /** Comparable with `RepoAddress.canonical`: the host first. `*` and a last `**` are wildcards; no literal holds a `*`. */
  readonly canonical: readonly string[];
}

/** Public hosts that are known not to speak Azure's grammar. */
const GENERIC_HOSTS: readonly string[] = ['github.com', 'gitlab.com', 'bitbucket.org'];

/** Organisation, project, repository. */
const SERVICES_PARTS = 3;

/**
 * Reads a pattern.
 * @param hostKind The route's own `host` key; inferred from the host when absent, and when it is `azure-services` elsewhere.
 * @throws {SyntaxError} saying what is wrong and what would be right. Its text holds no userinfo.
 */
export function parseRoutePattern(text: string, hostKind?: HostKind): RoutePattern {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) throw new SyntaxError('begins with a scheme; leave out `https://` and begin with the host');
  const [rawHost = '', ...rawParts] = text.split('/');
  // Whoever writes an @ before the first slash, or a wrong pattern with an @, may have put a password there.
  const show = (piece: string): string => (text.includes('@') ? 'a part' : quote(piece));
  if (rawHost.includes('@')) throw new SyntaxError('names a user; leave out everything up to the `@`');
  const host = parseHost(rawHost, show);
  const kind = hostKind === undefined || (hostKind === 'azure-services' && !isServicesHost(host)) ? inferHostKind(host) : hostKind;
  const parts = rawParts.map((part, index) => parsePart(part, index === rawParts.length - 1, show));
  if (parts.length === 0) throw new SyntaxError(`names only a host; write \`${host}/**\` for all its repositories`);
  if (kind !== 'generic' && parts.includes('_git'))
    throw new SyntaxError('holds `_git`, which is no name; leave it out: host/organisation/project/repository');
  if (kind !== 'azure-services') return { hostKind: kind, host, canonical: [host, ...parts] };
  return { hostKind: kind, host, canonical: servicesForm(host, parts) };
}

/** The kind of a host (lower case, with or without port) when the route does not say. */
export function inferHostKind(host: string): HostKind {
  const name = withoutPort(host);
  if (name === 'dev.azure.com' || name === 'ssh.dev.azure.com' || name.endsWith('.visualstudio.com')) return 'azure-services';
  return GENERIC_HOSTS.includes(name) ? 'generic' : 'azure-server';
}

/** Whether a host (lower case, with or without port) can be Azure DevOps Services. */
export function isServicesHost(host: string): boolean {
  const name = withoutPort(host);
  return name === 'dev.azure.com' || name.endsWith('.dev.azure.com') || name.endsWith('.visualstudio.com');
}

/** Whether whatever the later pattern matches was matched by the earlier one, so that the later is never reached. */
export function covers(earlier: RoutePattern, later: RoutePattern): boolean {
  if (earlier.hostKind !== later.hostKind) return false;
  const [earlierHost = '', ...wide] = earlier.canonical;
  const [laterHost = '', ...narrow] = later.canonical;
  if (!coversHost(earlierHost, laterHost)) return false;
  for (const [index, part] of wide.entries()) {
    if (part === '**') return true;
    const other = narrow[index];
    if (other === undefined || other === '**') return false;
    if (part !== '*' && part !== other) return false;
  }
  return narrow.length === wide.length;
}

function withoutPort(host: string): string {
  return host.replace(/:\d+$/, '');
}

function coversHost(earlier: string, later: string): boolean {
  if (earlier === later) return true;
  return earlier.startsWith('*.') && !later.startsWith('*.') && later.slice(later.indexOf('.')) === earlier.slice(1);
}

function parseHost(raw: string, show: (piece: string) => string): string {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(raw);
  if (raw === '') throw new SyntaxError('begins with no host; write host/part/part, such as `dev.azure.com/contoso/**`');
  const name = match?.[1]?.toLowerCase();
  if (match === null || name === undefined) throw new SyntaxError(`${show(raw)} is not a host; write a name or a name and \`:port\``);
  const port = match[2];
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) {
    throw new SyntaxError(`${show(raw)} has no valid port; write one from 1 to 65535`);
  }
  if (!name.startsWith('[')) {
    const labels = (name.startsWith('*.') ? name.slice(2) : name).split('.');
    if (name.startsWith('*') && (labels.length < 2 || !name.startsWith('*.'))) {
      throw new SyntaxError(`${show(raw)} is too wide for a host; write \`*.\` and a domain, such as \`*.visualstudio.com\``);
    }
    if (name.includes('*', 1)) throw new SyntaxError(`${show(raw)} has a \`*\` inside; a host may only begin with \`*.\``);
    if (!labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))) {
      throw new SyntaxError(`${show(raw)} is not a host name; write it in letters, digits, hyphens and dots (other alphabets as \`xn--\`)`);
    }
  }
  if (name === 'visualstudio.com')
    throw new SyntaxError('names no organisation; write `*.visualstudio.com` or `ORGANISATION.visualstudio.com`');
  return port === undefined ? name : `${name}:${port}`;
}

function parsePart(raw: string, last: boolean, show: (piece: string) => string): string {
  if (raw === '') throw new SyntaxError('has an empty part; write one slash between parts and none at the end');
  if (raw === '*' || (raw === '**' && last)) return raw;
  if (raw === '**') throw new SyntaxError('has `**` before its end; only the last part may be `**`');
  if (/[?#\\]/.test(raw))
    throw new SyntaxError(`${show(raw)} holds a character that ends a path; write \`?\`, \`#\` and \`\\\` percent-encoded`);
  let part: string;
  try {
    part = decodeURIComponent(raw).toLowerCase();
  } catch {
    throw new SyntaxError(`${show(raw)} is wrongly percent-encoded; write a lone \`%\` as \`%25\``);
  }
  if (part === '.' || part === '..') throw new SyntaxError(`${show(raw)} is a step, not a name; write the path without \`.\` and \`..\``);
  if (/[\u0000-\u001f\u007f/]/.test(part))
    throw new SyntaxError(`${show(raw)} decodes to a slash or a control character; a part is one name`);
  if (part.trim() !== part) throw new SyntaxError(`${show(raw)} begins or ends with a blank; leave it out`);
  if (part.includes('*')) throw new SyntaxError(`${show(raw)} has a \`*\` inside; \`*\` stands for one whole part, \`**\` for any rest`);
  return part;
}

/** Brings the spellings of Azure DevOps Services to one form. */
function servicesForm(host: string, parts: readonly string[]): readonly string[] {
  if (host.includes(':')) throw new SyntaxError('has a port, which Azure DevOps Services does not use; leave it out');
  const names = [...parts];
  const sshHost = host.startsWith('ssh.') || host.startsWith('vs-ssh.');
  if (sshHost && names[0] === 'v3')
    throw new SyntaxError('holds `v3`, which is no name; leave it out: host/organisation/project/repository');
  if (host.endsWith('.visualstudio.com') && !sshHost) {
    const organisation = host.slice(0, -'.visualstudio.com'.length);
    if (organisation.includes('.'))
      throw new SyntaxError(`${quote(host)} is no organisation's host; write \`ORGANISATION.visualstudio.com\``);
    if (names[0] === 'defaultcollection')
      throw new SyntaxError('holds `DefaultCollection`, which is no name; leave it out: host/project/repository');
    names.unshift(organisation);
  }
  const rest = names.at(-1) === '**';
  const named = rest ? names.length - 1 : names.length;
  if (named > SERVICES_PARTS)
    throw new SyntaxError('has more parts than organisation, project and repository, so it can match nothing; leave out the rest');
  if (named < SERVICES_PARTS && !rest)
    throw new SyntaxError('names no repository, so it can match nothing; end it in `/**`, or name organisation, project and repository');
  return ['dev.azure.com', ...names];
}
