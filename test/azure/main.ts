/**
 * The emulator as a program: starts it, prints what one needs to try the daemon against it, and ends at SIGINT or SIGTERM.
 */
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readExchangeRecord } from '../../src/model/exchange-record.js';
import { Emulator } from './emulator.js';
import { addNpm } from './feed-npm.js';
import { FAULT_KINDS } from './faults.js';
import { Replay } from './replay.js';
import { fingerprintOf } from './ssh-host.js';
import { AZURE_DEVOPS } from './token-book.js';

const USAGE = `Usage: npm run emulator -- [options]

  --port N         port of the git hosts (default: any free one)
  --ssh-port N     port of the SSH host (default: any free one)
  --ssh-key FILE   a public key that the SSH host knows, for every organisation
  --sts-port N     port of the sign-in service (default: any free one)
  --protocol P     v0 or v2; v0 ignores Git-Protocol (default: v2)
  --token-life S   seconds that a token lives (default: 3600)
  --replay FILE    answer as a file of \`postern doctor record\` has it, whatever the repository is called
  --directory D    scratch directory (default: a new one under the system's temporary directory)
  --help           print this
`;

const PAT = 'emulatorpataccesstokenforreposonlocalhost23456724567';
const BASIC = { user: 'dana', password: 'example-password' };
const REPOSITORIES = [
  { name: 'contoso/Payments/web', address: '/contoso/Payments/_git/web' },
  { name: 'contoso/Payments/api', address: '/contoso/Payments/_git/api' },
  { name: 'tfs.example.com/tfs/DefaultCollection/Payments/web', address: '/tfs.example.com/tfs/DefaultCollection/Payments/_git/web' },
  { name: 'git.example.com/team/tools', address: '/git.example.com/team/tools.git' },
];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '0' },
      'ssh-port': { type: 'string', default: '0' },
      'ssh-key': { type: 'string' },
      'sts-port': { type: 'string', default: '0' },
      protocol: { type: 'string', default: 'v2' },
      'token-life': { type: 'string', default: '3600' },
      directory: { type: 'string' },
      replay: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return;
  }
  const { protocol } = values;
  if (protocol !== 'v0' && protocol !== 'v2') throw new RangeError(`--protocol must be v0 or v2, not ${protocol}`);
  const sshKey = values['ssh-key'] === undefined ? undefined : await readPublicKey(values['ssh-key']);
  const record = values.replay === undefined ? undefined : readExchangeRecord(await readFile(values.replay, 'utf8'));
  const emulator = await Emulator.start({
    directory: values.directory === undefined ? await mkdtemp(join(tmpdir(), 'postern-emulator-')) : resolve(values.directory),
    protocol,
    tokenLifeSeconds: wholeNumber('--token-life', values['token-life'], 1, 2 ** 31),
    ports: {
      git: wholeNumber('--port', values.port, 0, 65_535),
      ssh: wholeNumber('--ssh-port', values['ssh-port'], 0, 65_535),
      sts: wholeNumber('--sts-port', values['sts-port'], 0, 65_535),
    },
  });
  if (sshKey !== undefined) emulator.ssh.users.set(fingerprintOf(sshKey), ['*']);
  if (record !== undefined) emulator.git.replay = new Replay(record);
  emulator.git.pats.add(PAT);
  emulator.git.basic.set(BASIC.user, BASIC.password);
  for (const { name } of REPOSITORIES) {
    if (emulator.repositoryExists(name)) emulator.git.rest.catalog.add(name);
    else await emulator.createRepository(name);
  }
  addNpm(emulator.git.feeds.add('contoso', 'tools', 'Payments'), 'left', '1.0.0');
  process.stdout.write(describe(emulator, values.replay));
  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    void emulator.stop();
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
}

/** @throws SyntaxError when the file holds no public key */
async function readPublicKey(file: string): Promise<Buffer> {
  const [type = '', blob = ''] = (await readFile(file, 'utf8')).trim().split(/\s+/);
  const key = Buffer.from(blob, 'base64');
  if (key.length < 4 || key.readUInt32BE(0) !== type.length || key.toString('latin1', 4, 4 + type.length) !== type)
    throw new SyntaxError(`${file} holds no public key of OpenSSH's form`);
  return key;
}

/** @throws RangeError when the text is no whole number in the range */
function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most)
    throw new RangeError(`${option} must be a whole number from ${least} to ${most}`);
  return value;
}

function describe(emulator: Emulator, replay: string | undefined): string {
  const { git, storage, ssh, sts, imds, proxy, az, azd, pwsh, appService, pipelines, caFile } = emulator;
  const { tenant, secretClient, certificateClient, federatedClient } = sts.samples;
  return `Azure DevOps and Entra, emulated. Stop with Ctrl-C.

Git hosts         ${git.origin}   (other hosts: ${git.origin}/git.example.com/...)
SSH host          ${ssh.origin}/v3/contoso/Payments/web   (RSA key ${ssh.fingerprint}; register yours with --ssh-key)
Sign-in service   ${sts.origin}
Metadata service  ${imds.origin}
Proxy (CONNECT)   ${proxy.origin}
Storage           ${storage.origin}
Fake az           ${az.directory}   (put it in front of PATH)
Fake azd, pwsh    ${azd.directory} ${pwsh.directory}
App Service       IDENTITY_ENDPOINT=${appService.endpoint} IDENTITY_HEADER=${appService.header}
Pipelines         SYSTEM_OIDCREQUESTURI=${pipelines.requestUri}
                  service connection ${pipelines.connection}, client ${pipelines.clientId}
Authority         ${caFile}
${replay === undefined ? '' : `Replay            ${replay}\n`}
Tenant            ${tenant}
Resource          ${AZURE_DEVOPS}
Client, secret    ${secretClient.clientId}   ${secretClient.secret}
Client, key file  ${certificateClient.clientId}   ${certificateClient.pemFile}
Client, federated ${federatedClient.clientId}   ${federatedClient.tokenFile}
People            ${[...sts.users.people.keys()].join(', ')}   (whoever opens the sign-in page, or waits for a code, is signed in)
PAT               ${PAT}
Basic             ${BASIC.user}:${BASIC.password}   (git.example.com)

Repositories
${REPOSITORIES.map(({ address }) => `  ${git.origin}${address}`).join('\n')}

REST API          ${git.origin}/contoso/_apis/projects
npm registry      ${git.origin}/pkgs.dev.azure.com/contoso/Payments/_packaging/tools/npm/registry/   (has left@1.0.0)

Repositories that show a fault: ${git.origin}/contoso/Payments/_git/NAME
${FAULT_KINDS.map((kind) => `  fault-${kind}`).join('\n')}

Configuration of the daemon (the secret is read from the environment: export EMULATOR_SECRET='${secretClient.secret}')

${configuration(emulator)}`;
}

function configuration(emulator: Emulator): string {
  const { proxy, sts, caFile } = emulator;
  const ca = JSON.stringify(caFile);
  return `identities:
  emulated:
    kind: client-secret
    tenant: ${sts.samples.tenant}
    clientId: ${sts.samples.secretClient.clientId}
    secret: { env: EMULATOR_SECRET }
    authority: ${sts.origin}
    ca: ${ca}
routes:
  - match: dev.azure.com/contoso/**
    identity: emulated
    allow: [fetch, push, lfs, api]
    # By the proxy, every real host of the emulator is reached: what answers name is on real hosts.
    proxy: ${proxy.origin}
    ca: ${ca}
`;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
