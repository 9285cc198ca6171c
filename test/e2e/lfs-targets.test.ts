/**
 * Promise: an upstream cannot lead the door to where it has no business, nor its token anywhere. The attack: a batch answer, or a redirect
 * of an object, that names the service where a cloud machine is told its secrets, this machine, a host of the private network (also by a
 * name that leads there), another scheme or another port.
 */
import { randomBytes } from 'node:crypto';
import { Agent } from 'node:http';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LfsAction } from '../azure/lfs-answers.js';
import { LfsStage, REPOSITORY } from '../support/lfs-stage.js';
import { LfsWire, messageOf } from '../support/lfs-wire.js';
import { sumOf } from '../support/noise.js';

/** Somebody on this machine, who must not be asked. */
let bystander: Server;
let bystanderPort = 0;
let visits = 0;
const agent = new Agent({ keepAlive: true, maxSockets: 4 });
let stage: LfsStage;

beforeAll(async () => {
  bystander = createServer((socket) => {
    visits += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => bystander.listen(0, '127.0.0.1', resolve));
  bystanderPort = (bystander.address() as AddressInfo).port; // because a TCP server has such an address
  stage = await LfsStage.open();
});
afterAll(async () => {
  agent.destroy();
  bystander.close();
  await stage.close();
});
beforeEach(() => {
  const { lfs, git, proxy, storage } = stage.scene.emulator;
  lfs.road = 'host';
  lfs.tamper = undefined;
  lfs.asksVerify = false;
  storage.base = STORAGE;
  storage.leadsTo = undefined;
  git.seen.length = 0;
  storage.seen.length = 0;
  proxy.targets.length = 0;
});
afterEach(() => {
  expect(visits).toBe(0);
  // Whatever is not on this machine is reached through the proxy: it was asked for the real hosts alone.
  const hosts = new Set(stage.scene.emulator.proxy.targets.map(({ target }) => target));
  for (const host of ['dev.azure.com:443', `${new URL(STORAGE).host}:443`]) hosts.delete(host);
  expect([...hosts]).toEqual([]);
  stage.expectNoWayPast();
});

const STORAGE = 'https://vsblobprodweu1.blob.core.windows.net';

interface BadTarget {
  readonly name: string;
  readonly base: () => string;
  readonly words: RegExp;
}

const nowhere = (host: string): RegExp =>
  new RegExp(
    `The upstream names ${host.replaceAll(/[.[\]]/g, '\\$&')} for this, which is neither one of its own hosts nor storage[^]*list ${host.replaceAll(/[.[\]]/g, '\\$&')} under`,
  );

/** Where it must not lead, and what is said. */
const BAD: readonly BadTarget[] = [
  { name: 'the metadata service', base: () => 'https://169.254.169.254', words: nowhere('169.254.169.254') },
  { name: 'the metadata service as a number', base: () => 'https://2852039166', words: nowhere('169.254.169.254') },
  { name: 'the metadata service in IPv6', base: () => 'https://[::ffff:169.254.169.254]', words: nowhere('[::ffff:a9fe:a9fe]') },
  { name: "Azure's own service for machines", base: () => 'https://168.63.129.16', words: nowhere('168.63.129.16') },
  { name: 'this machine by name', base: () => `https://localhost:${bystanderPort}`, words: /The upstream names localhost:\d+ for this/ },
  {
    name: 'this machine by address',
    base: () => `https://127.0.0.1:${bystanderPort}`,
    words: /The upstream names 127\.0\.0\.1:\d+ for this/,
  },
  {
    name: 'this machine by another spelling',
    base: () => `https://0x7f.1:${bystanderPort}`,
    words: /The upstream names 127\.0\.0\.1:\d+ for this/,
  },
  { name: 'a private address', base: () => 'https://10.0.0.5', words: nowhere('10.0.0.5') },
  { name: 'a host of the private network', base: () => 'https://build.corp.example', words: nowhere('build.corp.example') },
  {
    name: 'a host with the name of storage at its beginning',
    base: () => `${STORAGE}.evil.example`,
    words: nowhere('vsblobprodweu1.blob.core.windows.net.evil.example'),
  },
  { name: 'plain http', base: () => STORAGE.replace('https:', 'http:'), words: /that begins with http:, and only https is followed/ },
  { name: 'plain http on this machine', base: () => `http://127.0.0.1:${bystanderPort}`, words: /that begins with http:, and only https/ },
  { name: 'a file', base: () => 'file:///etc/passwd?', words: /that begins with file:, and only https is followed/ },
  { name: 'another port of storage', base: () => `${STORAGE}:8443`, words: nowhere('vsblobprodweu1.blob.core.windows.net:8443') },
  { name: 'another port of the upstream', base: () => 'https://dev.azure.com:8443', words: nowhere('dev.azure.com:8443') },
  {
    name: 'a user name before the host',
    base: () => 'https://dev.azure.com@169.254.169.254',
    words: /on 169\.254\.169\.254 with a user name in it/,
  },
  {
    name: 'another organisation',
    base: () => 'https://dev.azure.com/fabrikam/x/_git/y/info/lfs',
    words: /of another organisation, fabrikam/,
  },
  {
    name: 'the REST API',
    base: () => 'https://dev.azure.com/contoso/_apis/tokens/pats?',
    words: /of its own for an object that is none of LFS/,
  },
  { name: 'no address', base: () => 'nonsense', words: /The upstream names an address that is none/ },
];

/** Puts an address of a base into an action. */
function leadTo(action: LfsAction, base: string): LfsAction {
  return { ...action, href: `${base}/object` };
}

describe('a batch answer that names', () => {
  test('what it must not, has git-lfs show why for each object, and the others arrive', async () => {
    const { lfs, git } = stage.scene.emulator;
    const clone = await stage.topic('targets');
    const sums = new Map<string, string>();
    for (const [index] of [...BAD, 'good', 'good'].entries()) {
      const file = join(clone, `part-${index}.bin`);
      await writeFile(file, randomBytes(700 + index));
      sums.set(`part-${index}.bin`, await sumOf(file));
    }
    const oids = [...sums.values()];
    await stage.commit(clone, 'Add files');

    lfs.tamper = (action, name, oid) => {
      const bad = BAD[oids.indexOf(oid)];
      return name === 'upload' && bad !== undefined ? leadTo(action, bad.base()) : action;
    };
    const pushed = await stage.git(['push', 'origin', 'targets'], { cwd: clone });
    expect(pushed.code).not.toBe(0);
    for (const [index, { words, name }] of BAD.entries()) expect(toldOf(oids[index], pushed.stderr), name).toMatch(words);
    const arrived = await Promise.all(oids.map((oid) => lfs.transfers.sizeOf(REPOSITORY, oid)));
    expect(arrived).toEqual([...BAD.map(() => undefined), 700 + BAD.length, 701 + BAD.length]);

    lfs.tamper = undefined;
    await stage.told(['push', '-q', 'origin', 'targets'], { cwd: clone });
    lfs.tamper = (action, _, oid) => {
      const bad = BAD[oids.indexOf(oid)];
      return bad === undefined ? action : leadTo(action, bad.base());
    };
    const other = await stage.clone({ branch: 'targets', pointersOnly: true });
    const pulled = await stage.git(['lfs', 'pull'], { cwd: other });
    expect(pulled.code).not.toBe(0);
    for (const [index, { words, name }] of BAD.entries()) expect(toldOf(oids[index], pulled.stderr), name).toMatch(words);
    for (const index of [BAD.length, BAD.length + 1]) expect(await sumOf(join(other, `part-${index}.bin`))).toBe(oids[index]);
    // Nothing was asked of the upstream but what its own answers may name.
    expect(git.seen.filter(({ url }) => /fabrikam|_apis|passwd/.test(url))).toEqual([]);
    expect(pulled.stderr).not.toContain('/object');
  });
});

/** What git-lfs says of one object: from its id to that of the next. */
function toldOf(oid: string | undefined, stderr: string): string {
  return stderr.split(/(?=\[[0-9a-f]{64}\])/).find((part) => part.startsWith(`[${oid ?? ''}]`)) ?? `nothing of ${oid ?? ''} in ${stderr}`;
}

describe('a redirect of an object', () => {
  test.each(BAD.filter(({ base }) => URL.canParse(base())))('to $name leads nowhere, and is told', async ({ base, words }) => {
    const { lfs, storage } = stage.scene.emulator;
    const oid = await lfs.transfers.put(REPOSITORY, randomBytes(100));
    const client = new LfsWire(stage.daemon.url('dev.azure.com/contoso/Payments/_git/web'), { agent });
    const href = await client.address('download', oid);
    lfs.road = 'redirect';
    storage.base = base();
    const answer = await client.send(href);
    expect([answer.status, answer.headers.location]).toEqual([502, undefined]);
    expect(messageOf(answer)).toMatch(words);
  });

  test('to storage is an address of the door, which is good for that object alone', async () => {
    const { lfs, storage } = stage.scene.emulator;
    const content = randomBytes(100);
    const oid = await lfs.transfers.put(REPOSITORY, content);
    const client = new LfsWire(stage.daemon.url('dev.azure.com/contoso/Payments/_git/web'), { agent });
    const href = await client.address('download', oid);
    lfs.road = 'redirect';
    const { status, headers } = await client.send(href);
    expect(status).toBe(302);
    const next = headers.location ?? '';
    expect(next.startsWith(`${stage.daemon.base}/dev.azure.com/contoso/Payments/_git/web.git/info/lfs/objects/${oid}?postern-to=`)).toBe(
      true,
    );
    expect((await client.send(next)).body.equals(content)).toBe(true);
    expect((await client.send(next.replace(oid, 'b'.repeat(64)))).status).toBe(403);
    expect(storage.seen.map(({ method, authorization }) => `${method} ${authorization}`)).toEqual(['GET none']);
  });
});

describe('a redirect of a storage', () => {
  test('back to the upstream, with another object than was asked for, is not followed: our token would go with it', async () => {
    const { git, lfs, storage } = stage.scene.emulator;
    await stage.scene.emulator.createRepository('contoso/payments/secret');
    const hidden = await lfs.transfers.put('contoso/payments/secret', randomBytes(100));
    const oid = await lfs.transfers.put(REPOSITORY, randomBytes(100));
    const client = new LfsWire(stage.daemon.url('dev.azure.com/contoso/Payments/_git/web'), { agent });
    lfs.road = 'storage';
    const href = await client.address('download', oid);
    git.seen.length = 0;
    storage.leadsTo = `https://dev.azure.com/contoso/Payments/_git/secret/info/lfs/objects/${hidden}`;
    const answer = await client.send(href);
    expect([answer.status, answer.headers.location]).toEqual([502, undefined]);
    expect(messageOf(answer)).toContain('The storage leads back to the upstream, which is not followed');
    expect(git.seen).toEqual([]);
  });
});

describe('a host of lfs.hosts', () => {
  test('is reached where it is, without a token, until it is no longer listed', async () => {
    const { lfs, proxy, storage, sts } = stage.scene.emulator;
    const content = randomBytes(100);
    const oid = await lfs.transfers.put(REPOSITORY, content);
    const client = new LfsWire(stage.daemon.url('dev.azure.com/contoso/Payments/_git/web'), { agent });
    lfs.road = 'storage';
    storage.base = storage.origin;
    expect(JSON.stringify(await client.objects('download', [oid]))).toContain(`list 127.0.0.1:${storage.port} under`);

    await stage.reconfigure(`${stage.configuration}lfs: { hosts: ["127.0.0.1:${storage.port}"] }\n`);
    // An upstream that says our token back, for the storage to see.
    lfs.tamper = (action) => ({ ...action, header: { Authorization: `Bearer ${sts.tokens().at(-1) ?? ''}` } });
    const href = await client.address('download', oid);
    const answer = await client.send(href);
    expect([answer.status, answer.body.equals(content)]).toEqual([200, true]);
    expect(storage.seen.map(({ host, authorization }) => `${host} ${authorization}`)).toEqual(['127.0.0.1 none']);
    const [token] = sts.tokens();
    expect(token).toBeDefined();
    expect(JSON.stringify(storage.seen)).not.toContain(token);

    await stage.reconfigure(stage.configuration);
    const late = await client.send(href);
    expect([late.status, messageOf(late)]).toEqual([403, expect.stringContaining(`list 127.0.0.1:${storage.port} under`) as string]);
    expect(storage.seen).toHaveLength(1);
    expect(proxy.targets.map(({ target }) => target).filter((target) => !target.startsWith('dev.azure.com:'))).toEqual([
      `127.0.0.1:${storage.port}`,
    ]);
    proxy.targets.length = 0;
  });
});

describe('a name of storage that leads into the network of the door', () => {
  /** The daemon finds names in a file of its own, and dials by itself. */
  const HOSTS = [
    ['127.0.0.1', 'localhost'],
    ['127.0.0.1', 'loopback.blob.core.windows.net'],
    ['::1', 'loopback6.blob.core.windows.net'],
    ['169.254.169.254', 'metadata.blob.core.windows.net'],
    ['10.1.2.3', 'private.blob.core.windows.net'],
    ['fd00::1', 'unique-local.blob.core.windows.net'],
    ['::ffff:127.0.0.1', 'mapped.blob.core.windows.net'],
  ] as const;
  let direct: LfsStage;

  beforeAll(async () => {
    direct = await LfsStage.open({
      identities: (scene) => [`sp: ${scene.servicePrincipal}`, 'own: { kind: passthrough }'],
      routes: ({ emulator }) =>
        [
          ['dev.azure.com/contoso/Payments/web', 'sp'],
          ['dev.azure.com/contoso/Payments/open', 'own'],
        ].map(
          ([match, identity]) => `- { match: ${match}, identity: ${identity}, upstream: '${emulator.git.origin}', ca: ${emulator.caFile} }`,
        ),
      settings: ({ emulator }) => [
        `lfs: { hosts: ["private.blob.core.windows.net:${emulator.storage.port}", "loopback.blob.core.windows.net:${emulator.storage.port}"] }`,
      ],
      through: async (scene) => {
        const hosts = await scene.writeFile('hosts', HOSTS.map((row) => `${row.join(' ')}\n`).join(''));
        const script = await scene.writeFile('with-hosts.sh', `mount --bind '${hosts}' /etc/hosts && exec "$@"\n`);
        return ['unshare', '-Urm', 'sh', script];
      },
    });
  });
  afterAll(() => direct.close());
  beforeEach(() => {
    const { lfs, storage } = direct.scene.emulator;
    lfs.road = 'host';
    lfs.tamper = undefined;
    storage.seen.length = 0;
  });
  afterEach(() => direct.expectNoWayPast());

  test.each(HOSTS.slice(1))('%s, as %s, is refused before a connection is made', async (_, host) => {
    const { lfs, storage } = direct.scene.emulator;
    const oid = await lfs.transfers.put(REPOSITORY, randomBytes(100));
    lfs.road = 'storage';
    storage.base = `https://${host}`;
    const client = new LfsWire(direct.daemon.url('dev.azure.com/contoso/Payments/_git/web'), { agent });
    const answer = await client.send(await client.address('download', oid));
    expect(messageOf(answer)).toContain(`The upstream names ${host} for this, which leads to a private address`);
    expect(messageOf(answer)).toContain(`list ${host} under \`lfs: { hosts: [...] }\``);
    expect(answer.status).toBe(502);
    expect(storage.seen).toEqual([]);
  });

  test('has git-lfs show why for the object, and the others arrive', async () => {
    const { lfs, storage } = direct.scene.emulator;
    const clone = await direct.topic('names');
    const oids: string[] = [];
    for (const name of ['a', 'b', 'c']) {
      await writeFile(join(clone, `${name}.bin`), randomBytes(500));
      oids.push(await sumOf(join(clone, `${name}.bin`)));
    }
    await direct.commit(clone, 'Add files');
    const [, bad = ''] = oids;
    lfs.tamper = (action, _, oid) => (oid === bad ? leadTo(action, 'https://metadata.blob.core.windows.net') : action);
    const why = `postern: The upstream names metadata.blob.core.windows.net for this, which leads to a private address, one of this machine, or one of its cloud's own services; LFS object ${bad.slice(0, 10)}`;
    const pushed = await direct.git(['push', 'origin', 'names'], { cwd: clone });
    expect(pushed.code).not.toBe(0);
    expect(pushed.stderr).toContain(why);
    expect(await Promise.all(oids.map((oid) => lfs.transfers.sizeOf(REPOSITORY, oid)))).toEqual([500, undefined, 500]);

    await lfs.transfers.put(REPOSITORY, await readFile(join(clone, 'b.bin')));
    await direct.told(['push', '--no-verify', '-q', 'origin', 'names'], { cwd: clone });
    const other = await direct.clone({ branch: 'names', pointersOnly: true });
    const pulled = await direct.git(['lfs', 'pull'], { cwd: other });
    expect(pulled.code).not.toBe(0);
    expect(pulled.stderr).toContain(why);
    expect([await sumOf(join(other, 'a.bin')), await sumOf(join(other, 'c.bin'))]).toEqual([oids[0], oids[2]]);
    expect(storage.seen).toEqual([]);
  });

  test('is reached where lfs.hosts has it', async () => {
    const { lfs, storage } = direct.scene.emulator;
    const content = randomBytes(100);
    const oid = await lfs.transfers.put(REPOSITORY, content);
    lfs.road = 'storage';
    storage.base = `https://loopback.blob.core.windows.net:${storage.port}`;
    const client = new LfsWire(direct.daemon.url('dev.azure.com/contoso/Payments/_git/web'), { agent });
    const answer = await client.send(await client.address('download', oid));
    expect(answer.body.equals(content)).toBe(true);
    expect(storage.seen.splice(0).map(({ host, authorization }) => `${host} ${authorization}`)).toEqual([
      'loopback.blob.core.windows.net none',
    ]);
  });

  test("and the caller's own credential, where that goes upstream, does not go there either", async () => {
    const { emulator } = direct.scene;
    await emulator.createRepository('contoso/payments/open');
    const content = randomBytes(100);
    const oid = await emulator.lfs.transfers.put('contoso/payments/open', content);
    emulator.lfs.road = 'storage';
    emulator.storage.base = `https://loopback.blob.core.windows.net:${emulator.storage.port}`;
    const authorization = `Bearer ${emulator.sts.issue()}`;
    const client = new LfsWire(direct.daemon.url('dev.azure.com/contoso/Payments/_git/open'), { agent, authorization });
    const answer = await client.send(await client.address('download', oid));
    expect(answer.body.equals(content)).toBe(true);
    expect(emulator.git.seen.at(-1)).toMatchObject({ authorization: 'bearer', status: 200 });
    expect(emulator.storage.seen.map(({ host, authorization: sent }) => `${host} ${sent}`)).toEqual([
      'loopback.blob.core.windows.net none',
    ]);
  });
});
