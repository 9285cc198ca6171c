/**
 * Promise: no page shows a command that is none. Every block of shell says whether it is run; what is only shown has its reason, and
 * each `postern` in it, in the recipes and in the units is taken by our own parser.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { faultOfLine } from '../support/cli-line.js';
import { allPages, filesEnding, ROOT, SHELLS } from '../support/doc-pages.js';
import { callsIn } from '../support/shell-calls.js';

interface Call {
  /** File and line, or file alone. */
  readonly where: string;
  readonly words: readonly string[];
}

const pages = allPages();
const blocks = pages.flatMap(({ file, blocks: all }) => all.map((block) => ({ ...block, where: `${file}:${block.line}` })));

async function faultsOf(calls: readonly Call[]): Promise<string[]> {
  const faults: string[] = [];
  for (const { where, words } of calls) {
    // What a script hands on is known only when it runs.
    const fault = await faultOfLine(words.filter((word) => word !== '$@'));
    if (fault !== undefined) faults.push(`${where}: postern ${words.join(' ')}: ${fault}`);
  }
  return faults;
}

/** Texts of a YAML value that a shell runs, and lists that are a command line. */
function callsOf(value: unknown, where: string): Call[] {
  if (typeof value === 'string') return callsIn(value).map((words) => ({ where, words }));
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) {
    const at = value.findIndex((each) => typeof each === 'string' && /(?:^|\/)postern(?:\.js)?$/.test(each));
    const words = value.slice(at + 1).filter((each) => typeof each === 'string');
    // A list such as `names: [postern]` is no command.
    if (at >= 0 && words.length > 0 && /^[a-z-]+$/.test(words[0] ?? '') && at <= 2) return [{ where, words }];
  }
  return Object.values(value).flatMap((each) => callsOf(each, where));
}

describe('every block of shell', () => {
  test('says whether it is run or only shown', () => {
    const bare = blocks.filter(({ language, mark }) => SHELLS.has(language) && mark.kind === 'none');
    expect(bare.map(({ where, language }) => `${where}: ${language} without a mark`)).toEqual([]);
  });

  test('names its language: a block without one holds no command', () => {
    const bare = blocks.filter(({ language, text }) => language === '' && /^ *(?:\$ )?(?:postern|git|sudo|npm|az) /m.test(text));
    // The picture at the top of README shows the way of a command, and is none.
    expect(bare.filter(({ text }) => !text.includes('|\n')).map(({ where }) => `${where}: begins like a command`)).toEqual([]);
  });

  test('that is run is for a shell that runs it', () => {
    const wrong = blocks.filter(({ language, mark }) => mark.kind === 'run' && language !== 'sh' && language !== 'bash');
    expect(wrong.map(({ where, language }) => `${where}: ${language} cannot be run`)).toEqual([]);
  });

  test('that is only shown has a reason that says something', () => {
    const poor = blocks.filter(({ mark }) => mark.kind === 'shown' && mark.reason.length < 8);
    expect(poor.map(({ where }) => where)).toEqual([]);
  });
});

describe('each `postern` is taken by our own parser', () => {
  test('in blocks of shell', async () => {
    const calls = blocks
      .filter(({ language }) => SHELLS.has(language))
      .flatMap(({ where, text }) => callsIn(text).map((words) => ({ where, words })));
    expect(calls.length).toBeGreaterThan(20);
    expect(await faultsOf(calls)).toEqual([]);
  });

  test('in YAML of pages', async () => {
    const yaml = blocks.filter(({ language }) => /^ya?ml$/.test(language));
    const calls = yaml.flatMap(({ where, text }) => parseAllDocuments(text).flatMap((document) => callsOf(document.toJS(), where)));
    expect(calls.length).toBeGreaterThan(2);
    expect(await faultsOf(calls)).toEqual([]);
  });

  test('in units and Dockerfiles of pages', async () => {
    const calls = blocks
      .filter(({ language }) => language === 'ini' || language === 'dockerfile')
      .flatMap(({ where, text }) => callsIn(text.replace(/^(?:Exec\w+=[-@:+!]*|RUN |CMD )/gm, '')).map((words) => ({ where, words })));
    expect(await faultsOf(calls)).toEqual([]);
  });

  test('in what config/ and systemd/ hold', async () => {
    const calls: Call[] = [];
    for (const file of filesEnding('').filter((each) => /^(?:config|systemd)\//.test(each))) {
      const text = readFileSync(join(ROOT, file), 'utf8');
      if (/\.ya?ml$/.test(file)) calls.push(...parseAllDocuments(text).flatMap((document) => callsOf(document.toJS(), file)));
      else if (file.startsWith('systemd/'))
        calls.push(...callsIn(text.replace(/^Exec\w+=[-@:+!]*/gm, '')).map((words) => ({ where: file, words })));
      else if (text.startsWith('#!')) calls.push(...callsIn(text).map((words) => ({ where: file, words })));
    }
    expect(calls.length).toBeGreaterThan(5);
    expect(await faultsOf(calls)).toEqual([]);
  });
});

describe('faultOfLine()', () => {
  test.each<[line: string, fault: RegExp | undefined]>([
    ['status --json', undefined],
    ['exec --org contoso -- sh -c "git fetch"', undefined],
    ['lease revoke -', undefined],
    ['statsu', /Unknown/],
    ['status --jsno', /Unknown/],
    ['kill', /Not enough/],
    ['lease', /Say which/],
    ['lease create --repo', /Not enough/],
    ['lease revoke 1 --nothing', /Unknown/],
  ])('of `postern %s` is %s', async (line, fault) => {
    const said = await faultOfLine(callsIn(`postern ${line}`)[0] ?? []);
    if (fault === undefined) expect(said).toBeUndefined();
    else expect(said).toMatch(fault);
  });
});
