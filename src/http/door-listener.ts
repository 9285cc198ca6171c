/**
 * The server behind one address of the HTTP door: plain, or with TLS. To the door they are the same; what TLS needs beside
 * is here: another certificate while it runs, the connections that have not got through the handshake, and a text for who speaks
 * plain HTTP to it.
 */
import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { Socket } from 'node:net';
import { stopAccepting } from '../gate/arrivals.js';
import type { CertificateSource, DoorCertificate } from '../model/ports.js';
import { sayUseTls } from './speech.js';

/** First byte of a TLS record that opens a handshake (RFC 8446 section 5.1). */
const HANDSHAKE = 0x16;

export interface DoorListener {
  readonly server: Server;
  readonly scheme: 'http' | 'https';
  /** Accepts no more; the connections that are open live on, also the idle ones, which `server.close()` would end. */
  readonly stopAccepting: () => void;
  /** Shows the certificates of another source from now on; without TLS it does nothing. @throws ProxyError `certificate-unusable` */
  readonly showThoseOf: (certificates: CertificateSource) => Promise<void>;
  /** Ends the connections that no request has come through yet, which the server does not know as its own. */
  readonly closeUnopened: () => void;
}

/** A plain one. */
export function plainListener(options: ServerOptions, handle: RequestListener): DoorListener {
  const server = createServer(options, handle);
  return {
    server,
    scheme: 'http',
    stopAccepting: () => leaveTo(server),
    showThoseOf: () => Promise.resolve(),
    closeUnopened: () => undefined,
  };
}

function leaveTo(server: Server): void {
  stopAccepting(server);
  // The watch over slow heads is to end when the last connection has.
  server.once('close', () => server.close(() => undefined));
}

/**
 * One with TLS, which takes every later certificate of the source too. `handshakeMs`: within which a connection must have said
 * that it speaks TLS, and then be through the handshake.
 * @throws ProxyError `certificate-unusable`
 */
export async function secureListener(
  options: ServerOptions,
  handle: RequestListener,
  { certificates, handshakeMs }: { certificates: CertificateSource; handshakeMs: number },
): Promise<DoorListener> {
  const first = await certificates.current();
  // HTTP/2 is not among what is offered, so nothing can be negotiated that the door does not speak.
  const server = createSecureServer({ ...options, ...shown(first), ALPNProtocols: ['http/1.1'], handshakeTimeout: handshakeMs }, handle);
  let source = certificates;
  const follow = (): void => {
    const followed = source;
    followed.onRenewal((next) => {
      if (followed === source) server.setSecureContext(shown(next));
    });
  };
  follow();
  // Node would have the door answer what failed in the handshake, and nobody could read that.
  server.removeAllListeners('tlsClientError');
  server.on('tlsClientError', (_fault, socket) => socket.destroy());
  const unopened = new Set<Socket>();
  const [begin] = server.listeners('connection') as ((socket: Socket) => void)[]; // what a TLS server does with each connection
  server.removeAllListeners('connection');
  server.on('connection', (socket: Socket) => {
    unopened.add(socket);
    socket.once('close', () => unopened.delete(socket));
    const giveUp = (): void => void socket.destroy();
    socket.on('error', giveUp);
    socket.setTimeout(handshakeMs, giveUp);
    socket.once('readable', () => {
      const head = socket.read() as Buffer | null; // because no encoding is set
      socket.off('timeout', giveUp).setTimeout(0);
      if (head === null) {
        giveUp();
        return;
      }
      if (isPlainHttp(head)) {
        sayUseTls(socket);
        return;
      }
      socket.unshift(head);
      socket.off('error', giveUp);
      begin?.call(server, socket);
    });
  });
  server.on('secureConnection', (secure) => {
    for (const socket of unopened)
      if (socket.remotePort === secure.remotePort && socket.remoteAddress === secure.remoteAddress) unopened.delete(socket);
  });
  return {
    server,
    scheme: 'https',
    stopAccepting: () => leaveTo(server),
    showThoseOf: async (other) => {
      if (other === source) return;
      const certificate = await other.current();
      source = other;
      server.setSecureContext(shown(certificate));
      follow();
    },
    closeUnopened: () => {
      for (const socket of unopened) socket.destroy();
    },
  };
}

/** What is to be said again with every certificate: a new context forgets the rest. */
function shown({ certificate, key }: DoorCertificate) {
  return { cert: certificate, key: key.reveal(), minVersion: 'TLSv1.2' } as const;
}

/** Whether a connection begins like a request: with a method. All that is neither is left to TLS, which refuses it. */
function isPlainHttp(head: Buffer): boolean {
  return head[0] !== HANDSHAKE && /^[A-Z]/.test(head.toString('latin1', 0, 1));
}
