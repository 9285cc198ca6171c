/**
 * The one place where parts are joined: settings in, a house out. Nothing is opened or asked here.
 */
import { join } from 'node:path';
import { createLeaseVerifier } from '../gate/lease-verifier.js';
import { Callers } from '../gate/callers.js';
import { Ledger } from '../gate/ledger.js';
import { Peers } from '../gate/peers.js';
import { KernelPeerTable } from '../gate/peer-table.js';
import { RouteTable } from '../gate/route-table.js';
import { Forwarder } from '../http/forward.js';
import { HttpDoor, type HttpDoorParts } from '../http/http-door.js';
import { doorNames, hasTls } from '../http/listener-tls.js';
import { PrivateAgents } from '../http/private-agents.js';
import { readSecret } from '../identity/secret-reader.js';
import { createIdentity, secretVariables } from '../identity/sources.js';
import { Vault } from '../identity/vault.js';
import type { AuditState } from '../model/audit.js';
import { ProxyError } from '../model/errors.js';
import type { AuditTrail, Clock, Logger } from '../model/ports.js';
import { Secret } from '../model/secret.js';
import type { SecretReference, Settings } from '../model/settings.js';
import { agentCarrier } from '../ssh/agent.js';
import { bridge } from '../ssh/bridge.js';
import { httpsLeg } from '../ssh/https-leg.js';
import { SshUpstreams } from '../ssh/pool.js';
import { SshDoor, type SshDoorParts } from '../ssh/ssh-door.js';
import { hostKey } from '../store/ssh-host-key.js';
import { auditPlaces } from '../store/audit-files.js';
import { AuditWriter } from '../store/audit-writer.js';
import { DoorCertificates } from '../store/door-certificates.js';
import { FileLeaseKeys } from '../store/lease-keys.js';
import { FileLeaseRegister } from '../store/lease-register.js';
import { GivenLeaseKeys } from '../store/given-lease-keys.js';
import { Attempts } from '../upstream/attempts.js';
import { UpstreamConnections } from '../upstream/connections.js';
import { Throttle } from '../upstream/throttle.js';
import { LeaseDesk, type LeaseKeyring } from './lease-desk.js';
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
  readonly sshDoor: SshDoor;
  /** What the SSH door was made of. */
  readonly sshParts: SshDoorParts;
  readonly sshUpstreams: SshUpstreams;
  /** Undefined when TLS is off; else they are made when a listener first needs them. */
  readonly certificates: DoorCertificates | undefined;
  readonly vault: Vault;
  readonly ledger: Ledger;
  readonly routes: RouteTable;
  readonly connections: UpstreamConnections;
  readonly throttle: Throttle;
  /** To be loaded before the door opens; undefined without a state directory, and then every lease is refused. */
  readonly leases: LeaseDesk | undefined;
  readonly audit: Audit;
}

/**
 * Joins the parts. Environment variables that hold secrets are taken out of `environment` here, so that no child
 * process inherits them.
 */
export function assemble(
  settings: Settings,
  surroundings: {
    environment: Record<string, string | undefined>;
    clock: Clock;
    logger: Logger;
    stateDirectory?: string;
    audit: AuditHome;
  },
): House {
  const { environment, clock, logger } = surroundings;
  const held = new Map<string, Secret>();
  const { leaseKey } = settings.access;
  for (const name of [...secretVariables(settings.identities), ...(leaseKey?.kind === 'env' ? [leaseKey.name] : [])]) {
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
  const ledger = new Ledger({ clock, logger, audit, operationLevel: settings.log.operations });
  const routes = new RouteTable(settings.routes);
  const connections = new UpstreamConnections({ environment, connectMs: timeouts.connect });
  const throttle = new Throttle(clock);
  const attempts = new Attempts({ vault, throttle, clock, logger });
  const forwarder = new Forwarder({ attempts, connections, ledger, logger, clock, timeouts, privateAgents: new PrivateAgents() });
  const { access } = settings;
  const ownUid = process.getuid?.();
  const onFault = ({ message, todo }: ProxyError): void => logger.log('error', 'unexpected', { what: message, todo });
  const keys = leaseKeys(leaseKey, surroundings.stateDirectory, onFault, (reference) => readSecret(reference, secrets, { lines: true }));
  const register =
    surroundings.stateDirectory === undefined
      ? undefined
      : new FileLeaseRegister(join(surroundings.stateDirectory, 'leases.json'), { clock, onFault });
  const verifier = createLeaseVerifier({
    keyOf: (id) => (register === undefined ? undefined : keys?.keyOf(id)),
    isRevoked: (id) => register?.isRevoked(id) !== false,
  });
  const leases =
    keys === undefined || register === undefined
      ? undefined
      : new LeaseDesk({ keys, register, verifier, clock, hasOwnKeys: leaseKey === undefined, kindOf: (host) => routes.kindOf(host) });
  const { listen } = settings;
  const { tls } = listen;
  const certificates =
    tls.kind === 'off'
      ? undefined
      : new DoorCertificates({ tls, stateDirectory: surroundings.stateDirectory, names: doorNames(listen), clock, logger });
  const peers = new Peers({ table: process.platform === 'linux' ? new KernelPeerTable() : undefined, logger });
  const doorParts: HttpDoorParts = {
    routes,
    ledger,
    logger,
    forwarder,
    peers,
    callers: new Callers({
      uids: [...(ownUid === undefined ? [] : [ownUid]), ...access.uids],
      keys: access.keys.map(({ fingerprint }) => fingerprint),
      leases: verifier,
    }),
    access,
    audit,
    clock,
    hostNames: listen.names,
    tls: certificates && { isFor: (host) => hasTls(tls, host), certificates },
    stallMs: timeouts.stall,
  };
  const door = new HttpDoor(doorParts);
  const { stateDirectory } = surroundings;
  const sshUpstreams = new SshUpstreams({ connectMs: timeouts.connect, home: environment['HOME'] });
  const legParts = { attempts, connections, stallMs: timeouts.stall };
  const sshParts: SshDoorParts = {
    routes,
    ledger,
    logger,
    peers,
    callers: doorParts.callers,
    access,
    audit,
    clock,
    carriers: {
      bridge: bridge((session) => httpsLeg(legParts, session)),
      agent: agentCarrier({ upstreams: sshUpstreams, socket: environment['SSH_AUTH_SOCK'] }),
    },
    hostKey: async () => {
      if (stateDirectory === undefined) throw new ProxyError('state-unusable', 'There is no state directory for the key of the SSH door');
      return (await hostKey(stateDirectory)).privateKey;
    },
  };
  const sshDoor = new SshDoor(sshParts);
  return { door, doorParts, sshDoor, sshParts, sshUpstreams, certificates, vault, ledger, routes, connections, throttle, leases, audit };
}

/** The keys that seal leases: of a file of our own, of one that others manage, or given once. */
function leaseKeys(
  reference: SecretReference | undefined,
  stateDirectory: string | undefined,
  onFault: (fault: ProxyError) => void,
  read: (reference: SecretReference) => Promise<Secret>,
): LeaseKeyring | undefined {
  if (reference === undefined)
    return stateDirectory === undefined ? undefined : new FileLeaseKeys(join(stateDirectory, 'lease-keys'), { isOwn: true, onFault });
  if (reference.kind === 'file') return new FileLeaseKeys(reference.path, { isOwn: false, onFault });
  return new GivenLeaseKeys(() => read(reference));
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
