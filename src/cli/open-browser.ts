/**
 * Shows an address in the user's browser: by $BROWSER, else by what the desktop has for it. Where there is no display none is opened,
 * because xdg-open would start one in the terminal.
 */
import { spawn } from 'node:child_process';

type Environment = Readonly<Record<string, string | undefined>>;

/** Program and arguments that open an address; undefined when there is none to try. */
export function browserCommand(
  address: string,
  environment: Environment,
  platform: NodeJS.Platform = process.platform,
): readonly [string, ...string[]] | undefined {
  // A list with colons, each a command in which %s is the address or stands at its end, as xdg-open has it. The first one is taken.
  const [named = ''] = (environment['BROWSER'] ?? '').split(':');
  const [program, ...words] = named.split(/\s+/).filter((word) => word !== '');
  if (program !== undefined)
    return [program, ...(named.includes('%s') ? words.map((word) => word.replaceAll('%s', address)) : [...words, address])];
  if (platform === 'darwin') return ['open', address];
  const hasDisplay = (environment['DISPLAY'] ?? '') !== '' || (environment['WAYLAND_DISPLAY'] ?? '') !== '';
  return hasDisplay ? ['xdg-open', address] : undefined;
}

/** Starts it and does not wait. `onFault` is told when it cannot be started. */
export function openBrowser(
  [program, ...args]: readonly [string, ...string[]],
  environment: Environment,
  onFault: (program: string) => void,
): void {
  const child = spawn(program, args, { detached: true, stdio: 'ignore', env: { ...environment } });
  child.on('error', () => onFault(program));
  child.unref();
}
