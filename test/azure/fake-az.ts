/**
 * A program called `az` that answers `az account get-access-token` in the words of the Azure CLI. The program itself only carries its
 * arguments to a loopback port of the emulator and prints what comes back, so that modes and counts live here.
 */
import { randomUUID } from 'node:crypto';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { Loopback } from './loopback.js';
import { DEFAULT_TENANT, type TokenBook } from './token-book.js';

export type AzMode = 'signed-in' | 'not-signed-in' | 'slow' | 'broken-json';

export interface AzCall {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly args: readonly string[];
}

/** What the program prints and how it ends. */
interface Play {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number;
}

export class FakeAz {
  /** To be put in front of PATH. */
  readonly directory: string;
  readonly calls: AzCall[] = [];
  mode: AzMode = 'signed-in';
  /** How long the mode `slow` takes. */
  slowMs = 3000;
  tokenLifeSeconds: number;
  /** Who is signed in, as the token says; undefined for an application. */
  account: string | undefined;
  readonly #book: TokenBook;
  readonly #loopback: Loopback;
  /** Only the program knows it: another process on the machine must not get tokens from this port. */
  readonly #key = randomUUID();
  readonly #subscription = randomUUID();

  constructor(book: TokenBook, directory: string, tokenLifeSeconds: number) {
    this.#book = book;
    this.directory = directory;
    this.tokenLifeSeconds = tokenLifeSeconds;
    const server = createServer((request, response) => {
      this.#handle(request, response).catch(() => request.socket.destroy());
    });
    this.#loopback = new Loopback(server);
  }

  /** Opens the control port and writes the program. */
  async start(): Promise<void> {
    await this.#loopback.listen(0);
    await mkdir(this.directory, { recursive: true });
    const program = join(this.directory, 'az.mjs');
    const shell = join(this.directory, 'az');
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
    const args = (await json(request)) as string[]; // written by the program below
    this.calls.push({ at: Date.now(), args });
    const answer = (): void => {
      response.end(JSON.stringify(this.#play(args)));
    };
    if (this.mode !== 'slow') {
      answer();
      return;
    }
    const timer = setTimeout(answer, this.slowMs);
    response.once('close', () => clearTimeout(timer));
  }

  #play(args: readonly string[]): Play {
    if (args[0] === 'version' || args[0] === '--version') return says(JSON.stringify({ 'azure-cli': '2.78.0' }));
    if (args[0] !== 'account' || args[1] !== 'get-access-token')
      return fails(2, `ERROR: '${args.join(' ')}' is misspelled or not recognized by the system.`);
    if (this.mode === 'not-signed-in') return fails(1, "ERROR: Please run 'az login' to setup account.");
    if (this.mode === 'broken-json') return says('{"accessToken": "eyJ0eXAi');
    const option = (name: string): string | undefined => {
      const at = args.indexOf(name);
      return at < 0 ? undefined : args[at + 1];
    };
    const tenant = option('--tenant') ?? DEFAULT_TENANT;
    const resource = option('--resource') ?? option('--scope')?.replace(/\/\.default$/, '') ?? 'https://management.core.windows.net/';
    const { token, claims } = this.#book.issue({
      tenant,
      audience: resource,
      lifeSeconds: this.tokenLifeSeconds,
      ...(this.account === undefined ? {} : { account: this.account }),
    });
    const answer = {
      accessToken: token,
      expiresOn: localTime(new Date(claims.exp * 1000)),
      expires_on: claims.exp,
      ...(option('--tenant') === undefined ? { subscription: this.#subscription } : {}),
      tenant,
      tokenType: 'Bearer',
    };
    return says(JSON.stringify(answer, undefined, 2));
  }
}

function says(stdout: string): Play {
  return { stdout: `${stdout}\n`, stderr: '', exitCode: 0 };
}

function fails(exitCode: number, text: string): Play {
  return { stdout: '', stderr: `${text}\n`, exitCode };
}

/** The CLI's `expiresOn` is local time without a zone. */
function localTime(time: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  return `${day} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':')}.000000`;
}

function programText(control: string): string {
  return `import { request } from 'node:http';
const fail = () => {
  process.stderr.write('ERROR: The emulator of this program does not run\\n');
  process.exitCode = 1;
};
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
call.end(JSON.stringify(process.argv.slice(2)));
`;
}
