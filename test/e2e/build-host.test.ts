/**
 * Promise: what README.md and docs/CI.md say of a build host works as it stands, on a Debian that has booted: the program is installed for all
 * users, the system service runs with the recipe's configuration, and a job of another user gets in with the recipe's lease, and not without.
 */
import { chmod, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SystemdStage } from '../support/systemd-stage.js';

const IS_ROOT = process.getuid?.() === 0;
const STAGE_MS = 300_000;
const WEB = 'https://dev.azure.com/contoso/Payments/_git/web';

let stage: SystemdStage;

async function put(path: string, text: string, mode = 0o644): Promise<void> {
  const outside = stage.path(path);
  await mkdir(dirname(outside), { recursive: true });
  await writeFile(outside, text);
  await chmod(outside, mode);
}

describe.runIf(IS_ROOT)('a build host', () => {
  beforeAll(async () => {
    stage = await SystemdStage.boot('bookworm');
    const said = await stage.startEmulator('--directory', stage.azure);
    const value = (name: string): string => new RegExp(`^${name} +(\\S+)`, 'm').exec(said)?.[1] ?? '';
    const [, client = '', secret = ''] = /^Client, secret +(\S+) +(\S+)$/m.exec(said) ?? [];
    // What is marked "Yours" in the recipe: an identity, the organisation, and the bridge, which is not there.
    const machine = `{ kind: client-secret, tenant: ${value('Tenant')}, clientId: ${client}, secret: { file: /etc/postern/secret }, authority: '${value('Sign-in service')}', ca: /azure/ca.pem }`;
    const recipe = (await readFile('config/recipes/host/postern.yaml', 'utf8'))
      .replace('{ kind: managed-identity }', machine)
      .replace("['127.0.0.1:8417', '172.17.0.1:8417']", "['127.0.0.1:8417', '[::1]:8417']")
      .replace('identity: machine }', `identity: machine, upstream: '${value('Git hosts')}', ca: /azure/ca.pem }`);
    await put('/etc/postern/config.yaml', recipe);
    await put('/etc/postern/secret', `${secret}\n`);
    await copyFile('config/recipes/host/postern-lease', stage.path('/usr/local/bin/postern-lease'));
    await chmod(stage.path('/usr/local/bin/postern-lease'), 0o755);
  }, STAGE_MS);
  afterAll(() => stage.close());

  it('is set up by two commands', async () => {
    // The stage's own, which leads into the checkout.
    await stage.must('root', 'rm', ['/usr/local/bin/postern']);
    await stage.must('root', 'node', ['/opt/postern/scripts/install-to.mjs', '/usr/local']);
    await stage.must('root', 'postern', ['service', 'install', '--system', '--start']);
    const status = await stage.must('root', 'postern', ['status', '--system']);
    expect(status).toContain('is ready');
    expect(status).toContain('holders of leases');
  });

  it('serves a job with the lease that the recipe gives out, and none without', async () => {
    const without = await stage.run('other', 'git', ['ls-remote', `http://127.0.0.1:8417/${WEB.slice('https://'.length)}`], {
      env: { GIT_TERMINAL_PROMPT: '0' },
    });
    expect(without).toMatchObject({ code: 128, stderr: expect.stringContaining('could not read Username') as string });
    const lease = await stage.must('postern', 'postern-lease', ['dotenv'], { env: { SUDO_USER: 'other' } });
    const env = Object.fromEntries(
      lease
        .split('\n')
        .filter((line) => /^\w+=/.test(line))
        .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const),
    );
    expect(await stage.run('other', 'git', ['ls-remote', WEB], { env })).toMatchObject({ code: 0, stderr: '' });
    expect(await stage.must('root', 'postern', ['lease', 'list', '--system'])).toContain('job of other');
  });
});
