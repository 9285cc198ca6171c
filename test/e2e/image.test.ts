/**
 * The image, built by the Dockerfile and run in podman as config/compose/compose.yaml says: read-only, without capabilities, as a
 * user that the image does not know, beside a job that holds nothing but a lease. image-stage.ts plays; everything is real but
 * Azure. As root only, because podman's storage and the networks are the stage's own.
 *
 * The attacker is the job: it looks for a credential wherever a container can look, and asks for what its lease is not for.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { outerSpaceFault, outerSpaceFlags } from '../support/inner-space.js';
import { podmanFault } from '../support/image-space.js';
import { run } from '../support/scene.js';
import type { ImageReport, Shown } from './image-stage.js';

const STAGE = join(process.cwd(), 'build', 'image-stage.mjs');
/** The whole play takes 20 s on two idle cores. */
const STAGE_MS = 240_000;
/** What Postern may add to its base image: it was 3.0 MB, and a second copy of anything would show. */
const LARGEST_ADDED_BYTES = 6_000_000;
const isRoot = process.getuid?.() === 0;

async function playStage(): Promise<ImageReport> {
  const fault = (await podmanFault()) ?? (await outerSpaceFault());
  if (fault !== undefined) throw new Error(fault);
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: process.env['TMPDIR'] };
  // Its processes are a world of their own, which ends with the stage, however that ends; unshare itself hears no SIGTERM.
  const limited = [
    '--signal=KILL',
    String(STAGE_MS / 1000),
    'unshare',
    ...outerSpaceFlags(),
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
  ];
  const ran = await run('timeout', [...limited, process.execPath, STAGE], { env, timeoutMs: STAGE_MS + 5_000 });
  if (ran.code !== 0) throw new Error(`the stage ended with ${ran.code}:\n${ran.stderr}`);
  return JSON.parse(ran.stdout) as ImageReport; // written by the stage
}

