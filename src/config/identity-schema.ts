/**
 * What an identity may hold, kind by kind. Each kind takes only the keys that have an effect on it: a setting that would be
 * ignored is a fault.
 */
import { asMap, ownValue } from './fault.js';
import { unknownKindText } from './not-yet.js';
import { parseAuthority } from './outside-url.js';
import { byKind, checked, kind, section, text, wrongType } from './schema-parts.js';
import { secretFault } from './secret-reference.js';

/** Azure DevOps in the Entra directory, the same in every tenant. */
export const AZURE_DEVOPS_RESOURCE = '499b84ac-1321-427f-aa17-267ca6975798';

export const PATH_RULES = '`~/` is the home directory, and a relative path begins at the folder of this file.';

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
});
const resource = text({
  is: 'an application id or URI',
  about: `What tokens are for: an application id or URI, without \`/.default\`. Default: Azure DevOps, ${AZURE_DEVOPS_RESOURCE}.`,
  parse: parseResource,
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
  ca: pathKey(`PEM file of certificates trusted for the authority besides the system's.`).optional(),
};

const IS = 'a map such as `{ kind: azure-cli }`';

const kinds = [
  section(IS, { kind: kind('azure-cli', 'Whoever is signed in to the Azure CLI.'), tenant: tenant.optional(), resource }),
  section(IS, { kind: kind('client-secret', 'A service principal and its secret.'), tenant, clientId, secret, ...entra }),
  section(IS, {
    kind: kind('client-certificate', 'A service principal and its certificate.'),
    tenant,
    clientId,
    certificate: pathKey('PEM file with the certificate and its private key.'),
    ...entra,
  }),
  section(IS, {
    kind: kind('workload-identity', 'A federated token, as Kubernetes gives to a pod.'),
    tenant: tenant.optional().meta({ description: 'Entra tenant. Default: AZURE_TENANT_ID at the time of use.' }),
    clientId: clientId.optional().meta({ description: 'Client (application) id. Default: AZURE_CLIENT_ID at the time of use.' }),
    tokenFile: pathKey('File with the federated token. Default: AZURE_FEDERATED_TOKEN_FILE at the time of use.').optional(),
    ...entra,
  }),
  section(IS, {
    kind: kind('managed-identity', 'The identity of the Azure machine: its own, or the one named by `clientId` or `resourceId`.'),
    clientId: clientId.optional().meta({ description: 'Client id of a user-assigned identity.' }),
    resourceId: text({ is: 'a resource id', about: 'Resource id of a user-assigned identity, instead of `clientId`.' }).optional(),
    resource,
  }),
  section(IS, { kind: kind('pat', 'A personal access token.'), secret }),
  section(IS, {
    kind: kind('basic', 'A user name and a password, such as generated git credentials.'),
    user: text({
      is: 'a user name',
      about: 'User name, without colon (RFC 7617).',
      parse: pattern(/^[^:\p{Cc}]+$/u, 'is not a user name; write it without colon and control characters'),
    }),
    secret,
  }),
  section(IS, { kind: kind('none', 'No credential: anonymous.') }),
  section(IS, { kind: kind('passthrough', "The caller's own credential goes up untouched.") }),
] as const;

const kindNames = kinds.map((each) => each.shape.kind.value);

export const identitySchema = byKind(kinds, (input) => {
  const map = asMap(input);
  return map === undefined ? wrongType(input, IS) : unknownKindText(ownValue(map, 'kind'), kindNames);
});

/** A key that takes the path of a file. */
export function pathKey(about: string) {
  return text({ is: 'a path', about: `${about} ${PATH_RULES}`, parse: pattern(/^[^\0]*$/, 'is not a path; write it without zero bytes') });
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

function parseResource(value: string): string {
  if (value.endsWith('/.default')) throw new SyntaxError('ends in `/.default`, which is added by itself; leave it out');
  if (/\s/.test(value)) throw new SyntaxError('holds a blank; write an application id or URI');
  return value;
}
