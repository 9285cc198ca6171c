/**
 * Whether a connection goes through an outgoing proxy, and through which: the route's `proxy`, else HTTPS_PROXY (or
 * ALL_PROXY) unless NO_PROXY covers the host. Names in lower case win over upper case, as curl has it.
 *
 * NO_PROXY: names separated by commas or spaces; `*` is all; `example.com` and `.example.com` cover the host itself and
 * what lies below it; a port may be given. Loopback is never sent through a proxy.
 */
import { isIP } from 'node:net';
import type { Route } from '../model/settings.js';
import { ProxyError } from '../model/errors.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The proxy for `upstream` on this route, or undefined for a direct connection.
 * @throws ProxyError `config-invalid` when the environment names a proxy that is no http(s) URL
 */
export function outgoingProxyFor(route: Pick<Route, 'proxy'>, upstream: URL, environment: Environment): URL | undefined {
  if (route.proxy === 'none') return undefined;
  if (route.proxy !== undefined) return route.proxy;
  if (upstream.protocol !== 'https:' || isLoopback(upstream.hostname)) return undefined;
  const own = lookUp(environment, 'https_proxy');
  const common = lookUp(environment, 'all_proxy');
  // A desktop's ALL_PROXY is often SOCKS, which is meant for others; HTTPS_PROXY is meant for us and has to be right.
  const value = own ?? (common !== undefined && /^socks/i.test(common) ? undefined : common);
  if (value === undefined) return undefined;
  if (isExcepted(upstream, lookUp(environment, 'no_proxy') ?? '')) return undefined;
  const text = value.includes('://') ? value : `http://${value}`;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (proxy === undefined || (proxy.protocol !== 'http:' && proxy.protocol !== 'https:')) {
    throw new ProxyError(
      'config-invalid',
      `${own === undefined ? 'ALL_PROXY' : 'HTTPS_PROXY'} in the environment is not an http or https URL`,
      {
        todo: 'set it to http://host:port',
      },
    );
  }
  return proxy;
}

/** Whether a host is this machine by name or address. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || hostname === '::1' || /^127\.[0-9.]+$/.test(hostname);
}

function lookUp(environment: Environment, name: string): string | undefined {
  const value = environment[name] ?? environment[name.toUpperCase()];
  return value === undefined || value === '' ? undefined : value;
}

function isExcepted(upstream: URL, exceptions: string): boolean {
  const host = upstream.hostname.toLowerCase();
  const port = upstream.port === '' ? '443' : upstream.port;
  return exceptions
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      if (entry === '*') return true;
      // A bare IPv6 address has colons of its own, so a port can only follow one in brackets.
      if (isIP(entry) === 6) return host === `[${entry}]`;
      const match = /^\*?\.?(.*?)(?::([0-9]+))?$/.exec(entry);
      const name = match?.[1] ?? entry;
      if (match?.[2] !== undefined && match[2] !== port) return false;
      return host === name || host.endsWith(`.${name}`);
    });
}
