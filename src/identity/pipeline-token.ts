/**
 * The token of a job of Azure Pipelines (System.AccessToken), sent as it is. It is Azure DevOps' own, not Entra's: there is nobody
 * to ask for another one, and it ends with its job. Read again when it ended or was refused, since a file or a program may have
 * that of the next job by then.
 *
 * Source: Azure Pipelines, "Predefined variables" (System.AccessToken) and "Access repositories, artifacts, and other resources".
 */
import type { Secret } from '../model/secret.js';
import { readTokenClaims } from '../model/token-claims.js';
import { TokenFailure, type TokenSource } from './token-source.js';

/** An opaque token tells no end: it is read again after the time that a job has unless it is given more. */
const OPAQUE_LIFE_MS = 60 * 60 * 1000;

const LIFE = 'it lives as long as its job, about 60 minutes';
const TODO =
  'let a step of the running job start the daemon, with `SYSTEM_ACCESSTOKEN: $(System.AccessToken)` in its `env:`; for longer, set `serviceConnection`';

/** A source that hands on the token that `read` gives. `now` in ms since the epoch. */
export function createPipelineSource(read: () => Promise<Secret>, now: () => number): TokenSource {
  return {
    note: `the job's own token: ${LIFE}`,
    refused: {
      what: `The upstream did not accept the token of the pipeline job: ${LIFE}, and is for the job's own organisation`,
      todo: `${TODO}. Other repositories and projects: see "job authorization scope" in the settings of the organisation and the project`,
    },
    async fetch() {
      const token = await read();
      const expiresAt = endOf(token) ?? new Date(now() + OPAQUE_LIFE_MS);
      if (expiresAt.getTime() <= now())
        throw new TokenFailure(`The token of the pipeline job ended at ${expiresAt.toISOString()}: ${LIFE}`, {
          isDefinite: true,
          todo: TODO,
        });
      // Earlier there is no other one to be had.
      return { token, expiresAt, refreshAfter: expiresAt };
    },
  };
}

/** The end that a JWT tells; undefined for what is no JWT or tells none. */
function endOf(token: Secret): Date | undefined {
  const end = new Date(readTokenClaims(token.reveal())?.expiresAt ?? Number.NaN);
  return Number.isNaN(end.getTime()) ? undefined : end;
}
