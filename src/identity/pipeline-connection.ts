/**
 * What a service connection of Azure Pipelines needs of its job, and why Azure Pipelines gave nothing for it: the token that
 * proves the job to Entra is asked of Azure Pipelines with the job's own token, and is good for minutes.
 *
 * Source: Azure DevOps REST API, Distributed Task, "Oidctoken - Create".
 */
import { quotedLine } from './outside-words.js';
import { TokenFailure } from './token-source.js';

/** Where the token that proves the job is asked for; the agent sets it. */
const REQUEST_VARIABLE = 'SYSTEM_OIDCREQUESTURI';

/** The tenant and client of a connection; a task that runs with one (such as AzureCLI@2) names them in the environment. */
export function connectionOf(
  identity: { readonly tenant: string | undefined; readonly clientId: string | undefined },
  environment: Readonly<Record<string, string | undefined>>,
): { readonly tenant: string; readonly clientId: string } {
  const place = environment[REQUEST_VARIABLE] ?? '';
  if (place === '') {
    throw failure(
      `This is no job of Azure Pipelines (${REQUEST_VARIABLE} is not set)`,
      'run the daemon in a step of a job, with the environment that the agent gives to it',
    );
  }
  // The job's own token goes there.
  if (!place.startsWith('https://')) throw failure(`${REQUEST_VARIABLE} is no https address`, 'leave it as the agent sets it');
  const { tenant = environment['AZURESUBSCRIPTION_TENANT_ID'], clientId = environment['AZURESUBSCRIPTION_CLIENT_ID'] } = identity;
  if (tenant === undefined || tenant === '')
    throw failure('The service connection has no tenant', 'set `tenant` of the identity, or AZURESUBSCRIPTION_TENANT_ID of the daemon');
  if (clientId === undefined || clientId === '')
    throw failure(
      'The service connection has no client id',
      'set `clientId` of the identity, or AZURESUBSCRIPTION_CLIENT_ID of the daemon',
    );
  return { tenant, clientId };
}

/**
 * Names a failure of Azure Pipelines; undefined for one of the sign-in service. `message` is the library's:
 * `AzurePipelinesCredential: ... Status code: nnn ... Response = BODY. Response headers ...`.
 */
export function connectionFailure(message: string): TokenFailure | undefined {
  if (!message.includes('AzurePipelinesCredential: Authentication Failed')) return undefined;
  const status = Number(/Status code: ([0-9]{3})/.exec(message)?.[1] ?? 0);
  // Without the header that says that nobody is there to sign in, the service answers 302, and then 203.
  if (status === 401 || status === 203 || (status >= 300 && status < 400)) {
    return failure(
      `Azure Pipelines did not accept the job's own token (${status})`,
      'map `SYSTEM_ACCESSTOKEN: $(System.AccessToken)` in `env:` of the step that runs the daemon; the token lives as long as the job, about 60 minutes',
    );
  }
  if (status === 404 || status === 403 || status === 400) {
    return failure(
      `Azure Pipelines has no token for this service connection (${[status, wordsOf(message)].filter((part) => part !== '').join(': ')})`,
      'check `serviceConnection` (the id in the address of its page), that it uses workload identity federation, and that the pipeline may use it',
    );
  }
  return failure(
    `Azure Pipelines gave no token for the service connection (${[status, wordsOf(message)].filter((part) => part !== '' && part !== 0).join(': ')})`,
    'wait and try again; see the status page of Azure DevOps',
    false,
  );
}

/** The service's own message in an answer that the library quotes. */
function wordsOf(message: string): string {
  const [, text = ''] = /"message":\s*("(?:[^"\\]|\\.)*")/.exec(message) ?? [];
  try {
    return quotedLine(String(JSON.parse(text)));
  } catch {
    // A page, or nothing.
    return '';
  }
}

function failure(what: string, todo: string, isDefinite = true): TokenFailure {
  return new TokenFailure(what, { isDefinite, todo });
}
