/**
 * Looks at the way to a host step by step: name, connection, TLS, first answer. Each step takes the road of every other connection
 * (dial.ts), so that what a step says is what a request would meet; nothing here carries a credential.
 */
import { lookup } from 'node:dns/promises';
import { type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { isIP, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type DetailedPeerCertificate, rootCertificates, TLSSocket } from 'node:tls';
import { X509Certificate } from 'node:crypto';
import type { Route } from '../model/settings.js';
import { dial, type DialPlan } from './dial.js';
import { isPublicHost, shownName, silent, tooLate, unanswered, unreachable } from './dial-texts.js';
import { type Environment, outgoingProxyFor } from './outgoing-proxy.js';
import { trustContext } from './trust.js';

/** Certificates of a chain that are looked at: real ones have three or four. */
const LONGEST_CHAIN = 10;

/** Where to, and with whose settings. */
export interface ProbeWay extends Pick<Route, 'ca' | 'proxy'> {
  /** Scheme, host and port. */
  readonly origin: URL;
  /** It is the sign-in service of an identity, not the upstream of a route. */
  readonly isSignIn?: boolean;
}

/** What was agreed in a handshake. */
export interface TlsFacts {
  /** `TLSv1.3` */
  readonly protocol: string;
  /** Names on the way from the host's certificate to the authority that is trusted, printable, the host's first. */
  readonly chain: readonly string[];
  /** Time of the host's certificate, ms since the epoch. */
  readonly validFrom: number;
  readonly validTo: number;
  /** Whether the authority is one of those that every system trusts, not one that was named here. */
  readonly isPublicAuthority: boolean;
  /** Whether the certificates of the host are from such an authority wherever nobody stands in between. */
  readonly isPublicHost: boolean;
}

/** The beginning of an answer. */
export interface AnswerHead {
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  /** When it came, ms since the epoch, and how long after it was asked for. */
  readonly at: number;
  readonly ms: number;
}

export class Probes {
  readonly #environment: Environment;
  readonly #connectMs: number;
  readonly #answerMs: number;

  /** @param options `connectMs` for a connection with all its steps; `answerMs` for the silence before an answer */
  constructor(options: { environment: Environment; connectMs: number; answerMs: number }) {
    this.#environment = options.environment;
    this.#connectMs = options.connectMs;
    this.#answerMs = options.answerMs;
  }

  /** The outgoing proxy of a way; undefined for a direct one. @throws ProxyError `config-invalid` */
  proxyOf({ origin, proxy }: ProbeWay): URL | undefined {
    return outgoingProxyFor({ proxy }, origin, this.#environment);
  }

  /** Addresses of the host, as this machine finds them; none for an address. @throws ProxyError `upstream-unreachable`, `upstream-timeout` */
  async addresses(way: ProbeWay): Promise<readonly string[]> {
    const plan = this.#plan(way);
    const host = bare(way.origin.hostname);
    if (isIP(host) !== 0) return [];
    let timer: NodeJS.Timeout | undefined;
    // The system's lookup has no limit of its own that could be set.
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(tooLate(plan, false)), this.#connectMs);
    });
    const found = lookup(host, { all: true }).catch((thrown: unknown) => {
      throw unreachable(plan, thrown as Error); // the lookup rejects with nothing else
    });
    try {
      return (await Promise.race([found, late])).map(({ address }) => address);
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * Opens a connection without TLS, through the outgoing proxy if there is one, and gives the address at its other end.
   * @throws ProxyError `upstream-unreachable`, `upstream-timeout`, `proxy-refused`
   */
  async connection(way: ProbeWay): Promise<string> {
    const socket = await this.#open({ ...this.#plan(way), isPlain: true });
    const place = socket instanceof Socket ? `${displayed(socket.remoteAddress ?? '')}:${socket.remotePort ?? ''}` : way.origin.host;
    socket.destroy();
    return place;
  }

  /** The handshake of TLS; undefined for an upstream without. @throws ProxyError as every connection does */
  async handshake(way: ProbeWay): Promise<TlsFacts | undefined> {
    const socket = await this.#open(this.#plan(way));
    try {
      return socket instanceof TLSSocket ? factsOf(socket, way.origin) : undefined;
    } finally {
      socket.destroy();
    }
  }

  /** Asks for a path without any credential, and gives the beginning of the answer. @throws ProxyError as every request does */
  async answer(way: ProbeWay, path: string): Promise<AnswerHead> {
    const plan = this.#plan(way);
    const socket = await this.#open(plan);
    const askedAt = performance.now();
    return new Promise<AnswerHead>((resolve, reject) => {
      // Node's own option is for sockets that Node opens.
      if (socket instanceof Socket) socket.setTimeout(this.#answerMs);
      socket.on('timeout', () => {
        reject(silent(plan, this.#answerMs));
        socket.destroy();
      });
      const asked = httpRequest(
        {
          createConnection: () => socket,
          path,
          headers: { host: way.origin.host, connection: 'close', accept: '*/*', 'x-tfs-fedauthredirect': 'Suppress' },
        },
        ({ statusCode = 0, headers }) => {
          resolve({ status: statusCode, header: (name) => joined(headers, name), at: Date.now(), ms: performance.now() - askedAt });
          socket.destroy();
        },
      );
      // After an answer it is the end of the connection that is told.
      const fail = (fault: Error): void => {
        reject(unanswered(plan, fault));
        socket.destroy();
      };
      asked.on('error', fail);
      // Another protocol is no answer, and Node tells of it in this way alone.
      asked.on('upgrade', () => fail(new Error('it changed to another protocol')));
      asked.end();
    });
  }

  #plan(way: ProbeWay): DialPlan {
    const { origin, ca, isSignIn = false } = way;
    return {
      origin: new URL(origin.origin),
      trust: trustContext(ca, isSignIn ? 'identity' : 'route'),
      proxy: this.proxyOf(way),
      timeoutMs: this.#connectMs,
      isSignIn,
      // A session that is resumed shows no certificates.
      session: undefined,
      onSession: () => undefined,
    };
  }

  #open(plan: DialPlan): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      dial(plan, (fault, socket) => {
        if (socket === undefined) reject(fault ?? new Error('no connection'));
        else resolve(socket.on('error', () => socket.destroy()));
      });
    });
  }
}

/** @param socket whose handshake is done, with a session of its own */
export function factsOf(socket: TLSSocket, origin: URL): TlsFacts {
  const chain: DetailedPeerCertificate[] = [];
  // The last one is its own issuer.
  for (
    let each: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
    each !== undefined && !chain.includes(each) && chain.length < LONGEST_CHAIN;
    each = each.issuerCertificate as DetailedPeerCertificate | undefined // absent where the chain ends early
  )
    chain.push(each);
  const [own] = chain;
  const last = chain.at(-1);
  return {
    protocol: socket.getProtocol() ?? 'TLS',
    chain: chain.map(({ subject }) => shownName(subject)),
    validFrom: Date.parse(own?.valid_from ?? ''),
    validTo: Date.parse(own?.valid_to ?? ''),
    isPublicAuthority: last !== undefined && publicRoots().has(last.fingerprint256),
    isPublicHost: isPublicHost(origin.hostname),
  };
}

let roots: ReadonlySet<string> | undefined;

/** Fingerprints of the authorities that Node trusts; they are part of the program, and parsed once. */
function publicRoots(): ReadonlySet<string> {
  roots ??= new Set(rootCertificates.map((pem) => new X509Certificate(pem).fingerprint256));
  return roots;
}

function joined(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(', ') : value;
}

function bare(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

function displayed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
