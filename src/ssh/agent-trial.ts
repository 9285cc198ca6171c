/**
 * The SSH way up, tried without a client: the key is chosen, the host is reached and known, and git's command there begins to speak. Nothing
 * is asked of it, and nothing of what it says is kept.
 */
import { readAzureSshText } from '../hosts/azure-ssh-texts.js';
import type { RepoAddress } from '../model/address.js';
import { ProxyError } from '../model/errors.js';
import type { AgentRoute } from '../model/settings.js';
import type { AgentParts } from './agent.js';
import { type AgentKey, chooseKey } from './agent-keys.js';
import { nameOf } from './client-faults.js';
import { knownHostsName } from './known-hosts.js';
import { remotePlace } from './remote-place.js';

/** What the host says on stderr before it ends the command; a banner is shorter. */
const MOST_WORDS_BYTES = 4096;
/** A host that lets someone in and then says nothing is not waited for. */
const ANSWER_MS = 30_000;

export interface AgentTrial {
  readonly key: AgentKey;
  /** As it stands in known_hosts: `ssh.dev.azure.com`, `[tfs.example.com]:2222`. */
  readonly host: string;
}

/**
 * @param path of the repository as an SSH client writes it: percent-decoded, bytes as latin1
 * @throws ProxyError `agent-unavailable`, `host-key-refused`, `request-malformed`, and `upstream-*` for what the host says no with
 */
export async function tryAgent(
  { upstreams, socket }: AgentParts,
  { route, address, path }: { readonly route: AgentRoute; readonly address: RepoAddress; readonly path: string },
): Promise<AgentTrial> {
  const place = remotePlace({ kind: 'fetch', step: 'session', address }, path, route.upstream);
  if (typeof place === 'string')
    throw new ProxyError('request-malformed', `The path ${place}`, { todo: 'check the address of the remote' });
  const { host, port, user, command } = place;
  const key = await chooseKey(route, socket);
  const { knownHosts, isLegacyAllowed } = route;
  const over = AbortSignal.timeout(ANSWER_MS);
  const { remote, end } = await upstreams.start({ host, port, user, key, knownHosts, isLegacyAllowed }, command, {}, over);
  try {
    let words = '';
    remote.stderr.on('data', (chunk: Buffer) => {
      if (words.length < MOST_WORDS_BYTES) words += chunk.toString('utf8');
    });
    const isSpeaking = await Promise.race([
      new Promise<true>((resolve) => void remote.stdout.once('data', () => resolve(true))),
      remote.ended.then(() => false),
      new Promise<undefined>((resolve) => over.addEventListener('abort', () => resolve(undefined), { once: true })),
    ]);
    if (isSpeaking === true) return { key, host: knownHostsName(host, port) };
    if (isSpeaking === undefined)
      throw new ProxyError(
        'upstream-timeout',
        `${nameOf(place)} let ${user} in, and git's command said nothing for ${ANSWER_MS / 1000} s`,
        {
          todo: 'look into the log of the host',
        },
      );
    const known = address.kind === 'generic' ? undefined : readAzureSshText(words, key.shown);
    const said = words
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '');
    throw new ProxyError(known?.code ?? 'upstream-not-found', known?.what ?? `${nameOf(place)} ended git's command at once`, {
      todo: known?.todo ?? 'check the address of the repository, and that the owner of the key may read it',
      details: said.map((line) => `upstream said: ${line}`),
    });
  } finally {
    end();
  }
}
