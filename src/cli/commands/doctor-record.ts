/**
 * `postern doctor record [URL]`: writes what an upstream answers on the road of an address, as shapes, to a file that can be given to others.
 * What stands in it is said before it is written.
 */
import { lstat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { askRecord } from '../../daemon/doctor/doctor-actions.js';
import type { CheckRow } from '../../model/check.js';
import { messageOf, ProxyError, systemCodeOf } from '../../model/errors.js';
import { type Exchange, type ExchangeRecord, RECORD_FORMAT, RECORD_VERSION, type RowShape } from '../../model/exchange-record.js';
import { makeNewFile } from '../../store/new-file.js';
import { writePrivateFile } from '../../store/private-file.js';
import { columns } from '../amounts.js';
import type { Context, SettingsFlags } from '../context.js';
import { withoutCredential } from '../doctor/targets.js';
import { Git } from '../gitconfig/git.js';
import { visible } from '../visible.js';
import { walk } from './doctor.js';
import { notRunning } from './stop.js';

const STDOUT = '-';

/** 0 when it was written, whatever the upstream answers. @throws ProxyError `usage`, `not-running`, what the road of the address throws */
export async function doctorRecord(context: Context, given: string | undefined, flags: SettingsFlags): Promise<number> {
  const { environment, home, workingDirectory, printer, places } = context;
  const git = new Git(environment, home, workingDirectory);
  const { address } = withoutCredential(given ?? (await originOf(git)));
  const now = new Date();
  const output = typeof flags['output'] === 'string' ? flags['output'] : `postern-record-${dayOf(now)}.json`;
  const file = output === STDOUT ? undefined : resolve(workingDirectory, output);
  // Before anything is asked: nobody likes to hear it afterwards.
  if (file !== undefined && flags['force'] !== true) await refuseExisting(file);
  // Before the walk, on which an upstream may come to want no more requests for a while.
  const road = await askRecord(places.adminSocket, address);
  if (road === undefined) throw notRunning(places.adminSocket);
  const { rows } = await walk(context, address, flags, { isPrinting: false });
  const record: ExchangeRecord = {
    format: RECORD_FORMAT,
    version: RECORD_VERSION,
    made: { on: dayOf(now), postern: context.version, node: process.version, platform: `${process.platform} ${process.arch}` },
    ...road,
    rows: rows.map(rowShape),
  };
  const text = `${JSON.stringify(record, null, 2)}\n`;
  if (file === undefined) {
    printer.line(text.trimEnd());
    return 0;
  }
  for (const line of summary(record)) printer.line(line);
  if (flags['dry-run'] === true) {
    printer.line(`Would write ${visible(file)}: ${text.length} characters, readable by you alone`);
    return 0;
  }
  await write(file, text, flags['force'] === true);
  printer.line(`Wrote ${visible(file)} (${text.length} characters, readable by you alone). Look at it before you give it to anybody.`);
  return 0;
}

/** The remote of the repository that the command stands in. */
async function originOf(git: Git): Promise<string> {
  const { status, stdout } = await git.run(['config', '--get', 'remote.origin.url']);
  const url = stdout.toString().trim();
  if (status === 0 && url !== '') return url;
  throw new ProxyError('usage', 'Which address is not said, and no remote `origin` is here', {
    todo: 'give the address as git clone is given it: `postern doctor record https://dev.azure.com/...`',
  });
}

async function refuseExisting(file: string): Promise<void> {
  const found = await lstat(file).catch(() => undefined);
  if (found !== undefined) throw isThere(file);
}

function isThere(file: string): ProxyError {
  return new ProxyError('usage', `${visible(file)} is there already`, { todo: 'name another file with --output, or add --force' });
}

/** Whoever has put something there meanwhile keeps it. */
async function write(file: string, text: string, isForced: boolean): Promise<void> {
  const writing = isForced ? writePrivateFile(file, text).then(() => true) : makeNewFile(file, text);
  const isWritten = await writing.catch((thrown: unknown) => {
    throw new ProxyError('usage', `${visible(file)} cannot be written (${systemCodeOf(thrown) ?? messageOf(thrown)})`, {
      todo: 'name another file with --output',
      cause: thrown,
    });
  });
  if (!isWritten) throw isThere(file);
}

function dayOf(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function rowShape(row: CheckRow): RowShape {
  const { id, verdict, ms } = row;
  return { id, class: row.class, verdict, ms, ...('code' in row && row.code !== undefined ? { code: row.code } : {}) };
}

/** What stands in the file, for who has to decide whether to give it away. */
function summary({ exchanges, credential, endedBy, rows }: ExchangeRecord): string[] {
  const failed = rows.find(({ verdict }) => verdict === 'failed');
  return [
    'What was asked and what came back, without names, hosts, refs, contents or credentials:',
    '',
    ...columns(exchanges.map(({ step, request, ms, ...exchange }) => [step, request.method, answerText(exchange), `${ms} ms`])).map(
      (line) => `  ${line}`,
    ),
    ...(exchanges.length === 0 ? [`  nothing: ${WHY[endedBy ?? 'no-credential']}`] : []),
    '',
    `Credential: ${credential.outcome === 'made' ? `a ${credential.kind} was made, and is not in it` : `none (${credential.code})`}`,
    `First failing row of doctor: ${failed === undefined ? 'none' : failed.id}`,
    '',
  ];
}

const WHY = {
  throttled: 'the upstream is throttling',
  unreachable: 'the upstream cannot be reached',
  'no-credential': 'there is no credential to ask with',
  'not-over-https': 'this remote goes over SSH, signed by an agent',
} as const;

function answerText({ response, fault }: Pick<Exchange, 'response' | 'fault'>): string {
  if (response === undefined) return `no answer (${fault?.system ?? fault?.code ?? 'unknown'})`;
  return `${response.status} ${response.body.kind}${response.isCut === true ? ', broken off' : ''}`;
}
