/**
 * `postern doctor` about the daemon and the door: not running, held by somebody else, refused, not trusted. Each fault is planted in the
 * real thing; what the first failed row says to do is done, and it has to be enough.
 */
import { chmod, cp, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { dirname, join } from 'node:path';
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

test('daemon-version: the program was renewed and the daemon was not, until it is started anew', async () => {
  const stage = await open();
  await stage.stop();
  // An installation of before: the same program, under another version.
  const old = join(scene.directory, 'old');
  await mkdir(old);
  await cp(dirname(PROGRAM), join(old, 'dist'), { recursive: true, filter: (file) => !file.endsWith('.map') });
  await symlink(join(PROGRAM, '..', '..', 'node_modules'), join(old, 'node_modules'));
  const facts = JSON.parse(await readFile(join(PROGRAM, '..', '..', 'package.json'), 'utf8')) as { version: string };
  await writeFile(join(old, 'package.json'), JSON.stringify({ ...facts, version: '0.0.9' }));
  const secret = scene.emulator.sts.samples.secretClient.secret;
  const running = run(process.execPath, [join(old, 'dist', 'postern.js'), 'start'], { env: { ...stage.environment, SP_SECRET: secret } });
  await stage.must('postern wait');
  const report = await stage.doctor(WEB);
  expect(faultsOf(report)).toEqual([`daemon-version: warning version 0.0.9 is running, and this is ${facts.version}`]);
  expect(report.exitCode).toBe(0);
  expect(rowOf(report, 'daemon-version')).toMatchObject({ todo: expect.stringMatching(/^start it anew: `postern stop`/) as string });
  await stage.must('postern stop');
  await running;
  await stage.start();
  expect(faultsOf(await stage.doctor(WEB))).toEqual([]);
  await stage.stop();
});

describe('own directories', () => {
  /** A user without a daemon, whose directories are there. */
  const openTo = async (
    name: string,
    uid: number | undefined,
  ): Promise<{ runtime: string; doctor: (words: string) => Promise<Report> }> => {
    const home = join(scene.directory, name);
    const runtime = join(home, 'run', 'postern');
    const state = join(home, '.local', 'state', 'postern');
    for (const directory of [runtime, state]) await mkdir(directory, { recursive: true });
    await chmod(scene.directory, 0o755);
    if (uid !== undefined) await run('chown', ['-R', `${uid}:${uid}`, home], { env: process.env });
    await chmod(runtime, 0o755);
    await chmod(state, 0o750);
    const as = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
    const env = { ...scene.environment, HOME: home, XDG_RUNTIME_DIR: join(home, 'run') };
    const doctor = async (words: string): Promise<Report> => {
      const [program = '', ...args] = [...as, process.execPath, PROGRAM, 'doctor', '--json', ...words.split(' ')];
      return JSON.parse((await run(program, args, { cwd: home, env })).stdout) as Report;
    };
    return { runtime, doctor };
  };

  test.each([['as who runs the tests', undefined] as const, ...(IS_ROOT ? [['as an ordinary user', OTHER] as const] : [])])(
    'own-directories, %s: --fix closes what others could reach into',
    async (name, uid) => {
      const { runtime, doctor } = await openTo(name.replaceAll(' ', '-'), uid);
      const state = join(runtime, '..', '..', '.local', 'state', 'postern');
      const fixed = await doctor('--fix --yes');
      expect(fixed.mended?.find(({ fix }) => fix === 'directory-modes')).toEqual({
        fix: 'directory-modes',
        outcome: 'done',
        commands: [`chmod 700 ${runtime}`, `chmod 700 ${state}`],
        lines: [`${runtime} has mode 700 now`, `${state} has mode 700 now`],
      });
      for (const directory of [runtime, state]) expect((await stat(directory)).mode & 0o777).toBe(0o700);
      expect(rowOf(fixed, 'own-directories')).toMatchObject({ verdict: 'ok', text: 'closed to other users' });
    },
  );

  test.skipIf(!IS_ROOT)('own-directories: one of somebody else is told, and not touched', async () => {
    const { runtime, doctor } = await openTo('foreign', OTHER);
    await run('chown', ['0:0', runtime], { env: process.env });
    const fixed = await doctor('--fix --yes');
    expect(fixed.firstFailed?.id).toBe('own-directories');
    expect(rowOf(fixed, 'own-directories').details).toEqual([`${runtime} belongs to the user with uid 0`]);
    expect(fixed.mended?.some(({ fix }) => fix === 'directory-modes')).toBe(false);
    expect((await stat(runtime)).mode & 0o777).toBe(0o755);
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
