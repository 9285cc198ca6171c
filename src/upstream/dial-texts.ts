/**
 * What to say of a connection that could not be opened: one text for each way of failing, because to the user they all look like
 * "no network". The settings that a text names are those of whoever wanted the connection.
 */
import type { PeerCertificate } from 'node:tls';
import { messageOf, ProxyError, systemCodeOf } from '../model/errors.js';
import { outOfFiles } from '../model/send-faults.js';

/** Where a connection was to lead, and through what. */
export interface Destination {
  readonly origin: URL;
  readonly proxy: URL | undefined;
  readonly timeoutMs: number;
  /** It is the sign-in service of an identity, not the upstream of a route. */
  readonly isSignIn?: boolean;
  /** It is a host that the upstream of a route named. */
  readonly isForeign?: boolean;
  /** It must have an address in the internet. */
  readonly isPublicOnly?: boolean;
}

/** Hosts whose certificates every system trusts: one that is not trusted is somebody else's. */
const PUBLIC_HOSTS =
  /(?:^|\.)(?:microsoftonline\.com|microsoftonline\.us|microsoftonline\.cn|chinacloudapi\.cn|azure\.com|visualstudio\.com|windows\.net)$/;

/** Names of a certificate that a text has, and how long one may be. */
const NAMES_SHOWN = 3;
const LONGEST_NAME = 200;

/** How texts name the two ends and the keys of the configuration. */
interface Words {
  readonly name: string;
  readonly owner: string;
  readonly address: string;
  readonly party: string;
}

function wordsFor({ origin, isSignIn, isForeign }: Destination): Words {
  if (isForeign === true)
    return {
      name: `${origin.host}, which the upstream named,`,
      owner: 'route',
      address: 'with the administrator of the upstream what it names',
      party: 'that host',
    };
  return isSignIn === true
    ? {
        name: `the sign-in service ${origin.origin}`,
        owner: 'identity',
        address: '`authority` of the identity',
        party: 'the sign-in service',
      }
    : { name: origin.host, owner: 'route', address: '`upstream` of the route', party: 'the upstream' };
}

/** `isTunnelling`: it was the proxy that was waited for. */
export function tooLate(destination: Destination, isTunnelling: boolean): ProxyError {
  const { origin, proxy, timeoutMs } = destination;
  const { name, owner, address } = wordsFor(destination);
  if (isTunnelling && proxy !== undefined) {
    return new ProxyError(
      'proxy-refused',
      `The outgoing proxy ${proxy.host} opened no connection to ${origin.host} within ${timeoutMs / 1000} s`,
      {
        todo: `check HTTPS_PROXY or \`proxy\` of the ${owner} and whoever runs that proxy, or raise timeouts.connect; \`proxy: none\` goes around it`,
      },
    );
  }
  return new ProxyError('upstream-timeout', `No connection to ${name} within ${timeoutMs / 1000} s`, {
    todo:
      owner === 'route'
        ? 'check the network and the name of the upstream, or raise timeouts.connect'
        : `check the network and ${address}, or raise timeouts.connect; behind a corporate proxy set HTTPS_PROXY for the daemon`,
  });
}

/** A proxy that answered CONNECT with anything but success. */
export function proxyRefusal(destination: Destination, proxy: URL, status: number): ProxyError {
  const { origin } = destination;
  const { owner } = wordsFor(destination);
  return new ProxyError('proxy-refused', `The outgoing proxy ${proxy.host} refused a connection to ${origin.host} (status ${status})`, {
    todo:
      status !== 407
        ? `ask whoever runs the proxy to allow the host, or set \`proxy\` of the ${owner}`
        : proxy.username === ''
          ? 'the proxy wants a user name and password: put them in HTTPS_PROXY in the environment of the daemon'
          : 'the proxy wants a user name and password, and not those that it was sent: correct them in HTTPS_PROXY in the environment of the daemon',
  });
}

/** A proxy that could not be asked. */
export function proxyUnusable(destination: Destination, proxy: URL, fault: Error): ProxyError {
  return new ProxyError('proxy-refused', `The outgoing proxy ${proxy.host} cannot be used (${reasonOf(fault)})`, {
    todo: `check HTTPS_PROXY or \`proxy\` of the ${wordsFor(destination).owner}; \`proxy: none\` goes around it`,
    cause: fault,
  });
}

/** A host that an upstream named, which turns out to be in this machine's own network. */
export function notPublic({ origin }: Destination): ProxyError {
  return new ProxyError(
    'target-refused',
    `The upstream names ${origin.host} for this, which leads to a private address, one of this machine, or one of its cloud's own services`,
    { todo: `if the upstream keeps objects there, list ${origin.host} under \`lfs: { hosts: [...] }\` in the configuration` },
  );
}

/** A host to which no TCP connection came about. */
export function unreachable(destination: Destination, fault: Error): ProxyError {
  const { origin } = destination;
  const short = outOfFiles(fault, origin.host);
  if (short !== undefined) return short;
  const { name, address, party, owner } = wordsFor(destination);
  const code = systemCodeOf(fault);
  let todo = `check the network and that ${party} is running; behind a corporate proxy set HTTPS_PROXY for the daemon`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    todo = owner === 'route' ? 'check the host name and the DNS of this machine' : `check ${address} and the DNS of this machine`;
  else if (code === 'ECONNREFUSED' && owner === 'identity')
    todo = `nothing listens there: check ${address}; behind a corporate proxy set HTTPS_PROXY for the daemon`;
  return new ProxyError('upstream-unreachable', `${atStart(name)} cannot be reached (${reasonOf(fault)})`, { todo, cause: fault });
}

