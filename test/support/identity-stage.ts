/** The stage of tests about one identity: a scene with a repository, and daemons that have that identity alone. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'vitest';
import { type Ran, type RunningDaemon, Scene } from './scene.js';

export const WEB = 'dev.azure.com/contoso/Payments/_git/web';

export class IdentityStage {
  readonly scene: Scene;
  #daemons: RunningDaemon[] = [];

  static async open(): Promise<IdentityStage> {
    const scene = await Scene.open();
    await scene.emulator.createRepository('contoso/Payments/web');
    return new IdentityStage(scene);
  }

  private constructor(scene: Scene) {
    this.scene = scene;
  }

  /** A daemon with one identity, `it`, written as in the file, for all of Azure DevOps Services. */
  async daemon(identity: string, options: { env?: Record<string, string>; settings?: string } = {}): Promise<RunningDaemon> {
    const { git, caFile } = this.scene.emulator;
    const daemon = await this.scene.daemon(
      [
        'listen: { http: 127.0.0.1:0 }',
        'log: { level: debug, format: json }',
        options.settings ?? '',
        'identities:',
        `  it: ${identity}`,
        `routes: [{ match: dev.azure.com/**, identity: it, upstream: '${git.origin}', ca: ${caFile} }]`,
        '',
      ].join('\n'),
      options.env === undefined ? {} : { env: options.env },
    );
    this.#daemons.push(daemon);
    return daemon;
  }

  /** Where identities of Entra sign in, as keys. */
  get authority(): string {
    return `authority: '${this.scene.emulator.sts.origin}', ca: ${this.scene.emulator.caFile}`;
  }

  lsRemote(daemon: RunningDaemon, path = WEB): Promise<Ran> {
    return this.scene.git(['ls-remote', daemon.url(path)]);
  }

  /** A git command that does well. */
  async works(daemon: RunningDaemon): Promise<void> {
    expect(await this.lsRemote(daemon)).toMatchObject({ code: 0, stderr: '' });
  }

  /** One that does not; the lines that the user sees, without `remote: `. */
  async fails(daemon: RunningDaemon): Promise<string[]> {
    const ran = await this.lsRemote(daemon);
    expect(ran.code).toBe(128);
    expect(ran.stderr).not.toMatch(/Username|terminal prompts/);
    return ran.stderr.split('\n').flatMap((line) => /^remote: (.*?) *$/.exec(line)?.[1] ?? []);
  }

  /** Repeats until git does well: a failure is remembered for some seconds. */
  async getsWell(daemon: RunningDaemon): Promise<void> {
    await expect.poll(async () => (await this.lsRemote(daemon)).code, { timeout: 20_000, interval: 500 }).toBe(0);
  }

  /** From now on no token that was given out is taken. */
  revokeAll(): void {
    const { sts } = this.scene.emulator;
    for (const token of sts.tokens()) sts.revoke(token);
  }

  async file(name: string, text: string): Promise<string> {
    const file = join(this.scene.directory, 'scratch', name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text, { mode: 0o600 });
    return file;
  }

  /** Ends the daemons of a test: none may renew its token in the next. */
  async endDaemons(): Promise<void> {
    for (const daemon of this.#daemons) await daemon.kill();
    this.#daemons = [];
  }

  close(): Promise<void> {
    return this.scene.close();
  }
}
