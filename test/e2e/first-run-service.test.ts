/**
 * `postern setup` whose answer is a service, on a Debian that has booted, as an ordinary user of it: the units are installed, the daemon is
 * waited for, somebody signs in, git is pointed at the door, and a clone works, also after the shell has gone. It needs root, which alone
 * can boot a systemd.
 */
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Ran } from '../support/scene.js';
import { SystemdStage } from '../support/systemd-stage.js';
import { KEYS, type Terminal } from '../support/terminal.js';

const IS_ROOT = process.getuid?.() === 0;
const STAGE_MS = 300_000;
const WEB = 'https://dev.azure.com/contoso/Payments/_git/web';

describe.skipIf(!IS_ROOT)(`setup as a service${IS_ROOT ? '' : ': skipped, only root boots a systemd'}`, () => {
  let stage: SystemdStage;
  let terminal: Terminal | undefined;
  let env: Record<string, string>;

  beforeAll(async () => {
    stage = await SystemdStage.boot('bookworm');
    const said = await stage.startEmulator('--directory', stage.azure);
    const proxy = /^Proxy \(CONNECT\) +(\S+)$/m.exec(said)?.[1] ?? '';
    // As behind a company's proxy, with its CA: the shell has it, and so have the services of the user.
    env = { HTTPS_PROXY: proxy, NO_PROXY: 'localhost,127.0.0.1,::1', NODE_EXTRA_CA_CERTS: '/azure/ca.pem', GIT_TERMINAL_PROMPT: '0' };
    await stage.systemctl('dev', 'set-environment', ...Object.entries(env).map(([name, value]) => `${name}=${value}`));
  }, STAGE_MS);
  // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- because booting may have failed
  afterAll(() => stage?.close());
  afterEach(async () => {
    await terminal?.close();
    terminal = undefined;
  });

  const postern = (...words: readonly string[]): Promise<Ran> => stage.run('dev', 'postern', words, { env });

  it('interactive', async () => {
    terminal = stage.terminal('dev', 'postern', ['setup'], { env, rows: 60, columns: 100 });
    await terminal.answer(/organisations at/, `contoso${KEYS.enter}`);
    console.log(await terminal.shows(/How do you sign in/)); terminal.press(KEYS.enter);
    await terminal.answer(/SSH remotes too/, KEYS.enter);
    console.log(await terminal.shows(/service of yours/)); terminal.press(KEYS.enter);
    console.log(await terminal.shows(/Do all of this/)); terminal.press(KEYS.enter);
    const code = await terminal.ended;
    console.log(code, terminal.screen.everything);
    console.log(await stage.run('dev', 'git', ['-C', '/home/dev', 'clone', WEB, 'web'], { env }));
    console.log(await postern());
    console.log(await postern('status'));
    terminal = stage.terminal('dev', 'postern', ['setup'], { env, rows: 60, columns: 100 });
    console.log('AGAIN', await terminal.ended, terminal.screen.everything);
    console.log('YES', await postern('setup', '--yes', '--service'));
    console.log('STATUS', await postern('service', 'status'));
  }, 120_000);
});
