import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

/** A port of this machine on which nothing listens. */
export function closedPort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo; // because a TCP server has such an address
      server.close(() => resolve(port));
    });
  });
}
