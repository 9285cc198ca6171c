/** `postern doctor [URL]`: walks the road of an address, from git to the upstream's answer, and says where it ends. */
import { CHECK_CLASSES, type CheckRow } from '../../model/check.js';
import type { Context, SettingsFlags } from '../context.js';
import { ADDRESS_CHECKS } from '../doctor/address-checks.js';
import type { Walk } from '../doctor/check.js';
import { GENERAL_CHECKS } from '../doctor/general-checks.js';
import { rowLines } from '../doctor/print.js';
import { walkThrough } from '../doctor/walk.js';
import { Git } from '../gitconfig/git.js';
import { visibleAll } from '../visible.js';

/** The exit code is that of the class of the first failure; see CHECK_CLASSES. */
export async function doctor(context: Context, address: string | undefined, flags: SettingsFlags): Promise<number> {
  const { environment, home, workingDirectory, printer } = context;
  const walk: Walk = { context, flags, git: new Git(environment, home, workingDirectory), found: {} };
  const isJson = flags['json'] === true;
  const onRow = (row: CheckRow): void => {
    if (!isJson) for (const line of rowLines(visibleAll(row), printer)) printer.line(line);
  };
  const general = await walkThrough(GENERAL_CHECKS, walk, { onRow });
  const own = address === undefined ? [] : await walkThrough(ADDRESS_CHECKS, { ...walk, address }, { before: general, address, onRow });
  const rows = [...general, ...own];
  if (isJson) printer.json({ rows });
  const first = rows.find(({ verdict }) => verdict === 'failed');
  return first === undefined ? 0 : CHECK_CLASSES[first.class];
}
