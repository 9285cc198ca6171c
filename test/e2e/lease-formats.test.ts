/**
 * A lease on its way out of the command line: every format from `lease create`, and a smaller one made by its holder, who has
 * neither the daemon's socket nor its configuration.
 */
import { mkdir, readFile, stat, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LEASE_FORMATS } from '../../src/cli/lease-formats.js';
import { type RunningDaemon, type Ran, run, Scene } from '../support/scene.js';

const URL = 'https://Contoso@dev.azure.com/Contoso/Payments/_git/web';
const GRANT = ['--repo', 'Contoso/Payments/web', '--allow', 'fetch,push', '--ref', 'refs/heads/agent/*', '--for', '1h'];

let scene: Scene;
let daemon: RunningDaemon;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  const state = join(scene.directory, 'state');
  const open = scene.plainConfiguration.replace('listen: { http: 127.0.0.1:0 }', "listen: { http: { address: '127.0.0.1:0', tls: auto } }");
  daemon = await scene.daemon(open, { env: { XDG_STATE_HOME: state } });
});
afterAll(() => scene.close());

function create(...flags: string[]): Promise<Ran> {
  return daemon.postern(['lease', 'create', ...GRANT, ...flags]);
}

/** What is in the environment after a shell has evaluated `script`. */
async function evaluated(script: string): Promise<Record<string, string>> {
  const env = { PATH: process.env['PATH'], HOME: scene.home };
  const print = `exec "$0" -e 'process.stdout.write(JSON.stringify(process.env))'`;
  const ran = await run('sh', ['-c', `${script}\n${print}`, process.execPath], { env });
  return JSON.parse(ran.stdout) as Record<string, string>;
}

/** Nothing but the variables and what any process has. */
function git(args: readonly string[], variables: Record<string, string>): Promise<Ran> {
  return run('git', args, { env: { PATH: process.env['PATH'], HOME: scene.home, GIT_CONFIG_NOSYSTEM: '1', ...variables } });
}

