/**
 * Which route an address belongs to. Patterns and addresses are compared part by part, whole parts only, decoded and
 * folded: `fleet` does not open `fleet-infra`. The first route that matches wins.
 *
 *   pattern = host "/" part *( "/" part )      part = a name | "*" (any one) ; the last may be "**" (any rest)
 *   host    = a name | "*.visualstudio.com"
 *
 * A pattern on any host of Azure DevOps Services is read as its dev.azure.com form, as addresses are, so that a rule
 * cannot be passed by using the other spelling.
 */
import type { RepoAddress } from '../model/address.js';
import { foldName } from '../model/fold.js';
import type { Route } from '../model/settings.js';

interface CompiledRoute {
  readonly route: Route;
  readonly parts: readonly string[];
}

/** An ordered, immutable list of routes. */
export class RouteTable {
  readonly #routes: readonly CompiledRoute[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => ({ route, parts: canonicalPattern(route) }));
  }

  get routes(): readonly Route[] {
    return this.#routes.map(({ route }) => route);
  }

  /** The route of an address; undefined when none matches. */
  find(address: RepoAddress): Route | undefined {
    return this.#routes.find(({ route, parts }) => route.hostKind === address.kind && matches(parts, address.canonical))?.route;
  }

  /** The kind of host that a route declares for `host` (as it stands in an address), first match first. */
  kindOf(host: string): Route['hostKind'] | undefined {
    return this.#routes.find(({ route }) => hostPart(route.match) === host)?.route.hostKind;
  }
}

/** The pattern in the form in which addresses are compared: see RepoAddress.canonical. */
export function canonicalPattern(route: Route): readonly string[] {
  const parts = route.match.split('/').map((part) => foldName(decodePart(part)));
  const host = hostPart(route.match);
  const rest = parts.slice(1);
  if (route.hostKind !== 'azure-services') return [host, ...rest];
  if (host === '*.visualstudio.com') return ['dev.azure.com', '*', ...withoutDefaultCollection(rest)];
  if (host === 'ssh.dev.azure.com' || host === 'vs-ssh.visualstudio.com')
    return ['dev.azure.com', ...(rest[0] === 'v3' ? rest.slice(1) : rest)];
  if (host.endsWith('.visualstudio.com'))
    return ['dev.azure.com', host.slice(0, -'.visualstudio.com'.length), ...withoutDefaultCollection(rest)];
  return [host, ...rest];
}

function withoutDefaultCollection(parts: readonly string[]): readonly string[] {
  return parts[0] === 'defaultcollection' ? parts.slice(1) : parts;
}

function hostPart(match: string): string {
  const host = (match.split('/')[0] ?? '').toLowerCase();
  return host.endsWith(':443') ? host.slice(0, -':443'.length) : host;
}

function decodePart(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function matches(pattern: readonly string[], parts: readonly string[]): boolean {
  for (const [index, wanted] of pattern.entries()) {
    if (wanted === '**' && index === pattern.length - 1) return true;
    const part = parts[index];
    if (part === undefined || (wanted !== '*' && wanted !== part)) return false;
  }
  return pattern.length === parts.length;
}
