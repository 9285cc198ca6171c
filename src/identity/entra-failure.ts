/**
 * Why no token came, in words for the person who must act: from the AADSTS code if there is one, else from the status, the
 * network fault, or what the library says of its kind of credential. Knows the library by its messages alone.
 */
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import { withoutUnprintable } from '../model/printable.js';
import type { EntraIdentity } from '../model/settings.js';
import type { SeenAnswer, SeenExchange } from './authority-talk.js';
import { remedyOf } from './entra-remedy.js';
import { type EntraError, findEntraText } from './entra-texts.js';
import { connectionFailure } from './pipeline-connection.js';
import { TokenFailure } from './token-source.js';
import { toolFailure, ToolTrouble } from './tool-failure.js';

/** Clocks that differ by more than this have assertions and tokens refused: the tolerance that Entra documents. */
const MOST_SKEW_MS = 5 * 60 * 1000;
/** After AADSTS50196 (too many like requests) nothing is asked for this long. */
const LOOP_PAUSE_MS = 60_000;
const LOOP_CODE = 50196;
/** Statuses with which another server answers a path that it does not know, or does not show to strangers. */
const NO_SUCH_PATH = [400, 401, 404, 405, 410];

/**
 * Names a failure. `thrown` is what the library threw; `seen` what went over the wire; `authority` where to, an origin or a name. Text that
 * came from outside is quoted without proofs, tokens and control characters.
 */
export function explainEntraFailure(
  identity: EntraIdentity,
  thrown: unknown,
  seen: SeenExchange,
  authority: string,
): TokenFailure | ProxyError {
  if (seen.fault !== undefined) return unsent(seen.fault, authority, seen.proofs);
  // Its own words already: a secret or a certificate file that cannot be read.
  if (thrown instanceof TokenFailure || thrown instanceof ProxyError) return thrown;
  const message = withoutProofs(messageOf(thrown), seen.proofs);
  const connection = identity.kind === 'azure-pipelines' ? connectionFailure(message) : undefined;
  if (connection !== undefined) return connection;
  const entra = findEntraText(seen.answer?.body ?? '', (said) => withoutProofs(said, seen.proofs)) ?? findEntraText(message);
  if (entra !== undefined) return refused(identity, entra, seen);
  if (seen.answer !== undefined) return oddAnswer(seen.answer, authority, thrown);
  return byKind(identity, message, thrown);
}

/** No answer came. The way there says why, in the words of every other connection. */
function unsent(fault: unknown, authority: string, proofs: ReadonlySet<string>): TokenFailure {
  if (fault instanceof TokenFailure) return fault;
  if (fault instanceof ProxyError)
    return new TokenFailure(fault.message, {
      isDefinite: fault.code === 'config-invalid',
      todo: fault.todo ?? 'check the network and `authority` of the identity',
      cause: fault,
    });
  const reason = [systemCodeOf(fault), messageOf(fault)].filter((part) => part !== undefined && part !== '').join(': ');
  return new TokenFailure(`${authority} could not be reached (${withoutProofs(reason, proofs)})`, {
    isDefinite: false,
    todo: 'check the network, and that the service runs',
    cause: fault,
  });
}

/** The sign-in service gave its reasons. */
function refused(identity: EntraIdentity, entra: EntraError, { answer, aheadMs }: SeenExchange): TokenFailure {
  const { number, word, known, hint, sentence } = entra;
  const code = number === undefined ? (word ?? '') : `AADSTS${number}`;
  const isOff = aheadMs !== undefined && Math.abs(aheadMs) > MOST_SKEW_MS;
  const retryAfterMs = answer?.retryAfterMs ?? (number === LOOP_CODE ? LOOP_PAUSE_MS : undefined);
  if (known?.isClock === true && isOff) {
    return new TokenFailure(`The clock of this machine is ${clockText(aheadMs)} the sign-in service's (${code})`, {
      isDefinite: true,
      todo: 'set the clock of this machine, and have it kept right (`timedatectl set-ntp true`)',
    });
  }
  const clock = isOff ? `; the clock of this machine is also ${clockText(aheadMs)} the sign-in service's: set it` : '';
  if (known !== undefined) {
    const { what, todo } = remedyOf(known, identity);
    return new TokenFailure(`${what} (${code})`, { isDefinite: known.isTransient !== true, todo: `${todo}${clock}`, retryAfterMs });
  }
  const lookUp = `look up ${code} at https://login.microsoftonline.com/error?code=${number ?? ''}`;
  return new TokenFailure(`The sign-in service refused (${sentence === '' ? code : `${code}: ${sentence}`})`, {
    isDefinite: (answer?.status ?? 400) < 500,
    todo: `${hint === undefined ? lookUp : `${remedyOf(hint, identity).todo}, or ${lookUp}`}${clock}`,
    retryAfterMs,
  });
}

