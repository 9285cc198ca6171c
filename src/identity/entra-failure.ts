/**
 * Why no token came, in words for the person who must act: from the AADSTS code if there is one, else from the status, the
 * network fault, or what the library says of its kind of credential. Knows the library by its messages alone.
 */
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import type { EntraIdentity } from '../model/settings.js';
import { findEntraText } from './entra-texts.js';
import { connectionFailure } from './pipeline-connection.js';
import { TokenFailure } from './token-source.js';
import { toolFailure, ToolTrouble } from './tool-failure.js';

const DEFAULT_AUTHORITY = 'https://login.microsoftonline.com';

/** What the watching policy saw of the library's last exchange: errors do not carry it. */
export interface SeenExchange {
  status: number | undefined;
  body: string;
  fault: unknown;
  /** Proofs that were sent: a service that says back what it was sent must not be quoted with them. */
  readonly proofs: Set<string>;
}

/**
 * Names a failure. `thrown` is what the library threw; `seen` what went over the wire. Text that came from outside is
 * quoted without proofs, tokens and control characters.
 */
export function explainEntraFailure(identity: EntraIdentity, thrown: unknown, seen: SeenExchange): TokenFailure | ProxyError {
  // Its own words already: a secret or a certificate file that cannot be read.
  if (thrown instanceof TokenFailure || thrown instanceof ProxyError) return thrown;
  const message = withoutProofs(messageOf(thrown), seen.proofs);
  const connection = identity.kind === 'azure-pipelines' ? connectionFailure(message) : undefined;
  if (connection !== undefined) return connection;
  const text = `${withoutProofs(seen.body, seen.proofs)}\n${message}`;
  const entra = findEntraText(text);
  if (entra !== undefined) {
    const code = `AADSTS${entra.number}`;
    if (entra.known !== undefined) {
      return new TokenFailure(`${entra.known.what} (${code})`, { isDefinite: entra.known.isTransient !== true, todo: entra.known.todo });
    }
    return new TokenFailure(`The sign-in service refused (${code}: ${firstSentence(text, code)})`, {
      isDefinite: (seen.status ?? 400) < 500,
      todo: `look up ${code} at https://login.microsoftonline.com/error?code=${entra.number}`,
    });
  }
  if (seen.status !== undefined && seen.status >= 400) {
    const isDefinite = seen.status < 500 && seen.status !== 429 && seen.status !== 408;
    return new TokenFailure(`The sign-in service answered with status ${seen.status}`, {
      isDefinite,
      todo: isDefinite
        ? 'check `authority` of the identity, and what stands between here and it (HTTPS_PROXY): the sign-in service itself would give an AADSTS code'
        : 'wait and try again; a token that is still held stays in use until it ends',
    });
  }
  if (seen.fault !== undefined) return networkFailure(identity, seen.fault);
  if (seen.status !== undefined) {
    // The library's message is then about a property of something that it took for JSON.
    return new TokenFailure(
      `What answers at ${identity.authority ?? DEFAULT_AUTHORITY} is not a sign-in service (status ${seen.status}, and no token)`,
      {
        isDefinite: false,
        todo: 'check `authority` of the identity, and what stands between here and it (HTTPS_PROXY, a portal that wants a sign-in)',
        cause: thrown,
      },
    );
  }
  return byKind(identity, message, thrown);
}

function networkFailure(identity: EntraIdentity, fault: unknown): TokenFailure {
  const where = identity.kind === 'managed-identity' ? 'the managed identity endpoint' : (identity.authority ?? DEFAULT_AUTHORITY);
  const reason = [systemCodeOf(fault), messageOf(fault)].filter((part) => part !== undefined && part !== '').join(': ');
  const isTls = /certificate|self.signed|altname|TLS|SSL/i.test(reason);
  return new TokenFailure(`The sign-in service at ${where} could not be reached (${reason})`, {
    isDefinite: false,
    todo: isTls
      ? 'check `authority` and `ca` of the identity: the certificate of the sign-in service is not trusted here'
      : 'check the network, `authority` of the identity, and HTTPS_PROXY if there is a proxy',
    cause: fault,
  });
}

function byKind(identity: EntraIdentity, message: string, cause: unknown): TokenFailure {
  switch (identity.kind) {
    case 'azure-cli':
    case 'azure-developer-cli':
    case 'azure-powershell':
      return toolFailure(identity, cause instanceof ToolTrouble ? cause : new ToolTrouble('failed', message));
    case 'managed-identity':
      return new TokenFailure(`No managed identity answered on this machine (${firstLine(message)})`, {
        isDefinite: false,
        todo: 'check that the machine has a managed identity, and clientId or resourceId if it is user-assigned',
        cause,
      });
    case 'workload-identity':
      return new TokenFailure(`The federated token could not be used (${firstLine(message)})`, {
        isDefinite: false,
        todo: 'check tenant, clientId and tokenFile, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE of the daemon',
        cause,
      });
    case 'client-certificate':
      return new TokenFailure(`The certificate could not be used (${firstLine(message)})`, {
        isDefinite: false,
        todo: 'check that `certificate` names a PEM file with the private key and the certificate, readable by the daemon',
        cause,
      });
    case 'client-secret':
      return new TokenFailure(`No token could be had (${firstLine(message)})`, {
        isDefinite: false,
        todo: 'check tenant, client id and secret of the identity',
        cause,
      });
    case 'azure-pipelines':
    case 'browser':
    case 'device-code':
      return new TokenFailure(`No token could be had (${firstLine(message)})`, {
        isDefinite: false,
        todo: 'check the settings of the identity',
        cause,
      });
  }
}

/** The text without what proved who asked, without anything that has the form of a token, and without what a terminal would act on: git prints it. */
function withoutProofs(text: string, proofs: ReadonlySet<string>): string {
  let clean = text;
  for (const proof of proofs) {
    if (proof === '') continue;
    for (const form of [proof, encodeURIComponent(proof), JSON.stringify(proof).slice(1, -1)]) clean = clean.replaceAll(form, '[secret]');
  }
  return clean.replace(/\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}/g, '[token]').replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, ' ');
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').trim().slice(0, 300);
}

/** The sentence after `AADSTSnnn:`, without the ids that follow it. */
function firstSentence(text: string, code: string): string {
  const after = text.slice(text.indexOf(code) + code.length).replace(/^:\s*/, '');
  return (/^[^."\n\\]*/.exec(after)?.[0] ?? '').trim().slice(0, 300);
}
