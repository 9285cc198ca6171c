/**
 * TLS on the HTTP door, `listen.http.tls`: `off`, `auto`, or a map with the PEM files of a certificate that somebody else keeps
 * fresh.
 */
import type { DoorTls, ListenAddress } from '../model/settings.js';
import type { EffectiveValue } from './effective-value.js';
import { asMap, ownValue, quote, type ShapeFault, typeName } from './fault.js';
import { unknownKeyText } from './not-yet.js';
import type { SettingsSource } from './settings-source.js';

const WORDS = ['off', 'auto'] as const;
const FILES = ['certificate', 'key'] as const;
const RIGHT = 'write `off`, `auto`, or `{ certificate: FILE, key: FILE }`';

/** For editors. */
export const TLS_SCHEMA = {
  description:
    "TLS: off; auto, with a certificate of Postern's own authority; or the PEM files of another. Default: off on loopback, auto on every other listener.",
  anyOf: [
    { enum: [...WORDS] },
    {
      type: 'object',
      properties: {
        certificate: {
          type: 'string',
          description: 'PEM file: the certificate, and behind it those up to an authority that clients trust.',
        },
        key: { type: 'string', description: 'PEM file of its key, without passphrase.' },
      },
      required: [...FILES],
      additionalProperties: false,
    },
  ],
};

/** All that is wrong with the value, with paths that begin below `listen.http`. */
export function tlsFaults(raw: unknown): ShapeFault[] {
  if (WORDS.some((word) => word === raw)) return [];
  const map = asMap(raw);
  if (map === undefined) {
    const text = typeof raw === 'string' ? `${quote(raw)} is not a kind of TLS; ${RIGHT}` : `is ${typeName(raw)}; ${RIGHT}`;
    return [{ path: ['tls'], on: 'value', text }];
  }
  const unknown = Object.keys(map).filter((key) => !FILES.some((known) => known === key));
  const wrong = FILES.filter((key) => !isPath(ownValue(map, key)));
  return [
    ...unknown.map((key): ShapeFault => ({ path: ['tls', key], on: 'key', text: unknownKeyText(key, FILES, []) })),
    ...wrong.map((key): ShapeFault => {
      const value = ownValue(map, key);
      return {
        path: ['tls', key],
        on: 'value',
        text: `${value === undefined ? 'is missing' : 'is not a path'}; write the path of a PEM file`,
      };
    }),
  ];
}

/** The value of a file without faults, and where it comes from. `resolve` makes a path of the file absolute. */
export function readTls(
  source: SettingsSource,
  http: readonly ListenAddress[],
  resolve: (path: string) => string,
): { tls: DoorTls; effective: EffectiveValue } {
  const path = ['listen', 'http', 'tls'];
  const raw = ownValue(asMap(ownValue(asMap(ownValue(asMap(source.raw), 'listen')), 'http')), 'tls');
  const show = (value: EffectiveValue['value']): EffectiveValue => ({ path: path.join('.'), value, origin: source.place(path).text });
  if (raw === undefined)
    return {
      tls: { kind: 'default' },
      effective: { path: path.join('.'), value: defaultFor(http), origin: 'default' },
    };
  if (raw === 'off' || raw === 'auto') return { tls: { kind: raw }, effective: show(raw) };
  const [certificate, key] = FILES.map((name) => resolve(String(ownValue(asMap(raw), name)))) as [string, string]; // because FILES are two
  return { tls: { kind: 'files', certificate, key }, effective: show({ certificate, key }) };
}

/** What no value means for these listeners. */
function defaultFor(http: readonly ListenAddress[]): string {
  const here = http.filter(({ host }) => host === '::1' || host.startsWith('127.')).length;
  if (here === http.length) return 'off';
  return here === 0 ? 'auto' : 'off on loopback, auto elsewhere';
}

function isPath(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && !value.includes('\0');
}
