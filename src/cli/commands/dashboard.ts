/**
 * `postern dashboard`: opens the status page in a browser. A code that is good once goes from the admin socket into a file that only
 * its user can read, and from there, by the browser itself, to the door: so no secret stands in an argv or a URL, where other users
 * could see it.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, open, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { askCodeEnd, askPageCode } from '../../daemon/page-actions.js';
import { messageOf, ProxyError, systemCodeOf } from '../../model/errors.js';
import { browserCommand, openBrowser } from '../open-browser.js';
import type { Context } from '../context.js';
import { codePage } from '../code-page.js';
import { visible } from '../visible.js';
import { notRunning } from './stop.js';

const PRIVATE_FILE = 0o600;
const PRIVATE_DIRECTORY = 0o700;
const NAME_BYTES = 8;

export interface DashboardOptions {
  /** Prints the path of the file and opens nothing. */
  readonly isPrinting: boolean;
  /** Where to write the file instead. */
  readonly file: string | undefined;
}

/**
 * Ends when the page has been opened, with 0.
 * @param own where the user's own files are; with `--system` the daemon has others
 * @throws ProxyError `not-running`, `usage`, `page-closed` when nobody opened it in time
 */
export async function dashboard(
  { places, printer, environment, workingDirectory }: Context,
  own: Context['places'],
  options: DashboardOptions,
): Promise<number> {
  const uid = process.getuid?.();
  if (uid === undefined)
    throw new ProxyError('usage', 'This system does not tell which user is at the other end of a connection, so there is no status page', {
      todo: 'use `postern status --watch`',
    });
  const given = await askPageCode(places.adminSocket, uid);
  if (given === undefined) throw notRunning(places.adminSocket);
  const file =
    options.file === undefined
      ? join(own.runtimeDirectory, `dashboard-${randomBytes(NAME_BYTES).toString('hex')}.html`)
      : resolve(workingDirectory, options.file);
  await writeNew(file, codePage(given));
  const remove = async (): Promise<void> => {
    await unlink(file).catch(() => undefined); // gone already
  };
  const giveUp = new AbortController();
  const interrupted = new Promise<'interrupted'>((done) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => done('interrupted'));
  });
  try {
    const command = options.isPrinting ? undefined : browserCommand(pathToFileURL(file).href, environment);
    if (options.isPrinting) printer.line(file);
    else if (command === undefined) printer.note(`Open this file in a browser of this machine, as this user: ${visible(file)}`);
    else
      openBrowser(command, forBrowser(environment), (program) =>
        printer.note(`${visible(program)} could not be started: open ${visible(file)} yourself`),
      );
    const end = await Promise.race([askCodeEnd(places.adminSocket, given.id, giveUp.signal), interrupted]);
    switch (end) {
      case 'opened':
        printer.note(`The status page is open at ${given.address}`);
        return 0;
      case 'interrupted':
        return INTERRUPTED;
      case 'refused':
        throw new ProxyError('page-closed', 'The page was opened by a program of another user, or at another address, and was refused', {
          todo: 'open it in a browser that runs as you, on this machine',
        });
      case 'unused':
        throw new ProxyError('page-closed', 'No browser opened the page within a minute', { todo: ANOTHER_WAY });
      case undefined:
        throw notRunning(places.adminSocket);
    }
  } finally {
    giveUp.abort();
    await remove();
  }
}

/** What a browser needs of an environment: where the display, the desktop, the home and the programs are, and the language. */
const OF_A_BROWSER =
  /^(?:PATH|HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|TZ|TMPDIR|BROWSER|DISPLAY|XAUTHORITY|DESKTOP_SESSION|SESSION_MANAGER|DBUS_SESSION_BUS_ADDRESS|WAYLAND_DISPLAY|DESKTOP_STARTUP_ID|(?:LC|XDG|GDK|GTK|QT|KDE|GNOME|MOZ|WSL)_[A-Z_0-9]+)$/;

/** No secret that an identity has in a variable goes on to a browser. */
function forBrowser(environment: Context['environment']): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => OF_A_BROWSER.test(name)));
}

/** What a shell reports for a command that Ctrl-C ended. */
const INTERRUPTED = 130;
const ANOTHER_WAY =
  'run it again; `--print` shows the file to open by hand, and `--file` puts it where a browser may read that is kept from other directories (snap, flatpak)';

/** @throws ProxyError `state-unusable` */
async function writeNew(file: string, text: string): Promise<void> {
  try {
    await mkdir(dirname(file), { recursive: true, mode: PRIVATE_DIRECTORY });
    // Never what is there, nor through a link that somebody left.
    const handle = await open(file, 'wx', PRIVATE_FILE);
    try {
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    throw new ProxyError('state-unusable', `The file ${visible(file)} cannot be written (${systemCodeOf(thrown) ?? messageOf(thrown)})`, {
      todo: 'name another one with `--file`, one that is not there yet',
      cause: thrown,
    });
  }
}
