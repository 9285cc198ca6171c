/** A password for the outgoing proxy goes to the proxy as it was meant, and only there. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { dial } from '../../src/upstream/dial.js';

test.each([
  ['percent-encoded', 'p%40ss', 'p@ss'],
  ['with a bare percent sign', '100%safe', '100%safe'],
])('dial() signs in at the proxy with a password %s', async (_, written, meant) => {
  let head = '';
  const proxy = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      head += chunk.toString('latin1');
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n');
    });
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port } = proxy.address() as AddressInfo; // because a TCP server has such an address
  const fault = await new Promise<Error | null>((resolve) => {
    dial(
      {
        origin: new URL('https://git.example.com'),
        trust: undefined,
        proxy: new URL(`http://user:${written}@127.0.0.1:${port}`),
        timeoutMs: 5_000,
        session: undefined,
        onSession: () => undefined,
      },
      resolve,
    );
  });
  proxy.close();
  expect(fault).toMatchObject({ code: 'proxy-refused' });
  expect(fault?.message).not.toContain(written);
  expect(head).toContain(`Basic ${Buffer.from(`user:${meant}`).toString('base64')}`);
});
