/**
 * The parts that the schema of a configuration file is built of, and what a failed check means in words. The only file that
 * knows zod; its own messages are never shown. What a value may be is said by the parsers that are handed in.
 */
import { z } from 'zod';
import { faultOf, quote, typeName } from './fault.js';
import type { ShapeFault } from './fault.js';
import { hint } from './nearest-name.js';
import { unknownKeyText } from './not-yet.js';

/** A key that takes text. */
interface TextKey {
  /** What would be right, for someone who wrote something else: `a duration such as 30s`. */
  readonly is: string;
  /** For editors: meaning, unit, default. */
  readonly about: string;
  /** The grammar; throws a SyntaxError. */
  readonly parse?: (text: string) => unknown;
  readonly examples?: readonly string[];
  /** The default as someone would write it. */
  readonly fallback?: string;
}

/** Text that is not empty. */
export function text({ is, about, parse, examples, fallback }: TextKey) {
  return z
    .string({ error: ({ input }) => wrongType(input, is) })
    .superRefine((value, context) => {
      const fault = value === '' ? `is empty; write ${is}` : parse && faultOf(parse, value);
      if (fault !== undefined) context.addIssue({ code: 'custom', message: fault });
    })
    .meta({ description: about, ...(examples && { examples }), ...(fallback !== undefined && { default: fallback }) });
}

/** One word of a list. */
export function word<const Words extends readonly string[]>(words: Words, about: string, fallback?: string) {
  const all = words.join(', ');
  return z
    .enum(words, {
      error: ({ input }) =>
        typeof input === 'string'
          ? `${quote(input)} is not one of ${all}${hint(input, words, 'write one of them')}`
          : wrongType(input, `one of ${all}`),
    })
    .meta({ description: about, ...(fallback !== undefined && { default: fallback }) });
}

/** Exactly this word; it tells the kind of a map. */
export function kind<const Kind extends string>(name: Kind, about: string) {
  return z.literal(name).meta({ description: about });
}

/**
 * A map that takes these keys and no others. zod tells all unknown keys of a map as one issue with one message: it holds a
 * line for each, which `shapeFaults` takes apart (`quote` leaves no line break in them).
 */
export function section<Shape extends z.ZodRawShape>(is: string, shape: Shape, notYet: readonly string[] = []) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => unknownKeyText(key, known, notYet)).join('\n')
        : wrongType(issue.input, is),
  });
}

/** A map that takes other keys for each `kind`. */
export function byKind<const Kinds extends readonly [KindSection, ...KindSection[]]>(kinds: Kinds, error: (input: unknown) => string) {
  return z.discriminatedUnion('kind', kinds, { error: ({ input }) => error(input) });
}
type KindSection = z.ZodObject<{ kind: z.ZodLiteral<string> }, z.core.$strict>;

/** A map from names to values of one shape. */
export function named<Value extends z.ZodType>(is: string, value: Value) {
  return z.record(z.string(), value, { error: ({ input }) => wrongType(input, is) });
}

/** A list that holds something, and not more than `most`. */
export function list<Item extends z.ZodType>(is: string, item: Item, most = Infinity) {
  return z.array(item, { error: ({ input }) => wrongType(input, is) }).superRefine((items, context) => {
    if (items.length === 0) context.addIssue({ code: 'custom', message: `is an empty list; write ${is}, or leave the key out` });
    if (items.length > most) context.addIssue({ code: 'custom', message: `has ${items.length} entries; write at most ${most}` });
  });
}

/** Anything that a check of ours accepts; editors are told its form by a JSON schema. */
export function checked(check: (raw: unknown) => readonly ShapeFault[], jsonSchema: Readonly<Record<string, unknown>>) {
  return z
    .unknown()
    .superRefine((raw, context) => {
      for (const { path, text, on } of check(raw)) context.addIssue({ code: 'custom', path: [...path], message: text, params: { on } });
    })
    .meta(jsonSchema);
}

/** All that is wrong with the shape of a value. */
export function shapeFaults(schema: z.ZodType, raw: unknown): ShapeFault[] {
  return (schema.safeParse(raw).error?.issues ?? []).flatMap((issue): ShapeFault[] => {
    // Names of maps are text and indices numbers; YAML has no symbols.
    const path = issue.path.filter((step) => typeof step !== 'symbol');
    if (issue.code === 'unrecognized_keys') {
      const texts = issue.message.split('\n');
      return issue.keys.map((key, index) => ({ path: [...path, key], on: 'key', text: texts[index] ?? '' }));
    }
    return [{ path, on: issue.code === 'custom' && issue.params?.on === 'key' ? 'key' : 'value', text: issue.message }];
  });
}

/** The JSON Schema (draft-07, which editors understand best) of what may be written. */
export function jsonSchemaOf(schema: z.ZodType): Record<string, unknown> {
  return z.toJSONSchema(schema, { io: 'input', target: 'draft-7' });
}

/** What to say when a value is absent or has the wrong type. The value itself is not shown. */
export function wrongType(input: unknown, is: string): string {
  if (input === undefined) return `is missing; write ${is}`;
  if (input === null) return `has no value; write ${is}`;
  return `is ${typeName(input)}; write ${is}`;
}
