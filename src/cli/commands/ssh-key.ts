/** `postern ssh-key`: a key for a route with `ssh: agent`, and what the agents that routes ask hold. */
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { messageOf, ProxyError } from '../../model/errors.js';
import type { Route } from '../../model/settings.js';
import { columns, countText } from '../amounts.js';
import { type Context, loadFor, type SettingsFlags } from '../context.js';
import { parseOrganisation } from '../gitconfig/names.js';
import { quoteForSh } from '../gitconfig/environment.js';
import { routesWithout, type ShownKey, shownKeys, typeText } from '../ssh-key/held-keys.js';
import { addToAgent, KEY_TYPES, makeKeyFile, type PublicHalf } from '../ssh-key/key-file.js';
import { visible, visibleAll } from '../visible.js';
import { organisationsIn } from './point-git.js';

const DEFAULT_NAME = 'azure';
const UNKNOWN_AGENT = 'No ssh-agent is known: SSH_AUTH_SOCK is not set';
const NO_AGENT = 'start one (`eval "$(ssh-agent)"`) or name the socket of yours with --agent';

/**
 * Makes a key, adds it to the agent, and prints what has to be done with its public half. 1 when it is in no agent.
 * @throws ProxyError `usage`
 */
export async function sshKeyCreate({ environment, home, workingDirectory, printer }: Context, flags: SettingsFlags): Promise<number> {
  const type = KEY_TYPES.find((known) => known === flags['type']);
  if (type === undefined)
    throw new ProxyError('usage', 'There is no such type of key here', { todo: `use one of ${KEY_TYPES.join(', ')}` });
  const pages = organisationsIn(flags).map((each) => `https://dev.azure.com/${parseOrganisation(each)}/_usersSettings/keys`);
  const { file, name } = placeOf(flags, home, workingDirectory);
  const comment = textOf(flags, 'comment') ?? `postern-${name}@${hostname()}`;
  if (/[\u0000-\u001f\u007f]/.test(comment))
    throw new ProxyError('usage', 'A comment is one line of plain text', { todo: 'choose another --comment' });
  const made = await makeKeyFile({ file, type, comment, hasPassphrase: flags['passphrase'] !== false, environment });

  const socket = textOf(flags, 'agent') ?? environment['SSH_AUTH_SOCK'] ?? '';
  const isAdded = socket !== '' && (await addToAgent(file, socket, environment));
  const agent = isAdded ? socket : undefined;
  if (!isAdded) {
    const why = socket === '' ? UNKNOWN_AGENT : `The ssh-agent at ${visible(socket)} did not take it`;
    printer.note(`postern: ${why}, so the key is made and in no agent yet`);
    printer.note(`  what to do: ${socket === '' ? NO_AGENT : 'see what ssh-add says above'}, then \`ssh-add ${shellWord(file)}\``);
  }
  const route = { ssh: 'agent', key: made.fingerprint };
  if (flags['json'] === true) {
    const { line: publicKey, fingerprint, bits } = made;
    printer.json({ file, publicFile: `${file}.pub`, publicKey, fingerprint, type: made.type, bits, agent, pages, route });
  } else for (const line of createdLines({ file, made, agent, pages })) printer.line(line);
  return isAdded ? 0 : 1;
}

interface Created {
  readonly file: string;
  readonly made: PublicHalf;
  readonly agent: string | undefined;
  readonly pages: readonly string[];
}

function createdLines({ file, made, agent, pages }: Created): string[] {
  const isRsa = made.type === 'ssh-rsa';
  const page = pages.length > 0 ? pages : ['https://dev.azure.com/ORG/_usersSettings/keys'];
  const where = isRsa
    ? ['Add its public half to your account, in Azure DevOps Services here:', ...page.map((each) => `  ${each}`)]
    : ['Add its public half to your account. Azure DevOps Services takes RSA keys only, so this one is for another host.'];
  return [
    `Made ${visible(file)} (${typeText(made.type, made.bits)}) and its public half, ${visible(file)}.pub`,
    ...(agent === undefined ? [] : [`Added it to the ssh-agent at ${visible(agent)}`]),
    `Fingerprint: ${made.fingerprint}`,
    '',
    ...where,
    '',
    visible(made.line),
    '',
    'Then let a route use it, with these lines in the configuration:',
    '  | ssh: agent',
    `  | key: ${made.fingerprint}`,
  ];
}

/**
 * Shows the keys in the agents that routes ask, or in the one that is named. 1 when a route's key, or an agent, is missing.
 * @throws ProxyError `agent-unavailable` when there is one agent, and it cannot be asked; the faults of the configuration
 */
