/**
 * The door with TLS and the real git, with nothing but `postern setup`. The attack: another user of the machine takes the door's
 * port while the daemon is down, to collect leases and to serve forged code. Invariant: it gets no lease, and git accepts no byte.
 */
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeAuthority, makeKey, makeLeaf } from '../../src/store/door-authority.js';
import { makeCertificates } from '../azure/certificates.js';
import { FORGED_REF, type Seen } from '../support/impostor-record.js';
import { type RunningDaemon, Scene } from '../support/scene.js';

const URL_OF_WEB = 'https://dev.azure.com/contoso/Payments/_git/web';
/** As long as a real one, and found in nothing else. */
const LEASE = 'pl1.QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3ODk';
/** Of a user who is nobody else here; 65534 would be the kernel's overflow uid. */
const OTHER_UID = 12_346;
const isRoot = process.getuid?.() === 0;

let scene: Scene;
let daemon: RunningDaemon;
let file: string;
let ca: string;
let directory: string;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web', { commits: 3 });
  daemon = await scene.daemon(scene.plainConfiguration.replace('127.0.0.1:0', '{ address: 127.0.0.1:0, tls: auto }'));
  file = (await daemon.status()).configuration ?? '';
  ca = join(scene.home, '.local', 'state', 'postern', 'door-ca.pem');
  directory = await mkdtemp(join(tmpdir(), 'postern-impostor-'));
  await chmod(directory, 0o755);
  await build({
    entryPoints: [join(import.meta.dirname, '..', 'support', 'impostor.ts')],
    outfile: join(directory, 'impostor.mjs'),
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'error',
  });
});
afterAll(async () => {
  await scene.close();
  await rm(directory, { recursive: true, force: true });
});

describe('with nothing but setup', () => {
  const before = '[user]\n\tname = Ada\n[http]\n\tsslVerify = false\n';

  test('git clones and pushes over TLS, and undo leaves its configuration as it was', async () => {
    await writeFile(join(scene.home, '.gitconfig'), before);
    const done = await daemon.postern(['setup', '--config', file, '--org', 'contoso']);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(done.stdout).not.toContain('warning');
    expect(await readFile(join(scene.home, '.config', 'postern', 'gitconfig'), 'utf8')).toContain(
      `[http "${daemon.base}/"]\n\tproxy =\n# Its certificate is checked, whatever http.sslVerify says for others: what else holds the port is not believed.\n\tsslCAInfo = ${ca}\n\tsslVerify = true\n`,
    );

    const work = join(scene.directory, 'work');
    expect(await scene.git(['clone', '-q', URL_OF_WEB, work])).toMatchObject({ code: 0, stderr: '' });
    await writeFile(join(work, 'note.txt'), 'over TLS\n');
    await scene.git(['add', '.'], { cwd: work });
    await scene.git(['commit', '-qm', 'note'], { cwd: work });
    const pushed = await scene.git(['push'], { cwd: work });
    expect(pushed.stderr).toContain('main -> main');
    expect(pushed.code).toBe(0);

    expect(await daemon.postern(['setup', '--undo'])).toMatchObject({ code: 0, stderr: '' });
    expect(await readFile(join(scene.home, '.gitconfig'), 'utf8')).toBe(before);
  });

  test('the environment of `env` does the same', async () => {
    const { stdout } = await daemon.postern(['env', '--config', file, '--format', 'json', '--org', 'contoso']);
    const env = JSON.parse(stdout) as Record<string, string>;
    const listed = await scene.git(['ls-remote', URL_OF_WEB], { env });
    expect(listed).toMatchObject({ code: 0, stderr: '' });
    expect(listed.stdout).toContain('refs/heads/main');
  });

  test('status says where the door is and whom to trust', async () => {
    const { stdout } = await daemon.postern(['status']);
    expect(stdout).toContain(`  http door      ${daemon.base}\n`);
    expect(daemon.base).toMatch(/^https:\/\/127\.0\.0\.1:[0-9]+$/);
    const { expiresAt } = (await daemon.status()).listen.certificate ?? {};
    expect(stdout).toContain(`  certificate    good until ${expiresAt}; clients trust ${ca}\n`);
    expect(new X509Certificate(await readFile(ca)).ca).toBe(true);
  });

  test('a git that trusts another authority refuses the door', async () => {
    const other = join(directory, 'other-ca.pem');
    await writeFile(other, (await makeCertificates()).ca);
    const refused = await scene.git([
      '-c',
      `http.${daemon.base}/.sslCAInfo=${other}`,
      '-c',
      'http.sslVerify=true',
      'ls-remote',
      daemon.url('dev.azure.com/contoso/Payments/_git/web'),
    ]);
    expect(refused.code).toBe(128);
    expect(refused.stderr).toContain('server certificate verification failed');
  });

  test('git at the plain address is told to use https', async () => {
    const told = await scene.git(['ls-remote', daemon.url('dev.azure.com/contoso/Payments/_git/web').replace('https:', 'http:')]);
    expect(told.code).toBe(128);
    expect(told.stderr).toContain('remote: postern: This port speaks TLS, and the request came without');
    expect(told.stderr).toContain(`remote:   what to do: use ${daemon.base} as the address`);
  });

  test('setup warns of the variables with which git goes by something else', async () => {
    const env = { GIT_SSL_NO_VERIFY: '1', GIT_SSL_CAINFO: '/etc/ssl/certs/ca-certificates.crt' };
    const { stdout } = await daemon.postern(['setup', '--config', file, '--dry-run'], { env });
    expect(stdout).toContain("warning: GIT_SSL_NO_VERIFY is set, and beats the configuration: git does not check the door's certificate");
    expect(stdout).toContain('warning: GIT_SSL_CAINFO is set, and beats the configuration: git trusts the authorities in that file');
  });
});

