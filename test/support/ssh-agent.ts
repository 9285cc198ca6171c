/**
 * A real ssh-agent on a socket of its own. Private keys are made, given to it and removed, so that no file holds them.
 *
 * Source: ssh-agent(1), ssh-add(1).
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './scene.js';
import { makeKeyPair, type PublicKeyLine, publicKey } from './ssh-keys.js';

/** RSA of the size that ssh-keygen makes when it is not told another. */
const RSA_BITS = 3072;

export interface AgentKeyOptions {
  readonly comment?: string;
  /** Of an RSA key; default 3072. */
  readonly bits?: number;
  /** Leaves the private key's file where it is made, for a client that reads it itself. */
  readonly isFileKept?: boolean;
}

export interface AgentKey extends PublicKeyLine {
  /** Of the public half; a kept private key lies beside it, without `.pub`. */
  readonly publicFile: string;
}

export class SshAgent {
  readonly socket: string;
  readonly #directory: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #keys = 0;

  /** @throws Error that names the package when there is no ssh-agent */
  static async start(directory: string): Promise<SshAgent> {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const socket = join(directory, 'agent.sock');
    // An agent that was killed leaves its socket behind.
    await rm(socket, { force: true });
    const child = spawn('ssh-agent', ['-D', '-a', socket], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: directory },
    });
    const agent = new SshAgent(socket, directory, child);
    await agent.#listens();
    return agent;
  }

  private constructor(socket: string, directory: string, child: ChildProcess) {
    this.socket = socket;
    this.#directory = directory;
    this.#child = child;
    this.#ended = new Promise((resolve) => {
      child.once('close', () => resolve());
      // Where there is no such program nothing closes.
      child.once('error', () => resolve());
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** Makes a key and gives it to the agent. */
  async add(type: 'ed25519' | 'rsa' | 'ecdsa', options: AgentKeyOptions = {}): Promise<AgentKey> {
    this.#keys += 1;
    const file = join(this.#directory, `key-${this.#keys}`);
    const bits = type === 'rsa' ? (options.bits ?? RSA_BITS) : undefined;
    const made = await makeKeyPair(file, {
      type,
      ...(bits === undefined ? {} : { bits }),
      comment: options.comment ?? `key ${this.#keys}`,
    });
    await this.#add([file]);
    if (options.isFileKept !== true) await rm(file);
    return { ...made, publicFile: `${file}.pub` };
  }

  /** What it holds, in its own order. */
  async keys(): Promise<PublicKeyLine[]> {
    const { code, stdout } = await this.#ask(['-L']);
    return code === 0 ? stdout.trim().split('\n').map(publicKey) : [];
  }

  async remove({ publicFile }: AgentKey): Promise<void> {
    await this.#add(['-d', publicFile]);
  }

  async removeAll(): Promise<void> {
    await this.#add(['-D']);
  }

  /** A locked agent tells of no key and signs nothing. */
  lock(password: string): Promise<void> {
    return this.#withPassword('-x', password);
  }

  unlock(password: string): Promise<void> {
    return this.#withPassword('-X', password);
  }

  /** Holds every question until `resume`. */
  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** Ends it; its keys are gone. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill('SIGTERM');
      this.#child.kill('SIGCONT');
    }
    await this.#ended;
  }

  async #withPassword(option: string, password: string): Promise<void> {
    const script = join(this.#directory, 'password');
    await writeFile(script, `#!/bin/sh\nprintf '%s\\n' '${password}'\n`, { mode: 0o700 });
    // There is no terminal to ask at.
    await this.#add([option], { SSH_ASKPASS: script, SSH_ASKPASS_REQUIRE: 'force' });
    await rm(script);
  }

  async #add(args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const ran = await this.#ask(args, environment);
    if (ran.code !== 0) throw new Error(`ssh-add ${args.join(' ')} ended with ${ran.code}: ${ran.stderr.trim()}`);
  }

  #ask(args: readonly string[], environment: Readonly<Record<string, string>> = {}): ReturnType<typeof run> {
    const env = { PATH: process.env['PATH'], HOME: this.#directory, SSH_AUTH_SOCK: this.socket, ...environment };
    return run('ssh-add', args, { env });
  }

  /** Resolves when it has said where it listens, which it does once it does. */
  #listens(): Promise<void> {
    return new Promise((resolve, reject) => {
      let words = '';
      const { stdout, stderr } = this.#child;
      stderr?.on('data', (chunk: Buffer) => (words += chunk.toString()));
      stdout?.once('data', () => {
        stdout.resume();
        resolve();
      });
      this.#child.once('error', (fault: NodeJS.ErrnoException) =>
        reject(fault.code === 'ENOENT' ? new Error('There is no ssh-agent: install the package openssh-client') : fault),
      );
      this.#child.once('close', () => reject(new Error(`ssh-agent did not start: ${words.trim()}`)));
    });
  }
}
