import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { remedyOf, signInCommand, todoFor } from '../../../src/identity/entra-remedy.js';
import { ENTRA_TEXTS, entraTextOf, findEntraText } from '../../../src/identity/entra-texts.js';
import type { EntraIdentity } from '../../../src/model/settings.js';

const KINDS: readonly EntraIdentity['kind'][] = [
  'azure-cli',
  'azure-developer-cli',
  'azure-powershell',
  'browser',
  'device-code',
  'client-secret',
  'client-certificate',
  'workload-identity',
  'managed-identity',
  'azure-pipelines',
];
const of = (kind: EntraIdentity['kind'], more: { tenant?: string; name?: string } = {}) => ({
  kind,
  name: more.name ?? 'me',
  tenant: more.tenant,
});

/** Codes that people have met in front of Azure DevOps, in the order of their meaning. */
const WANTED = [
  [50011],
  [50020, 90072],
  [50034, 50126],
  [50055, 50057],
  [50058, 50074, 50076, 50078, 50079, 50097],
  [50005, 53000, 53001, 53003, 530033],
  [50105],
  [50173, 70008, 70043, 700082, 700084],
  [65001],
  [70011, 500011, 650057],
  [70016],
  [70019, 70020],
  [700016],
  [7000215, 7000222],
  [700027],
  [70021, 700211, 700212, 700213],
  [700024],
  [90002, 900023],
  [90033, 90036, 50196],
].flat();

describe('the table of AADSTS codes', () => {
  it.each(WANTED)('has AADSTS%i, with something to do for every kind', (number) => {
    for (const kind of KINDS) {
      const todo = todoFor(of(kind), number) ?? '';
      expect(todo.length, kind).toBeGreaterThan(10);
      expect(todo, kind).not.toContain('{');
    }
  });

  it('has no code twice', () => {
    const all = ENTRA_TEXTS.flatMap(([codes]) => codes);
    expect(new Set(all).size).toBe(all.length);
  });

  it('never tells an application to sign in', () => {
    for (const [, text] of ENTRA_TEXTS)
      for (const kind of KINDS.filter((each) => signInCommand(of(each)) === undefined))
        expect(remedyOf(text, of(kind)).todo).not.toMatch(/sign in again|run `|az login|postern login|Connect-Az/);
  });

  it('is the one of docs/IDENTITIES.md', () => {
    const page = readFileSync(join(import.meta.dirname, '../../../docs/IDENTITIES.md'), 'utf8');
    const rows = page
      .split('\n')
      .filter((line) => /^\| [0-9]{5,}/.test(line))
      .map((line) =>
        line
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    expect(rows).toEqual(
      ENTRA_TEXTS.map(([codes, { what, person, application }]) => [
        codes.join(', '),
        what,
        person.replace('{sign in}', 'sign in again'),
        application === person ? 'the same' : application,
      ]),
    );
  });
});

describe('signInCommand()', () => {
  it.each<[kind: EntraIdentity['kind'], tenant: string | undefined, command: string | undefined]>([
    ['azure-cli', undefined, 'az login'],
    ['azure-cli', 'contoso.example', 'az login --tenant contoso.example'],
    ['azure-developer-cli', undefined, 'azd auth login'],
    ['azure-developer-cli', 'contoso.example', 'azd auth login --tenant-id contoso.example'],
    ['azure-powershell', 'contoso.example', 'Connect-AzAccount -Tenant contoso.example'],
    ['browser', 'contoso.example', 'postern login me'],
    ['device-code', undefined, 'postern login me'],
    ['client-secret', 'contoso.example', undefined],
    ['managed-identity', undefined, undefined],
  ])('for %s, tenant %s, is %s', (kind, tenant, command) => {
    expect(signInCommand(of(kind, tenant === undefined ? {} : { tenant }))).toBe(command);
  });

  it('writes a name for the shell', () => {
    expect(signInCommand(of('browser', { name: "Dana's own; rm" }))).toBe("postern login 'Dana'\\''s own; rm'");
  });
});

describe('todoFor()', () => {
  it('names the command of the kind', () => {
    expect(todoFor(of('azure-cli', { tenant: 't' }), 700082)).toBe('run `az login --tenant t`');
    expect(todoFor(of('browser'), 50055)).toBe('change the password, then run `postern login me`');
    expect(todoFor(of('client-secret'), 50173)).toContain('ask the administrator of the tenant');
    expect(todoFor(of('client-secret'), 1)).toBeUndefined();
  });

  it.each([50005, 53000, 53001, 53003, 530033])('tells of AADSTS%i that device codes are blocked, and the way around', (number) => {
    const text = entraTextOf(number);
    if (text === undefined) throw new Error('no such row');
    expect(remedyOf(text, of('device-code'))).toEqual({
      what: 'The tenant blocks this sign-in with a device code (conditional access)',
      todo: 'sign in with a browser instead (`postern login me --browser`), use a service principal, or ask the administrator of the tenant to allow device codes',
    });
    expect(remedyOf(text, of('browser')).what).toBe('Conditional access blocks this sign-in');
  });
});

describe('findEntraText()', () => {
  const answer = (body: object): string => JSON.stringify(body);
  it.each<[text: string, number: number | undefined, sentence: string]>([
    ["AADSTS50020: User account 'x' does not exist. Trace ID: 1", 50020, "User account 'x' does not exist"],
    ['ERROR: AADSTS700082: The refresh token has expired.\nTrace', 700082, 'The refresh token has expired'],
    [
      answer({ error: 'invalid_grant', error_description: 'AADSTS65001: The "user" has not consented. Trace ID: 2' }),
      65001,
      'The "user" has not consented',
    ],
    [
      answer({ error: 'invalid_client', error_codes: [7000222], error_description: 'The keys are expired. Trace' }),
      7000222,
      'The keys are expired',
    ],
    [answer({ error: 'invalid_client', error_codes: [7000222] }), 7000222, ''],
    // A piece of JSON in a longer text, as a tool quotes it.
    ['oops: {"error_description":"AADSTS50105: Not assigned\\r\\nTrace","x":1}', 50105, 'Not assigned'],
  ])('reads %s', (text, number, sentence) => {
    expect(findEntraText(text)).toMatchObject({ number, sentence, known: expect.anything() as unknown });
  });

  it.each([
    [{ error: 'invalid_grant', suberror: 'consent_required' }, 'consent_required', 65001],
    [{ error: 'interaction_required', suberror: 'basic_action' }, 'basic_action', 50076],
    [{ error: 'interaction_required' }, 'interaction_required', 50058],
    [{ error: 'authorization_pending' }, 'authorization_pending', 70016],
  ])('takes the word of %o for want of a number', (body, word, like) => {
    expect(findEntraText(answer(body))).toMatchObject({ number: undefined, word, known: entraTextOf(like) });
  });

  it('keeps an unknown number, with what the word stands for as a hint only', () => {
    expect(findEntraText(answer({ error: 'interaction_required', error_description: 'AADSTS9999999: New rule. Trace' }))).toEqual({
      number: 9999999,
      word: undefined,
      known: undefined,
      hint: entraTextOf(50058),
      sentence: 'New rule',
    });
  });

  it.each(['', 'no code', '{"error":"invalid_request"}', '{"error":"constructor"}', '[]', 'AADSTS12', '{"error_codes":["50020"]}'])(
    'finds nothing in %s',
    (text) => {
      expect(findEntraText(text)).toBeUndefined();
    },
  );
});
