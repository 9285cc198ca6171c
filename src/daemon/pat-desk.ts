/**
 * Makes, lists and revokes personal access tokens for whoever may use the admin socket. Each call leaves an event in the log, not in
 * the audit: that has one record for each operation on a repository, and this is none. The token itself goes to the one who asked.
 */
import { hostname } from 'node:os';
import { messageOf, ProxyError } from '../model/errors.js';
import { LONGEST_PAT_LIFE_MS, type NewPat, PAT_SCOPE, type PatFacts } from '../model/pat.js';
import type { Clock, LogEvent, LogFields, Logger } from '../model/ports.js';
import type { PatApi } from '../upstream/pat-api.js';
import { askFor, onlyOrganisation, type PatRoads } from './pat-roads.js';

/** Names have that many characters at most. */
const LONGEST_NAME = 200;

/** Which tokens are meant; undefined what the configuration leaves no choice in. */
export interface PatWhere {
  readonly organisation: string | undefined;
  readonly identity: string | undefined;
}

export interface PatWish extends PatWhere {
  /** Undefined: `postern, NAME OF THE MACHINE`. */
  readonly name: string | undefined;
  /** As Azure DevOps writes them. */
  readonly scopes: readonly string[];
  readonly forMs: number;
}

export interface MadePat extends NewPat {
  readonly organisation: string;
  readonly identity: string;
}

export interface PatDeskParts extends PatRoads {
  readonly api: PatApi;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Told of each token that has ended by our doing. */
  readonly onRevoked: (id: string) => void;
}

/** Every method throws ProxyError: `usage`, and what PatApi throws. */
export class PatDesk {
  readonly #parts: PatDeskParts;

  constructor(parts: PatDeskParts) {
    this.#parts = parts;
  }

  /** Makes one, for one organisation alone. */
  create(wish: PatWish): Promise<MadePat> {
    return this.#told('pat-created', async () => {
      const { name = `postern, ${hostname()}`, scopes, forMs } = wish;
      const ask = this.#ask(wish);
      if (name === '' || name.length > LONGEST_NAME || /\p{Cc}/u.test(name)) {
        throw new ProxyError('usage', 'That cannot be the name of a token', { todo: `use 1 to ${LONGEST_NAME} printable characters` });
      }
      if (scopes.length === 0 || !scopes.every((scope) => PAT_SCOPE.test(scope))) {
        throw new ProxyError('usage', 'A scope is none that may be asked for', {
          todo: 'write one as `code-read`, or as Azure DevOps does: `vso.code`',
        });
      }
      if (!(forMs > 0 && forMs <= LONGEST_PAT_LIFE_MS)) {
        throw new ProxyError('usage', 'No personal access token can live so long', { todo: 'ask for a year at most: `--for 365d`' });
      }
      const made = await this.#parts.api.create(ask, { name, scopes, expiresAt: new Date(this.#parts.clock.now() + forMs) });
      const { id, expiresAt } = made;
      const { organisation, identity } = ask;
      return {
        result: { ...made, organisation, identity },
        fields: { organization: organisation, identity, pat: id, scopes: made.scopes.join(' '), expiresAt: expiresAt.toISOString() },
      };
    });
  }

  /** Those of the owner that have not ended. */
  list(where: PatWhere): Promise<readonly PatFacts[]> {
    return this.#told('pat-listed', async () => {
      const ask = this.#ask(where);
      const result = await this.#parts.api.list(ask);
      return { result, fields: { organization: ask.organisation, identity: ask.identity, count: result.length } };
    });
  }

  /** Ends one for good. @throws ProxyError `upstream-not-found` when the owner has none of that id there */
  revoke(id: string, where: PatWhere): Promise<{ readonly organisation: string }> {
    return this.#told('pat-revoked', async () => {
      const ask = this.#ask({ ...this.#knownPlace(id), ...given(where) });
      const { organisation, identity } = ask;
      if (!(await this.#parts.api.revoke(ask, id))) {
        throw new ProxyError('upstream-not-found', `There is no personal access token ${id} of identity ${identity} in ${organisation}`, {
          todo: '`postern pat list` shows those that there are; one that has ended or was revoked before is not among them',
        });
      }
      this.#parts.onRevoked(id);
      return { result: { organisation }, fields: { organization: organisation, identity, pat: id } };
    });
  }

  #ask({ organisation, identity }: Partial<PatWhere>): ReturnType<typeof askFor> {
    return askFor(this.#parts, organisation ?? onlyOrganisation(this.#parts), identity);
  }

  /** A token that an identity names is asked for as that identity says. */
  #knownPlace(id: string): Partial<PatWhere> {
    for (const identity of this.#parts.identities) {
      if (identity.kind !== 'pat' || identity.lifecycle?.id.toLowerCase() !== id.toLowerCase()) continue;
      return { organisation: identity.lifecycle.organization, identity: identity.lifecycle.identity };
    }
    return {};
  }

  async #told<Result>(event: LogEvent, work: () => Promise<{ readonly result: Result; readonly fields: LogFields }>): Promise<Result> {
    const { logger } = this.#parts;
    try {
      const { result, fields } = await work();
      logger.log('info', event, fields);
      return result;
    } catch (thrown) {
      const code = thrown instanceof ProxyError ? thrown.code : 'internal';
      logger.log('warn', 'pat-refused', { instead: event, code, what: messageOf(thrown) });
      throw thrown;
    }
  }
}

function given({ organisation, identity }: PatWhere): Partial<PatWhere> {
  return { ...(organisation === undefined ? {} : { organisation }), ...(identity === undefined ? {} : { identity }) };
}
