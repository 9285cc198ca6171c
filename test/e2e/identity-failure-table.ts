/**
 * Every way in which no token comes, with what git shows for it: cases of the configuration, which stand side by side, and cases of
 * the sign-in service, which happen to all and come one after another.
 */
import { chmod, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeClientCertificate } from '../azure/certificates.js';
import type { Emulator } from '../azure/emulator.js';
import { federatedToken, SAMPLE_FEDERATION } from '../azure/samples.js';
import type { StsFailure } from '../azure/sts-answers.js';

export interface FailureCase {
  readonly name: string;
  /** As it stands in the file. */
  readonly identity: string;
  readonly code: 'identity-rejected' | 'identity-unavailable' | 'identity-timeout' | 'secret-unreadable';
  /** What happened, whole; a pattern where a library or the system has a word in it. */
  readonly what: string | RegExp;
  readonly todo: string | RegExp;
  /** Brings it about, and takes it away. */
  readonly arrange?: () => unknown;
  readonly mend?: () => unknown;
  /** Requests to the token endpoint that two commands in a row make; undefined where none gets so far. */
  readonly asked?: number;
  /** What the identity should have been; undefined when nothing is wrong with it. */
  readonly good?: string;
}

/** What the cases are made of. */
export interface FailureWorld {
  readonly emulator: Emulator;
  /** For files of cases. */
  readonly directory: string;
  readonly closedPort: number;
}

const BETWEEN = 'check `authority` of the identity, and what stands between here and it (HTTPS_PROXY, a portal that wants a sign-in)';
const ADMIN = 'ask the administrator of the tenant';
const AGAIN = 'wait and try again; a token that is still held stays in use until it ends';
const NOWHERE = '99999999-0000-4000-8000-000000000000';

/** The identity of most cases, with changes to its keys; undefined takes one away. */
export function principal({ emulator }: FailureWorld, changes: Readonly<Record<string, string | undefined>> = {}): string {
  const { tenant, secretClient } = emulator.sts.samples;
  return line({
    kind: 'client-secret',
    tenant,
    clientId: secretClient.clientId,
    secret: '{ env: SP_SECRET }',
    authority: `'${emulator.sts.origin}'`,
    ca: emulator.caFile,
    ...changes,
  });
}

function line(keys: Readonly<Record<string, string | undefined>>): string {
  return `{ ${Object.entries(keys)
    .flatMap(([key, value]) => (value === undefined ? [] : [`${key}: ${value}`]))
    .join(', ')} }`;
}

