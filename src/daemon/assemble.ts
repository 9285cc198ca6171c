/**
 * The one place where parts are joined: settings in, a house out. Nothing is opened or asked here.
 */
import { Callers } from '../gate/callers.js';
import { Ledger } from '../gate/ledger.js';
import { KernelPeerTable } from '../gate/peer-table.js';
import { RouteTable } from '../gate/route-table.js';
import { Forwarder } from '../http/forward.js';
import { HttpDoor, type HttpDoorParts } from '../http/http-door.js';
import { doorNames, hasTls } from '../http/listener-tls.js';
import { Peers } from '../http/peers.js';
import { PrivateAgents } from '../http/private-agents.js';
import { createIdentity, secretVariables } from '../identity/sources.js';
import { Vault } from '../identity/vault.js';
import type { Clock, Logger } from '../model/ports.js';
import { Secret } from '../model/secret.js';
import type { Settings } from '../model/settings.js';
import { DoorCertificates } from '../store/door-certificates.js';
import { UpstreamConnections } from '../upstream/connections.js';
import { Throttle } from '../upstream/throttle.js';

export interface House {
  readonly door: HttpDoor;
  /** What the door was made of, for another one like it. */
  readonly doorParts: HttpDoorParts;
  /** Undefined when TLS is off; else they are made when a listener first needs them. */
  readonly certificates: DoorCertificates | undefined;
  readonly vault: Vault;
  readonly ledger: Ledger;
  readonly routes: RouteTable;
  readonly connections: UpstreamConnections;
  readonly throttle: Throttle;
}

/**
 * Joins the parts. Environment variables that hold secrets are taken out of `environment` here, so that no child
 * process inherits them.
 */
export function assemble(
  settings: Settings,
  surroundings: { environment: Record<string, string | undefined>; clock: Clock; logger: Logger; stateDirectory?: string },
): House {
  const { environment, clock, logger } = surroundings;
  const held = new Map<string, Secret>();
  for (const name of secretVariables(settings.identities)) {
    const value = environment[name];
    if (value === undefined) continue;
    held.set(name, new Secret(value));
    // eslint-disable-next-line @typescript-eslint/no-dynamic-delete -- because the variable's name comes from the configuration
    delete environment[name];
  }
  const secrets = { environment: held, credentialsDirectory: environment['CREDENTIALS_DIRECTORY'] };
  const { timeouts } = settings;
  const vault = new Vault({
    identities: settings.identities.map((identity) => createIdentity(identity, secrets, timeouts.token)),
    clock,
    logger,
    timeoutMs: timeouts.token,
  });
  const audit = { write: () => undefined, refusal: () => undefined };
  const ledger = new Ledger({ clock, logger, audit });
  const routes = new RouteTable(settings.routes);
  const connections = new UpstreamConnections({ environment, connectMs: timeouts.connect });
  const throttle = new Throttle(clock);
  const forwarder = new Forwarder({ vault, connections, throttle, ledger, logger, clock, timeouts, privateAgents: new PrivateAgents() });
  const { access } = settings;
  const ownUid = process.getuid?.();
  const leases = { verify: () => ({ kind: 'fault', what: 'Leases are not available in this version', todo: 'leave it out' }) as const };
  const { listen } = settings;
  const { tls } = listen;
  const certificates =
    tls.kind === 'off'
      ? undefined
      : new DoorCertificates({ tls, stateDirectory: surroundings.stateDirectory, names: doorNames(listen), clock, logger });
  const doorParts: HttpDoorParts = {
    routes,
    ledger,
    logger,
    forwarder,
    peers: new Peers(process.platform === 'linux' ? new KernelPeerTable() : undefined),
    callers: new Callers({ uids: [...(ownUid === undefined ? [] : [ownUid]), ...access.uids], leases }),
    access,
    audit,
    clock,
    hostNames: listen.names,
    tls: certificates && { isFor: (host) => hasTls(tls, host), certificates },
    stallMs: timeouts.stall,
  };
  const door = new HttpDoor(doorParts);
  return { door, doorParts, certificates, vault, ledger, routes, connections, throttle };
}
