/** SSH on the road of an address: the client that git runs, the door, its key as that client knows it, and what signs behind the door. */
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { askCheck, askRoadFacts } from '../../daemon/doctor/doctor-actions.js';
import type { CheckOutcome } from '../../model/check.js';
import { messageOf, ProxyError } from '../../model/errors.js';
import { fingerprintOf, type HostKeyLine, judgeHostKey, knownHostsName, parseKnownHosts } from '../../ssh/known-hosts.js';
import { quoteForSh } from '../gitconfig/environment.js';
import { hideCredentials } from '../gitconfig/names.js';
import { type SshClient, sshClient } from '../known-hosts/place.js';
import type { AddressCheck, AddressWalk } from './check.js';

/** The door is on this machine, or near. */
const CONNECT_MS = 5_000;
/** An SSH server says this first (RFC 4253 section 4.2). */
const GREETING = 'SSH-2.0-';
const NOT_SSH: CheckOutcome = { verdict: 'ok', text: 'not used: git goes to this address over HTTP' };

export const SSH_CHECKS: readonly AddressCheck[] = [
  { id: 'ssh-client', name: 'ssh', class: 'ssh', needs: ['git', 'route'], run: (walk) => overSsh(walk, client) },
  { id: 'ssh-door', name: 'SSH door', class: 'ssh', needs: ['ssh-client', 'daemon'], run: (walk) => overSsh(walk, door) },
  { id: 'ssh-host-key', name: 'key of the door', class: 'ssh', needs: ['ssh-door'], run: (walk) => overSsh(walk, hostKey) },
  {
    id: 'ssh-agent',
    name: 'ssh-agent',
    class: 'ssh',
    needs: ['daemon', 'route'],
    run: (walk) => overSsh(walk, ({ context: { places }, address }) => askCheck(places.adminSocket, 'ssh-agent', { address })),
  },
  {
    id: 'ssh-upstream',
    name: 'SSH host',
    class: 'ssh',
    needs: ['ssh-agent'],
    run: (walk) => overSsh(walk, ({ context: { places }, address }) => askCheck(places.adminSocket, 'ssh-upstream', { address })),
  },
];

/** Where git would go over SSH. */
interface SshTarget {
  /** Name or IP literal without brackets. */
  readonly host: string;
  readonly port: number;
  readonly user: string | undefined;
}

type SshRow = (walk: AddressWalk, target: SshTarget) => Promise<CheckOutcome>;

async function overSsh(walk: AddressWalk, row: SshRow): Promise<CheckOutcome> {
  const answer = await walk.git.run(['ls-remote', '--get-url', walk.address]);
  const target = sshTarget(answer.stdout.toString().trim());
  return target === undefined ? NOT_SSH : row(walk, target);
}

/** The place in an address as git's ssh is given it; undefined for an address that is none of SSH. Source: git-clone(1), "GIT URLS". */
export function sshTarget(text: string): SshTarget | undefined {
  if (/^(?:git\+)?ssh:\/\//i.test(text) && URL.canParse(text)) {
    const { hostname, port, username } = new URL(text);
    return { host: unbracketed(hostname), port: port === '' ? 22 : Number(port), user: username === '' ? undefined : username };
  }
  if (text.includes('://')) return undefined;
  // `[user@host:port]:path`, `user@host:path`: a slash before the colon makes it a path.
  const [, inner, plain] = /^(?:\[([^\]/]+)\]|([^/:]+)):./.exec(text) ?? [];
  if (inner === undefined && plain === undefined) return undefined;
  const [, user, host = '', port] = /^(?:([^@]*)@)?(.*?)(?::([0-9]+))?$/.exec(inner ?? plain ?? '') ?? [];
  return { host, port: port === undefined ? 22 : Number(port), user };
}

function unbracketed(host: string): string {
  return host.replace(/^\[|\]$/g, '');
}

async function clientOf({ context, git }: AddressWalk, { host, port }: SshTarget): Promise<SshClient> {
  return sshClient({ git, env: context.environment, home: context.home, address: { host, port, optional: false } });
}

async function client(walk: AddressWalk, target: SshTarget): Promise<CheckOutcome> {
  const { shown, settings, findings, isMissing } = await clientOf(walk, target);
  if (isMissing) {
    return {
      verdict: 'failed',
      text: `git runs ${hideCredentials(shown)} for SSH, which is not there`,
      todo: 'install an SSH client (`apt install openssh-client`), or correct GIT_SSH_COMMAND, GIT_SSH or `git config core.sshCommand`',
    };
  }
  const [detour, ...others] = findings;
  if (detour !== undefined) {
    const [text, todo] = detour.lines;
    return { verdict: 'failed', text, details: others.flatMap(({ lines }) => lines), todo };
  }
  if (settings !== undefined) return { verdict: 'ok', text: `git runs ${hideCredentials(shown)}` };
  return {
    verdict: 'warning',
    text: `git runs ${hideCredentials(shown)} for SSH, which does not tell what it is set to as OpenSSH does`,
    todo: 'use OpenSSH (unset GIT_SSH, GIT_SSH_COMMAND, core.sshCommand), or see by yourself that it trusts the key of the door',
  };
}

