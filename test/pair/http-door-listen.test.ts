/** Which addresses a door must be able to open, and which it may do without. */
import { expect, test } from 'vitest';
import { HttpDoor, type HttpDoorParts } from '../../src/http/http-door.js';

/** Of no interface on any machine: the documentation prefix of RFC 3849. */
const NOBODYS = '2001:db8::1';

function door(): HttpDoor {
  return new HttpDoor({
    stallMs: 1_000,
    hostNames: [],
    access: { local: 'uid', remote: 'lease' },
  } as Partial<HttpDoorParts> as HttpDoorParts); // because listening needs nothing else
}

test('listen() goes without an optional address that the system does not have', async () => {
  const opened = door();
  expect(await opened.listen({ host: NOBODYS, port: 0, optional: true })).toBe(false);
  expect(await opened.listen({ host: '127.0.0.1', port: 0, optional: true })).toBe(true);
  expect(opened.bound.map(({ host }) => host)).toEqual(['127.0.0.1']);
  await opened.close();
});

test('listen() refuses to start without an address that was written out', async () => {
  const opened = door();
  await expect(opened.listen({ host: NOBODYS, port: 0, optional: false })).rejects.toMatchObject({
    code: 'listen-failed',
    message: `The HTTP door cannot listen on [${NOBODYS}]:0 (EADDRNOTAVAIL)`,
  });
  await opened.close();
});

test('listen() does not go without an optional address that another process holds', async () => {
  const first = door();
  await first.listen({ host: '127.0.0.1', port: 0, optional: true });
  const port = first.bound[0]?.port ?? 0;
  const second = door();
  await expect(second.listen({ host: '127.0.0.1', port, optional: true })).rejects.toMatchObject({ code: 'listen-failed' });
  await Promise.all([first.close(), second.close()]);
});
