/** The number of a group of this system, which Node has no call for. Source: group(5), getent(1). */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';

/** A directory service that does not answer must not keep the daemon from starting. */
const ASK_MS = 5_000;

/** Undefined when there is none of that name. Groups of a directory service are found where `getent` is. */
export async function groupId(name: string): Promise<number | undefined> {
  const local = idIn(await readFile('/etc/group', 'utf8').catch(() => ''), name);
  if (local !== undefined) return local;
  return new Promise((resolve) => {
    // Its environment is not ours: there may be secrets in that.
    execFile('getent', ['group', name], { timeout: ASK_MS, env: { PATH: '/usr/bin:/bin' } }, (_fault, stdout) =>
      resolve(idIn(stdout, name)),
    );
  });
}

function idIn(text: string, name: string): number | undefined {
  const line = text.split('\n').find((each) => each.startsWith(`${name}:`));
  const id = line?.split(':')[2] ?? '';
  return /^[0-9]+$/.test(id) ? Number(id) : undefined;
}
