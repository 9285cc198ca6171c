/**
 * The demonstration: the main job, whole, on the built-in emulator. It sets git up in a scratch home with `postern
 * setup`, clones and pushes real Azure Repos addresses with plain git, looks for the token wherever git could have seen
 * it, takes the set-up back and removes the scratch home. Nothing outside that directory is touched, and nothing leaves
 * this machine.
 */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { browserScript } from '../test/support/browser.js';
import { type Ran, run, type RunningDaemon, Scene } from '../test/support/scene.js';

/** Life of the emulator's tokens, so short that the daemon has to renew them before your eyes. Azure's live about an hour. */
const TOKEN_LIFE_SECONDS = 5;
/** What `git lfs install` writes. */
const LFS_SETTINGS = '[filter "lfs"]\n\tclean = git-lfs clean -- %f\n\tsmudge = git-lfs smudge -- %f\n\tprocess = git-lfs filter-process\n';
/** Of the file that is kept with Git LFS. */
const LARGE_BYTES = 3 * 1024 * 1024;
const PAT = 'demo4onpremserver2pat3only5the6daemon7reads2abcdefg2';

/** Every spelling that people have of a repository, and one on their own server. The first three are the same repository. */
const PLAIN_ADDRESS = 'https://dev.azure.com/contoso/Payments/_git/web';
const ADDRESSES = [
  PLAIN_ADDRESS,
  'https://contoso@dev.azure.com/contoso/Payments/_git/web',
  'https://contoso.visualstudio.com/Payments/_git/web',
  'https://tfs.example.com/tfs/DefaultCollection/Payments/_git/ledger',
];
/** An organisation that a person signs in for. */
const PERSON_ADDRESS = 'https://dev.azure.com/fabrikam/Tools/_git/app';
const SSH_ADDRESS = 'git@ssh.dev.azure.com:v3/contoso/Payments/web';

const print = (text = ''): void => {
  process.stdout.write(`${text}\n`);
};

class DemoFailed extends Error {}

async function main(): Promise<void> {
  print('Postern: git clone and git push of Azure Repos, with a token that git never sees');
  print();
  const scene = await Scene.open({ tokenLifeSeconds: TOKEN_LIFE_SECONDS });
  try {
    await play(scene);
  } finally {
    await scene.close();
  }
  if (existsSync(scene.directory)) throw new DemoFailed(`the scratch directory ${scene.directory} is still there`);
  print('The scratch home and everything in it has been removed.');
  print();
  print('Next: README.md, "Start: on your own machine".');
}

