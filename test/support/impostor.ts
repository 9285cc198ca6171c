/**
 * Somebody else on the door's port: answers whatever comes as a git host would that holds forged code, and writes down every
 * byte that it gets, both as it came over the wire and as TLS gave it out. A program, so that it can be another user's.
 *
 * Arguments: port, and for TLS a file with key and certificate. Prints `ready`, and when it is ended a line of JSON (`Seen`).
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, connect, createServer as createRelay } from 'node:net';
import { FORGED_REF } from './impostor-record.js';

const [port, pem] = process.argv.slice(2);
const seen = { uid: process.getuid?.(), connections: 0, wire: '', requests: [] as string[] };

function answer(request: IncomingMessage, response: ServerResponse): void {
  seen.requests.push(`${request.method} ${request.url}\n${request.rawHeaders.join('\n')}\n`);
  const packet = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text;
  response.setHeader('content-type', 'application/x-git-upload-pack-advertisement');
  response.end(`${packet('# service=git-upload-pack\n')}0000${packet(`${'f'.repeat(40)} ${FORGED_REF}\0agent=x\n`)}0000`);
}

const secret = pem === undefined ? undefined : readFileSync(pem, 'utf8');
const server = secret === undefined ? createServer(answer) : createSecureServer({ key: secret, cert: secret }, answer);
const relay = createRelay((from) => {
  seen.connections += 1;
  const to = connect((server.address() as AddressInfo).port, '127.0.0.1'); // because it listens on TCP
  from.on('data', (chunk: Buffer) => (seen.wire += chunk.toString('latin1')));
  from.pipe(to).pipe(from);
  for (const [one, other] of [
    [from, to],
    [to, from],
  ] as const)
    one.on('error', () => other.destroy()).on('close', () => other.destroy());
});
server.listen(0, '127.0.0.1', () => relay.listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n')));
process.on('SIGTERM', () => process.stdout.write(`${JSON.stringify(seen)}\n`, () => process.exit(0)));
