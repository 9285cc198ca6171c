/**
 * The law of the house, as tables. A breach names the file and what it does; the tables say who may do what, and why.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { describe, expect, it } from 'vitest';
import { breachesOf, type HouseLaw, type Tree } from './support/house-law.js';

const ROOT = join(import.meta.dirname, '..');

const LAW: HouseLaw = {
  floors: {
    cli: 5,
    daemon: 4,
    http: 3,
    ssh: 3,
    telemetry: 3,
    upstream: 2,
    gate: 1,
    identity: 1,
    hosts: 1,
    git: 1,
    config: 1,
    store: 1,
    model: 0,
  },
  packages: {
    'http-proxy': { files: ['http/proxying.ts'] },
    '@azure/identity': { files: ['identity/entra-source.ts'] },
    '@azure/msal-node': { files: ['identity/person-client.ts'] },
    // Comes with @azure/identity and is no dependency of ours: nothing of it may be there when the program runs.
    '@azure/core-rest-pipeline': { files: ['identity/entra-http.ts'], typesOnly: true },
    'node-cache': { files: ['identity/vault-entries.ts'] },
    winston: { files: ['daemon/log.ts'] },
    yargs: { files: ['cli/postern.ts', 'cli/tree/words.ts'] },
    zod: { files: ['config/schema-parts.ts'] },
    yaml: { files: ['config/settings-source.ts', 'config/write-settings.ts'] },
    '@inquirer/confirm': { files: ['cli/first-run/terminal-asker.ts'] },
    '@inquirer/input': { files: ['cli/first-run/terminal-asker.ts'] },
    '@inquirer/select': { files: ['cli/first-run/terminal-asker.ts'] },
    '@peculiar/x509': { files: ['store/door-authority.ts'] },
    // The library above needs it first.
    'reflect-metadata': { files: ['store/door-authority.ts'] },
    ssh2: { files: ['ssh/server.ts', 'ssh/client.ts'] },
    'prom-client': { files: ['telemetry/metrics.ts'] },
  },
  ioModules: ['fs', 'net', 'tls', 'dgram', 'dns', 'http', 'https', 'http2', 'child_process', 'worker_threads', 'cluster', 'process', 'os'],
  printers: ['cli/print.ts', 'cli/screen.ts', 'daemon/log.ts'],
  revealers: [
    'cli/code-page.ts', // writes the code of the status page into a file of its user's
    'cli/commands/lease.ts', // prints the lease that was asked for
    'daemon/identity-actions.ts', // hands a new sign-in to the daemon to be kept, over the admin socket
    'daemon/lease-actions.ts', // hands a lease to the daemon to be judged, over the admin socket
    'daemon/lease-desk.ts', // hands a new lease to the command line, over the admin socket
    'daemon/page-actions.ts', // hands the code of the status page to the command line, over the admin socket
    'daemon/pat-actions.ts', // hands a new personal access token to the command line, over the admin socket
    'gate/onward-seal.ts', // a key of leases, to derive another one from
    'gate/lease-seal.ts', // the key of the HMAC, and the lease that is narrowed
    'gate/lease-verifier.ts', // takes a lease apart
    'http/door-listener.ts', // hands the key of the door's certificate to TLS
    'http/status-page.ts', // hands a session to a browser
    'identity/entra-source.ts', // hands a client secret to the library that sends it
    'identity/git-credential.ts', // tells git's helpers whether what they gave was good
    'identity/pat-shape.ts', // looks whether a text has the form of a personal access token
    'identity/pipeline-token.ts', // reads when a job's token ends
    'http/lfs/batch.ts', // gives a caller its own lease back, beside the address that it is for
    'identity/login-record.ts', // takes apart what a sign-in left, for the library that sends it
    'identity/purpose.ts', // reads what a token says of itself
    'identity/secret-reader.ts', // looks whether a variable was empty
    'ssh/lfs-guide.ts', // writes the lease that git-lfs is told to show
    'ssh/server.ts', // hands the door's own key to SSH
    'store/desktop-keyring.ts', // hands a new key to the keyring, on the input of a process
    'store/given-lease-keys.ts', // reads the lines of keys
    'store/lease-keys.ts', // writes the file of keys
    'store/login-file.ts', // seals a sign-in
    'store/login-key.ts', // derives the key from what the keyring holds
    'upstream/authorization.ts', // the Authorization header: the last line before the wire
  ],
  makers: [
    'cli/commands/exec.ts Daemon', // as start, for as long as a command runs
    'cli/commands/route.ts RouteTable', // explains a route without a daemon
    'cli/commands/audit-why.ts RouteTable', // asks the gate again without a daemon
    'cli/commands/audit-why.ts FileLeaseKeys', // whether the key of a lease is still there
    'cli/commands/audit-why.ts FileLeaseRegister', // whether a lease was revoked meanwhile
    'cli/commands/audit-why.ts SharedRevocations', // the same, at another daemon
    'cli/commands/start.ts Daemon', // the daemon is what start makes
    // A part of what assemble.ts joins, on a page of its own.
    'daemon/assemble-audit.ts AuditWriter',
    'daemon/assemble-leases.ts FileLeaseKeys',
    'daemon/assemble-leases.ts FileLeaseRegister',
    'daemon/assemble-leases.ts GivenLeaseKeys',
    'daemon/assemble-leases.ts SharedRevocations',
  ],
  assembler: 'daemon/assemble.ts',
  pureRooms: ['model', 'git'],
  mostLines: 350,
};

function readTree(root: string): Tree {
  const names = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return new Map(names.map((name) => [name.split(sep).join('/'), readFileSync(join(root, name), 'utf8')]));
}

describe('the law of the house', () => {
  it('is kept by every file of src', () => {
    const tree = readTree(join(ROOT, 'src'));
    expect(tree.size).toBeGreaterThan(80);
    expect(breachesOf(tree, LAW)).toEqual([]);
  });

  it('names every package that the program needs when it runs', () => {
    const { dependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { dependencies: Record<string, string> };
    const listed = Object.entries(LAW.packages).flatMap(([name, { typesOnly }]) => (typesOnly === true ? [] : [name]));
    expect(Object.keys(dependencies).sort()).toEqual(listed.sort());
  });

  it('gives each package to one room', () => {
    for (const [name, { files }] of Object.entries(LAW.packages))
      expect(new Set(files.map((file) => file.split('/')[0])).size, name).toBe(1);
  });
});

describe('breachesOf()', () => {
  /** A law for made-up trees: three floors, and one file for everything that only some may do. */
  const law: HouseLaw = {
    floors: { top: 2, left: 1, right: 1, model: 0 },
    packages: {
      'some-package': { files: ['left/ok.ts'], isPlanned: true },
      '@own/types': { files: ['left/ok.ts'], typesOnly: true, isPlanned: true },
    },
    ioModules: ['fs', 'net'],
    printers: ['left/ok.ts'],
    revealers: [],
    makers: [],
    assembler: 'top/assemble.ts',
    pureRooms: ['model'],
    mostLines: 5,
  };
  const BASE = {
    'model/noun.ts': 'export type Noun = 1;\nexport class Value {}\n',
    'left/part.ts': "import type { Noun } from '../model/noun.js';\nexport class Part { noun: Noun = 1 }\n",
    'top/assemble.ts': "import { Part } from '../left/part.js';\nexport const part = new Part();\n",
  };

  it('finds nothing in a lawful tree', () => {
    expect(breachesOf(new Map(Object.entries(BASE)), law)).toEqual([]);
  });

  it.each<[file: string, text: string, breach: string]>([
    ['right/a.ts', "import { Part } from '../left/part.js';", 'right/a.ts: imports left/part.ts: right is on floor 1, left on floor 1'],
    ['left/a.ts', "import type { x } from '../top/assemble.js';", 'left/a.ts: imports top/assemble.ts: left is on floor 1, top on floor 2'],
    ['model/a.ts', "export * from '../left/part.js';", 'model/a.ts: imports left/part.ts: model is on floor 0, left on floor 1'],
    ['model/a.ts', "await import('../left/part.js');", 'model/a.ts: imports left/part.ts: model is on floor 0, left on floor 1'],
    ['model/a.ts', "type X = import('../left/part.js').Part;", 'model/a.ts: imports left/part.ts: model is on floor 0, left on floor 1'],
    ['left/sub/a.ts', "import '../../right/none.js';", 'left/sub/a.ts: imports ../../right/none.js, which is not there'],
    ['model/a.ts', "import { readFile } from 'node:fs/promises';", 'model/a.ts: imports node:fs/promises: model does no I/O'],
    ['model/a.ts', "import type { Socket } from 'node:net';", 'model/a.ts: imports node:net: model does no I/O'],
    ['left/a.ts', "import x from 'other-package/part';", 'left/a.ts: imports the package other-package, which is in no table'],
    ['left/a.ts', "import x from 'constructor';", 'left/a.ts: imports the package constructor, which is in no table'],
    ['left/a.ts', 'await import(name);', 'left/a.ts: imports the package a computed name, which is in no table'],
    ['left/a.ts', "import type x from 'some-package';", 'left/a.ts: imports the package some-package, which is for left/ok.ts'],
    ['left/ok.ts', "import { x } from '@own/types/sub';", 'left/ok.ts: imports more than types of @own/types'],
    ['left/a.ts', "console.log('x');", 'left/a.ts: uses console'],
    ['left/a.ts', "globalThis.console.log('x');", 'left/a.ts: uses console'],
    ['left/a.ts', "process.stdout.write('x');", 'left/a.ts: uses process.stdout'],
    ['left/a.ts', 'const out = process.stderr;', 'left/a.ts: uses process.stderr'],
    ['left/a.ts', 'secret?.reveal();', 'left/a.ts: calls reveal()'],
    ['top/a.ts', "import { Part } from '../left/part.js';\nnew Part();", 'top/a.ts: makes a Part of the room left'],
    ['left/a.ts', '1;\n2;\n3;\n4;\n5;\n6;\n', 'left/a.ts: has 6 lines, more than 5'],
    ['cellar/a.ts', '', 'cellar/a.ts: the room cellar has no floor'],
    ['a.ts', '', 'a.ts: stands in no room'],
    ['left/a.ts', "import './a.js';", 'left/a.ts: imports itself by left/a.ts -> left/a.ts'],
  ])('tells that %s breaks the law with %s', (file, text, breach) => {
    expect(breachesOf(new Map(Object.entries({ ...BASE, [file]: text })), law)).toEqual([breach]);
  });

  it('tells a cycle of types between files of one room', () => {
    const tree = {
      'left/a.ts': "import './b.js';",
      'left/b.ts': "import type { x } from './c.js';",
      'left/c.ts': "export * from './a.js';",
    };
    expect(breachesOf(new Map(Object.entries(tree)), law)).toEqual([
      'left/a.ts: imports itself by left/a.ts -> left/b.ts -> left/c.ts -> left/a.ts',
    ]);
  });

  it.each<[text: string]>([
    ["import { Value } from '../model/noun.js';\nnew Value();"],
    ["import type { x } from '@own/types';\nimport y from 'some-package/part.js';"],
    ['process.stdout.write(String(process.stdout.isTTY));'],
    ['// console.log(process.stdout)\nconst text = "console.log secret.reveal()";\nthis.console = { console: 1 };'],
    ["import { readFile } from 'node:fs';"],
  ])('lets a file do what is its own: %s', (text) => {
    expect(breachesOf(new Map(Object.entries({ ...BASE, 'left/ok.ts': text })), law)).toEqual([]);
  });

  it('lets every file ask what the terminal is', () => {
    const tree = { ...BASE, 'left/a.ts': 'const width = process.stdout.columns;\nprocess.stderr.isTTY;' };
    expect(breachesOf(new Map(Object.entries(tree)), law)).toEqual([]);
  });

  it('tells rows of its tables that nothing needs any more', () => {
    const stale: HouseLaw = {
      ...law,
      packages: { 'some-package': { files: ['left/part.ts'] } },
      revealers: ['left/part.ts'],
      makers: ['left/part.ts Other'],
    };
    expect(breachesOf(new Map(Object.entries(BASE)), stale)).toEqual([
      'left/part.ts: does not import some-package, as the table says',
      'left/part.ts: does not call reveal(), as the table says',
      'left/part.ts: does not make left/part.ts Other, as the table says',
    ]);
  });
});