async function play(scene: Scene): Promise<void> {
  const { emulator } = scene;
  emulator.git.pats.add(PAT);
  await emulator.createRepository('contoso/Payments/web', { commits: 3 });
  await emulator.createRepository('tfs.example.com/tfs/DefaultCollection/Payments/ledger', { commits: 2 });
  await emulator.createRepository('fabrikam/Tools/app', { commits: 2 });

  print('1. An emulator plays Azure DevOps, an on-prem server and the Entra sign-in service (this machine only)');
  print(`     git hosts      ${emulator.git.origin}`);
  print(`     sign-in        ${emulator.sts.origin}   tokens live ${TOKEN_LIFE_SECONDS} s`);
  print();

  print('2. The daemon starts with three identities: an Entra service principal, a PAT for the on-prem server, and a person');
  const daemon = await scene.daemon(configuration(scene), { env: { TFS_PAT: PAT, XDG_STATE_HOME: join(scene.home, '.local', 'state') } });
  print(`     $ postern start`);
  print(`     listening on ${daemon.base} and ssh://127.0.0.1:${daemon.sshPort}`);
  print();

  print('3. git is pointed at it: one file of rules, one include in ~/.gitconfig');
  const gitconfig = join(scene.home, '.gitconfig');
  const before = `# my own settings stay as they are\n[alias]\n\tst = status\n${LFS_SETTINGS}`;
  await writeFile(gitconfig, before);
  // An ssh of the scratch home, without any key and without an agent; setup asks it where it looks for the keys of hosts.
  const ssh = await scene.sshEnvironment({ settings: ['StrictHostKeyChecking yes'] });
  show(
    await command(
      daemon.postern(['setup', '--org', 'contoso', '--org', 'fabrikam', '--config', await scene.writeConfiguration(configuration(scene))], {
        env: ssh,
      }),
      'postern setup --org contoso --org fabrikam',
    ),
  );
  print();

  print('4. Plain git, real addresses: clone, commit, push, fetch and ls-remote through each');
  const git = (args: readonly string[], cwd?: string, env: Record<string, string> = {}): Promise<Ran & { readonly line: string }> =>
    command(
      scene.git(args, cwd === undefined ? { env } : { cwd, env }),
      `git ${args.map((word) => (/\s/.test(word) ? `'${word}'` : word)).join(' ')}`,
    );
  for (const [index, address] of ADDRESSES.entries()) {
    const clone = join(scene.home, `clone-${index + 1}`);
    show(await git(['clone', '-q', address, clone]));
    await writeFile(join(clone, `hello-${index + 1}.txt`), 'hello from the demo\n');
    await git(['add', '.'], clone);
    show(await git(['commit', '-qm', `Say hello ${index + 1}`], clone));
    show(await git(['push'], clone));
    show(await git(['fetch'], clone));
    const listed = await git(['ls-remote', address, 'refs/heads/main']);
    show(listed);
    const { stdout: head } = await git(['rev-parse', 'HEAD'], clone);
    if (!listed.stdout.startsWith(head.trim())) throw new DemoFailed(`${address} does not hold what was pushed to it`);
  }
  print();

  print(`   A token lives ${TOKEN_LIFE_SECONDS} s here; once the daemon has renewed it, the same again`);
  while (emulator.sts.tokenRequests.length < 2) await sleep(200);
  show(await git(['fetch'], join(scene.home, 'clone-1')));
  print();

  print('5. The SSH form of the same repository, for ssh without any key: the daemon serves it over HTTPS');
  if ((await run('ssh', ['-V'], { env: scene.environment })).code === 0) await sshForm(scene, (args, cwd) => git(args, cwd, ssh));
  else print('     left out: there is no ssh on this machine (package openssh-client)');
  print();

  print('6. Large files with Git LFS, and which repositories there are');
  if ((await scene.git(['lfs', 'version'])).code === 0) await largeFile(scene, (args, cwd) => git(args, cwd));
  else print('     large files left out: there is no git-lfs on this machine (package git-lfs)');
  show(await command(daemon.postern(['repos', 'contoso']), 'postern repos contoso'));
  print();

  print('7. A person signs in, once, with a browser (a script plays it); the daemon renews the sign-in from then on');
  await personSignsIn(scene, daemon, (args, cwd) => git(args, cwd));
  print();

  print('8. What the other side saw');
  const bearer = emulator.git.seen.filter(({ authorization, status }) => authorization === 'bearer' && status === 200).length;
  const basic = emulator.git.seen.filter(({ authorization, status }) => authorization === 'basic' && status === 200).length;
  // The one that asks for the tenant of an organisation is about no repository, and carries nothing.
  const refused = emulator.git.seen.filter(({ refusedFor, repository }) => refusedFor !== undefined && repository !== undefined).length;
  const { secretClient } = emulator.sts.samples;
  const tokens = [...emulator.sts.issued.values()].filter(({ appid }) => appid === secretClient.clientId);
  print(`     ${bearer} requests with an Entra token, ${basic} with the PAT, ${refused} refused`);
  print(
    `     ${tokens.length} tokens were issued to the service principal: the daemon renewed its token ${tokens.length - 1} time${tokens.length === 2 ? '' : 's'}, git noticed nothing`,
  );
  if (bearer === 0 || basic === 0 || refused > 0 || tokens.length < 2) throw new DemoFailed('the other side did not see what it should');
  print();

  print('9. What git saw');
  const traced = await scene.git(['ls-remote', 'https://dev.azure.com/contoso/Payments/_git/web'], {
    env: { GIT_TRACE_CURL: '1', GIT_TRACE: '1', GIT_TRACE_REDACT: '0' },
  });
  const secrets = [...emulator.sts.tokens(), ...emulator.sts.users.secrets, PAT, emulator.sts.samples.secretClient.secret];
  const places = [traced.stdout + traced.stderr, ...(await filesBelow(scene.home))];
  const leaks = places.filter((text) => secrets.some((secret) => text.includes(secret))).length;
  print(
    `     git's own trace of every header, and ${places.length - 1} files below the scratch home, searched for ${secrets.length} secrets: ${leaks} found`,
  );
  print(`     Authorization headers sent by git: ${(traced.stderr.match(/=> Send header: authorization/gi) ?? []).length}`);
  if (leaks > 0 || traced.code !== 0) throw new DemoFailed('a secret was seen on the client side');
  print();

  print('10. And back');
  show(await command(daemon.postern(['setup', '--undo'], { env: ssh }), 'postern setup --undo'));
  if ((await readFile(gitconfig, 'utf8')) !== before) throw new DemoFailed('~/.gitconfig is not what it was');
  show(await command(daemon.postern(['stop']), 'postern stop'));
  print();
}

async function sshForm({ emulator, home }: Scene, git: (args: readonly string[], cwd?: string) => Promise<Ran>): Promise<void> {
  const clone = join(home, 'clone-ssh');
  show(await git(['clone', '-q', SSH_ADDRESS, clone]));
  await writeFile(join(clone, 'hello-ssh.txt'), 'hello from the demo\n');
  await git(['add', '.'], clone);
  show(await git(['commit', '-qm', 'Say hello over SSH'], clone));
  show(await git(['push'], clone));
  show(await git(['fetch'], clone));
  const listed = await git(['ls-remote', SSH_ADDRESS, 'refs/heads/main']);
  show(listed);
  const { stdout: head } = await git(['rev-parse', 'HEAD'], clone);
  if (!listed.stdout.startsWith(head.trim())) throw new DemoFailed(`${SSH_ADDRESS} does not hold what was pushed to it`);
  print(`     SSH connections that the host saw: ${emulator.ssh.accepted}`);
  if (emulator.ssh.accepted > 0) throw new DemoFailed('something went to the host over SSH');
}

