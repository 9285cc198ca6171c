/**
 * The SSH door: its listeners, and the walk of a command. What the gate asks is in ask-gate.ts, how a command goes up is the
 * carriers' part.
 */
import { createServer, type Server } from 'node:net';
import { createArrivals, stopAccepting } from '../gate/arrivals.js';
import { callerOf } from '../gate/callers-seen.js';
import type { Callers } from '../gate/callers.js';
import type { Ledger } from '../gate/ledger.js';
import { listenAt, openConnections, STOPPING } from '../gate/listening.js';
import { isLoopbackAddress, type Peers, plainAddress } from '../gate/peers.js';
import { CLOSED_TEXT, type Traffic } from '../gate/traffic.js';
import { messageOf } from '../model/errors.js';
import type { Logger } from '../model/ports.js';
import type { LfsOperation, SessionOperation } from '../model/operation.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import type { Secret } from '../model/secret.js';
import type { AccessSettings, Limits, ListenAddress, RouteSsh } from '../model/settings.js';
import { askGate, type GateParts, no, type Walked } from './ask-gate.js';
import type { Carried, Carrier } from './git-session.js';
import { type Guest, type GuestParts, Guests } from './guests.js';
import { type LfsGuide, writeLfsAccess } from './lfs-guide.js';
import { protocolIn, traceIn } from './read-command.js';
import type { Asked, CommandChannel } from './server.js';
import { EXIT_FATAL, sayAside, sayBetween } from './speech.js';

export interface SshDoorParts extends GateParts {
  readonly ledger: Ledger;
  readonly logger: Logger;
  readonly traffic: Traffic;
  readonly limits: Limits;
  readonly peers: Peers;
  readonly callers: Callers;
  readonly access: Pick<AccessSettings, 'local' | 'remote' | 'keys'>;
  readonly carriers: Readonly<Record<RouteSsh['kind'], Carrier>>;
  /** Where git-lfs is sent. */
  readonly lfs: LfsGuide;
  /** Gives the door's own private key, as OpenSSH writes it. @throws ProxyError `state-unusable` */
  readonly hostKey: () => Promise<Secret>;
  /** ms for signing in; default 60 s. */
  readonly signInMs?: number;
}

type Passed = Extract<Walked, { kind: 'pass' }>;

interface Begun {
  readonly asked: Asked;
  readonly channel: CommandChannel;
  readonly parts: SshDoorParts;
  readonly record: OperationRecord;
}

interface Opened {
  readonly server: Server;
  /** As it was asked for. */
  readonly address: ListenAddress;
  readonly bound: { readonly host: string; readonly port: number };
  /** Whether its socket was handed to us and outlives us. */
  readonly isInherited: boolean;
}

export class SshDoor {
  #parts: SshDoorParts;
  readonly #guests: Guests;
  #opened: readonly Opened[] = [];
  readonly #arrivals = createArrivals();
  #isDraining = false;

  constructor(parts: SshDoorParts) {
    this.#parts = parts;
    this.#guests = new Guests(this.#guestParts(parts));
  }

