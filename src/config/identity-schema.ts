/**
 * What an identity may hold, kind by kind. Each kind takes only the keys that have an effect on it: a setting that would be
 * ignored is a fault.
 */
import { AZURE_DEVOPS_RESOURCE } from '../model/resource.js';
import { asMap, ownValue } from './fault.js';
import { unknownKindText } from './not-yet.js';
import { parseAuthority, parseProxy } from './outside-url.js';
import { byKind, checked, kind, section, text, wrongType } from './schema-parts.js';
import { secretFault } from './secret-reference.js';

export const PATH_RULES = '`~/` is the home directory, and a relative path begins at the folder of this file.';

/** Of nobody. */
const SAMPLE_ID = '11111111-2222-3333-4444-555555555555';

const tenant = text({
  is: 'the id or domain of a tenant',
  about: 'Entra tenant: id or domain.',
  parse: pattern(/^[A-Za-z0-9][A-Za-z0-9.-]*$/, 'is not a tenant; write its id or its domain, such as `contoso.onmicrosoft.com`'),
  examples: ['contoso.onmicrosoft.com'],
});
const clientId = text({
  is: 'a client id',
  about: 'Client (application) id.',
  parse: pattern(/^[\w.-]+$/, 'is not a client id; write the application (client) id that Entra shows'),
  examples: [SAMPLE_ID],
});
const resource = text({
  is: 'an application id or URI',
  about: `What tokens are for: an application id or URI, without \`/.default\`. Default: Azure DevOps, ${AZURE_DEVOPS_RESOURCE}.`,
  parse: parseResource,
  examples: [AZURE_DEVOPS_RESOURCE],
}).optional();
const secret = secretKey('Where the secret is; it never stands in this file itself.');
const entra = {
  authority: text({
    is: 'an https origin',
    about: 'Sign-in service, an https origin. Default: the public cloud, https://login.microsoftonline.com.',
    parse: parseAuthority,
    examples: ['https://login.microsoftonline.us'],
  }).optional(),
  resource,
  ca: pathKey(`PEM file of certificates trusted for the authority besides the system's.`, '/etc/ssl/corp.pem').optional(),
  proxy: text({
    is: 'an http or https URL, or `none`',
    about: 'Outgoing proxy to the authority, an http or https URL, or `none`. Default: HTTPS_PROXY and NO_PROXY of the service.',
    parse: parseProxy,
    examples: ['http://proxy.example.com:3128'],
  }).optional(),
};
/** Left out, it is looked up for each organisation. */
const anyTenant = tenant.optional().meta({
  description: 'Entra tenant: id or domain. Default: the one that the organisation belongs to, which is looked up.',
});
const user = text({
  is: 'an account',
  about: 'Account that signs in, such as dana@contoso.com; another one is refused.',
  parse: pattern(/^[^:\s\p{Cc}]+$/u, 'is not an account; write it as Entra shows it, such as `dana@contoso.com`'),
  examples: ['dana@contoso.com'],
}).optional();
const signIn = {
  tenant: anyTenant,
  clientId: clientId.optional().meta({ description: 'Client (application) id to sign in with. Default: that of Visual Studio.' }),
  user,
  ...entra,
};
const tool = { tenant: anyTenant, resource };

const IS = 'a map such as `{ kind: azure-cli }`';

