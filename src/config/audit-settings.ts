/** The key `audit`: `off`, or a map. Its grammar, its defaults, and what it means. */
import type { AuditSettings } from '../model/settings.js';
import { parseAge, writeDuration } from './duration.js';
import type { ShownValue } from './effective-value.js';
import { asMap, ownValue, quote } from './fault.js';
import type { ShapeFault } from './fault.js';
import { pathKey } from './identity-schema.js';
import { checked, jsonSchemaOf, section, shapeFaults, text, word } from './schema-parts.js';
import { parseSize, writeSize } from './size.js';

const OFF = 'off';
const ON_FAILURE = ['refuse', 'continue'] as const satisfies readonly AuditSettings['onFailure'][];
const FALLBACK = { onFailure: 'continue', maxSize: '64MiB', maxAge: '90d' } as const;
const IS = 'a map such as `{ maxAge: 90d }`, or `off`';

const mapSchema = section(IS, {
  directory: pathKey(
    'Where the records are; made with mode 0700 when it is not there. Default: audit in the state directory.',
    '/var/log/postern',
  ).optional(),
  onFailure: word(
    ON_FAILURE,
    'When a record cannot be written: continue to serve and count what is lost, or refuse operations until it can be written.',
    FALLBACK.onFailure,
  ).optional(),
  maxSize: text({
    is: 'a size with its unit, such as `64MiB`',
    about: 'A file is closed when it has this size, and the next one begun: a whole number and one of B, KiB, MiB, GiB.',
    parse: parseSize,
    fallback: FALLBACK.maxSize,
  }).optional(),
  maxAge: text({
    is: 'a duration with its unit, such as `90d`',
    about: 'How long records are kept. Files are removed whole, so some stay up to a tenth longer.',
    parse: parseAge,
    fallback: FALLBACK.maxAge,
  }).optional(),
});

/** The schema of the key. */
export const auditSchema = checked(auditFaults, {
  description: 'The record of what was done and refused, bound together so that changes show (`postern audit`). `off` keeps none.',
  anyOf: [{ type: 'string', enum: [OFF] }, withoutDialect(jsonSchemaOf(mapSchema))],
});

/** The settings of a file's checked value, and how they are shown, by key; `off` is shown as the whole. */
export function auditSettings(
  raw: unknown,
  resolve: (path: string) => string,
): { readonly settings: AuditSettings; readonly shown: typeof OFF | Readonly<Record<string, ShownValue>> } {
  const map = asMap(raw);
  const of = (key: string): string | undefined => {
    const value = ownValue(map, key);
    return typeof value === 'string' ? value : undefined;
  };
  const directory = of('directory');
  const settings: AuditSettings = {
    isOn: raw !== OFF,
    directory: directory === undefined ? undefined : resolve(directory),
    onFailure: ON_FAILURE.find((known) => known === of('onFailure')) ?? FALLBACK.onFailure,
    maxSizeBytes: parseSize(of('maxSize') ?? FALLBACK.maxSize),
    maxAge: parseAge(of('maxAge') ?? FALLBACK.maxAge),
  };
  if (!settings.isOn) return { settings, shown: OFF };
  const shown: Record<string, ShownValue> = {
    onFailure: settings.onFailure,
    maxSize: writeSize(settings.maxSizeBytes),
    maxAge: writeDuration(settings.maxAge),
  };
  return { settings, shown: settings.directory === undefined ? shown : { directory: settings.directory, ...shown } };
}

function auditFaults(raw: unknown): readonly ShapeFault[] {
  if (raw === undefined || raw === OFF) return [];
  if (typeof raw === 'string') return [{ path: [], on: 'value', text: `${quote(raw)} is not \`off\`; write ${IS}` }];
  return shapeFaults(mapSchema, raw);
}

/** Only a whole schema names its dialect. */
function withoutDialect(schema: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== '$schema'));
}
