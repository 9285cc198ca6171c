/** The SSH way up to the emulator's SSH host, which has the ways of Azure DevOps. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AgentRoute } from '../../src/model/settings.js';
import { Emulator } from '../azure/emulator.js';
import type { SshHost } from '../azure/ssh-host.js';
import type { AgentKey } from '../support/ssh-agent.js';
import { addressOf } from '../unit/route.js';
import { type AgentStage, type Hand, openAgentStage, routeTo, until } from './agent-rig.js';

let stage: AgentStage;
let emulator: Emulator;
let host: SshHost;
let rsa: AgentKey;

beforeAll(async () => {
  stage = await openAgentStage();
  rsa = await stage.agent.add('rsa', { comment: 'ada at azure' });
  emulator = await Emulator.start({ directory: join(stage.rig.folder, 'azure') });
  host = emulator.ssh;
  await emulator.createRepository('contoso/Payments Team/web');
});

afterAll(async () => {
  await emulator.stop();
  await stage.close();
});

afterEach(() => {
  host.fault = undefined;
  host.closing = 'after-channel';
  host.expired.clear();
});

function begin(
  kind: 'fetch' | 'push' = 'fetch',
  text = 'ssh.dev.azure.com/v3/contoso/Payments%20Team/web',
  key = rsa.fingerprint,
  more: Partial<AgentRoute> = {},
): Hand {
  const file = join(stage.rig.folder, 'azure-hosts');
  writeFileSync(file, host.knownHosts);
  stage.ssh = routeTo({ port: host.port, user: 'git' }, file, { key, ...more });
  stage.address = addressOf(text);
  host.users.set(rsa.fingerprint, ['contoso']);
  return stage.session(kind, decodeURIComponent(text.slice(text.indexOf('/'))));
}

/** No connection is left of an earlier test. */
async function alone(): Promise<void> {
  host.cutConnections();
  await until(() => host.open === 0 && stage.upstreams.states().length === 0);
}

async function finish(hand: Hand): Promise<void> {
  await until(() => hand.said().out.endsWith('0000'));
  hand.input.end('0000');
  expect(await hand.carried).toEqual({ kind: 'passed', exitCode: 0 });
}

