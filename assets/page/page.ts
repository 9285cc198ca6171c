/**
 * The status page: asks once a second while somebody looks, and shows what it is told. It changes nothing in the daemon and keeps
 * nothing in the browser.
 */
import { spanText } from '../../src/cli/amounts.js';
import type { PageView } from '../../src/model/page-view.js';
import { type Child, show } from './elements.js';
import { attention, counts, doors, failures, leases, running, throttles, tokens } from './panels.js';
import { throughput, waits } from './plots.js';

const EVERY_MS = 1_000;
/** A daemon that does not answer is asked less often. */
const AGAIN_MS = 3_000;
const ANSWER_MS = 10_000;

const place = (id: string): HTMLElement => {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page has no ${id}`);
  return found;
};

const PARTS: readonly (readonly [id: string, draw: (view: PageView) => readonly Child[]])[] = [
  ['attention', attention],
  ['running', running],
  ['throughput', (view) => [throughput(view)]],
  ['waits', (view) => [waits(view)]],
  ['tokens', tokens],
  ['failures', failures],
  ['leases', leases],
  ['throttles', throttles],
  ['doors', doors],
  ['counts', counts],
];

const STATES: Readonly<Record<string, string>> = { starting: 'Starting', ready: 'Ready', draining: 'Stopping' };

let isHeld = false;
let isOver = false;
let timer: number | undefined;
let isAsking = false;
/** What a reader of the screen was told last. */
let told = '';

const hold = place('hold');
hold.addEventListener('click', () => {
  isHeld = !isHeld;
  hold.setAttribute('aria-pressed', String(isHeld));
  if (!isHeld) void ask();
});
// Nobody looks at a page in the background, and the daemon has other things to do.
document.addEventListener('visibilitychange', () => {
  if (!document.hidden) void ask();
});

void ask();

async function ask(): Promise<void> {
  window.clearTimeout(timer);
  if (isAsking || isOver || isHeld || document.hidden) return;
  isAsking = true;
  let next = EVERY_MS;
  try {
    const response = await fetch('/-/status.json', { cache: 'no-store', redirect: 'error', signal: AbortSignal.timeout(ANSWER_MS) });
    if (response.ok)
      tell((await response.json()) as PageView); // because the daemon that made this page wrote it
    else {
      isOver = response.status === 403;
      next = AGAIN_MS;
      state('over', isOver ? 'This page has ended: run `postern dashboard` again' : `The daemon answered ${response.status}`);
    }
  } catch {
    next = AGAIN_MS;
    state('over', 'The daemon does not answer: below is what it said last');
  }
  isAsking = false;
  if (!isOver) timer = window.setTimeout(() => void ask(), next);
}

function tell(view: PageView): void {
  state(view.state, STATES[view.state] ?? view.state);
  show(place('life'), `Version ${view.version}, process ${view.pid}, running for ${spanText(view.now - view.startedAt)}`);
  for (const [id, draw] of PARTS) show(place(id), ...draw(view));
  place('attention-section').hidden = view.attention.length === 0;
  place('main').hidden = false;
  document.title = view.attention.length === 0 ? 'Postern' : `(${view.attention.length}) Postern`;
  news([STATES[view.state] ?? view.state, ...view.attention.map(({ what }) => what)]);
}

/** How the daemon is; what was shown before stays, and looks like the past when it is. */
function state(kind: string, text: string): void {
  const shown = place('state');
  shown.className = `state ${kind}`;
  show(shown, text);
  document.body.classList.toggle('past', kind === 'over');
  if (kind === 'over') news([text]);
}

/** Speaks when something else is to be said than before: numbers in it, which change each second, are not. */
function news(lines: readonly string[]): void {
  const said = lines.join('. ');
  const same = said.replace(/[0-9]+/g, '0');
  if (same === told) return;
  told = same;
  show(place('news'), said);
}
