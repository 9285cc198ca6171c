/**
 * `postern doctor`, this machine's half. Each fault is planted in the real thing (git's configuration, files, ports, users), the first
 * failed row has to be the right one, and what it says to do is then done as a person would: it has to be enough.
 */
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DoctorStage, faultsOf, remedyOf, type Report, rowOf, WEB } from '../support/doctor-stage.js';
import { PROGRAM, run, Scene } from '../support/scene.js';

/** Looks like a personal access token, and is none. */
const PAT = 'n7x2kq4v5bfmw6hj3ytzrc8pdsa9eglu'.padEnd(52, 'q');

let scene: Scene;
let stage: DoctorStage;

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  stage = await DoctorStage.open(scene, 'user');
  await stage.keep();
});
afterAll(() => scene.close());

/** Runs what a row says to do as far as it is a command: what stands in it between backticks, or behind a colon, or all of it. */
async function follow(report: Report, cwd: string = stage.home): Promise<void> {
  const todo = remedyOf(report);
  const command = /(?:^|: )((?:git|postern|chmod) .*?)(?: \([^)]*\))?$/.exec(todo)?.[1];
  if (command === undefined) throw new Error(`no command in: ${todo}`);
  await stage.must(command, cwd);
}

describe('on a machine that is set up', () => {
  test('every row is green, with an address, in a repository and anywhere, and a real clone works', async () => {
    for (const [words, cwd] of [
      [WEB, stage.home],
      ['', stage.repository],
      ['', stage.home],
    ] as const) {
      const report = await stage.doctor(words, { cwd });
      expect(faultsOf(report)).toEqual([]);
      expect(report).toMatchObject({ version: 1, exitCode: 0, firstFailed: null });
      expect(report.rows.some(({ address }) => address === WEB)).toBe(words !== '' || cwd !== stage.home);
    }
    await stage.must(`git clone -q ${WEB} clone`);
  });

  test('the rows are told with headings, and the last line says that all is well', async () => {
    const ran = await stage.sh(`postern doctor ${WEB}`);
    expect(ran.stderr).toBe('');
    expect(ran.stdout).toMatch(/^Programs\nok {7}Node\.js {16}\d+\.\d+\.\d+/);
    for (const heading of ['Configuration', 'git', 'Postern on this machine', `The road of ${WEB}`, 'Route and identity'])
      expect(ran.stdout).toContain(`\n\n${heading}\n`);
    expect(ran.stdout).toMatch(/\n\n\d+ rows: all is well\n$/);
    expect(ran.stdout).not.toContain('\u001b');
  });
});