describe('Azure DevOps over SSH', () => {
  it.each(['after-channel', 'at-once', 'never'] as const)(
    'serves one command after the other, closing the connection %s',
    async (closing) => {
      host.closing = closing;
      for (let turn = 0; turn < 3; turn++) await finish(begin());
      await Promise.all([finish(begin()), finish(begin()), finish(begin('push'))]);
      // The client does not wait for it.
      await until(() => host.commands.every(({ exitCode }) => exitCode === 0));
    },
  );

  it('gives parallel commands a connection each, because the first that ends takes its connection with it', async () => {
    // Nothing is known of the host yet, so that ten wait for the first connection.
    const hands = Array.from({ length: 12 }, () => begin('fetch', undefined, undefined, { isLegacyAllowed: true }));
    for (const hand of hands) await until(() => hand.said().out.endsWith('0000'));
    const open = host.connections.filter(({ isOpen }) => isOpen);
    expect(open.flatMap(({ commands }) => commands.filter(({ exitCode }) => exitCode === undefined))).toHaveLength(12);
    expect(open.every(({ commands }) => commands.filter(({ exitCode }) => exitCode === undefined).length <= 1)).toBe(true);
    for (const hand of hands) await finish(hand);
  });

  it('offers one key and nothing else, and signs with SHA-2', async () => {
    await alone();
    const from = host.connections.length;
    await finish(begin());
    for (const { attempts } of host.connections.slice(from)) {
      expect(attempts).toEqual([
        { method: 'publickey', fingerprint: rsa.fingerprint, algorithm: 'rsa-sha2-256', isSigned: false },
        { method: 'publickey', fingerprint: rsa.fingerprint, algorithm: 'rsa-sha2-256', isSigned: true },
      ]);
    }
    expect(host.connections.length).toBeGreaterThan(from);
  });

  it.each([
    ['ssh.dev.azure.com/v3/contoso/Payments%20Team/web', "git-upload-pack 'v3/contoso/Payments Team/web'"],
    ['vs-ssh.visualstudio.com/v3/contoso/Payments%20Team/web', "git-upload-pack 'v3/contoso/Payments Team/web'"],
    ['dev.azure.com/Contoso/Payments%20Team/_git/web', "git-upload-pack 'v3/Contoso/Payments%20Team/web'"],
    ['contoso.visualstudio.com/DefaultCollection/Payments%20Team/_git/web', "git-upload-pack 'v3/contoso/Payments%20Team/web'"],
  ])('finds %s', async (text, command) => {
    await finish(begin('fetch', text));
    expect(host.commands.at(-1)?.command).toBe(command);
  });

  it('says what to do when the key is not registered, expired, or the repository is not there, before git is told', async () => {
    const unknown = begin('fetch', undefined, stage.key.fingerprint);
    expect(await unknown.carried).toMatchObject({
      kind: 'failed',
      verdict: 'failed',
      where: 'between',
      refusal: {
        code: 'upstream-unauthenticated',
        status: 502,
        route: 'github.com',
        what: `Azure DevOps does not know the SSH key ${stage.key.fingerprint} (ada at work) in this organisation`,
        todo: 'add its public half (`ssh-add -L` prints it; RSA only) under User settings > SSH public keys, or set `key` of the route to one that is there',
      },
    });
    expect(unknown.said()).toEqual({ out: '', err: 'remote: Public key authentication failed.\n' });
    host.expired.add(rsa.fingerprint);
    const expired = begin('push');
    expect(await expired.carried).toMatchObject({
      refusal: {
        code: 'upstream-unauthenticated',
        what: `Azure DevOps says that the SSH key ${rsa.fingerprint} (ada at azure) has expired`,
        todo: 'renew it under User settings > SSH public keys (https://aka.ms/ado-ssh-public-key-expired), or set `key` of the route to another one',
      },
    });
    expect(expired.said().err).toMatch(/^remote: Authentication failed: your SSH key has expired\./);
    host.expired.clear();
    const gone = begin('fetch', 'ssh.dev.azure.com/v3/contoso/Payments%20Team/none');
    expect(await gone.carried).toMatchObject({ refusal: { code: 'upstream-not-found' } });
    expect(gone.said().err).toContain('TF401019');
  });

  it.each([
    ['close-at-sign-in', 'upstream-broken', /closed the connection (during the sign-in|before the command began)$/],
    ['no-channel', 'upstream-error', /opens no session for a command/],
  ] as const)('that answers with %s is told of', async (kind, code, what) => {
    await alone();
    host.fault = { kind };
    const before = host.accepted;
    const carried = await begin().carried;
    // A connection that was made for the command is not made again.
    expect(host.accepted - before).toBe(1);
    expect(carried).toMatchObject({ kind: 'failed', verdict: 'failed', where: 'between', refusal: { code } });
    expect(carried.kind === 'failed' ? carried.refusal.what : '').toMatch(what);
  });

  it('that dies in the middle of its answer is a break, and no end', async () => {
    host.fault = { kind: 'die', afterBytes: 40 };
    const hand = begin();
    expect(await hand.carried).toMatchObject({
      kind: 'failed',
      verdict: 'broken',
      where: 'inside',
      refusal: { code: 'upstream-broken', what: `[127.0.0.1]:${String(host.port)} closed the connection after 40 bytes of its answer` },
    });
  });

  it('that never answers is let go of when the client goes', async () => {
    host.fault = { kind: 'silent' };
    const from = host.commands.length;
    const hand = begin();
    await until(() => host.commands.length > from);
    hand.over.abort();
    expect(await hand.carried).toEqual({ kind: 'over' });
    await until(() => stage.upstreams.states().every(({ busy }) => busy === 0));
  });
});
