import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AZURE_TEXTS } from '../../../src/hosts/azure-texts.js';
import { readFailure } from '../../../src/hosts/failure.js';
import { ERROR_CODES, messageOf, ProxyError, systemCodeOf } from '../../../src/model/errors.js';

const ROOT = join(import.meta.dirname, '../../..');

interface Row {
  readonly code: string;
  readonly when: string;
  readonly statuses: readonly number[];
  readonly exit: string;
  readonly todo: string;
}

/** The rows of the table of codes in docs/ERRORS.md. */
function rows(): Row[] {
  const lines = readFileSync(join(ROOT, 'docs/ERRORS.md'), 'utf8').split('\n');
  return lines
    .filter((line) => line.startsWith('| `'))
    .map((line) => {
      const cells = line.split('|').map((cell) => cell.trim());
      expect(cells, line).toHaveLength(7);
      const [, code = '', when = '', statuses = '', exit = '', todo = ''] = cells;
      return { code: code.replaceAll('`', ''), when, statuses: statuses === '-' ? [] : statuses.split(', ').map(Number), exit, todo };
    });
}

describe('docs/ERRORS.md', () => {
  it('has one row for each code, in the order of the code, and no other', () => {
    expect(rows().map(({ code }) => code)).toEqual(ERROR_CODES);
  });

  it('says of each when it happens, how it is told and what to do', () => {
    for (const { code, when, statuses, exit, todo } of rows()) {
      expect(
        [when, todo].every((text) => text.length > 10),
        code,
      ).toBe(true);
      expect(
        statuses.every((status) => status >= 400 && status < 600 && status !== 401),
        code,
      ).toBe(true);
      expect(['-', '1', '2'], code).toContain(exit);
      expect(statuses.length > 0 || exit !== '-', `${code} is told nowhere`).toBe(true);
    }
  });

  it('has the statuses that failures of an upstream are told with', () => {
    const told = new Map(rows().map(({ code, statuses }) => [code, statuses]));
    const failures = [...AZURE_TEXTS.values()].map(({ code, status }) => ({ code, status }));
    for (let status = 200; status < 600; status++)
      for (const challenge of [{ what: 'more is wanted', todo: 'sign in' }, undefined])
        failures.push(readFailure('azure-services', { status, text: '', header: () => '' }, { claims: undefined, challenge }));
    for (const { code, status } of failures) expect(told.get(code), code).toContain(status);
  });

  it('names each of the codes of Azure DevOps with the failure that it becomes', () => {
    for (const [text, { code }] of AZURE_TEXTS) expect(rows().find((row) => row.code === code)?.when, code).toContain(text);
  });

  it('gives exit code 2 to what the command line counts as wrong usage or configuration', () => {
    // Read as text: the file runs the command line when it is imported.
    const source = readFileSync(join(ROOT, 'src/cli/postern.ts'), 'utf8');
    const list = /USAGE_CODES[^[]*\[([^\]]*)\]/.exec(source)?.[1] ?? '';
    const usage = [...list.matchAll(/'([a-z-]+)'/g)].map((match) => match[1]);
    expect(usage.length).toBeGreaterThan(2);
    const documented = rows()
      .filter(({ exit }) => exit === '2')
      .map(({ code }) => code);
    expect(documented.sort()).toEqual(usage.sort());
  });
});

describe('ProxyError', () => {
  it('holds code, text, what to do, details and cause', () => {
    const cause = new Error('below');
    const error = new ProxyError('usage', 'It is wrong', { todo: 'do it right', details: ['a', 'b'], cause });
    expect(error).toMatchObject({ name: 'ProxyError', code: 'usage', message: 'It is wrong', todo: 'do it right', details: ['a', 'b'] });
    expect(error.cause).toBe(cause);
    expect(error).toBeInstanceOf(Error);
  });

  it('has no cause, details and todo of its own', () => {
    const error = new ProxyError('internal', 'x');
    expect('cause' in error).toBe(false);
    expect([error.todo, error.details]).toEqual([undefined, []]);
  });
});

it.each<[thrown: unknown, text: string]>([
  [new Error('broken'), 'broken'],
  [new TypeError(''), 'TypeError'],
  [new AggregateError([new Error('a'), 'b', new AggregateError([new Error('c')])]), 'a; b; c'],
  [new AggregateError([new Error('a')], 'all failed'), 'all failed'],
  ['text', 'text'],
  [undefined, 'undefined'],
  [null, 'null'],
])('messageOf(%s) is its text without a stack', (thrown, text) => {
  expect(messageOf(thrown)).toBe(text);
});

it.each<[thrown: unknown, code: string | undefined]>([
  [Object.assign(new Error('x'), { code: 'ENOENT' }), 'ENOENT'],
  [{ code: 'EPIPE' }, 'EPIPE'],
  [{ code: 5 }, undefined],
  [new Error('x'), undefined],
  [null, undefined],
  ['ENOENT', undefined],
])('systemCodeOf(%s) is %s', (thrown, code) => {
  expect(systemCodeOf(thrown)).toBe(code);
});
