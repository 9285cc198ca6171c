/** What can be wrong beyond the door, as it is planted, as doctor has to name it, and as its remedy mends it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Emulator } from '../azure/emulator.js';

/** What the cases are made of. */
export interface World {
  readonly emulator: Emulator;
  /** For files of cases. */
  readonly directory: string;
  readonly closedPort: number;
  /** Of the gateway that opens TLS, and of its authority. */
  readonly gateway: { readonly port: number; readonly caFile: string };
  /** Takes connections and says nothing; and the same with TLS of the gateway's authority. */
  readonly mutePort: number;
  readonly muteTlsPort: number;
}

/** How a case stands in the configuration. Undefined: not at all. */
export interface Written {
  readonly identity: string;
  /** Keys of the route besides `match` and `identity`. */
  readonly route: string;
}

/** A case with an organisation, an identity and a route of its own. */
export interface OwnCase {
  readonly name: string;
  readonly bad: Partial<Written> | 'no route';
  /** What the remedy says to write; undefined when it is no matter of the configuration. */
  readonly good?: Partial<Written>;
  /** Brings it about, and does what the remedy says. */
  readonly arrange?: () => unknown;
  readonly mend?: () => unknown;
  /** Id of the first row that fails. */
  readonly first: string;
  readonly exit: number;
  readonly text: string | RegExp;
  readonly todo: string | RegExp;
}

const NOWHERE = '99999999-0000-4000-8000-000000000000';
/** A tenant that exists, and that no organisation belongs to. */
export const OTHER_TENANT = '7e57ab1e-0002-4e57-9e57-c0ffee000002';

