import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { checkFiles } from '../../../src/config/check-files.js';
import { load, newFolder } from './loading.js';

function configuration(folder: string): string {
  return `identities:
  cert: { kind: client-certificate, tenant: t, clientId: c, certificate: ${folder}/cert.pem, ca: ${folder}/ca.pem }
  pod: { kind: workload-identity, tokenFile: ${folder}/token }
  file: { kind: pat, secret: { file: ${folder}/secret } }
  env: { kind: pat, secret: { env: TFS_PAT } }
  word: { kind: pat, secret: { command: [postern-test-program] } }
  path: { kind: pat, secret: { command: [${folder}/program] } }
  unit: { kind: basic, user: u, secret: { credential: tfs-pat } }
routes:
  - { match: a/**, identity: cert, ca: ${folder}/folder }
  - { match: b/**, identity: pod }
  - { match: c/**, identity: file }
  - { match: d/**, identity: env }
  - { match: e/**, identity: word }
  - { match: f/**, identity: path }
  - { match: g/**, identity: unit }
`;
}

it('checkFiles() gathers all that is missing, each with its place', async () => {
  const folder = newFolder();
  mkdirSync(join(folder, 'folder'));
  const lines = await checkFiles(await load(configuration(folder)), {});
  const places = lines.map((line) => line.replaceAll(folder, '/X').replace(/^(F:\d+):\d+/, '$1'));
  expect(places).toEqual([
    'F:2: identities.cert.certificate: `/X/cert.pem` does not exist; create it, or correct the path',
    'F:2: identities.cert.ca: `/X/ca.pem` does not exist; create it, or correct the path',
    'F:3: identities.pod.tokenFile: `/X/token` does not exist; create it, or correct the path',
    'F:4: identities.file.secret: the file does not exist; create it, or correct the path',
    'F:5: identities.env.secret: the variable is not set; set it in the environment of the service',
    'F:6: identities.word.secret: the program is not on the PATH of the service; install it, or write its whole path',
    'F:7: identities.path.secret: the program does not exist or may not be run; correct its path or its rights',
    'F:8: identities.unit.secret: CREDENTIALS_DIRECTORY is not set; run as a systemd service with LoadCredential=, or use another form',
    'F:10: routes[0].ca: `/X/folder` is a directory; name the file in it',
  ]);
});

it('checkFiles() finds nothing wrong when all is there', async () => {
  const folder = newFolder();
  for (const name of ['cert.pem', 'ca.pem', 'token', 'secret', 'folder', 'tfs-pat', 'program', 'postern-test-program'])
    writeFileSync(join(folder, name), 'x');
  for (const name of ['program', 'postern-test-program']) chmodSync(join(folder, name), 0o755);
  const environment = { TFS_PAT: 'x', CREDENTIALS_DIRECTORY: folder, PATH: `/nowhere:${folder}` };
  expect(await checkFiles(await load(configuration(folder)), environment)).toEqual([]);
});

it('checkFiles() refuses a program that may not be run, an empty variable and an absent credential', async () => {
  const folder = newFolder();
  for (const name of ['cert.pem', 'ca.pem', 'token', 'secret', 'folder', 'program']) writeFileSync(join(folder, name), 'x');
  mkdirSync(join(folder, 'postern-test-program'));
  const lines = await checkFiles(await load(configuration(folder)), { TFS_PAT: '', CREDENTIALS_DIRECTORY: folder, PATH: folder });
  expect(lines.map((line) => line.replace(/^.*?: /, ''))).toEqual([
    'identities.env.secret: the variable is not set; set it in the environment of the service',
    'identities.word.secret: the program is not on the PATH of the service; install it, or write its whole path',
    'identities.path.secret: the program does not exist or may not be run; correct its path or its rights',
    'identities.unit.secret: the credential does not exist; add LoadCredential= to the service',
  ]);
});
