/** The daemon's half of SSH: the agent that signs for a route, its key, and the host behind it. */
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
    const { host } = await tryAgent(parts.ssh.agent, { route: route.ssh, address, path: sshPath(question.address, address.path) });
    return { verdict: 'ok', text: `${host} has shown the key by which it is known, and lets the agent's in` };
  },
} as const satisfies Readonly<Record<string, DaemonCheck>>;

/** In scp form a path begins without a slash; a URL is percent-encoded (git-clone(1), "GIT URLS"). */
function sshPath(text: string, path: string): string {
  return /^[a-z+]+:\/\//i.test(text) ? Buffer.from(decodeURIComponent(path), 'utf8').toString('latin1') : path.slice(1);
}
