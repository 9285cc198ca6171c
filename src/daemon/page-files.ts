/** The files that the status page is made of, as the build left them beside the program. */
import { readFile } from 'node:fs/promises';

/** The daemon is built into a directory below the program's own. */
const DIRECTORY = new URL('../page/', import.meta.url);

/** Reads one, by its name alone. @throws Error when it is not there */
export function pageFile(name: string): Promise<Buffer> {
  return readFile(new URL(name, DIRECTORY));
}
