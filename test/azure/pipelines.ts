/**
 * The endpoint of Azure Pipelines at which a job asks for the token that proves a service connection to Entra (workload identity
 * federation). https, as a job meets it; the job proves itself with its own token.
 *
 * Source: Azure DevOps REST API 7.1, Distributed Task, "Oidctoken - Create".
 */
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { KeyPairPem } from './certificates.js';
import type { FederatedCredential } from './client-proof.js';
import type { JobTokens } from './job-tokens.js';
import { Loopback } from './loopback.js';
import { federatedToken } from './samples.js';

export interface OidcRequest {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly connection: string;
  readonly status: number;
}

const ORGANIZATION = 'contoso';

export class Pipelines {
  /** Id of the service connection that the pipeline may use. */
  readonly connection = randomUUID();
  /** The application that the connection is registered with, in the default tenant. */
  readonly clientId = randomUUID();
  readonly requests: OidcRequest[] = [];
  /** What the connection is registered with at its application. */
  readonly federation: FederatedCredential = {
    issuer: `https://vstoken.dev.azure.com/${randomUUID()}`,
    subject: `sc://${ORGANIZATION}/Payments/agents`,
    audience: 'api://AzureADTokenExchange',
  };
  /** Every request fails with that status. */
  failWith: number | undefined;
  readonly #jobs: JobTokens;
  readonly #path = `/${ORGANIZATION}/${randomUUID()}/_apis/distributedtask/hubs/build/plans/${randomUUID()}/jobs/${randomUUID()}/oidctoken`;
  readonly #loopback: Loopback;

  constructor(jobs: JobTokens, tls: KeyPairPem) {
    this.#jobs = jobs;
    this.#loopback = new Loopback(createServer(tls, (request, response) => this.#handle(request, response)));
  }

  /** SYSTEM_OIDCREQUESTURI of a job. */
  get requestUri(): string {
    return `https://127.0.0.1:${this.#loopback.port}${this.#path}`;
  }

  listen(port: number): Promise<void> {
    return this.#loopback.listen(port);
  }

  close(): Promise<void> {
    return this.#loopback.close();
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', 'https://localhost');
    const connection = url.searchParams.get('serviceConnectionId') ?? '';
    const [status, body, headers] = this.#answer(request, url, connection);
    this.requests.push({ at: Date.now(), connection, status });
    response.writeHead(status, { 'Content-Type': typeof body === 'string' ? 'text/html' : 'application/json; charset=utf-8', ...headers });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  }

  #answer(request: IncomingMessage, url: URL, connection: string): [number, object | string, Record<string, string>?] {
    if (request.method !== 'POST') return [405, problem('The requested resource does not support http method.', 'Method')];
    if (url.pathname !== this.#path) return [404, problem('The plan is not there.', 'TaskOrchestrationPlanNotFound')];
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (!this.#jobs.isGood(token, ORGANIZATION)) {
      // Without the header the service takes the caller for a browser.
      if (request.headers['x-tfs-fedauthredirect'] === 'Suppress') return [401, '<html><title>Access Denied</title></html>'];
      return [302, '<html><title>Object moved</title></html>', { Location: 'https://spsprodcus3.vssps.visualstudio.com/_signin' }];
    }
    if (!url.searchParams.has('api-version')) return [400, problem('No api-version was supplied.', 'VssVersionNotSpecified')];
    if (this.failWith !== undefined) return [this.failWith, problem('The service is in trouble.', 'VssService')];
    if (connection !== this.connection)
      return [404, problem(`The service connection with ID ${connection} does not exist.`, 'OidcTokenServiceConnectionNotFound')];
    return [200, { oidcToken: federatedToken(this.federation, 600) }];
  }
}

function problem(message: string, typeKey: string): object {
  return {
    $id: '1',
    innerException: null,
    message,
    typeName: `Microsoft.TeamFoundation.DistributedTask.WebApi.${typeKey}Exception, Microsoft.TeamFoundation.DistributedTask.WebApi`,
    typeKey: `${typeKey}Exception`,
    errorCode: 0,
    eventId: 3000,
  };
}
