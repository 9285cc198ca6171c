/**
 * A program called `pwsh` that answers a script with Get-AzAccessToken as PowerShell with Az.Accounts does. It runs no script: it
 * looks whether it holds what has to be there, and takes the values from where the script would.
 */
import { fails, FakeTool, type Play, says, type ToolCall } from './fake-tool.js';
import { DEFAULT_TENANT, type TokenBook } from './token-book.js';

export type PwshMode = 'signed-in' | 'not-signed-in' | 'no-module' | 'slow' | 'nonsense';

export class FakePwsh extends FakeTool {
  /** To be put in front of PATH. */
  readonly directory: string;
  mode: PwshMode = 'signed-in';
  tokenLifeSeconds: number;
  /** As of FakeAz. */
  claims: string | undefined;
  #kept: string | undefined;
  readonly #book: TokenBook;

  constructor(book: TokenBook, directory: string, tokenLifeSeconds: number) {
    super({ name: 'pwsh', directory, play: (call) => this.#play(call), delayMs: () => (this.mode === 'slow' ? 30_000 : 0) });
    this.#book = book;
    this.directory = directory;
    this.tokenLifeSeconds = tokenLifeSeconds;
  }

  /** Signs in anew, as `Connect-AzAccount -ClaimsChallenge` does with claims in base64. */
  login(challenge?: string): void {
    this.mode = 'signed-in';
    this.claims = challenge === undefined ? undefined : Buffer.from(challenge, 'base64').toString('utf8');
    this.#kept = undefined;
  }

  #play({ args, environment }: ToolCall): Play {
    const script = args[args.indexOf('-Command') + 1] ?? '';
    if (!args.includes('-NoProfile') || !args.includes('-NonInteractive')) return fails(1, 'a profile, or a person, would be asked');
    if (!/^\s*Import-Module Az\.Accounts -MinimumVersion 2\.2\.0$/m.test(script) || !/Get-AzAccessToken @wish\b/.test(script))
      return fails(1, `ParserError: ${script}`);
    if (this.mode === 'no-module') {
      return fails(
        1,
        "The specified module 'Az.Accounts' with version '2.2.0' was not loaded because no valid module file was found in any module directory.",
      );
    }
    if (this.mode === 'not-signed-in') return fails(1, 'Run Connect-AzAccount to login.');
    if (this.mode === 'nonsense') return says('VERBOSE: Populating RepositorySourceLocation property for module Az.Accounts.');
    const tenant = environment['TOKEN_TENANT'];
    this.#kept ??= this.#book.issue({
      tenant: tenant === undefined || tenant === '' ? DEFAULT_TENANT : tenant,
      audience: environment['TOKEN_RESOURCE'] ?? '',
      lifeSeconds: this.tokenLifeSeconds,
      ...(this.claims === undefined ? {} : { claimsRequest: this.claims }),
    }).token;
    this.given.push(this.#kept);
    const expiresOn = this.#book.issued.get(this.#kept)?.exp;
    // What is announced goes to stdout too, where it is no terminal.
    return says(
      `WARNING: Upcoming breaking changes in the cmdlet 'Get-AzAccessToken'\n${JSON.stringify({ token: this.#kept, expiresOn })}`,
    );
  }
}
