import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { doorBase, namesIn, onPremBases, rulesFor } from '../../../../src/cli/gitconfig/rules.js';

const BASE = 'http://127.0.0.1:8417';
const NOTHING = { base: BASE, organisations: [], onPrem: [] };
const spellings = (input: Parameters<typeof rulesFor>[0]) => rulesFor(input).map(({ insteadOf }) => insteadOf);
const usage = expect.objectContaining({ code: 'usage' }) as Error;

describe('rulesFor()', () => {
  it('lists the spellings of dev.azure.com when nothing else is known', () => {
    expect(rulesFor(NOTHING)).toEqual(
      ['https://dev.azure.com/', 'https://dev.azure.com:443/', 'http://dev.azure.com/'].map((insteadOf) => ({
        insteadOf,
        base: `${BASE}/dev.azure.com/`,
      })),
    );
  });

  it('adds the spellings of an organisation, in the case given and in lower case', () => {
    expect(spellings({ ...NOTHING, organisations: ['Contoso'] }).slice(3)).toEqual([
      'https://Contoso@dev.azure.com/',
      'https://Contoso@dev.azure.com:443/',
      'https://contoso@dev.azure.com/',
      'https://contoso@dev.azure.com:443/',
      'https://Contoso.visualstudio.com/',
      'https://Contoso.visualstudio.com:443/',
      'http://Contoso.visualstudio.com/',
      'https://Contoso@Contoso.visualstudio.com/',
      'https://Contoso@Contoso.visualstudio.com:443/',
      'https://contoso.visualstudio.com/',
      'https://contoso.visualstudio.com:443/',
      'http://contoso.visualstudio.com/',
      'https://contoso@contoso.visualstudio.com/',
      'https://contoso@contoso.visualstudio.com:443/',
    ]);
    const bases = new Set(rulesFor({ ...NOTHING, organisations: ['Contoso'] }).map(({ base }) => base));
    expect([...bases]).toEqual([`${BASE}/dev.azure.com/`, `${BASE}/contoso.visualstudio.com/`]);
  });

  it.each([
    ['https://tfs.example.com/tfs/', ['https://tfs.example.com/tfs/', 'https://tfs.example.com:443/tfs/'], 'tfs.example.com/tfs/'],
    ['https://tfs.example.com', ['https://tfs.example.com/', 'https://tfs.example.com:443/'], 'tfs.example.com/'],
    [
      'https://TFS.example.com/TFS',
      ['https://tfs.example.com/TFS/', 'https://TFS.example.com/TFS/', 'https://tfs.example.com:443/TFS/'],
      'tfs.example.com/TFS/',
    ],
    ['http://old:8080/tfs/', ['http://old:8080/tfs/'], 'old:8080/tfs/'],
    ['http://old/tfs/', ['http://old/tfs/', 'http://old:80/tfs/'], 'old/tfs/'],
    ['https://h/My%20Coll/', ['https://h/My%20Coll/', 'https://h:443/My%20Coll/'], 'h/My%20Coll/'],
  ])('maps the base %s', (base, values, behind) => {
    expect(rulesFor({ ...NOTHING, onPrem: [base] }).slice(3)).toEqual(
      values.map((insteadOf) => ({ insteadOf, base: `${BASE}/${behind}` })),
    );
  });

  it.each([
    'https://u:p@h/',
    'https://u@h/',
    'ssh://h/',
    'h/tfs',
    'https://h/?a',
    'https://h/#a',
    'https://h/a b/',
    'https://h/a"/',
    `${BASE}/x/`,
  ])('refuses the base %s', (base) => {
    expect(() => rulesFor({ ...NOTHING, onPrem: [base] })).toThrow(usage);
  });

  it.each(['con toso', 'a"]', ''])('refuses the organisation %j', (name) => {
    expect(() => rulesFor({ ...NOTHING, organisations: [name] })).toThrow(usage);
  });

  it('refuses a user part that may be a token', () => {
    expect(() => rulesFor({ ...NOTHING, users: ['c'.repeat(52)] })).toThrow(usage);
  });

  it('ends both sides in a slash, has no spelling twice, and minds no order', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9]{1,8}$/);
    const host = fc.stringMatching(/^[a-z]{1,8}$/).map((label) => `https://${label}.example/tfs`);
    fc.assert(
      fc.property(fc.array(name), fc.array(name), fc.array(host), (organisations, users, onPrem) => {
        const rules = rulesFor({ base: BASE, organisations, users, onPrem });
        for (const rule of rules) expect([rule.insteadOf.at(-1), rule.base.at(-1)]).toEqual(['/', '/']);
        expect(new Set(rules.map(({ insteadOf }) => insteadOf)).size).toBe(rules.length);
        const turned = {
          base: `${BASE}/`,
          organisations: organisations.toReversed(),
          users: users.toReversed(),
          onPrem: onPrem.toReversed(),
        };
        expect(rulesFor(turned)).toEqual(rules);
      }),
    );
  });

  it('gives the same rules again from the names that are read out of them', () => {
    // What begins like a token is refused.
    const name = fc.stringMatching(/^[A-Za-z0-9]{1,8}$/).filter((text) => !text.startsWith('eyJ'));
    fc.assert(
      fc.property(fc.array(name), fc.array(name), (organisations, users) => {
        const rules = rulesFor({ ...NOTHING, organisations, users });
        expect(rulesFor({ ...NOTHING, ...namesIn(rules.map(({ insteadOf }) => insteadOf)) })).toEqual(rules);
      }),
    );
  });
});

describe('doorBase()', () => {
  it('adds the slash', () => {
    expect(doorBase('http://[::1]:8417')).toBe('http://[::1]:8417/');
    expect(doorBase('http://127.0.0.1:8417/')).toBe('http://127.0.0.1:8417/');
  });

  it.each(['127.0.0.1:8417', 'http://127.0.0.1:8417/x', 'http://u:p@127.0.0.1:8417', 'ssh://127.0.0.1', ''])('refuses %j', (base) => {
    expect(() => doorBase(base)).toThrow(usage);
  });
});

describe('onPremBases()', () => {
  it.each([
    ['tfs.example.com/tfs/**', 'https://tfs.example.com/tfs/'],
    ['tfs.example.com:8443/**', 'https://tfs.example.com:8443/'],
    ['tfs.example.com/tfs/Coll/*/repo', 'https://tfs.example.com/tfs/Coll/'],
    ['git.example.com/team/repo', 'https://git.example.com/team/'],
    ['git.example.com', 'https://git.example.com/'],
  ])('makes of %s %s', (match, base) => {
    expect(onPremBases([{ match, hostKind: 'generic' }])).toEqual([base]);
  });

  it('leaves out Azure DevOps Services and hosts that are patterns', () => {
    const routes = [
      { match: 'dev.azure.com/**', hostKind: 'azure-services' },
      { match: '*.example.com/**', hostKind: 'azure-server' },
    ] as const;
    expect(onPremBases(routes)).toEqual([]);
  });
});
