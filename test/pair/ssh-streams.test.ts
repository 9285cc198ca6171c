/** What a command says on both its streams arrives whole and in order, however slowly the client reads, and the end comes last. */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import type { Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import ssh2, { type ClientChannel } from 'ssh2';
import { expect, it } from 'vitest';
import { Secret } from '../../src/model/secret.js';
import { type CommandChannel, serveClient } from '../../src/ssh/server.js';

const MIB = 1024 * 1024;
const HOST_KEY = new Secret(ssh2.utils.generateKeyPairSync('ed25519').private);

/** Runs one command against `speak`; `read` takes what comes. */
async function converse(
  speak: (channel: CommandChannel) => Promise<void>,
  read: (channel: ClientChannel) => Promise<void>,
): Promise<number | undefined> {
  const server = createServer((socket) => {
    void serveClient(socket, HOST_KEY, {
      signIn: () => Promise.resolve({ kind: 'accept' }),
      signedIn: () => undefined,
      refused: () => undefined,
      exec: (_asked, channel) => void speak(channel).then(() => channel.end(7)),
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = new ssh2.Client();
  try {
    client.connect({ host: '127.0.0.1', port: (server.address() as AddressInfo).port, username: 'git' });
    await once(client, 'ready');
    const channel = await new Promise<ClientChannel>((resolve, reject) => {
      client.exec('anything', (fault, opened) => {
        if (fault) reject(fault);
        else resolve(opened);
      });
    });
    let code: number | undefined;
    channel.on('exit', (status: number) => (code = status));
    const closed = once(channel, 'close');
    await read(channel);
    await closed;
    return code;
  } finally {
    client.destroy();
    server.close();
  }
}

async function say(stream: Writable, bytes: Buffer): Promise<void> {
  if (!stream.write(bytes)) await once(stream, 'drain');
}

it('says what is on stderr when stdout has filled the window, and then ends', async () => {
  const bytes = randomBytes(5 * MIB);
  const received: Buffer[] = [];
  let words = '';
  const code = await converse(
    async (channel) => {
      // More than a window: the rest of it waits.
      channel.output.write(bytes);
      channel.errors.write('postern: it broke\n');
    },
    async (channel) => {
      await pause(100);
      channel.on('data', (chunk: Buffer) => received.push(chunk));
      channel.stderr.on('data', (chunk: Buffer) => (words += chunk.toString()));
    },
  );
  expect(Buffer.concat(received).equals(bytes)).toBe(true);
  expect(words).toBe('postern: it broke\n');
  expect(code).toBe(7);
});

it('keeps both streams as they are said, while the client stops and goes', async () => {
  const [out, err] = [createHash('sha256'), createHash('sha256')];
  const [heardOut, heardErr] = [createHash('sha256'), createHash('sha256')];
  const code = await converse(
    async (channel) => {
      for (let turn = 0; turn < 60; turn++) {
        const bytes = randomBytes(1 + Math.floor(Math.random() * MIB));
        out.update(bytes);
        const saying = say(channel.output, bytes);
        const words = randomBytes(1 + Math.floor(Math.random() * 2000));
        err.update(words);
        await Promise.all([saying, say(channel.errors, words)]);
      }
    },
    async (channel) => {
      let count = 0;
      channel.on('data', (chunk: Buffer) => {
        heardOut.update(chunk);
        count += chunk.length;
        if (count < MIB) return;
        count = 0;
        channel.pause();
        setTimeout(() => channel.resume(), 5);
      });
      channel.stderr.on('data', (chunk: Buffer) => heardErr.update(chunk));
    },
  );
  expect(heardOut.digest('hex')).toBe(out.digest('hex'));
  expect(heardErr.digest('hex')).toBe(err.digest('hex'));
  expect(code).toBe(7);
});
