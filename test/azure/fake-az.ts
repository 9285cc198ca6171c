/** A program called `az` that answers `az account get-access-token` in the words of the Azure CLI. */
import { randomUUID } from 'node:crypto';
import { fails, FakeTool, optionOf, type Play, says, type ToolCall } from './fake-tool.js';
import { DEFAULT_TENANT, type TokenBook } from './token-book.js';

export type AzMode = 'signed-in' | 'not-signed-in' | 'slow' | 'broken-json' | 'refused';

export type AzCall = ToolCall;

export class FakeAz extends FakeTool {
  /** To be put in front of PATH. */
  readonly directory: string;
  mode: AzMode = 'signed-in';
  /** How long the mode `slow` takes. */
  slowMs = 3000;
  /** What it says in the mode `refused`, after what Entra answered to it. */
  refusal = '';
  tokenLifeSeconds: number;
  /** Whether it hands out the token that it has as long as it lives, as the Azure CLI does. */
  keeps = false;
  /** Claims that the sign-in was made with, JSON: tokens satisfy them from then on. */
  claims: string | undefined;
  readonly #kept = new Map<string, string>();
  /** Who is signed in, as the token says; undefined for an application. */
  account: string | undefined;
  /** Signed in as the machine (`az login --identity`), which takes no tenant. */
  isMachine = false;
  readonly #book: TokenBook;
  readonly #subscription = randomUUID();

  constructor(book: TokenBook, directory: string, tokenLifeSeconds: number) {
    super({
      name: 'az',
      directory,
      play: ({ args }) => this.#play(args),
      delayMs: () => (this.mode === 'slow' ? this.slowMs : 0),
    });
    this.#book = book;
    this.directory = directory;
    this.tokenLifeSeconds = tokenLifeSeconds;
  }

  /** Signs in anew, as `az login --claims-challenge` does with claims in base64. */
  login(challenge: string): void {
    this.mode = 'signed-in';
    this.claims = Buffer.from(challenge, 'base64').toString('utf8');
    this.#kept.clear();
  }

  #play(args: readonly string[]): Play {
    if (args[0] === 'version' || args[0] === '--version') return says(JSON.stringify({ 'azure-cli': '2.78.0' }));
    if (args[0] === 'login') {
      this.mode = 'signed-in';
      return says('[]');
    }
    if (args[0] === 'account' && args[1] === 'show' && this.mode !== 'not-signed-in')
      return says(JSON.stringify({ tenantId: DEFAULT_TENANT, user: { name: this.account ?? 'dana@contoso.com', type: 'user' } }));
    if (args[0] !== 'account' || (args[1] !== 'get-access-token' && args[1] !== 'show'))
      return fails(2, `ERROR: '${args.join(' ')}' is misspelled or not recognized by the system.`);
    if (this.mode === 'not-signed-in') return fails(1, "ERROR: Please run 'az login' to setup account.");
    if (this.mode === 'refused') return fails(1, this.refusal);
    if (this.mode === 'broken-json') return says('{"accessToken": "eyJ0eXAi');
    if (this.isMachine && args.includes('--tenant')) return fails(1, "ERROR: Tenant shouldn't be specified for managed identity account");
    const tenant = optionOf(args, '--tenant') ?? DEFAULT_TENANT;
    const resource =
      optionOf(args, '--resource') ?? optionOf(args, '--scope')?.replace(/\/\.default$/, '') ?? 'https://management.core.windows.net/';
    const token = this.#token(tenant, resource);
    this.given.push(token);
    const exp = this.#book.issued.get(token)?.exp ?? 0;
    const answer = {
      accessToken: token,
      expiresOn: localTime(new Date(exp * 1000)),
      expires_on: exp,
      ...(optionOf(args, '--tenant') === undefined ? { subscription: this.#subscription } : {}),
      tenant,
      tokenType: 'Bearer',
    };
    return says(JSON.stringify(answer, undefined, 2));
  }

  #token(tenant: string, resource: string): string {
    const key = `${tenant} ${resource}`;
    const kept = this.#kept.get(key);
    if (this.keeps && kept !== undefined) return kept;
    const { token } = this.#book.issue({
      tenant,
      audience: resource,
      lifeSeconds: this.tokenLifeSeconds,
      ...(this.claims === undefined ? {} : { claimsRequest: this.claims }),
      ...(this.account === undefined ? {} : { account: this.account }),
    });
    this.#kept.set(key, token);
    return token;
  }
}

/** The CLI's `expiresOn` is local time without a zone. */
function localTime(time: Date): string {
  const two = (value: number): string => String(value).padStart(2, '0');
  const day = [time.getFullYear(), two(time.getMonth() + 1), two(time.getDate())].join('-');
  return `${day} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(two).join(':')}.000000`;
}
