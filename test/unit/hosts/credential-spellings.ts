/** The calls of the credential table as requests, and the spellings in which they are attacked: for the unit and the end-to-end test. */
import type { CredentialCall } from '../../../src/hosts/credential-calls.js';

export interface Attack {
  /** From `_apis` on. */
  readonly path: string;
  readonly isWriteOnly: boolean;
}

/** One request for each pattern of the table, with something in the place of each wildcard. */
export function callsOf(table: readonly CredentialCall[]): [pattern: string, attack: Attack][] {
  return table.flatMap(({ calls, isWriteOnly }) =>
    calls.map((pattern): [string, Attack] => {
      const words = pattern.split('/').map((word, at, all) => {
        if (word === '**') return at === all.length - 1 ? '7' : 'any/where';
        if (word === '*') return '12';
        return word.endsWith('*') ? (PREFIXED[word] ?? `${word.slice(0, -1)}x`) : word;
      });
      return [pattern, { path: words.join('/'), isWriteOnly: isWriteOnly === true }];
    }),
  );
}

/** The best known name that begins so. */
const PREFIXED: Readonly<Record<string, string>> = {
  'token*': 'tokens',
  'delegatedauth*': 'delegatedauth',
  'oauth*': 'oauth2',
  'serviceendpoint*': 'serviceendpoint',
  'connectedservice*': 'connectedservice',
  'virtualmachine*': 'virtualmachines',
  'test*': 'testresults',
};

const encoded = (letter: string): string => `%${letter.charCodeAt(0).toString(16).padStart(2, '0')}`;
/** Changes the word behind the mark. */
const area =
  (change: (word: string) => string) =>
  (path: string): string =>
    path.replace(/^(_\w+\/)([^/]+)/, (_, mark: string, word: string) => mark + change(word));

export const SPELLINGS: Readonly<Record<string, (path: string) => string>> = {
  plain: (path) => path,
  'in capitals': (path) => path.toUpperCase(),
  'in capitals and small letters': (path) => Array.from(path, (letter, at) => (at % 2 === 0 ? letter.toUpperCase() : letter)).join(''),
  'percent-encoded': (path) => path.replace(/[a-z]/g, encoded),
  'percent-encoded in part': area((word) => encoded(word.slice(0, 1)) + word.slice(1)),
  'percent-encoded with capitals': (path) => path.replace(/[a-z]/g, (letter) => encoded(letter).toUpperCase()),
  'percent-encoded twice': area((word) => `%25${encoded(word.slice(0, 1)).slice(1)}${word.slice(1)}`),
  'in an overlong encoding': area((word) => `%c1%${(0x80 | (word.charCodeAt(0) & 0x3f)).toString(16)}${word.slice(1)}`),
  'an overlong slash': (path) => path.replace('/', '%c0%af'),
  'an encoded slash': (path) => path.replace('/', '%2f'),
  'an encoded backslash': (path) => path.replace('/', '%5c'),
  'a slash at the end': (path) => `${path}/`,
  'two slashes at the end': (path) => `${path}//`,
  'two slashes within': (path) => path.replace('/', '//'),
  'a dot at the end of a word': area((word) => `${word}.`),
  'a blank at the end of a word': area((word) => `${word}%20`),
  'a blank before a word': area((word) => `%20${word}`),
  'a dot segment': area((word) => `./${word}`),
  'an encoded dot segment': area((word) => `%2e/${word}`),
  'a detour': area((word) => `git/../${word}`),
  'an encoded detour': area((word) => `git/%2e%2e/${word}`),
  'a path parameter': area((word) => `${word};a=b`),
  'an encoded path parameter': area((word) => `${word}%3ba=b`),
  'full-width letters': area((word) => encodeURIComponent(String.fromCodePoint(word.charCodeAt(0) + 0xfee0) + word.slice(1))),
  'an invisible letter': area((word) => `${word.slice(0, 1)}%e2%80%8b${word.slice(1)}`),
  'a soft hyphen': area((word) => `${word.slice(0, 1)}%c2%ad${word.slice(1)}`),
  'a null': area((word) => `${word}%00`),
  'behind public': area((word) => `public/${word}`),
  'behind internal': area((word) => `internal/${word}`),
  'behind another mark': (path) => `_apis/git/${path}`,
  'behind an encoded mark': (path) => `%5fapis/git/${path}`,
  'behind a mark of packages': (path) => `_packaging/feed/${path}`,
  'behind a mark with a parameter': (path) => `_apis;a/${path}`,
};