/** Cases of which each has its own identity, route and cause: they may happen at the same time. */
export async function ownCases(world: FailureWorld): Promise<readonly FailureCase[]> {
  const { emulator, directory, closedPort } = world;
  const { sts, proxy, az, imds } = emulator;
  const { tenant, certificateClient, federatedClient } = sts.samples;
  const file = (name: string): string => join(directory, name);
  const write = (name: string, text: string): Promise<void> => writeFile(file(name), text, { mode: 0o600 });
  const good = principal(world);
  const secret = sts.samples.secretClient.secret;
  const proxyHost = new URL(proxy.origin).host;
  const federated = (tokenFile: string): string =>
    line({
      kind: 'workload-identity',
      tenant,
      clientId: federatedClient.clientId,
      tokenFile,
      authority: `'${sts.origin}'`,
      ca: emulator.caFile,
    });
  const certified = (certificate: string): string =>
    line({
      kind: 'client-certificate',
      tenant,
      clientId: certificateClient.clientId,
      certificate,
      authority: `'${sts.origin}'`,
      ca: emulator.caFile,
    });
  const token = federatedToken(SAMPLE_FEDERATION, 3600);
  const stranger = await makeClientCertificate('stranger');
  await write('wrong-secret', 'wrong');
  // Was there when the daemon started, which looks.
  await write('missing-secret', secret);
  await write('missing-token', token);
  await write('empty-secret', '\n');
  await write('empty-token', '');
  await write('old-token', federatedToken(SAMPLE_FEDERATION, -60));
  await write('other-token', federatedToken({ ...SAMPLE_FEDERATION, subject: 'system:serviceaccount:other:other' }, 3600));
  await write('no-token', 'not a token');
  await write('no-certificate.pem', 'nothing\n');
  await write('stranger.pem', `${stranger.key}${stranger.cert}\n`);
  await write('no-ca.pem', 'nothing\n');
  await write('say-no', '#!/bin/sh\nexit 3\n');
  await chmod(file('say-no'), 0o700);
  proxy.modes.set('login.forbidden.example', 'forbid');
  proxy.modes.set('login.silent.example', 'hang');
  imds.known = new Set();
  return [
    {
      name: 'dns',
      identity: principal(world, { authority: 'https://login.nowhere.invalid', proxy: 'none' }),
      code: 'identity-unavailable',
      what: /^The sign-in service https:\/\/login\.nowhere\.invalid cannot be reached \((?:getaddrinfo )?(?:ENOTFOUND|EAI_AGAIN).*\)$/,
      todo: 'check `authority` of the identity and the DNS of this machine',
      good,
    },
    {
      name: 'refused',
      identity: principal(world, { authority: `https://127.0.0.1:${closedPort}` }),
      code: 'identity-unavailable',
      what: `The sign-in service https://127.0.0.1:${closedPort} cannot be reached (connect ECONNREFUSED 127.0.0.1:${closedPort})`,
      todo: 'nothing listens there: check `authority` of the identity; behind a corporate proxy set HTTPS_PROXY for the daemon',
      good,
    },
    {
      name: 'own-ca-missing',
      identity: principal(world, { ca: undefined }),
      code: 'identity-unavailable',
      what: new RegExp(
        `^The TLS connection to the sign-in service ${sts.origin} failed \\(UNABLE_TO_VERIFY_LEAF_SIGNATURE: .*; its certificate is from "Emulator Root"\\)$`,
      ),
      todo: 'if the certificate is from a company authority, name its PEM file in `ca` of the identity; if a proxy intercepts TLS, name that one',
      good,
    },
    {
      name: 'intercepted',
      identity: principal(world, { authority: 'https://login.microsoftonline.com', ca: undefined }),
      code: 'identity-unavailable',
      what: /^The TLS connection to the sign-in service https:\/\/login\.microsoftonline\.com failed \(UNABLE_TO_VERIFY_LEAF_SIGNATURE: .*; its certificate is from "Emulator Root"\)$/,
      todo: 'something between here and login.microsoftonline.com opens TLS connections, most likely a proxy of your company: name the PEM file of its authority in `ca` of the identity',
      good: principal(world, { authority: 'https://login.microsoftonline.com' }),
    },
    {
      name: 'wrong-name',
      identity: principal(world, { authority: 'https://login.unknown.example' }),
      code: 'identity-unavailable',
      what: 'The TLS connection to the sign-in service https://login.unknown.example failed (ERR_TLS_CERT_ALTNAME_INVALID: its certificate is for localhost, dev.azure.com, *.dev.azure.com, ...)',
      todo: 'the certificate is for another name: check `authority` of the identity',
      good: principal(world, { authority: 'https://login.contoso.example' }),
    },
    {
      name: 'no-tls',
      identity: principal(world, { authority: imds.origin.replace('http:', 'https:') }),
      code: 'identity-unavailable',
      what: /^The TLS connection to the sign-in service https:\/\/127\.0\.0\.1:[0-9]+ failed \(\w+: [a-z ]+\)$/,
      todo: 'check that the sign-in service speaks TLS 1.2 or newer on this port',
      good,
    },
    {
      name: 'ca-nonsense',
      identity: principal(world, { ca: file('no-ca.pem') }),
      code: 'identity-unavailable',
      what: `The certificate file ${file('no-ca.pem')} cannot be used (it holds no PEM certificate)`,
      todo: 'check `ca` of the identity: a PEM file with one or more certificates, readable by the daemon',
      good,
    },
    {
      name: 'proxy-down',
      identity: principal(world, { authority: 'https://login.contoso.example', proxy: `http://127.0.0.1:${closedPort}` }),
      code: 'identity-unavailable',
      what: `The outgoing proxy 127.0.0.1:${closedPort} cannot be used (connect ECONNREFUSED 127.0.0.1:${closedPort})`,
      todo: 'check HTTPS_PROXY or `proxy` of the identity; `proxy: none` goes around it',
      good: principal(world, { authority: 'https://login.contoso.example' }),
    },
    {
      name: 'proxy-407',
      identity: principal(world, { authority: 'https://login.contoso.example', proxy: proxy.origin }),
      code: 'identity-unavailable',
      what: `The outgoing proxy ${proxyHost} refused a connection to login.contoso.example (status 407)`,
      todo: 'the proxy wants a user name and password: put them in HTTPS_PROXY in the environment of the daemon',
      good: principal(world, { authority: 'https://login.contoso.example' }),
    },
    {
      name: 'proxy-407-again',
      identity: principal(world, { authority: 'https://login.contoso.example', proxy: proxy.origin.replace('//', '//nobody@') }),
      code: 'identity-unavailable',
      what: `The outgoing proxy ${proxyHost} refused a connection to login.contoso.example (status 407)`,
      todo: 'the proxy wants a user name and password, and not those that it was sent: correct them in HTTPS_PROXY in the environment of the daemon',
      good: principal(world, { authority: 'https://login.contoso.example' }),
    },
    {
      name: 'proxy-403',
      identity: principal(world, { authority: 'https://login.forbidden.example' }),
      code: 'identity-unavailable',
      what: `The outgoing proxy ${proxyHost} refused a connection to login.forbidden.example (status 403)`,
      todo: 'ask whoever runs the proxy to allow the host, or set `proxy` of the identity',
      good: principal(world, { authority: 'https://login.contoso.example' }),
    },
    {
      name: 'proxy-silent',
      identity: principal(world, { authority: 'https://login.silent.example' }),
      code: 'identity-unavailable',
      what: `The outgoing proxy ${proxyHost} opened no connection to login.silent.example within 2 s`,
      todo: 'check HTTPS_PROXY or `proxy` of the identity and whoever runs that proxy, or raise timeouts.connect; `proxy: none` goes around it',
      good: principal(world, { authority: 'https://login.contoso.example' }),
    },
    {
      name: 'environment-authority',
      identity: principal(world, { authority: undefined }),
      code: 'identity-rejected',
      what: 'AZURE_AUTHORITY_HOST in the environment of the daemon is not an https origin',
      todo: 'set it to the sign-in service alone, such as https://login.microsoftonline.com, or set `authority` of the identity',
      good,
    },
    {
      name: 'wrong-authority',
      identity: principal(world, { authority: `'${emulator.git.origin}'` }),
      code: 'identity-rejected',
      what: `${emulator.git.origin} has no discovery document at /ID/v2.0/.well-known/openid-configuration (status 401)`,
      todo: 'check `authority` of the identity: it is the sign-in service of a Microsoft Entra cloud, without the tenant; and check `tenant`',
      good,
    },
    {
      name: 'wrong-tenant',
      identity: principal(world, { tenant: NOWHERE }),
      code: 'identity-rejected',
      what: 'The tenant was not found (AADSTS90002)',
      todo: 'check `tenant` of the identity, and `authority` if it is in another cloud',
      good,
    },
    {
      name: 'wrong-client',
      identity: principal(world, { clientId: NOWHERE }),
      code: 'identity-rejected',
      what: 'The app (client id) was not found in this tenant (AADSTS700016)',
      todo: 'check `clientId` and `tenant` of the identity',
      good,
    },
    {
      name: 'wrong-secret',
      identity: principal(world, { secret: `{ file: ${file('wrong-secret')} }` }),
      code: 'identity-rejected',
      what: 'The client secret is wrong (AADSTS7000215)',
      todo: 'put the value of the secret (not its id) where `secret` of the identity points',
      mend: () => write('wrong-secret', secret),
    },
    {
      name: 'secret-missing',
      identity: principal(world, { secret: `{ file: ${file('missing-secret')} }` }),
      code: 'secret-unreadable',
      what: `A secret could not be read: file ${file('missing-secret')} cannot be read (ENOENT)`,
      todo: 'check the path and that the user of the daemon may read it',
      arrange: () => rm(file('missing-secret'), { force: true }),
      mend: () => write('missing-secret', secret),
    },
    {
      name: 'secret-empty',
      identity: principal(world, { secret: `{ file: ${file('empty-secret')} }` }),
      code: 'secret-unreadable',
      what: `A secret could not be read: file ${file('empty-secret')} is empty`,
      todo: 'put the secret there',
      mend: () => write('empty-secret', secret),
    },
    {
      name: 'secret-command',
      identity: principal(world, { secret: `{ command: ['${file('say-no')}'] }` }),
      code: 'secret-unreadable',
      what: `A secret could not be read: command ${file('say-no')} failed (3)`,
      todo: 'run it by hand as the user of the daemon to see why',
      mend: () => write('say-no', `#!/bin/sh\necho '${secret}'\n`),
    },
    {
      name: 'token-file-missing',
      identity: federated(file('missing-token')),
      code: 'identity-rejected',
      what: `The federated token cannot be used: file ${file('missing-token')} cannot be read (ENOENT)`,
      todo: 'check `tokenFile` of the identity, or AZURE_FEDERATED_TOKEN_FILE of the daemon, and that its user may read it',
      arrange: () => rm(file('missing-token'), { force: true }),
      mend: () => write('missing-token', token),
    },
    {
      name: 'token-file-empty',
      identity: federated(file('empty-token')),
      code: 'identity-rejected',
      what: `The federated token cannot be used: file ${file('empty-token')} is empty`,
      todo: 'check `tokenFile` of the identity, or AZURE_FEDERATED_TOKEN_FILE of the daemon, and that its user may read it',
      mend: () => write('empty-token', token),
    },
    {
      name: 'token-nonsense',
      identity: federated(file('no-token')),
      code: 'identity-rejected',
      what: 'The assertion is none that can be read (AADSTS50027)',
      todo: 'check that the token file holds the federated token and nothing else',
      mend: () => write('no-token', token),
    },
    {
      name: 'token-expired',
      identity: federated(file('old-token')),
      code: 'identity-rejected',
      what: 'The assertion is not in its time range (AADSTS700024)',
      todo: 'check the clock of this machine, and that the token file is being renewed',
      mend: () => write('old-token', token),
    },
    {
      name: 'token-of-another',
      identity: federated(file('other-token')),
      code: 'identity-rejected',
      what: 'No federated credential of the app fits the token (AADSTS700213)',
      todo: 'compare issuer, subject and audience of the federated credential of the app with those of the token, letter by letter',
      mend: () => write('other-token', token),
    },
    {
      name: 'certificate-nonsense',
      identity: certified(file('no-certificate.pem')),
      code: 'identity-unavailable',
      what: /^The certificate could not be used \(.*\)$/,
      todo: 'check that `certificate` names a PEM file with the private key and the certificate, readable by the daemon',
      good: certified(certificateClient.pemFile),
    },
    {
      name: 'certificate-unknown',
      identity: certified(file('stranger.pem')),
      code: 'identity-rejected',
      what: 'The certificate is not accepted for the app (AADSTS700027)',
      todo: 'upload this certificate to the app registration, and check the clock of this machine',
      good: certified(certificateClient.pemFile),
    },
    {
      name: 'managed-identity-unknown',
      identity: '{ kind: managed-identity, clientId: 11111111-2222-4333-8444-555555555555 }',
      code: 'identity-unavailable',
      what: /^No managed identity answered on this machine \(.*Identity not found.*\)$/,
      todo: /^check that the machine has a managed identity, and clientId/,
      mend: () => (imds.known = undefined),
    },
    {
      name: 'az-signed-out',
      identity: `{ kind: azure-cli, tenant: ${tenant} }`,
      code: 'identity-rejected',
      what: 'The Azure CLI is not signed in',
      todo: 'run `az login --tenant ID` as the user of the daemon',
      arrange: () => (az.mode = 'not-signed-in'),
      mend: () => (az.mode = 'signed-in'),
    },
  ];
}

