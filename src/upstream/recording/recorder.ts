/**
 * Makes the upstream's part of a record: asks, one after the other, what git, git-lfs and a client of the REST API ask first, with the
 * credential of the route, and keeps the shapes of it. Nothing is stored upstream: an upload is asked about and not made.
 */
import { LFS_MEDIA_TYPE } from '../../git/lfs-request.js';
import { FLUSH_PACKET, writePacket } from '../../git/pkt-line.js';
import { smartSuffix } from '../../git/smart-http.js';
import { repositoryEntry } from '../../hosts/api-read.js';
import type { RepoAddress } from '../../model/address.js';
import type { Credential } from '../../model/credential.js';
import { messageOf, ProxyError } from '../../model/errors.js';
import type { Exchange, ExchangeStep, RoadRecord, TlsShape } from '../../model/exchange-record.js';
import type { Permission } from '../../model/operation.js';
import type { Route } from '../../model/settings.js';
import { authorizationOf } from '../authorization.js';
import { wayOf } from '../journey.js';
import type { OwnRequests } from '../own-requests.js';
import type { TlsFacts } from '../probes.js';
import type { Throttle } from '../throttle.js';
import { NameNumbers } from './address-shapes.js';
import { bodyShape } from './body-shapes.js';
import { headerShapes } from './header-shapes.js';
import { type RawExchange, rawExchange, type RawLimits, type RawRequest } from './raw-exchange.js';
import { codesIn } from './text-shapes.js';

