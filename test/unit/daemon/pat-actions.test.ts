import { describe, expect, it } from 'vitest';
import { patActions } from '../../../src/daemon/pat-actions.js';
import type { PatDesk } from '../../../src/daemon/pat-desk.js';
import { Secret } from '../../../src/model/secret.js';

const PAT = { id: '7d1f6f70-0a4c-4b0e-9d8f-6f0d2a6d2f11', name: 'ci', scopes: ['vso.code'], expiresAt: new Date(0), isGlobal: false };
const WISH = { organisation: 'contoso', scopes: ['vso.code'], forMs: 1000 };

function rig(isShared: boolean) {
  const asked: unknown[] = [];
  const desk = {
    create: (wish: unknown) => {
      asked.push(wish);
      return Promise.resolve({ ...PAT, token: new Secret('the token'), organisation: 'contoso', identity: 'me' });
    },
    list: () => Promise.resolve([PAT]),
    revoke: () => Promise.resolve({ organisation: 'contoso' }),
  };
  const actions = patActions(desk as unknown as PatDesk, { isShared }); // a class with private fields; it is asked for nothing else
  const act = async (path: string, body: unknown): Promise<unknown> => actions.get(path)?.(body);
  return { act, asked };
}

describe('patActions()', () => {
  it('hand a token to the owner of the daemon', async () => {
    const { act } = rig(false);
    expect(await act('/pats/create', WISH)).toMatchObject({
      token: 'the token',
      organization: 'contoso',
      expiresAt: '1970-01-01T00:00:00.000Z',
    });
  });

  // A member of postern-admin may let a route be used; a token would be good beside all routes.
  it('make no token where a group may use the admin socket', async () => {
    const { act, asked } = rig(true);
    await expect(act('/pats/create', WISH)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('The daemon of the system makes no') as string,
    });
    expect(asked).toEqual([]);
    expect(await act('/pats/list', {})).toHaveLength(1);
    expect(await act('/pats/revoke', { id: PAT.id })).toEqual({ organization: 'contoso' });
  });

  it.each([
    ['/pats/create', undefined],
    ['/pats/create', { ...WISH, scopes: 'vso.code' }],
    ['/pats/create', { ...WISH, forMs: '1d' }],
    ['/pats/create', { ...WISH, identity: 3 }],
    ['/pats/revoke', { id: 'the token' }],
    ['/pats/revoke', {}],
    ['/pats/list', 'contoso'],
  ])('of %s refuse %j', async (path, body) => {
    await expect(rig(false).act(path, body)).rejects.toMatchObject({
      code: 'usage',
      message: 'The daemon does not understand what was asked',
    });
  });
});
