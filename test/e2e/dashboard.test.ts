/**
 * The status page in a real browser: from `postern dashboard` to numbers that move while git clones; nothing in the console; axe finds
 * no fault; everything can be had with a keyboard. And pages of others in that very browser, whose user has a session: of another site,
 * of another port of the same machine, and of a name that was made to lead to the door.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Chromium, type Tab } from '../support/chromium.js';
import { type Ran, type RunningDaemon, Scene } from '../support/scene.js';
import { SlowRelay } from '../support/slow-relay.js';
import { Tap } from '../support/tap.js';
import { openPage } from './dashboard-stage.js';

const LARGE = 'dev.azure.com/contoso/Payments/_git/large';
const MIB = 1024 * 1024;
/** So much, at such a pace, that a clone is there to be looked at for some seconds. */
const LARGE_BYTES = 8 * MIB;
const BYTES_PER_SECOND = 2 * MIB;
const PAGE_MS = 120_000;
/** What nobody else may read: a key of the numbers, and what the page and its script say. */
const OF_THE_PAGE = /"pace"|spanSeconds|Running now|Needs attention|loaded/;

/** Of the attempts of a page so many at least reach the door; others the browser itself keeps back. */
const LEAST_ATTEMPTS = 10;

let scene: Scene;
let daemon: RunningDaemon;
let chromium: Chromium;
let pages: Server;
let rebound: Tap;
let slow: SlowRelay;
let configuration: string;
let tab: Tab;
/** Where pictures are kept for whoever wants to look at them; none otherwise. */
const pictures = process.env['POSTERN_TEST_PICTURES'];

const portOf = (server: Server): number => (server.address() as AddressInfo).port; // because it listens on TCP

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  await scene.emulator.createRepository('contoso/Payments/large', { largeFileBytes: LARGE_BYTES });
  const upstream = Number(new URL(scene.emulator.git.origin).port);
  slow = await SlowRelay.open(upstream, BYTES_PER_SECOND);
  configuration = scene.plainConfiguration.replace(`:${upstream}'`, `:${slow.port}'`);
  daemon = await scene.daemon(configuration);
  const html = await readFile(join(import.meta.dirname, 'dashboard-page.html'));
  pages = createServer((request, response) => {
    response.setHeader('Connection', 'close');
    if (request.url === '/rebind') rebound.to = Number(new URL(daemon.base).port);
    response
      .setHeader('Content-Type', 'text/html')
      .end(request.url?.includes('base=') === true ? html : '<!doctype html><title>A page</title>');
  });
  await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve));
  rebound = await Tap.open(portOf(pages));
  const { host, port } = new URL(daemon.base);
  const page = `127.0.0.1:${portOf(pages)}`;
  chromium = await Chromium.start({
    [host]: host,
    [page]: page,
    'evil.example:80': page,
    [`rebound.example:${port}`]: `127.0.0.1:${rebound.port}`,
  });
  tab = await chromium.tab();
  await tab.look();
  await openPage(tab, daemon);
}, PAGE_MS);

afterAll(async () => {
  await chromium.close();
  await rebound.close();
  await slow.close();
  await new Promise((resolve) => pages.close(resolve));
  await scene.close();
}, PAGE_MS);

async function picture(name: string, of = tab): Promise<void> {
  if (pictures === undefined) return;
  await mkdir(pictures, { recursive: true });
  await writeFile(join(pictures, `${name}.png`), await of.screenshot());
}

const text = (id: string): string => `document.getElementById(${JSON.stringify(id)}).innerText`;

/** Faults that axe finds, those that hinder people: `rule: element`. */
async function faults(): Promise<string[]> {
  const axe = await readFile(join(process.cwd(), 'node_modules', 'axe-core', 'axe.min.js'), 'utf8');
  await tab.evaluate(`${axe}; 0`);
  return (await tab.evaluate(`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.flatMap(({ id, impact, nodes }) => nodes.map(({ target, failureSummary }) => impact + ' ' + id + ': ' + target.join(' ') + ' ' + failureSummary)))`)) as string[];
}

