/** Promise: a code that a text names is explained where the program is installed, without a network, a daemon or a configuration. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { plainLines, readErrorPage } from '../../src/cli/error-page.js';
import { ERROR_CODES } from '../../src/model/errors.js';
import { PROGRAM, type Ran, run } from '../support/scene.js';

let home: string;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'postern-'));
});
afterAll(() => rm(home, { recursive: true, force: true }));

function explain(...words: string[]): Promise<Ran> {
  return run(process.execPath, [PROGRAM, 'explain', ...words], { env: { PATH: process.env['PATH'], HOME: home }, cwd: home });
}

interface Shown {
  readonly code: string;
  readonly httpStatuses: readonly number[];
  readonly exitCode: number | null;
}

describe('postern explain', () => {
  test('shows cause, sample, remedy and how it is told', async () => {
    const { code, stdout, stderr } = await explain('no-route');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(
      /^no-route\n {2}No route of the configuration matches [^]*\nLooks like\n {2}remote: postern: No route matches dev\.azure\.com\/contoso\/Payments\/web\n[^]*\nWhat to do\n {2}Add a route [^]*\nTold as HTTP 403 at the door\nPage: .*docs\/ERRORS\.md\n$/,
    );
    expect(stdout).not.toMatch(/\*\*|\]\(/);
    for (const line of stdout.split('\n').filter((each) => !/^ {2}remote: |^Page: /.test(each)))
      expect(line.length, line).toBeLessThanOrEqual(102);
  });

  test('knows every code there is, in their order', async () => {
    const { stdout } = await explain('--json');
    const shown = JSON.parse(stdout) as Shown[];
    expect(shown.map(({ code }) => code)).toEqual(ERROR_CODES);
    expect(shown.find(({ code }) => code === 'config-invalid')).toMatchObject({ httpStatuses: [502], exitCode: 2 });
    expect(shown.find(({ code }) => code === 'no-route')).toMatchObject({ httpStatuses: [403], exitCode: null });
  });

  test('lists them, a line each, without a code', async () => {
    const { code, stdout } = await explain();
    expect(code).toBe(0);
    for (const each of ERROR_CODES) expect(stdout).toMatch(new RegExp(`^ {2}${each} {2,}\\S`, 'm'));
  });

  test('finds the section that speaks of a code of Azure DevOps', async () => {
    const { code, stdout } = await explain('tf401019');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^upstream-not-found\n/);
  });

  test('names the nearest code of one that is spelt wrong, and those that a word is in', async () => {
    const slip = await explain('no-rute');
    expect(slip.code).toBe(2);
    expect(slip.stderr).toBe('postern: No failure has the code no-rute\n  what to do: try `postern explain no-route`\n');
    expect((await explain('tls')).stderr).toContain('try `postern explain upstream-tls`');
    expect((await explain('zzzzzz')).stderr).toContain('`postern explain` lists all of them');
  });
});

describe('readErrorPage()', () => {
  const section = (text: string): string => `# Page\n\n## Part\n\n### code\n\n${text}`;

  test('reads a section', () => {
    const text =
      'It broke.\n\nIn two.\n\n```text\nremote: postern: It broke\n```\n\n**What to do:** Mend it,\nsoon.\n\n*Told as HTTP 403, 502, exit code 1.*\n';
    expect(readErrorPage(section(text))).toEqual([
      {
        code: 'code',
        part: 'Part',
        cause: 'It broke.\n\nIn two.',
        looksLike: 'remote: postern: It broke',
        remedy: 'Mend it,\nsoon.',
        statuses: [403, 502],
        exitCode: 1,
      },
    ]);
    const bare = readErrorPage(section('It broke.\n\n**What to do:** Mend it.\n\n*Told as exit code 2.*\n'));
    expect(bare[0]).toMatchObject({ looksLike: '', statuses: [], exitCode: 2 });
  });

  test.each([
    'It broke.\n\n*Told as HTTP 403.*\n',
    'It broke.\n\n**What to do:** Mend it.\n',
    '**What to do:** Mend it.\n\n*Told as HTTP 403.*\n',
  ])('says which section is not complete: %j', (text) => {
    expect(() => readErrorPage(section(text))).toThrow('the section code is not complete');
  });
});

test('plainLines() takes links and emphasis away, and breaks lines at blanks', () => {
  expect(plainLines('**Do** [docs/REST.md](REST.md)\nand [W3C](https://www.w3.org/), `a*b*`.\n\nTwice.', 20)).toEqual([
    'Do docs/REST.md and',
    'W3C',
    '(https://www.w3.org/),',
    '`a*b*`.',
    '',
    'Twice.',
  ]);
});
