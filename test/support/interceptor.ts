/**
 * A company's web gateway: an outgoing proxy (CONNECT) that ends TLS itself, with a certificate of its own authority, and goes on to
 * where the host really is. Also a port that takes connections and never says a word.
 */
import { createServer as createHttpServer } from 'node:http';
import { connect, createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, connect as tlsConnect } from 'node:tls';
import type { CertificateSet } from '../azure/certificates.js';

export interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

/** `far`: where every host really is. `ca`: PEM that its certificate is checked with. */
export async function openInterceptor(
  certificates: CertificateSet,
  far: { readonly port: number; readonly ca: string },
): Promise<Listening> {
  const inner = createTlsServer(certificates.good, (near) => {
    const onward = tlsConnect({ host: '127.0.0.1', port: far.port, ca: far.ca, servername: 'dev.azure.com' });
    near.pipe(onward).pipe(near);
    for (const [one, other] of [
      [near, onward],
      [onward, near],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  const secured = await listening(inner);
  const outer = createHttpServer();
  outer.on('connect', (_request, near: Socket) => {
    const tunnel = connect(secured.port, '127.0.0.1', () => {
      near.write('HTTP/1.1 200 Connection established\r\n\r\n');
      near.pipe(tunnel).pipe(near);
    });
    tunnel.on('error', () => near.destroy());
    near.on('error', () => tunnel.destroy());
  });
  const open = await listening(outer);
  return {
    port: open.port,
    close: async () => {
      await open.close();
      await secured.close();
    },
  };
}

/** With certificates: TLS, and no answer to anything. Without: no word at all. */
export function openMute(certificates?: CertificateSet): Promise<Listening> {
  return listening(certificates === undefined ? createTcpServer() : createTlsServer(certificates.good));
}

function listening(server: Server): Promise<Listening> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo; // because a TCP server has such an address
      resolve({
        port,
        close: () =>
          new Promise((closed) => {
            server.close(() => closed());
            for (const socket of sockets) socket.destroy();
          }),
      });
    });
  });
}
