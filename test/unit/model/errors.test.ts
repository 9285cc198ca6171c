import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readErrorPage } from '../../../src/cli/error-page.js';
import { AZURE_TEXTS } from '../../../src/hosts/azure-texts.js';
import { readFailure } from '../../../src/hosts/failure.js';
import { ERROR_CODES, messageOf, ProxyError, systemCodeOf } from '../../../src/model/errors.js';

const ROOT = join(import.meta.dirname, '../../..');

const SECTIONS = readErrorPage(readFileSync(join(ROOT, 'docs/ERRORS.md'), 'utf8'));

/** Every text of the source, for what is shown of it. */
function sources(): string {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
  return files.map((file) => readFileSync(join(ROOT, 'src', file), 'utf8').replaceAll("\\'", "'")).join('\n');
}

describe('docs/ERRORS.md', () => {
  it('has one section for each code, in the order of the code, and no other', () => {
    expect(SECTIONS.map(({ code }) => code)).toEqual(ERROR_CODES);
  });

  it('says of each when it happens, how it is told and what to do', () => {
    for (const { code, cause, remedy, statuses, exitCode } of SECTIONS) {
      for (const text of [cause, remedy]) expect(text.length, code).toBeGreaterThan(20);
      expect(
        statuses.every((status) => status >= 400 && status < 600 && status !== 401),
        code,
      ).toBe(true);
      expect([undefined, 1, 2], code).toContain(exitCode);
      expect(statuses.length > 0 || exitCode !== undefined, `${code} is told nowhere`).toBe(true);
    }
  });

  it('does not leave what to do to the text of the failure', () => {
    for (const { code, remedy } of SECTIONS) expect(remedy, code).not.toMatch(/^(?:As|Do what) the text says/);
  });

  it('shows how each looks, but for a fault of Postern itself, in words that the program has', () => {
    const text = sources();
    for (const { code, looksLike } of SECTIONS) {
      if (code === 'internal') continue;
      // Names and numbers differ, so four words in a row that are written in the source are enough.
      const runs = looksLike.split('\n').flatMap((line) => {
        const words = line.replace(/^.*?postern: /, '').split(' ');
        return words.slice(0, -3).map((_, index) => words.slice(index, index + 4).join(' '));
      });
      expect(runs.filter((run) => text.includes(run)).length, `${code}: ${looksLike}`).toBeGreaterThan(0);
    }
  });

  it('has the statuses that failures of an upstream are told with', () => {
    const told = new Map(SECTIONS.map(({ code, statuses }) => [code, statuses]));
    const failures = [...AZURE_TEXTS.values()].map(({ code, status }) => ({ code, status }));
    for (let status = 200; status < 600; status++)
      for (const challenge of [{ what: 'more is wanted', todo: 'sign in' }, undefined])
        failures.push(readFailure('azure-services', { status, text: '', header: () => '' }, { claims: undefined, challenge }));
    for (const { code, status } of failures) expect(told.get(code), code).toContain(status);
  });

  it('names each of the codes of Azure DevOps with the failure that it becomes', () => {
    for (const [text, { code }] of AZURE_TEXTS) expect(SECTIONS.find((section) => section.code === code)?.cause, code).toContain(text);
  });

  it('gives exit code 2 to what the command line counts as wrong usage or configuration', () => {
    // Read as text: the file runs the command line when it is imported.
    const source = readFileSync(join(ROOT, 'src/cli/postern.ts'), 'utf8');
    const list = /USAGE_CODES[^[]*\[([^\]]*)\]/.exec(source)?.[1] ?? '';
    const usage = [...list.matchAll(/'([a-z-]+)'/g)].map((match) => match[1]);
    expect(usage.length).toBeGreaterThan(2);
    const documented = SECTIONS.filter(({ exitCode }) => exitCode === 2).map(({ code }) => code);
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
