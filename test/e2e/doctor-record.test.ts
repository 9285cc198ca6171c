/**
 * `postern doctor record`: what an upstream answers, as a file that can be given away. Nothing of what was planted is in it, and an emulator that
 * plays it has doctor name the row that it named before.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { chmod, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type ExchangeRecord, readExchangeRecord } from '../../src/model/exchange-record.js';
import type { Fault } from '../azure/faults.js';
import { Replay } from '../azure/replay.js';
import { Canaries } from '../support/canary.js';
import { PROGRAM, type Ran, run } from '../support/scene.js';
import { DoctorRoad, HTTPS } from './doctor-road.js';

/** The road of the fault, and another one, whose emulator plays records. */
let there: DoctorRoad;
let here: DoctorRoad;
beforeAll(async () => {
  [there, here] = await Promise.all([DoctorRoad.open(), DoctorRoad.open()]);
}, 60_000);
afterAll(() => Promise.all([there.close(), here.close()]));

let files = 0;
/** A file that is not there. */
const fresh = (): string => join(there.scene.directory, `record-${(files += 1)}.json`);

const recordTo = (file: string, address: string, ...args: string[]): Promise<Ran> =>
  there.postern(['doctor', 'record', address, '--config', there.file, '-o', file, ...args]);

async function record(address: string): Promise<{ readonly record: ExchangeRecord; readonly text: string }> {
  const file = fresh();
  const ran = await recordTo(file, address);
  expect(ran, ran.stderr).toMatchObject({ code: 0, stderr: '' });
  const text = await readFile(file, 'utf8');
  return { record: readExchangeRecord(text), text };
}

const GIT_FAULTS: readonly (readonly [name: string, fault: Fault, row: string])[] = [
  ['a repository that is not there', { kind: 'not-found-TF401019', step: 'any' }, 'fetch-refs'],
  ['an identity that the organisation does not know', { kind: 'forbidden-TF400813', step: 'any' }, 'fetch-refs'],
  ['a sign-in page', { kind: 'html-200', step: 'any' }, 'fetch-refs'],
  ['a throttle', { kind: 'throttled-429', step: 'any', retryAfterSeconds: 120 }, 'fetch-refs'],
  ['an answer that breaks off', { kind: 'die-midbody', step: 'any' }, 'fetch-refs'],
  ['an answer without an end', { kind: 'not-framed', step: 'any' }, 'fetch-refs'],
  ['no right to push', { kind: 'no-push-TF401027', step: 'any' }, 'push-refs'],
];

describe('what was recorded is played, and doctor names the same row', () => {
  it.each(GIT_FAULTS)('%s', async (name, fault, row) => {
    const organisation = `org-${GIT_FAULTS.findIndex(([other]) => other === name)}`;
    const { faults } = there.scene.emulator.git;
    await there.scene.emulator.createRepository(`${organisation}/Payments/web`);
    faults.set('*', fault);
    const { record: made } = await record(`https://dev.azure.com/${organisation}/Payments/_git/web`);
    faults.clear();
    expect(made.rows.find(({ verdict }) => verdict === 'failed')?.id).toBe(row);
    here.scene.emulator.git.replay = new Replay(made);
    // Of another name: it is not in the record.
    const { first } = await here.doctor(`https://dev.azure.com/other-${organisation}/Else/_git/where`);
    expect(first?.id).toBe(row);
    const before = made.rows.find(({ id }) => id === row);
    expect(first !== undefined && 'code' in first ? first.code : undefined).toBe(before?.code);
  });

  it('LFS that is refused', async () => {
    const { faults } = there.scene.emulator.lfs;
    faults.set('*', { at: 'batch', kind: 'status', status: 403, message: 'TF401027: no' });
    const { record: made } = await record(HTTPS);
    faults.clear();
    here.scene.emulator.git.replay = new Replay(made);
    const { first } = await here.doctor('https://dev.azure.com/else/P/_git/lfs');
    expect(first).toMatchObject({ id: 'lfs-download', code: 'upstream-forbidden' });
    expect(first?.text).toContain('TF401027');
  });

  it('a REST API that is refused', async () => {
    const { rest } = there.scene.emulator.git;
    rest.setFault('*', { kind: 'forbidden' });
    const { record: made } = await record(HTTPS);
    rest.clearFaults();
    here.scene.emulator.git.replay = new Replay(made);
    expect((await here.doctor('https://dev.azure.com/else/P/_git/rest')).first).toMatchObject({ id: 'rest', code: 'upstream-forbidden' });
  });

  it('a healthy road, by the program that people have: a clone works', async () => {
    const { text, record: made } = await record(HTTPS);
    expect(made.rows.filter(({ verdict }) => verdict === 'failed')).toEqual([]);
    expect(made.exchanges.map(({ step }) => step)).toEqual([
      ...['anonymous', 'fetch-refs-v2', 'fetch-refs-v0', 'upload-pack', 'push-refs', 'lfs-download', 'lfs-upload', 'lfs-locks'],
      'rest-repository',
    ]);
    here.scene.emulator.git.replay = new Replay(made);
    await here.expectGreen('https://dev.azure.com/else/P/_git/well');
    const clone = await here.scene.git(['clone', '-q', 'https://dev.azure.com/else/P/_git/well', join(here.scene.home, 'well')]);
    expect(clone, clone.stderr).toMatchObject({ code: 0 });
    await playedByTheProgram(text);
  });
});

