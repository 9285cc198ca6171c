/**
 * The API by which a person makes, lists and revokes personal access tokens of their own. It takes Entra tokens of people alone, and
 * takes the road of the organisation's route: its trust, its outgoing proxy, and its upstream where it has one.
 *
 * Source: Azure DevOps REST API 7.1, "Tokens - Pats": Create, Get, List, Revoke.
 */
import { findPatText, saysNotThere } from '../hosts/pat-texts.js';
import type { Credential } from '../model/credential.js';
import { ProxyError } from '../model/errors.js';
import { type NewPat, PAT_SCOPE, type PatFacts } from '../model/pat.js';
import { Secret } from '../model/secret.js';
import type { Route } from '../model/settings.js';
import { claimsOf } from './authorization.js';
import { asMap, type Json, type OwnAnswer, type OwnRequests } from './own-requests.js';

const HOST = 'https://vssps.dev.azure.com';
const API_VERSION = '7.1-preview.1';
/** Pages of a list: a hundred tokens each, far more than a person has. */
const MOST_PAGES = 100;

/** Who asks, of which organisation, and by which road. */
export interface PatAsk {
  /** Of a kind of Entra. */
  readonly identity: string;
  readonly organisation: string;
  readonly route: Route;
}

export interface PatOrder {
  readonly name: string;
  /** As Azure DevOps writes them. */
  readonly scopes: readonly string[];
  readonly expiresAt: Date;
}

/**
 * All its methods throw ProxyError: what OwnRequests throws, `upstream-*` for what Azure DevOps says no with,
 * and `usage` for an identity that can have no tokens.
 */
export class PatApi {
  readonly #requests: OwnRequests;

  constructor(requests: OwnRequests) {
    this.#requests = requests;
  }

  /** All tokens of the owner in the organisation that have not ended. */
  async list(ask: PatAsk): Promise<PatFacts[]> {
    const found: PatFacts[] = [];
    let continuationToken: string | undefined;
    for (let page = 0; page < MOST_PAGES; page++) {
      const answer = await this.#ask(ask, 'GET', continuationToken === undefined ? {} : { continuationToken });
      const tokens = answer.json?.['patTokens'];
      if (!Array.isArray(tokens)) throw noApi(ask, answer.status);
      for (const each of tokens) found.push(readFacts(ask, asMap(each), answer.status));
      const next = answer.json?.['continuationToken'];
      if (typeof next !== 'string' || next === '' || next === continuationToken) break;
      continuationToken = next;
    }
    return found;
  }

  /** One token; undefined when the owner has none of that id in the organisation, or has revoked it. */
  async find(ask: PatAsk, id: string): Promise<PatFacts | undefined> {
    const answer = await this.#ask(ask, 'GET', { authorizationId: id });
    return answer.isNotThere ? undefined : readFacts(ask, asMap(answer.json?.['patToken']), answer.status);
  }

  /** Makes a token for this organisation alone. */
  async create(ask: PatAsk, { name, scopes, expiresAt }: PatOrder): Promise<NewPat> {
    const wrong = scopes.find((scope) => !PAT_SCOPE.test(scope));
    if (wrong !== undefined || scopes.length === 0) throw new RangeError('not a scope that may be asked for');
    const order = { displayName: name, scope: scopes.join(' '), validTo: expiresAt.toISOString(), allOrgs: false };
    const answer = await this.#ask(ask, 'POST', {}, order);
    const made = asMap(answer.json?.['patToken']);
    const token = made?.['token'];
    if (typeof token !== 'string' || token === '') throw noApi(ask, answer.status);
    return { ...readFacts(ask, made, answer.status), token: new Secret(token) };
  }

  /** Ends a token for good; false when there is none of that id. */
  async revoke(ask: PatAsk, id: string): Promise<boolean> {
    return !(await this.#ask(ask, 'DELETE', { authorizationId: id })).isNotThere;
  }

  async #ask(ask: PatAsk, method: string, query: Readonly<Record<string, string>>, body?: Json): Promise<PatAnswer> {
    const { identity } = ask;
    const accepts = (credential: Credential): void => {
      if (credential.kind !== 'bearer') throw notOfEntra(identity);
      if (claimsOf(credential)?.isApplications === true) throw ofApplication(identity);
    };
    const answer = await this.#requests.ask({ ...ask, hostKind: 'azure-services' }, { method, url: urlOf(ask, query), body, accepts });
    return readAnswer(ask, answer);
  }
}

