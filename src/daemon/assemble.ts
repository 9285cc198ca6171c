/**
 * The one place where parts are joined: settings in, a house out. Nothing is opened or asked here.
 */
import { Callers } from '../gate/callers.js';
import { Ledger } from '../gate/ledger.js';
import { OnwardSeal } from '../gate/onward-seal.js';
import { Pace } from '../gate/pace.js';
import { PageSessions } from '../gate/page-sessions.js';
import { Peers } from '../gate/peers.js';
import { KernelPeerTable } from '../gate/peer-table.js';
import { RouteTable } from '../gate/route-table.js';
import { Traffic } from '../gate/traffic.js';
import { ApiCarrier } from '../http/api/api-carrier.js';
import { Courier } from '../http/courier.js';
import { Forwarder } from '../http/forward.js';
import { HttpDoor, type HttpDoorParts } from '../http/http-door.js';
import { LfsCarrier } from '../http/lfs/lfs-carrier.js';
import { Onward } from '../http/onward.js';
import { doorNames, hasTls } from '../http/listener-tls.js';
import { PrivateAgents } from '../http/private-agents.js';
import { StatusPage } from '../http/status-page.js';
import { readSecret } from '../identity/secret-reader.js';
import { createIdentity, type IdentitySurroundings, secretVariables } from '../identity/sources.js';
import { Vault } from '../identity/vault.js';
import { ProxyError } from '../model/errors.js';
import type { Clock, Logger } from '../model/ports.js';
import { Secret } from '../model/secret.js';
import type { Settings } from '../model/settings.js';
import type { LoginStore } from '../model/sign-in.js';
import { agentCarrier } from '../ssh/agent.js';
import { bridge } from '../ssh/bridge.js';
import { httpsLeg } from '../ssh/https-leg.js';
import { SshUpstreams } from '../ssh/pool.js';
import { SshDoor, type SshDoorParts } from '../ssh/ssh-door.js';
import { hostKey, publicHostKey } from '../store/ssh-host-key.js';
import { DoorCertificates } from '../store/door-certificates.js';
import type { FileLeaseRegister } from '../store/lease-register.js';
import { loginStore } from '../store/login-store.js';
import type { SharedRevocations } from '../store/shared-revocations.js';
import { Attempts } from '../upstream/attempts.js';
import { UpstreamConnections } from '../upstream/connections.js';
import { GuidNames } from '../upstream/guid-names.js';
import { OwnRequests } from '../upstream/own-requests.js';
import { PatApi } from '../upstream/pat-api.js';
import { Probes } from '../upstream/probes.js';
import { Recorder } from '../upstream/recording/recorder.js';
import { ReposApi } from '../upstream/repos-api.js';
import { signInHttp } from '../upstream/sign-in-http.js';
import { Tenants } from '../upstream/tenants.js';
import { Throttle } from '../upstream/throttle.js';
import { type Audit, type AuditHome, auditOf } from './assemble-audit.js';
import { assembleLeases } from './assemble-leases.js';
import type { DoctorParts } from './doctor/doctor-parts.js';
import { mostFiles } from './file-limit.js';
import type { LeaseDesk } from './lease-desk.js';
import { lfsGuide } from './lfs-guide.js';
import { pageFile } from './page-files.js';
import { PatCare } from './pat-care.js';
import { PatDesk } from './pat-desk.js';
import { ReposDesk } from './repos-desk.js';

