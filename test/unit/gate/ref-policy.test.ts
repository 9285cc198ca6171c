/** Rules for refs. The promise: what a push may touch is decided by the names and changes of its command list, all of them. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { refGlob } from '../../../src/gate/ref-glob.js';
import { changeOf, foldRef, refuseByRefs } from '../../../src/gate/ref-policy.js';
import type { RefCommand, RefPolicy } from '../../../src/model/refs.js';

const NONE = '0'.repeat(40);
const ONE = '1'.repeat(40);
const TWO = '2'.repeat(40);

const create = (ref: string): RefCommand => ({ oldOid: NONE, newOid: ONE, ref });
const update = (ref: string): RefCommand => ({ oldOid: ONE, newOid: TWO, ref });
const remove = (ref: string): RefCommand => ({ oldOid: ONE, newOid: NONE, ref });

function policy(rules: Partial<RefPolicy>): RefPolicy {
  return { source: 'the rule', allow: undefined, protect: [], changes: undefined, ...rules };
}

function reasonsOf(commands: readonly RefCommand[], ...policies: readonly RefPolicy[]): string[] | undefined {
  return refuseByRefs(commands, policies)?.refs?.map(({ reason }) => reason);
}

const matches = (glob: string, name: string): boolean => refGlob(glob).matches(name, { steps: 0 });

describe('refGlob()', () => {
  it.each<[glob: string, yes: string[], no: string[]]>([
    [
      'refs/heads/main',
      ['refs/heads/main'],
      ['refs/heads/main2', 'refs/heads/mai', 'refs/heads/main/x', 'refs/heads/MAIN', 'xrefs/heads/main'],
    ],
    [
      'refs/heads/agent/*',
      ['refs/heads/agent/x', 'refs/heads/agent/'],
      ['refs/heads/agent/x/y', 'refs/heads/agent', 'refs/heads/agents/x'],
    ],
    ['refs/heads/agent/**', ['refs/heads/agent/x', 'refs/heads/agent/x/y'], ['refs/heads/agent', 'refs/heads/agents/x']],
    ['refs/**', ['refs/heads/a', 'refs/x/y/z', 'refs/x'], ['ref/x', 'refs']],
    ['refs/*/main', ['refs/heads/main', 'refs/tags/main'], ['refs/main', 'refs/a/b/main']],
    ['refs/**/main', ['refs/heads/main', 'refs/a/b/main'], ['refs/main', 'refs/a/main/x']],
    ['refs/heads/*-fix', ['refs/heads/-fix', 'refs/heads/a-fix-fix'], ['refs/heads/a/b-fix', 'refs/heads/a-fix-']],
    ['refs/heads/a*b*c', ['refs/heads/abc', 'refs/heads/aXbbYcc'], ['refs/heads/acb', 'refs/heads/ab/c']],
    ['refs/heads/**x*y', ['refs/heads/xy', 'refs/heads/x/a/xby'], ['refs/heads/x/y', 'refs/heads/y']],
    ['refs/heads/a.b', ['refs/heads/a.b'], ['refs/heads/axb']],
    ['refs/heads/(a|b)+[c]$', ['refs/heads/(a|b)+[c]$'], ['refs/heads/a']],
    ['refs/heads/\u{1f600}*', ['refs/heads/\u{1f600}', 'refs/heads/\u{1f600}\u{1f601}'], ['refs/heads/\ud83d']],
  ])('%s', (glob, yes, no) => {
    for (const name of yes) expect(matches(glob, name), name).toBe(true);
    for (const name of no) expect(matches(glob, name), name).toBe(false);
  });

  it('agrees with a regular expression of the same meaning, also across the words that it counts in', () => {
    const piece = fc.constantFrom('a', 'b', '/', '*', '**', 'a'.repeat(31), 'ab/'.repeat(11), '.');
    const glob = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join('').replace(/\*{3,}/g, '**'));
    const name = fc
      .array(fc.constantFrom('a', 'b', '/', 'a'.repeat(32), 'ab/'.repeat(11), '.', 'x'), { maxLength: 10 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(glob, name, (text, ref) => {
        const source = text.replace(/\*\*|\*|[^*]/g, (token) => (token === '**' ? '.*' : token === '*' ? '[^/]*' : `[${token}]`));
        expect(matches(text, ref)).toBe(new RegExp(`^${source}$`, 's').test(ref));
      }),
      { numRuns: 3000 },
    );
  });

  it('takes steps for the length of the name and the words of the glob alone, whatever they are', () => {
    for (const [glob, name] of [
      [`refs/${'*a'.repeat(120)}b`, `refs/${'a'.repeat(5000)}`],
      [`refs/${'**a'.repeat(80)}b`, `refs/${'a/'.repeat(2500)}`],
    ] as const) {
      const work = { steps: 0 };
      expect(refGlob(glob).matches(name, work)).toBe(false);
      expect(work.steps).toBeLessThanOrEqual(name.length * (Math.floor(glob.length / 32) + 1));
    }
  });
});