describe("git's configuration", () => {
  beforeEach(() => stage.putBack());

  const rulesFile = (): string => join(stage.home, '.config', 'postern', 'gitconfig');

  test.each([
    ['nobody ran setup', () => stage.must('postern setup --undo'), 'git does not come to the door: no rule of `postern setup` is in force'],
    ['the file of rules is gone', () => rm(rulesFile()), 'git does not come to the door'],
    [
      'the include of the file of rules is gone',
      () => writeFile(join(stage.home, '.gitconfig'), '[user]\n\tname = Ada\n'),
      'git does not come to the door',
    ],
    [
      'the rules lead to another port',
      async () => {
        const text = await readFile(rulesFile(), 'utf8');
        await writeFile(rulesFile(), text.replaceAll(`:${stage.port}`, ':9'));
      },
      "git's rules lead to http://127.0.0.1:9/, and the door is at",
    ],
    [
      'one spelling was taken out of the rules',
      async () => {
        const text = await readFile(rulesFile(), 'utf8');
        await writeFile(rulesFile(), text.replace('\tinsteadOf = https://dev.azure.com:443/\n', ''));
      },
      '1 spelling of ',
    ],
  ])('git-rules: %s', async (_, plant, text) => {
    await plant();
    const report = await stage.doctor();
    expect(report).toMatchObject({ exitCode: 4, firstFailed: { id: 'git-rules' } });
    expect(rowOf(report, 'git-rules').text).toContain(text);
    await follow(report);
    expect(faultsOf(await stage.doctor())).toEqual([]);
  });

  test('git-rules: an address names the organisation that setup has to know', async () => {
    await stage.must('postern setup --undo');
    const report = await stage.doctor('https://fabrikam.visualstudio.com/Web/_git/app');
    expect(report.firstFailed?.id).toBe('git-rules');
    expect(remedyOf(report)).toBe('postern setup --org fabrikam');
  });

  test('git-address: an organisation that no rule knows by its own host', async () => {
    const url = 'https://fabrikam.visualstudio.com/Web/_git/app';
    const report = await stage.doctor(url);
    expect(report.firstFailed).toEqual({ id: 'git-address', address: url });
    expect(rowOf(report, 'git-address').text).toContain('no rule knows the organisation fabrikam');
    await follow(report);
    expect(rowOf(await stage.doctor(url), 'git-address').verdict).toBe('ok');
  });

  test('git-rules: GIT_CONFIG_GLOBAL leads git past them', async () => {
    const env = { GIT_CONFIG_GLOBAL: join(stage.home, 'other') };
    await writeFile(env.GIT_CONFIG_GLOBAL, '[user]\n\tname = Ada\n');
    const report = await stage.doctor('', { env });
    expect(report.firstFailed?.id).toBe('git-rules');
    expect(remedyOf(report)).toMatch(/^unset GIT_CONFIG_GLOBAL where git runs/);
    expect(rowOf(report, 'git-configuration').details).toContain('GIT_CONFIG_GLOBAL is set: is read in place of ~/.gitconfig');
  });

  test('git-configuration: git cannot read its configuration', async () => {
    await writeFile(join(stage.home, '.gitconfig'), '[user\n');
    const report = await stage.doctor();
    expect(report).toMatchObject({ exitCode: 4, firstFailed: { id: 'git-configuration' } });
    expect(rowOf(report, 'git-configuration').text).toContain('bad config line 1');
    expect(rowOf(report, 'git-rules')).toMatchObject({
      verdict: 'untried',
      text: expect.stringContaining('first "git\'s configuration"') as string,
    });
    expect(rowOf(report, 'daemon').verdict).toBe('ok');
  });

  test.each([
    [
      'a longer rule of somebody else',
      'url.https://mirror.example/.insteadOf',
      'https://dev.azure.com/contoso/',
      'addresses that begin with',
    ],
    ['a rule for pushes', 'url.https://mirror.example/.pushInsteadOf', 'https://dev.azure.com/', 'pushes to addresses that begin with'],
  ])('git-foreign-rules: %s', async (_, key, value, text) => {
    await stage.must(`git config --global '${key}' '${value}'`);
    const report = await stage.doctor(WEB);
    expect(report).toMatchObject({ exitCode: 4, firstFailed: { id: 'git-foreign-rules' } });
    expect(rowOf(report, 'git-foreign-rules').text).toContain(text);
    await follow(report);
    expect(faultsOf(await stage.doctor(WEB))).toEqual([]);
  });

  test('git-foreign-rules: one that does not touch the address is a warning', async () => {
    await stage.must("git config --global 'url.https://mirror.example/.insteadOf' 'https://dev.azure.com/contoso/Other/'");
    const report = await stage.doctor(WEB);
    expect(report.exitCode).toBe(0);
    expect(faultsOf(report)).toEqual([expect.stringContaining('git-foreign-rules: warning') as string]);
  });

  test('git-remotes: scheme and host in other case, followed by git remote set-url', async () => {
    await stage.must(`git remote set-url origin HTTPS://Dev.Azure.com/contoso/Payments/_git/web`, stage.repository);
    const report = await stage.doctor('', { cwd: stage.repository });
    expect(report).toMatchObject({ exitCode: 4, firstFailed: { id: 'git-remotes' } });
    expect(remedyOf(report)).toBe(`write it as ${WEB} (git remote set-url)`);
    await stage.must(`git remote set-url origin ${WEB}`, stage.repository);
    expect(faultsOf(await stage.doctor('', { cwd: stage.repository }))).toEqual([]);
  });

  test('git-remotes: a credential in a remote is told and never shown, and the address is not walked', async () => {
    await stage.must(`git remote set-url origin https://ada:${PAT}@dev.azure.com/contoso/Payments/_git/web`, stage.repository);
    const ran = await stage.sh('postern doctor', stage.repository);
    expect(ran.code).toBe(4);
    expect(ran.stdout).toContain('has a credential in it and slips past');
    expect(ran.stdout).toContain('take the credential out of the address (git remote set-url) and revoke it');
    expect(ran.stdout + ran.stderr).not.toContain(PAT);
    expect(ran.stdout).not.toContain('The road of');
    await stage.must(`git remote set-url origin ${WEB}`, stage.repository);
    expect(faultsOf(await stage.doctor('', { cwd: stage.repository }))).toEqual([]);
  });

  test('git-address: a credential in what was typed is told and never shown', async () => {
    const ran = await stage.sh(`postern doctor https://ada:${PAT}@dev.azure.com/contoso/Payments/_git/web`);
    expect(ran.stdout).toContain('FAILED   address in git         The address has a credential in it');
    expect(ran.stdout).toContain(`use ${WEB}, and revoke the credential`);
    expect(ran.stdout + ran.stderr).not.toContain(PAT);
  });

  test('git-remotes: an SSH remote while the SSH door is off, and a push address of its own', async () => {
    await stage.must('git remote set-url --push origin git@ssh.dev.azure.com:v3/contoso/Payments/web', stage.repository);
    const report = await stage.doctor('', { cwd: stage.repository });
    expect(report.firstFailed?.id).toBe('git-remotes');
    expect(rowOf(report, 'git-remotes').text).toMatch(/^origin \(push\): .* the SSH door is off/);
    expect(rowOf(await stage.doctor('--read-only', { cwd: stage.repository }), 'git-remotes').verdict).toBe('ok');
    await stage.must('git remote set-url --delete --push origin git@ssh.dev.azure.com:v3/contoso/Payments/web', stage.repository);
    expect(faultsOf(await stage.doctor('', { cwd: stage.repository }))).toEqual([]);
  });

  test('git-remotes: a user part that no rule knows, which setup learns from the remote', async () => {
    await stage.must('git remote set-url origin https://ada@dev.azure.com/contoso/Payments/_git/web', stage.repository);
    const report = await stage.doctor('', { cwd: stage.repository });
    expect(report.firstFailed?.id).toBe('git-rules');
    await follow(report, stage.repository);
    expect(faultsOf(await stage.doctor('', { cwd: stage.repository }))).toEqual([]);
  });

  test('git-proxy: a setting sends the door to a proxy', async () => {
    await stage.must(`git config --global http.${stage.base}/dev.azure.com/.proxy http://proxy.example:3128`);
    const report = await stage.doctor();
    expect(report).toMatchObject({ exitCode: 4, firstFailed: { id: 'git-proxy' } });
    await follow(report);
    expect(faultsOf(await stage.doctor())).toEqual([]);
  });

  test('git-proxy: a variable catches the door where setup was never run', async () => {
    await stage.must('postern setup --undo');
    const url = `${stage.base}/dev.azure.com/contoso/Payments/_git/web`;
    const env = { http_proxy: 'http://127.0.0.1:9' };
    expect(faultsOf(await stage.doctor(url))).toEqual([]);
    const report = await stage.doctor(url, { env });
    expect(report.firstFailed?.id).toBe('git-proxy');
    expect(remedyOf(report)).toContain('or add 127.0.0.1 to no_proxy');
    expect(rowOf(await stage.doctor(url, { env: { ...env, no_proxy: 'localhost, 127.0.0.1' } }), 'git-proxy').verdict).toBe('ok');
    await stage.must('postern setup');
    expect(faultsOf(await stage.doctor(url, { env }))).toEqual([]);
  });

  test('git-settings: a protocol that git may not use', async () => {
    const report = await stage.doctor('', { env: { GIT_ALLOW_PROTOCOL: 'https:ssh' } });
    expect(report.firstFailed?.id).toBe('git-settings');
    expect(remedyOf(report)).toBe('add http to it');
    expect(faultsOf(await stage.doctor('', { env: { GIT_ALLOW_PROTOCOL: 'https:ssh:http' } }))).toEqual([]);
  });

  test('git-credentials: headers and helpers are named, and their values never', async () => {
    await stage.must(`git config --global http.extraHeader 'Authorization: Basic ${PAT}'`);
    await stage.must(`git config --global http.https://dev.azure.com/.extraHeader 'AUTHORIZATION: bearer ${PAT}'`);
    await stage.must(`git config --global credential.helper '!f() { echo password=${PAT}; }; f'`);
    await stage.must(`git config --global credential.${stage.base}.helper 'store --file /x/${PAT}'`);
    const ran = await stage.sh('postern doctor');
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain("warning  credentials of git     3 things of git's configuration that may hold a credential");
    expect(ran.stdout).toContain('git adds a header Authorization to every request, to the door too: http.extraHeader in file:');
    expect(ran.stdout).toContain('a credential helper is set for the door, which wants no password');
    expect(ran.stdout + ran.stderr).not.toContain(PAT);
    const row = rowOf(await stage.doctor(), 'git-credentials');
    for (const [, command = ''] of (row.verdict === 'warning' ? row.todo : '').matchAll(/(git config [^;]*)/g)) await stage.must(command);
    const after = rowOf(await stage.doctor(), 'git-credentials');
    expect(after).toMatchObject({
      verdict: 'ok',
      text: expect.stringContaining('helpers (a shell command) are asked only where') as string,
    });
  });

  test('git-lfs-leftovers: what git-lfs keeps of a 401 is taken away by --fix, which says what it does', async () => {
    const key = `lfs.${stage.base}/dev.azure.com/contoso/Payments/_git/web.git/info/lfs.access`;
    await stage.must(`git config '${key}' basic`, stage.repository);
    const report = await stage.doctor('', { cwd: stage.repository });
    expect(report).toMatchObject({ exitCode: 4, firstFailed: { id: 'git-lfs-leftovers' } });
    const fixed = await stage.doctor('--fix --yes', { cwd: stage.repository });
    expect(faultsOf(fixed)).toEqual([]);
    expect(fixed.mended).toEqual([
      { fix: 'lfs-access', outcome: 'done', commands: [`git -C ${stage.repository} config --unset-all ${key}`], lines: [`${key} is gone`] },
    ]);
  });
});

