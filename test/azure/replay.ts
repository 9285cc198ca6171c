/**
 * Plays a record of `postern doctor record`: answers what it holds an answer to with the recorded status, headers and a body of the recorded
 * shape. What was well then is answered by the emulator itself, from a repository that is made for it: a record has no content to give.
 */
import { randomUUID } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http';
import { json } from 'node:stream/consumers';
import type {
  BodyShape,
  Exchange as Recorded,
  ExchangeRecord,
  ExchangeStep,
  JsonShape,
  PacketShape,
} from '../../src/model/exchange-record.js';
import { writePacket } from '../../src/git/pkt-line.js';
import type { Address } from './addresses.js';
import { claimsChallenge } from './azure-answers.js';
import type { Exchange } from './journal.js';

/** Of the transport, which makes them itself; a length would be that of another body. */
const NOT_REPLAYED: ReadonlySet<string> = new Set([
  'content-length',
  'content-encoding',
  'connection',
  'date',
  'keep-alive',
  'transfer-encoding',
]);
const LEFT_OUT = 'words that were left out of the record';
/** An object id, where one has to stand. */
const SOME_ID = '5ca1ab1e'.repeat(5);
/** Bodies are filled up to the recorded length, within reason. */
const MOST_BYTES = 256 * 1024;

/** The tenant of an organisation, for what stands where the record has a shape. */
export interface ReplayScene {
  readonly tenant: string;
}

export class Replay {
  readonly #exchanges: ReadonlyMap<ExchangeStep, Recorded>;
  readonly #last: Recorded | undefined;
  readonly #isThrottled: boolean;

  constructor({ exchanges, endedBy }: Pick<ExchangeRecord, 'exchanges' | 'endedBy'>) {
    this.#exchanges = new Map(exchanges.map((each) => [each.step, each]));
    this.#last = exchanges.at(-1);
    this.#isThrottled = endedBy !== undefined;
  }

  /** Answers the request if the record has something else for it than success; true when it has. */
  async answer(exchange: Exchange, address: Address, { tenant }: ReplayScene): Promise<boolean> {
    const step = await this.#stepOf(exchange, address);
    if (step === undefined) return false;
    // Nothing was asked any more when the upstream had said that it wants no more, or was not there.
    const recorded = this.#exchanges.get(step.name) ?? (this.#isThrottled ? this.#last : undefined);
    const isGood = recorded === undefined || isWell(recorded);
    if (isGood && step.body === undefined) return false;
    if (isGood) {
      sendJson(exchange, lfsSuccess(step.name, step.body));
      return true;
    }
    const { response } = recorded;
    if (response === undefined) {
      exchange.cut();
      return true;
    }
    const headers = headersOf(response.headers, tenant, exchange);
    const body = bodyOf(response.body);
    if (response.isCut !== true) {
      if (!isFramed(response.headers)) {
        exchange.response.shouldKeepAlive = false;
        exchange.response.useChunkedEncodingByDefault = false;
        exchange.begin(response.status, headers);
        exchange.response.end(body);
      } else exchange.answer(response.status, headers, body);
      return true;
    }
    exchange.begin(response.status, headers);
    exchange.response.flushHeaders();
    await new Promise<void>((resolve) => void exchange.response.write(body.length === 0 ? '0' : body, () => resolve()));
    exchange.cut();
    return true;
  }

