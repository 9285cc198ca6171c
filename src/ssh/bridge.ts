/**
 * SSH in, HTTPS out: a git command over SSH, carried upstream as requests of the smart HTTP protocol. No SSH key exists at all, and
 * what the upstream sees is a client of its HTTP door.
 *
 * Source: gitprotocol-pack "SSH Transport"; gitprotocol-http.
 */
import type { CommandList } from '../git/receive-pack.js';
import { ProxyError } from '../model/errors.js';
import { carryFetchV2 } from './bridge-fetch-v2.js';
import { carryFetch } from './bridge-fetch.js';
import { carryPush } from './bridge-push.js';
import { PASSED, passAdvertisement, type Trip } from './bridge-trip.js';
import { ClientGone, ClientLine } from './client-line.js';
import type { GitLeg } from './git-leg.js';
import type { Carried, Carrier, GitSession } from './git-session.js';
import { holdPush } from './held-push.js';

/**
 * Makes the carrier of bridged sessions; `legFor` gives the HTTPS half of one. When a session ends, every stream that its leg gave
 * has ended or been destroyed, and nothing of the session is listened to any more. Of refusals it makes itself: `operation-unknown`
 * for an archive, `request-malformed`, `upstream-broken`, `upstream-not-git`.
 */
export function bridge(legFor: (session: GitSession) => GitLeg): Carrier {
  return async (session) => {
    const line = new ClientLine(session);
    const trip: Trip = { session, leg: legFor(session), line };
    const read: { commands?: CommandList | undefined } = {};
    try {
      const carried = await carry(trip, read);
      return carried.kind === 'failed' ? { ...carried, commands: carried.commands ?? read.commands } : carried;
    } catch (thrown) {
      // What stopped the line is the cause of whatever else was thrown then.
      const cause = line.cause ?? thrown;
      if (cause instanceof ClientGone) return { kind: 'over' };
      return {
        kind: 'failed',
        verdict: line.isInside ? 'broken' : cause instanceof ProxyError && cause.code === 'request-malformed' ? 'refused' : 'failed',
        refusal: trip.leg.refusalFor(cause),
        where: line.isInside ? 'inside' : 'between',
        commands: read.commands,
      };
    } finally {
      line.close();
    }
  };
}

async function carry(trip: Trip, read: { commands?: CommandList | undefined }): Promise<Carried> {
  const { session, leg, line } = trip;
  switch (session.operation.kind) {
    case 'fetch':
      return carryAnyFetch(trip);
    case 'push': {
      // Only version 1 is anything to a push; git itself sends no version with one.
      const gitProtocol = session.gitProtocol?.split(':').includes('version=1') === true ? 'version=1' : undefined;
      const passed = await passAdvertisement(trip, 'git-receive-pack', gitProtocol);
      if (passed.kind !== 'advertised') return passed;
      const held = await holdPush({ input: session.input, record: session.record, pass: session.pass, over: line.stopped });
      if (held.kind === 'over') return held;
      if (held.kind === 'refused') {
        return { kind: 'failed', verdict: 'refused', refusal: held.refusal, where: 'between', commands: held.commands };
      }
      read.commands = held.list;
      if (held.list === undefined || held.list.commands.length === 0) return PASSED;
      return carryPush(trip, held.list, gitProtocol);
    }
    case 'archive':
      return { kind: 'failed', verdict: 'refused', refusal: leg.refusalFor(noArchive()), where: 'between' };
  }
}

async function carryAnyFetch(trip: Trip): Promise<Carried> {
  const { gitProtocol } = trip.session;
  const passed = await passAdvertisement(trip, 'git-upload-pack', gitProtocol);
  if (passed.kind !== 'advertised') return passed;
  const { advertised } = passed;
  // What the server speaks counts, not what it was asked for.
  return advertised.version === 2 ? carryFetchV2(trip, gitProtocol ?? 'version=2') : carryFetch(trip, advertised);
}

function noArchive(): ProxyError {
  return new ProxyError(
    'operation-unknown',
    'This route is served over HTTPS, which has no service for `git archive --remote`; Azure Repos has none over SSH either',
    {
      todo: 'run `git clone --depth=1` and then `git archive` in the clone; for a host that serves archives over SSH, write `ssh: agent` on the route',
    },
  );
}
