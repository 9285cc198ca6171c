/** Set-ups that work and look odd: doctor says nothing false of them, and what it says to do can be done. */
import { appendFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { closedPort } from '../support/closed-port.js';
import { DoctorStage, faultsOf, remedyOf, rowOf, WEB } from '../support/doctor-stage.js';
import { Scene } from '../support/scene.js';

let scene: Scene;
let stage: DoctorStage;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  stage = await DoctorStage.open(scene, 'user');
  await stage.keep();
});
afterEach(() => stage.putBack());
afterAll(() => scene.close());

test('a door that listens on every address is green with all that is asked of it', async () => {
  const wide = await DoctorStage.open(scene, 'wide', {
    listen: (port) => `listen: { http: '0.0.0.0:${port}', ssh: off }\naccess: { local: anyone, remote: anyone }`,
  });
  // The configuration is warned of, and rightly.
  expect(faultsOf(await wide.doctor(WEB)).filter((each) => !each.startsWith('configuration: '))).toEqual([]);
});

test('where a door that listens on every address wants leases, the remedy is not what is set already, and is enough', async () => {
  const open = await DoctorStage.open(scene, 'open', {
    listen: (port) => `listen: { http: '0.0.0.0:${port}', ssh: off }\naccess: { local: uid }`,
  });
  const report = await open.doctor(WEB);
  expect(report.firstFailed?.id).toBe('caller');
  expect(remedyOf(report)).not.toContain('access.local');
  expect(remedyOf(report)).toContain('put an address of this machine alone first in `listen.http`');
  const other = await closedPort();
  const before = await readFile(open.configuration, 'utf8');
  await open.configure(before.replace(`'0.0.0.0:${open.port}'`, `['127.0.0.1:${other}', '0.0.0.0:${open.port}']`));
  await open.must('postern reload && postern setup --org contoso');
  expect(faultsOf(await open.doctor(WEB)).filter((each) => each.includes(': failed '))).toEqual([]);
  await open.must(`git ls-remote ${WEB}`);
});

test('a repository whose HEAD leads nowhere and whose branch is not ASCII is green, as a clone is', async () => {
  const seed = join(stage.home, 'seed');
  const bare = await scene.emulator.createRepository('contoso/Payments/umlaut');
  await stage.must(
    `git init -q -b größe ${seed} && git -C ${seed} -c user.name=n -c user.email=e@example.com commit -q --allow-empty -m one`,
  );
  await stage.must(`git -C ${seed} push -q https://dev.azure.com/contoso/Payments/_git/umlaut größe`);
  await stage.must(`git --git-dir=${bare} symbolic-ref HEAD refs/heads/nowhere`);
  await stage.must('git clone -q https://dev.azure.com/contoso/Payments/_git/umlaut umlaut');
  const report = await stage.doctor('https://dev.azure.com/contoso/Payments/_git/umlaut');
  expect(rowOf(report, 'fetch-objects'), JSON.stringify(rowOf(report, 'fetch-objects'))).toMatchObject({
    verdict: 'ok',
    text: 'one commit came, of refs/heads/größe',
  });
});

test('what --fix could not take away it does not say is gone, and nothing that it shows moves the cursor', async () => {
  const key = `lfs.${stage.base}/dev.azure.com/contoso/Payments/_git/web.git/info/lfs.access`;
  await stage.must(`git config '${key}' basic`, stage.repository);
  const escape = '\u001b]0;owned\u0007';
  await appendFile(
    join(stage.repository, '.git', 'config'),
    `[lfs "${stage.base}/dev.azure.com/contoso/${escape}/info/lfs"]\n\taccess = basic\n`,
  );
  // As another git that is at work there leaves it.
  const lock = join(stage.repository, '.git', 'config.lock');
  await writeFile(lock, '');
  const ran = await stage.sh('postern doctor --fix --yes', stage.repository);
  await rm(lock);
  expect(ran.stdout + ran.stderr).not.toContain('\u001b');
  expect(ran.stdout + ran.stderr).not.toContain('is gone');
  expect(ran.stderr).toContain('it did not work: ');
  expect(await readFile(join(stage.repository, '.git', 'config'), 'utf8')).toContain('access = basic');
});

test('the remedy names the configuration of the daemon that was looked at', async () => {
  const elsewhere = join(stage.home, 'other place', 'postern.yaml');
  await mkdir(join(elsewhere, '..'));
  await writeFile(elsewhere, await readFile(stage.configuration));
  await stage.stop();
  await writeFile(stage.configuration, '{}\n');
  const before = stage.environment;
  stage.environment = { ...before, POSTERN_CONFIG: elsewhere };
  await stage.start();
  stage.environment = before;
  await stage.must(`git config --global --unset-all include.path; rm -f ${stage.home}/.config/postern/gitconfig`);
  const report = await stage.doctor(WEB);
  expect(report.firstFailed?.id).toBe('git-rules');
  expect(remedyOf(report)).toBe(`postern setup --config '${elsewhere}' --org contoso`);
  await stage.must(remedyOf(report));
  expect(faultsOf(await stage.doctor(WEB)).filter((each) => each.includes('failed'))).toEqual([]);
});
