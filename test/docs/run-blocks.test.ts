/**
 * Promise: what a page marks as `run` works as it stands, in the order in which it stands there, on a machine whose Azure is the
 * emulator; and what a page shows as its output is what it prints.
 */
import { chmod, mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { allPages, type Block, type Page } from '../support/doc-pages.js';
import { matchesShown } from '../support/doc-output.js';
import type { Played, Step } from '../support/doc-stage.js';
import { outerSpaceFlags } from '../support/inner-space.js';
import { run } from '../support/scene.js';

const STAGE = join(process.cwd(), 'build', 'doc-stage.mjs');
/** More than the stage gives the blocks of a page, so that it can tell which one it was. */
const STAGE_MS = 150_000;
/** So many there are at least: a page that loses its marks is noticed. */
const LEAST_RUN_BLOCKS = 80;

const pages = allPages().filter(({ blocks }) => blocks.some(({ mark }) => mark.kind === 'run'));

async function play(steps: readonly Step[]): Promise<Played> {
  const isRoot = process.getuid?.() === 0;
  const directory = await mkdtemp(join(tmpdir(), 'postern-doc-'));
  await chmod(directory, 0o755);
  const limited = [
    '--signal=KILL',
    String(STAGE_MS / 1000),
    'unshare',
    ...outerSpaceFlags(),
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
  ];
  const ran = await run('timeout', [...limited, process.execPath, STAGE, directory], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], ...(isRoot && { STAGE_AS: 'root' }) },
    input: JSON.stringify(steps),
    timeoutMs: STAGE_MS + 5_000,
  });
  await rmdir(directory);
  if (ran.code !== 0) throw new Error(`the stage ended with ${ran.code}:\n${ran.stderr}`);
  return JSON.parse(ran.stdout) as Played; // written by the stage
}

/** What is done with a block on the stage, if anything is. */
function stepOf({ mark, text }: Block): Step[] {
  if (mark.kind === 'run') return [{ kind: 'run', text, exit: mark.exit }];
  return mark.kind === 'file' ? [{ kind: 'file', text, path: mark.path }] : [];
}

/** Everything that is not as the page says, each with its place. */
async function faultsOf({ file, blocks }: Page): Promise<string[]> {
  const played = blocks.filter((block) => stepOf(block).length > 0);
  const { outputs, exit } = await play(played.flatMap(stepOf));
  const last = played[outputs.length - 1];
  if (exit !== 0) return [`${file}:${last?.line ?? 1}: does not end as it should (exit code ${exit}); it printed\n${outputs.at(-1) ?? ''}`];
  const faults: string[] = [];
  for (const [index, block] of blocks.entries()) {
    if (block.mark.kind !== 'output') continue;
    const before = blocks[index - 1];
    const printed = before === undefined ? undefined : outputs[played.indexOf(before)];
    if (before?.mark.kind !== 'run' || printed === undefined) faults.push(`${file}:${block.line}: stands behind no \`run\` block`);
    else if (!matchesShown(printed, block.text)) faults.push(`${file}:${block.line}: is not what it prints, which is\n${printed}`);
  }
  return faults;
}

describe('the `run` blocks of', () => {
  test.each(pages.map((page) => ({ name: page.file, page })))('$name', { timeout: STAGE_MS + 10_000 }, async ({ page }) => {
    expect((await faultsOf(page)).join('\n')).toBe('');
  });

  test('all pages are so many', () => {
    const blocks = pages.flatMap((page) => page.blocks.filter(({ mark, isHidden }) => mark.kind === 'run' && !isHidden));
    expect(blocks.length).toBeGreaterThanOrEqual(LEAST_RUN_BLOCKS);
  });
});
