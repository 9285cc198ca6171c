/**
 * How the sign-in service says no: the JSON error of Entra with its AADSTS code, or a failure of the service itself.
 */
import { randomUUID } from 'node:crypto';
import type { ServerResponse } from 'node:http';

export type StsFailure =
  | { readonly aadsts: number; readonly status?: number; readonly text?: string; readonly detail?: string }
  /** A JSON answer that is nothing but this. */
  | { readonly body: Readonly<Record<string, unknown>>; readonly status?: number }
  /** 200 with `html` is what a portal or a proxy answers in the service's place. */
  | { readonly status: 500 | 503 | 429 | 200; readonly retryAfterSeconds?: number; readonly html?: true };

interface Row {
  readonly status: number;
  readonly error: string;
  readonly suberror?: string;
  /** %s is replaced by the detail at hand. */
  readonly text: string;
}

const ROWS: Readonly<Record<number, Row>> = {
  7000215: {
    status: 401,
    error: 'invalid_client',
    text: "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '%s'.",
  },
  7000222: {
    status: 401,
    error: 'invalid_client',
    text: "The provided client secret keys for app '%s' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.",
  },
  7000216: {
    status: 401,
    error: 'invalid_client',
    text: "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
  },
  700016: {
    status: 400,
    error: 'unauthorized_client',
    text: "Application with identifier '%s' was not found in the directory 'Contoso'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.",
  },
  90002: {
    status: 400,
    error: 'invalid_request',
    text: "Tenant '%s' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant.",
  },
  700027: {
    status: 401,
    error: 'invalid_client',
    text: 'The certificate with identifier used to sign the client assertion is not registered on application. %s',
  },
  700024: { status: 401, error: 'invalid_client', text: 'Client assertion is not within its valid time range. %s' },
  700211: {
    status: 401,
    error: 'invalid_client',
    text: "No matching federated identity record found for presented assertion issuer '%s'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.",
  },
  700212: {
    status: 401,
    error: 'invalid_client',
    text: "No matching federated identity record found for presented assertion audience '%s'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.",
  },
  700213: {
    status: 401,
    error: 'invalid_client',
    text: "No matching federated identity record found for presented assertion subject '%s'. Check your federated identity credential Subject, Audience and Issuer against the presented assertion.",
  },
  50027: { status: 400, error: 'invalid_request', text: 'JWT token is invalid or malformed. %s' },
  53003: {
    status: 400,
    error: 'interaction_required',
    suberror: 'message_only',
    text: 'Access has been blocked by Conditional Access policies. The access policy does not allow token issuance.',
  },
  50076: {
    status: 400,
    error: 'interaction_required',
    suberror: 'basic_action',
    text: "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access '%s'.",
  },
  50173: {
    status: 400,
    error: 'invalid_grant',
    suberror: 'bad_token',
    text: 'The provided grant has expired due to it being revoked, a fresh auth token is needed.',
  },
  700082: { status: 400, error: 'invalid_grant', suberror: 'bad_token', text: 'The refresh token has expired due to inactivity.' },
  500011: {
    status: 400,
    error: 'invalid_resource',
    text: 'The resource principal named %s was not found in the tenant named Contoso. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant.',
  },
  70016: {
    status: 400,
    error: 'authorization_pending',
    text: 'OAuth 2.0 device flow error. Authorization is pending. Continue polling.',
  },
  70019: { status: 400, error: 'expired_token', text: 'Verification code expired.' },
  70020: { status: 400, error: 'authorization_declined', text: 'End-user cancelled the device authorization.' },
  70008: { status: 400, error: 'invalid_grant', text: 'The provided authorization code or refresh token has expired due to inactivity.' },
  70043: {
    status: 400,
    error: 'invalid_grant',
    suberror: 'bad_token',
    text: 'The refresh token has expired or is invalid due to sign-in frequency checks by conditional access.',
  },
  54005: { status: 400, error: 'invalid_grant', text: 'OAuth2 Authorization code was already redeemed.' },
  501481: {
    status: 400,
    error: 'invalid_grant',
    text: 'The Code_Verifier does not match the code_challenge supplied in the authorization request.',
  },
  500112: {
    status: 400,
    error: 'invalid_grant',
    text: "The reply address '%s' does not match the reply address used when requesting the authorization code.",
  },
  700005: { status: 400, error: 'invalid_grant', text: "The provided grant was issued to another client, '%s'." },
  50020: {
    status: 400,
    error: 'invalid_grant',
    text: "User account '%s' from identity provider 'live.com' does not exist in tenant 'Contoso' and cannot access the application in that tenant.",
  },
  50034: { status: 400, error: 'invalid_grant', text: 'The user account does not exist in the directory.' },
  70003: { status: 400, error: 'unsupported_grant_type', text: "The app requested an unsupported grant type '%s'." },
  90033: { status: 503, error: 'temporarily_unavailable', text: 'A transient error has occurred. Please try again.' },
};