describe('programs and configuration', () => {
  beforeEach(() => stage.putBack());

  const planted = async (name: string, text: string): Promise<{ PATH: string }> => {
    const directory = join(stage.home, 'planted');
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, name), text, { mode: 0o755 });
    return { PATH: `${directory}:${stage.environment['PATH'] ?? ''}` };
  };

  test('git: too old', async () => {
    const report = await stage.doctor('', { env: await planted('git', '#!/bin/sh\necho git version 2.25.1\n') });
    expect(report).toMatchObject({ exitCode: 3, firstFailed: { id: 'git' } });
    expect(rowOf(report, 'git').text).toBe('git is too old: "git version 2.25.1"');
    expect(remedyOf(report)).toBe('Install git 2.31 or newer');
  });

  test('git: missing', async () => {
    const ran = await run(process.execPath, [PROGRAM, 'doctor', '--json', WEB], { env: { ...stage.environment, PATH: '/nowhere' } });
    const report = JSON.parse(ran.stdout) as Report;
    expect(report).toMatchObject({ exitCode: 3, firstFailed: { id: 'git' } });
    expect(remedyOf(report)).toBe('Install git 2.31 or newer and see that it is on the PATH');
  });

  test('node: too old', async () => {
    const file = join(stage.home, 'old.cjs');
    await writeFile(file, "Object.defineProperty(process.versions, 'node', { value: '20.10.0' });\n");
    const report = await stage.doctor('', { env: { NODE_OPTIONS: `--require ${file}` } });
    expect(report).toMatchObject({ exitCode: 3, firstFailed: { id: 'node' } });
    expect(remedyOf(report)).toMatch(/^install Node\.js 20\.19 or newer/);
  });

  test('own-directories: others can reach in', async () => {
    const runtime = join(stage.environment['XDG_RUNTIME_DIR'] ?? '', 'postern');
    await chmod(runtime, 0o755);
    const report = await stage.doctor();
    expect(report).toMatchObject({ exitCode: 2, firstFailed: { id: 'own-directories' } });
    expect(remedyOf(report)).toBe(`chmod 700 ${runtime}`);
    await follow(report);
    expect(faultsOf(await stage.doctor())).toEqual([]);
  });
});