describe.runIf(isRoot)('the image (tried by root alone: its networks and podman’s storage are laid for it)', () => {
  let played: ImageReport | Error = new Error('the stage was not played');
  beforeAll(async () => {
    // A stage that cannot be played fails each test, rather than skip them all.
    played = await playStage().catch((fault: unknown) => (fault instanceof Error ? fault : new Error(String(fault))));
  }, STAGE_MS + 10_000);

  const report = (): ImageReport => {
    if (played instanceof Error) throw played;
    return played;
  };
  const step = (name: string): Shown => {
    const shown = report().steps[name];
    if (shown === undefined) throw new Error(`the stage has no step ${name}: ${Object.keys(report().steps).join(', ')}`);
    return shown;
  };
  const events = (name: string): string[] =>
    (step(name).stdout + step(name).stderr)
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => (JSON.parse(line) as { event: string }).event); // a line of the log is one object

  describe('says of itself', () => {
    it('that it runs as a user with a number, needs no shell, and ends by SIGTERM', () => {
      expect(report().image.config).toMatchObject({
        User: '65532:65532',
        Entrypoint: ['node', '/app/dist/postern.js'],
        Cmd: ['start'],
        StopSignal: 'SIGTERM',
        Volumes: { '/var/lib/postern': {} },
      });
      const { Test: health } = report().image.health as { Test: string[] }; // as podman writes it
      expect(health).toEqual(['CMD', 'node', '/app/dist/postern.js', 'wait', '--timeout', '2s']);
      // The compose file's is the same.
      expect(JSON.parse(step('health').stdout)).toMatchObject({ Test: health });
    });

    it('nothing in its environment but what it sets', () => {
      const names = (report().image.config['Env'] as string[]).map((pair) => pair.replace(/=.*/, '')); // as podman writes it
      expect(names.sort()).toEqual(['NODE_ENV', 'PATH', 'POSTERN_STATE_DIRECTORY', 'XDG_CONFIG_HOME']);
    });

    it('that it is small beside its base', () => {
      const { bytes, baseBytes } = report().image;
      expect(bytes - baseBytes).toBeGreaterThan(1_000_000);
      expect(bytes - baseBytes).toBeLessThan(LARGEST_ADDED_BYTES);
    });
  });

  describe('read-only, without capabilities, as any user', () => {
    it('starts and is healthy without a volume that somebody named, and can write there alone', () => {
      expect(step('alone: health')).toMatchObject({ code: 0, stderr: '' });
      expect(step('alone: status')).toMatchObject({ code: 0, stdout: expect.stringContaining('is ready (pid 1,') as string });
      const writable = {
        '/': 'EROFS',
        '/app': 'EROFS',
        '/tmp': 'EROFS',
        '/etc/postern': 'EROFS',
        '/leases': 'EROFS',
        '/var/lib/postern': 'written',
      };
      expect(JSON.parse(step('alone: write').stdout)).toEqual(writable);
      expect(JSON.parse(step('postern: write').stdout)).toEqual(writable);
    });

    it('has no right that it was not given, and a state directory of its own', () => {
      expect(JSON.parse(step('node is the first process').stdout)).toEqual({
        command: ['node', '/app/dist/postern.js', 'start'],
        uid: '12345',
        capabilities: '0000000000000000',
        bounding: '0000000000000000',
        noNewPrivileges: '1',
        state: '700',
      });
    });

    it('says what to mount when there is no place that can be written', () => {
      expect(step('no place').code).toBe(1);
      expect(step('no place').stderr).toContain(
        'postern: The directory /var/lib/postern/state for the admin socket cannot be made: its file system is read-only\n' +
          '  what to do: mount something that can be written at /var/lib/postern, such as a volume or a tmpfs, or set POSTERN_STATE_DIRECTORY',
      );
    });

    it('is not healthy where no daemon answers', () => {
      expect(step('no daemon')).toMatchObject({ code: 1, stderr: expect.stringContaining('No postern is running after 1s') as string });
    });
  });

  describe('gives a job', () => {
    it('a lease and a certificate, in files that it can read and not change', () => {
      expect(step('lease')).toMatchObject({ code: 0, stdout: '' });
      expect(step('modes').stdout).toBe('1777 0 /leases\n600 12345 /leases/gitconfig\n644 12345 /leases/ca.pem\n');
      expect(step('change the lease').stderr).toContain('Read-only file system');
    });

    it('a clone by the command of the compose file, in every form of the address', () => {
      expect(step('the compose file’s own command')).toMatchObject({ code: 0 });
      expect(step('SSH form').stdout).toMatch(/^[0-9a-f]{40}\trefs\/heads\/agent\/x\n[0-9a-f]{40}\trefs\/heads\/main\n$/);
    });

    it('a push to the refs of its lease', () => {
      expect(step('push agent/x').stderr).toContain('[new branch]      HEAD -> agent/x');
      expect(report().refs).toEqual(['refs/heads/agent/x', 'refs/heads/main']);
    });
  });

  describe('refuses a job', () => {
    it('a push to main', () => {
      expect(step('push main').code).toBe(1);
      expect(step('push main').stderr).toMatch(
        /! \[remote rejected\] HEAD -> main \(postern: the lease [0-9a-f]{16} \(compose\) allows only refs\/heads\/agent\/\*\)/,
      );
    });

    it('another repository', () => {
      expect(step('another repository').code).toBe(128);
      expect(step('another repository').stderr).toMatch(
        /remote: postern: The lease [0-9a-f]{16} \(compose\) is not for the repository dev\.azure\.com\/contoso\/Payments\/secret\n/,
      );
    });

    it('everything without its lease, and it has no other way', () => {
      expect(step('the door without the lease').stdout).toMatch(
        /^postern: This door needs a lease, and none came with the request\n[^]*\n401$/,
      );
      expect(step('without the lease').stderr).toContain('Failed to connect to dev.azure.com port 443');
    });
  });

  describe('leaves', () => {
    it('no credential in the file system, environment, arguments, log or description of either container', () => {
      const { finds, known, searched } = report();
      expect(finds).toEqual([]);
      // That there was something to look for, and something to look through.
      expect(known.secrets).toBeGreaterThan(10);
      expect(known.own).toBeGreaterThan(10);
      for (const place of ['inspect postern', 'inspect job', 'logs postern', 'processes of postern', 'processes of job', 'files of job'])
        expect(searched[place], place).toBeGreaterThan(500);
      expect(searched['export postern']).toBeGreaterThan(1_000_000);
      expect(Object.keys(searched).filter((place) => place.startsWith('state '))).toContain('state /state/lease-keys');
    });

    it('the lease nowhere but in the job’s file', () => {
      expect(report().known.leases).toBeGreaterThan(0);
      expect(report().leases).toEqual(['files of job: lease']);
    });
  });

  describe('as the first process', () => {
    it('lets a running clone finish after SIGTERM, and ends with 0', () => {
      expect(step('drained: clone')).toMatchObject({ code: 0 });
      expect(step('drained: exit code').stdout).toBe('0\n');
      expect(events('drained: log')).not.toContain('transfer-cut');
    });

    it('starts again with the state that it left', () => {
      expect(step('started again: fetch')).toMatchObject({ code: 0 });
    });

    it('starts again after it was killed, though the process that it left traces of had its number', () => {
      expect(step('killed: exit code').stdout).toBe('137\n');
      expect(step('started after a kill: fetch')).toMatchObject({ code: 0 });
      expect(events('started after a kill: log').filter((event) => event.startsWith('audit'))).toEqual([]);
    });

    it('ends with 143 when it had to cut one', () => {
      expect(step('cut: clone').code).toBe(128);
      expect(step('cut: exit code').stdout).toBe('143\n');
      expect(events('cut: log')).toContain('transfer-cut');
    });

    it('ends by SIGTERM also in a command that waits', () => {
      expect(step('waiting: state').stdout).toBe('exited 143');
    });

    it('has an SSH door that clients understand', () => {
      expect(step('the SSH door').stdout).toMatch(/\[postern\]:8422 ssh-ed25519 [A-Za-z0-9+/=]{60,}/);
    });
  });
});

it('.dockerignore keeps everything out of a build but what the Dockerfile copies', async () => {
  const [ignored, recipe] = await Promise.all([readFile('.dockerignore', 'utf8'), readFile('Dockerfile', 'utf8')]);
  const lines = ignored.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const copied = [...recipe.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names = '']) => names.split(' '));
  expect(lines[0]).toBe('*');
  expect(
    lines
      .slice(1)
      .map((line) => line.replace(/^!/, ''))
      .sort(),
  ).toEqual(copied.sort());
});
