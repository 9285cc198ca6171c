/** What can go wrong between here and a signed-in connection, in words. */
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import { withoutUnprintable } from '../model/printable.js';
import { outOfFiles } from '../model/send-faults.js';
import type { AgentKey } from './agent-keys.js';
import { knownHostsName } from './known-hosts.js';

/** How far a connection has come. */
export type DialStage = 'tcp' | 'handshake' | 'sign-in';

/** Who is dialled with what, as far as texts need it. */
export interface Dialled {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly key: AgentKey;
  readonly isLegacyAllowed: boolean;
}

const LONGEST_WORDS = 300;
const LEGACY = '`ssh: { mode: agent, legacy: true }` on the route';

/** No TCP connection. */
export function unreachable(dialled: Dialled, fault: unknown): ProxyError {
  const short = outOfFiles(fault, nameOf(dialled));
  if (short !== undefined) return short;
  const code = systemCodeOf(fault);
  const todo =
    code === 'ENOTFOUND' || code === 'EAI_AGAIN'
      ? 'check the host name and the DNS of this machine'
      : 'check the network and that the host is running; where port 22 is blocked, `ssh: bridge` on the route goes over HTTPS';
  return new ProxyError('upstream-unreachable', `${nameOf(dialled)} cannot be reached over SSH (${messageOf(fault)})`, {
    todo,
    cause: fault,
  });
}

/** The time of a stage is up. */
export function tooLate(dialled: Dialled, stage: DialStage, limitMs: number): ProxyError {
  const seconds = limitMs / 1000;
  const what = {
    tcp: `No connection to ${nameOf(dialled)} within ${seconds} s`,
    handshake: `${nameOf(dialled)} did not finish the SSH handshake within ${seconds} s`,
    'sign-in': `${nameOf(dialled)} did not answer the sign-in within ${seconds} s`,
  }[stage];
  return new ProxyError('upstream-timeout', what, {
    todo: 'check the network and that an SSH server answers there, or raise timeouts.connect; where port 22 is blocked, `ssh: bridge` on the route goes over HTTPS',
  });
}

/** The host did not take the key, or wants more than a key; ssh2 does not tell which. There is no other way in that is tried. */
export function notSignedIn({ key, user, ...dialled }: Dialled): ProxyError {
  const signed = key.type === 'ssh-rsa' && !dialled.isLegacyAllowed ? `; an old server that knows no SHA-2 needs ${LEGACY}` : '';
  return new ProxyError('upstream-unauthenticated', `${nameOf(dialled)} did not let ${user} in with the key ${key.shown}`, {
    todo: `add the public half of that key (\`ssh-add -L\` prints it) to the account, or set \`key\` of the route to one that the host knows${signed}`,
  });
}

/** The host, or something on the way, closed the connection. */
export function closedEarly(dialled: Dialled, stage: DialStage): ProxyError {
  const when = stage === 'sign-in' ? 'during the sign-in' : 'before the SSH handshake was done';
  return new ProxyError('upstream-broken', `${nameOf(dialled)} closed the connection ${when}`, {
    todo: 'try again; if it stays, see the log of the host, which may limit connections or addresses',
  });
}

/** Anything else that ssh2 says. */
export function brokenOff(dialled: Dialled, stage: DialStage, fault: unknown): ProxyError {
  const words = printable(messageOf(fault));
  const missing = /no matching (key exchange algorithm|host key format|[CS]->[CS] (?:cipher|MAC))/i.exec(words)?.[1];
  if (missing !== undefined) {
    const isEasier = !dialled.isLegacyAllowed;
    return new ProxyError('upstream-error', `${nameOf(dialled)} and Postern have no safe algorithm in common (${words})`, {
      todo: isEasier
        ? `update the SSH server; if that cannot be done, ${LEGACY} allows what servers before 2020 need (SHA-1)`
        : 'update the SSH server: not even the old algorithms that the route allows are offered',
      cause: fault,
    });
  }
  if (/identification string|protocol version/i.test(words)) {
    return new ProxyError('upstream-broken', `What answers at ${nameOf(dialled)} is no SSH 2 server`, {
      todo: 'check host and port: `sshUpstream` of the route, or the address',
      cause: fault,
    });
  }
  if (systemCodeOf(fault) === 'ECONNRESET' || systemCodeOf(fault) === 'EPIPE') return closedEarly(dialled, stage);
  return new ProxyError('upstream-broken', `The SSH connection to ${nameOf(dialled)} failed (${words})`, {
    todo: 'try again; if it stays, see the log of the host',
    cause: fault,
  });
}

/** A command that was not started. */
export function commandRefused(dialled: Dialled): ProxyError {
  return new ProxyError(
    'upstream-error',
    `${nameOf(dialled)} does not run git's commands for ${dialled.user} and the key ${dialled.key.shown}`,
    {
      todo: 'check the host and the user of the route (`sshUpstream`), and that this account may use git over SSH',
    },
  );
}

/** A host that lets in and then opens no channel. */
export function channelRefused(dialled: Dialled, fault: unknown): ProxyError {
  return new ProxyError('upstream-error', `${nameOf(dialled)} opens no session for a command (${printable(messageOf(fault))})`, {
    todo: 'check that this account may use git over SSH; see MaxSessions of its server',
    cause: fault,
  });
}

/** A connection that went away before a command had begun. */
export function lostBefore(dialled: Dialled): ProxyError {
  return new ProxyError('upstream-broken', `${nameOf(dialled)} closed the connection before the command began`, {
    todo: 'run the command again; if it stays, see the log of the host',
  });
}

/** `host`, or `[host]:port`. */
export function nameOf({ host, port }: Pick<Dialled, 'host' | 'port'>): string {
  return knownHostsName(host, port);
}

/** What a host says, in one line without what a terminal would act on. */
function printable(text: string): string {
  const plain = withoutUnprintable(text).replace(/\s+/g, ' ').trim();
  return plain.length > LONGEST_WORDS ? `${plain.slice(0, LONGEST_WORDS)}...` : plain;
}
