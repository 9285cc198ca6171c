/**
 * What is said when Azure DevOps refuses a personal access token. Its answers are the same for one that ended, was revoked, is of
 * another organisation or is none at all, so everything that is known from elsewhere goes in.
 */
import type { Failure } from '../hosts/failure.js';
import type { HostKind } from '../model/address.js';
import type { PatKnowledge } from '../model/pat.js';

const INSTEAD = 'an identity of kind browser, device-code or azure-cli for a person, workload-identity or managed-identity for a machine';

/** The failure with what concerns a token in it; `known` of an identity that holds one. */
export function explainRefusedPat(failure: Failure, hostKind: HostKind, known: PatKnowledge): Failure {
  if (hostKind === 'generic' || (hostKind === 'azure-server' && !known.isPat)) return failure;
  const text = failure.upstreamText ?? '';
  if (failure.code === 'upstream-unauthenticated') {
    if (known.oddity !== undefined) {
      return { ...failure, what: `${failure.what}: what was read for the identity ${known.oddity.what}`, todo: known.oddity.todo };
    }
    if (known.fate !== undefined)
      return { ...failure, what: `${failure.what}: the personal access token ${known.fate}`, todo: another(hostKind) };
    if (/access token[^.]{0,40}\bexpired\b/i.test(text)) {
      return { ...failure, what: `${failure.what}: the personal access token has ended`, todo: another(hostKind) };
    }
    return { ...failure, todo: hostKind === 'azure-server' ? ON_SERVER : ON_SERVICES, ...byPolicy(failure.what, text) };
  }
  if (failure.code !== 'upstream-forbidden') return failure;
  if (/\bTF401027\b/.test(text)) {
    return { ...failure, todo: `${failure.todo}; a personal access token needs the scope Code (Read & write) besides, vso.code_write` };
  }
  if (/\bVS403463\b/.test(text)) {
    return {
      ...failure,
      todo: `work from an allowed network; or use what can satisfy the policy, which a personal access token cannot: ${INSTEAD}`,
    };
  }
  return { ...failure, ...byPolicy(failure.what, text) };
}

/** When Azure DevOps itself names a policy, or tokens of all organisations. */
function byPolicy(what: string, text: string): { what?: string; todo?: string } {
  if (!/\bpolic(?:y|ies)\b|\bglobal\b[^.]{0,40}\b(?:PATs?|tokens?)\b/i.test(text)) return {};
  return { what: `${what}: a policy refuses personal access tokens`, todo: `use what the policy allows: ${INSTEAD}` };
}

function another(hostKind: HostKind): string {
  return hostKind === 'azure-server'
    ? 'make another one (User settings > Personal access tokens) and put it where `secret` of the identity points'
    : `make another one (\`postern pat create\`) and put it where \`secret\` of the identity points; or use ${INSTEAD}`;
}

const ON_SERVICES = `a personal access token that has ended, was revoked, is of another organisation, or is forbidden by a policy looks the same from here. Make another one for this organisation (\`postern pat create\`), or use what needs none: ${INSTEAD}`;
const ON_SERVER =
  'look whether the token has ended or was revoked (User settings > Personal access tokens); if it is good, IIS Basic Authentication is switched on for the site: IIS then takes the token for the password of a Windows user, and has to have it switched off';
