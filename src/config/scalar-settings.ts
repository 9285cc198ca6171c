/**
 * The settings that hold one value and can come from a flag, an environment variable or the file: their grammar and their
 * defaults, in one table. Key paths here are the ones in the file.
 */
import type { Entry } from '../model/caller.js';
import { LOG_LEVELS } from '../model/ports.js';
import type { ListenAddress, Settings } from '../model/settings.js';
import { parseDuration, parseTimeLimit, writeDuration } from './duration.js';
import { quote } from './fault.js';
import { parseListenAddresses, writeListenAddress } from './listen-address.js';
import { parseSshListen } from './ssh-settings.js';
import { hint } from './nearest-name.js';

export const LOG_FORMATS = ['auto', 'human', 'json'] as const satisfies readonly Settings['log']['format'][];

export const OPERATION_LEVELS = ['info', 'debug'] as const satisfies readonly Settings['log']['operations'][];

/** Where `telemetry.listen: on` is: the port after the doors', as far as Prometheus' own list of ports has it free. */
const TELEMETRY_ON = '127.0.0.1:9417';
/** More at once than a process can have files. */
const LARGEST_COUNT = 1_000_000;

export const LOCAL_ENTRIES = ['uid', 'lease', 'anyone'] as const satisfies readonly Entry[];
export const REMOTE_ENTRIES = ['lease', 'anyone'] as const satisfies readonly Entry[];

export interface Scalar<Value> {
  /** What would be right, for someone who wrote something else. */
  readonly is: string;
  /** The default, as someone would write it. */
  readonly fallback: string;
  /** Reads it as it stands in a flag or variable; throws a SyntaxError. */
  readonly parse: (text: string) => Value;
  /** The value as `config show` shows it. */
  readonly show: (value: Value) => string | readonly string[];
}

export const SCALARS = {
  'listen.http': {
    is: 'an address such as `127.0.0.1:8417`',
    // 127.0.0.1, and ::1 where the system has it.
    fallback: 'localhost:8417',
    parse: parseListenAddresses,
    show: (addresses: readonly ListenAddress[]) =>
      addresses.map((each) => `${writeListenAddress(each)}${each.optional ? ' (optional)' : ''}`),
  },
  'listen.ssh': {
    is: 'an address such as `127.0.0.1:8422`, or `off`',
    fallback: '127.0.0.1:8422',
    parse: parseSshListen,
    show: (addresses: readonly ListenAddress[]) => (addresses.length === 0 ? 'off' : addresses.map(writeListenAddress)),
  },
  'access.local': wordOf(LOCAL_ENTRIES, 'uid'),
  'access.remote': wordOf(REMOTE_ENTRIES, 'lease'),
  'drain.min': duration('0s', parseDuration),
  'drain.max': duration('30s', parseDuration),
  // A build host's parallel jobs are in the hundreds, and git opens one or two connections for each operation.
  'limits.connections': count('2048'),
  'limits.operations': count('1024'),
  'telemetry.listen': {
    is: 'an address such as `127.0.0.1:9417`, `on` or `off`',
    fallback: 'off',
    parse: parseTelemetryListen,
    show: (addresses: readonly ListenAddress[]) => (addresses.length === 0 ? 'off' : addresses.map(writeListenAddress)),
  },
  'log.level': wordOf(LOG_LEVELS, 'info'),
  'log.format': wordOf(LOG_FORMATS, 'auto'),
  'log.operations': wordOf(OPERATION_LEVELS, 'debug'),
  'timeouts.connect': duration('15s', parseTimeLimit),
  // A server may count objects for minutes before it sends the first byte.
  'timeouts.stall': duration('15m', parseTimeLimit),
  'timeouts.token': duration('30s', parseTimeLimit),
} as const;

export type ScalarPath = keyof typeof SCALARS;
export type ScalarValue<Path extends ScalarPath> = ReturnType<(typeof SCALARS)[Path]['parse']>;

export const SCALAR_PATHS = Object.keys(SCALARS) as readonly ScalarPath[]; // the keys of a literal are its type's keys

/** `log.level` as `POSTERN_LOG_LEVEL`. */
export function variableOf(path: ScalarPath): string {
  return `POSTERN_${path.replace('.', '_').toUpperCase()}`;
}

/** `log.level` as `--log-level`. */
export function flagOf(path: string): string {
  return `--${path.replaceAll('.', '-')}`;
}

/** @throws {SyntaxError} for what is neither `on`, `off` nor addresses. */
function parseTelemetryListen(text: string): readonly ListenAddress[] {
  if (text === 'off') return [];
  if (text === 'on') return parseListenAddresses(TELEMETRY_ON);
  try {
    return parseListenAddresses(text);
  } catch (thrown) {
    // The port that it shows as an example is that of another listener.
    throw thrown instanceof SyntaxError ? new SyntaxError(thrown.message.replaceAll('8417', '9417')) : thrown;
  }
}

function count(fallback: string): Scalar<number> {
  const is = `a whole number from 1 to ${String(LARGEST_COUNT)}`;
  const parse = (text: string): number => {
    const value = /^[1-9][0-9]{0,6}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value <= LARGEST_COUNT)) throw new SyntaxError(`${quote(text)} is not ${is}`);
    return value;
  };
  return { is, fallback, parse, show: String };
}

function duration(fallback: string, parse: (text: string) => number): Scalar<number> {
  return { is: `a duration with its unit, such as \`${fallback === '0s' ? '5s' : fallback}\``, fallback, parse, show: writeDuration };
}

function wordOf<Word extends string>(words: readonly Word[], fallback: Word): Scalar<Word> {
  const all = words.join(', ');
  const parse = (text: string): Word => {
    const found = words.find((each) => each === text);
    if (found === undefined) throw new SyntaxError(`${quote(text)} is not one of ${all}${hint(text, words, 'write one of them')}`);
    return found;
  };
  return { is: `one of ${all}`, fallback, parse, show: (word) => word };
}
