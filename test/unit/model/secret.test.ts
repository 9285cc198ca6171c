import { Console } from 'node:console';
import { PassThrough } from 'node:stream';
import { format, inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../src/model/secret.js';
import { anyText } from '../any-text.js';

const CANARY = 'hunter2-canary';

/** Every way in which a value becomes text by accident. */
const WAYS: Readonly<Record<string, (secret: Secret) => string>> = {
  // eslint-disable-next-line @typescript-eslint/restrict-template-expressions -- because it must do no harm
  'a template': (secret) => `${secret}`,
  concatenation: (secret) => 'x' + String(secret),
  'its toString': (secret) => secret.toString(),
  'its toLocaleString': (secret) => secret.toLocaleString(),
  'join of a list': (secret) => [secret].join(),
  JSON: (secret) => JSON.stringify(secret),
  'JSON of what holds it': (secret) => JSON.stringify({ a: [secret], b: { secret } }),
  inspect: (secret) => inspect(secret),
  'inspect with everything': (secret) => inspect({ a: [secret] }, { showHidden: true, depth: Infinity, getters: true }),
  'inspect without its own way': (secret) => inspect(secret, { customInspect: false, showHidden: true }),
  'format %s': (secret) => format('%s', secret),
  'format %o': (secret) => format('%o', secret),
  'format %O': (secret) => format('%O', { secret }),
  'format %j': (secret) => format('%j', secret),
  // eslint-disable-next-line @typescript-eslint/no-misused-spread -- because it must do no harm
  'its keys and values': (secret) => JSON.stringify([Object.entries(secret), Reflect.ownKeys(secret).map(String), { ...secret }]),
  'an error that holds it': (secret) => inspect(new Error('x', { cause: secret })),
  'a clone': (secret) => inspect(structuredClone(secret)),
  console: (secret) => {
    const stream = new PassThrough();
    const console = new Console(stream, stream);
    console.log(secret, { secret });
    console.error('%o', [secret]);
    console.dir({ secret }, { showHidden: true, customInspect: false });
    console.table([{ secret }]);
    return (stream.read() as Buffer).toString();
  },
};

describe('Secret', () => {
  it.each(Object.entries(WAYS))('does not show itself in %s', (_name, way) => {
    const text = way(new Secret(CANARY));
    expect(text).not.toContain('hunter2');
    expect(text).not.toBe('');
  });

  it('shows a placeholder that does not tell one from another', () => {
    expect([String(new Secret('a')), String(new Secret('bb')), String(new Secret(''))]).toEqual(['[secret]', '[secret]', '[secret]']);
  });

  it('keeps its place in JSON, so that what holds it can still be read', () => {
    expect(JSON.stringify({ secret: new Secret('a') })).toBe('{"secret":"[secret]"}');
    expect(inspect({ secret: new Secret('a') })).toBe('{ secret: [secret] }');
  });

  it('is revealed as it was given', () => {
    fc.assert(
      fc.property(anyText(), (value) => {
        expect(new Secret(value).reveal()).toBe(value);
      }),
    );
  });

  it('equals another of the same text only', () => {
    expect(new Secret('a').equals(new Secret('a'))).toBe(true);
    expect(new Secret('a').equals(new Secret('A'))).toBe(false);
  });
});