async function largeFile({ emulator, home }: Scene, git: (args: readonly string[], cwd?: string) => Promise<Ran>): Promise<void> {
  const [clone, other] = [join(home, 'clone-lfs'), join(home, 'clone-lfs-2')];
  await git(['clone', '-q', PLAIN_ADDRESS, clone]);
  await git(['lfs', 'install', '--local'], clone);
  show(await git(['lfs', 'track', '*.bin'], clone));
  const film = randomBytes(LARGE_BYTES);
  await writeFile(join(clone, 'film.bin'), film);
  await git(['add', '.'], clone);
  await git(['commit', '-qm', 'A large file'], clone);
  show(await git(['push', '-q'], clone));
  show(await git(['clone', '-q', PLAIN_ADDRESS, other]));
  if (!film.equals(await readFile(join(other, 'film.bin'))))
    throw new DemoFailed('the large file is another one after its way up and down');
  const objects = emulator.git.seen.filter(({ url, status }) => /\/info\/lfs\/objects\/[0-9a-f]{64}/.test(url) && status === 200);
  print(`     ${LARGE_BYTES / 1024 / 1024} MiB went up and came down whole, with the daemon's token: ${objects.length} requests`);
  if (objects.length < 2 || objects.some(({ authorization }) => authorization !== 'bearer'))
    throw new DemoFailed('the other side did not see the object with a token');
}

async function personSignsIn(
  scene: Scene,
  daemon: RunningDaemon,
  git: (args: readonly string[], cwd?: string) => Promise<Ran>,
): Promise<void> {
  const { program } = await browserScript(scene.directory, scene.emulator.caFile);
  const config = await scene.writeConfiguration(configuration(scene));
  const ran = await daemon.postern(['login', 'me', '--config', config], { env: { BROWSER: program } });
  if (ran.code !== 0) throw new DemoFailed(`\`postern login me\` ended with ${ran.code}:\n${ran.stdout}${ran.stderr}`);
  // The address of the sign-in page is on stderr, and long.
  show({ ...ran, stderr: '', line: 'postern login me' });
  show(await git(['clone', '-q', PERSON_ADDRESS, join(scene.home, 'clone-person')]));
  show(await git(['fetch'], join(scene.home, 'clone-person')));
}

function configuration(scene: Scene): string {
  const { emulator } = scene;
  return [
    'listen: { http: 127.0.0.1:0, ssh: 127.0.0.1:0 }',
    'log: { format: json }',
    'identities:',
    `  sp: ${scene.servicePrincipal}`,
    '  onprem: { kind: pat, secret: { env: TFS_PAT } }',
    `  me: { kind: browser, authority: '${emulator.sts.origin}', ca: ${emulator.caFile} }`,
    'routes:',
    `  - { match: dev.azure.com/fabrikam/**, identity: me, upstream: '${emulator.git.origin}', ca: ${emulator.caFile} }`,
    `  - { match: dev.azure.com/contoso/**, identity: sp, upstream: '${emulator.git.origin}', ca: ${emulator.caFile} }`,
    `  - { match: tfs.example.com/tfs/**, identity: onprem, upstream: '${emulator.git.origin}/tfs.example.com', ca: ${emulator.caFile} }`,
    '',
  ].join('\n');
}

/** Waits for a command; a failure ends the demonstration with what it printed. */
async function command(ran: Promise<Ran>, line: string): Promise<Ran & { readonly line: string }> {
  const done = await ran;
  if (done.code !== 0) throw new DemoFailed(`\`${line}\` ended with ${done.code}:\n${done.stdout}${done.stderr}`);
  return { ...done, line };
}

function show(ran: Ran & { readonly line?: string }): void {
  print(`     $ ${(ran.line ?? '').replace(/\/\S*\/home\//g, '~/')}`);
  for (const line of `${ran.stdout}${ran.stderr}`.split('\n'))
    if (line.trim() !== '') print(`       ${line.replace(/\/\S*\/home\//g, '~/')}`);
}

/** The texts of all files below a directory. */
async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return Promise.all(entries.filter((entry) => entry.isFile()).map((entry) => readFile(join(entry.parentPath, entry.name), 'latin1')));
}

try {
  await main();
} catch (thrown) {
  process.stderr.write(
    `\nThe demonstration failed: ${thrown instanceof DemoFailed ? thrown.message : String(thrown instanceof Error ? thrown.stack : thrown)}\n`,
  );
  process.exitCode = 1;
}