/** Cases of what all share: they come one after another, each with an identity that has no token yet. */
export function sharedCases(world: FailureWorld): readonly FailureCase[] {
  const { sts, az } = world.emulator;
  const identity = principal(world);
  const says = (
    name: string,
    failure: StsFailure,
    what: FailureCase['what'],
    todo: FailureCase['todo'],
    code: FailureCase['code'] = 'identity-rejected',
  ): FailureCase => ({
    name,
    identity,
    code,
    what,
    todo,
    // A definite answer, or one that wants to be left alone, is not asked for again; another one may pass by itself.
    asked: code === 'identity-rejected' || 'retryAfterSeconds' in failure ? 1 : 3,
    arrange: () => (sts.failWith = failure),
    mend: () => (sts.failWith = undefined),
  });
  const shows = (name: string, what: RegExp, todo: FailureCase['todo'], arrange: () => void): FailureCase => ({
    name,
    identity,
    code: 'identity-unavailable',
    what,
    todo,
    arrange,
    mend: () => sts.showTls(undefined),
  });
  const instead = (
    name: NonNullable<typeof sts.standIn>,
    what: string,
    todo: string,
    code: FailureCase['code'] = 'identity-unavailable',
  ): FailureCase => ({
    name,
    identity,
    code,
    what,
    todo,
    arrange: () => (sts.standIn = name),
    mend: () => (sts.standIn = undefined),
  });
  const clock = (name: string, aheadMinutes: number, failure: StsFailure, what: string, todo: string): FailureCase => ({
    name,
    identity,
    code: 'identity-rejected',
    what,
    todo,
    arrange: () => {
      sts.aheadMs = aheadMinutes * 60_000;
      sts.failWith = failure;
    },
    mend: () => {
      sts.aheadMs = 0;
      sts.failWith = undefined;
    },
  });
  const lookUp = (number: number): string => `look up AADSTS${number} at https://login.microsoftonline.com/error?code=${number}`;
  const tls = `The TLS connection to the sign-in service ${sts.origin} failed `.replaceAll('.', '\\.');
  const azProgram = join(az.directory, 'az');
  return [
    says(
      'secret-expired',
      { aadsts: 7000222 },
      'The client secret has expired (AADSTS7000222)',
      'make a new secret for the app, and put it where `secret` of the identity points',
    ),
    says(
      'conditional-access',
      { aadsts: 53003 },
      'Conditional access blocks this sign-in (AADSTS53003)',
      `${ADMIN} to let the application through: policies for workload identities go by network and risk`,
    ),
    says(
      'second-factor',
      { aadsts: 50076 },
      'The sign-in needs a step by a person (such as multi-factor authentication) (AADSTS50076)',
      `${ADMIN} to take the application out of the policy: nobody can take that step for it`,
    ),
    says('app-disabled', { aadsts: 7000112 }, 'The app is disabled in this tenant (AADSTS7000112)', `${ADMIN} to enable it`),
    says('consent', { aadsts: 65001 }, 'Consent for the app is missing (AADSTS65001)', `${ADMIN} to consent to the app`),
    says(
      'other-cloud',
      { aadsts: 900439 },
      'The tenant belongs to another cloud (AADSTS900439)',
      'set `authority` of the identity to the sign-in service of that cloud, such as https://login.microsoftonline.us',
    ),
    says(
      'unknown-resource',
      { aadsts: 500011, detail: 'x' },
      'The resource is unknown in this tenant (AADSTS500011)',
      'check `tenant` and `resource`: the tenant must be the one that the Azure DevOps organisation is connected to',
    ),
    says(
      'unknown-code',
      { aadsts: 9999999, text: 'A rule\u001b[31m of the "tenant" says no.' },
      'The sign-in service refused (AADSTS9999999: A rule [31m of the "tenant" says no)',
      lookUp(9999999),
    ),
    says(
      'code-in-a-list',
      { body: { error: 'invalid_client', error_codes: [700016] } },
      'The app (client id) was not found in this tenant (AADSTS700016)',
      'check `clientId` and `tenant` of the identity',
    ),
    says(
      'suberror-alone',
      { body: { error: 'invalid_grant', suberror: 'consent_required' } },
      'Consent for the app is missing (consent_required)',
      `${ADMIN} to consent to the app`,
    ),
    says(
      'in-trouble',
      { aadsts: 90033 },
      'The sign-in service is in trouble at the moment (AADSTS90033)',
      'wait and try again',
      'identity-unavailable',
    ),
    says('status-500', { status: 500 }, 'The sign-in service answered with status 500', AGAIN, 'identity-unavailable'),
    says('status-503', { status: 503, html: true }, 'The sign-in service answered with status 503', AGAIN, 'identity-unavailable'),
    says(
      'status-429',
      { status: 429, retryAfterSeconds: 2 },
      'The sign-in service answered with status 429: it wants fewer requests',
      'wait 2 s and try again; see the log for what asks so often',
      'identity-unavailable',
    ),
    clock(
      'clock-behind',
      12,
      { aadsts: 700024 },
      "The clock of this machine is 12 minutes behind the sign-in service's (AADSTS700024)",
      'set the clock of this machine, and have it kept right (`timedatectl set-ntp true`)',
    ),
    clock(
      'clock-ahead',
      -180,
      { aadsts: 700024 },
      "The clock of this machine is 3 hours ahead of the sign-in service's (AADSTS700024)",
      'set the clock of this machine, and have it kept right (`timedatectl set-ntp true`)',
    ),
    clock(
      'clock-besides',
      12,
      { aadsts: 7000222 },
      'The client secret has expired (AADSTS7000222)',
      "make a new secret for the app, and put it where `secret` of the identity points; the clock of this machine is also 12 minutes behind the sign-in service's: set it",
    ),
    clock(
      'clock-almost-right',
      4,
      { aadsts: 700024 },
      'The assertion is not in its time range (AADSTS700024)',
      'check the clock of this machine, and that the token file is being renewed',
    ),
    shows(
      'certificate-expired',
      new RegExp(`^${tls}\\(CERT_HAS_EXPIRED: certificate has expired on 20[0-9T:.-]+Z\\)$`),
      /^renew the certificate of the sign-in service, or check the clock of this machine \(it says 20[0-9T:.-]+Z\)$/,
      () => sts.showTls('expired'),
    ),
    shows(
      'certificate-of-the-future',
      new RegExp(`^${tls}\\(CERT_NOT_YET_VALID: certificate is not yet valid, only from 20[0-9T:.-]+Z on\\)$`),
      /^check the clock of this machine \(it says 20[0-9T:.-]+Z\): it is most likely behind$/,
      () => sts.showTls('not-yet-valid'),
    ),
    shows(
      'certificate-of-a-stranger',
      new RegExp(`^${tls}\\(UNABLE_TO_VERIFY_LEAF_SIGNATURE: .*; its certificate is from "Stranger Root"\\)$`),
      'if the certificate is from a company authority, name its PEM file in `ca` of the identity; if a proxy intercepts TLS, name that one',
      () => sts.showTls('untrusted'),
    ),
    instead(
      'portal-page',
      `What answers at ${sts.origin} is not a sign-in service (status 200, and a page instead of a discovery document)`,
      BETWEEN,
    ),
    instead(
      'portal-redirect',
      `What answers at ${sts.origin} is not a sign-in service: it redirects to http://portal.example.net (status 302)`,
      BETWEEN,
    ),
    instead(
      'other-server',
      `${sts.origin} has no discovery document at /ID/v2.0/.well-known/openid-configuration (status 404)`,
      'check `authority` of the identity: it is the sign-in service of a Microsoft Entra cloud, without the tenant; and check `tenant`',
      'identity-rejected',
    ),
    instead(
      'blocked-page',
      'The sign-in service answered with status 403 and a page',
      `${BETWEEN}: the sign-in service itself would give an AADSTS code`,
      'identity-rejected',
    ),
    instead('other-json', `What ${sts.origin} answers is no discovery document`, BETWEEN),
    {
      name: 'sends-on',
      identity,
      code: 'identity-rejected',
      what: `The sign-in service ${sts.origin} sends on to https://login.microsoftonline.us, and nothing is sent there`,
      todo: 'if the tenant belongs to another cloud, set `authority` of the identity to its sign-in service (https://login.microsoftonline.us); else check `authority`',
      arrange: () => (sts.tokenOrigin = 'https://login.microsoftonline.us'),
      mend: () => (sts.tokenOrigin = undefined),
    },
    {
      name: 'closes',
      identity,
      code: 'identity-unavailable',
      what: new RegExp(`^The sign-in service ${sts.origin} cannot be reached \\(.*ECONNRESET.*\\)$`),
      todo: 'check the network and that the sign-in service is running; behind a corporate proxy set HTTPS_PROXY for the daemon',
      arrange: () => (sts.down = true),
      mend: () => (sts.down = false),
    },
    {
      name: 'silent',
      identity,
      code: 'identity-timeout',
      what: `No token came within 5 s: the sign-in service ${sts.origin} did not answer`,
      todo: `check the network and the sign-in service ${sts.origin}, or raise timeouts.token`,
      arrange: () => (sts.delayMs = 60_000),
      mend: () => (sts.delayMs = 0),
    },
    {
      name: 'az-missing',
      identity: '{ kind: azure-cli }',
      code: 'identity-rejected',
      what: 'The Azure CLI (az) was not found on the PATH of the daemon',
      todo: 'install the Azure CLI, or start the daemon with a PATH that includes it',
      arrange: () => rename(azProgram, `${azProgram}.away`),
      mend: () => rename(`${azProgram}.away`, azProgram),
    },
    {
      name: 'az-nonsense',
      identity: '{ kind: azure-cli }',
      code: 'identity-unavailable',
      what: /^The Azure CLI gave no token \(.*\)$/,
      todo: /^run `az account get-access-token --resource ID --tenant ID`/,
      arrange: () => (az.mode = 'broken-json'),
      mend: () => (az.mode = 'signed-in'),
    },
    {
      name: 'az-hangs',
      identity: '{ kind: azure-cli }',
      code: 'identity-timeout',
      what: /^No token came within 5 s/,
      todo: /raise timeouts\.token/,
      arrange: () => {
        az.mode = 'slow';
        az.slowMs = 60_000;
      },
      mend: () => (az.mode = 'signed-in'),
    },
  ];
}