test('is there, empty, with nothing in the console and nothing from elsewhere', async () => {
  expect(await tab.evaluate(text('state'))).toBe('Ready');
  expect(await tab.evaluate(text('running'))).toBe('Nothing runs.');
  expect(await tab.evaluate(text('doors'))).toContain(daemon.base);
  expect(await tab.evaluate('document.cookie')).toBe('');
  await picture('empty-light');
  expect(tab.complaints).toEqual([]);
  for (const url of tab.requests) expect(url.startsWith('file:///') || url.startsWith(`${daemon.base}/-/`), url).toBe(true);
});

test('shows a clone while it runs, its bytes grow, and then what it came to', async () => {
  const clone: Promise<Ran> = scene.git(['clone', '-q', daemon.url(LARGE), join(scene.directory, 'clone')]);
  const bytes = (): Promise<unknown> =>
    tab.until(
      `[...document.querySelectorAll('#running tbody tr')].map((row) => row.cells[4].innerText).find((down) => down.endsWith('MiB'))`,
    );
  const before = await bytes();
  await tab.until(
    `[...document.querySelectorAll('#running tbody tr')].some((row) => row.cells[4].innerText.endsWith('MiB') && row.cells[4].innerText !== ${JSON.stringify(before)})`,
  );
  expect(await tab.evaluate(text('running'))).toContain('dev.azure.com/contoso/Payments/large');
  expect(await tab.evaluate(`document.querySelector('#throughput svg').getAttribute('aria-label')`)).toMatch(/Now [0-9.]+ [KM]iB\/s down/);
  await picture('busy-light');
  expect(await clone).toMatchObject({ code: 0, stderr: '' });
  await tab.until(`${text('running')} === 'Nothing runs.'`);
  expect(await tab.evaluate(text('waits'))).toMatch(/[1-9][0-9]* operations ended in the last 5 minutes, 0 of them refused or failed/);
  expect(await tab.evaluate(text('tokens'))).toMatch(/sp\s+client-secret\s+ready[^]*renewed in [0-9]+ min, ends in [0-9]+ min/);
  expect(await tab.evaluate(`document.querySelectorAll('#throughput path.line').length`)).toBe(2);
  expect(tab.complaints).toEqual([]);
});

test('shows what was refused, with what to do, and says so once to readers of the screen', async () => {
  await tab.evaluate(`window.said = []; new MutationObserver(() => said.push(document.getElementById('news').textContent))
    .observe(document.getElementById('news'), { childList: true, subtree: true, characterData: true })`);
  expect((await scene.git(['ls-remote', daemon.url('github.com/contoso/none')])).code).toBe(128);
  await tab.until(`${text('failures')}.includes('no-route')`);
  expect(await tab.evaluate(text('failures'))).toMatch(/What to do: /);
  expect(await tab.evaluate(text('attention'))).toMatch(/^1 operation was refused or failed in the last 15 minutes\nWhat to do: /);
  const asked = tab.requests.length;
  await tab.until('true');
  while (tab.requests.length < asked + 3) await tab.until('true');
  expect(await tab.evaluate('said')).toEqual(['Ready. 1 operation was refused or failed in the last 15 minutes']);
  await picture('failing-light');
});

describe.each([['light'], ['dark']])('in %s', (scheme) => {
  test('axe finds no fault, wide and narrow, with the numbers opened', async () => {
    await tab.evaluate(`for (const each of document.querySelectorAll('details')) each.open = true`);
    for (const width of [1280, 360]) {
      await tab.look({ width, isDark: scheme === 'dark' });
      await tab.until(`matchMedia('(prefers-color-scheme: ${scheme})').matches && innerWidth <= ${width}`);
      expect(await faults(), `${width}`).toEqual([]);
      expect(await tab.evaluate('document.documentElement.scrollWidth <= innerWidth'), `${width} wide`).toBe(true);
      await picture(`${scheme}-${width}`);
    }
    await tab.look();
    await tab.evaluate(`for (const each of document.querySelectorAll('details')) each.open = false`);
  });
});