export async function ownCases(world: World): Promise<readonly OwnCase[]> {
  const { emulator, directory, closedPort, gateway, mutePort, muteTlsPort } = world;
  const { sts, git, proxy, imds, caFile } = emulator;
  const { tenant, secretClient } = sts.samples;
  const file = (name: string): string => join(directory, name);
  const write = (name: string, text: string): Promise<void> => writeFile(file(name), text, { mode: 0o600 });
  const principal = (changes: Readonly<Record<string, string | undefined>>): string => {
    const keys: Readonly<Record<string, string | undefined>> = {
      kind: 'client-secret',
      tenant,
      clientId: secretClient.clientId,
      secret: '{ env: SP_SECRET }',
      authority: `'${sts.origin}'`,
      ca: caFile,
      ...changes,
    };
    return `{ ${Object.entries(keys)
      .flatMap(([key, value]) => (value === undefined ? [] : [`${key}: ${value}`]))
      .join(', ')} }`;
  };
  const to = (upstream: string, more = `, ca: ${caFile}`): Partial<Written> => ({ route: `upstream: '${upstream}'${more}` });
  const ended = git.patApi.add({ validTo: new Date(Date.now() - 86_400_000), organizations: ['pat-ended'] });
  const fresh = git.patApi.add({ organizations: ['pat-ended'], scope: 'vso.code_write' });
  await write('wrong-secret', 'nonsense');
  await write('pat', ended.token);
  await write('empty-secret', '');
  sts.tenants.add(OTHER_TENANT);
  const local = `127.0.0.1:${closedPort}`;
  return [
    {
      name: 'no-route',
      bad: 'no route',
      good: {},
      first: 'route',
      exit: 6,
      text: 'No route matches dev.azure.com/no-route/Payments/web',
      todo: /^add one to the configuration; `postern route explain http.*` says why each was passed by$/,
    },
    {
      name: 'no-fetch',
      bad: { route: `upstream: '${git.origin}', ca: ${caFile}, allow: [api]` },
      good: {},
      first: 'route',
      exit: 6,
      text: 'The route dev.azure.com/no-fetch/** of dev.azure.com/no-fetch/Payments/web does not allow fetching',
      todo: /^add `fetch` to `allow` of the route dev\.azure\.com\/no-fetch\/\*\*/,
    },
    {
      name: 'proxy-closed',
      bad: { route: `ca: ${caFile}, proxy: 'http://${local}'` },
      good: { route: `ca: ${caFile}` },
      first: 'proxy',
      exit: 7,
      text: `The outgoing proxy ${local} cannot be used (connect ECONNREFUSED ${local})`,
      todo: 'check HTTPS_PROXY or `proxy` of the route; `proxy: none` goes around it',
    },
    {
      name: 'proxy-407',
      bad: { route: `ca: ${caFile}, proxy: '${proxy.origin}'` },
      good: { route: `ca: ${caFile}` },
      first: 'proxy',
      exit: 7,
      text: `The outgoing proxy ${new URL(proxy.origin).host} refused a connection to dev.azure.com (status 407)`,
      todo: 'the proxy wants a user name and password: put them in HTTPS_PROXY in the environment of the daemon',
    },
    {
      name: 'dns',
      bad: to('https://azure.nowhere.invalid', ', proxy: none'),
      good: {},
      first: 'dns',
      exit: 7,
      text: /^azure\.nowhere\.invalid cannot be reached \((?:getaddrinfo )?(?:ENOTFOUND|EAI_AGAIN).*\)$/,
      todo: 'check the host name and the DNS of this machine',
    },
    {
      name: 'closed',
      bad: to(`https://${local}`),
      good: {},
      first: 'connection',
      exit: 7,
      text: `${local} cannot be reached (connect ECONNREFUSED ${local})`,
      todo: 'check the network and that the upstream is running; behind a corporate proxy set HTTPS_PROXY for the daemon',
    },
    {
      name: 'silent',
      bad: to(`https://127.0.0.1:${mutePort}`),
      good: {},
      first: 'tls',
      exit: 7,
      text: `No connection to 127.0.0.1:${mutePort} within 2 s`,
      todo: 'check the network and the name of the upstream, or raise timeouts.connect',
    },
    {
      name: 'no-tls',
      bad: to(imds.origin.replace('http:', 'https:')),
      good: {},
      first: 'tls',
      exit: 7,
      text: /^The TLS connection to 127\.0\.0\.1:[0-9]+ failed \(\w+: [a-z ]+\)$/,
      todo: 'check that the upstream speaks TLS 1.2 or newer on this port',
    },
    {
      name: 'own-ca',
      bad: to(git.origin, ''),
      good: {},
      first: 'tls',
      exit: 7,
      text: /^The TLS connection to 127\.0\.0\.1:[0-9]+ failed \(UNABLE_TO_VERIFY_LEAF_SIGNATURE: .*; its certificate is from "Emulator Root"\)$/,
      todo: 'if the certificate is from a company authority, name its PEM file in `ca` of the route; if a proxy intercepts TLS, name that one',
    },
    {
      name: 'gateway',
      bad: { route: `proxy: 'http://127.0.0.1:${gateway.port}'` },
      good: { route: `proxy: 'http://127.0.0.1:${gateway.port}', ca: ${gateway.caFile}` },
      first: 'tls',
      exit: 7,
      text: /^The TLS connection to dev\.azure\.com failed \(UNABLE_TO_VERIFY_LEAF_SIGNATURE: .*; its certificate is from "Contoso Web Gateway"\)$/,
      todo: 'something between here and dev.azure.com opens TLS connections, most likely a proxy of your company: name the PEM file of its authority in `ca` of the route',
    },
    {
      name: 'mute',
      bad: to(`https://127.0.0.1:${muteTlsPort}`, `, ca: ${gateway.caFile}`),
      good: {},
      first: 'answer',
      exit: 7,
      text: `127.0.0.1:${muteTlsPort} took the connection and did not answer within 3 s`,
      todo: 'check `upstream` of the route and what stands between here and it, or raise timeouts.token',
    },
    {
      name: 'sign-in-dns',
      bad: { identity: principal({ authority: 'https://login.nowhere.invalid', proxy: 'none' }) },
      good: {},
      first: 'sign-in',
      exit: 7,
      text: /^The sign-in service https:\/\/login\.nowhere\.invalid cannot be reached \((?:getaddrinfo )?(?:ENOTFOUND|EAI_AGAIN).*\)$/,
      todo: 'check `authority` of the identity and the DNS of this machine',
    },
    {
      name: 'sign-in-closed',
      bad: { identity: principal({ authority: `https://${local}` }) },
      good: {},
      first: 'sign-in',
      exit: 7,
      text: `The sign-in service https://${local} cannot be reached (connect ECONNREFUSED ${local})`,
      todo: 'nothing listens there: check `authority` of the identity; behind a corporate proxy set HTTPS_PROXY for the daemon',
    },
    {
      name: 'sign-in-ca',
      bad: { identity: principal({ ca: undefined }) },
      good: {},
      first: 'sign-in',
      exit: 7,
      text: /^The TLS connection to the sign-in service .* failed \(UNABLE_TO_VERIFY_LEAF_SIGNATURE: .*; its certificate is from "Emulator Root"\)$/,
      todo: 'if the certificate is from a company authority, name its PEM file in `ca` of the identity; if a proxy intercepts TLS, name that one',
    },
    {
      name: 'sign-in-elsewhere',
      bad: { identity: principal({ authority: `'${git.origin}'` }) },
      good: {},
      first: 'sign-in',
      exit: 7,
      text: /^https:\/\/127\.0\.0\.1:[0-9]+ has no discovery document at /,
      todo: 'check `authority` of the identity: it is the sign-in service of a Microsoft Entra cloud, without the tenant; and check `tenant`',
    },
    {
      name: 'no-tenant',
      bad: { identity: principal({ tenant: NOWHERE }) },
      good: {},
      first: 'sign-in',
      exit: 7,
      text: 'The tenant was not found (AADSTS90002)',
      todo: 'check `tenant` of the identity, and `authority` if it is in another cloud',
    },
    {
      name: 'wrong-secret',
      bad: { identity: principal({ secret: `{ file: ${file('wrong-secret')} }` }) },
      mend: () => write('wrong-secret', secretClient.secret),
      first: 'token',
      exit: 6,
      text: 'The client secret is wrong (AADSTS7000215)',
      todo: 'put the value of the secret (not its id) where `secret` of the identity points',
    },
    {
      name: 'empty-secret',
      bad: { identity: principal({ secret: `{ file: ${file('empty-secret')} }` }) },
      mend: () => write('empty-secret', secretClient.secret),
      first: 'token',
      exit: 6,
      text: `A secret could not be read: file ${file('empty-secret')} is empty`,
      todo: 'put the secret there',
    },
    {
      name: 'audience',
      bad: { identity: `{ kind: azure-cli, tenant: ${tenant}, resource: 'https://graph.microsoft.com' }` },
      good: { identity: `{ kind: azure-cli, tenant: ${tenant} }` },
      first: 'token',
      exit: 6,
      text: /^Tokens of this identity are for another service \(https:\/\/graph\.microsoft\.com\), not for Azure DevOps/,
      todo: 'leave `resource` of the identity out: its default is Azure DevOps',
    },
    {
      name: 'az',
      bad: { identity: `{ kind: azure-cli, tenant: ${tenant} }` },
      arrange: () => (emulator.az.mode = 'not-signed-in'),
      mend: () => (emulator.az.mode = 'signed-in'),
      first: 'token',
      exit: 6,
      text: /sign/i,
      todo: new RegExp(`\`az login --tenant ${tenant}\``),
    },
    {
      name: 'other-tenant',
      bad: { identity: principal({ tenant: OTHER_TENANT }) },
      good: {},
      first: 'tenant',
      exit: 6,
      text: `The upstream did not accept the credential (401): the token is of tenant ${OTHER_TENANT}, the organisation belongs to tenant ${tenant}`,
      todo: new RegExp(`^set \`tenant\` of the identity to ${tenant}`),
    },
    {
      name: 'pat-ended',
      bad: { identity: `{ kind: pat, secret: { file: ${file('pat')} } }` },
      mend: () => write('pat', fresh.token),
      first: 'fetch-refs',
      exit: 8,
      text: /^The upstream did not accept the credential \(401\)/,
      todo: /postern pat create/,
    },
    {
      name: 'no-member',
      bad: {},
      arrange: () => git.organisations.set('no-member', { members: new Set(['somebody-else']) }),
      mend: () => git.organisations.delete('no-member'),
      first: 'fetch-refs',
      exit: 8,
      text: 'Azure DevOps does not know this identity in the organisation',
      todo: /^ask an administrator of the organisation to add this identity/,
    },
    {
      name: 'no-repository',
      bad: {},
      arrange: () => git.faults.set('no-repository/Payments/web', { kind: 'not-found-TF401019' }),
      mend: () => git.faults.clear('no-repository/Payments/web'),
      first: 'fetch-refs',
      exit: 8,
      text: 'The repository does not exist, or this identity may not read it',
      todo: /^check the spelling of the address, and that the identity has Read/,
    },
    {
      name: 'signs-in',
      bad: {},
      arrange: () => git.faults.set('signs-in/Payments/web', { kind: 'signin-203' }),
      mend: () => git.faults.clear('signs-in/Payments/web'),
      first: 'fetch-refs',
      exit: 8,
      text: 'The upstream answered with its sign-in page instead of git data',
      todo: /^run `postern status` to see the identity/,
    },
    {
      name: 'no-push',
      bad: {},
      arrange: () => git.faults.set('no-push/Payments/web', { kind: 'no-push-TF401027' }),
      mend: () => git.faults.clear('no-push/Payments/web'),
      first: 'push-refs',
      exit: 8,
      text: 'This identity lacks a permission on the repository',
      todo: /^ask for the permission named above .*pushing needs Contribute$/,
    },
  ];
}
