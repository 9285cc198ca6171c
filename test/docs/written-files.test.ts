/** Promise: what is made from the source is as the source is, and every command and key is in it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { recordTree } from '../../scripts/docs/command-tree.js';
import { writeCliReference } from '../../scripts/docs/cli-reference.js';
import { writeConfigReference } from '../../scripts/docs/config-reference.js';
import { writtenFiles } from '../../scripts/docs/written-files.js';
import { ROOT } from '../support/doc-pages.js';

test.each([...writtenFiles()])('%s is what `npm run docs` writes', (file, text) => {
  expect(readFileSync(join(ROOT, file), 'utf8'), `${file} is behind: run \`npm run docs\``).toBe(text);
});

describe('recordTree()', () => {
  test('has commands, those below them, options and examples', () => {
    const commands = recordTree();
    const names = commands.map(({ path }) => path.join(' '));
    expect(names).toEqual(expect.arrayContaining(['start', 'lease', 'lease create', 'audit', 'audit verify', 'config schema']));
    expect(new Set(names).size).toBe(names.length);
    const kill = commands.find(({ path }) => path.join(' ') === 'kill');
    expect(kill).toMatchObject({ words: '<operation>', isRunnable: true });
    expect(kill?.positionals.map(({ name, isRequired }) => [name, isRequired])).toEqual([['operation', true]]);
    expect(kill?.examples[0]?.line).toBe('postern kill 17');
    expect(commands.find(({ path }) => path.join(' ') === 'lease')?.isRunnable).toBe(false);
    expect(commands.find(({ path }) => path.join(' ') === 'audit')?.isRunnable).toBe(true);
  });
});

describe('writeCliReference()', () => {
  test('has a heading for every command, and a row for every option', () => {
    const page = writeCliReference();
    for (const { path, options, isRunnable } of recordTree().filter(({ path: words }) => words.length > 0)) {
      expect(page).toMatch(new RegExp(`^##+ postern ${path.join(' ')}$`, 'm'));
      if (isRunnable) expect(page).toContain(`[\`postern ${path.join(' ')}\`](#postern-${path.join('-')})`);
      for (const { name, group } of options)
        if (group !== 'Settings') expect(page).toMatch(new RegExp(`^\\| \`(?:.*, )?--(?:\\[no-\\])?${name}`, 'm'));
    }
  });

  test('does not write of a command that says nothing of itself', () => {
    const [program, first] = recordTree();
    if (program === undefined || first === undefined) throw new Error('there are no commands');
    expect(() => writeCliReference([program, { ...first, describe: '' }])).toThrow('there is no command');
  });
});

describe('writeConfigReference()', () => {
  test('has a row for every key of every section', () => {
    const schema = JSON.parse(readFileSync(join(ROOT, 'config/postern.schema.json'), 'utf8')) as Record<string, unknown>;
    const page = writeConfigReference(schema);
    for (const key of ['http.tls.certificate', 'refs.changes', 'lifecycle.organization', 'maxAge', 'stall', 'sshUpstream', 'revocations'])
      expect(page).toContain(`| \`${key}\` |`);
  });

  test('does not write of a key without a meaning, or with nothing to show for it', () => {
    const secret = { anyOf: [{ properties: { credential: { type: 'string', description: 'Of systemd.' } } }], description: 'Where.' };
    const file = (key: object): Record<string, unknown> => ({
      properties: { part: { description: 'A part.', properties: { secret, key } } },
    });
    expect(() => writeConfigReference(file({ type: 'string', default: 'x' }))).toThrow('part.key has no description');
    expect(() => writeConfigReference(file({ type: 'string', description: 'Good.' }))).toThrow('part.');
  });
});
