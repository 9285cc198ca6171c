/**
 * `postern doctor` about the daemon and the door: not running, held by somebody else, refused, not trusted. Each fault is planted in the
 * real thing; what the first failed row says to do is done, and it has to be enough.
 */
import { chmod, cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { DoctorStage, faultsOf, remedyOf, type Report, rowOf, WEB } from '../support/doctor-stage.js';
import { PROGRAM, run, Scene } from '../support/scene.js';

const IS_ROOT = process.getuid?.() === 0;
const OTHER = 12347;

let scene: Scene;
beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
});
afterAll(() => scene.close());

let count = 0;
const open = (listen?: (port: number) => string): Promise<DoctorStage> =>
  DoctorStage.open(scene, `user-${(count += 1)}`, listen === undefined ? {} : { listen });

describe('the daemon', () => {
  let stage: DoctorStage;
  beforeAll(async () => {
    stage = await open();
  });
  afterEach(async () => {
    if (stage.daemon?.isRunning !== true) await stage.start();
  });

  test('daemon: it does not run', async () => {
    await stage.stop();
    const report = await stage.doctor();
    expect(report).toMatchObject({ exitCode: 5, firstFailed: { id: 'daemon' } });
    expect(remedyOf(report)).toMatch(/^start it with `postern start`/);
    expect(rowOf(report, 'git-rules').verdict).toBe('ok');
    expect(rowOf(report, 'caller')).toMatchObject({ verdict: 'untried', waitsFor: 'door-answer' });
    const { stdout } = await stage.sh(`postern doctor ${WEB}`);
    expect(stdout).toMatch(
      /\n\nNot tried until that is right\nits version, its configuration, [^]*\n\n\d+ rows, 2 failed, 1 warning, \d+ not tried\. First thing to do \(daemon\): start it with/,
    );
    expect(stdout).not.toContain('not tried: first');
    expect(rowOf(report, 'door')).toMatchObject({ verdict: 'failed', text: `Nothing listens at ${stage.base}` });
    // What the daemon's environment has is not in this one, and `postern start` here would miss it.
    expect(rowOf(report, 'configured-files').verdict).toBe('warning');
    await stage.start();
    expect(faultsOf(await stage.doctor())).toEqual([]);
  });

  test('daemon: something else holds its port, by name', async () => {
    await stage.stop();
    const other = await hold(stage.port);
    const report = await stage.doctor();
    expect(report).toMatchObject({ exitCode: 5, firstFailed: { id: 'daemon' } });
    expect(rowOf(report, 'daemon').text).toMatch(
      new RegExp(`^No postern is running, and .* \\(pid ${process.pid}\\) holds ${stage.base.replaceAll('.', '\\.')}$`),
    );
    expect(remedyOf(report)).toMatch(/^end it and run `postern start`/);
    expect(rowOf(report, 'door-answer')).toMatchObject({ verdict: 'failed', text: expect.stringContaining('is no Postern') as string });
    await new Promise((resolve) => other.close(resolve));
    await stage.start();
    expect(faultsOf(await stage.doctor())).toEqual([]);
  });

  test('git-rules: the daemon has moved to another port', async () => {
    const text = await readFile(stage.configuration, 'utf8');
    const port = stage.port + 1 > 65_000 ? stage.port - 1 : stage.port + 1;
    await stage.stop();
    await stage.configure(text.replaceAll(String(stage.port), String(port)));
    await stage.start();
    const report = await stage.doctor();
    expect(report).toMatchObject({ exitCode: 4, firstFailed: { id: 'git-rules' } });
    expect(rowOf(report, 'git-rules').text).toBe(`git's rules lead to ${stage.base}/, and the door is at http://127.0.0.1:${port}/`);
    const fixed = await stage.doctor('--fix --yes');
    expect(faultsOf(fixed)).toEqual([]);
    expect(fixed.mended).toMatchObject([{ fix: 'setup', outcome: 'done', commands: ['postern setup'] }]);
    await stage.stop();
    await stage.configure(text);
    await stage.start();
    await stage.must('postern setup');
  });

  test('daemon-configuration: the latest reading was refused, and the one before is in force', async () => {
    const text = await readFile(stage.configuration, 'utf8');
    const other = await hold(0);
    const { port } = other.address() as { port: number };
    // Without a fault, and not to be had: that is known when it is tried.
    await stage.configure(text.replace(/ssh: off/, `ssh: '127.0.0.1:${port}'`));
    expect((await stage.sh('postern reload')).code).not.toBe(0);
    const report = await stage.doctor(`${stage.base}/dev.azure.com/contoso/Payments/_git/web`);
    const row = rowOf(report, 'daemon-configuration');
    expect(row).toMatchObject({
      verdict: 'warning',
      text: expect.stringContaining('was refused, and the one before is in force') as string,
    });
    await stage.configure(text);
    await stage.must('postern reload');
    await new Promise((resolve) => other.close(resolve));
    expect(faultsOf(await stage.doctor())).toEqual([]);
  });
});

