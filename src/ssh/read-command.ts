/** From what a client asked for to the operation that it is, or why there is none; and what it sent along as variables. */
import type { PresentedLease } from '../gate/callers.js';
import type { RouteTable } from '../gate/route-table.js';
import { parseSshCommand, type SshService } from '../git/ssh-command.js';
import { parseSshAddress } from '../hosts/ssh-address.js';
import type { LfsOperation, LfsStep, SessionOperation } from '../model/operation.js';
import type { OperationRecord } from '../model/record.js';
import type { Refusal } from '../model/refusal.js';
import { Secret } from '../model/secret.js';
import { readTraceContext, type TraceContext } from '../model/trace-context.js';

const KINDS: Readonly<Record<SshService, SessionOperation['kind']>> = {
  'git-upload-pack': 'fetch',
  'git-receive-pack': 'push',
  'git-upload-archive': 'archive',
};
/** What a client may do with what it is given: it is asked for before either begins. */
const LFS_STEP = { download: 'batch-download', upload: 'batch-upload' } as const satisfies Readonly<Record<string, LfsStep>>;
/** As git writes it (gitprotocol-v2, "Initial Client Request"): keys and values with colons between. */
const GIT_PROTOCOL = /^[\x21-\x7e]{1,255}$/;

/** How a refusal has to be said: git reads packets, what is no git reads stderr, and git-lfs goes on by itself. */
export type Listener = 'git' | 'person' | 'nobody';

export type ReadCommand =
  | { readonly kind: 'operation'; readonly operation: SessionOperation | LfsOperation; readonly path: string }
  | { readonly kind: 'no'; readonly refusal: Refusal; readonly listener: Listener };

/** Reads a command. What is understood on the way is noted in `record`. */
export function readCommand(text: string, routes: RouteTable, record: OperationRecord): ReadCommand {
  const command = parseSshCommand(text);
  if (command.kind === 'fault') {
    return no(
      'person',
      refusal(
        'operation-unknown',
        403,
        `The command ${command.what}`,
        'use git: only git-upload-pack, git-receive-pack and git-upload-archive of one repository are served',
      ),
    );
  }
  const read = parseSshAddress(command.path, (host) => routes.kindOf(host));
  record.kind = command.kind === 'lfs' ? 'lfs' : KINDS[command.service];
  record.step = command.kind === 'lfs' ? LFS_STEP[command.operation] : 'session';
  record.repository = read.kind === 'fault' ? printable(read.shown) : read.address.display;
  const listener = listenerOf(text);
  if (command.kind === 'lfs' && command.program === 'git-lfs-transfer') {
    return no(
      listener,
      refusal(
        'operation-unknown',
        403,
        'Git LFS over SSH itself is not served',
        'let git-lfs go on over HTTP, as it does by itself: unset `lfs.<url>.sshtransfer`, or set it to `never`',
      ),
    );
  }
  if (read.kind === 'fault') {
    const what = `The address is not a repository's: ${printable(read.what)}`;
    return no(
      listener,
      refusal(
        'request-malformed',
        400,
        what,
        'write it as ssh://git@door/host/path; `postern route explain URL` shows how an address is read',
      ),
    );
  }
  const { address, path } = read;
  record.address = address;
  const operation: SessionOperation | LfsOperation =
    command.kind === 'lfs'
      ? { kind: 'lfs', step: LFS_STEP[command.operation], address, suffix: '' }
      : { kind: KINDS[command.service], step: 'session', address };
  return { kind: 'operation', operation, path };
}

/** Who reads what is said of a command, also of one that cannot be read. */
export function listenerOf(command: string): Listener {
  if (/^git[- ]lfs-transfer /.test(command)) return 'nobody';
  return /^git[- ]lfs-/.test(command) ? 'person' : 'git';
}

/** The lease that a client sent as a variable. */
export function leaseIn(variables: ReadonlyMap<string, readonly string[]>): PresentedLease {
  const values = [...new Set((variables.get('POSTERN_LEASE') ?? []).map((value) => value.trim()))];
  const [text, second] = values;
  if (text === undefined) return { kind: 'none' };
  if (second !== undefined) return { kind: 'unclear', what: 'The client sent more than one lease' };
  return { kind: 'one', text: new Secret(text) };
}

/** The trace that a client counts its command to. Variables of these names are what OpenTelemetry writes for children. */
export function traceIn(variables: ReadonlyMap<string, readonly string[]>): TraceContext | undefined {
  // One that came twice is two traces, and as for HTTP neither counts.
  return readTraceContext(variables.get('TRACEPARENT')?.join(','), variables.get('TRACESTATE')?.join(','));
}

/** The protocol that a client asks for; undefined when it asks for none, or in no way that git would. */
export function protocolIn(variables: ReadonlyMap<string, readonly string[]>): string | undefined {
  const value = variables.get('GIT_PROTOCOL')?.at(-1);
  return value !== undefined && GIT_PROTOCOL.test(value) ? value : undefined;
}

function no(listener: Listener, refused: Refusal): ReadCommand {
  return { kind: 'no', refusal: refused, listener };
}

function refusal(code: Refusal['code'], status: number, what: string, todo: string): Refusal {
  return { kind: 'refusal', code, status, what, todo };
}

/** Text of an address for a person: nothing that a terminal would act on. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?').slice(0, 300);
}
