/** The keyring of the desktop, with packages of the same face in the place of the real one, and the real one where nothing answers. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Secret } from '../../../src/model/secret.js';
import { desktopKeyring } from '../../../src/store/desktop-keyring.js';

/** Long enough for a process to start on a busy machine. */
const PATIENT_MS = 30_000;
const SESSION = { PATH: process.env['PATH'], DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere', SP_SECRET: 'not for others' };

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'postern-keyring-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** A package whose entry keeps its password in a file; `constructor` runs first. */
async function library(constructor = ''): Promise<string> {
  const file = join(root, 'library.mjs');
  await writeFile(
    file,
    `import { existsSync, readFileSync, writeFileSync } from 'node:fs';
export class Entry {
  constructor(...words) {
    writeFileSync(${JSON.stringify(join(root, 'asked'))}, JSON.stringify({ words, environment: Object.keys(process.env), argv: process.argv }));
    ${constructor}
  }
  getPassword() { return existsSync(${JSON.stringify(join(root, 'held'))}) ? readFileSync(${JSON.stringify(join(root, 'held'))}, 'utf8') : null; }
  setPassword(text) { writeFileSync(${JSON.stringify(join(root, 'held'))}, text); }
}
`,
  );
  return file;
}

const ask = async (
  options: { library?: string; environment?: Record<string, string | undefined>; timeoutMs?: number; candidate?: string } = {},
) => {
  const { environment = SESSION, timeoutMs = PATIENT_MS, candidate } = options;
  const keyring = desktopKeyring({ environment, timeoutMs, library: options.library ?? (await library()) });
  return (await keyring.key(candidate === undefined ? undefined : new Secret(candidate)))?.reveal();
};

describe('desktopKeyring()', () => {
  it('gives what the keyring holds, and puts there what is to be there from then on', async () => {
    expect(await ask()).toBeUndefined();
    expect(await ask({ candidate: 'the first' })).toBe('the first');
    expect(await ask({ candidate: 'the second' })).toBe('the first');
    expect(await ask()).toBe('the first');
  });

  it('names the store that outlasts a restart, and hands over no secret but on the input', async () => {
    await ask({ candidate: 'the key itself' });
    const asked = JSON.parse(await readFile(join(root, 'asked'), 'utf8')) as { words: unknown[]; environment: string[]; argv: string[] };
    expect(asked.words).toEqual(['postern', 'login-key', { linux: { store: 'secret-service' } }]);
    expect(asked.environment.sort()).toEqual(['DBUS_SESSION_BUS_ADDRESS', 'PATH']);
    expect(JSON.stringify(asked)).not.toContain('the key itself');
  });

  it.each([
    ['throws', "throw new Error('locked');"],
    ['ends the process', 'process.abort();'],
    ['prints nonsense without end', "for (;;) process.stdout.write('x'.repeat(65536));"],
  ])('does without a package that %s', async (_, constructor) => {
    expect(await ask({ library: await library(constructor) })).toBeUndefined();
  });

  it('does without one that blocks, and leaves no process behind', async () => {
    const startedAt = performance.now();
    expect(await ask({ library: await library('for (;;);'), timeoutMs: 1_000 })).toBeUndefined();
    expect(performance.now() - startedAt).toBeLessThan(PATIENT_MS);
  });

  it('starts no process where there is no session, or no package', async () => {
    const broken = await library('process.abort();');
    expect(await ask({ library: broken, environment: { PATH: process.env['PATH'] } })).toBeUndefined();
    expect(await ask({ library: broken, environment: { XDG_RUNTIME_DIR: root } })).toBeUndefined();
    await expect(readFile(join(root, 'asked'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await ask({ library: join(root, 'none.mjs') })).toBeUndefined();
  });

  it('asks the real package, which gives none where no bus is, and may not hang where one is silent', async () => {
    const real = (address: string, timeoutMs: number) =>
      desktopKeyring({ environment: { ...SESSION, DBUS_SESSION_BUS_ADDRESS: address }, timeoutMs }).key(new Secret('c'.repeat(44)));
    expect(await real('unix:path=/nowhere', PATIENT_MS)).toBeUndefined();
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(join(root, 'bus'), resolve));
    const sockets = new Set<{ destroy: () => void }>();
    silent.on('connection', (socket) => sockets.add(socket));
    expect(await real(`unix:path=${join(root, 'bus')}`, 2_000)).toBeUndefined();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => silent.close(resolve));
  });
});