/** A keyring that is locked asks its user first; a daemon that waits for that much longer looks as if it hung. */
const KEYRING_MS = 3_000;

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
  /** Begins to ask when it is started. */
  readonly pats: PatCare;
  readonly patDesk: PatDesk;
  readonly reposDesk: ReposDesk;
  /** What `postern doctor` has this house look at. */
  readonly doctor: DoctorParts;
  readonly ledger: Ledger;
  /** How much happened in the latest minutes. */
  readonly pace: Pace;
  /** Outlast a change of the configuration. */
  readonly pageSessions: PageSessions;
  readonly traffic: Traffic;
  readonly routes: RouteTable;
  readonly connections: UpstreamConnections;
  readonly throttle: Throttle;
  readonly tenants: Tenants;
  /** To be loaded before the door opens; undefined without a state directory, and then every lease is refused. */
  readonly leases: LeaseDesk | undefined;
  /** What is revoked; kept over a change of the configuration, because it may know more than its files. */
  readonly register: FileLeaseRegister | undefined;
  readonly shared: SharedRevocations | undefined;
  /** Outlasts a change of the configuration: what it sealed is still on its way. */
  readonly onwardSeal: OnwardSeal;
  readonly audit: Audit;
  /** Undefined without a state directory. */
  readonly logins: LoginStore | undefined;
  readonly peers: Peers;
  /** Secrets of variables that were taken out of the environment. */
  readonly held: ReadonlyMap<string, Secret>;
}

/**
 * Joins the parts. Environment variables that hold secrets are taken out of `environment` here, so that no child
 * process inherits them.
 *
 * With `previous` a house to take the place of another one: the doors are the same, and so is what has to outlast a change of the
 * configuration (the book of operations, who is connected, throttles, tokens). The doors go on with their old parts until
 * they are given the new ones.
 */
