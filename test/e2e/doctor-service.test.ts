/**
 * `postern doctor` about Postern as a service, in a booted systemd with a real service manager of the user: what is not installed, not
 * open, failed, or about to end with the session. One play; it needs root, which alone can boot a systemd.
 */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faultsOf, remedyOf, type Report, rowOf } from '../support/doctor-stage.js';
import { SystemdStage } from '../support/systemd-stage.js';

const IS_ROOT = process.getuid?.() === 0;
/** Half a minute for the root where it is not there yet, and a slow mirror. */
const STAGE_MS = 300_000;
const DROP_IN = '/home/dev/.config/systemd/user/postern.service.d/fault.conf';

describe.skipIf(!IS_ROOT)(`doctor beside systemd${IS_ROOT ? '' : ': skipped, only root boots a systemd'}`, () => {
  let stage: SystemdStage;
  beforeAll(async () => {
    stage = await SystemdStage.boot('bookworm');
  }, STAGE_MS);
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- because booting may have failed
  afterAll(() => stage?.close());

  async function doctor(...words: readonly string[]): Promise<Report> {
    const ran = await stage.run('dev', 'postern', ['doctor', '--json', ...words], { env: { GIT_TERMINAL_PROMPT: '0' } });
    if (!ran.stdout.startsWith('{')) throw new Error(`doctor ended with ${ran.code}: ${ran.stderr}`);
    return JSON.parse(ran.stdout) as Report;
  }

  /** Runs a remedy as the user, in a shell. */
  const follow = (todo: string): Promise<string> => stage.must('dev', 'sh', ['-c', todo]);

  it('says that no service is installed, and that nothing runs', async () => {
    await stage.must('dev', 'postern', ['setup', '--org', 'contoso']);
    const report = await doctor();
    expect(rowOf(report, 'service')).toMatchObject({ verdict: 'ok', text: expect.stringContaining('not installed') as string });
    expect(report).toMatchObject({ exitCode: 5, firstFailed: { id: 'daemon' } });
    expect(remedyOf(report)).toContain('or for good with `postern service install --start`');
  });

  it('is green when it is installed; asking the door starts it, as git would', async () => {
    await follow('postern service install --start && postern wait');
    expect(faultsOf(await doctor())).toEqual([]);
    await stage.systemctl('dev', 'stop', 'postern.service');
    const report = await doctor();
    expect(faultsOf(report)).toEqual([]);
    expect(rowOf(report, 'daemon').text).toMatch(/^runs since /);
  });

  it('service-socket: the doors are not open', async () => {
    await stage.systemctl('dev', 'stop', 'postern.socket', 'postern.service');
    const report = await doctor();
    expect(report).toMatchObject({ exitCode: 5, firstFailed: { id: 'service-socket' } });
    expect(remedyOf(report)).toBe('systemctl --user enable --now postern.socket');
    await follow(remedyOf(report));
    expect(faultsOf(await doctor())).toEqual([]);
  });

  it('service-socket: --fix opens them', async () => {
    await stage.systemctl('dev', 'stop', 'postern.socket', 'postern.service');
    const fixed = await doctor('--fix', '--yes');
    expect(fixed.mended?.map(({ outcome, commands }) => [outcome, ...commands])).toContainEqual([
      'done',
      'systemctl --user enable --now postern.socket',
    ]);
    expect(faultsOf(fixed)).toEqual([]);
  });

  it('service: a unit that failed is told with what it said last', async () => {
    const outside = stage.path(DROP_IN);
    await mkdir(join(outside, '..'), { recursive: true });
    await writeFile(outside, '[Service]\nEnvironment=POSTERN_DRAIN_MAX=soon\nRestart=no\n');
    await stage.systemctl('dev', 'daemon-reload');
    expect((await stage.run('dev', 'systemctl', ['--user', 'restart', 'postern.service'])).code).not.toBe(0);
    const report = await doctor();
    expect(report).toMatchObject({ exitCode: 5, firstFailed: { id: 'service' } });
    const row = rowOf(report, 'service');
    expect(row.text).toBe('postern.service is failed (failed): exit-code');
    expect(row.details?.join('\n')).toContain('POSTERN_DRAIN_MAX');
    expect(remedyOf(report)).toMatch(
      /^mend what its log says \(`journalctl --user -u postern\.service`\), then `systemctl --user restart postern\.service`$/,
    );
    await rm(outside);
    await follow(
      'systemctl --user daemon-reload && systemctl --user reset-failed && systemctl --user restart postern.socket postern.service',
    );
    expect(faultsOf(await doctor())).toEqual([]);
  });

  it('lingering: a service that would end with the session is a warning, and the road is green', async () => {
    await rm(stage.path('/var/lib/systemd/linger/dev'));
    const report = await doctor();
    expect(report.exitCode).toBe(0);
    expect(faultsOf(report)).toEqual(['lingering: warning off: the service ends when you log out']);
    expect(rowOf(report, 'lingering')).toMatchObject({ todo: 'loginctl enable-linger', fix: 'lingering' });
    await stage.must('root', 'loginctl', ['enable-linger', 'dev']);
    expect(faultsOf(await doctor())).toEqual([]);
  });
});
