import { X509Certificate } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { authorityFile, ensureAuthority, ownCertificate } from '../../../src/store/own-certificate.js';

const NAMES = ['localhost', '127.0.0.1', '::1'];
const NOW = Date.UTC(2030, 0, 1);
const DAY_MS = 86_400_000;

let directory: string;
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), 'postern-ca-')), 'state');
});
afterEach(() => rm(join(directory, '..'), { recursive: true, force: true }));

const own = (now = NOW, names: readonly string[] = NAMES) => ownCertificate({ directory, names, now });
const file = (name: string): string => join(directory, name);
const text = (name: string): Promise<string> => readFile(file(name), 'utf8');

describe('ownCertificate()', () => {
  it('makes an authority that can sign for its names alone, and a leaf for a server', async () => {
    const { certificate, expiresAt, made } = await own();
    expect(made).toBe('authority');
    const [ca, leaf] = [new X509Certificate(await text('door-ca.pem')), new X509Certificate(certificate)];
    expect(ca.ca).toBe(true);
    expect(leaf.ca).toBe(false);
    expect(leaf.checkIssued(ca) && leaf.verify(ca.publicKey)).toBe(true);
    expect(leaf.subjectAltName?.split(', ').sort()).toEqual(['DNS:localhost', 'IP Address:0:0:0:0:0:0:0:1', 'IP Address:127.0.0.1']);
    expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(leaf.publicKey.asymmetricKeyDetails).toMatchObject({ namedCurve: 'prime256v1' });
    expect(expiresAt.getTime()).toBe(NOW + 90 * DAY_MS);
    expect(Date.parse(ca.validTo)).toBe(NOW + 3650 * DAY_MS);
  });

  it('keeps its keys to the user and its certificate open', async () => {
    await own();
    const modes = await Promise.all(
      (await readdir(directory)).sort().map(async (name) => `${name} ${((await stat(file(name))).mode & 0o777).toString(8)}`),
    );
    expect(modes).toEqual(['door-ca-key.pem 600', 'door-ca.pem 644', 'door-leaf.pem 600']);
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect(await text('door-ca.pem')).not.toContain('PRIVATE');
  });

  it('gives the same again while two thirds of its life are not over, then a new one under the same authority', async () => {
    const first = await own();
    const ca = await text('door-ca.pem');
    const sameStill = await own(NOW + 59 * DAY_MS);
    expect([sameStill.made, sameStill.certificate.trim()]).toEqual(['nothing', first.certificate.trim()]);
    const next = await own(NOW + 60 * DAY_MS);
    expect(next.made).toBe('leaf');
    expect(next.key.equals(first.key)).toBe(false);
    expect(next.expiresAt.getTime()).toBe(NOW + 150 * DAY_MS);
    expect(await text('door-ca.pem')).toBe(ca);
  });

  it('makes a new one when the clock was wrong before', async () => {
    await own();
    expect((await own(NOW - 30 * DAY_MS)).made).toBe('authority');
  });

  it('renews the certificate of the authority under the same key, so that old copies go on to be good', async () => {
    await own();
    const [key, old] = [await text('door-ca-key.pem'), new X509Certificate(await text('door-ca.pem'))];
    const next = await own(NOW + 2500 * DAY_MS);
    expect(next.made).toBe('authority');
    expect(await text('door-ca-key.pem')).toBe(key);
    expect(new X509Certificate(next.certificate).verify(old.publicKey)).toBe(true);
    expect(new X509Certificate(next.certificate).issuer).toBe(old.subject);
  });

  it('makes both again for other names, and not for the same in another order or spelling', async () => {
    await own();
    expect((await own(NOW, ['::1', '127.0.0.1', 'LOCALHOST', '0:0:0:0:0:0:0:1'])).made).toBe('nothing');
    const wider = await own(NOW, [...NAMES, 'host.containers.internal', '10.88.0.1']);
    expect(wider.made).toBe('authority');
    expect(new X509Certificate(wider.certificate).checkHost('host.containers.internal')).toBe('host.containers.internal');
    expect(new X509Certificate(wider.certificate).checkIP('10.88.0.1')).toBe('10.88.0.1');
  });

  it.each(['door-ca.pem', 'door-leaf.pem'])('makes %s again when it is gone or broken', async (name) => {
    await own();
    await unlink(file(name));
    expect((await own()).made).not.toBe('nothing');
    expect((await own()).made).toBe('nothing');
    await writeFile(file(name), '-----BEGIN CERTIFICATE-----\nbm8=\n-----END CERTIFICATE-----\n', { mode: 0o600 });
    expect((await own()).made).not.toBe('nothing');
    expect((await own()).made).toBe('nothing');
  });

  it("does not take a leaf of somebody else's authority", async () => {
    await own();
    const foreign = await text('door-leaf.pem');
    for (const name of await readdir(directory)) await unlink(file(name));
    await own();
    await writeFile(file('door-leaf.pem'), foreign);
    expect((await own()).made).toBe('leaf');
  });

  it('says what is wrong with a key that is none, and leaves it', async () => {
    await own();
    await writeFile(file('door-ca-key.pem'), 'no key');
    await expect(own()).rejects.toMatchObject({ code: 'certificate-unusable', message: expect.stringContaining(directory) as string });
    expect(await text('door-ca-key.pem')).toBe('no key');
  });

  it.each(['door-ca-key.pem', 'door-leaf.pem'])('does not use %s when others can read it', async (name) => {
    await own();
    await chmod(file(name), 0o640);
    await expect(own()).rejects.toMatchObject({
      code: 'certificate-unusable',
      message: `${file(name)} is not a file that only this user can read, so the key in it may be known to others`,
    });
  });

  it('does not use a directory that others can write to', async () => {
    await own();
    await chmod(directory, 0o770);
    await expect(own()).rejects.toMatchObject({
      code: 'certificate-unusable',
      message: `Others can write to the state directory ${directory}, so the door's keys would not be safe there`,
    });
  });

  it('makes one key and pairs that fit when several come first at once', async () => {
    const all = await Promise.all([own(), own(), own(), ensureAuthority({ directory, names: NAMES, now: NOW }).then(() => own())]);
    const ca = new X509Certificate(await text('door-ca.pem'));
    for (const { certificate } of all) expect(new X509Certificate(certificate).verify(ca.publicKey)).toBe(true);
    expect((await readdir(directory)).sort()).toEqual(['door-ca-key.pem', 'door-ca.pem', 'door-leaf.pem']);
  });
});

describe('ensureAuthority()', () => {
  it('makes the authority without a leaf, and the daemon goes on with it', async () => {
    const path = await ensureAuthority({ directory, names: NAMES, now: NOW });
    expect(path).toBe(authorityFile(directory));
    const ca = await readFile(path, 'utf8');
    expect((await readdir(directory)).sort()).toEqual(['door-ca-key.pem', 'door-ca.pem']);
    expect((await own()).made).toBe('leaf');
    expect(await readFile(path, 'utf8')).toBe(ca);
  });
});