describe(`another ${isRoot ? 'uid' : 'program (another uid only as root)'} that holds the port while the daemon is down`, () => {
  let port: string;

  beforeAll(async () => {
    await writeFile(join(scene.home, '.gitconfig'), '[http]\n\tsslVerify = false\n');
    expect((await daemon.postern(['setup', '--config', file, '--org', 'contoso'])).code).toBe(0);
    port = new URL(daemon.base).port;
    expect(await daemon.stop()).toBe(0);
  });

  /** What the impostor saw while the user's git, with its lease, tried to list and to clone. */
  async function meet(
    pem: string | undefined,
    base = daemon.base,
  ): Promise<{ seen: Seen; stdout: string; stderr: string; codes: number[] }> {
    const args = [join(directory, 'impostor.mjs'), port, ...(pem === undefined ? [] : [pem])];
    const as = isRoot
      ? ['setpriv', `--reuid=${OTHER_UID}`, `--regid=${OTHER_UID}`, '--clear-groups', process.execPath]
      : [process.execPath];
    const [program = '', ...rest] = [...as, ...args];
    const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'inherit'], env: {} });
    let output = '';
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
    await new Promise<void>((resolve, reject) => {
      child.once('close', () => reject(new Error(`the impostor did not start: ${output}`)));
      child.stdout.on('data', (chunk: Buffer) => {
        output += chunk.toString('utf8');
        if (output.startsWith('ready\n')) resolve();
      });
    });
    const lease = ['-c', `http.${base}/.extraHeader=X-Postern-Lease: ${LEASE}`];
    const url = base === daemon.base ? URL_OF_WEB : `${base}/dev.azure.com/contoso/Payments/_git/web`;
    const listed = await scene.git([...lease, 'ls-remote', url]);
    const cloned = await scene.git([...lease, 'clone', '-q', url, join(scene.directory, 'forged')]);
    child.kill('SIGTERM');
    await ended;
    const seen = JSON.parse(output.split('\n')[1] ?? '') as Seen;
    expect(seen.uid).toBe(isRoot ? OTHER_UID : process.getuid?.());
    expect(seen.connections).toBe(2);
    return { seen, stdout: listed.stdout + cloned.stdout, stderr: listed.stderr + cloned.stderr, codes: [listed.code, cloned.code] };
  }

  async function pemFile(pair: { key: string; certificate: string }): Promise<string> {
    const path = join(directory, 'impostor.pem');
    await writeFile(path, `${pair.key}${pair.certificate}`);
    await chmod(path, 0o644);
    return path;
  }

  test('control: without TLS it gets the lease, and git believes it', async () => {
    const { seen, stdout } = await meet(undefined, daemon.base.replace('https:', 'http:'));
    expect(seen.requests.join()).toContain(LEASE);
    expect(seen.wire).toContain(LEASE);
    expect(stdout).toContain(FORGED_REF);
  });

  /** Certificates that it can make for itself. */
  const disguises: readonly (readonly [string, () => Promise<string | undefined>, string])[] = [
    ['no TLS at all', () => Promise.resolve(undefined), ''],
    [
      'a certificate that it signed for the right address',
      async () => {
        const { good } = await makeCertificates();
        return pemFile({ key: good.key, certificate: good.cert });
      },
      'server certificate verification failed',
    ],
    [
      'one of an authority with the name of ours',
      async () => {
        const [now, key] = [Date.now(), await makeKey()];
        const validity = { from: now - 86_400_000, to: now + 86_400_000 };
        const ours = await readFile(ca, 'utf8');
        expect(new X509Certificate(await makeAuthority(key, ['127.0.0.1'], validity)).subject).not.toBe(new X509Certificate(ours).subject);
        // The issuer's name is taken from the certificate, the signature is of another key.
        return pemFile(await makeLeaf({ key, certificate: ours }, ['127.0.0.1'], validity));
      },
      'server certificate verification failed',
    ],
  ];
  test.each(disguises)('with %s: no lease comes to it, and git accepts no byte', async (_, disguise, text) => {
    const { seen, stdout, stderr, codes } = await meet(await disguise());
    expect(codes).toEqual([128, 128]);
    expect(stdout).toBe('');
    expect(stderr).toContain(text);
    expect(stderr).toContain(`unable to access '${daemon.base}/`);
    expect(seen.requests).toEqual([]);
    // The handshake did come, so there was something to see.
    expect(seen.wire.length).toBeGreaterThan(100);
    expect(seen.wire).not.toContain(LEASE);
    expect(seen.wire).not.toContain(LEASE.slice(4, 20));
    await expect(readFile(join(scene.directory, 'forged', '.git', 'HEAD'))).rejects.toThrow('ENOENT');
  });
});
