/** `postern status --watch`: the status, refreshed in place on a terminal, or as one JSON object a line. */
import { askStatus } from '../../daemon/admin.js';
import type { DaemonStatus } from '../../daemon/status.js';
import { messageOf, ProxyError } from '../../model/errors.js';
import type { Context } from '../context.js';
import { hasScreen, type Key, openScreen, whenOutputEnds } from '../screen.js';
import { visible, visibleAll } from '../visible.js';
import { statusLines } from './status-lines.js';

/** How often the daemon is asked. */
const EVERY_MS = 1_000;

/** What the daemon answered, or why it did not. */
type Answer = { readonly kind: 'status'; readonly status: DaemonStatus } | { readonly kind: 'none'; readonly why: string };

/**
 * Goes on until it is told to stop; a daemon that is not there (yet, or any more) is waited for.
 * @throws ProxyError `usage` where there is no terminal to draw on, and no `json`
 */
export async function watchStatus(context: Context, options: { readonly json: boolean; readonly all: boolean }): Promise<number> {
  if (options.json) return asLines(context);
  if (!hasScreen())
    throw new ProxyError('usage', 'There is no terminal to refresh the status on', {
      todo: 'use `postern status --watch --json`, which prints one JSON object a line, or `postern status` once',
    });
  return onScreen(context, options.all);
}

async function asLines({ places, printer }: Context): Promise<number> {
  const unread = new AbortController();
  whenOutputEnds(() => unread.abort());
  while (!unread.signal.aborted) {
    const answer = await ask(places.adminSocket);
    const value = answer.kind === 'status' ? answer.status : { state: 'not-running', at: new Date().toISOString(), why: answer.why };
    printer.line(visible(JSON.stringify(value)));
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
  }
  return 0;
}

async function onScreen({ places, printer }: Context, all: boolean): Promise<number> {
  let lines: readonly string[] = [];
  let top = 0;
  const over = new AbortController();
  /** Ends the wait for the next look. */
  let wake: () => void = () => undefined;
  const screen = openScreen({
    onKey: (key) => {
      if (key === 'end') {
        over.abort();
        wake();
      } else {
        top = scrolled(top, key, screen.rows - 1);
        draw();
      }
    },
    onResize: () => draw(),
  });
  const draw = (): void => {
    const room = screen.rows - 1;
    top = Math.max(0, Math.min(top, lines.length - room));
    const more =
      lines.length <= room ? '' : `, arrows scroll: lines ${top + 1} to ${Math.min(top + room, lines.length)} of ${lines.length}`;
    const shown = lines.slice(top, top + room);
    screen.draw([...shown, ...Array.from({ length: Math.max(0, room - shown.length) }, () => ''), printer.bold(`q ends${more}`)]);
  };
  try {
    while (!over.signal.aborted) {
      const answer = await ask(places.adminSocket);
      const now = Date.now();
      const clock = new Date(now).toISOString().slice(11, 19);
      lines =
        answer.kind === 'status'
          ? statusLines(visibleAll(answer.status), now, { bold: printer.bold, all })
          : [
              `${printer.bold('postern')} is not running (${clock} UTC): ${answer.why}`,
              '  what to do: start it with `postern start`; this goes on when it is there',
            ];
      draw();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, EVERY_MS);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
        if (over.signal.aborted) wake();
      });
    }
  } finally {
    screen.close();
  }
  return 0;
}

/** The first line that is shown after a key, before it is known whether there is as much. */
function scrolled(top: number, key: Exclude<Key, 'end'>, page: number): number {
  switch (key) {
    case 'up':
      return top - 1;
    case 'down':
      return top + 1;
    case 'page-up':
      return top - page;
    case 'page-down':
      return top + page;
    case 'top':
      return 0;
  }
}

/** A daemon that is just going away may break off in the middle of its answer. */
async function ask(socket: string): Promise<Answer> {
  try {
    const status = await askStatus(socket);
    return status === undefined ? { kind: 'none', why: `nobody answers on ${visible(socket)}` } : { kind: 'status', status };
  } catch (thrown) {
    return { kind: 'none', why: visible(messageOf(thrown)) };
  }
}
