/**
 * The one way to name a secret: by where it is. Nothing that stands under `secret:` is ever repeated in a fault, neither
 * value nor key, because what stands there by mistake is the secret itself.
 */
import type { SecretReference } from '../model/settings.js';
import { asMap, ownValue } from './fault.js';

const FORMS = '`{ file: PATH }`, `{ env: NAME }`, `{ command: [PROGRAM, ARGUMENT] }` or `{ credential: NAME }`';
const KINDS = ['file', 'env', 'command', 'credential'] as const;

/** What is wrong with the value of a `secret` key, in words that repeat nothing of it; undefined when it is a reference. */
export function secretFault(raw: unknown): string | undefined {
  if (raw === undefined) return `is missing; say where it is: ${FORMS}`;
  if (typeof raw === 'string' || typeof raw === 'number') {
    return `is a secret in plain sight; move it to where only the service can read it and write ${FORMS}`;
  }
  const map = asMap(raw);
  const keys = map === undefined ? [] : Object.keys(map);
  const kind = KINDS.find((known) => known === keys[0]);
  if (map === undefined || keys.length !== 1 || kind === undefined) return `is not a reference to a secret; write exactly one of ${FORMS}`;
  const value = ownValue(map, kind);
  switch (kind) {
    case 'file':
      return isText(value) ? undefined : 'has a `file` that is no path; write `{ file: /run/secrets/name }`';
    case 'env':
      return isText(value) && /^[A-Za-z_]\w*$/.test(value)
        ? undefined
        : 'has an `env` that is no name of a variable; write letters, digits and `_`, such as `{ env: TFS_PAT }`';
    case 'command':
      return Array.isArray(value) &&
        value.length > 0 &&
        value.every((word) => typeof word === 'string' && !word.includes('\0')) &&
        value[0] !== ''
        ? undefined
        : 'has a `command` that is no list of words; write `{ command: [pass, show, tfs] }`';
    case 'credential':
      return isText(value) && /^[^/]+$/.test(value) && value !== '.' && value !== '..'
        ? undefined
        : 'has a `credential` that is no name; write the name of LoadCredential=, such as `{ credential: tfs-pat }`';
  }
}

/**
 * The reference that a checked value stands for.
 * @param resolve Makes a path absolute.
 */
export function readSecretReference(raw: unknown, resolve: (path: string) => string): SecretReference {
  const fault = secretFault(raw);
  if (fault !== undefined) throw new SyntaxError(fault);
  const map = asMap(raw);
  const text = (key: string): string => String(ownValue(map, key));
  if (ownValue(map, 'file') !== undefined) return { kind: 'file', path: resolve(text('file')) };
  if (ownValue(map, 'env') !== undefined) return { kind: 'env', name: text('env') };
  if (ownValue(map, 'credential') !== undefined) return { kind: 'credential', name: text('credential') };
  const [program = '', ...words] = ownValue(map, 'command') as string[]; // secretFault saw a list of texts
  // A bare word is looked up on PATH; anything with a slash is a path like every other.
  return { kind: 'command', argv: [program.includes('/') ? resolve(program) : program, ...words] };
}

/** A reference as it stands in a file. */
export function showReference(reference: SecretReference): Readonly<Record<string, string | readonly string[]>> {
  switch (reference.kind) {
    case 'file':
      return { file: reference.path };
    case 'env':
      return { env: reference.name };
    case 'command':
      return { command: reference.argv };
    case 'credential':
      return { credential: reference.name };
  }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && !value.includes('\0');
}
