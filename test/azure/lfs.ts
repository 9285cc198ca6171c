/**
 * The LFS endpoint of the git hosts with Azure Repos' shapes: batch, objects, verification, locks. Addresses in answers are those of
 * the real hosts, so that a client that follows them leaves whatever stands in between. Who may come in is decided elsewhere.
 */
import { json } from 'node:stream/consumers';
import { answerHtml, azureHeaders, NOT_FOUND_PAGE, repositoryMissing } from './azure-answers.js';
import type { Address } from './addresses.js';
import type { BlobStorage } from './blob-storage.js';
import type { Exchange } from './journal.js';
import {
  answerLfs,
  answerLfsFault,
  LFS_TYPE,
  type LfsAction,
  type LfsActionName,
  type LfsBatchObject,
  messageOf,
  objectHref,
  refuseLfs,
} from './lfs-answers.js';
import { type LfsCall, readLfsCall } from './lfs-calls.js';
import { LfsFaultBook } from './lfs-faults.js';
import { LfsLocks } from './lfs-locks.js';
import { LfsTransfers } from './lfs-transfers.js';

export interface LfsScene {
  readonly exchange: Exchange;
  readonly address: Address;
  /** Canonical name of a repository that is there. */
  readonly repository: string | undefined;
  /** The user, or undefined where the request may not do that; it has been answered then. */
  readonly admit: (isWrite: boolean) => string | undefined;
  /** Answers as to a request without a credential. */
  readonly unauthorized: () => void;
}

/** One batch call as it came. */
export interface SeenBatch {
  readonly repository: string;
  readonly operation: string;
  readonly oids: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;

export class Lfs {
  readonly faults = new LfsFaultBook();
  readonly locks = new LfsLocks();
  readonly transfers: LfsTransfers;
  readonly batches: SeenBatch[] = [];
  /** Where the objects' addresses lead: the git host, the storage account, or to the host and from there by redirect (downloads). */
  road: 'host' | 'storage' | 'redirect' = 'host';
  /** Batch answers ask for uploads in chunks. */
  asksChunked = true;
  /** Batch answers name a `verify` action besides uploads. */
  asksVerify = false;
  /** A credential of its own that batch answers give to their addresses, as some servers do. */
  actionAuthorization: string | undefined;
  /** `expires_in` of actions, seconds; Azure gives none. */
  expiresInSeconds: number | undefined;
  /** Most objects of one batch. */
  mostObjects = 1000;
  /** Changes an action before it is told: a server that lies. */
  tamper: ((action: LfsAction, name: LfsActionName, oid: string) => LfsAction) | undefined;
  /** Called when a batch has been answered. */
  whenBatched: (() => void) | undefined;
  readonly #storage: BlobStorage;

  constructor(storage: BlobStorage) {
    this.#storage = storage;
    this.transfers = new LfsTransfers(storage);
  }

  async answer(scene: LfsScene): Promise<void> {
    const { exchange, address } = scene;
    const { request } = exchange;
    const user = scene.admit(false);
    if (user === undefined) return;
    const call = readLfsCall(request.method ?? '', address.rest);
    if (call === undefined) {
      answerHtml(exchange, 404, NOT_FOUND_PAGE);
      return;
    }
    const { repository } = scene;
    if (repository === undefined) {
      refuseLfs(exchange, 404, repositoryMissing(address.leaf));
      return;
    }
    const fault = this.faults.take(call.step, 'oid' in call ? call.oid : '*');
    if (fault !== undefined && answerLfsFault(exchange, fault, scene.unauthorized)) return;
    switch (call.step) {
      case 'upload':
        if (scene.admit(true) === undefined) return;
        await this.transfers.upload(exchange, repository, call.oid, fault);
        return;
      case 'download':
        if (this.road === 'redirect') {
          const Location = this.#storage.href(this.transfers.blobOf(repository, call.oid), 'r');
          exchange.answer(302, { ...azureHeaders(), Location });
        } else await this.transfers.download(exchange, repository, call.oid, fault);
        return;
      case 'list-locks': {
        const query = new URLSearchParams((request.url ?? '').split('?', 2)[1]);
        const value = (name: string): string | undefined => query.get(name) ?? undefined;
        const limit = value('limit');
        const filter = { path: value('path'), id: value('id'), cursor: value('cursor') };
        answerLfs(exchange, 200, this.locks.page(repository, { ...filter, ...(limit === undefined ? {} : { limit: Number(limit) }) }));
        return;
      }
      case 'batch':
      case 'verify':
      case 'create-lock':
      case 'verify-locks':
      case 'unlock':
        await this.#answerPosted(scene, call, repository, user);
    }
  }

  async #answerPosted(scene: LfsScene, call: LfsCall, repository: string, user: string): Promise<void> {
    const { exchange } = scene;
    const { request } = exchange;
    if (!(request.headers['content-type'] ?? '').startsWith(LFS_TYPE)) {
      refuseLfs(exchange, 415, `The body must be ${LFS_TYPE}`);
      return;
    }
    const body = fieldsOf(await json(request).catch(() => undefined));
    if (body === undefined) {
      refuseLfs(exchange, 422, 'The body is not what this call takes');
      return;
    }
    const isWrite = call.step === 'batch' ? body['operation'] === 'upload' : call.step !== 'verify-locks';
    if (isWrite && scene.admit(true) === undefined) return;
    if (call.step === 'batch') await this.#batch(scene, repository, body);
    else if (call.step === 'verify') await this.#verify(exchange, repository, call.oid, body);
    else this.#lock(exchange, call, { repository, user, body });
  }