/** How far ahead or behind, as a text that `the sign-in service's` follows. */
function clockText(aheadMs: number): string {
  const minutes = Math.round(Math.abs(aheadMs) / 60_000);
  const span =
    minutes < 120 ? `${minutes} minutes` : minutes < 2880 ? `${Math.round(minutes / 60)} hours` : `${Math.round(minutes / 1440)} days`;
  return `${span} ${aheadMs > 0 ? 'ahead of' : 'behind'}`;
}

/** An answer without a reason in it: trouble of the service, or something else than the service. */
function oddAnswer({ url, status, isJson, retryAfterMs }: SeenAnswer, authority: string, cause: unknown): TokenFailure {
  const between = 'check `authority` of the identity, and what stands between here and it (HTTPS_PROXY, a portal that wants a sign-in)';
  const isDiscovery = url.includes('/.well-known/');
  const wait = 'wait and try again; a token that is still held stays in use until it ends';
  if (status === 429) {
    const pause = retryAfterMs === undefined ? wait : `wait ${Math.ceil(retryAfterMs / 1000)} s and try again`;
    return new TokenFailure(`The sign-in service answered with status 429: it wants fewer requests`, {
      isDefinite: false,
      todo: `${pause}; see the log for what asks so often`,
      retryAfterMs,
    });
  }
  if (status >= 500 || status === 408)
    return new TokenFailure(`The sign-in service answered with status ${status}`, { isDefinite: false, todo: wait, retryAfterMs });
  if (isDiscovery && NO_SUCH_PATH.includes(status)) {
    return new TokenFailure(`${authority} has no discovery document at ${new URL(url).pathname} (status ${status})`, {
      isDefinite: true,
      todo: 'check `authority` of the identity: it is the sign-in service of a Microsoft Entra cloud, without the tenant; and check `tenant`',
    });
  }
  if (status >= 400) {
    return new TokenFailure(`The sign-in service answered with status ${status}${isJson ? '' : ' and a page'}`, {
      isDefinite: true,
      todo: `${between}: the sign-in service itself would give an AADSTS code`,
    });
  }
  if (!isJson) {
    return new TokenFailure(
      `What answers at ${authority} is not a sign-in service (status ${status}, and a page instead of a ${isDiscovery ? 'discovery document' : 'token'})`,
      {
        isDefinite: false,
        todo: between,
        cause,
      },
    );
  }
  return new TokenFailure(`What ${authority} answers is no ${isDiscovery ? 'discovery document' : 'token'}`, {
    isDefinite: false,
    todo: between,
    cause,
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
    case 'workload-identity': {
      const why = tokenFileFault(message);
      if (why !== undefined) {
        return new TokenFailure(`The federated token cannot be used: ${why}`, {
          isDefinite: true,
          todo: 'check `tokenFile` of the identity, or AZURE_FEDERATED_TOKEN_FILE of the daemon, and that its user may read it',
          cause,
        });
      }
      return new TokenFailure(`The federated token could not be used (${firstLine(message)})`, {
        isDefinite: false,
        todo: 'check tenant, clientId and tokenFile, or AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE of the daemon',
        cause,
      });
    }
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

/** What the library says of a token file, in our words. */
function tokenFileFault(message: string): string | undefined {
  const [, code, file] = /^(E[A-Z]+): .* open '(.*)'$/.exec(message) ?? [];
  if (code !== undefined) return `file ${file ?? ''} cannot be read (${code})`;
  const empty = /No content on the file (.*)\.$/.exec(message)?.[1];
  return empty === undefined ? undefined : `file ${empty} is empty`;
}

/** The text without what proved who asked, without anything that has the form of a token, and without what a terminal would act on: git prints it. */
function withoutProofs(text: string, proofs: ReadonlySet<string>): string {
  let clean = text;
  for (const proof of proofs) {
    if (proof === '') continue;
    for (const form of [proof, encodeURIComponent(proof), JSON.stringify(proof).slice(1, -1)]) clean = clean.replaceAll(form, '[secret]');
  }
  const lines = clean.replace(/\beyJ[\w-]{8,}(?:\.[\w-]*){0,2}/g, '[token]').split('\n');
  return lines.map(withoutUnprintable).join('\n');
}

function firstLine(text: string): string {
  return (text.split('\n')[0] ?? '').trim().slice(0, 300);
}
