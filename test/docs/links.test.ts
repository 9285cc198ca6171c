/**
 * Promise: nothing that a page points at is missing. Links within the repository lead to a file and a heading that are there, every
 * page for users can be reached from README.md, and paths and commands that stand in a line as code exist.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { recordTree } from '../../scripts/docs/command-tree.js';
import { ERROR_CODES } from '../../src/model/errors.js';
import { allPages, filesEnding, ROOT } from '../support/doc-pages.js';

const pages = allPages();
const byFile = new Map(pages.map((page) => [page.file, page]));

/** File and anchor that a link leads to; undefined for one that leads away. */
function placeOf(from: string, target: string): { readonly file: string; readonly anchor: string } | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(target)) return undefined;
  const [path = '', anchor = ''] = decodeURIComponent(target).split('#');
  return { file: path === '' ? from : normalize(join(dirname(from), path)), anchor };
}

describe('links', () => {
  test('lead to a file that is there, and to a heading that it has', () => {
    const broken = pages.flatMap(({ file, links }) =>
      links.flatMap(({ line, target }) => {
        const place = placeOf(file, target);
        if (place === undefined) return [];
        const page = byFile.get(place.file);
        if (page === undefined && !existsSync(join(ROOT, place.file))) return [`${file}:${line}: ${target} is not there`];
        const isHeading = place.anchor === '' || page?.anchors.has(place.anchor) === true;
        return isHeading ? [] : [`${file}:${line}: ${target} has no such heading`];
      }),
    );
    expect(broken).toEqual([]);
    expect(pages.flatMap(({ links }) => links).length).toBeGreaterThan(40);
  });

  test('that lead away are https, and to a host', () => {
    const away = pages.flatMap(({ file, links }) =>
      links.filter(({ target }) => placeOf(file, target) === undefined).map((link) => ({ file, ...link })),
    );
    const wrong = away.filter(
      ({ target }) => !/^https:\/\/[a-z0-9-]+(?:\.[a-z0-9-]+)+(?:[/?#]|$)/i.test(target) && !target.startsWith('mailto:'),
    );
    expect(wrong.map(({ file, line, target }) => `${file}:${line}: ${target}`)).toEqual([]);
  });

  test('lead from README.md to every page', () => {
    const reached = new Set<string>();
    const visit = (file: string): void => {
      if (reached.has(file)) return;
      reached.add(file);
      for (const { target } of byFile.get(file)?.links ?? []) {
        const place = placeOf(file, target);
        if (place !== undefined && byFile.has(place.file)) visit(place.file);
      }
    };
    visit('README.md');
    // Decisions are found from the folder; what lies beside tests is for those who read them.
    const forUsers = pages.map(({ file }) => file).filter((file) => !/^(?:test\/|docs\/decisions\/)/.test(file));
    expect(forUsers.filter((file) => !reached.has(file))).toEqual([]);
  });
});

const COMMANDS = recordTree();

/** Folders at the top of the repository by which a path is known as one of it. */
const OURS = /^(?:src|test|docs|config|systemd|scripts|demo|bench|\.ci)\/[\w./-]*\w\/?$/;

describe('code within lines', () => {
  const codes = pages
    .filter(({ file }) => file !== 'CHANGELOG.md' && !file.startsWith('docs/decisions/'))
    .flatMap(({ file, codes: all }) => all.map(({ line, text }) => ({ where: `${file}:${line}`, text })));

  test('that is a path of the repository is one that is there', () => {
    const paths = codes.filter(({ text }) => OURS.test(text));
    expect(paths.length).toBeGreaterThan(100);
    expect(paths.filter(({ text }) => !existsSync(join(ROOT, text))).map(({ where, text }) => `${where}: ${text}`)).toEqual([]);
  });

  test('that calls npm run is a script that there is', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
    const calls = codes.flatMap(({ where, text }) => {
      const name = /^npm run ([\w:-]+)/.exec(text)?.[1];
      return name === undefined ? [] : [{ where, name }];
    });
    expect(calls.length).toBeGreaterThan(3);
    expect(calls.filter(({ name }) => !(name in scripts)).map(({ where, name }) => `${where}: npm run ${name}`)).toEqual([]);
  });

  test('that calls `postern` names a command and options that there are', () => {
    const calls = codes.filter(({ text }) => /^postern [a-z]/.test(text));
    expect(calls.length).toBeGreaterThan(60);
    expect(calls.flatMap(({ where, text }) => faultOfMention(text).map((fault) => `${where}: ${fault}`))).toEqual([]);
  });

  test('that is a key of the configuration is one that there is', () => {
    const schema: unknown = JSON.parse(readFileSync(join(ROOT, 'config/postern.schema.json'), 'utf8'));
    const keys = keysOf(schema);
    const mentions = codes.flatMap(({ where, text }) => {
      const key = /^((?:listen|access|audit|drain|log|limits|telemetry|timeouts)\.[\w.]*\w)(?:: .*)?$/.exec(text)?.[1];
      return key === undefined || /\.(?:ts|js|md|json|ya?ml)$/.test(key) ? [] : [{ where, key }];
    });
    expect(mentions.length).toBeGreaterThan(40);
    expect(mentions.filter(({ key }) => !keys.has(key)).map(({ where, key }) => `${where}: ${key}`)).toEqual([]);
  });
});

test('every code that a page has explained is one', () => {
  const known = new Set<string>(ERROR_CODES);
  const mentions = pages.flatMap(({ file, text }) =>
    [...text.matchAll(/postern explain ([a-z]+(?:-[a-z]+)+)/g)].map(([, code = '']) => ({ file, code })),
  );
  expect(mentions.length).toBeGreaterThan(3);
  expect(mentions.filter(({ code }) => !known.has(code)).map(({ file, code }) => `${file}: ${code}`)).toEqual([]);
});

test('what the program says to run is a command that there is', () => {
  const texts = filesEnding('.ts')
    .filter((file) => file.startsWith('src/'))
    .flatMap((file) =>
      [...readFileSync(join(ROOT, file), 'utf8').matchAll(/\\?`(postern [a-z][^`\\\n]*)\\?`/g)].map(([, text = '']) => ({ file, text })),
    );
  expect(texts.length).toBeGreaterThan(60);
  // What is filled in when it is said, and what follows it, is not known here.
  const faults = texts.flatMap(({ file, text }) => faultOfMention(text.split('${')[0] ?? '').map((fault) => `${file}: ${fault}`));
  expect(faults).toEqual([]);
});

/** What is wrong with a command as a line mentions it: `pat create|list|revoke` and `[--json]` are how usage is written. */
function faultOfMention(text: string): string[] {
  const words = text.trim().split(/\s+/).slice(1);
  const [first] = words;
  if (first === undefined) return [];
  const found: string[] = [];
  for (const word of words) {
    const names = word.replace(/[,;.:]$/, '').split('|');
    if (!names.every((name) => COMMANDS.some(({ path }) => path.join(' ') === [...found, name].join(' ')))) break;
    found.push(names[0] ?? '');
  }
  if (found.length === 0) return [`${text}: there is no command ${first}`];
  const next = words[found.length] ?? '';
  const isAlone = COMMANDS.find(({ path }) => path.join(' ') === found.join(' '))?.isRunnable === true;
  if (!isAlone && /^[a-z][a-z-]*$/.test(next)) return [`${text}: there is no command ${found.join(' ')} ${next}`];
  const below = COMMANDS.filter(({ path }) => found.every((name, index) => path[index] === name));
  const known = new Set(below.flatMap(({ options }) => options.flatMap(({ name }) => [`--${name}`, `--no-${name}`])));
  const end = words.indexOf('--');
  return [...(end < 0 ? words : words.slice(0, end)).join(' ').matchAll(/(?<![\w-])--[a-z][a-z-]*/g)]
    .filter(([option]) => !known.has(option) && option !== '--help' && option !== '--version')
    .map(([option]) => `${text}: ${found.join(' ')} has no ${option}`);
}

/** Every key of a JSON Schema, with dots. */
function keysOf(schema: unknown, prefix = ''): Set<string> {
  if (typeof schema !== 'object' || schema === null) return new Set();
  const found = new Set<string>();
  const { properties, anyOf, oneOf, items } = schema as Record<string, unknown>; // what of it can be missing is looked at below
  for (const [name, below] of Object.entries(properties ?? {})) {
    found.add(`${prefix}${name}`);
    for (const key of keysOf(below, `${prefix}${name}.`)) found.add(key);
  }
  for (const form of [anyOf, oneOf].flatMap((forms) => (Array.isArray(forms) ? (forms as unknown[]) : [])))
    for (const key of keysOf(form, prefix)) found.add(key);
  for (const key of keysOf(items, prefix)) found.add(key);
  return found;
}
