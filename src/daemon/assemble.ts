/**
 * The one place where parts are joined: settings in, a house out. Nothing is opened or asked here.
 */
import { Callers } from '../gate/callers.js';
import { Ledger } from '../gate/ledger.js';
import { KernelPeerTable } from '../gate/peer-table.js';
import { RouteTable } from '../gate/route-table.js';
import { Forwarder } from '../http/forward.js';
import { HttpDoor, type HttpDoorParts } from '../http/http-door.js';
import { Peers } from '../http/peers.js';
import { PrivateAgents } from '../http/private-agents.js';
import { createIdentity, secretVariables } from '../identity/sources.js';
import { Vault } from '../identity/vault.js';
import type { AuditState } from '../model/audit.js';
import type { AuditTrail, Clock, Logger } from '../model/ports.js';
import { Secret } from '../model/secret.js';
import type { Settings } from '../model/settings.js';
import { auditPlaces } from '../store/audit-files.js';
import { AuditWriter } from '../store/audit-writer.js';
import { UpstreamConnections } from '../upstream/connections.js';
import { Throttle } from '../upstream/throttle.js';
import { redact } from './redaction.js';

/** The audit, with its life. */
export interface Audit extends AuditTrail {
  start(): Promise<void>;
  close(): Promise<void>;
  state(): AuditState;
}

/** Where this process keeps its audit; the state directory is that of the key and the heads. */
export interface AuditHome {
  readonly stateDirectory: string;
  /** Two processes never write one chain: each kind of process has a name of its own. */
  readonly chain: string;
}

export interface House {
  readonly door: HttpDoor;
  /** What the door was made of, for another one like it. */
  readonly doorParts: HttpDoorParts;
  readonly vault: Vault;
  readonly ledger: Ledger;
  readonly routes: RouteTable;
  readonly connections: UpstreamConnections;
  readonly throttle: Throttle;
  readonly audit: Audit;
}

/**
 * Joins the parts. Environment variables that hold secrets are taken out of `environment` here, so that no child
 * process inherits them.
 */
export function assemble(
  settings: Settings,
  surroundings: { environment: Record<string, string | undefined>; clock: Clock; logger: Logger; audit: AuditHome },
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
  const audit = auditOf(settings, surroundings);
  const ledger = new Ledger({ clock, logger, audit });
  const routes = new RouteTable(settings.routes);
  const connections = new UpstreamConnections({ environment, connectMs: timeouts.connect });
  const throttle = new Throttle(clock);
  const forwarder = new Forwarder({ vault, connections, throttle, ledger, logger, clock, timeouts, privateAgents: new PrivateAgents() });
  const { access } = settings;
  const ownUid = process.getuid?.();
  const leases = { verify: () => ({ kind: 'fault', what: 'Leases are not available in this version', todo: 'leave it out' }) as const };
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
    hostNames: settings.listen.names,
    stallMs: timeouts.stall,
  };
  const door = new HttpDoor(doorParts);
  return { door, doorParts, vault, ledger, routes, connections, throttle, audit };
}

function auditOf({ audit: settings }: Settings, surroundings: { clock: Clock; logger: Logger; audit: AuditHome }): Audit {
  if (!settings.isOn) {
    return {
      write: () => undefined,
      refusal: () => undefined,
      start: () => Promise.resolve(),
      close: () => Promise.resolve(),
      state: () => ({ kind: 'off' }),
    };
  }
  const { clock, logger, audit } = surroundings;
  return new AuditWriter({
    places: auditPlaces(audit.stateDirectory, settings.directory),
    chain: audit.chain,
    settings,
    clock,
    logger,
    redact,
  });
}
