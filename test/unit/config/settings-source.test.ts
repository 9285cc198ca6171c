import { describe, expect, it } from 'vitest';
import { faultsOf, load } from './loading.js';

describe('loadSettings() tells faults of YAML', () => {
  it.each([
    [
      'listen:\n  http: [::1]:8417\n',
      ['F:2:14: something stands where nothing can; put text with `[`, `{`, `:` or `#` in quotes, such as `"[::1]:8417"`'],
    ],
    [
      'routes:\n  - match: *.visualstudio.com/**\n',
      ['F:2:12: an alias (`*`) has no anchor; put text that begins with `*` in quotes, such as `"*.visualstudio.com/**"`'],
    ],
    ['log:\n\tlevel: info\n', ['F:2:1: a tab stands in the indentation; indent with blanks']],
    ['log: level: info\n', ['F:1:6: a second `: ` stands on the line; put the value in quotes']],
    ['log: !x {}\n', ['F:1:6: a tag is not known; leave it out, or put text that begins with `!` in quotes']],
    ['log: {}\n---\nlog: {}\n', ['F:2:1: a second document begins; keep one document and leave out the `---` between']],
    [
      'log: {}\nlog: {}\nroutes: [\n',
      [
        'F:2:1: the key comes twice; keep one of them',
        'F:4:1: the indentation does not fit, or a bracket is not closed; line keys up with their neighbours and close every `[` and `{`',
      ],
    ],
  ])('%j', async (text, lines) => {
    expect(await faultsOf(text)).toEqual(lines);
  });

  it('takes anchors and aliases, and tells faults below one where it is written out', async () => {
    expect(
      (await load(`identities: { a: &x { kind: none }, b: *x }\nroutes: [{ match: h/**, identity: a }, { match: i/**, identity: b }]\n`))
        .settings.identities,
    ).toEqual([
      { name: 'a', kind: 'none' },
      { name: 'b', kind: 'none' },
    ]);
    expect(await faultsOf('drain: &x { min: 1 }\ntimeouts: *x\n')).toEqual([
      'F:1:13: timeouts.min: unknown key `min`; the keys here are connect, stall, token',
      'F:1:18: drain.min: is a number; write a duration with its unit, such as `5s`',
    ]);
  });

  it.each(['['.repeat(100_000), '['.repeat(5000) + ']'.repeat(5000), '- '.repeat(50_000), '{a: '.repeat(20_000)])(
    'survives lists and maps that nest without end (%#)',
    async (text) => {
      expect(await faultsOf(text)).toEqual(['F:1:1: the nesting is too deep; check the brackets, or name the configuration file itself']);
    },
  );

  it('tells the first hundred faults of a file that is no YAML', async () => {
    expect(await faultsOf('*a '.repeat(1000))).toHaveLength(100);
  });

  it('survives aliases that multiply', async () => {
    const bomb = [
      'a: &a [x, x, x, x, x, x, x, x, x, x]',
      ...'bcdefgh'.split('').map((name, i) => `${name}: &${name} [${`*${'abcdefgh'[i]!}, `.repeat(9)}x]`),
    ];
    expect(await faultsOf(`${bomb.join('\n')}\n`)).toEqual(['F:1:1: aliases multiply beyond reason; write the values out']);
  });
});
