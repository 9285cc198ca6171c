/**
 * A small Debian with systemd, made once and kept in build/ for later runs. Nothing in it is of ours but a user and the ways to the
 * program; whoever boots it does so on a layer of their own.
 */
import { existsSync } from 'node:fs';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './scene.js';

/** The newest systemd that is tried, and the oldest that is promised. */
export type Suite = 'bookworm' | 'sid';

/** The user of the stage, as useradd would make it. */
export const DEV = { name: 'dev', uid: 1000 } as const;
/** Another ordinary user, who has no business with Postern. */
export const OTHER = { name: 'other', uid: 1001 } as const;

const PACKAGES = [
  ...['systemd', 'systemd-sysv', 'libpam-systemd', 'dbus', 'dbus-user-session'],
  ...['git', 'ca-certificates', 'openssh-client', 'procps', 'iproute2'],
];
/** Half a minute on two idle cores with a near mirror. */
const BUILD_MS = 300_000;
/** Raised when what is in it changes. */
const VERSION = 1;

/** The directory of the root; builds it when it is not there. @throws Error saying in one line what is missing */
export async function systemdRoot(suite: Suite): Promise<string> {
  const root = join(process.cwd(), 'build', `systemd-${suite}-${VERSION}`);
  if (existsSync(root)) return root;
  const draft = `${root}.${process.pid}`;
  await mkdir(join(process.cwd(), 'build'), { recursive: true });
  try {
    const args = ['--variant=minbase', `--include=${PACKAGES.join(',')}`, '--aptopt=Acquire::Check-Valid-Until "false"', suite, draft];
    const made = await run('mmdebstrap', args, { env: { PATH: process.env['PATH'], HOME: '/root' }, timeoutMs: BUILD_MS });
    if (made.code !== 0) throw new Error(`mmdebstrap ${suite} ended with ${made.code}: ${lastLines(made.stderr)}`);
    const shell = '#!/bin/sh\nexec /usr/bin/node /opt/postern/dist/postern.js "$@"\n';
    await writeFile(join(draft, 'usr/local/bin/postern'), shell, { mode: 0o755 });
    await writeFile(join(draft, 'usr/bin/node'), '');
    await mkdir(join(draft, 'opt/postern'), { recursive: true });
    for (const { name, uid } of [DEV, OTHER]) {
      const added = await run('chroot', [draft, 'useradd', '-m', '-s', '/bin/bash', '-u', String(uid), name], {
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      });
      if (added.code !== 0) throw new Error(`useradd ended with ${added.code}: ${added.stderr.trim()}`);
    }
    // Lingering, so that both have a service manager without logging in.
    await mkdir(join(draft, 'var/lib/systemd/linger'), { recursive: true });
    for (const { name } of [DEV, OTHER]) await writeFile(join(draft, 'var/lib/systemd/linger', name), '');
    await rename(draft, root);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  return root;
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-3).join(' / ');
}
