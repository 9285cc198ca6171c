/**
 * A test file that leaves a server, a socket or a child behind fails: whoever opens closes. Looks at what keeps the
 * process alive after the last test of the file, and gives closing sockets a moment.
 */
import { afterAll } from 'vitest';

const WATCHED = new Set(['TCPServerWrap', 'TCPSocketWrap', 'PipeServerWrap', 'ProcessWrap', 'TLSWrap']);
const LOOKS = 100;
const LOOK_MS = 20;

function open(): string[] {
  return process.getActiveResourcesInfo().filter((kind) => WATCHED.has(kind));
}

const atStart = open().length;

afterAll(async () => {
  for (let look = 0; open().length > atStart; look++) {
    if (look === LOOKS) throw new Error(`this file leaves open: ${open().slice(atStart).join(', ')}`);
    await new Promise((resume) => setTimeout(resume, LOOK_MS));
  }
});
