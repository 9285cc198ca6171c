/**
 * Whose a connection over IPv4's loopback is, asked of the kernel while it is open (proc(5), net/tcp and fd). For Linux, and for
 * processes of the same user.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Whether a process has a socket with this local port that is connected. Looks at once, because a connection may not last. */
export function ownsConnectionFrom(pid: number, port: number): boolean {
  const end = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const rows = readFileSync('/proc/net/tcp', 'latin1').split('\n').slice(1);
  const inodes = new Set(
    rows.map((row) => row.trim().split(/\s+/)).flatMap(([, local, , , , , , , , inode]) => (local === end ? [`socket:[${inode}]`] : [])),
  );
  return socketsOf(pid).some((socket) => inodes.has(socket));
}

function socketsOf(pid: number): string[] {
  const directory = `/proc/${pid}/fd`;
  try {
    return readdirSync(directory).flatMap((fd) => {
      try {
        return [readlinkSync(`${directory}/${fd}`)];
      } catch {
        // Closed since it was listed.
        return [];
      }
    });
  } catch {
    // The process has ended.
    return [];
  }
}
