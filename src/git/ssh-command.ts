/**
 * The command that a git client asks an SSH server to run. A server with a shell would hand it to that; here it is read by a
 * grammar that has nothing but words, so that there is nothing to inject into.
 *
 *   command  = program 1*SP path                                  git-upload-pack, git-receive-pack, git-upload-archive
 *            | "git-lfs-authenticate" 1*SP path 1*SP operation [ 1*SP oid ]
 *            | "git-lfs-transfer" 1*SP path 1*SP operation
 *   program  = "git-" name | "git" SP name
 *   word     = 1*( "'" *( any but "'" ) "'" | "\'" | "\!" | plain )
 *   plain    = a letter, a digit, a byte above 0x7f, or one of % + , - . / : = @ _ ~
 *
 * Source: git's connect.c (git_connect) and quote.c (sq_quote_buf, which writes ' as '\'' and ! as '\!'); git-shell(1) for the
 * form with a blank; git-lfs docs/api/server-discovery.md and docs/proposals/ssh_adapter.md.
 */

export type SshService = 'git-upload-pack' | 'git-receive-pack' | 'git-upload-archive';

export type SshCommand =
  | { readonly kind: 'git'; readonly service: SshService; readonly path: string }
  | {
      readonly kind: 'lfs';
      readonly program: 'git-lfs-authenticate' | 'git-lfs-transfer';
      readonly path: string;
      readonly operation: 'upload' | 'download';
    }
  /** `what` goes on a sentence: "The command ...". */
  | { readonly kind: 'fault'; readonly what: string };

/** Longest command that is read: a path of the greatest length, each byte of it quoted, and the program. */
export const LONGEST_COMMAND_BYTES = 40 * 1024;

const SERVICES: readonly SshService[] = ['git-upload-pack', 'git-receive-pack', 'git-upload-archive'];
const LFS = ['git-lfs-authenticate', 'git-lfs-transfer'] as const;
const OPERATIONS = ['upload', 'download'] as const;
const PLAIN = /[A-Za-z0-9%+,\-./:=@_~\u0080-\uffff]/;
const ESCAPED = /['!]/;

/** Reads a command; `text` is what the client sent, decoded as UTF-8. */
export function parseSshCommand(text: string): SshCommand {
  if (Buffer.byteLength(text) > LONGEST_COMMAND_BYTES) return fault(`is longer than ${LONGEST_COMMAND_BYTES / 1024} KiB`);
  // A decoder writes it for bytes that are no UTF-8, so that two paths would become one.
  if (text.includes('\ufffd')) return fault('is not UTF-8');
  if (/[\u0000-\u001f\u007f]/.test(text)) return fault('holds a control character');
  const words = wordsOf(text);
  if (words === undefined) return fault('is more than a program and its path');
  const [first = '', second = ''] = words;
  const isSplit = first === 'git';
  const program = isSplit ? `git-${second}` : first;
  const rest = words.slice(isSplit ? 2 : 1);
  const lfs = LFS.find((known) => known === program);
  if (lfs !== undefined) return lfsCommand(lfs, rest);
  const service = SERVICES.find((known) => known === program);
  if (service === undefined) return fault(program === '' ? 'is empty' : 'is none of git');
  const [path, more] = rest;
  if (path === undefined || path === '' || more !== undefined) return fault('does not name exactly one repository');
  // An option would be read by the program at the other end.
  if (path.startsWith('-')) return fault('names a repository that begins with a hyphen');
  return { kind: 'git', service, path };
}

/** git-lfs does not quote the path, so blanks may be part of it, and words of ours too: what is no path is read from the end. */
function lfsCommand(program: (typeof LFS)[number], words: readonly string[]): SshCommand {
  const isAt = (at: number): boolean => OPERATIONS.some((known) => known === words[at]);
  const at = isAt(words.length - 1) ? words.length - 1 : words.length - 2;
  const operation = OPERATIONS.find((known) => known === words[at]);
  const path = words.slice(0, Math.max(at, 0)).join(' ');
  if (operation === undefined || path === '' || path.startsWith('-')) return fault('does not name a repository and upload or download');
  return { kind: 'lfs', program, path, operation };
}

/** The words of a command; undefined for anything that a shell would read as more than words. */
function wordsOf(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  for (let at = 0; at < text.length; at++) {
    const letter = text[at] ?? '';
    if (letter === ' ') {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (letter === "'") {
      const end = text.indexOf("'", at + 1);
      if (end < 0) return undefined;
      word = (word ?? '') + text.slice(at + 1, end);
      at = end;
    } else if (letter === '\\') {
      at += 1;
      const escaped = text[at] ?? '';
      if (!ESCAPED.test(escaped)) return undefined;
      word = (word ?? '') + escaped;
    } else if (PLAIN.test(letter)) word = (word ?? '') + letter;
    else return undefined;
  }
  if (word !== undefined) words.push(word);
  return words;
}

function fault(what: string): SshCommand {
  return { kind: 'fault', what };
}
