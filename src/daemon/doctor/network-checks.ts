/** The way from the daemon to the upstream and to the sign-in service, step by step, as the daemon itself goes it. */
import { authorityOf } from '../../identity/authority.js';
import { nameFailure } from '../../identity/obtain.js';
import type { CheckOutcome } from '../../model/check.js';
import type { EntraIdentity, IdentitySettings } from '../../model/settings.js';
import type { AnswerHead, ProbeWay, TlsFacts } from '../../upstream/probes.js';
import { type DaemonCheck, type DoctorParts, type DoctorQuestion, type Road, roadOf, SIGNED } from './doctor-parts.js';
import { leftText, skewOutcome } from './times.js';
import { judgeDiscovery } from './discovery.js';

/** Below that, and with less than a quarter of its life left, a certificate should have been renewed. */
const ENDS_SOON_MS = 7 * 86_400_000;
const LAST_PART_OF_LIFE = 0.25;

type Step = (at: { readonly road: Road; readonly way: ProbeWay; readonly parts: DoctorParts }) => Promise<CheckOutcome> | CheckOutcome;

/** A step of the way over HTTPS. */
const step =
  (look: Step): DaemonCheck =>
  (question: DoctorQuestion, parts: DoctorParts) => {
    const road = roadOf(question, parts);
    const { origin, route } = road;
    return road.isSigned ? SIGNED : look({ road, way: { origin, ca: route.ca, proxy: route.proxy }, parts });
  };

export const NETWORK_CHECKS = {
  proxy: step(async ({ way, road, parts }) => {
    const proxy = parts.probes.proxyOf(way);
    if (proxy === undefined) return { verdict: 'ok', text: 'none: the daemon connects by itself' };
    await parts.probes.connection(way);
    const from = road.route.proxy === undefined ? 'HTTPS_PROXY of the daemon' : '`proxy` of the route';
    return { verdict: 'ok', text: `${proxy.host} (${from}) opens connections to ${way.origin.host}` };
  }),
  dns: step(async ({ way, parts }) => {
    const proxy = parts.probes.proxyOf(way);
    const { host } = way.origin;
    if (proxy !== undefined) return { verdict: 'ok', text: `${host} is looked up by the outgoing proxy ${proxy.host}` };
    const addresses = await parts.probes.addresses(way);
    if (addresses.length === 0) return { verdict: 'ok', text: `nothing to look up: ${host} is an address` };
    return { verdict: 'ok', text: `${host} is ${addresses.join(', ')}` };
  }),
  connection: step(async ({ way, parts }) => {
    const place = await parts.probes.connection(way);
    const proxy = parts.probes.proxyOf(way);
    return { verdict: 'ok', text: proxy === undefined ? `to ${place}` : `to ${way.origin.host}, through the outgoing proxy ${proxy.host}` };
  }),
  tls: step(async ({ way, parts }) => {
    const facts = await parts.probes.handshake(way);
    return facts === undefined ? { verdict: 'ok', text: 'none: the upstream is on this machine' } : judgeTls(facts, way, parts.clock.now());
  }),
  answer: step(async ({ way, road, parts }) => {
    const head = await answerOf(road, way, parts);
    const server = head.header('server');
    return {
      verdict: 'ok',
      text: `status ${head.status} to a request without a credential, after ${Math.round(head.ms)} ms`,
      details: server === undefined ? [] : [`it is ${server}`],
    };
  }),
  clock: step(async ({ way, road, parts }) => {
    const head = await answerOf(road, way, parts);
    return skewOutcome(head.header('date'), head.at, way.origin.host);
  }),
  'sign-in': step(({ road: { identity }, parts }) => signInOutcome(identity, parts)),
} as const satisfies Readonly<Record<string, DaemonCheck>>;

/** As git asks first, so that the same machine answers. */
function answerOf({ path }: Road, way: ProbeWay, { probes }: DoctorParts): Promise<AnswerHead> {
  return probes.answer(way, `${path}/info/refs?service=git-upload-pack`);
}

function judgeTls(facts: TlsFacts, { origin, ca }: ProbeWay, now: number): CheckOutcome {
  const { protocol, chain, validFrom, validTo, isPublicAuthority, isPublicHost } = facts;
  const authority = chain.at(-1) ?? 'nobody';
  const trust = isPublicAuthority
    ? ''
    : ca === undefined
      ? ', trusted by NODE_EXTRA_CA_CERTS or the system'
      : `, trusted by \`ca\` (${ca})`;
  const between =
    isPublicHost && !isPublicAuthority ? [`"${authority}" stands in between and opens TLS connections to ${origin.host}`] : [];
  const text = `${protocol}, the certificate of ${chain[0] ?? 'nobody'} is from ${authority}${trust}`;
  const leftMs = validTo - now;
  if (leftMs < ENDS_SOON_MS && leftMs < (validTo - validFrom) * LAST_PART_OF_LIFE) {
    return {
      verdict: 'warning',
      text: `${text}, and ends in ${leftText(leftMs)} (${new Date(validTo).toISOString()})`,
      details: [chain.join(' < '), ...between],
      todo: `have whoever runs ${origin.host} renew its certificate`,
    };
  }
  return { verdict: 'ok', text, details: [`${chain.join(' < ')}; good for ${leftText(leftMs)}`, ...between] };
}

/** Kinds that ask Entra themselves; the others ask a program or an endpoint of this machine, or hold a secret. */
const OWN_SIGN_IN: ReadonlySet<IdentitySettings['kind']> = new Set([
  'client-secret',
  'client-certificate',
  'workload-identity',
  'azure-pipelines',
  'browser',
  'device-code',
]);

/** How those get their tokens that do not. */
const OTHERS: Partial<Record<IdentitySettings['kind'], string>> = {
  'azure-cli': 'the Azure CLI (az) goes there itself',
  'azure-developer-cli': 'the Azure Developer CLI (azd) goes there itself',
  'azure-powershell': 'Azure PowerShell (pwsh) goes there itself',
  'managed-identity': 'the endpoint of this machine is asked instead',
};

async function signInOutcome(identity: IdentitySettings, { send, environment, clock }: DoctorParts): Promise<CheckOutcome> {
  if (!OWN_SIGN_IN.has(identity.kind) || !('authority' in identity) || isJobToken(identity))
    return { verdict: 'ok', text: OTHERS[identity.kind] ?? `nothing to ask: a ${identity.kind} identity signs in nowhere` };
  let authority: string;
  try {
    authority = authorityOf(identity, environment);
  } catch (thrown) {
    throw nameFailure(identity.name, thrown);
  }
  return judgeDiscovery(identity, authority, { send, now: () => clock.now() });
}

/** Azure DevOps makes the token of a pipeline's job itself. */
function isJobToken(identity: EntraIdentity): boolean {
  return identity.kind === 'azure-pipelines' && identity.serviceConnection === undefined;
}
