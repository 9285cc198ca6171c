/** The daemon's half of SSH: the agent that signs for a route, its key, and the host behind it. */
import { readSpelling } from '../../hosts/repo-spelling.js';
import type { CheckOutcome } from '../../model/check.js';
import { chooseKey } from '../../ssh/agent-keys.js';
import { tryAgent } from '../../ssh/agent-trial.js';
import { type DaemonCheck, roadOf } from './doctor-parts.js';

const BRIDGED: CheckOutcome = { verdict: 'ok', text: 'no key is needed: the route goes on over HTTPS (`ssh: bridge`)' };

export const SSH_CHECKS = {
  'ssh-agent': async (question, parts) => {
    const { route } = roadOf(question, parts);
    if (route.ssh.kind === 'bridge') return BRIDGED;
    const key = await chooseKey(route.ssh, parts.ssh.agent.socket);
    return { verdict: 'ok', text: `offers ${key.shown}`, details: [`the agent at ${key.socket}`] };
  },
  'ssh-upstream': async (question, parts) => {
    const { route, address } = roadOf(question, parts);
    if (route.ssh.kind === 'bridge') return BRIDGED;
    const { host } = await tryAgent(parts.ssh.agent, { route: route.ssh, address, path: sshPath(question.address) });
    return { verdict: 'ok', text: `${host} has shown the key by which it is known, and lets the agent's in` };
  },
} as const satisfies Readonly<Record<string, DaemonCheck>>;

/**
 * The path as an SSH client writes it, bytes as latin1. In scp form it begins without a slash, and stands as it is; in a URL it is
 * percent-encoded (git-clone(1), "GIT URLS").
 */
function sshPath(text: string): string {
  const { path } = readSpelling(text) ?? { path: '' };
  if (!text.includes('://')) return path.slice(1);
  const encoded = Buffer.from(path, 'latin1').toString('utf8');
  return Buffer.from(decoded(encoded), 'utf8').toString('latin1');
}

/** A path may hold a bare `%`, which a URL lets pass. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
