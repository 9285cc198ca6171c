/**
 * What the emulator's own tests share: real git without the machine's settings, plain https requests, and credentials of @azure/identity
 * pointed at the emulator.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { Emulator, type EmulatorOptions } from '../azure/emulator.js';
import { AZURE_DEVOPS } from '../azure/token-book.js';

export const SCOPE = `${AZURE_DEVOPS}/.default`;

/** Path of the sample repository's advertisement. */
export const REFS = '/contoso/Payments/_git/web/info/refs?service=git-upload-pack';

/** An emulator in a directory of its own, with the sample repository, and its authority as PEM. */
export async function startEmulator(options: Omit<EmulatorOptions, 'directory'> = {}): Promise<{ emulator: Emulator; ca: string }> {
  const emulator = await Emulator.start({ ...options, directory: await mkdtemp(join(tmpdir(), 'postern-emulator-test-')) });
  await emulator.createRepository('contoso/Payments/web', { largeFileBytes: 3 << 20 });
  return { emulator, ca: await readFile(emulator.caFile, 'utf8') };
}

/** Stops it and takes its directory away. */
export async function endEmulator(emulator: Emulator): Promise<void> {
  await emulator.stop();
  await rm(emulator.directory, { recursive: true });
}

export interface GitResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs git; resolves also when it fails. */
export function git(emulator: Emulator, args: readonly string[], environment: Record<string, string> = {}): Promise<GitResult> {
  const env = {
    PATH: process.env['PATH'],
    HOME: emulator.directory,
    LC_ALL: 'C',
    GIT_SSL_CAINFO: emulator.caFile,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ASKPASS: 'true',
    GIT_AUTHOR_NAME: 'Test',
    GIT_AUTHOR_EMAIL: 'test@example.com',
    GIT_COMMITTER_NAME: 'Test',
    GIT_COMMITTER_EMAIL: 'test@example.com',
    ...environment,
  };
  return new Promise((resolve) => {
    execFile('git', args, { env, cwd: emulator.directory }, (error, stdout, stderr) => {
      resolve({ code: error ? (typeof error.code === 'number' ? error.code : 1) : 0, stdout, stderr });
    });
  });
}

/** The option that makes git send this Authorization value. */
export function sends(authorization: string): readonly string[] {
  return ['-c', `http.extraHeader=Authorization: ${authorization}`];
}

export function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** False when the body ended before its framing said so. */
  readonly complete: boolean;
}

export interface Question {
  readonly path: string;
  readonly method?: string;
  readonly host?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  readonly agent?: Agent;
  /** Of another server than the git hosts. */
  readonly port?: number;
  /** Gives up when nothing came for so long. */
  readonly idleMs?: number;
}

/** One request to the git hosts, or to the server of a port. @throws Error when no answer begins */
export function ask(emulator: Emulator, ca: string, question: Question): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let begun: IncomingMessage | undefined;
    const outgoing = request(
      `https://127.0.0.1:${question.port ?? emulator.git.port}${question.path}`,
      {
        ca,
        method: question.method ?? 'GET',
        agent: question.agent ?? new Agent(),
        headers: { ...(question.host ? { Host: question.host } : {}), ...question.headers },
      },
      (response) => {
        begun = response;
        let body = '';
        response.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')));
        response.on('error', () => undefined);
        response.on('close', () =>
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body, complete: response.complete }),
        );
      },
    );
    outgoing.on('error', reject);
    if (question.idleMs !== undefined)
      outgoing.setTimeout(question.idleMs, () => (begun ? begun.destroy() : outgoing.destroy(new Error('idle'))));
    outgoing.end(question.body);
  });
}

/** Options that point a credential of @azure/identity at the emulator. */
export function authority(
  emulator: Emulator,
  ca: string,
): { authorityHost: string; disableInstanceDiscovery: true; tlsOptions: { ca: string } } {
  return { authorityHost: emulator.sts.origin, disableInstanceDiscovery: true, tlsOptions: { ca } };
}

/** Posts a form and reads the JSON answer. */
export function post(ca: string, url: string, form: URLSearchParams): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    const headers = { 'Content-Type': 'application/x-www-form-urlencoded' };
    const outgoing = request(url, { ca, method: 'POST', agent: new Agent(), headers }, (response) => {
      json(response).then((value) => resolve(value as Record<string, unknown>), reject); // the emulator answers objects only
    });
    outgoing.on('error', reject);
    outgoing.end(form.toString());
  });
}