describe('changeOf()', () => {
  it.each([
    [create('refs/heads/a'), 'create'],
    [update('refs/heads/a'), 'update'],
    [remove('refs/heads/a'), 'delete'],
    [{ oldOid: NONE, newOid: NONE, ref: 'refs/heads/a' }, 'delete'],
    [{ oldOid: '0'.repeat(64), newOid: '1'.repeat(64), ref: 'refs/heads/a' }, 'create'],
  ])('%j is %s', (command, change) => {
    expect(changeOf(command)).toBe(change);
  });
});

describe('refuseByRefs()', () => {
  it('permits everything without policies, also names that are none', () => {
    expect(refuseByRefs([remove('nonsense..')], [])).toBeUndefined();
  });

  it('permits a push of nothing', () => {
    expect(refuseByRefs([], [policy({ allow: [], changes: [] })])).toBeUndefined();
  });

  it('refuses every ref when one is refused: its own reason, and the others naming the first', () => {
    const refusal = refuseByRefs(
      [create('refs/heads/agent/x'), update('refs/heads/main'), create('refs/heads/agent/y'), remove('refs/heads/agent/z')],
      [
        policy({
          source: 'the route h/**',
          allow: ['refs/heads/agent/*', 'refs/heads/main'],
          protect: ['refs/heads/main'],
          changes: ['create', 'update'],
        }),
      ],
    );
    expect(refusal).toMatchObject({
      code: 'ref-refused',
      status: 403,
      what: 'The push was refused because of refs/heads/main: the route h/** protects refs/heads/main',
      refs: [
        { ref: 'refs/heads/agent/x', reason: 'not pushed, because refs/heads/main was refused' },
        { ref: 'refs/heads/main', reason: 'the route h/** protects refs/heads/main' },
        { ref: 'refs/heads/agent/y', reason: 'not pushed, because refs/heads/main was refused' },
        { ref: 'refs/heads/agent/z', reason: 'the route h/** does not allow to delete refs' },
      ],
    });
  });

  it.each<[what: string, RefCommand, Partial<RefPolicy>, string | undefined]>([
    ['allow', create('refs/heads/a'), { allow: ['refs/heads/a'] }, undefined],
    ['allow of another', create('refs/heads/b'), { allow: ['refs/heads/a'] }, 'the rule allows only refs/heads/a'],
    ['allow in another case', create('refs/heads/A'), { allow: ['refs/heads/a'] }, 'the rule allows only refs/heads/a'],
    [
      'allow in another composition',
      create('refs/heads/e\u0301'),
      { allow: ['refs/heads/\u00e9'] },
      'the rule allows only refs/heads/\u00e9',
    ],
    ['allow of nothing', create('refs/heads/a'), { allow: [] }, 'the rule allows no refs'],
    [
      'many globs',
      create('refs/heads/x'),
      { allow: ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `refs/heads/${name}`) },
      'the rule allows only refs/heads/a, refs/heads/b, refs/heads/c, refs/heads/d and 2 more',
    ],
    ['protect', update('refs/heads/main'), { protect: ['refs/heads/main'] }, 'the rule protects refs/heads/main'],
    [
      'protect by a glob',
      create('refs/heads/release/1/2'),
      { protect: ['refs/heads/release/**'] },
      'the rule protects refs/heads/release/**',
    ],
    ['protect in capitals', update('refs/heads/MAIN'), { protect: ['refs/heads/main'] }, 'the rule protects refs/heads/main'],
    ['protect written in capitals', update('refs/heads/main'), { protect: ['refs/heads/Main'] }, 'the rule protects refs/heads/Main'],
    [
      'protect with a long s',
      update('refs/heads/relea\u017fe'),
      { protect: ['refs/heads/release'] },
      'the rule protects refs/heads/release',
    ],
    ['protect with a Kelvin sign', update('refs/heads/\u212aeep'), { protect: ['refs/heads/keep'] }, 'the rule protects refs/heads/keep'],
    [
      'protect with a final sigma',
      update('refs/heads/\u03bb\u03c2'),
      { protect: ['refs/heads/\u03bb\u03c3'] },
      'the rule protects refs/heads/\u03bb\u03c3',
    ],
    [
      'protect in another composition',
      update('refs/heads/cafe\u0301'),
      { protect: ['refs/heads/CAF\u00c9'] },
      'the rule protects refs/heads/CAF\u00c9',
    ],
    ['protect of a neighbour', update('refs/heads/main2'), { protect: ['refs/heads/main'] }, undefined],
    ['protect and allow', update('refs/heads/a'), { allow: ['refs/**'], protect: ['refs/heads/a'] }, 'the rule protects refs/heads/a'],
    ['create alone', create('refs/heads/a'), { changes: ['create'] }, undefined],
    ['create alone, update', update('refs/heads/a'), { changes: ['create'] }, 'the rule does not allow to update refs'],
    ['update alone, create', create('refs/heads/a'), { changes: ['update'] }, 'the rule does not allow to create refs'],
    ['no changes', create('refs/heads/a'), { changes: [] }, 'the rule does not allow to create refs'],
    ['a tag', create('refs/tags/v1'), { changes: ['create', 'tag'] }, undefined],
    ['a tag without tag', create('refs/tags/v1'), { changes: ['create'] }, 'the rule does not allow to create tags'],
    ['a tag in capitals without tag', remove('refs/Tags/v1'), { changes: ['delete'] }, 'the rule does not allow to delete tags'],
    ['a tag that is to go', remove('refs/tags/v1'), { changes: ['create', 'tag'] }, 'the rule does not allow to delete refs'],
    ['every change by default', remove('refs/tags/v1'), {}, undefined],
  ])('%s', (_what, command, rules, reason) => {
    expect(reasonsOf([command], policy(rules))).toEqual(reason === undefined ? undefined : [reason]);
  });

  it.each([
    'main',
    'HEAD',
    'heads/main',
    'Refs/heads/main',
    ' refs/heads/main',
    'refs/heads/',
    'refs//heads/main',
    'refs/heads/.main',
    'refs/./heads/main',
    'refs/heads/main.lock',
    'refs/heads/main.lock/x',
    'refs/heads/../heads/main',
    'refs/heads/a b',
    'refs/heads/a\u007f',
    'refs/heads/a\u0001',
    'refs/heads/a~1',
    'refs/heads/a^',
    'refs/heads/a:b',
    'refs/heads/a?',
    'refs/heads/*',
    'refs/heads/[a',
    'refs/heads/a\\b',
    'refs/heads/main.',
    'refs/heads/a@{1}',
  ])('refuses %j, which is no name of a ref, wherever a policy applies', (ref) => {
    expect(reasonsOf([create(ref)], policy({}))?.[0]).toMatch(/^the name (?:has|holds|ends|does)/);
  });

  it('asks all policies, and names the first that refuses', () => {
    const policies = [policy({ source: 'one', allow: ['refs/heads/*'] }), policy({ source: 'two', allow: ['refs/heads/a'] })];
    expect(reasonsOf([create('refs/heads/a')], ...policies)).toBeUndefined();
    expect(reasonsOf([create('refs/heads/b')], ...policies)).toEqual(['two allows only refs/heads/a']);
    expect(reasonsOf([create('refs/tags/a')], ...policies)).toEqual(['one allows only refs/heads/*']);
  });

  it('never lets more through for one more policy', () => {
    const glob = fc.constantFrom('refs/heads/*', 'refs/**', 'refs/heads/a', 'refs/tags/*', 'refs/heads/a/**');
    const change = fc.constantFrom('create', 'update', 'delete', 'tag' as const);
    const rules = fc.record({
      allow: fc.option(fc.array(glob), { nil: undefined }),
      protect: fc.array(glob),
      changes: fc.option(fc.array(change), { nil: undefined }),
    });
    const command = fc
      .tuple(fc.constantFrom(create, update, remove), fc.constantFrom('refs/heads/a', 'refs/heads/a/b', 'refs/tags/a', 'refs/heads/B'))
      .map(([make, ref]) => make(ref));
    fc.assert(
      fc.property(fc.array(rules, { minLength: 1, maxLength: 3 }), rules, fc.array(command), (some, more, commands) => {
        const policies = some.map((each) => policy(each as Partial<RefPolicy>));
        if (refuseByRefs(commands, [...policies, policy(more)]) === undefined) expect(refuseByRefs(commands, policies)).toBeUndefined();
      }),
    );
  });

  it('shows no control characters and no pages of a name', () => {
    const what = refuseByRefs([create(`refs/heads/\u001b[2J\u202e${'x'.repeat(5000)}`)], [policy({})])?.what ?? '';
    expect(what).toContain('refs/heads/?[2J?xxx');
    expect(what.length).toBeLessThan(400);
  });

  it('is linear in the number of refs: its work for each of 20,000 is that for each of 2,000', () => {
    const rules = policy({ allow: ['refs/heads/agent/**', 'refs/heads/*/x'], protect: ['refs/heads/main', 'refs/heads/release/**'] });
    const each = [2000, 20_000].map((count) => {
      const work = { steps: 0 };
      const commands = Array.from({ length: count }, (_, index) => create(`refs/heads/agent/${100_000 + index}`));
      expect(refuseByRefs(commands, [rules], work)).toBeUndefined();
      return work.steps / count;
    });
    expect(each[1]).toBe(each[0]);
    expect(each[0]).toBeGreaterThan(0);
  });
});

describe('foldRef()', () => {
  it('changes nothing when done again', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (name) => {
        expect(foldRef(foldRef(name))).toBe(foldRef(name));
      }),
      { numRuns: 2000 },
    );
  });
});
