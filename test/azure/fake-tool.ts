/**
 * A program on the PATH that stands for a sign-in tool. The program itself only carries its arguments to a loopback port of the
 * emulator and prints what comes back, so that modes and counts live here.
 */
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { Loopback } from './loopback.js';

export interface ToolCall {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Whether it had a terminal on which it could have asked a person. */
  readonly hasTerminal: boolean;
}

/** What the program prints and how it ends. */
export interface Play {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export interface FakeToolOptions {
  /** Name of the program. */
  readonly name: string;
  /** Where it is put; to be put in front of PATH. */
  readonly directory: string;
  readonly play: (call: ToolCall) => Play;
  /** ms that a call takes. */
  readonly delayMs: () => number;
}

export class FakeTool {
  readonly calls: ToolCall[] = [];
  /** Tokens that it gave out, in their order. */
  readonly given: string[] = [];
  readonly #options: FakeToolOptions;
  readonly #loopback: Loopback;
  /** Only the program knows it: another process on the machine must not get tokens from this port. */
  readonly #key = randomUUID();

  constructor(options: FakeToolOptions) {
    this.#options = options;
    const server = createServer((request, response) => {
      this.#handle(request, response).catch(() => request.socket.destroy());
    });
    this.#loopback = new Loopback(server);
  }

  /** Opens the control port and writes the program. */
  async start(): Promise<void> {
    const { directory, name } = this.#options;
    await this.#loopback.listen(0);
    await mkdir(directory, { recursive: true });
    const program = join(directory, `${name}.mjs`);
    const shell = join(directory, name);
    await writeFile(program, programText(`http://127.0.0.1:${this.#loopback.port}/${this.#key}`));
    await writeFile(shell, `#!/bin/sh\nexec '${process.execPath}' '${program}' "$@"\n`);
    await chmod(shell, 0o755);
  }

  close(): Promise<void> {
    return this.#loopback.close();
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.url !== `/${this.#key}`) {
      response.writeHead(404).end();
      return;
    }
    const call: ToolCall = { at: Date.now(), ...((await json(request)) as Omit<ToolCall, 'at'>) }; // written by the program below
    this.calls.push(call);
    const answer = (): void => {
      response.end(JSON.stringify(this.#options.play(call)));
    };
    const delayMs = this.#options.delayMs();
    if (delayMs === 0) {
      answer();
      return;
    }
    const timer = setTimeout(answer, delayMs);
    response.once('close', () => clearTimeout(timer));
  }
}

export function says(stdout: string): Play {
  return { stdout: `${stdout}\n`, stderr: '', exitCode: 0 };
}

export function fails(exitCode: number, text: string): Play {
  return { stdout: '', stderr: `${text}\n`, exitCode };
}

/** What stands behind an option. */
export function optionOf(args: readonly string[], name: string): string | undefined {
  const at = args.indexOf(name);
  return at < 0 ? undefined : args[at + 1];
}

function programText(control: string): string {
  return `import { closeSync, openSync } from 'node:fs';
import { request } from 'node:http';
const fail = () => {
  process.stderr.write('ERROR: The emulator of this program does not run\\n');
  process.exitCode = 1;
};
let hasTerminal = true;
try {
  closeSync(openSync('/dev/tty', 'r+'));
} catch {
  hasTerminal = false;
}
const call = request(${JSON.stringify(control)}, { method: 'POST', agent: false }, (response) => {
  let body = '';
  response.on('data', (chunk) => (body += chunk));
  response.on('end', () => {
    const play = JSON.parse(body);
    process.stdout.write(play.stdout);
    process.stderr.write(play.stderr);
    process.exitCode = play.exitCode;
  });
  response.on('error', fail);
});
call.on('error', fail);
call.end(JSON.stringify({ args: process.argv.slice(2), environment: process.env, cwd: process.cwd(), hasTerminal }));
`;
}