  #guestParts({ logger, traffic, limits, peers, callers, access, clock, signInMs }: SshDoorParts): GuestParts {
    return {
      logger,
      traffic,
      limits,
      peers,
      callers,
      access,
      clock,
      signInMs,
      exec: (guest, asked, channel) => void this.#walk(guest, asked, channel),
    };
  }

  /** Serves every command that comes from now on with other parts; those under way keep theirs. */
  change(parts: SshDoorParts): void {
    this.#parts = parts;
    this.#guests.change(this.#guestParts(parts));
  }

  /** Addresses that are open, in the order of the configuration. */
  get bound(): readonly { readonly host: string; readonly port: number }[] {
    return this.#opened.map(({ bound }) => bound);
  }

  /** The addresses that are open, as they were asked for. */
  get addresses(): readonly ListenAddress[] {
    return this.#opened.map(({ address }) => address);
  }

  /** Whether nothing that was opened has closed by itself. */
  get isListening(): boolean {
    return this.#opened.every(({ server }) => server.listening);
  }

  /** Connections that are open. */
  connections(): Promise<number> {
    return openConnections(this.#opened.map(({ server }) => server));
  }

  /**
   * Opens one address, or takes the `descriptor` of a socket that listens there. Gives false when an optional one does not exist
   * on this system. Who comes in is served when `when` has resolved.
   * @throws ProxyError `listen-failed`, `state-unusable`
   */
  async listen(
    address: ListenAddress,
    { when = Promise.resolve(), descriptor }: { when?: Promise<void>; descriptor?: number | undefined } = {},
  ): Promise<boolean> {
    const { logger } = this.#parts;
    const hostKey = await this.#parts.hostKey();
    const isInherited = descriptor !== undefined;
    const isLocal = isLoopbackAddress(address.host);
    const server = createServer({ noDelay: true, keepAlive: true }, (socket) => {
      // From the first moment: an error that nobody hears ends the process.
      socket.on('error', () => undefined);
      const { traffic, limits } = this.#parts;
      if (traffic.enter(socket, 'ssh', limits) === 'closed') {
        // A server may say lines before its version (RFC 4253 section 4.2), and some clients show them.
        socket.write(`postern: ${CLOSED_TEXT.what}; ${CLOSED_TEXT.todo}\r\n`);
        socket.destroy();
        return;
      }
      if (isInherited) this.#arrivals.accepted(socket);
      when.then(
        () => this.#guests.accept(socket, isLocal, hostKey),
        () => socket.destroy(),
      );
    });
    const port = await listenAt(server, address, { name: 'SSH', key: 'listen.ssh' }, descriptor);
    if (port === undefined) return false;
    // Without this a fault while accepting (no more file descriptors) would end the process.
    server.on('error', (fault) => logger.log('error', 'unexpected', { what: `accepting connections: ${messageOf(fault)}` }));
    this.#opened = [...this.#opened, { server, address, bound: { host: address.host, port }, isInherited }];
    return true;
  }

  /** Whether the socket of an address that was asked for so was handed to us. */
  isInherited(address: ListenAddress): boolean {
    return this.#opened.some((each) => each.address === address && each.isInherited);
  }

  /** Accepts nothing more at an address that was asked for so; connections that are open live on. */
  leave(address: ListenAddress): void {
    for (const { server, address: asked } of this.#opened) if (asked === address) server.close();
    this.#opened = this.#opened.filter((each) => each.address !== address);
  }

  /** Leaves newcomers to the next daemon where they can wait for it. Connections that are open stay so. */
  stopAccepting(): void {
    for (const { server, isInherited } of this.#opened) if (isInherited) stopAccepting(server);
  }

  /** Refuses new commands from now on, with a text; running ones go on, and every connection stays open. */
  drain(): void {
    this.#isDraining = true;
  }

  /**
   * Connections that were accepted just before accepting stopped, and whose first command is on its way; and those whose last one
   * has just ended.
   */
  get awaited(): number {
    return this.#arrivals.awaited + this.#guests.leaving;
  }

  /** Closes all listeners and every connection. */
  async close(): Promise<void> {
    this.#isDraining = true;
    const closed = this.#opened.map(({ server }) => new Promise<void>((resolve) => server.close(() => resolve())));
    this.#guests.closeAll();
    await Promise.all(closed);
  }

  /** Carries one command through, to its end; its record is closed when this resolves. Never rejects. */
  async #walk(guest: Guest, asked: Asked, channel: CommandChannel): Promise<void> {
    // To the end of the command: what is changed meanwhile is for the next one.
    const parts = this.#parts;
    const { ledger, logger } = parts;
    const record = ledger.begin(guest.address, 'ssh');
    channel.countInto(record);
    record.trace = traceIn(asked.variables);
    const ended = this.#guests.busy(guest);
    try {
      // Who was accepted before cannot go to the next daemon with a first command.
      const isStopping = !this.#arrivals.asked(guest.socket) && this.#isDraining;
      const walked = isStopping
        ? no(STOPPING, asked.command)
        : await askGate(asked, { parts, caller: () => this.#guests.identify(guest, asked), record });
      if (walked.kind === 'gone' || channel.gone.aborted) ledger.finish(record, { verdict: 'client-gone' });
      else if (walked.kind === 'pass') await this.#begin(walked, { guest, asked, channel, parts, record });
      else this.#sayNo(walked, channel, record);
    } catch (thrown) {
      logger.log('error', 'unexpected', { what: messageOf(thrown) });
      ledger.finish(record, { verdict: 'failed' });
    }
    // Whatever happened, the client is not left waiting.
    channel.end(EXIT_FATAL);
    ended();
  }

  /** Carries an admitted command if there is a place for one more operation. */
  async #begin(walked: Passed, { guest, asked, channel, parts, record }: Begun & { readonly guest: Guest }): Promise<void> {
    const { traffic, limits } = parts;
    const begun = traffic.refuse(guest.socket, limits) ?? traffic.begin(callerOf(record).key, limits);
    if (typeof begun !== 'function') {
      this.#sayNo(no(begun, asked.command), channel, record);
      return;
    }
    try {
      if (walked.operation.kind === 'lfs') await this.#authenticate(walked, walked.operation, { guest, channel, parts, record });
      else await this.#carry(walked, walked.operation, { asked, channel, parts, record });
    } finally {
      begun();
    }
  }

  /** Tells git-lfs where to go on. */
  async #authenticate(
    { pass, caller }: Passed,
    operation: LfsOperation,
    { guest, channel, parts, record }: Omit<Begun, 'asked'> & { readonly guest: Guest },
  ): Promise<void> {
    const { ledger, clock, lfs } = parts;
    record.route = pass.route.match;
    record.identity = pass.route.identity;
    const { isLocal, socket } = guest;
    const given = await lfs({ operation, route: pass.route, caller, isLocal, dialed: plainAddress(socket.localAddress ?? '') });
    if (given.kind === 'refusal') {
      this.#sayNo({ kind: 'no', refusal: given, listener: 'person' }, channel, record);
      return;
    }
    channel.output.write(writeLfsAccess(given, clock.now()));
    ledger.finish(record, { verdict: 'passed' });
    channel.end(0);
  }

  async #carry({ path, pass }: Passed, operation: SessionOperation, { asked, channel, parts, record }: Begun): Promise<void> {
    const { ledger, carriers } = parts;
    const { route } = pass;
    record.route = route.match;
    // Whose key it is that signs is not for us to say.
    record.identity = route.ssh.kind === 'bridge' ? route.identity : undefined;
    const killed = ledger.killSignal(record);
    const { input, output, errors, gone } = channel;
    const over = AbortSignal.any([killed, gone]);
    const gitProtocol = protocolIn(asked.variables);
    const carried = await carriers[route.ssh.kind]({ operation, pass, record, path, input, output, errors, gitProtocol, over });
    if (killed.aborted) sayAside(channel, killed.reason as Refusal); // because the ledger aborts it with one
    this.#finish(carried, channel, record);
  }

  #finish(carried: Carried, channel: CommandChannel, record: OperationRecord): void {
    const { ledger } = this.#parts;
    switch (carried.kind) {
      case 'passed':
        ledger.finish(record, { verdict: 'passed' });
        channel.end(carried.exitCode);
        return;
      case 'over':
        ledger.finish(record, { verdict: 'client-gone' });
        return;
      case 'failed': {
        const { verdict, refusal, where, commands } = carried;
        ledger.finish(record, { verdict, refusal });
        if (where === 'between') sayBetween(channel, refusal, commands);
        else sayAside(channel, refusal);
        return;
      }
    }
  }

  #sayNo({ refusal, listener }: Extract<Walked, { kind: 'no' }>, channel: CommandChannel, record: OperationRecord): void {
    record.route ??= refusal.route;
    record.identity ??= refusal.identity;
    this.#parts.ledger.finish(record, { verdict: 'refused', refusal });
    if (listener === 'git') sayBetween(channel, refusal);
    else if (listener === 'person') sayAside(channel, refusal);
  }
}
