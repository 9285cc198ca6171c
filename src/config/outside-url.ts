/**
 * The URLs a configuration may hold: where requests go (`upstream`), what they go through (`proxy`), who gives
 * tokens (`authority`). No fault here repeats a URL: it may hold a password.
 */
import { isIPv4 } from 'node:net';

/**
 * Reads `upstream`: https, or http to this machine; a path is possible.
 * @throws {SyntaxError} for another scheme, userinfo, query or fragment.
 */
export function parseUpstream(text: string): URL {
  const url = parseUrl(text, 'https://tfs.example.com:8443');
  refuseUserinfo(url, 'credentials belong to an identity');
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw new SyntaxError('is plain http to another machine, which would show the credential to the network; write an `https://` URL');
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new SyntaxError('is not an https URL; write `https://` and the host');
  if (/[?#]/.test(text)) throw new SyntaxError('has a query or fragment; leave out everything from the `?` or `#` on');
  return url;
}

/**
 * Reads `proxy`: an http or https URL, or `none`. A user name alone is possible.
 * @throws {SyntaxError} for another scheme, a password, or anything after the host and port.
 */
export function parseProxy(text: string): URL | 'none' {
  if (text === 'none') return 'none';
  const url = parseUrl(text, 'http://proxy.example.com:3128');
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new SyntaxError('is not an http or https URL; write `http://host:port`, or `none`');
  if (url.password !== '') {
    throw new SyntaxError('holds a password; leave `proxy` out and set HTTPS_PROXY in the environment of the service instead');
  }
  if (url.pathname !== '/' || /[?#]/.test(text)) throw new SyntaxError('has more than scheme, host and port; write `http://host:port`');
  return url;
}

/** A proxy without the user it may hold. */
export function showProxy(proxy: URL | 'none'): string {
  if (proxy === 'none') return proxy;
  return proxy.username === '' && proxy.password === '' ? proxy.origin : `${proxy.protocol}//[hidden]@${proxy.host}`;
}

/**
 * Reads `authority` as an https origin, without the slash at its end.
 * @throws {SyntaxError} for another scheme, userinfo, path, query or fragment.
 */
export function parseAuthority(text: string): string {
  const url = parseUrl(text, 'https://login.microsoftonline.com');
  refuseUserinfo(url, 'credentials belong to the identity');
  if (url.protocol !== 'https:') throw new SyntaxError('is not an https URL; write `https://` and the host');
  if (url.pathname !== '/' || /[?#]/.test(text))
    throw new SyntaxError('has more than scheme, host and port; the tenant has a key of its own, `tenant`');
  return url.origin;
}

function parseUrl(text: string, example: string): URL {
  // The URL parser drops blanks and forgives missing or turned slashes; a configuration should say what it means.
  const plain = /^[a-z][a-z0-9+.-]*:\/\/[^\s/\\]/i.test(text) && !/[\s\\]/.test(text);
  if (!plain || !URL.canParse(text)) throw new SyntaxError(`is not a URL; write it as \`${example}\``);
  return new URL(text);
}

function refuseUserinfo(url: URL, where: string): void {
  if (url.username !== '' || url.password !== '')
    throw new SyntaxError(`holds a user name or password; leave out everything up to the \`@\`: ${where}`);
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'));
}
