/** Whether an address is one of the door that runs. */
import { isLoopback } from '../../upstream/outgoing-proxy.js';
import type { Found } from './check.js';

/** `address`: as git would use it, after its rules. */
export function isDoors(address: string, { status, loaded }: Found): boolean {
  const place = placeOf(address);
  if (place === undefined || status === undefined) return false;
  const names = loaded?.settings.listen.names ?? [];
  return [...status.listen.http, ...status.listen.ssh].some((each) => {
    const door = new URL(each);
    if (door.protocol !== place.protocol || door.port !== place.port) return false;
    return door.hostname === place.hostname || isLoopback(place.hostname) || names.includes(place.hostname);
  });
}

function placeOf(address: string): Pick<URL, 'protocol' | 'hostname' | 'port'> | undefined {
  const scp = /^\[(?:[^@\]]+@)?([^\]]+):([0-9]+)\]:/.exec(address);
  const text = scp === null ? address : `ssh://${scp[1]}:${scp[2]}`;
  if (!URL.canParse(text)) return undefined;
  const { protocol, hostname, port } = new URL(text);
  // A door in the clear on port 80 says so; URL leaves it out.
  return { protocol, hostname, port };
}