test('is had with a keyboard: what is skipped to, held still, opened; and keeps its place while numbers change', async () => {
  await tab.evaluate('document.activeElement.blur()');
  await tab.press('Tab');
  expect(await tab.evaluate('document.activeElement.className')).toBe('skip');
  await tab.press('Tab');
  expect(await tab.evaluate('document.activeElement.id')).toBe('hold');
  expect(await tab.evaluate(`getComputedStyle(document.activeElement).outlineStyle`)).toBe('solid');
  await tab.press(' ');
  expect(await tab.evaluate(`document.activeElement.getAttribute('aria-pressed')`)).toBe('true');
  await tab.press(' ');
  await tab.evaluate(`document.querySelector('#waits summary').focus()`);
  await tab.press('Enter');
  const asked = tab.requests.length;
  while (tab.requests.length < asked + 3) await tab.until('true');
  expect(
    await tab.evaluate(
      `document.activeElement === document.querySelector('#waits summary') && document.querySelector('#waits details').open`,
    ),
  ).toBe(true);
});

describe('a page of somebody else in the same browser', () => {
  test.each<[string, () => string]>([
    ['of another site', () => 'http://evil.example'],
    ['of another port of 127.0.0.1', () => `http://127.0.0.1:${portOf(pages)}`],
  ])('%s reads nothing, whatever it tries', async (_what, origin) => {
    const lines = daemon.log.length;
    const theirs = await chromium.tab();
    await theirs.go(`${origin()}/?base=${encodeURIComponent(daemon.base)}`);
    await theirs.until('window.readings');
    const readings = (await theirs.evaluate('readings')) as Record<string, string>;
    expect(Object.keys(readings)).toHaveLength(16);
    for (const [attempt, read] of Object.entries(readings)) expect(read, attempt).not.toMatch(OF_THE_PAGE);
    for (const { url, status } of theirs.answers) if (url.startsWith(`${daemon.base}/-/`)) expect(status, url).toBe(403);
    const refused = daemon.log.slice(lines).filter(({ event }) => event === 'page-refused');
    expect(refused.length).toBeGreaterThanOrEqual(LEAST_ATTEMPTS);
    expect(new Set(refused.map(({ code }) => code))).toEqual(new Set(['request-from-browser']));
  });

  test('under a name that is led to the door reads nothing', async () => {
    const { port } = new URL(daemon.base);
    const theirs = await chromium.tab();
    await theirs.go(`http://rebound.example:${port}/`);
    await theirs.until(`document.title === 'A page'`);
    await theirs.evaluate(`fetch('/rebind').then((response) => response.text())`);
    const read = (await theirs.evaluate(
      `Promise.all(['/-/', '/-/status.json', '/-/page.js'].map((path) => fetch(path).then((response) => response.text())))`,
    )) as string[];
    for (const each of read) expect(each).toMatch(/^postern: The Host header of the request is not an address of this door/);
  });

  test('finds no session in another profile', async () => {
    const theirs = await chromium.tab({ isApart: true });
    await theirs.go(`${daemon.base}/-/`);
    await theirs.until(`document.body.innerText.includes('There is no session of the status page')`);
  });
});

test('says so when the daemon goes away, and when the session has ended with it', async () => {
  const { port } = new URL(daemon.base);
  expect(await daemon.stop()).toBe(0);
  await tab.until(`${text('state')}.startsWith('The daemon does not answer')`);
  expect(await faults()).toEqual([]);
  await picture('gone');
  daemon = await scene.daemon(configuration.replace('127.0.0.1:0', `127.0.0.1:${port}`));
  await tab.until(`${text('state')}.startsWith('This page has ended: run')`);
});