async function door({ found }: AddressWalk, { host, port }: SshTarget): Promise<CheckOutcome> {
  const open = found.status?.listen.ssh ?? [];
  if (open.length === 0) {
    return {
      verdict: 'failed',
      text: 'The daemon has no SSH door, and git goes to this address over SSH',
      todo: 'give `listen.ssh` an address (its default is 127.0.0.1:8422), then run `postern reload` and `postern setup`; or use the https:// address',
      code: 'not-running',
    };
  }
  const greeting = await greetingAt(host, port);
  if (greeting.startsWith(GREETING)) return { verdict: 'ok', text: `answers at ${knownHostsName(host, port)}` };
  throw new ProxyError('not-running', `What answers at ${knownHostsName(host, port)} is no SSH server`, {
    todo: `run \`postern setup\`: the SSH door is at ${open.join(', ')}`,
  });
}

/** The first line that a server says. @throws ProxyError `not-running` */
function greetingAt(host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      socket.destroy();
      reject(
        new ProxyError('not-running', `Nothing answers at ${knownHostsName(host, port)}, where git goes over SSH (${why})`, {
          todo: 'run `postern setup`: it leads git to where the SSH door is now',
        }),
      );
    };
    const socket = connect({ host, port, timeout: CONNECT_MS });
    socket.once('timeout', () => fail(`silent for ${CONNECT_MS / 1000} s`));
    socket.once('error', (fault) => fail(messageOf(fault)));
    socket.once('close', () => fail('closed without a word'));
    socket.once('data', (chunk: Buffer) => {
      resolve(chunk.toString('latin1'));
      socket.destroy();
    });
  });
}

async function hostKey(walk: AddressWalk, target: SshTarget): Promise<CheckOutcome> {
  const { doorKey } = await askRoadFacts(walk.context.places.adminSocket, walk.address);
  if (doorKey === undefined) return { verdict: 'untried', text: 'not tried: the daemon does not tell the key of its door' };
  const { settings } = await clientOf(walk, target);
  if (settings === undefined) return { verdict: 'untried', text: 'not tried: ssh does not tell which keys it knows' };
  const { host, port } = target;
  const files = ['userknownhostsfile', 'globalknownhostsfile'].flatMap((key) => (settings.get(key) ?? '').split(/ (?=\/)/));
  const lines = await linesOf(files.filter((file) => file.startsWith('/')));
  const blob = Buffer.from(doorKey.publicLine.split(' ')[1] ?? '', 'base64');
  const verdict = judgeHostKey(lines, host.toLowerCase(), port, blob);
  const name = knownHostsName(host, port);
  switch (verdict.kind) {
    case 'known':
      return { verdict: 'ok', text: `known (${doorKey.fingerprint})` };
    case 'changed':
      return {
        verdict: 'failed',
        text: `ssh knows another key for ${name} than the door has (${doorKey.fingerprint}): ${placesOf(verdict.lines)}`,
        todo: `if you did not expect that, see who answers there first; then remove the old one (${removals(verdict.lines, name)}) and run \`postern setup\``,
        code: 'host-key-refused',
      };
    case 'revoked':
      return {
        verdict: 'failed',
        text: `The key of the door is marked as revoked: ${placesOf([verdict.line])}`,
        todo: `remove that line, or have the door make another key: stop the daemon, remove the file ssh-host-key from its state directory, start it again, and run \`postern setup\``,
        code: 'host-key-refused',
      };
    case 'unknown': {
      const text = `ssh does not know the key of the door for ${name} (${doorKey.fingerprint})`;
      const todo = 'run `postern setup`, which writes it to your known_hosts';
      // Whoever lets ssh take any new key is let in, and would be by anybody.
      const isTaken = /^(?:accept-new|no|off|false)$/.test(settings.get('stricthostkeychecking') ?? '');
      return { verdict: isTaken ? 'warning' : 'failed', text, todo, code: 'host-key-refused' };
    }
  }
}

/** A file that is not there has no lines; one that cannot be read has none for ssh either. */
async function linesOf(files: readonly string[]): Promise<HostKeyLine[]> {
  const all = await Promise.all(files.map(async (file) => parseKnownHosts(await readFile(file, 'utf8').catch(() => ''), file)));
  return all.flat();
}

function placesOf(lines: readonly HostKeyLine[]): string {
  return lines.map(({ file, number, blob }) => `${file} line ${number} has ${fingerprintOf(blob)}`).join(', ');
}

function removals(lines: readonly HostKeyLine[], name: string): string {
  return [...new Set(lines.map(({ file }) => file))]
    .map((file) => `\`ssh-keygen -R ${quoteForSh(name)} -f ${quoteForSh(file)}\``)
    .join(', ');
}