describe('lease create', () => {
  it.each(LEASE_FORMATS)('prints %s, and the lease nowhere else', async (format) => {
    const { code, stdout, stderr } = await create('--format', format);
    expect(stderr).toContain('ends it before');
    expect(code).toBe(0);
    expect(stdout).toMatch(/ptl1_[\w-]{40,}/);
    expect(stderr).not.toContain('ptl1_');
    expect(stdout.endsWith('\n') && !stdout.endsWith('\n\n')).toBe(true);
  });

  it('hands out the certificate of the door with it: the lease names where it was put, and git takes it', async () => {
    const ca = join(scene.directory, 'handed', 'ca.pem');
    await mkdir(join(ca, '..'));
    const { code, stdout, stderr } = await create('--format', 'dotenv', '--ca-output', ca, '--door', daemon.base);
    expect(code, stderr).toBe(0);
    expect(stderr).toContain(`The certificate of the door's authority is in ${ca}\n`);
    expect(stderr).not.toContain('mount it there');
    expect((await stat(ca)).mode & 0o777).toBe(0o644);
    expect(await readFile(ca, 'utf8')).toBe(await readFile((await daemon.status()).listen.certificate?.ca ?? '', 'utf8'));
    expect(stdout).toContain(`=${ca}\n`);
    // Made somewhere else than where it is used: the lease names what it was told.
    expect((await create('--format', 'dotenv', '--ca-output', ca, '--ca-path', '/run/ca.pem', '--door', daemon.base)).stdout).toContain(
      '=/run/ca.pem\n',
    );
  });

  it('writes no certificate through a link that somebody put there, and then makes no lease', async () => {
    const target = await scene.writeFile('of-somebody', 'theirs');
    const link = join(scene.directory, 'link.pem');
    await symlink(target, link);
    const before = (await daemon.postern(['lease', 'list'])).stdout;
    const { code, stderr, stdout } = await create('--format', 'dotenv', '--ca-output', link, '--door', daemon.base);
    expect(code).toBe(2);
    expect(stdout).toBe('');
    expect(stderr).toContain(`postern: The certificate cannot be written to ${link} (it is a link, a directory or a device)`);
    expect(await readFile(target, 'utf8')).toBe('theirs');
    expect((await daemon.postern(['lease', 'list'])).stdout).toBe(before);
  });

  it('says that a door without TLS has no certificate to hand out', async () => {
    const plain = await scene.daemon(undefined, { env: { XDG_STATE_HOME: join(scene.directory, 'plain-state') } });
    const { code, stderr } = await plain.postern(['lease', 'create', ...GRANT, '--ca-output', join(scene.directory, 'none.pem')]);
    expect(code).toBe(2);
    expect(stderr).toContain('postern: The door has no certificate of an authority of its own\n  what to do: leave --ca-output out');
  });

  it('makes variables with which git comes to a TLS door as the holder of the lease', async () => {
    const variables = await evaluated((await create('--format', 'env', '--label', 'shell')).stdout);
    expect(await git(['ls-remote', '--heads', URL], variables)).toMatchObject({ code: 0, stderr: '' });
    // The daemon's own user would have been let in without it.
    await daemon.logged((line) => JSON.stringify(line).includes('shell'));
    const refused = await git(['ls-remote', 'https://dev.azure.com/contoso/Payments/_git/other'], variables);
    expect(refused.stderr).toMatch(/remote: postern: The lease [0-9a-f]+ \(shell\) is not for the repository/);
  });

  it('writes a file for its owner alone', async () => {
    const file = join(scene.directory, 'lease.gitconfig');
    const { stdout, code } = await create('--format', 'gitconfig', '--output', file);
    expect({ stdout, code }).toEqual({ stdout: '', code: 0 });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readFile(file, 'utf8')).toContain('extraHeader = X-Postern-Lease: ptl1_');
    expect(await git(['ls-remote', URL], { GIT_CONFIG_GLOBAL: file })).toMatchObject({ code: 0 });
  });

  it('says what a container would not find', async () => {
    const { stderr } = await create('--format', 'dotenv');
    expect(stderr).toContain(`note: it leads to ${daemon.base}, which in a container is the container itself`);
    expect(stderr).toMatch(/note: git looks for \S+\/door-ca\.pem in the container too/);
    const named = await create('--format', 'dotenv', '--door', 'https://host.containers.internal:8417', '--ca-path', '/run/ca.pem');
    expect(named.stderr).not.toContain('note:');
    expect(named.stdout).toContain('=http.https://host.containers.internal:8417/.sslCAInfo\n');
    expect(named.stdout).toContain('=/run/ca.pem\n');
  });

  it.each([
    ['no such format', ['--format', 'toml']],
    ['an address that is none', ['--format', 'env', '--door', 'host:8417']],
    ['a path that an env-file cannot hold', ['--format', 'dotenv', '--ca-path', '/a b"c']],
  ])('makes no lease for %s', async (_, flags) => {
    const before = await daemon.postern(['lease', 'list', '--json']);
    const { code, stdout } = await create(...flags);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect((await daemon.postern(['lease', 'list', '--json'])).stdout).toBe(before.stdout);
  });
});

describe('lease narrow', () => {
  it('makes a smaller set of variables of those that are there, with no daemon and no address named', async () => {
    const variables = await evaluated((await create('--format', 'env', '--label', 'job')).stdout);
    const alone = { ...variables, XDG_RUNTIME_DIR: join(scene.directory, 'nobody'), XDG_STATE_HOME: join(scene.directory, 'nothing') };
    const narrowed = await scene.postern(['lease', 'narrow', '--allow', 'fetch', '--format', 'json'], { env: alone });
    expect(narrowed.stderr).toMatch(/^Lease [0-9a-f]{16}, a part of [0-9a-f]{16}, ends /);
    const smaller = JSON.parse(narrowed.stdout) as Record<string, string>;
    expect(smaller['POSTERN_LEASE']).not.toBe(variables['POSTERN_LEASE']);

    const work = join(scene.directory, 'work');
    const plain = URL.replace('Contoso@', '');
    expect(await git(['clone', '--quiet', plain, work], smaller)).toMatchObject({ code: 0 });
    const push = ['-C', work, 'push', 'origin', 'HEAD:refs/heads/agent/x'];
    expect((await git(push, smaller)).stderr).toMatch(/The lease [0-9a-f]{16} \(job\) allows fetch, not push/);
    expect(await git(push, variables)).toMatchObject({ code: 0 });
  });
});
