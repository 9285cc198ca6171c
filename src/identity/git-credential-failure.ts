/** Why `git credential fill` gave nothing, in words for the person who set the helpers up. */
import { quotedLine } from './outside-words.js';
import type { ProgramEnd } from './run-program.js';
import { TokenFailure } from './token-source.js';

const WHO = 'as the user of the daemon';
const WHICH = `\`git config --show-origin --get-all credential.helper\` ${WHO} shows which are asked`;

/** What git says when no helper had anything and a person would have to be asked. */
const NOBODY_TO_ASK = /^fatal: could not read (?:Username|Password) for /;
/** Lines that are git's own or of its form: what else a helper prints may be anything, a password included. */
const SAID = /^(?:fatal|error|warning|git): /;

/** Undefined when it ended well. `wasRefused`: what they held was refused by the upstream just before. */
export function fillFailure(
  end: ProgramEnd,
  { url, timeoutMs, wasRefused }: { url: URL; timeoutMs: number; wasRefused: boolean },
): TokenFailure | undefined {
  const { origin } = url;
  switch (end.kind) {
    case 'missing':
      return failure(
        end.code === 'ENOENT' ? 'git was not found on the PATH of the daemon' : `git cannot be run (${end.code})`,
        'install git, or start the daemon with a PATH that includes it',
      );
    case 'timeout':
      return failure(
        `The credential helpers of git gave no answer for ${origin} within ${timeoutMs / 1000} s`,
        `most likely one waits for a person: sign in with it by hand, ${WHO}; ${WHICH}`,
        false,
      );
    case 'endless':
      return failure(`The credential helpers of git print without an end for ${origin}`, WHICH);
    case 'ended': {
      if (end.code === 0) return undefined;
      const lines = end.stderr.split('\n').filter((line) => SAID.test(line) && !NOBODY_TO_ASK.test(line));
      const said = quotedLine(lines.join('\n'));
      const why = said === '' ? '' : ` (${said})`;
      if (/told us to quit/.test(end.stderr))
        return failure(`A credential helper of git refused to answer for ${origin}${why}`, `sign in with it by hand, ${WHO}; ${WHICH}`);
      if (wasRefused) {
        return failure(
          `The upstream did not accept what the credential helpers of git held for ${origin}; they were told so, and now hold nothing${why}`,
          `sign in with the helper, or store a new password with \`git credential approve\`, ${WHO}`,
        );
      }
      return failure(
        `The credential helpers of git hold nothing for ${origin}${why}`,
        `sign in with the helper, or store a password with \`git credential approve\`, ${WHO}; ${WHICH}`,
      );
    }
  }
}

function failure(what: string, todo: string, isDefinite = true): TokenFailure {
  return new TokenFailure(what, { isDefinite, todo });
}
