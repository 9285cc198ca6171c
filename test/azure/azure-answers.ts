/**
 * The shapes in which Azure DevOps, its on-premises server and a plain git host refuse: status, headers and body as clients see them on
 * the wire.
 */
import { randomUUID } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http';
import type { OrganisationRules } from './access.js';
import type { Address } from './addresses.js';
import type { Exchange } from './journal.js';
import type { ClaimsDemand } from './token-book.js';

export const ANONYMOUS_ID = 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa';

const P3P = 'CP="CAO DSP COR ADMa DEV CONo TELo CUR PSA PSD TAI IVDo OUR SAMi BUS DEM NAV STA UNI COM INT PHY ONL FIN PUR LOC CNT"';

/** Headers that every answer of Azure DevOps carries. */
export function azureHeaders(): OutgoingHttpHeaders {
  const activity = randomUUID();
  return {
    P3P,
    'X-TFS-ProcessId': randomUUID(),
    'Strict-Transport-Security': 'max-age=31536000; includeSubDomains',
    ActivityId: activity,
    'X-TFS-Session': randomUUID(),
    'X-VSS-E2EID': activity,
    'X-VSS-SenderDeploymentId': randomUUID(),
    'X-Frame-Options': 'SAMEORIGIN',
    'X-Content-Type-Options': 'nosniff',
    Server: 'Microsoft-IIS/10.0',
  };
}

/** 401 in the shape of the host. `challenge` replaces the Bearer line. */
export function answerUnauthorized(
  exchange: Exchange,
  address: Address,
  tenant: string,
  challenge?: string,
  rules: OrganisationRules = {},
): void {
  switch (address.kind) {
    case 'azure':
    case 'visualstudio':
    case 'family':
      exchange.answer(401, { ...azureHeaders(), ...federation(address, tenant, challenge, rules) }, SIGN_IN_PAGE);
      return;
    case 'server':
      exchange.answer(
        401,
        { ...azureHeaders(), 'Content-Type': HTML, 'WWW-Authenticate': ['Negotiate', 'NTLM', `Basic realm="${address.host}"`] },
        page('401 - Unauthorized: Access is denied due to invalid credentials.', 20_000),
      );
      return;
    case 'generic':
      exchange.answer(401, { 'Content-Type': TEXT, 'WWW-Authenticate': `Basic realm="${address.host}"` }, 'Authentication required\n');
      return;
    case 'ntlm':
      exchange.answer(401, { 'Content-Type': TEXT, 'WWW-Authenticate': challenge ?? 'NTLM' }, 'Authentication required\n');
  }
}

/** A Bearer challenge that asks for a token with claims: those of the demand, else a fresh one. */
export function claimsChallenge(tenant: string, demand: ClaimsDemand = { nbf: String(Math.floor(Date.now() / 1000)) }): string {
  const wanted = Object.entries(demand).map(([name, value]) => [name, { essential: true, value }] as const);
  const claims = { access_token: Object.fromEntries(wanted) };
  const encoded = Buffer.from(JSON.stringify(claims)).toString('base64');
  return `Bearer authorization_uri="https://login.microsoftonline.com/${tenant}", error="insufficient_claims", claims="${encoded}"`;
}

/** An answer of Azure DevOps in plain text, the one type of which git shows the words. */
export function answerText(exchange: Exchange, status: number, text: string, headers: OutgoingHttpHeaders = {}): void {
  exchange.answer(status, { ...azureHeaders(), 'Content-Type': TEXT, ...headers }, text);
}

/** An answer that a browser was meant to see. */
export function answerHtml(exchange: Exchange, status: number, html: string, headers: OutgoingHttpHeaders = {}): void {
  exchange.answer(status, { ...azureHeaders(), 'Content-Type': HTML, ...headers }, html);
}

/** Said to whom the organisation does not know. */
export function notAuthorized(user: string): string {
  return `TF400813: The user '${user}' is not authorized to access this resource.`;
}

export function repositoryMissing(name: string): string {
  return `TF401019: The Git repository with name or identifier ${name} does not exist or you do not have permissions for the operation you are attempting.`;
}

/** Where an anonymous browser is sent. */
export function signInLocation(exchange: Exchange, address: Address): string {
  const origin = `https://${exchange.request.headers.host ?? address.host}`;
  const replyTo = encodeURIComponent(origin + (exchange.request.url ?? '/'));
  return `${origin}/_signin?realm=${address.host}&reply_to=${replyTo}&redirect=1&context=${randomUUID()}`;
}

const HTML = 'text/html; charset=utf-8';
const TEXT = 'text/plain; charset=utf-8';

/** X-VSS-ResourceTenant of an organisation. */
export function resourceTenant(tenant: string, { resourceTenant: own }: OrganisationRules): OutgoingHttpHeaders {
  return own?.length === 0 ? {} : { 'X-VSS-ResourceTenant': own === undefined ? tenant : [...own] };
}

function federation(address: Address, tenant: string, challenge: string | undefined, rules: OrganisationRules): OutgoingHttpHeaders {
  const organization = address.organization;
  const error = `TF400813: The user '${ANONYMOUS_ID}' is not authorized to access this resource.`;
  const issuer = `https://dev.azure.com/${organization}/`;
  const soap = `<?xml version="1.0" encoding="utf-8"?><soap:Envelope><soap:Body><soap:Fault>${error}</soap:Fault></soap:Body></soap:Envelope>`;
  return {
    'Content-Type': HTML,
    'WWW-Authenticate': [
      ...(challenge === undefined
        ? (rules.challenges ?? [`Bearer authorization_uri=https://login.microsoftonline.com/${tenant}`])
        : [challenge]),
      'Basic realm="https://tfsprodweu1.visualstudio.com/"',
      'TFS-Federated',
    ],
    ...resourceTenant(tenant, rules),
    'X-VSS-AuthorizationEndpoint': `https://vssps.dev.azure.com/${organization}/`,
    'X-TFS-FedAuthRealm': 'https://tfsprodweu1.visualstudio.com/',
    'X-TFS-FedAuthIssuer': issuer,
    'X-TFS-FedAuthRedirect': `https://spsprodweu1.vssps.visualstudio.com/_signin?realm=dev.azure.com&reply_to=${encodeURIComponent(issuer)}&redirect=1&context=${randomUUID()}`,
    'X-TFS-ServiceError': encodeURIComponent(error),
    'X-TFS-SoapException': encodeURIComponent(soap),
  };
}

/** A page of about the given size, over many lines as the real ones are. */
function page(title: string, sizeBytes: number): string {
  const line = '  <p class="filler">You do not have permission to view this directory or page using the credentials supplied.</p>\n';
  const filler = line.repeat(Math.max(0, Math.floor((sizeBytes - 200) / line.length)));
  return `<!DOCTYPE html>\n<html lang="en">\n<head>\n<title>${title}</title>\n</head>\n<body>\n<h1>${title}</h1>\n${filler}</body>\n</html>\n`;
}

export const SIGN_IN_PAGE = page('Azure DevOps Services | Sign In', 20_000);
export const NOT_FOUND_PAGE = page('The resource cannot be found.', 2_000);
