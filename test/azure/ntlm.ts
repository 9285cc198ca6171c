/**
 * A host that authenticates connections, not requests ([MS-NTHT]; messages in [MS-NLMP] 2.2.1): negotiate, challenge and authenticate
 * must come over one connection, which then needs no credential any more. The user's proof itself is not checked.
 */
import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';

export type NtlmVerdict =
  | { readonly kind: 'passed'; readonly user: string }
  /** `challenge` is the value of WWW-Authenticate. */
  | { readonly kind: 'refused'; readonly challenge: string; readonly handshake: boolean };

type State = { readonly kind: 'challenged' } | { readonly kind: 'authenticated'; readonly user: string };

const SIGNATURE = 'NTLMSSP\0';
const FLAGS = 0x62898205;

export class NtlmConnections {
  readonly #states = new WeakMap<Socket, State>();

  judge(socket: Socket, authorization: string | undefined): NtlmVerdict {
    const state = this.#states.get(socket);
    const [scheme = '', value = ''] = authorization?.split(/ +/, 2) ?? [];
    if (authorization === undefined && state?.kind === 'authenticated') return { kind: 'passed', user: state.user };
    const message = Buffer.from(value, 'base64');
    const type = message.subarray(0, 8).toString('latin1') === SIGNATURE && message.length >= 12 ? message.readUInt32LE(8) : 0;
    if (scheme.toUpperCase() === 'NTLM' && type === 1) {
      this.#states.set(socket, { kind: 'challenged' });
      return { kind: 'refused', challenge: `NTLM ${challengeMessage('EXAMPLE').toString('base64')}`, handshake: true };
    }
    if (scheme.toUpperCase() === 'NTLM' && type === 3 && state?.kind === 'challenged') {
      const user = readUser(message);
      this.#states.set(socket, { kind: 'authenticated', user });
      return { kind: 'passed', user };
    }
    this.#states.delete(socket);
    return { kind: 'refused', challenge: 'NTLM', handshake: false };
  }
}

/** CHALLENGE_MESSAGE with target name and target information. */
function challengeMessage(domain: string): Buffer {
  const name = Buffer.from(domain, 'utf16le');
  const information = Buffer.concat([attribute(2, name), attribute(1, Buffer.from('NTLM', 'utf16le')), attribute(0, Buffer.alloc(0))]);
  const head = Buffer.alloc(56);
  head.write(SIGNATURE, 'latin1');
  head.writeUInt32LE(2, 8);
  writeField(head, 12, name.length, head.length);
  head.writeUInt32LE(FLAGS, 20);
  randomBytes(8).copy(head, 24);
  writeField(head, 40, information.length, head.length + name.length);
  Buffer.from([10, 0, 0x61, 0x58, 0, 0, 0, 15]).copy(head, 48);
  return Buffer.concat([head, name, information]);
}

function attribute(id: number, value: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(id, 0);
  head.writeUInt16LE(value.length, 2);
  return Buffer.concat([head, value]);
}

function writeField(message: Buffer, at: number, length: number, offset: number): void {
  message.writeUInt16LE(length, at);
  message.writeUInt16LE(length, at + 2);
  message.writeUInt32LE(offset, at + 4);
}

/** User name of an AUTHENTICATE_MESSAGE; a placeholder when the message is cut short. */
function readUser(message: Buffer): string {
  if (message.length < 44) return 'ntlm-user';
  const offset = message.readUInt32LE(40);
  const name = message.subarray(offset, offset + message.readUInt16LE(36)).toString('utf16le');
  return name === '' ? 'ntlm-user' : name;
}
