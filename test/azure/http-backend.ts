/**
 * Runs the real `git http-backend` for one request, as a CGI child (RFC 3875; git-http-backend(1)). Bodies stream in both directions
 * with back-pressure; a client that goes away takes the child with it. Knows nothing of hosts, credentials or faults.
 */
import { execFile, spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import type { IncomingMessage } from 'node:http';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { cleanGitEnvironment } from './repositories.js';

export interface BackendCall {
  readonly repository: string;
  /** `/info/refs`, `/git-upload-pack` or `/git-receive-pack`. */
  readonly rest: string;
  readonly user: string;
  /** False plays a server that does not know Git-Protocol. */
  readonly passProtocol: boolean;
}

export interface BackendAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  /** The body after the CGI header block. */
  readonly body: Readable;
  /** Ends the child, whatever it is doing. */
  abandon(): void;
}

let program: Promise<string> | undefined;

/** Children that are running, so that the emulator can end them all. */
export class HttpBackend {
  readonly #children = new Set<ChildProcessWithoutNullStreams>();

  /** Starts the child, feeds it the request's body and resolves with its header block read. */
  async run(request: IncomingMessage, call: BackendCall): Promise<BackendAnswer> {
    program ??= findProgram();
    const child = spawn(await program, [], { env: environment(request, call), detached: true });
    this.#children.add(child);
    child.once('close', () => this.#children.delete(child));
    const abandon = (): void => end(child);
    child.stderr.resume();
    // The child may answer and leave before it has read everything.
    child.stdin.on('error', () => undefined);
    request.pipe(child.stdin);
    // What a child that has left did not read is dropped: a paused request would not notice that its client goes.
    child.stdin.once('close', () => request.resume());
    request.once('close', () => {
      if (!request.complete) abandon();
    });
    const head = await readHead(child);
    return { ...head, body: child.stdout, abandon };
  }

  get children(): number {
    return this.#children.size;
  }

  stop(): void {
    for (const child of this.#children) end(child);
  }
}

async function findProgram(): Promise<string> {
  const { stdout } = await promisify(execFile)('git', ['--exec-path']);
  return join(stdout.trim(), 'git-http-backend');
}

function environment(request: IncomingMessage, call: BackendCall): Record<string, string> {
  const { headers } = request;
  const protocol = headers['git-protocol'];
  return {
    ...cleanGitEnvironment(dirname(call.repository)),
    GIT_PROJECT_ROOT: dirname(call.repository),
    GIT_HTTP_EXPORT_ALL: '1',
    PATH_INFO: `/${basename(call.repository)}${call.rest}`,
    QUERY_STRING: request.url?.split('?', 2)[1] ?? '',
    REQUEST_METHOD: request.method ?? 'GET',
    REMOTE_USER: call.user,
    REMOTE_ADDR: '127.0.0.1',
    ...(headers['content-type'] ? { CONTENT_TYPE: headers['content-type'] } : {}),
    // Without a length the child reads to the end of its input: that is how a chunked body gets in.
    ...(headers['content-length'] ? { CONTENT_LENGTH: headers['content-length'] } : {}),
    ...(headers['content-encoding'] ? { HTTP_CONTENT_ENCODING: headers['content-encoding'] } : {}),
    ...(call.passProtocol && typeof protocol === 'string' ? { GIT_PROTOCOL: protocol } : {}),
  };
}

/** Ends the child's whole group: http-backend runs upload-pack, which runs pack-objects. */
function end(child: ChildProcessWithoutNullStreams): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // It ended in the meantime.
  }
  child.stdout.destroy();
}

function readHead(child: ChildProcessWithoutNullStreams): Promise<{ status: number; headers: Record<string, string> }> {
  return new Promise((resolve, reject) => {
    let held = Buffer.alloc(0);
    const finish = (act: () => void): void => {
      child.stdout.off('readable', read);
      child.off('error', fail);
      child.off('close', gone);
      act();
    };
    const fail = (error: Error): void => finish(() => reject(error));
    const gone = (): void => finish(() => reject(new Error('git http-backend gave no answer')));
    const read = (): void => {
      for (;;) {
        const chunk = child.stdout.read() as Buffer | null; // no encoding is set, so never a string
        if (chunk === null) return;
        held = Buffer.concat([held, chunk]);
        const at = held.indexOf('\r\n\r\n');
        if (at < 0) continue;
        const rest = held.subarray(at + 4);
        finish(() => {
          if (rest.length > 0) child.stdout.unshift(rest);
          resolve(parseHead(held.subarray(0, at).toString('latin1')));
        });
        return;
      }
    };
    child.stdout.on('readable', read);
    child.once('error', fail);
    child.once('close', gone);
  });
}

function parseHead(text: string): { status: number; headers: Record<string, string> } {
  let status = 200;
  const headers: Record<string, string> = {};
  for (const line of text.split('\r\n')) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    if (name.toLowerCase() === 'status') status = Number.parseInt(value, 10);
    else headers[name] = value;
  }
  return { status, headers };
}
