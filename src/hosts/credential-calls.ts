/**
 * Calls of the REST API that make a credential or give one back. Postern is there so that nobody behind it holds one: with such a call a
 * caller would leave with a secret that outlives its lease and works past every rule. They are refused to every caller, on every host,
 * by every method, whatever the route or the lease allows.
 *
 * Sources, by the letters of the rows:
 *   D  learn.microsoft.com/rest/api/azure/devops, and the descriptions that it is made of (github.com/MicrosoftDocs/vsts-rest-api-specs)
 *   X  the addresses that Microsoft's own clients use (github.com/microsoft/azure-devops-extension-api, azure-devops-node-api)
 *   G  Git Credential Manager and the Azure Artifacts credential provider, which ask for tokens there
 *   W  what the web pages of Azure DevOps use, as programs of third parties that make tokens with it show
 *   N  the API of npm's registry (docs.npmjs.com, `npm token`, `npm login`)
 */
import { type ApiCall, mayBeCall } from './api-call.js';

export interface CredentialCall {
  /** As in api-call.ts. */
  readonly calls: readonly string[];
  /** What a caller would get, in the words of a person. */
  readonly what: string;
  /** What can be done instead. */
  readonly todo?: string;
  /** Reading is harmless there. */
  readonly isWriteOnly?: true;
}

const ELSEWHERE = 'do it in a browser, signed in as yourself; through Postern nobody gets a credential';

export const CREDENTIAL_CALLS: readonly CredentialCall[] = [
  {
    // D: Tokens - Pats; Token Admin; Token Administration. G: sessiontokens. W: SSH keys are session tokens there, with `isPublic`.
    calls: ['_apis/token*/**'],
    what: 'personal access tokens, session tokens and SSH public keys',
    todo: 'a personal access token is made by `postern pat create` where the daemon runs; an SSH public key is added in a browser',
  },
  // D: Delegated Auth - Registration Secret.
  { calls: ['_apis/delegatedauth*/**', '_apis/oauth*/**'], what: 'secrets and tokens of applications' },
  // W: session tokens of the pages and of extensions.
  { calls: ['_apis/webplatformauth/**'], what: 'session tokens' },
  {
    // W: one of its data providers makes personal access tokens and takes SSH keys (issue-session-token-provider); which one is asked
    // stands in the body, in more than one way.
    calls: ['_apis/contribution/**'],
    what: 'whatever the web pages are made of, personal access tokens and SSH keys too',
    todo: 'use the documented call for what you need',
  },
  // D: Service Endpoint. X: the older addresses below distributedtask, and those of Team Foundation Server.
  {
    calls: [
      '_apis/serviceendpoint*/**',
      '_apis/distributedtask/serviceendpoint*/**',
      '_apis/distributedtask/endpoint/**',
      '_apis/connectedservice*/**',
      '_apis/projects/*/connectedservices/**',
      '_apis/githubconnections/**',
      '_apis/proxies/**',
    ],
    what: 'service connections, which hold credentials of other services and ask those for tokens',
  },
  // D: Variablegroups; Securefiles.
  { calls: ['_apis/distributedtask/variablegroups/**'], what: 'variable groups, which hold secret variables' },
  { calls: ['_apis/distributedtask/securefiles/**'], what: 'secure files' },
  // D: Agents (writes). X: sessions, messages (a job with its token); deployment targets and machines are agents too.
  {
    calls: [
      '_apis/distributedtask/pools/*/agents/**',
      '_apis/distributedtask/deploymentgroups/*/targets/**',
      '_apis/distributedtask/machinegroups/*/machines/**',
      '_apis/distributedtask/environments/*/providers/virtualmachine*/**',
      '_apis/pipelines/environments/*/providers/virtualmachine*/**',
    ],
    what: 'the registration of agents, which are given credentials of their own',
    isWriteOnly: true,
  },
  {
    calls: ['_apis/distributedtask/pools/*/sessions/**', '_apis/distributedtask/pools/*/messages/**'],
    what: 'the messages of an agent, in which jobs come with their tokens and secrets',
  },
  // D: Agentclouds.
  { calls: ['_apis/distributedtask/agentclouds/**'], what: 'agent clouds, which hold a shared secret' },
  // D: Oidctoken, Environmentaccesstoken. X: the others of that kind. The last ones are names under which tokens are given anywhere.
  {
    calls: [
      '_apis/distributedtask/deploymentgroupaccesstoken/**',
      '_apis/distributedtask/deploymentpoolaccesstoken/**',
      '_apis/distributedtask/machinegroupaccesstoken/**',
      '_apis/**/environmentaccesstoken/**',
      '_apis/**/oidctoken/**',
      '_apis/**/idtoken/**',
      '_apis/**/accesstoken/**',
      '_apis/**/accesstokens/**',
      '_apis/**/sessiontoken/**',
      '_apis/**/sessiontokens/**',
      '_apis/**/personalaccesstokens/**',
      '_apis/**/registrationsecret/**',
      '_apis/**/signedintoken/**',
    ],
    what: 'access tokens',
  },
  // D: Hooks - Subscriptions; test notifications and queries are sent with the secrets of a subscription.
  {
    calls: [
      '_apis/hooks/subscriptions/**',
      '_apis/hooks/subscriptionsquery/**',
      '_apis/hooks/testnotifications/**',
      '_apis/hooks/notificationsquery/**',
      '_apis/hooks/publishers/*/inputvaluesquery/**',
    ],
    what: 'service hooks, which hold credentials of other services',
  },
  { calls: ['_apis/sourceproviders/*/webhooks/**'], what: 'web hooks, which are given a secret', isWriteOnly: true },
  // D: Audit - Streams.
  { calls: ['_apis/audit/streams/**'], what: 'audit streams, which hold credentials of other services' },
  // X: Extension Management - Token, Authorizations; Gallery.
  {
    calls: [
      '_apis/extensionmanagement/token/**',
      '_apis/extensionmanagement/installedextensions/*/*/authorizations/**',
      '_apis/gallery/signingkey/**',
      '_apis/gallery/**/token/**',
    ],
    what: 'tokens and keys of extensions',
  },
  // D: Testlogstoreendpoint (an address of storage with a signature); Completegithubauth.
  {
    calls: ['_apis/test*/**/testlogstoreendpoint/**', '_apis/test*/**/completegithubauth/**'],
    what: 'signatures for storage and tokens of other services',
  },
  // N
  {
    calls: ['_packaging/**/-/user/**', '_packaging/**/-/v1/login/**', '_packaging/**/-/npm/v1/tokens/**', '_packaging/**/-/npm/v1/user/**'],
    what: 'sign-ins and tokens of the registry',
    todo: 'leave `npm login` and `npm token` out: the feed needs no credential here',
  },
];

/** What a call would give its caller, and what to do instead; undefined for a call that gives no credential. */
export function credentialOf(call: ApiCall, isWrite: boolean): { readonly what: string; readonly todo: string } | undefined {
  const row = CREDENTIAL_CALLS.find(
    ({ calls, isWriteOnly }) => (isWrite || isWriteOnly !== true) && calls.some((pattern) => mayBeCall(call, pattern)),
  );
  return row === undefined ? undefined : { what: row.what, todo: row.todo ?? ELSEWHERE };
}
