/** A program called `azd` that answers `azd auth token` in the words of the Azure Developer CLI. */
import { FakeTool, optionOf, type Play, says } from './fake-tool.js';
import { DEFAULT_TENANT, type TokenBook } from './token-book.js';

export type AzdMode =
  | 'signed-in'
  | 'not-signed-in'
  /** A person has to sign in again, with a second factor. */
  | 'interaction'
  /** A version that knows no `--claims`. */
  | 'old'
  | 'slow'
  | 'nonsense';

export class FakeAzd extends FakeTool {
  /** To be put in front of PATH. */
  readonly directory: string;
  mode: AzdMode = 'signed-in';
  tokenLifeSeconds: number;
  /** Whether the sign-in satisfies the claims that it is asked for. */
  satisfiesClaims = true;
  readonly #book: TokenBook;

  constructor(book: TokenBook, directory: string, tokenLifeSeconds: number) {
    super({ name: 'azd', directory, play: ({ args }) => this.#play(args), delayMs: () => (this.mode === 'slow' ? 30_000 : 0) });
    this.#book = book;
    this.directory = directory;
    this.tokenLifeSeconds = tokenLifeSeconds;
  }

  #play(args: readonly string[]): Play {
    const claims = optionOf(args, '--claims');
    if (args[0] !== 'auth' || args[1] !== 'token') return complains(`ERROR: unknown command "${args.join(' ')}" for "azd"`);
    if (this.mode === 'old' && claims !== undefined) return { stdout: '', stderr: 'ERROR: unknown flag: --claims\n', exitCode: 1 };
    if (this.mode === 'not-signed-in') return complains('\nERROR: not logged in, run `azd auth login` to login\n');
    if (this.mode === 'nonsense') return says('no JSON');
    const scope = optionOf(args, '--scope') ?? '';
    if (this.mode === 'interaction' || (claims !== undefined && !this.satisfiesClaims)) {
      return complains(
        '\nERROR: fetching token: sign-in expired, must use multi-factor authentication\n',
        `Suggestion: reauthentication required, run \`azd auth login --scope ${scope}\` to acquire a new token.\n`,
      );
    }
    const { token, claims: issued } = this.#book.issue({
      tenant: optionOf(args, '--tenant-id') ?? DEFAULT_TENANT,
      audience: scope.replace(/\/\.default$/, ''),
      lifeSeconds: this.tokenLifeSeconds,
      cae: claims !== undefined,
      ...(claims === undefined ? {} : { claimsRequest: Buffer.from(claims, 'base64').toString('utf8') }),
    });
    this.given.push(token);
    // An update is announced before whatever was asked for.
    return {
      stdout: `${JSON.stringify({ token, expiresOn: new Date(issued.exp * 1000).toISOString() })}\n`,
      stderr: 'WARNING: your version of azd is out of date\n',
      exitCode: 0,
    };
  }
}

/** Since 1.23 errors are messages in JSON, on stdout. */
function complains(...messages: readonly string[]): Play {
  const lines = messages.map((message) =>
    JSON.stringify({ type: 'consoleMessage', timestamp: new Date().toISOString(), data: { message } }),
  );
  return { stdout: `${lines.join('\n')}\n`, stderr: '', exitCode: 1 };
}