/** `npm run emulator -- --replay FILE`: starts, says so, and ends. */
async function playedByTheProgram(text: string): Promise<void> {
  const file = await there.scene.writeFile('given.json', text.replace('"status": 200', '"status": 404'));
  const program = join(PROGRAM, '..', '..', 'build', 'emulator.mjs');
  const child = spawn(process.execPath, [program, '--replay', file, '--directory', join(there.scene.directory, 'played')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: there.scene.environment,
  });
  try {
    const output = await printed(child, 'Git hosts');
    expect(output).toContain(`Replay            ${file}`);
  } finally {
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('close', resolve));
  }
  const damaged = await there.scene.writeFile('damaged.json', '{"format":"postern-exchange","version":99}');
  const refused = await run(process.execPath, [program, '--replay', damaged], { env: there.scene.environment });
  expect(refused).toMatchObject({ code: 1, stderr: 'Version 99 of the record is not known here\n' });
}

function printed(child: ChildProcess, wanted: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
      if (output.includes(wanted) && output.includes('identities:')) resolve(output);
    });
    child.once('close', () => reject(new Error(`the emulator ended: ${output}`)));
  });
}

describe('the file', () => {
  it('holds nothing that was planted', async () => {
    const { scene } = there;
    const names = ['kanarienorg', 'Kanarienprojekt', 'kanarienrepo'] as const;
    const bare = await scene.emulator.createRepository(names.join('/'));
    const seed = join(scene.home, 'seed');
    const git = async (...args: string[]): Promise<void> => {
      const ran = await scene.git(args, { cwd: scene.home });
      expect(ran.code, ran.stderr).toBe(0);
    };
    await git('clone', '-q', bare, seed);
    await writeFile(join(seed, 'kanarienfile.txt'), 'kanariencontent\n');
    await git('-C', seed, 'add', '.');
    await git('-C', seed, '-c', 'user.email=kanarienmail@example.com', 'commit', '-qm', 'kanarienmessage');
    await git('-C', seed, 'push', '-q', 'origin', 'HEAD:refs/heads/kanarienbranch', 'HEAD:refs/tags/kanarientag');
    const address = `https://dev.azure.com/${names[0]}/${names[1]}/_git/${names[2]}`;
    const canaries = new Canaries();
    canaries.add('client secret', scene.emulator.sts.samples.secretClient.secret);
    canaries.add('tenant', scene.emulator.sts.samples.tenant);
    canaries.add('client id', scene.emulator.sts.samples.secretClient.clientId);
    const texts = [(await record(address)).text];
    // One that says back what it was sent, one that names what is missing, one that says who asked, and one that sends elsewhere.
    const { rest } = scene.emulator.git;
    for (const [git, api] of [
      ['echo-authorization', 'echo-authorization'],
      ['not-found-TF401019', 'forbidden'],
      ['forbidden-TF400813', 'not-json'],
      ['signin-302', 'redirect'],
      ['cae-challenge', 'not-found'],
    ] as const) {
      scene.emulator.git.faults.set('*', { kind: git, step: 'any' });
      rest.setFault('*', { kind: api, location: 'https://kanarienhost.example.com/kanarienpath' });
      texts.push((await record(address)).text);
      scene.emulator.git.faults.clear();
      rest.clearFaults();
    }
    for (const [index, token] of scene.emulator.sts.tokens().entries()) canaries.add(`token ${index}`, token);
    for (const text of texts) {
      expect(canaries.in(text)).toEqual([]);
      // Too short to be looked for in every form.
      for (const word of ['kanarien', 'contoso', 'fabrikam', '127.0.0.1', `:${scene.emulator.git.port}`, 'refs/'])
        expect(text.toLowerCase()).not.toContain(word.toLowerCase());
      expect(text).not.toMatch(/\bHEAD\b/);
      expect(text).not.toContain(scene.directory);
    }
    expect(texts.join('')).not.toMatch(/\b[0-9a-f]{40}\b|eyJ|@example/);
    expect(texts[0]).toContain('https://<host>:<port>/<name-1>/<name-2>/_git/<name-3>/info/refs?service=git-upload-pack');
  });

  it('holds no password of an identity that has one', async () => {
    const pat = 'kanarienpataccesstokenforreposonlocalhost23456724567';
    there.scene.emulator.git.pats.add(pat);
    const secret = await there.scene.writeFile('pat', pat);
    await chmod(secret, 0o600);
    await there.reconfigure(
      there.healthy
        .replace(/ {2}sp: .*/, `$&\n  pat: { kind: pat, secret: { file: ${secret} } }`)
        .replaceAll('identity: sp', 'identity: pat'),
    );
    const { text, record: made } = await record(HTTPS);
    expect(made.credential).toMatchObject({ outcome: 'made', kind: 'basic' });
    expect(made.exchanges[1]?.request.headers).toContain('authorization: <Basic>');
    for (const word of [pat, Buffer.from(`:${pat}`).toString('base64'), Buffer.from(pat).toString('base64').slice(0, 40)])
      expect(text).not.toContain(word);
    await there.reconfigure(there.healthy);
  });

  it('tells a credential that was not had by its codes', async () => {
    await there.reconfigure(there.healthy.replace(/clientId: [^,]+/, 'clientId: 11111111-2222-4333-8444-555555555555'));
    const { record: made, text } = await record(HTTPS);
    expect(made.credential).toMatchObject({ outcome: 'failed', code: 'identity-rejected', codes: ['AADSTS700016'] });
    expect(made).toMatchObject({ exchanges: [], endedBy: 'no-credential' });
    expect(text).not.toContain('11111111');
    await there.reconfigure(there.healthy);
  });

  it('is for its owner alone, told of before, and never put over another one', async () => {
    const file = fresh();
    const dry = await recordTo(file, HTTPS, '--dry-run');
    expect(dry.code).toBe(0);
    expect(dry.stdout).toMatch(/^ {2}fetch-refs-v2 +GET +200 packets +\d+ ms$/m);
    expect(dry.stdout).toContain('First failing row of doctor: none');
    expect(dry.stdout).toContain(`Would write ${file}: `);
    await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
    const made = await recordTo(file, HTTPS);
    expect(made.stdout).toContain(`Wrote ${file} (`);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const before = await readFile(file);
    const again = await recordTo(file, HTTPS);
    expect(again.code).toBe(2);
    expect(again.stderr).toContain(`${file} is there already`);
    expect(await readFile(file)).toEqual(before);
    expect((await recordTo(file, HTTPS, '--force', '--dry-run')).code).toBe(0);
    // A link is not gone through.
    const target = await there.scene.writeFile('target', 'mine\n');
    const link = join(there.scene.directory, 'link.json');
    await symlink(target, link);
    expect((await recordTo(link, HTTPS, '--force')).code).toBe(2);
    expect(await readFile(target, 'utf8')).toBe('mine\n');
    await writeFile(file, 'earlier\n', { mode: 0o644 });
    expect((await recordTo(file, HTTPS, '--force')).code).toBe(0);
    expect(await readFile(file, 'utf8')).toMatch(/^\{/);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('is of the remote `origin` when no address is given', async () => {
    const work = await there.workTree(HTTPS);
    const ran = await there.postern(['doctor', 'record', '--config', there.file], { cwd: work });
    expect(ran, ran.stderr).toMatchObject({ code: 0 });
    expect(ran.stdout).toMatch(/Wrote \S+\/postern-record-\d{4}-\d{2}-\d{2}\.json/);
    const nowhere = await there.postern(['doctor', 'record', '--config', there.file], { cwd: there.scene.directory });
    expect(nowhere.code).toBe(2);
    expect(nowhere.stderr).toContain('no remote `origin` is here');
  });
});
