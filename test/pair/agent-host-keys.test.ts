/** Which host key is taken, end to end: a real sshd, and its log for what a refused host gets to see. */
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Refusal } from '../../src/model/refusal.js';
import { makeKeyPair, type PublicKeyLine } from '../support/ssh-keys.js';
import { type AgentStage, openAgentStage, routeTo } from './agent-rig.js';

let stage: AgentStage;
let stranger: PublicKeyLine;
/** The ed25519 and the RSA key of the server. */
let ed: PublicKeyLine;
let rsa: PublicKeyLine;

beforeAll(async () => {
  stage = await openAgentStage();
  await stage.rig.git('init', '-q', '--bare', 'team/tools.git');
  stranger = await makeKeyPair(join(stage.rig.folder, 'stranger'), { type: 'ed25519', comment: 'stranger' });
  [ed, rsa] = stage.sshd.hostKeys as [PublicKeyLine, PublicKeyLine];
});

afterAll(() => stage.close());
afterEach(() => {
  stage.ssh = routeTo(stage.sshd, stage.knownHosts);
});

const name = (): string => `[127.0.0.1]:${String(stage.sshd.port)}`;
const lineOf = ({ type, blob }: PublicKeyLine, marker = '', hosts = name()): string => `${marker}${hosts} ${type} ${blob}\n`;
let files = 0;

/** Uses known_hosts files of these contents from now on. */
function known(...texts: readonly string[]): string[] {
  const paths = texts.map((text) => {
    const path = join(stage.rig.folder, `known-${String(++files)}`);
    writeFileSync(path, text);
    return path;
  });
  stage.ssh = { ...stage.ssh, knownHosts: paths };
  return paths;
}

/** A fetch that is refused, and what the server's log has of it. */
async function refused(): Promise<{ readonly refusal: Refusal; readonly log: string }> {
  const { length } = await stage.sshd.log();
  const { input, carried } = stage.session('fetch', '/team/tools.git');
  const ended = await carried;
  input.end();
  if (ended.kind !== 'failed') throw new Error(`it was not refused: ${JSON.stringify(ended)}`);
  expect(ended).toMatchObject({
    verdict: 'failed',
    where: 'between',
    refusal: { code: 'host-key-refused', status: 502, route: 'github.com' },
  });
  return { refusal: ended.refusal, log: (await stage.sshd.log()).slice(length) };
}

/** A session that gets as far as git. */
async function fetched(): Promise<void> {
  const hand = stage.session('fetch', '/team/tools.git');
  hand.input.end('0000');
  expect({ ended: await hand.carried, ...hand.said() }).toMatchObject({ ended: { kind: 'passed', exitCode: 0 }, err: '' });
}