export function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, {
    'Cache-Control': 'no-store, no-cache',
    Pragma: 'no-cache',
    'Content-Type': 'application/json; charset=utf-8',
    'x-ms-request-id': randomUUID(),
  });
  response.end(JSON.stringify(body));
}

/** Answers with the failure; an AADSTS code without a row gets a general text. */
export function answerFailure(response: ServerResponse, failure: StsFailure): void {
  if ('body' in failure) {
    sendJson(response, failure.status ?? 400, failure.body);
    return;
  }
  if (!('aadsts' in failure)) {
    const retry = failure.retryAfterSeconds === undefined ? {} : { 'Retry-After': String(failure.retryAfterSeconds) };
    const type = failure.html ? 'text/html' : 'application/json; charset=utf-8';
    response.writeHead(failure.status, { 'Content-Type': type, ...retry });
    response.end(failure.html ? UNAVAILABLE_PAGE : JSON.stringify({ error: 'server_error' }));
    return;
  }
  const row = ROWS[failure.aadsts] ?? { status: 400, error: 'invalid_grant', text: 'The request was refused.' };
  const trace = randomUUID();
  const correlation = randomUUID();
  const timestamp = `${new Date().toISOString().slice(0, 19).replace('T', ' ')}Z`;
  const words = failure.text ?? row.text.replace('%s', failure.detail ?? '');
  sendJson(response, failure.status ?? row.status, {
    error: row.error,
    error_description: `AADSTS${failure.aadsts}: ${words} Trace ID: ${trace} Correlation ID: ${correlation} Timestamp: ${timestamp}`,
    error_codes: [failure.aadsts],
    timestamp,
    trace_id: trace,
    correlation_id: correlation,
    error_uri: `https://login.microsoftonline.com/error?code=${failure.aadsts}`,
    ...(row.suberror ? { suberror: row.suberror } : {}),
  });
}

/** What may answer where a sign-in service is expected: a portal's page, its redirect, a server that knows no such path, a proxy's page. */
export type StandIn = 'portal-page' | 'portal-redirect' | 'other-server' | 'blocked-page' | 'other-json';

export function answerAs(response: ServerResponse, standIn: StandIn): void {
  switch (standIn) {
    case 'portal-page':
      response.writeHead(200, { 'Content-Type': 'text/html' }).end('<!DOCTYPE html><title>Welcome</title><form>Accept the terms</form>');
      return;
    case 'portal-redirect':
      response.writeHead(302, { Location: 'http://portal.example.net/welcome?token=of-the-portal' }).end();
      return;
    case 'other-server':
      response.writeHead(404, { 'Content-Type': 'text/html' }).end('<!DOCTYPE html><title>Not found</title>');
      return;
    case 'blocked-page':
      response.writeHead(403, { 'Content-Type': 'text/html' }).end('<!DOCTYPE html><title>Blocked by policy</title>');
      return;
    case 'other-json':
      sendJson(response, 200, { status: 'ok' });
      return;
  }
}

const UNAVAILABLE_PAGE =
  '<!DOCTYPE html>\n<html><head><title>Service unavailable</title></head><body><h2>Our services are not available right now</h2></body></html>\n';
