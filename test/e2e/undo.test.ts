/**
 * `postern setup --undo` with the real git, where the user or a crash has changed things since setup.
 */
import { readFile, stat, unlink, writeFile } from 'node:fs/promises';

import { describe, expect, it } from 'vitest';

import { Bench, FOREIGN } from './setup-bench.js';

const bench = new Bench();

describe('undo()', () => {
  it('says that there is nothing to undo', async () => {
    await writeFile(bench.at('.gitconfig'), FOREIGN);
    const before = await bench.tree();
    expect((await bench.undo()).kind).toBe('nothing');
    expect(bench.text).toContain('Nothing to undo');
    expect(await bench.tree()).toEqual(before);
  });

  for (const [name, content] of Object.entries({ 'a final newline': FOREIGN, 'no final newline': FOREIGN.trimEnd() })) {
    it(`takes out only our lines when the user wrote around them, after ${name}`, async () => {
      await writeFile(bench.at('.gitconfig'), content);
      await bench.setup();
      const now = await readFile(bench.at('.gitconfig'), 'utf8');
      await writeFile(bench.at('.gitconfig'), `# new head\n${now}[alias]\n\tst = status\n`);
      expect((await bench.undo()).kind).toBe('lines-removed');
      expect(bench.text).toContain('Only our lines were removed');
      expect(bench.text).toContain('has changed since setup');
      expect(await readFile(bench.at('.gitconfig'), 'utf8')).toBe(`# new head\n${FOREIGN}[alias]\n\tst = status\n`);
    });
  }

  it('keeps an include that git wrote under our heading', async () => {
    await writeFile(bench.at('.gitconfig'), FOREIGN);
    await bench.setup();
    await bench.scratch.git(['config', '--global', '--add', 'include.path', '/elsewhere']);
    await bench.scratch.git(['config', '--global', 'user.email', 'jane@example.com']);
    expect((await bench.undo()).kind).toBe('lines-removed');
    expect(await bench.scratch.git(['config', '--global', '--no-includes', '--list'])).toBe(
      'url.https://mirror.example/.insteadof=https://github.com/\nuser.name=Jane\nuser.email=jane@example.com\ninclude.path=/elsewhere\n',
    );
  });

  it('cleans up when our lines are gone already', async () => {
    await writeFile(bench.at('.gitconfig'), FOREIGN);
    const before = await bench.tree();
    await bench.setup();
    await writeFile(bench.at('.gitconfig'), FOREIGN);
    expect((await bench.undo()).kind).toBe('restored');
    expect(bench.text).toContain('not in');
    expect(await bench.tree()).toEqual(before);
  });

  it('cleans up when the whole file is gone', async () => {
    await writeFile(bench.at('.gitconfig'), FOREIGN);
    await bench.setup();
    await unlink(bench.at('.gitconfig'));
    expect((await bench.undo()).kind).toBe('already-gone');
    expect(await bench.tree()).toEqual({});
  });

  it('leaves an include that somebody else wrote, and says how to remove it', async () => {
    await writeFile(bench.at('.gitconfig'), FOREIGN);
    const { places } = await bench.setup();
    const edited = `${FOREIGN}[include]\n  path = "${places.owned}"\n`;
    await writeFile(bench.at('.gitconfig'), edited);
    expect((await bench.undo()).kind).toBe('left');
    expect(await readFile(bench.at('.gitconfig'), 'utf8')).toBe(edited);
    expect(bench.text).toContain(`--unset-all include.path '${places.owned}'`);
  });

  it('touches nothing when taking our lines out would change what the rest means', async () => {
    await writeFile(bench.at('.gitconfig'), '[a]\n\tx = y\n');
    await bench.setup();
    const now = await readFile(bench.at('.gitconfig'), 'utf8');
    // The line before now goes on in ours, a comment, and would go on in the heading after it.
    await writeFile(bench.at('.gitconfig'), `${now.replace('x = y', 'x = y\\')}[b]\n\tk = v\n`);
    const before = await bench.tree();
    await expect(bench.undo()).rejects.toMatchObject({ code: 'git-config' });
    expect(await bench.tree()).toEqual(before);
  });

  it('touches nothing when our lines stand there twice', async () => {
    await bench.setup();
    const now = await readFile(bench.at('.gitconfig'), 'utf8');
    await writeFile(bench.at('.gitconfig'), `[a]\n${now}${now}`);
    const before = await bench.tree();
    await expect(bench.undo()).rejects.toMatchObject({ code: 'git-config' });
    expect(await bench.tree()).toEqual(before);
  });

  it('goes by our lines when the journal is lost', async () => {
    await writeFile(bench.at('.gitconfig'), FOREIGN);
    const { places } = await bench.setup();
    await unlink(places.journal);
    expect((await bench.undo()).kind).toBe('lines-removed');
    expect(await readFile(bench.at('.gitconfig'), 'utf8')).toBe(FOREIGN);
    await bench.setup();
    await unlink(places.journal);
    await bench.setup();
    expect((await bench.undo()).kind).toBe('restored');
    expect(await readFile(bench.at('.gitconfig'), 'utf8')).toBe(FOREIGN);
  });

  it('keeps a copy of our own file if somebody edited it', async () => {
    const { places } = await bench.setup();
    await writeFile(places.owned, '# mine now\n');
    await bench.undo();
    expect(await readFile(`${places.owned}.saved`, 'utf8')).toBe('# mine now\n');
    await expect(stat(places.owned)).rejects.toThrow();
  });
});