/** A handshake that ended without a word. */
export function closedInHandshake(destination: Destination): ProxyError {
  const { name, party } = wordsFor(destination);
  return new ProxyError('upstream-tls', `${atStart(name)} closed the connection during the TLS handshake`, {
    todo: `check that ${party} speaks TLS 1.2 or newer on this port`,
  });
}

/**
 * A handshake that failed.
 * @param shown The certificate that was shown; undefined when it did not come so far
 * @param now ms since the epoch, for texts about certificates' times
 */
export function tlsFault(destination: Destination, fault: Error, shown: PeerCertificate | undefined, now: number): ProxyError {
  const code = systemCodeOf(fault) ?? '';
  if (code === 'ECONNRESET' || code === 'EPIPE' || code === 'ECONNREFUSED') return unreachable(destination, fault);
  const { origin } = destination;
  const { name, owner, address, party } = wordsFor(destination);
  let reason = reasonOf(fault);
  let todo = `check that ${party} speaks TLS 1.2 or newer on this port`;
  if (/UNABLE_TO|SELF_SIGNED|UNTRUSTED|ISSUER/.test(code)) {
    const issuer = issuerOf(shown);
    if (issuer !== undefined) reason = `${reason}; its certificate is from ${issuer}`;
    todo = isPublicHost(origin.hostname)
      ? `something between here and ${origin.host} opens TLS connections, most likely a proxy of your company: name the PEM file of its authority in \`ca\` of the ${owner}`
      : `if the certificate is from a company authority, name its PEM file in \`ca\` of the ${owner}; if a proxy intercepts TLS, name that one`;
  } else if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    reason = `${code}: its certificate is for ${namesOf(shown)}`;
    todo = `the certificate is for another name: check ${address}`;
  } else if (code === 'CERT_HAS_EXPIRED') {
    if (shown !== undefined) reason = `${reason} on ${dateOf(shown.valid_to)}`;
    todo = `renew the certificate of ${party}, or check the clock of this machine (it says ${new Date(now).toISOString()})`;
  } else if (code === 'CERT_NOT_YET_VALID') {
    if (shown !== undefined) reason = `${reason}, only from ${dateOf(shown.valid_from)} on`;
    todo = `check the clock of this machine (it says ${new Date(now).toISOString()}): it is most likely behind`;
  }
  return new ProxyError('upstream-tls', `The TLS connection to ${name} failed (${reason})`, { todo, cause: fault });
}

/** An answer that did not come to its end, or did not begin. */
export function unanswered(destination: Destination, fault: Error): ProxyError {
  const { name, address } = wordsFor(destination);
  return new ProxyError('upstream-broken', `${atStart(name)} broke off before it had answered (${reasonOf(fault)})`, {
    todo: `try again; if it stays, check ${address} and see whether something between here and it cuts connections`,
    cause: fault,
  });
}

/** A connection that stands, and on which nothing comes. `silentMs`: for how long. */
export function silent(destination: Destination, silentMs: number): ProxyError {
  const { name, address } = wordsFor(destination);
  return new ProxyError('upstream-timeout', `${atStart(name)} took the connection and did not answer within ${silentMs / 1000} s`, {
    todo: `check ${address} and what stands between here and it, or raise timeouts.token`,
  });
}

/** An answer that goes on and on. `longestBytes`: how much of it is read. */
export function tooLong(destination: Destination, longestBytes: number): ProxyError {
  const { name, address } = wordsFor(destination);
  return new ProxyError('upstream-error', `${atStart(name)} answered with more than ${longestBytes / 1024 / 1024} MiB, which is not read`, {
    todo: `ask for less at once; if that is little, check ${address} and what answers there`,
  });
}

/** Code and text of a fault, the code once. OpenSSL's own message is an address in memory and a line of its source around the `reason`. */
function reasonOf(fault: Error): string {
  const code = systemCodeOf(fault);
  const message = 'reason' in fault && typeof fault.reason === 'string' && 'library' in fault ? fault.reason : messageOf(fault);
  return code === undefined || message.includes(code) ? message : `${code}: ${message}`;
}

/** The first names of a certificate: it is a stranger's text, and may be long. */
function namesOf(shown: PeerCertificate | undefined): string {
  const names = (shown?.subjectaltname ?? '').split(', ').map((name) => name.replace(/^[A-Za-z ]+:/, ''));
  const more = names.length > NAMES_SHOWN ? ', ...' : '';
  return names[0] === '' ? 'no name' : `${plain(names.slice(0, NAMES_SHOWN).join(', '))}${more}`;
}

/** The name of who issued it, as a certificate has it. */
function issuerOf(shown: PeerCertificate | undefined): string | undefined {
  const name = nameIn(shown?.issuer);
  return name === undefined ? undefined : `"${plain(name)}"`;
}

/** What a certificate calls somebody, printable and of bounded length. */
export function shownName(party: PeerCertificate['subject']): string {
  return plain(nameIn(party) ?? 'no name');
}

/** A certificate may lack each part, whatever Node's types say. */
function nameIn(party: Partial<Record<'CN' | 'O', string | string[]>> | undefined): string | undefined {
  return [party?.CN ?? party?.O].flat()[0];
}

/** Whether every system trusts the certificates of a host. */
export function isPublicHost(hostname: string): boolean {
  return PUBLIC_HOSTS.test(hostname);
}

/** Without what a terminal would act on. */
function plain(text: string): string {
  return text.replace(/\p{C}/gu, ' ').slice(0, LONGEST_NAME);
}

function dateOf(text: string): string {
  const time = new Date(text);
  return Number.isNaN(time.getTime()) ? text : time.toISOString();
}

function atStart(name: string): string {
  return name.startsWith('the ') ? `T${name.slice(1)}` : name;
}
