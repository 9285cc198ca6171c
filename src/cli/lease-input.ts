/**
 * Where a lease comes in: from $POSTERN_LEASE or standard input. Never from the command line, which every user of the machine
 * can read in /proc, and which shells write into their histories.
 */
import { isLeaseText, LONGEST_LEASE_TEXT } from '../gate/lease-text.js';
import { ProxyError } from '../model/errors.js';
import { Secret } from '../model/secret.js';
import { type Context, STANDARD_INPUT } from './context.js';

const VARIABLE = 'POSTERN_LEASE';
const HOW = 'put it into the variable POSTERN_LEASE, or on standard input with `-`: postern lease explain - < FILE';

/**
 * Reads one lease. `from`: `STANDARD_INPUT` for that; undefined for the variable, and standard input where that is not set.
 * @throws ProxyError `usage`, `lease-invalid` for what is none
 */
export async function readLeaseInput(context: Context, from: unknown): Promise<Secret> {
  if (from !== undefined && from !== STANDARD_INPUT) throw refuseArgument();
  const variable = context.environment[VARIABLE] ?? '';
  const text = (from === STANDARD_INPUT || variable === '' ? await standardInput() : variable).trim();
  if (text === '') throw new ProxyError('usage', 'There is no lease', { todo: HOW });
  if (!isLeaseText(text))
    throw new ProxyError('lease-invalid', 'What was given is no lease', { todo: 'give the text that begins with ptl1_ and nothing else' });
  return new Secret(text);
}

/** What to say of a lease, or of anything else, on the command line. It is not repeated. */
export function refuseArgument(): ProxyError {
  return new ProxyError('usage', 'A lease does not belong on the command line, where every user of this machine can read it', {
    todo: HOW,
  });
}

async function standardInput(): Promise<string> {
  if (process.stdin.isTTY) return '';
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LONGEST_LEASE_TEXT * 2) throw new ProxyError('lease-invalid', 'What was given is too long for a lease', { todo: HOW });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
