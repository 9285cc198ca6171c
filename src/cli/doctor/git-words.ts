/** Reads what git printed for what the door said through it: the refusal, with its cause and its remedy. */
import type { CheckOutcome } from '../../model/check.js';
import { ERROR_CODES } from '../../model/errors.js';
import { hideCredentials } from '../gitconfig/names.js';

/** What git puts before words that came from afar. */
const FROM_AFAR = /^(?:remote: ?|fatal: remote error: |error: )/;
/** Lines of git's own that are shown where nothing better is known. */
const MOST_LINES = 3;

/** The refusal that git showed (the form is that of refusalLines, model/refusal.ts); undefined where it showed none. */
export function refusalIn(stderr: string): CheckOutcome | undefined {
  const lines = stderr.split(/[\r\n]+/).map((line) => line.replace(FROM_AFAR, '').trimEnd());
  const begin = lines.findIndex((line) => line.startsWith('postern: '));
  if (begin < 0) return undefined;
  const rest = lines.slice(begin + 1);
  const end = rest.findIndex((line) => !line.startsWith('  '));
  const below = (end < 0 ? rest : rest.slice(0, end)).map((line) => line.trim());
  const after = (start: string): string | undefined => below.find((line) => line.startsWith(start))?.slice(start.length);
  const named = after('more: postern explain ');
  return {
    verdict: 'failed',
    text: (lines[begin] ?? '').slice('postern: '.length),
    details: below.filter((line) => !/^(?:what to do|more): /.test(line)),
    todo: after('what to do: ') ?? 'see the log of the daemon',
    code: ERROR_CODES.find((code) => code === named),
  };
}

/** Git's own last words, fit to be shown. */
export function gitsOwn(stderr: string): string[] {
  const lines = stderr
    .split(/[\r\n]+/)
    .map((line) => hideCredentials(line).trim())
    .filter((line) => line !== '');
  const telling = lines.filter((line) => /^(?:fatal|error|remote|ssh|git|Host key|Permission denied)\b/.test(line));
  return (telling.length === 0 ? lines : telling).slice(-MOST_LINES);
}
