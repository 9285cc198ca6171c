/** Addresses in a record: the words of the protocols stay, every name becomes a number, the same one for the same name. */
import { caselessName } from '../../model/fold.js';
import { inferHostKind } from '../../model/host-name.js';

/** Words in paths of git, LFS and the REST API. */
const WORDS: ReadonlySet<string> = new Set(
  '_git _optimized _full info refs lfs objects batch locks verify _apis git repositories git-upload-pack git-receive-pack tfs defaultcollection v3'.split(
    ' ',
  ),
);
/** Hosts that everybody has. */
const HOSTS: ReadonlySet<string> = new Set(['dev.azure.com', 'github.com', 'gitlab.com', 'bitbucket.org']);

/** Numbers for names, within one record. */
export class NameNumbers {
  readonly #numbers = new Map<string, number>();

  /** `origin` and a path as it is sent, its query with it, which is one of ours. */
  shape(origin: URL, path: string): string {
    const [before = '', query] = path.split('?', 2);
    const segments = before.split('/').map((segment) => (segment === '' ? '' : this.#segment(segment)));
    return `${origin.protocol}//${this.#host(origin.hostname)}${origin.port === '' ? '' : ':<port>'}${segments.join('/')}${query === undefined ? '' : `?${query}`}`;
  }

  #host(host: string): string {
    if (HOSTS.has(host)) return host;
    if (inferHostKind(host) === 'azure-services') return host.replace(/^[^.]+/, this.#name(host.split('.')[0] ?? ''));
    return '<host>';
  }

  #segment(segment: string): string {
    const plain = decoded(segment);
    if (WORDS.has(plain.toLowerCase())) return segment;
    const [, name = plain, ending = ''] = /^(.+?)(\.git)?$/s.exec(plain) ?? [];
    return `${this.#name(name)}${ending}`;
  }

  #name(name: string): string {
    const key = caselessName(name);
    const known = this.#numbers.get(key) ?? this.#numbers.size + 1;
    this.#numbers.set(key, known);
    return `<name-${known}>`;
  }
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
