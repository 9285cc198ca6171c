/** The lease actions of the admin socket, by their paths, and how the command line asks for them. */
import { PERMISSIONS } from '../model/operation.js';
import { REF_CHANGES } from '../model/refs.js';
import { Secret } from '../model/secret.js';
import { askAction } from './admin.js';
import { asMap, type JsonAction, text, wrongShape } from './admin-json.js';
import type { CreatedLease, LeaseDesk, LeaseJudgement, LeaseRequest, ListedLease } from './lease-desk.js';

const CREATE = '/leases/create';
const LIST = '/leases/list';
const REVOKE = '/leases/revoke';
const JUDGE = '/leases/judge';
const ROTATE = '/leases/rotate';

export function leaseActions(desk: LeaseDesk): ReadonlyMap<string, JsonAction> {
  return new Map<string, JsonAction>([
    [CREATE, (body) => desk.create(readRequest(body))],
    [LIST, () => desk.list()],
    [REVOKE, (body) => desk.revoke(texts(asMap(body)['ids']) ?? [])],
    [JUDGE, (body) => desk.judge(new Secret(text(asMap(body)['lease']) ?? ''))],
    [ROTATE, async (body) => ({ keyId: await desk.rotate({ forgetOld: asMap(body)['forgetOld'] === true }) })],
  ]);
}

/* Each gives undefined when no daemon answers, and throws what the desk throws. */

export async function askCreate(socket: string, request: LeaseRequest): Promise<CreatedLease | undefined> {
  return (await askAction(socket, CREATE, request)) as CreatedLease | undefined; // because the same program wrote it, here and below
}

export async function askList(socket: string): Promise<ListedLease[] | undefined> {
  return (await askAction(socket, LIST, {})) as ListedLease[] | undefined;
}

export async function askRevoke(socket: string, ids: readonly string[]): Promise<Awaited<ReturnType<LeaseDesk['revoke']>> | undefined> {
  return (await askAction(socket, REVOKE, { ids })) as Awaited<ReturnType<LeaseDesk['revoke']>> | undefined;
}

export async function askJudge(socket: string, lease: Secret): Promise<LeaseJudgement | undefined> {
  return (await askAction(socket, JUDGE, { lease: lease.reveal() })) as LeaseJudgement | undefined;
}

export async function askRotate(socket: string, forgetOld: boolean): Promise<{ readonly keyId: string } | undefined> {
  return (await askAction(socket, ROTATE, { forgetOld })) as { readonly keyId: string } | undefined;
}

/** What a lease may be is said where it is written (gate/caveat-text.ts); here is only its shape. */
function readRequest(body: unknown): LeaseRequest {
  const map = asMap(body);
  const words = <Word extends string>(key: string, all: readonly Word[]): readonly Word[] | undefined => {
    const found = texts(map[key]);
    if (found?.some((each) => !(all as readonly string[]).includes(each)) === true) throw wrongShape();
    return found as readonly Word[] | undefined; // because each was looked for
  };
  const { forMs, uids } = map;
  if (uids !== undefined && !(Array.isArray(uids) && uids.every((uid) => typeof uid === 'number'))) throw wrongShape();
  return {
    label: text(map['label']),
    repos: texts(map['repos']) ?? [],
    allow: words('allow', PERMISSIONS),
    refs: texts(map['refs']),
    protect: texts(map['protect']),
    changes: words('changes', REF_CHANGES),
    forMs: typeof forMs === 'number' ? forMs : 0,
    from: texts(map['from']),
    uids,
  };
}

function texts(raw: unknown): readonly string[] | undefined {
  if (raw === undefined) return undefined;
  if (!Array.isArray(raw) || !raw.every((each) => typeof each === 'string')) throw wrongShape();
  return raw;
}