const DAY_MS = 24 * 60 * 60 * 1000;
/** SHA-256 of nothing, of which nothing is ever sent. */
const NO_OBJECT = { oid: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', size: 1 };
/** What git says of itself; some servers answer others in another way. */
const GIT = { 'user-agent': 'git/2.39.5', accept: '*/*' };
const V2 = { ...GIT, 'git-protocol': 'version=2' };
const LFS = { 'user-agent': 'git/2.39.5', accept: LFS_MEDIA_TYPE, 'content-type': LFS_MEDIA_TYPE };
/** Otherwise what is refused is sent to a page for browsers. */
const AZURE = { 'x-tfs-fedauthredirect': 'Suppress' };

export interface RecorderParts extends RawLimits {
  readonly requests: Pick<OwnRequests, 'credentialFor'>;
  readonly throttle: Throttle;
}

/** The road that is recorded. */
export interface RecordedRoad {
  readonly address: RepoAddress;
  readonly route: Route;
  /** Kind of its identity. */
  readonly identityKind: string;
  /** The address was one of SSH; `isSigned`: and an agent signs for it, so that nothing goes over HTTPS. */
  readonly isSsh: boolean;
  readonly isSigned: boolean;
}

/** What is asked at a step, and what the route has to allow for it. */
interface Asked {
  readonly step: ExchangeStep;
  readonly needs: readonly Permission[];
  readonly method: 'GET' | 'POST';
  /** Behind the path of the repository, or from the base of the upstream on. */
  readonly below: { readonly repository: string } | { readonly base: string };
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

export class Recorder {
  readonly #parts: RecorderParts;

  constructor(parts: RecorderParts) {
    this.#parts = parts;
  }

  /** What fails is in the record; nothing is thrown for it. @throws ProxyError `upstream-throttled` while the upstream wants no request */
  async record(recorded: RecordedRoad): Promise<RoadRecord> {
    const { address, route, identityKind, isSsh, isSigned } = recorded;
    const way = wayOf(address, route);
    const road: RoadRecord['road'] = {
      hostKind: address.kind,
      spelling: isSsh ? 'ssh' : 'https',
      ssh: route.ssh.kind,
      allow: route.allow,
      identity: identityKind,
      hasUpstream: route.upstream !== undefined,
      hasCa: route.ca !== undefined,
      hasProxy: route.proxy !== undefined && route.proxy !== 'none',
    };
    const began = performance.now();
    const since = (): number => Math.round(performance.now() - began);
    if (this.#parts.throttle.waitFor(`${way.origin.host} ${address.organisation ?? ''} ${route.identity}`) > 0) {
      throw new ProxyError('upstream-throttled', 'The upstream wants no request of this identity for now', {
        todo: 'try again when `postern status` shows no throttle',
      });
    }
    let credential: Credential;
    try {
      credential = await this.#parts.requests.credentialFor(
        { identity: route.identity, route, hostKind: address.kind, organisation: address.organisation },
        new URL(way.path, way.origin),
      );
    } catch (thrown) {
      const details = thrown instanceof ProxyError ? thrown.details : [];
      const codes = codesIn([messageOf(thrown), ...details].join(' '));
      const code = thrown instanceof ProxyError ? thrown.code : 'internal';
      return { road, credential: { outcome: 'failed', code, codes, ms: since() }, exchanges: [], endedBy: 'no-credential' };
    }
    const made: RoadRecord['credential'] = { outcome: 'made', kind: credential.kind, ms: since() };
    if (isSigned) return { road, credential: made, exchanges: [], endedBy: 'not-over-https' };
    return { road, credential: made, ...(await this.#walk(recorded, credential)) };
  }

  async #walk({ address, route }: RecordedRoad, credential: Credential): Promise<Pick<RoadRecord, 'exchanges' | 'endedBy'>> {
    const { origin, basePath, path } = wayOf(address, route);
    const authorization = authorizationOf(credential);
    const names = new NameNumbers();
    const exchanges: Exchange[] = [];
    let hasV2 = false;
    let format: string | undefined;
    for (const asked of stepsOf(address, () => ({ hasV2, format }))) {
      if (!asked.needs.every((each) => route.allow.includes(each))) continue;
      const target = 'base' in asked.below ? `${basePath}${asked.below.base}` : `${path}${asked.below.repository}`;
      const request: RawRequest = {
        method: asked.method,
        url: new URL(target, origin),
        headers: {
          ...asked.headers,
          ...(address.kind === 'generic' ? {} : AZURE),
          ...(authorization === undefined || asked.step === 'anonymous' ? {} : { authorization }),
        },
        body: asked.body,
      };
      const raw = await rawExchange(request, route, this.#parts);
      exchanges.push(shaped(asked, request, raw, names.shape(origin, target)));
      if (asked.step === 'fetch-refs-v2') {
        const text = raw.answer?.body.toString('latin1') ?? '';
        hasV2 = /version 2\n/.test(text);
        format = /object-format=(sha1|sha256)/.exec(text)?.[1];
      }
      if (raw.answer?.status === 429) return { exchanges, endedBy: 'throttled' };
      if (raw.answer === undefined && raw.connectMs === 0) return { exchanges, endedBy: 'unreachable' };
    }
    return { exchanges };
  }
}

/** In their order; `told` is asked when an answer to the first is there. */
function* stepsOf(address: RepoAddress, told: () => { readonly hasV2: boolean; readonly format: string | undefined }): Generator<Asked> {
  const advertised = smartSuffix('git-upload-pack', 'advertisement');
  const get = (step: ExchangeStep, needs: readonly Permission[], repository: string, headers: Asked['headers']): Asked => ({
    ...{ step, needs, headers, method: 'GET', below: { repository } },
  });
  yield get('anonymous', ['fetch'], advertised, GIT);
  yield get('fetch-refs-v2', ['fetch'], advertised, V2);
  yield get('fetch-refs-v0', ['fetch'], advertised, GIT);
  const { hasV2, format } = told();
  yield {
    step: 'upload-pack',
    needs: ['fetch'],
    method: 'POST',
    below: { repository: smartSuffix('git-upload-pack', 'exchange') },
    headers: {
      ...(hasV2 ? V2 : GIT),
      'content-type': 'application/x-git-upload-pack-request',
      accept: 'application/x-git-upload-pack-result',
    },
    // A server without version 2 is asked for nothing: what it has is in its first answer.
    body: hasV2 ? lsRefs(format) : FLUSH_PACKET,
  };
  yield get('push-refs', ['push'], smartSuffix('git-receive-pack', 'advertisement'), GIT);
  const lfs = `${address.path.endsWith('.git') ? '' : '.git'}/info/lfs`;
  const post = (step: ExchangeStep, needs: readonly Permission[], call: string, body: object): Asked => ({
    ...{ step, needs, headers: LFS, method: 'POST', below: { repository: `${lfs}/${call}` } },
    body: Buffer.from(JSON.stringify(body)),
  });
  const batch = (operation: string): object => ({ operation, transfers: ['basic'], objects: [NO_OBJECT], hash_algo: 'sha256' });
  yield post('lfs-download', ['lfs', 'fetch'], 'objects/batch', batch('download'));
  yield post('lfs-upload', ['lfs', 'push'], 'objects/batch', batch('upload'));
  yield post('lfs-locks', ['lfs', 'push'], 'locks/verify', {});
  const entry = repositoryEntry(address);
  if (entry !== undefined) {
    const headers = { 'user-agent': 'git/2.39.5', accept: 'application/json' };
    yield { step: 'rest-repository', needs: ['api'], method: 'GET', below: { base: entry }, headers };
  }
}

/** The command that lists one ref (gitprotocol-v2 "ls-refs"). */
function lsRefs(format: string | undefined): Buffer {
  const capabilities = format === undefined ? [] : [writePacket(`object-format=${format}`)];
  return Buffer.concat([
    writePacket('command=ls-refs\n'),
    ...capabilities,
    Buffer.from('0001'),
    writePacket('symrefs\n'),
    writePacket('ref-prefix HEAD\n'),
    FLUSH_PACKET,
  ]);
}

function shaped({ step }: Asked, { method, headers, body, url }: RawRequest, raw: RawExchange, shownUrl: string): Exchange {
  const { answer, tls, fault, system, connectMs, ms } = raw;
  const sent = Object.entries(headers);
  return {
    step,
    request: {
      method,
      url: shownUrl,
      headers: headerShapes(sent, url),
      body: bodyShape(headers['content-type'] ?? '', body ?? Buffer.alloc(0)),
    },
    tls: tls && tlsShape(tls),
    response: answer && {
      status: answer.status,
      headers: headerShapes(answer.headers, url),
      body: bodyShape(typeOf(answer.headers), answer.body),
      ...(answer.isCut ? { isCut: true } : {}),
    },
    fault: fault && { code: fault.code, system },
    connectMs,
    ms,
  };
}

function typeOf(headers: readonly (readonly [name: string, value: string])[]): string {
  return headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
}

function tlsShape({ protocol, chain, isPublicAuthority, validTo }: TlsFacts): TlsShape {
  return { protocol, chainLength: chain.length, isPublicAuthority, daysLeft: Math.floor((validTo - Date.now()) / DAY_MS) };
}