export function assemble(
  settings: Settings,
  surroundings: {
    environment: Record<string, string | undefined>;
    clock: Clock;
    logger: Logger;
    stateDirectory?: string;
    audit: AuditHome;
    previous?: House | undefined;
    /** What the status page shows; there is none where nobody tells. */
    pageView?: (() => unknown) | undefined;
  },
): House {
  const { environment, clock, logger, previous, pageView } = surroundings;
  const held = new Map<string, Secret>(previous?.held);
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
  const send = signInHttp({ environment, connectMs: timeouts.connect, timeoutMs: timeouts.token });
  const onFault = ({ message, todo }: ProxyError): void => logger.log('error', 'unexpected', { what: message, todo });
  const logins =
    previous?.logins ??
    (surroundings.stateDirectory === undefined
      ? undefined
      : loginStore({ stateDirectory: surroundings.audit.stateDirectory, environment, keyringMs: KEYRING_MS }));
  const identitySurroundings: IdentitySurroundings = {
    secrets,
    environment,
    timeoutMs: timeouts.token,
    send,
    now: () => clock.now(),
    logins,
    onFault,
    onPatRead: (identity, oddity) => pats.read(identity, oddity),
  };
  const vault = new Vault({
    identities: settings.identities.map((identity) => createIdentity(identity, identitySurroundings)),
    clock,
    logger,
    timeoutMs: timeouts.token,
    previous: previous?.vault,
  });
  const audit = auditOf(settings, surroundings);
  const ledger = previous?.ledger ?? new Ledger({ clock, logger, audit, operationLevel: settings.log.operations });
  const pace = previous?.pace ?? new Pace({ clock, book: ledger });
  ledger.observers.add(pace);
  const pageSessions = previous?.pageSessions ?? new PageSessions(clock);
  const traffic = previous?.traffic ?? new Traffic({ logger, files: mostFiles() });
  const routes = new RouteTable(settings.routes);
  const connections = new UpstreamConnections({ environment, connectMs: timeouts.connect });
  const throttle = previous?.throttle ?? new Throttle(clock);
  const tenants = new Tenants({ connections, clock, logger, previous: previous?.tenants });
  const requests = new OwnRequests({ vault, tenants, send, throttle, clock, pats: () => pats });
  const guids = new GuidNames({ requests, clock });
  const patParts = { api: new PatApi(requests), routes, identities: settings.identities, clock, logger };
  const pats: PatCare = new PatCare({ ...patParts, previous: previous?.pats });
  const patDesk = new PatDesk({ ...patParts, onRevoked: (id) => pats.revoked(id) });
  const reposDesk = new ReposDesk({ ...patParts, api: new ReposApi(requests, clock) });
  const attempts = new Attempts({ vault, tenants, throttle, clock, logger, pats });
  const courier = new Courier({ attempts, connections, ledger, logger, clock, timeouts, privateAgents: new PrivateAgents() });
  const { access } = settings;
  const ownUid = process.getuid?.();
  const { keys, register, shared, verifier, leases } = assembleLeases(access, {
    stateDirectory: surroundings.stateDirectory,
    clock,
    onFault,
    read: (reference) => readSecret(reference, secrets, { lines: true }),
    kindOf: (host) => routes.kindOf(host),
    previous,
  });
  const onwardSeal = new OnwardSeal(keys, previous?.onwardSeal);
  const onward = new Onward({ seal: onwardSeal, hosts: settings.lfs.hosts, clock });
  const { listen } = settings;
  const { tls } = listen;
  const certificates =
    tls.kind === 'off'
      ? undefined
      : (previous?.certificates?.like(tls, doorNames(listen)) ??
        new DoorCertificates({ tls, stateDirectory: surroundings.stateDirectory, names: doorNames(listen), clock, logger }));
  const peers = previous?.peers ?? new Peers({ table: process.platform === 'linux' ? new KernelPeerTable() : undefined, logger });
  const doorParts: HttpDoorParts = {
    routes,
    guids,
    ledger,
    logger,
    traffic,
    limits: settings.limits,
    forwarder: new Forwarder(courier),
    lfs: new LfsCarrier(courier, { onward, routes }),
    api: new ApiCarrier(courier, { onward }),
    page: pageView && new StatusPage({ sessions: pageSessions, peers, logger, view: pageView, file: pageFile }),
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
  const door = previous?.door ?? new HttpDoor(doorParts);
  const { stateDirectory } = surroundings;
  const sshUpstreams = new SshUpstreams({ connectMs: timeouts.connect, home: environment['HOME'] });
  const agent = { upstreams: sshUpstreams, socket: environment['SSH_AUTH_SOCK'] };
  const legParts = { attempts, connections, stallMs: timeouts.stall };
  const sshParts: SshDoorParts = {
    routes,
    guids,
    ledger,
    logger,
    traffic,
    limits: settings.limits,
    peers,
    callers: doorParts.callers,
    access,
    audit,
    clock,
    carriers: {
      bridge: bridge((session) => httpsLeg(legParts, session)),
      agent: agentCarrier(agent),
    },
    lfs: lfsGuide({ settings, door, certificates, leases, clock }),
    hostKey: async () => {
      if (stateDirectory === undefined) throw new ProxyError('state-unusable', 'There is no state directory for the key of the SSH door');
      return (await hostKey(stateDirectory)).privateKey;
    },
  };
  const sshDoor = previous?.sshDoor ?? new SshDoor(sshParts);
  const probes = new Probes({ environment, connectMs: timeouts.connect, answerMs: timeouts.token });
  const { identities } = settings;
  const doctor: DoctorParts = {
    ...{ routes, identities, vault, tenants, pats, ledger, clock, probes, send, requests, environment },
    recorder: new Recorder({ requests, throttle, environment, connectMs: timeouts.connect, silentMs: timeouts.token }),
    ssh: { agent, doorKey: async () => (stateDirectory === undefined ? undefined : publicHostKey(stateDirectory)) },
  };
  return {
    door,
    doorParts,
    sshDoor,
    sshParts,
    sshUpstreams,
    certificates,
    vault,
    pats,
    patDesk,
    reposDesk,
    doctor,
    ledger,
    pace,
    pageSessions,
    traffic,
    routes,
    connections,
    throttle,
    tenants,
    leases,
    register,
    shared,
    onwardSeal,
    audit,
    logins,
    peers,
    held,
  };
}