  async #batch({ exchange, address }: LfsScene, repository: string, body: Fields): Promise<void> {
    const { operation } = body;
    const wanted = readObjects(body['objects']);
    if ((operation !== 'upload' && operation !== 'download') || wanted === undefined) {
      refuseLfs(exchange, 422, 'A batch needs an operation and objects');
      return;
    }
    this.batches.push({ repository, operation, oids: wanted.map(({ oid }) => oid) });
    if (wanted.length > this.mostObjects) {
      refuseLfs(exchange, 413, `A batch must not have more than ${this.mostObjects} objects`);
      return;
    }
    const objects = await Promise.all(wanted.map((each) => this.#batchObject(address, repository, operation, each)));
    answerLfs(exchange, 200, { transfer: 'basic', objects });
    this.whenBatched?.();
  }

  async #batchObject(
    address: Address,
    repository: string,
    operation: 'upload' | 'download',
    { oid, size }: { readonly oid: string; readonly size: number },
  ): Promise<LfsBatchObject> {
    const fault = this.faults.take('object-in-batch', oid);
    if (fault?.kind === 'status') return { oid, size, error: { code: fault.status, message: fault.message ?? messageOf(fault.status) } };
    const isThere = (await this.transfers.sizeOf(repository, oid)) !== undefined;
    if (operation === 'download') {
      if (!isThere) return { oid, size, error: { code: 404, message: messageOf(404) } };
      return { oid, size, actions: { download: this.#action(address, repository, 'download', oid) } };
    }
    if (isThere) return { oid, size };
    const upload = this.#action(address, repository, 'upload', oid);
    return { oid, size, actions: this.asksVerify ? { upload, verify: this.#action(address, repository, 'verify', oid) } : { upload } };
  }

  #action(address: Address, repository: string, name: LfsActionName, oid: string): LfsAction {
    const isStored = this.road === 'storage' && name !== 'verify';
    const header: Record<string, string> = {
      ...(isStored && name === 'upload' ? { 'x-ms-blob-type': 'BlockBlob' } : {}),
      ...(!isStored && name === 'upload' && this.asksChunked ? { 'Transfer-Encoding': 'chunked' } : {}),
      ...(this.actionAuthorization === undefined || isStored ? {} : { Authorization: this.actionAuthorization }),
    };
    const href = isStored
      ? this.#storage.href(this.transfers.blobOf(repository, oid), name === 'upload' ? 'w' : 'r')
      : objectHref(address, oid) + (name === 'verify' ? '/verify' : '');
    const action = { href, header, ...(this.expiresInSeconds === undefined ? {} : { expires_in: this.expiresInSeconds }) };
    return this.tamper?.(action, name, oid) ?? action;
  }

  async #verify(exchange: Exchange, repository: string, oid: string, body: Fields): Promise<void> {
    const size = await this.transfers.sizeOf(repository, oid);
    if (body['oid'] !== oid || size === undefined) refuseLfs(exchange, 404, 'Object does not exist');
    else if (body['size'] !== size) refuseLfs(exchange, 412, `The object has ${size} bytes`);
    else exchange.answer(200, azureHeaders());
  }

  #lock(exchange: Exchange, call: LfsCall, asked: { readonly repository: string; readonly user: string; readonly body: Fields }): void {
    const { repository, user, body } = asked;
    if (call.step === 'create-lock') {
      const { path } = body;
      if (typeof path !== 'string') {
        refuseLfs(exchange, 422, 'A lock needs a path');
        return;
      }
      const { lock, isNew } = this.locks.add(repository, path, user);
      if (isNew) answerLfs(exchange, 201, { lock });
      else answerLfs(exchange, 409, { lock, message: `The path '${path}' is already locked by ${lock.owner.name}` });
    } else if (call.step === 'verify-locks') {
      const { cursor, limit } = body;
      const { locks, ...next } = this.locks.page(repository, {
        ...(typeof cursor === 'string' && cursor !== '' ? { cursor } : {}),
        ...(typeof limit === 'number' && limit > 0 ? { limit } : {}),
      });
      const isOurs = ({ owner }: { readonly owner: { readonly name: string } }): boolean => owner.name === user;
      answerLfs(exchange, 200, { ours: locks.filter(isOurs), theirs: locks.filter((each) => !isOurs(each)), ...next });
    } else if (call.step === 'unlock') {
      const lock = this.locks.find(repository, decodeURIComponent(call.id));
      if (lock === undefined) refuseLfs(exchange, 404, 'The lock does not exist');
      else if (lock.owner.name !== user && body['force'] !== true) refuseLfs(exchange, 403, `The lock belongs to ${lock.owner.name}`);
      else {
        this.locks.remove(repository, lock);
        answerLfs(exchange, 200, { lock });
      }
    }
  }
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined; // an object of JSON
}

function readObjects(value: unknown): { readonly oid: string; readonly size: number }[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const objects = value.map((each) => {
    const { oid, size } = fieldsOf(each) ?? {};
    return typeof oid === 'string' && /^[0-9a-f]{64}$/.test(oid) && typeof size === 'number' && size >= 0 ? { oid, size } : undefined;
  });
  return objects.every((each) => each !== undefined) ? objects : undefined;
}
