/**
 * The SSH way up: a session is carried by git's own command on the real host, over a connection that is signed in with the one key that
 * the route names and an ssh-agent holds.
 */
import { readAzureSshText } from '../hosts/azure-ssh-texts.js';
import { type ErrorCode, messageOf, ProxyError } from '../model/errors.js';
import type { Refusal } from '../model/refusal.js';
import { type AgentKey, chooseKey } from './agent-keys.js';
import { nameOf } from './client-faults.js';
import { convey, type Meaning } from './convey.js';
import type { Carried, Carrier, GitSession } from './git-session.js';
import type { Started } from './host-pool.js';
import type { SshUpstreams } from './pool.js';
import { type RemotePlace, remotePlace } from './remote-place.js';
import { Abandoned } from './tcp.js';

export interface AgentParts {
  readonly upstreams: SshUpstreams;
  /** SSH_AUTH_SOCK of the daemon. */
  readonly socket: string | undefined;
}

/** What GIT_PROTOCOL may be: keys and values with colons between (git(1)); anything else is kept from the host. */
const PROTOCOL = /^[\x21-\x7e]{1,255}$/;
const STATUSES: Partial<Record<ErrorCode, number>> = { 'agent-unavailable': 503, 'upstream-unavailable': 503, 'request-malformed': 400 };

/** Carries sessions of routes with `ssh: agent`. */
export function agentCarrier(parts: AgentParts): Carrier {
  return async (session) => {
    const { over, pass, operation, path } = session;
    const { ssh } = pass.route;
    try {
      if (ssh.kind !== 'agent') throw new ProxyError('internal', 'A route of another kind came to the agent', { todo: 'report this' });
      const place = remotePlace(operation, path, ssh.upstream);
      if (typeof place === 'string') {
        const fault = new ProxyError('request-malformed', `The path ${place}`, { todo: 'check the address of the remote' });
        return failed(session, fault, 'refused');
      }
      const { spent } = session.record;
      // The agent that holds the key is to this way what a token is to the other.
      const key = await spent.during('token', chooseKey(ssh, parts.socket, over));
      const started = await spent.during('connect', start(parts, session, place, key), 'upstream');
      return await convey(session, started, meaningOf(session, place, key));
    } catch (thrown) {
      return over.aborted ? { kind: 'over' } : failed(session, thrown, 'failed');
    }
  };
}

function start({ upstreams }: AgentParts, { pass, gitProtocol, over }: GitSession, place: RemotePlace, key: AgentKey): Promise<Started> {
  const { ssh } = pass.route;
  const { host, port, user, command } = place;
  const knownHosts = ssh.kind === 'agent' ? ssh.knownHosts : undefined;
  const isLegacyAllowed = ssh.kind === 'agent' && ssh.isLegacyAllowed;
  const environment: Record<string, string> = gitProtocol !== undefined && PROTOCOL.test(gitProtocol) ? { GIT_PROTOCOL: gitProtocol } : {};
  return upstreams.start({ host, port, user, key, knownHosts, isLegacyAllowed }, command, environment, over);
}

function meaningOf({ operation, pass }: GitSession, place: RemotePlace, key: AgentKey): Meaning {
  const route = pass.route.match;
  return {
    ofWords: (stderr) => {
      if (operation.address.kind === 'generic') return undefined;
      const failure = readAzureSshText(stderr, key.shown);
      return failure === undefined ? undefined : { kind: 'refusal', ...failure, route };
    },
    ofBreak: (end, bytes, mayHaveArrived) => {
      const how = end.kind === 'killed' ? `ended git's command with ${end.signal}` : 'closed the connection';
      const what = `${nameOf(place)} ${how} after ${bytes} bytes of its answer`;
      const todo = 'run the command again; if it stays, see the log of the host, or whether something on the way cuts connections';
      return refusalOf(
        new ProxyError('upstream-broken', mayHaveArrived ? `${what}; the push may have arrived all the same` : what, {
          todo: mayHaveArrived ? `\`git fetch\` shows whether it has arrived; if not, ${todo}` : todo,
        }),
        route,
      );
    },
  };
}

function failed({ pass }: GitSession, thrown: unknown, verdict: 'refused' | 'failed'): Carried {
  return { kind: 'failed', verdict, where: 'between', refusal: refusalOf(thrown, pass.route.match) };
}

/** Anything thrown, as a refusal with the route that it concerns; which key was used stands in its text. */
function refusalOf(thrown: unknown, route: string): Refusal {
  const error = asProxyError(thrown);
  return {
    kind: 'refusal',
    code: error.code,
    status: STATUSES[error.code] ?? 502,
    what: error.message,
    todo: error.todo ?? 'see the log of the daemon',
    route,
  };
}

function asProxyError(thrown: unknown): ProxyError {
  if (thrown instanceof ProxyError) return thrown;
  if (thrown instanceof Abandoned)
    return new ProxyError('upstream-unavailable', 'Postern is stopping', { todo: 'try again when it has started again' });
  return new ProxyError('internal', `Postern failed: ${messageOf(thrown)}`, { todo: 'report this with the log' });
}
