/** `postern doctor [URL]`: walks the road of an address, from git to the upstream's answer, and says where it ends. */
import { askStatus } from '../../daemon/admin.js';
import { readSpelling } from '../../hosts/repo-spelling.js';
import { CHECK_CLASSES, type CheckRow } from '../../model/check.js';
import { ProxyError } from '../../model/errors.js';
import { canBeAsked } from '../colour.js';
import { type Context, loadFor, type SettingsFlags } from '../context.js';
import { ADDRESS_CHECKS } from '../doctor/address-checks.js';
import type { Walk } from '../doctor/check.js';
import { GENERAL_CHECKS } from '../doctor/general-checks.js';
import { routeHosts } from '../doctor/git-remotes.js';
import { askOnTerminal, mend, type Mended } from '../doctor/mending.js';
import { RowPrinter, summaryLines } from '../doctor/print.js';
import { isForPostern, MOST_ADDRESSES, remoteAddresses, withoutCredential } from '../doctor/targets.js';
import { walkThrough } from '../doctor/walk.js';
import { Git } from '../gitconfig/git.js';
import type { Progress } from '../progress.js';
import { hideCredentials } from '../gitconfig/names.js';
import { visibleAll } from '../visible.js';

/** Version of the shape of `--json`; it changes when something in it is taken away or means something else. */
const JSON_VERSION = 1;
/** What one round of mending makes visible, another may mend; more rounds than kinds of fixes would be going in circles. */
const MOST_ROUNDS = 4;

export interface DoctorOptions {
  /** Rows are printed when they are there. False: nothing is printed, and the rows are the result. */
  readonly isPrinting: boolean;
}

/** The exit code is that of the class of the first failure; see CHECK_CLASSES. @throws ProxyError `usage` */
export async function doctor(context: Context, address: string | undefined, flags: SettingsFlags): Promise<number> {
  const { printer } = context;
  const isJson = flags['json'] === true;
  const isFixing = flags['fix'] === true;
  const isYes = flags['yes'] === true;
  if (address !== undefined && readSpelling(address) === undefined)
    throw new ProxyError('usage', `${hideCredentials(address)} is not an address of a repository`, {
      todo: 'give the address that git clone would be given',
    });
  if (isFixing && !isYes && (isJson || !canBeAsked()))
    throw new ProxyError('usage', '`--fix` asks before it changes anything, and nobody is here to answer', {
      todo: 'run it in a terminal, or add --yes to have everything done that it offers',
    });
  const ask = isYes ? (): Promise<boolean> => Promise.resolve(true) : askOnTerminal;
  const tried = new Set<string>();
  const mended: Mended[] = [];
  let walked = await walk(context, address, flags, { isPrinting: !isJson });
  for (let round = 0; isFixing && round < MOST_ROUNDS; round += 1) {
    const done = await mend(walked.rows, walked.fixes, { ask, tried, note: printer.note });
    mended.push(...done);
    if (!done.some(({ outcome }) => outcome === 'done')) break;
    if (!isJson) printer.line('');
    walked = await walk(context, address, flags, { isPrinting: !isJson });
  }
  const { rows } = walked;
  const first = rows.find(({ verdict }) => verdict === 'failed');
  const exitCode = first === undefined ? 0 : CHECK_CLASSES[first.class];
  if (isJson)
    printer.json({
      version: JSON_VERSION,
      program: context.version,
      exitCode,
      firstFailed: first === undefined ? null : { id: first.id, address: first.address ?? null },
      rows,
      ...(isFixing ? { mended } : {}),
    });
  return exitCode;
}

/**
 * One walk: the general rows, then those of each address. What is found is in the rows alone; nothing is thrown for it.
 * `address`: undefined for those of the remotes of the repository at the working directory.
 */
export async function walk(
  context: Context,
  address: string | undefined,
  flags: SettingsFlags,
  { isPrinting }: DoctorOptions,
): Promise<{ readonly rows: readonly CheckRow[]; readonly fixes: Walk['fixes'] }> {
  const { environment, home, workingDirectory, printer } = context;
  const git = new Git(environment, home, workingDirectory).remembering();
  const bare: Walk = {
    context,
    flags,
    git,
    addresses: [],
    areRemotes: address === undefined,
    hadCredential: address !== undefined && withoutCredential(address).hadCredential,
    isReadOnly: flags['read-only'] === true,
    found: {},
    fixes: new Map(),
  };
  const { addresses, left } = await addressesOf(bare, address);
  const whole: Walk = { ...bare, addresses };
  const lines = new RowPrinter(printer);
  let waiting: Progress | undefined;
  const telling = {
    onBegin: (name: string) => {
      if (isPrinting) waiting = printer.progress(`Trying: ${name}`);
    },
    onRow: (row: CheckRow) => {
      waiting?.end();
      if (isPrinting) for (const line of lines.lines(visibleAll(row))) printer.line(line);
    },
  };
  const general = await walkThrough(GENERAL_CHECKS, whole, telling);
  const rows = [...general];
  for (const each of addresses)
    rows.push(...(await walkThrough(ADDRESS_CHECKS, { ...whole, address: each }, { before: general, address: each, ...telling })));
  if (isPrinting) {
    if (left > 0) printer.line(`\nand ${left} more addresses of remotes, which are walked when they are named`);
    for (const line of lines.rest()) printer.line(line);
    for (const line of summaryLines(visibleAll(rows), printer)) printer.line(line);
  }
  return { rows, fixes: whole.fixes };
}

/** The address that was typed, without a credential in it, or those of remotes that are for Postern, each once. */
async function addressesOf(
  { context, flags, git }: Walk,
  address: string | undefined,
): Promise<{ readonly addresses: readonly string[]; readonly left: number }> {
  if (address !== undefined) return { addresses: [withoutCredential(address).address], left: 0 };
  const loaded = await loadFor(context, flags).catch(() => undefined);
  const status = await askStatus(context.places.adminSocket).catch(() => undefined);
  const about = {
    hosts: loaded === undefined ? [] : routeHosts({ found: { loaded } }),
    doors: [...(status?.listen.http ?? []), ...(status?.listen.ssh ?? [])].map((each) => `${each}/`),
  };
  const remotes = await remoteAddresses(git).catch(() => []);
  const all = new Set(
    remotes.flatMap(({ address: each }) => (isForPostern(each, about) && !withoutCredential(each).hadCredential ? [each] : [])),
  );
  return { addresses: [...all].slice(0, MOST_ADDRESSES), left: Math.max(0, all.size - MOST_ADDRESSES) };
}
