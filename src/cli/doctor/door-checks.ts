/** Rows of the door as this user's git finds it: open, a Postern, and open to this user. */
import { readFile } from 'node:fs/promises';
import { portHolder } from '../../daemon/port-holder.js';
import type { CheckOutcome } from '../../model/check.js';
import type { ErrorCode } from '../../model/errors.js';
import type { Check, Walk } from './check.js';
import { connectFault, type DoorTalk, talkToDoor } from './door-talk.js';
import { addSetupFix, setupCommand } from './fixes.js';
import { reachedBase } from './git-look.js';
import { NO_ADDRESS } from './look.js';

export const DOOR_CHECKS: readonly Check[] = [
  { id: 'door', name: 'door', class: 'daemon', needs: ['configuration'], run: door },
  { id: 'door-answer', name: "door's answer to git", class: 'daemon', needs: ['git', 'door'], run: answer },
  { id: 'caller', name: 'who asks', class: 'daemon', needs: ['door-answer'], run: caller },
];

/** The door's address as git reaches it; undefined while only a daemon would know it. */
export function doorOf({ found: { loaded, status } }: Walk): string | undefined {
  return loaded === undefined ? undefined : reachedBase(loaded.settings, status);
}

async function door(walk: Walk): Promise<CheckOutcome> {
  const base = doorOf(walk);
  if (base === undefined) return { verdict: 'untried', text: NO_ADDRESS };
  const fault = await connectFault(base);
  if (fault === undefined) return { verdict: 'ok', text: base };
  const isStopped = walk.found.status === undefined;
  return {
    verdict: 'failed',
    text: fault === 'ECONNREFUSED' ? `Nothing listens at ${base}` : `No connection can be opened to ${base} (${fault})`,
    todo: isStopped
      ? 'start Postern, as is said above'
      : 'restart the daemon (`postern stop`, then `postern start`); if it stays, see what keeps connections on this machine from arriving, such as a firewall',
    code: isStopped ? 'not-running' : 'listen-failed',
  };
}

/** What the door said to git, asked once. */
function talkOf(walk: Walk, base: string): Promise<DoorTalk> {
  walk.found.doorTalk ??= talkToDoor(walk.git, `${base}/`);
  return walk.found.doorTalk;
}

async function answer(walk: Walk): Promise<CheckOutcome> {
  const base = doorOf(walk);
  if (base === undefined) return { verdict: 'untried', text: NO_ADDRESS };
  const talk = await talkOf(walk, base);
  switch (talk.kind) {
    case 'answered':
    case 'wants-lease':
      return { verdict: 'ok', text: base.startsWith('https:') ? 'it is Postern, and git trusts its certificate' : 'it is Postern' };
    case 'untrusted':
      return {
        verdict: 'failed',
        text: `git does not trust the door: ${talk.what}`,
        todo: `${setupCommand(walk)} (it tells git which authority to trust there)`,
        code: 'certificate-unusable',
        fix: addSetupFix(walk),
      };
    case 'silent':
    case 'strange': {
      const holder = await portHolder(Number(new URL(base).port)).catch(() => undefined);
      const who = holder === undefined ? '' : `, which ${holder} holds`;
      return {
        verdict: 'failed',
        text: talk.kind === 'silent' ? `No answer comes from ${base}${who}` : `What answers at ${base}${who} is no Postern: ${talk.what}`,
        todo: 'end what holds the port and start Postern, or write another port as `listen.http` and run `postern setup`',
        code: 'listen-failed',
      };
    }
  }
}

/** Codes by which the door says that it does not serve whoever asks; with any other it has gone on to what is asked for. */
const NOT_SERVED: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode>([
  'caller-refused',
  'caller-forwarded',
  'caller-unknown',
  'request-from-browser',
  'lease-required',
  'lease-invalid',
  'overloaded',
  'state-unusable',
]);

async function caller(walk: Walk): Promise<CheckOutcome> {
  const base = doorOf(walk);
  if (base === undefined) return { verdict: 'untried', text: NO_ADDRESS };
  const talk = await talkOf(walk, base);
  const access = walk.found.status?.access;
  const uid = process.getuid?.();
  if (talk.kind === 'wants-lease')
    return {
      verdict: 'failed',
      text: 'The door serves holders of leases alone, and git has none to show',
      details: await namespaceLines(),
      // With `local: uid` it is a listener that other machines reach, where users of this one are told by their leases too.
      todo: `make one with \`postern lease create\` and give it to git as it prints with \`--format gitconfig\`, or ${access?.local === 'uid' ? 'put an address of this machine alone first in `listen.http`, such as 127.0.0.1:8417, then run `postern reload` and `postern setup`' : 'set `access.local: uid`'}`,
      code: 'lease-required',
    };
  if (talk.kind !== 'answered') return { verdict: 'untried', text: 'not tried: the door did not answer' };
  if (NOT_SERVED.has(talk.code))
    return {
      verdict: 'failed',
      text: talk.what,
      details: await namespaceLines(),
      todo: talk.todo ?? 'see the text above',
      code: talk.code,
    };
  if (access?.local === 'anyone') return { verdict: 'ok', text: 'the door serves every user of this machine (`access.local: anyone`)' };
  if (access?.local === 'lease') return { verdict: 'ok', text: 'the door serves holders of leases alone, and git shows one' };
  return { verdict: 'ok', text: uid === undefined ? 'served' : `served as the user with uid ${uid}` };
}

/** All ids are mapped outside of user namespaces (user_namespaces(7)). */
const WHOLE_MAP = /^\s*0\s+0\s+4294967295\s*$/;

/** In a user namespace of one's own a door outside of it sees another uid. */
async function namespaceLines(): Promise<string[]> {
  const map = await readFile('/proc/self/uid_map', 'utf8').catch(() => '');
  if (map === '' || WHOLE_MAP.test(map)) return [];
  return [
    'this runs in a user namespace (a container?): the door sees the user outside of it, or cannot tell it; a lease works from everywhere',
  ];
}