describe('who asks', () => {
  test('caller: the door serves leases alone, and a lease in the environment is enough', async () => {
    const stage = await open();
    await stage.configure(`${await readFile(stage.configuration, 'utf8')}access: { local: lease }\n`);
    await stage.must('postern reload');
    const report = await stage.doctor();
    expect(report).toMatchObject({ exitCode: 5, firstFailed: { id: 'caller' } });
    expect(rowOf(report, 'caller')).toMatchObject({ code: 'lease-required' });
    expect(remedyOf(report)).toContain('make one with `postern lease create`');
    const file = join(stage.home, 'lease.gitconfig');
    await stage.must(`postern lease create --repo contoso/Payments/web --allow fetch --for 1h --format gitconfig > ${file}`);
    await stage.must(`git config --global include.path ${file}`);
    expect(faultsOf(await stage.doctor(WEB))).toEqual([]);
    await stage.stop();
  });

  test.skipIf(!IS_ROOT)('caller: another user of the machine is refused, and served when listed', async () => {
    const stage = await open();
    const theirs = join(scene.directory, 'theirs');
    await mkdir(join(theirs, '.config'), { recursive: true });
    for (const directory of [scene.directory, theirs]) await chmod(directory, 0o755);
    // Theirs leads to the same door, as on a machine with one Postern for all.
    await cp(join(stage.home, '.config', 'postern'), join(theirs, '.config', 'postern'), { recursive: true });
    await writeFile(join(theirs, '.gitconfig'), `[include]\n\tpath = ${join(theirs, '.config', 'postern', 'gitconfig')}\n`);
    await run('chown', ['-R', `${OTHER}:${OTHER}`, theirs], { env: process.env });
    const doctor = async (): Promise<Report> => {
      const words = [`--reuid=${OTHER}`, `--regid=${OTHER}`, '--clear-groups', process.execPath, PROGRAM, 'doctor', '--json'];
      const ran = await run('setpriv', words, {
        cwd: theirs,
        env: { ...stage.environment, HOME: theirs, XDG_RUNTIME_DIR: join(theirs, 'run') },
      });
      return JSON.parse(ran.stdout) as Report;
    };
    const report = await doctor();
    expect(report).toMatchObject({ exitCode: 5, firstFailed: { id: 'caller' } });
    expect(rowOf(report, 'daemon')).toMatchObject({ verdict: 'untried', text: expect.stringContaining('is not of this user') as string });
    expect(rowOf(report, 'caller')).toMatchObject({
      code: 'caller-refused',
      text: `This door does not serve the local user with uid ${OTHER}`,
    });
    expect(remedyOf(report)).toContain('or to be listed in `access.uids`');
    await stage.configure(`${await readFile(stage.configuration, 'utf8')}access: { uids: [0, ${OTHER}] }\n`);
    await stage.must('postern reload');
    const after = await doctor();
    expect(after.exitCode).toBe(0);
    expect(rowOf(after, 'caller')).toMatchObject({ verdict: 'ok', text: `served as the user with uid ${OTHER}` });
    await stage.stop();
  });
});

describe('a door with TLS', () => {
  let stage: DoctorStage;
  beforeAll(async () => {
    stage = await open((port) => `listen: { http: { address: '127.0.0.1:${port}', tls: auto }, ssh: off }`);
  });
  afterAll(() => stage.stop());

  test('is green when setup was run, and git trusts it', async () => {
    const report = await stage.doctor();
    expect(faultsOf(report)).toEqual([]);
    expect(rowOf(report, 'door-answer').text).toBe('it is Postern, and git trusts its certificate');
  });

  test('git-settings: a variable that beats what setup wrote', async () => {
    const env = { GIT_SSL_CAINFO: scene.emulator.caFile };
    const report = await stage.doctor('', { env });
    expect(report.firstFailed?.id).toBe('git-settings');
    expect(remedyOf(report)).toBe('unset it (GIT_SSL_CAINFO) where git runs');
    expect(rowOf(report, 'door-answer').text).toMatch(/^git does not trust the door: /);
  });

  test('door-answer: git does not know the authority, until setup tells it', async () => {
    await stage.must('postern setup --undo');
    const url = `https://127.0.0.1:${stage.port}/dev.azure.com/contoso/Payments/_git/web`;
    const report = await stage.doctor(url);
    expect(report).toMatchObject({ exitCode: 5, firstFailed: { id: 'door-answer' } });
    expect(remedyOf(report)).toBe('postern setup (it tells git which authority to trust there)');
    await stage.must('postern setup');
    expect(faultsOf(await stage.doctor(url))).toEqual([]);
  });

  test('git-rules: rules of the time when it was plain', async () => {
    const file = join(stage.home, '.config', 'postern', 'gitconfig');
    await writeFile(file, (await readFile(file, 'utf8')).replaceAll('https://127.0.0.1', 'http://127.0.0.1'));
    const report = await stage.doctor();
    expect(report.firstFailed?.id).toBe('git-rules');
    expect(rowOf(report, 'git-rules').text).toContain(`and the door is at https://127.0.0.1:${stage.port}/`);
    const fixed = await stage.doctor('--fix --yes');
    expect(faultsOf(fixed)).toEqual([]);
  });
});

test('--fix asks: nobody is there to answer without a terminal, and nothing is done', async () => {
  const stage = await open();
  await stage.must('postern setup --undo');
  const ran = await stage.sh('postern doctor --fix');
  expect(ran.code).toBe(2);
  expect(ran.stderr).toContain('add --yes to have everything done that it offers');
  expect((await stage.doctor()).firstFailed?.id).toBe('git-rules');
  // script(1) gives it a terminal; who says no is not fixed, who says y is.
  const asked = (answer: string): ReturnType<DoctorStage['sh']> =>
    stage.sh(`script -qec 'postern doctor --fix' /dev/null`, stage.home, { input: `${answer}\n` });
  const no = await asked('n');
  expect(no.stdout).toContain('To mend "git\'s rules":');
  expect(no.stdout).toContain('  postern setup\r\n');
  expect(no.stdout).toContain('left as it is');
  expect(no.code).toBe(4);
  const yes = await asked('y');
  // Between question and answer the terminal is told where the cursor is.
  expect(yes.stdout).toMatch(/Do that\?.*Yes/);
  expect(yes.stdout).toContain('all is well');
  expect(yes.code).toBe(0);
  await stage.stop();
});

/** Something that answers HTTP and is no Postern. */
function hold(port: number): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer((_request, response) => response.end('hello'));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}
