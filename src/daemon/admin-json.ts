/**
 * JSON in and out of the admin socket, for the actions that take something: a body of bounded size, and failures that arrive at
 * the command line as what they were in the daemon.
 */
import type { IncomingMessage } from 'node:http';
import { ERROR_CODES, messageOf, ProxyError } from '../model/errors.js';

/** Largest body of an action: a thousand ids to revoke, or a lease, several times over. */
export const LARGEST_BODY_BYTES = 256 * 1024;

/** An action takes a value and gives one; what it throws as ProxyError is told in full. */
export type JsonAction = (body: unknown) => unknown;

/** Runs an action with the body of a request, and gives what to answer. Never rejects. */
export async function runAction(request: IncomingMessage, action: JsonAction): Promise<{ status: number; body: unknown }> {
  try {
    const text = await bodyOf(request);
    if (text === undefined)
      return { status: 413, body: failure(new ProxyError('usage', `That is more than ${LARGEST_BODY_BYTES} bytes at once`)) };
    return { status: 200, body: (await action(text === '' ? undefined : JSON.parse(text))) ?? {} };
  } catch (thrown) {
    return { status: 400, body: failure(thrown) };
  }
}

/**
 * The answer of an action, as the command line takes it.
 * @throws ProxyError what the action threw
 */
export function readAnswer(text: string): unknown {
  const answer: unknown = JSON.parse(text);
  if (typeof answer !== 'object' || answer === null || !('error' in answer)) return answer;
  const { code, message, todo, details } = answer.error as Readonly<Record<string, unknown>>; // because failure() wrote it
  throw new ProxyError(ERROR_CODES.find((known) => known === code) ?? 'internal', String(message), {
    todo: typeof todo === 'string' ? todo : undefined,
    details: Array.isArray(details) ? details.map(String) : [],
  });
}

function failure(thrown: unknown): { readonly error: Readonly<Record<string, unknown>> } {
  if (thrown instanceof ProxyError) {
    const { code, message, todo, details } = thrown;
    return { error: { code, message, todo, details } };
  }
  if (thrown instanceof SyntaxError) return { error: { code: 'usage', message: 'What was asked is no JSON' } };
  return { error: { code: 'internal', message: messageOf(thrown), todo: 'report this' } };
}

/** The whole body; undefined when it is too large. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** What was asked, as a map. @throws ProxyError `usage` */
export function asMap(raw: unknown): Readonly<Record<string, unknown>> {
  if (typeof raw !== 'object' || raw === null) throw wrongShape();
  return raw as Readonly<Record<string, unknown>>; // an object
}

/** A text that may be left out. @throws ProxyError `usage` */
export function text(raw: unknown): string | undefined {
  if (raw !== undefined && typeof raw !== 'string') throw wrongShape();
  return raw;
}

/** The error for what another version may have asked. */
export function wrongShape(): ProxyError {
  return new ProxyError('usage', 'The daemon does not understand what was asked', {
    todo: 'use the `postern` of the version that runs (`postern status`)',
  });
}