const KINDS = [
  section(IS, { kind: kind('azure-cli', 'Whoever is signed in to the Azure CLI.'), ...tool }),
  section(IS, { kind: kind('azure-developer-cli', 'Whoever is signed in to the Azure Developer CLI (azd).'), ...tool }),
  section(IS, { kind: kind('azure-powershell', 'Whoever is signed in to Azure PowerShell (Connect-AzAccount).'), ...tool }),
  section(IS, { kind: kind('browser', 'A person who signs in with `postern login`, in a browser on this machine.'), ...signIn }),
  section(IS, { kind: kind('device-code', 'A person who signs in with `postern login`, with a code, in a browser anywhere.'), ...signIn }),
  section(IS, { kind: kind('client-secret', 'A service principal and its secret.'), tenant: anyTenant, clientId, secret, ...entra }),
  section(IS, {
    kind: kind('client-certificate', 'A service principal and its certificate.'),
    tenant: anyTenant,
    clientId,
    certificate: pathKey('PEM file with the certificate and its private key.', '/etc/postern/release.pem'),
    ...entra,
  }),
  section(IS, {
    kind: kind('workload-identity', 'A federated token, as Kubernetes gives to a pod.'),
    tenant: tenant.optional().meta({ description: 'Entra tenant. Default: AZURE_TENANT_ID at the time of use.' }),
    clientId: clientId.optional().meta({ description: 'Client (application) id. Default: AZURE_CLIENT_ID at the time of use.' }),
    tokenFile: pathKey(
      'File with the federated token. Default: AZURE_FEDERATED_TOKEN_FILE at the time of use.',
      '/var/run/secrets/azure/tokens/azure-identity-token',
    ).optional(),
    ...entra,
  }),
  section(IS, {
    kind: kind(
      'managed-identity',
      'The identity of the Azure machine: its own, or the one named by `clientId`, `resourceId` or `objectId`.',
    ),
    clientId: clientId.optional().meta({ description: 'Client id of a user-assigned identity.' }),
    resourceId: text({
      is: 'a resource id',
      about: 'Resource id of a user-assigned identity, instead of `clientId`.',
      examples: [`/subscriptions/${SAMPLE_ID}/resourceGroups/build/providers/Microsoft.ManagedIdentity/userAssignedIdentities/postern`],
    }).optional(),
    objectId: guid('Object (principal) id of a user-assigned identity, instead of `clientId`.').optional(),
    resource,
  }),
  section(IS, {
    kind: kind('azure-pipelines', 'A job of Azure Pipelines: its service connection, or with none its own token.'),
    tenant: tenant.optional().meta({ description: 'Entra tenant. Default: AZURESUBSCRIPTION_TENANT_ID at the time of use.' }),
    clientId: clientId
      .optional()
      .meta({ description: 'Client (application) id. Default: AZURESUBSCRIPTION_CLIENT_ID at the time of use.' }),
    serviceConnection: guid('Id of the service connection. Default: none; the token of the job itself is sent.').optional(),
    secret: secretKey("Where the job's own token is. Default: the environment variable SYSTEM_ACCESSTOKEN.").optional(),
    ...entra,
  }),
  section(IS, {
    kind: kind('pat', 'A personal access token.'),
    secret,
    lifecycle: section('a map with `identity`, `organization` and `id`', {
      identity: text({
        is: 'the name of an identity',
        about: 'Entra identity of the owner, who alone may ask when the token ends.',
        examples: ['me'],
      }),
      organization: text({ is: 'an organisation', about: 'Azure DevOps organisation of the token.', examples: ['contoso'] }),
      id: guid('authorizationId of the token, as `postern pat create` and `postern pat list` show it.'),
    })
      .optional()
      .meta({ description: 'Where to ask when the token ends.' }),
  }),
  section(IS, {
    kind: kind('basic', 'A user name and a password, such as generated git credentials.'),
    user: text({
      is: 'a user name',
      about: 'User name, without colon (RFC 7617).',
      parse: pattern(/^[^:\p{Cc}]+$/u, 'is not a user name; write it without colon and control characters'),
      examples: ['build'],
    }),
    secret,
  }),
  section(IS, {
    kind: kind('git-credential', 'What the credential helpers of git hold for the host.'),
    user: user.meta({ description: 'User name, when helpers hold several for a host.' }),
  }),
  section(IS, { kind: kind('none', 'No credential: anonymous.') }),
  section(IS, { kind: kind('passthrough', "The caller's own credential goes up untouched.") }),
] as const;

const kindNames = KINDS.map((each) => each.shape.kind.value);

export const identitySchema = byKind(KINDS, (input) => {
  const map = asMap(input);
  return map === undefined ? wrongType(input, IS) : unknownKindText(ownValue(map, 'kind'), kindNames);
});

/** The keys that an identity of this kind takes; none for what is no kind. */
export function keysOf(kind: string): readonly string[] {
  return Object.keys(KINDS.find(({ shape }) => shape.kind.value === kind)?.shape ?? {});
}

/** A key that takes the path of a file; with one for editors to show. */
export function pathKey(about: string, example: string) {
  return text({
    is: 'a path',
    about: `${about} ${PATH_RULES}`,
    parse: pattern(/^[^\0]*$/, 'is not a path; write it without zero bytes'),
    examples: [example],
  });
}

/** A key that takes a reference to a secret. */
export function secretKey(description: string) {
  return checked(
    (raw) => {
      const fault = secretFault(raw);
      return fault === undefined ? [] : [{ path: [], on: 'value', text: fault }];
    },
    {
      description,
      examples: [{ file: '~/.config/postern/secret' }],
      anyOf: [
        oneKey('file', { type: 'string', description: `File that holds it. ${PATH_RULES}` }),
        oneKey('env', { type: 'string', description: 'Environment variable of the service that holds it.' }),
        oneKey('command', {
          type: 'array',
          items: { type: 'string' },
          minItems: 1,
          description: 'Program and arguments that print it; no shell.',
        }),
        oneKey('credential', { type: 'string', description: 'systemd credential of this name (LoadCredential=).' }),
      ],
    },
  );
}

/** JSON schema of a map with one key. */
export function oneKey(key: string, value: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return { type: 'object', properties: { [key]: value }, required: [key], additionalProperties: false };
}

/** A parser that accepts what matches; its fault does not repeat the text, which may be a secret under the wrong key. */
function pattern(right: RegExp, fault: string): (text: string) => string {
  return (value) => {
    if (!right.test(value)) throw new SyntaxError(fault);
    return value;
  };
}

/** A key that takes a GUID. */
function guid(about: string) {
  return text({
    is: 'a GUID',
    about,
    parse: pattern(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i, 'is not a GUID; write it as `00000000-0000-0000-0000-000000000000`'),
    examples: [SAMPLE_ID],
  });
}

function parseResource(value: string): string {
  if (value.endsWith('/.default')) throw new SyntaxError('ends in `/.default`, which is added by itself; leave it out');
  if (/\s/.test(value)) throw new SyntaxError('holds a blank; write an application id or URI');
  return value;
}
