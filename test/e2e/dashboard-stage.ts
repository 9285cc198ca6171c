/** What tests of the status page share: `postern dashboard --print` as a person runs it, and a browser that opens what it prints. */
import { readFile } from 'node:fs/promises';
import { pathToFileURL } from 'node:url';
import type { Tab } from '../support/chromium.js';
import type { Ran, RunningDaemon } from '../support/scene.js';

export interface Opening {
  /** The file that it wrote. */
  readonly file: string;
  /** What stands in it. */
  readonly html: string;
  readonly code: string;
  /** Where the code goes. */
  readonly action: string;
  /** How the command ended. */
  readonly ended: Promise<Ran>;
  /** Interrupts it. */
  readonly interrupt: () => void;
}

/** Runs `postern dashboard --print` and waits for its file. */
export async function printDashboard(daemon: RunningDaemon, args: readonly string[] = []): Promise<Opening> {
  let interrupt = (): void => undefined;
  let ended: Promise<Ran> | undefined;
  const file = await new Promise<string>((resolve, reject) => {
    ended = daemon.postern(['dashboard', '--print', ...args], {
      onChild: (child) => {
        interrupt = () => void child.kill('SIGINT');
        let text = '';
        child.stdout?.on('data', (chunk: Buffer | string) => {
          text += chunk.toString();
          if (text.includes('\n')) resolve(text.trim());
        });
      },
    });
    void ended.then(({ stdout, stderr }) => reject(new Error(`dashboard ended: ${stdout}${stderr}`)));
  });
  const html = await readFile(file, 'utf8');
  return {
    file,
    html,
    code: /name="code" value="([^"]+)"/.exec(html)?.[1] ?? '',
    action: /action="([^"]+)"/.exec(html)?.[1] ?? '',
    ended: ended!,
    interrupt,
  };
}

/** Opens the page in a tab, as a browser does that is given the file; resolves when it shows something. */
export async function openPage(tab: Tab, daemon: RunningDaemon): Promise<void> {
  const { file, ended } = await printDashboard(daemon);
  await tab.go(pathToFileURL(file).href);
  await tab.until(`location.pathname === '/-/' && !document.getElementById('main').hidden`);
  await ended;
}
