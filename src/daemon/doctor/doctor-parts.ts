/** What the daemon's checks are asked, what they are given, and what they make of an address. */
import type { Ledger } from '../../gate/ledger.js';
import type { RouteTable } from '../../gate/route-table.js';
import { parseRepoAddress } from '../../hosts/repo-address.js';
import { isSshSpelling, readSpelling } from '../../hosts/repo-spelling.js';
import type { Vault } from '../../identity/vault.js';
import type { RepoAddress } from '../../model/address.js';
import type { CheckOutcome } from '../../model/check.js';
import { ProxyError } from '../../model/errors.js';
import { inferHostKind } from '../../model/host-name.js';
import type { Clock } from '../../model/ports.js';
import type { IdentitySettings, Route } from '../../model/settings.js';
import type { SendSignIn } from '../../model/sign-in.js';
import { wayOf } from '../../upstream/journey.js';
import type { OwnRequests } from '../../upstream/own-requests.js';
import type { Probes } from '../../upstream/probes.js';
import type { Recorder } from '../../upstream/recording/recorder.js';
import type { Tenants } from '../../upstream/tenants.js';
import type { AgentParts } from '../../ssh/agent.js';
import type { PublicHostKey } from '../../store/ssh-host-key.js';
import type { PatCare } from '../pat-care.js';

/** The parts of a house that its checks use; joined in assemble.ts. */
export interface DoctorParts {
  readonly routes: RouteTable;
  readonly identities: readonly IdentitySettings[];
  readonly vault: Vault;
  readonly tenants: Tenants;
  readonly pats: PatCare;
  readonly ledger: Ledger;
  readonly clock: Clock;
  /** Looks at the way to a host step by step. */
  readonly probes: Probes;
  /** Small requests, without a credential unless they are given one. */
  readonly send: SendSignIn;
  /** Small requests with the identity and by the road of a route. */
  readonly requests: OwnRequests;
  /** Asks an upstream for a record of what it answers. */
  readonly recorder: Recorder;
  readonly ssh: {
    /** What signs for routes with `ssh: agent`. */
    readonly agent: AgentParts;
    /** The key of the SSH door; undefined while there is none. @throws ProxyError `state-unusable` */
    readonly doorKey: () => Promise<PublicHostKey | undefined>;
  };
  /** The daemon's own, without secrets. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** What a check of the daemon is about. */
export interface DoctorQuestion {
  /** As a person wrote it, in any spelling that git takes. */
  readonly address: string;
  /** ms since the epoch: what happened before is not meant. For checks that look back. */
  readonly since?: number | undefined;
}

/** A check by its id. What it throws as ProxyError is a failure of its row. */
export type DaemonCheck = (question: DoctorQuestion, parts: DoctorParts) => Promise<CheckOutcome> | CheckOutcome;

/** The way of an address through the house and on. */
export interface Road {
  readonly address: RepoAddress;
  readonly route: Route;
  readonly identity: IdentitySettings;
  /** Scheme, host and port of the upstream, and the path that its route begins with. */
  readonly origin: URL;
  readonly basePath: string;
  /** Path of the repository there. */
  readonly path: string;
  /** Whether it is an SSH remote that an agent signs for: then nothing of it goes over HTTPS. */
  readonly isSigned: boolean;
}

/** What is said of each step over HTTPS where nothing goes there. */
export const SIGNED: CheckOutcome = { verdict: 'ok', text: 'not on this road: an agent signs for the SSH remotes of this route' };

/** @throws ProxyError `request-malformed` for what is no address of a repository */
export function addressIn({ address: text }: DoctorQuestion, { routes }: Pick<DoctorParts, 'routes'>): RepoAddress {
  const spelled = readSpelling(text);
  const kind = spelled && (routes.kindOf(spelled.host) ?? inferHostKind(spelled.host));
  const parsed = spelled && kind && parseRepoAddress(kind, spelled.host, spelled.path);
  if (parsed?.kind === 'address') return parsed.address;
  throw new ProxyError('request-malformed', `That is no address of a repository${parsed === undefined ? '' : `: ${parsed.what}`}`, {
    todo: 'give the address that git clone would be given',
  });
}

/** @throws ProxyError `request-malformed`, `no-route` */
export function roadOf(question: DoctorQuestion, parts: Pick<DoctorParts, 'routes' | 'identities'>): Road {
  const { routes, identities } = parts;
  const address = addressIn(question, parts);
  const route = routes.find(address) ?? routeOfGuids(address, routes);
  const identity = identities.find(({ name }) => name === route?.identity);
  if (route === undefined || identity === undefined) {
    throw new ProxyError('no-route', `No route matches ${address.display}`, {
      todo: `add one to the configuration; \`postern route explain ${question.address}\` says why each was passed by`,
    });
  }
  return {
    address,
    route,
    identity,
    ...wayOf(address, route),
    isSigned: route.ssh.kind === 'agent' && isSshSpelling(question.address),
  };
}

/** By GUIDs alone it is not known which route it is; the first that it may be goes to the same place as a rule. */
function routeOfGuids({ kind, canonical, guids }: RepoAddress, routes: RouteTable): Route | undefined {
  return guids && routes.candidates(kind, canonical.slice(0, guids.certain), guids.lengths).routes[0];
}
