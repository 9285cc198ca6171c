/**
 * An upstream that says back what it was sent (a debugging server, an error page with the request in it) must not show
 * a caller the credential. Whatever of it stands in an answer's headers is taken out before anyone looks at them, and
 * out of a failed answer's text when it is read. What git itself is sent is passed on as it is.
 */
import type { IncomingMessage } from 'node:http';

const PLACEHOLDER = '[credential]';
/** They hold no more than a number and a word, which a short password may be a piece of, and the answer's end depends on them. */
const FRAMING: ReadonlySet<string> = new Set(['content-length', 'transfer-encoding']);
/** Shorter pieces would be found in innocent words. */
const SHORTEST_PIECE = 4;

const piecesOf = new WeakMap<IncomingMessage, readonly string[]>();

/** Takes the credential of the request out of the headers of its answer, and remembers it for the text. */
export function hideEcho(answer: IncomingMessage, authorization: string | undefined): void {
  if (authorization === undefined) return;
  const pieces = formsOf(authorization);
  piecesOf.set(answer, pieces);
  const clean = (value: string): string => without(pieces, value);
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined && !FRAMING.has(name)) answer.headers[name] = Array.isArray(value) ? value.map(clean) : clean(value);
  }
  answer.rawHeaders = answer.rawHeaders.map((value, index, all) =>
    index % 2 === 0 || FRAMING.has((all[index - 1] ?? '').toLowerCase()) ? value : clean(value),
  );
}

/** Text of an answer without the credential of its request. */
export function withoutEcho(answer: IncomingMessage, text: string): string {
  return without(piecesOf.get(answer) ?? [], text);
}

/** Any text without the credential of an Authorization header. */
export function withoutCredential(authorization: string, text: string): string {
  return without(formsOf(authorization), text);
}

function without(pieces: readonly string[], text: string): string {
  return pieces.reduce((clean, piece) => clean.replaceAll(piece, PLACEHOLDER), text);
}

/** The credential in every form in which it may come back, the longest first. */
function formsOf(authorization: string): string[] {
  const value = authorization.replace(/^\S+\s+/, '');
  const forms = [value, Buffer.from(value, 'utf8').toString('base64')];
  if (/^basic\s/i.test(authorization)) {
    const pair = Buffer.from(value, 'base64').toString('utf8');
    const password = pair.slice(pair.indexOf(':') + 1);
    // A header comes as latin1, whatever it was written in.
    for (const text of [pair, password]) forms.push(text, Buffer.from(text, 'utf8').toString('latin1'));
    forms.push(Buffer.from(password, 'utf8').toString('base64'));
  } else forms.push(...value.split('.').filter((part) => part !== value && part.length > 40));
  const all = new Set(forms.flatMap((form) => [form, encodeURIComponent(form), form.replaceAll('+', '-').replaceAll('/', '_')]));
  return [...all].filter((form) => form.length >= SHORTEST_PIECE).sort((a, b) => b.length - a.length);
}
