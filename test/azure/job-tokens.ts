/**
 * Tokens of pipeline jobs (System.AccessToken): made by Azure DevOps itself, for one organisation, with the life of a job. They are
 * no tokens of Entra: issuer and audience are those of its own token service.
 */
import { randomBytes, randomUUID } from 'node:crypto';

export interface JobTokenOrder {
  /** Lower case. Default `contoso`. */
  readonly organization?: string;
  /** Default 3600. */
  readonly lifeSeconds?: number;
  /** A token in the older form, which tells nothing. */
  readonly isOpaque?: boolean;
}

export class JobTokens {
  readonly #tokens = new Map<string, { readonly organization: string; readonly endsAt: number }>();

  /** Begins a job. */
  issue({ organization = 'contoso', lifeSeconds = 3600, isOpaque = false }: JobTokenOrder = {}): string {
    const now = Math.floor(Date.now() / 1000);
    const exp = now + lifeSeconds;
    const claims = {
      nameid: randomUUID(),
      scp: 'app_token',
      aui: randomUUID(),
      sid: randomUUID(),
      BuildId: `${randomUUID()};4711`,
      iss: 'app.vstoken.visualstudio.com',
      aud: `app.vstoken.visualstudio.com|vso:${randomUUID()}`,
      nbf: now - 60,
      exp,
    };
    const encode = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = isOpaque
      ? randomBytes(39).toString('base64url')
      : `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}.${randomBytes(256).toString('base64url')}`;
    this.#tokens.set(token, { organization: organization.toLowerCase(), endsAt: exp * 1000 });
    return token;
  }

  /** Ends the job of a token before its time. */
  end(token: string): void {
    this.#tokens.delete(token);
  }

  isGood(token: string, organization: string): boolean {
    const job = this.#tokens.get(token);
    return job !== undefined && job.organization === organization.toLowerCase() && job.endsAt > Date.now();
  }
}
