/**
 * Promise: nothing that a page points at is missing. Links within the repository lead to a file and a heading that are there, every
 * page for users can be reached from README.md, and paths and commands that stand in a line as code exist.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { recordTree } from '../../scripts/docs/command-tree.js';
import { allPages, ROOT } from '../support/doc-pages.js';

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
    const commands = recordTree();
    const faults = codes.flatMap(({ where, text }) => {
      if (!/^postern [a-z]/.test(text)) return [];
      // `pat create|list|revoke` and `[--json]` are how usage is written.
      const words = text.split(/\s+/).slice(1);
      const found = words.reduce<{ readonly path: readonly string[]; readonly isOpen: boolean }>(
        ({ path, isOpen }, word) => {
          const names = word.split('|');
          const isCommand = isOpen && names.every((name) => commands.some((each) => each.path.join(' ') === [...path, name].join(' ')));
          return isCommand ? { path: [...path, names[0] ?? ''], isOpen: true } : { path, isOpen: false };
        },
        { path: [], isOpen: true },
      ).path;
      const command = commands.find(({ path }) => path.join(' ') === found.join(' '));
      if (command === undefined || found.length === 0) return [`${where}: ${text}: no such command`];
      const below = commands.filter(({ path }) => found.every((name, index) => path[index] === name));
      const known = new Set(below.flatMap(({ options }) => options.flatMap(({ name }) => [`--${name}`, `--no-${name}`])));
      const end = words.indexOf('--');
      const unknown = [...(end < 0 ? words : words.slice(0, end)).join(' ').matchAll(/(?<![\w-])--[a-z][a-z-]*/g)].filter(
        ([option]) => !known.has(option) && option !== '--help' && option !== '--version',
      );
      return unknown.map(([option]) => `${where}: ${text}: ${found.join(' ')} has no ${option}`);
    });
    expect(faults).toEqual([]);
  });
});