describe('the configuration', () => {
  afterEach(async () => {
    await stage.putBack();
    await stage.must('postern reload');
  });

  test('configuration: a fault, with its place', async () => {
    await writeFile(stage.configuration, `${await readFile(stage.configuration, 'utf8')}drian: { min: 1s }\n`);
    const report = await stage.doctor();
    expect(report).toMatchObject({ exitCode: 2, firstFailed: { id: 'configuration' } });
    expect(rowOf(report, 'configuration').details?.join()).toMatch(/config\.yaml:\d+:1: drian: .*`drain`/);
    expect(rowOf(report, 'git-rules').verdict).toBe('untried');
    await stage.must(`sed -i '/^drian/d' ${stage.configuration}`);
    expect(rowOf(await stage.doctor(), 'configuration').verdict).toBe('ok');
  });

  test('configured-files: a file that is named and not there', async () => {
    const text = await readFile(stage.configuration, 'utf8');
    const ca = join(stage.home, 'ca.pem');
    await writeFile(stage.configuration, text.replaceAll(/ca: [^ }]*/g, `ca: ${ca}`));
    const report = await stage.doctor();
    expect(report).toMatchObject({ exitCode: 2, firstFailed: { id: 'configured-files' } });
    expect(rowOf(report, 'configured-files').details?.[0]).toContain('does not exist; create it, or correct the path');
    await stage.must(`cp ${scene.emulator.caFile} ${ca}`);
    expect(rowOf(await stage.doctor(), 'configured-files').verdict).toBe('ok');
  });
});
