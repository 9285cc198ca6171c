/** Which listeners of the door speak TLS, and under which names they are known. */
import { isIPv6 } from 'node:net';
import type { DoorTls, Settings } from '../model/settings.js';
import { isLoopbackAddress } from '../gate/peers.js';

/** Names of this machine for itself, which a certificate is good for whatever the door listens on. */
const LOOPBACK: readonly string[] = ['localhost', '127.0.0.1', '::1'];

/** Whether the listener of an address (IP literal) speaks TLS. */
export function hasTls(tls: DoorTls, host: string): boolean {
  switch (tls.kind) {
    case 'off':
      return false;
    case 'default':
      return !isLoopbackAddress(host);
    case 'auto':
    case 'files':
      return true;
  }
}

/**
 * What our own certificate has to be good for. A listener on all addresses is known by the names of the configuration alone:
 * its addresses come and go, and each would be another certificate.
 */
export function doorNames({ http, names }: Settings['listen']): string[] {
  const own = http.map(({ host }) => host).filter((host) => host !== '0.0.0.0' && host !== '::');
  return [...LOOPBACK, ...own, ...names];
}

/** An address as it stands in a URL. */
export function hostInUrl(host: string): string {
  return isIPv6(host) ? `[${host}]` : host;
}
