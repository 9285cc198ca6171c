/** Git LFS as it goes over the wire, for tests that are no git-lfs: a batch is asked for, and what it names is used by hand. */
import { type Agent } from 'node:http';
import { ask, type PlainAnswer } from './plain-request.js';

export const LFS_TYPE = 'application/vnd.git-lfs+json';

export interface WireAction {
  readonly href: string;
  readonly header?: Readonly<Record<string, string>>;
  readonly expires_in?: number;
}

export interface WireObject {
  readonly oid: string;
  readonly actions?: Readonly<Partial<Record<'upload' | 'download' | 'verify', WireAction>>>;
  readonly error?: { readonly code: number; readonly message: string };
}

/** A client at the LFS endpoint of one repository, such as `http://127.0.0.1:8417/dev.azure.com/contoso/Payments/_git/web`. */
export class LfsWire {
  readonly #endpoint: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #agent: Agent | undefined;

  constructor(
    repository: string,
    { lease, authorization, agent }: { lease?: string | undefined; authorization?: string | undefined; agent?: Agent } = {},
  ) {
    this.#endpoint = `${repository}.git/info/lfs`;
    this.#headers = {
      ...(lease === undefined ? {} : { 'x-postern-lease': lease }),
      ...(authorization === undefined ? {} : { authorization }),
    };
    this.#agent = agent;
  }

  /** Sends JSON to a path of the endpoint, such as `/locks`. */
  post(path: string, body: unknown): Promise<PlainAnswer> {
    return this.send(`${this.#endpoint}${path}`, { method: 'POST', body: JSON.stringify(body) });
  }

  /** Sends to an address, as this client. */
  send(url: string, { method = 'GET', body }: { method?: string; body?: string | Buffer } = {}): Promise<PlainAnswer> {
    const type = body === undefined ? {} : { 'content-type': LFS_TYPE, 'content-length': String(Buffer.byteLength(body)) };
    return ask(url, {
      method,
      headers: { accept: LFS_TYPE, ...type, ...this.#headers },
      ...(body === undefined ? {} : { body }),
      ...(this.#agent === undefined ? {} : { agent: this.#agent }),
    });
  }

  batch(operation: 'upload' | 'download', oids: readonly string[], size = 1000): Promise<PlainAnswer> {
    return this.post('/objects/batch', {
      operation,
      transfers: ['basic'],
      objects: oids.map((oid) => ({ oid, size })),
      hash_algo: 'sha256',
    });
  }

  /** The objects of a batch answer that must be one. */
  async objects(operation: 'upload' | 'download', oids: readonly string[]): Promise<readonly WireObject[]> {
    const answer = await this.batch(operation, oids);
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.body.toString('utf8')}`);
    return (JSON.parse(answer.body.toString('utf8')) as { objects: WireObject[] }).objects;
  }

  /** The address that a batch answer names for an action. */
  async address(action: 'upload' | 'download' | 'verify', oid: string): Promise<string> {
    const [object] = await this.objects(action === 'download' ? 'download' : 'upload', [oid]);
    const href = object?.actions?.[action]?.href;
    if (href === undefined) throw new Error(`no ${action} of ${oid}: ${JSON.stringify(object)}`);
    return href;
  }
}

/** The message of a refusal of LFS. */
export function messageOf(answer: PlainAnswer): string {
  return (JSON.parse(answer.body.toString('utf8')) as { message: string }).message;
}