describe('the host key of an SSH upstream', () => {
  it('is taken when a line of any file names it: plain, hashed, or by pattern', async () => {
    known('', lineOf(ed));
    await fetched();
    const [hashed = ''] = known(lineOf(ed) + lineOf(rsa));
    execFileSync('ssh-keygen', ['-H', '-f', hashed], { stdio: 'ignore' });
    expect(readFileSync(hashed, 'utf8')).toMatch(/^\|1\|/);
    await fetched();
    known(lineOf(ed, '', '[127.0.0.*]:*'));
    await fetched();
  });

  it('is asked for in the type that is known: a host with several keys shows that one', async () => {
    known(lineOf(rsa));
    await fetched();
    known(lineOf(rsa) + lineOf(ed, '@revoked '));
    await fetched();
  });

  it('is refused when unknown, before anyone signs in, with the fingerprint and the line to add; adding the line helps', async () => {
    const [first = '', second = ''] = known('# nothing\n', '');
    const { refusal, log } = await refused();
    expect(refusal.what).toBe(`The host key of ${name()} is not known: it showed ssh-ed25519 ${ed.fingerprint}`);
    expect(refusal.todo).toBe(
      `compare the fingerprint with what the administrator of 127.0.0.1 publishes; if it is right, add this line to ${first}: ${lineOf(ed).trim()}`,
    );
    expect(log).toMatch(/^Connection from /m);
    expect(log).not.toMatch(/publickey|userauth|authenticating|Accepted|Postponed/i);
    expect(stage.upstreams.states().filter(({ host }) => host === name()).length).toBeLessThanOrEqual(6);
    writeFileSync(first, `${refusal.todo.slice(refusal.todo.indexOf(name()))}\n`);
    expect(readFileSync(second, 'utf8')).toBe('');
    await fetched();
  });

  it('is refused loudly when another one is known, naming file and line', async () => {
    const [, file = ''] = known('', `# a comment\n${lineOf(stranger)}`);
    const { refusal, log } = await refused();
    expect(refusal.what).toBe(
      `THE HOST KEY OF ${name()} IS NOT THE KNOWN ONE: it showed ssh-ed25519 ${ed.fingerprint}, but ${file} line 2 has ssh-ed25519 ${stranger.fingerprint}; someone may be answering in its place`,
    );
    expect(refusal.todo).toBe(
      `ask the administrator of 127.0.0.1 whether the key was changed; only if it was, put this line in the place of ${file} line 2: ${lineOf(ed).trim()}`,
    );
    expect(log).not.toMatch(/publickey|userauth|authenticating|Accepted|Postponed/i);
  });

  it('is refused when revoked, also if another line knows it', async () => {
    const [, file = ''] = known(lineOf(ed), lineOf(ed, '@revoked ', '*'));
    const { refusal, log } = await refused();
    expect(refusal.what).toBe(
      `The host key of ${name()} (ssh-ed25519 ${ed.fingerprint}) is revoked by ${file} line 1, so that no connection was made`,
    );
    expect(log).not.toMatch(/publickey|userauth|authenticating|Accepted|Postponed/i);
  });

  it('must be known by itself where an authority is trusted: certificates of hosts cannot be checked', async () => {
    const authority = join(stage.rig.folder, 'authority');
    await makeKeyPair(authority, { type: 'ed25519', comment: 'authority' });
    const hostKey = join(stage.rig.folder, 'certified');
    const shown = await makeKeyPair(hostKey, { type: 'ed25519', comment: 'certified' });
    execFileSync('ssh-keygen', ['-q', '-s', authority, '-I', 'host', '-h', '-n', '127.0.0.1', `${hostKey}.pub`]);
    const sshd = await stage.server({ hostKeys: [hostKey], settings: [`HostCertificate ${hostKey}-cert.pub`] });
    const [type = '', blob = ''] = readFileSync(`${authority}.pub`, 'utf8').split(' ');
    stage.ssh = routeTo(sshd, '');
    const [file = ''] = known(`@cert-authority * ${type} ${blob}\n`);
    const { refusal } = await refused();
    expect(refusal.what).toBe(
      `The host key of [127.0.0.1]:${String(sshd.port)} is not known: it showed ssh-ed25519 ${shown.fingerprint} ` +
        `(${file} line 1 trusts certificates of this host, which cannot be checked here: it must be known by its own key)`,
    );
    expect(await sshd.keys()).toEqual([]);
    writeFileSync(file, `[127.0.0.1]:${String(sshd.port)} ${shown.type} ${shown.blob}\n`, { flag: 'a' });
    await fetched();
  });

  it.skipIf(process.getuid?.() === 0)(
    'is refused when a file of the configuration cannot be read (not as root, who may read everything)',
    async () => {
      const [file = ''] = known(lineOf(ed));
      chmodSync(file, 0);
      const { refusal } = await refused();
      expect(refusal.what).toContain(`The known_hosts file ${file} cannot be read`);
    },
  );

  it('is refused when a file of the configuration is none', async () => {
    stage.ssh = { ...stage.ssh, knownHosts: [stage.rig.folder, stage.knownHosts] };
    const { refusal, log } = await refused();
    expect(refusal.what).toMatch(new RegExp(`^The known_hosts file ${stage.rig.folder} cannot be read \\(EISDIR`));
    expect(refusal.todo).toBe('let the user of the daemon read it, or correct `knownHosts` of the route');
    expect(log).toBe('');
  });
});
