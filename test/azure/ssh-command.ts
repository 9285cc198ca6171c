/**
 * What a command over SSH asks for, as Azure DevOps reads it: `git-upload-pack 'v3/org/project/repo'`, and the older
 * `git-upload-pack 'project/_ssh/repo'` whose organisation is the user's name. Knows nothing of files or keys.
 */
import { repositoryName } from './addresses.js';

export type SshCommand =
  | {
      readonly kind: 'git';
      readonly service: 'upload-pack' | 'receive-pack';
      readonly organization: string;
      readonly repository: string;
      readonly leaf: string;
    }
  | { readonly kind: 'unknown' };

const GIT_COMMAND = /^git[- ](upload-pack|receive-pack) +(.*)$/s;

/** Source: git's sq_quote (quote.c): single quotes, with `'\''` and `'\!'` for what may not stand in them. */
export function parseSshCommand(text: string, user: string): SshCommand {
  const [, service, quoted = ''] = GIT_COMMAND.exec(text) ?? [];
  const path = decoded(unquoted(quoted));
  if ((service !== 'upload-pack' && service !== 'receive-pack') || path === undefined) return { kind: 'unknown' };
  const parts = path.split('/').filter((part) => part !== '');
  const place = parts[0]?.toLowerCase() === 'v3' ? parts.slice(1) : olderPlace(parts, user);
  const [organization = '', project = '', leaf = '', ...more] = place;
  if (leaf === '' || more.length > 0 || place.includes('..')) return { kind: 'unknown' };
  return {
    kind: 'git',
    service,
    organization: organization.toLowerCase(),
    leaf,
    repository: repositoryName(`${organization}/${project}/${leaf}`),
  };
}

function olderPlace(parts: readonly string[], user: string): string[] {
  const at = parts.findIndex((part) => /^_(?:ssh|git)$/i.test(part));
  const names = parts.slice(0, at).filter((part) => part.toLowerCase() !== 'defaultcollection');
  const leaf = parts[at + 1];
  if (at < 0 || leaf === undefined || parts.length > at + 2) return [];
  return [user, names[0] ?? leaf, leaf];
}

function unquoted(text: string): string | undefined {
  if (!text.startsWith("'")) return /['"\\\s]/.test(text) ? undefined : text;
  const whole = /^'((?:[^']|'\\['!]')*)'$/.exec(text);
  return whole?.[1]?.replace(/'\\(['!])'/g, '$1');
}

function decoded(path: string | undefined): string | undefined {
  try {
    return path === undefined ? undefined : decodeURIComponent(path);
  } catch {
    // A broken escape names nothing.
    return undefined;
  }
}