export async function sshKeyShow(context: Context, flags: SettingsFlags): Promise<number> {
  const { environment, printer } = context;
  const { settings } = await loadFor(context, flags);
  const own = textOf(flags, 'agent') ?? environment['SSH_AUTH_SOCK'] ?? '';
  const socketOf = ({ ssh }: Route): string => (ssh.kind === 'agent' ? (ssh.socket ?? own) : own);
  const routes = settings.routes.filter(({ ssh }) => ssh.kind === 'agent');
  const sockets = [...new Set([own, ...(flags['agent'] === undefined ? routes.map(socketOf) : [])])].filter((each) => each !== '');
  if (sockets.length === 0) throw new ProxyError('agent-unavailable', UNKNOWN_AGENT, { todo: NO_AGENT });
  const agents: Agent[] = [];
  const lost = routes.filter((route) => socketOf(route) === '');
  if (lost.length > 0) {
    const what = `${UNKNOWN_AGENT}, and the routes ${lost.map(({ match }) => match).join(', ')} name no other`;
    agents.push({ socket: '$SSH_AUTH_SOCK', keys: [], missing: [], fault: { what, todo: NO_AGENT } });
  }
  for (const socket of sockets) {
    const asking = routes.filter((route) => socketOf(route) === socket);
    try {
      const keys = await shownKeys(socket, asking);
      agents.push({ socket, keys, missing: routesWithout(keys, asking) });
    } catch (thrown) {
      if (sockets.length === 1 || !(thrown instanceof ProxyError)) throw thrown;
      agents.push({ socket, keys: [], missing: [], fault: { what: messageOf(thrown), todo: thrown.todo } });
    }
  }
  if (flags['json'] === true) printer.json({ agents });
  else for (const line of agents.flatMap((agent) => agentLines(visibleAll(agent), printer.bold))) printer.line(line);
  return agents.some(({ missing, fault }) => missing.length > 0 || fault !== undefined) ? 1 : 0;
}

interface Agent {
  readonly socket: string;
  readonly keys: readonly ShownKey[];
  /** Routes whose key is not in it. */
  readonly missing: readonly { readonly match: string; readonly key: string }[];
  /** Why it could not be asked. */
  readonly fault?: { readonly what: string; readonly todo: string | undefined };
}

function agentLines({ socket, keys, missing, fault }: Agent, bold: (text: string) => string): string[] {
  const lines = [bold(`agent ${socket}: ${fault === undefined ? countText(keys.length, 'key') : 'cannot be asked'}`)];
  if (fault !== undefined) lines.push(`  ${fault.what}`, `  what to do: ${fault.todo ?? ''}`);
  const rows = keys.map(({ fingerprint, type, bits, comment, isForAzure, routes }) => [
    `  ${fingerprint}`,
    typeText(type, bits),
    comment === '' ? '-' : comment,
    routes.length === 0 ? 'no route' : routes.join(', '),
    isForAzure ? '' : 'not taken by Azure DevOps Services',
  ]);
  lines.push(...columns(rows));
  for (const { match, key } of missing) lines.push(`  missing: ${key}, which the route ${match} asks for`);
  if (missing.length > 0) lines.push('  what to do: add it with `ssh-add FILE`, or correct `key` of the route');
  return lines;
}

/** The file, and the name for its comment. */
function placeOf(flags: SettingsFlags, home: string, workingDirectory: string): { file: string; name: string } {
  const [name, path] = [textOf(flags, 'name'), textOf(flags, 'file')];
  if (name !== undefined && path !== undefined)
    throw new ProxyError('usage', '--name and --file both say where the key goes', { todo: 'give one of them' });
  if (name !== undefined && !/^[A-Za-z0-9][\w.-]{0,63}$/.test(name)) {
    throw new ProxyError('usage', `Not a name for a key: ${JSON.stringify(visible(name))}`, {
      todo: 'use letters, digits, dots, hyphens and underscores; --file takes any path',
    });
  }
  if (path === undefined) return { file: join(home, '.ssh', `postern_${name ?? DEFAULT_NAME}`), name: name ?? DEFAULT_NAME };
  return { file: resolve(workingDirectory, path), name: 'key' };
}

function textOf(flags: SettingsFlags, name: string): string | undefined {
  const value = flags[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function shellWord(text: string): string {
  return /^[\w./@+-]+$/.test(text) ? text : quoteForSh(text);
}
