/**
 * The grammar of a route's `match`: which repositories it is about.
 *
 *   pattern = host *( "/" part ) [ "/" "**" ]
 *   host    = ( name | "*." name | "[" IPv6 "]" ) [ ":" port ]
 *   part    = literal | "*"            ; "*" is exactly one part, "**" any rest, also none
 *
 * What a pattern means is in model/route-pattern.ts, which the gate decides by; here is what can be wrong with one, each
 * with its text. Pure: knows only the model.
 */
import type { HostKind } from '../model/address.js';
import { foldName } from '../model/fold.js';
import { inferHostKind, isHostName, legacyOrganisation, SSH_AZURE_HOSTS } from '../model/host-name.js';
import { canonicalPattern, lookOf } from '../model/route-pattern.js';
import { quote } from './fault.js';

export interface RoutePattern {
  readonly hostKind: HostKind;
  /** Host as written, lower case, with port; may begin with `*.`, which stands for exactly one label. */
  readonly host: string;
  /** Comparable with `RepoAddress.canonical`: the host first. `*` and a last `**` are wildcards; no literal holds a `*`. */
  readonly canonical: readonly string[];
}

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
  const kind = hostKind === undefined || (hostKind === 'azure-services' && !isServicesHost(host)) ? kindOfHost(host) : hostKind;
  const parts = rawParts.map((part, index) => parsePart(part, index === rawParts.length - 1, show));
  if (parts.length === 0) throw new SyntaxError(`names only a host; write \`${host}/**\` for all its repositories`);
  if (kind !== 'generic' && parts.includes('_git'))
    throw new SyntaxError('holds `_git`, which is no name; leave it out: host/organisation/project/repository');
  if (kind === 'azure-services') checkServices(host, parts);
  return { hostKind: kind, host, canonical: canonicalPattern(text, kind) };
}

/** Whether a host (lower case, with or without port) belongs to Azure DevOps Services, also one that no address can have. */
export function isServicesHost(host: string): boolean {
  return kindOfHost(host) === 'azure-services';
}

/** The kind of a pattern's host; a wrong name below visualstudio.com is told as one of the services'. */
function kindOfHost(host: string): HostKind {
  return withoutPort(host).endsWith('.visualstudio.com') ? 'azure-services' : inferHostKind(host);
}

/**
 * Whether the later pattern is never reached: whatever it matches was matched by the earlier one, or looks like it and is kept from
 * later routes (gate/route-table.ts).
 */
export function covers(earlier: RoutePattern, later: RoutePattern): boolean {
  if (earlier.hostKind !== later.hostKind) return false;
  const [earlierHost = '', ...wide] = lookOf(earlier.hostKind, earlier.canonical);
  const [laterHost = '', ...narrow] = lookOf(later.hostKind, later.canonical);
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
  return earlier.startsWith('*.') && later.slice(later.indexOf('.')) === earlier.slice(1);
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
    if (!isHostName(labels.join('.'))) {
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
    part = foldName(decodeURIComponent(raw));
  } catch {
    throw new SyntaxError(`${show(raw)} is wrongly percent-encoded; write a lone \`%\` as \`%25\``);
  }
  if (part === '.' || part === '..') throw new SyntaxError(`${show(raw)} is a step, not a name; write the path without \`.\` and \`..\``);
  if (/[\u0000-\u001f\u007f/\\]/.test(part))
    throw new SyntaxError(`${show(raw)} decodes to a slash or a control character; a part is one name`);
  if (part.trim() !== part) throw new SyntaxError(`${show(raw)} begins or ends with a blank; leave it out`);
  if (part.includes('*')) throw new SyntaxError(`${show(raw)} has a \`*\` inside; \`*\` stands for one whole part, \`**\` for any rest`);
  return part;
}

/** What only Azure DevOps Services' patterns can have wrong. */
function checkServices(host: string, parts: readonly string[]): void {
  if (host.includes(':')) throw new SyntaxError('has a port, which Azure DevOps Services does not use; leave it out');
  const isSsh = SSH_AZURE_HOSTS.includes(host);
  const isLegacy = !isSsh && host.endsWith('.visualstudio.com');
  if (isSsh && parts[0] === 'v3') throw new SyntaxError('holds `v3`, which is no name; leave it out: host/organisation/project/repository');
  if (isLegacy && host !== '*.visualstudio.com' && legacyOrganisation(host) === undefined)
    throw new SyntaxError(`${quote(host)} is no organisation's host; write \`ORGANISATION.visualstudio.com\``);
  if (isLegacy && parts[0] === 'defaultcollection')
    throw new SyntaxError('holds `DefaultCollection`, which is no name; leave it out: host/project/repository');
  const isOpen = parts.at(-1) === '**';
  const named = parts.length - (isOpen ? 1 : 0) + (isLegacy ? 1 : 0);
  if (named > SERVICES_PARTS)
    throw new SyntaxError('has more parts than organisation, project and repository, so it can match nothing; leave out the rest');
  if (named < SERVICES_PARTS && !isOpen)
    throw new SyntaxError('names no repository, so it can match nothing; end it in `/**`, or name organisation, project and repository');
}