interface PatAnswer {
  readonly status: number;
  readonly json: Json | undefined;
  /** It said that there is no such token. */
  readonly isNotThere: boolean;
}

/** @throws ProxyError for every answer that is a no */
function readAnswer(ask: PatAsk, answer: OwnAnswer): PatAnswer {
  const { status } = answer;
  const json = asMap(answer.json);
  const errors = [json?.['patTokenError'], json?.['message']].flatMap((each) =>
    typeof each === 'string' && each !== 'none' ? [each] : [],
  );
  if (errors.some(saysNotThere)) return { status, json, isNotThere: true };
  for (const error of errors) {
    const known = findPatText(error);
    if (known !== undefined) throw new ProxyError(known.code, `${known.what} (${error})`, { todo: known.todo });
  }
  const refused = json?.['patTokenError'];
  if (typeof refused === 'string' && refused !== 'none') {
    const name = /^[A-Za-z]{1,60}$/.test(refused) ? refused : 'an error without a name';
    throw new ProxyError('upstream-error', `Azure DevOps did not do what was asked about the personal access token (${name})`, {
      todo: 'look whether it works in a browser: User settings > Personal access tokens',
    });
  }
  if (status === 204 || (status >= 200 && status < 300 && status !== 203 && json !== undefined)) return { status, json, isNotThere: false };
  if (status === 200 || status === 404) throw noApi(ask, status);
  const { code, what, todo, upstreamText } = answer.failure();
  throw new ProxyError(code, `${what}, asked about personal access tokens of ${ask.organisation}`, {
    todo,
    details: upstreamText === undefined ? [] : upstreamText.split('\n'),
  });
}

function urlOf({ organisation, route }: PatAsk, query: Readonly<Record<string, string>>): URL {
  const base = (route.upstream?.href ?? HOST).replace(/\/$/, '');
  const url = new URL(`${base}/${encodeURIComponent(organisation)}/_apis/tokens/pats`);
  for (const [name, value] of Object.entries({ ...query, 'api-version': API_VERSION })) url.searchParams.set(name, value);
  return url;
}

function readFacts(ask: PatAsk, raw: Json | undefined, status: number): PatFacts {
  const { authorizationId, displayName, scope, validTo, targetAccounts } = raw ?? {};
  const expiresAt = new Date(typeof validTo === 'string' ? validTo : Number.NaN);
  if (typeof authorizationId !== 'string' || Number.isNaN(expiresAt.getTime())) throw noApi(ask, status);
  return {
    id: authorizationId,
    name: typeof displayName === 'string' ? displayName : '',
    scopes: typeof scope === 'string' ? scope.split(/\s+/).filter((each) => each !== '') : [],
    expiresAt,
    // The organisations that it is good for; null for all of its owner's.
    isGlobal:
      targetAccounts === undefined ? undefined : targetAccounts === null || (Array.isArray(targetAccounts) && targetAccounts.length === 0),
  };
}

function noApi({ organisation, route }: PatAsk, status: number): ProxyError {
  const host = route.upstream?.host ?? new URL(HOST).host;
  return new ProxyError('upstream-not-found', `${host} tells nothing of personal access tokens of ${organisation} (status ${status})`, {
    todo:
      route.upstream === undefined
        ? 'check the name of the organisation, and what stands between here and Azure DevOps'
        : `check the name of the organisation; the \`upstream\` of its route has to pass /${organisation}/_apis/tokens/pats on to ${HOST}`,
  });
}

/** @returns what keeps an identity that holds no Entra token from asking */
export function notOfEntra(identity: string): ProxyError {
  return new ProxyError('usage', `Identity ${identity} holds no Entra token, and nothing else can ask for personal access tokens`, {
    todo: 'name an identity by which a person signs in with --identity: of kind browser, device-code, azure-cli, azure-developer-cli or azure-powershell',
  });
}

/** @returns what keeps a service principal or managed identity from asking */
export function ofApplication(identity: string): ProxyError {
  return new ProxyError('usage', `Identity ${identity} is an application, and only people can have personal access tokens`, {
    todo: 'name an identity by which a person signs in with --identity; what an application does needs no token: let it come to the door of Postern',
  });
}