  /** Which recorded request it is. The body of a batch is read, when it matters which one it is. */
  async #stepOf({ request }: Exchange, address: Address): Promise<{ readonly name: ExchangeStep; readonly body?: unknown } | undefined> {
    const { step, service, rest } = address;
    if (step === 'advertisement') {
      if (service === 'git-receive-pack') return { name: 'push-refs' };
      if (request.headers.authorization === undefined) return { name: 'anonymous' };
      return { name: request.headers['git-protocol']?.includes('version=2') === true ? 'fetch-refs-v2' : 'fetch-refs-v0' };
    }
    if (step === 'exchange' && service === 'git-upload-pack') return { name: 'upload-pack' };
    if (step === 'lfs' && rest === '/info/lfs/locks/verify') return { name: 'lfs-locks' };
    if (step === 'lfs' && rest === '/info/lfs/objects/batch') {
      const both = [this.#exchanges.get('lfs-download'), this.#exchanges.get('lfs-upload')];
      if (both.every((each) => each === undefined || isWell(each)) && !this.#isThrottled) return undefined;
      const body = await json(request).catch(() => undefined);
      const operation = (body as { operation?: unknown } | undefined)?.operation; // whatever it is, it is compared
      return { name: operation === 'upload' ? 'lfs-upload' : 'lfs-download', body };
    }
    if (/\/_apis\/git\/repositories\/[^/?]+(?:\?|$)/.test(request.url ?? '')) return { name: 'rest-repository', body: {} };
    return undefined;
  }
}

/** Whether an answer was what was asked for; of who shows no credential a 401 is. */
function isWell({ step, response }: Recorded): boolean {
  if (response === undefined || response.isCut === true) return false;
  const { status, body } = response;
  if (step === 'anonymous' && status === 401) return true;
  if (status !== 200) return false;
  if (!isFramed(response.headers)) return false;
  if (body.kind === 'packets') return !body.packets.some(({ kind }) => kind === 'error');
  // Asked for nothing, a server without version 2 says nothing.
  if (step === 'upload-pack') return body.kind === 'none';
  return body.kind === 'json' && !step.startsWith('fetch') && step !== 'push-refs';
}

function isFramed(headers: readonly string[]): boolean {
  return headers.some((each) => /^(?:content-length|transfer-encoding): /.test(each));
}

function lfsSuccess(step: ExchangeStep, asked: unknown): object {
  if (step === 'rest-repository') {
    const project = { id: randomUUID(), name: 'project', state: 'wellFormed' };
    return { id: randomUUID(), name: 'repository', project, size: 0, isDisabled: false };
  }
  const { objects } = (asked ?? {}) as { objects?: readonly { oid: string; size: number }[] }; // doctor and git-lfs send no other
  return { transfer: 'basic', objects: (objects ?? []).map((each) => ({ ...each, error: { code: 404, message: LEFT_OUT } })) };
}

function sendJson(exchange: Exchange, value: object): void {
  exchange.answer(200, { 'Content-Type': 'application/json; charset=utf-8' }, JSON.stringify(value));
}

function headersOf(shapes: readonly string[], tenant: string, { request }: Exchange): OutgoingHttpHeaders {
  const headers: Record<string, string | string[]> = {};
  for (const shape of shapes) {
    const end = shape.indexOf(': ');
    const [name, value] = [shape.slice(0, end), shape.slice(end + 2)];
    if (NOT_REPLAYED.has(name) || name.startsWith('<')) continue;
    const made = headerValue(name, value, tenant, request.headers.host ?? '');
    headers[name] = name in headers ? [headers[name] ?? '', made].flat() : made;
  }
  return headers;
}

function headerValue(name: string, value: string, tenant: string, host: string): string | string[] {
  if (name === 'x-vss-resourcetenant' && value === '<guid>') return tenant;
  if (name === 'www-authenticate') return value.split(', ').map((scheme) => challenge(scheme, tenant));
  if (name === 'location') {
    const base = value.startsWith('<same host') ? `https://${host}` : 'https://other.example.com';
    return `${base}/${value.includes('sign-in') ? '_signin' : 'elsewhere'}`;
  }
  const made = textOf(value);
  return name === 'x-tfs-serviceerror' || name === 'x-tfs-soapexception' ? encodeURIComponent(made) : made;
}

function challenge(scheme: string, tenant: string): string {
  if (scheme === 'Bearer insufficient_claims') return claimsChallenge(tenant);
  if (scheme.startsWith('Bearer')) return `Bearer authorization_uri=https://login.microsoftonline.com/${tenant}`;
  return scheme === 'Basic' ? 'Basic realm="recorded"' : scheme;
}

/** A text of the kind that a shape tells of; what is no shape stands as it is. */
function textOf(shape: string): string {
  const [, kind, codes] = /^<([a-z0-9]+)[^:>]*(?:: ([^>]*))?>$/.exec(shape) ?? [];
  switch (kind) {
    case undefined:
      return shape;
    case 'guid':
      return randomUUID();
    case 'date':
      return new Date().toUTCString();
    case 'url':
      return 'https://recorded.example.com/';
    default:
      return codes === undefined ? LEFT_OUT : `${codes.split(' ').join(': ')}: ${LEFT_OUT}`;
  }
}

function bodyOf(shape: BodyShape): Buffer {
  switch (shape.kind) {
    case 'none':
      return Buffer.alloc(0);
    case 'packets':
      return Buffer.concat(shape.packets.map(packetOf));
    case 'json':
      return Buffer.from(JSON.stringify(jsonOf(shape.json)));
    case 'html': {
      const words = shape.isSignIn ? 'Sign in' : LEFT_OUT;
      return filled(
        `<!DOCTYPE html>\n<html><head><title>${textOf(shape.title)}</title></head>\n<body>${words}</body></html>\n`,
        shape.bytes,
      );
    }
    case 'text':
      return filled(`${textOf(shape.text)}\n`, shape.bytes);
    case 'binary':
      return Buffer.alloc(Math.min(shape.bytes, MOST_BYTES));
  }
}

function filled(text: string, bytes: number): Buffer {
  return Buffer.from(text.padEnd(Math.min(bytes, MOST_BYTES), ' '));
}

function packetOf(shape: PacketShape): Buffer {
  switch (shape.kind) {
    case 'flush':
      return Buffer.from('0000');
    case 'delimiter':
      return Buffer.from('0001');
    case 'response-end':
      return Buffer.from('0002');
    case 'service':
      return writePacket(`# service=${shape.name}\n`);
    case 'version':
      return writePacket(`version ${shape.version}\n`);
    case 'command':
      return writePacket(`command=${shape.name}\n`);
    case 'capability':
      return writePacket(`${shape.name}${shape.value === undefined ? '' : `=${textOf(shape.value)}`}\n`);
    case 'refs': {
      const first = `${SOME_ID} HEAD${shape.capabilities.length === 0 ? '' : `\0${shape.capabilities.map(textOf).join(' ')}`}\n`;
      return Buffer.concat(
        Array.from({ length: shape.count }, (_, at) => writePacket(at === 0 ? first : `${SOME_ID} refs/heads/recorded-${at}\n`)),
      );
    }
    case 'error':
      return writePacket(`ERR ${textOf(shape.text)}`);
    case 'other':
      return Buffer.alloc(Math.min(shape.bytes, MOST_BYTES));
  }
}

function jsonOf(shape: JsonShape): unknown {
  if (typeof shape === 'string') return shape === '<number>' || /^[0-9]{3}$/.test(shape) ? Number(shape) || 0 : textOf(shape);
  if (typeof shape !== 'object' || shape === null) return shape;
  if (Array.isArray(shape)) return (shape as readonly JsonShape[]).slice(0, 1).map(jsonOf);
  return Object.fromEntries(Object.entries(shape).map(([key, value]) => [key, jsonOf(value)]));
}
